"""``Performance``: whether what is earned lets spikes be shed, one number told to all synapses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snn_gym.learners.settings import LocalRegulation


@dataclass(frozen=True)
class Performance:
    """Slow measure of what episodes earn; one number after another, of the past nothing else."""

    episodes: int = 0
    """Episodes so far."""
    level: float = math.nan
    """Running mean return; NaN before the first episode."""
    worst: float = math.nan
    """Least level so far."""
    best: float = math.nan
    """Level that counts as the best: one that was better than the last by what counts."""
    waited: int = 0
    """Episodes since then."""

    def step(self, episode_return: float, parameters: LocalRegulation) -> Performance:
        """Return the measure after an episode.

        Args:
            episode_return: Sum of its rewards.
            parameters: Over how many episodes the mean goes, and what counts.
        """
        if self.episodes == 0:
            return Performance(1, episode_return, episode_return, episode_return)
        episodes = self.episodes + 1
        level = self.level + (episode_return - self.level) / min(episodes, parameters.episodes)
        worst = min(self.worst, level)
        gained = max(self.best, level) - worst
        better = level > self.best + parameters.tolerance * gained
        best, waited = (level, 0) if better else (self.best, self.waited + 1)
        return Performance(episodes, level, worst, best, waited)

    def permits(self, parameters: LocalRegulation) -> bool:
        """Return whether the mean return has stopped rising and is not falling.

        As ``snn_gym.spiking.regulation.control.learning_is_over``, over the episodes that there
        were: nobody tells an agent that learns on line how long its training is.

        Args:
            parameters: After how many episodes, and what counts.
        """
        gained = self.best - self.worst
        kept = self.level >= self.best - parameters.tolerance * gained
        return gained > 0 and kept and self.waited >= parameters.patience
