"""What a network gains that sheds spikes by its own dynamics once it has learned: the study."""
