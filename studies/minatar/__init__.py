"""The gate before the rows of MinAtar."""
