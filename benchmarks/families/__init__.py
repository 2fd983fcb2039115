"""What is measured, a family to a file; ``benchmarks.registry`` joins them."""
