"""Local learning rules: synapses that learn by what they see."""
