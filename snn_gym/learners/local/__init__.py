"""Local learning rules: each synapse learns from signals that reach it."""
