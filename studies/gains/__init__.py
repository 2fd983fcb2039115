"""Deep spiking networks, and step sizes of spiking agents."""
