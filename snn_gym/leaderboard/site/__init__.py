"""The results table as a site of static pages, which needs no server and no network."""

from snn_gym.leaderboard.site.files import write_site
from snn_gym.leaderboard.site.layout import Documentation, Film

__all__ = ["Documentation", "Film", "write_site"]
