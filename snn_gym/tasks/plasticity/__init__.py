"""A spiking network in training as the environment of an agent."""
