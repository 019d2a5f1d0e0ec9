# tests of corruptions
