"""Tools of the maintainers: counts, walks, mutants, and a disguise of the processor."""
