"""Tasks whose observations are spikes from the start, written for many environments at once."""
