"""Measurements, a family to a file; ``benchmarks.registry`` joins them."""
