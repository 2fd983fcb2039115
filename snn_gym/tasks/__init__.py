"""Tasks of our own, written for many environments at once."""
