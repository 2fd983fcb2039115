"""Tools of the maintainers: digests of short trainings, and a disguise of the processor."""
