"""Games of MinAtar in batches, whose observations are planes of spikes."""
