"""The results table as a site of static pages, which needs no server and no network."""

from snn_gym.scoring.site.files import write_site

__all__ = ["write_site"]
