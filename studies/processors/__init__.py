"""Which processors train the same weights."""
