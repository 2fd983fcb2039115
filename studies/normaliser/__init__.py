"""Study: which agents learn better without the observation normaliser, task by task."""
