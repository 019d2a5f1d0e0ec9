# tests of lua
