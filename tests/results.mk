# tests of results
