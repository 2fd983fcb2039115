"""Locomotion with spikes: the four tasks on which papers on spiking control report."""
