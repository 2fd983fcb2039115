"""Learners that watch the dynamics of a spiking network, against those that do not."""
