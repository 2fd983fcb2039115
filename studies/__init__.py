"""Studies that the documentation reports, each rerun by one command; not part of the wheel."""
