"""The one place that states the version; pyproject.toml and the package read it."""

__version__ = "2.0.0"
