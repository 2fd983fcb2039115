"""Encoders, which turn observations into spikes, and decoders, which read spikes."""
