"""Regulation of neurons: penalties, homeostasis, and the shedding of spikes."""
