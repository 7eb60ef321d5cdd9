"""A package with one piece, for the tests of the contract."""
