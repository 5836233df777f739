"""How good predictions are: pure functions of arrays."""
