"""Configuration, files, numerics and names, without knowledge of networks."""
