"""Pictures of training runs, and films of episodes with the spikes of the agent's network."""

from snn_gym.plots.films import Film, FilmSettings, Played, record_film
from snn_gym.plots.run import FORMATS, Pictures, plot_run, save_front

__all__ = [
    "FORMATS",
    "Film",
    "FilmSettings",
    "Pictures",
    "Played",
    "plot_run",
    "record_film",
    "save_front",
]
