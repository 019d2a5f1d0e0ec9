# tests of attacks
