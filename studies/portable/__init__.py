"""Rows of portable numerics beside those of the results table, which are of native numerics."""
