"""Spiking networks: encoders, neurons, layers, decoders and recordings."""
