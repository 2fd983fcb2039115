"""The one place that states the version; pyproject.toml and the package read it."""

__version__ = "1.0.0"
