"""Performance profiles: how often an agent reaches a score, over several environments.

As in Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
NeurIPS 2021, https://arxiv.org/abs/2108.13264, section 4.2, with seeds as the unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snn_gym.scoring.headings import FEWEST_SEEDS, MARK
from snn_gym.scoring.statistics import grand_mean_interval
from snn_gym.scoring.table import TableRow

LEVELS = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Normalised scores at which a profile is shown."""
FEWEST_ENVIRONMENTS = 2
"""Environments that a profile takes."""

PROFILE_DEFINITIONS: dict[str, str] = {
    "Agent": "the agent",
    "Against": "its twin, whose line is over the same environments",
    "Environments": f"those in which both have at least {FEWEST_SEEDS} seeds; at least "
    f"{FEWEST_ENVIRONMENTS}",
    "Seeds": "training runs of the agent in them",
    "At least 0.25, 0.5, …": "share of seeds whose normalised mean return is at least that, as a "
    "mean over environments, which count alike; in brackets its 95 % interval by Student's t over "
    "seeds with Welch's degrees of freedom, cut off at 0 and 1. Where all seeds of an "
    "environment agree it knows nothing of rare failures; where they do in each, it has no width",
}
PROFILE_COLUMNS = (
    *tuple(PROFILE_DEFINITIONS)[:-1],
    *(f"At least {level:g}" for level in LEVELS),
)
"""Headings of profiles, in the order of `Profile.cells`."""


@dataclass(frozen=True)
class Profile:
    """An agent over several environments."""

    rows: tuple[TableRow, ...]
    """The agent in each of them, all with reference scores."""

    @property
    def agent(self) -> str:
        """Name of the agent."""
        return self.rows[0].agent

    def share(self, level: float) -> tuple[float, float, float]:
        """Return which share of seeds is at a level or above, and its interval.

        Args:
            level: Normalised score: random play has 0, the reference 1.
        """
        reached = [
            np.array([row.reference.normalise(mean) >= level for mean in row.seed_means], float)
            for row in self.rows
            if row.reference is not None
        ]
        low, high = grand_mean_interval(reached)
        share = float(np.mean([group.mean() for group in reached]))
        return share, max(low, 0.0), min(high, 1.0)

    def cells(self) -> tuple[str, ...]:
        """Return the texts under `PROFILE_COLUMNS`."""
        mark = f" {MARK}" if any(row.shared_streams for row in self.rows) else ""
        return (
            self.agent,
            self.rows[0].twin or "–",
            ", ".join(row.environment for row in self.rows),
            str(sum(len(row.seeds) for row in self.rows)),
            *("{:.2f} ({:.2f} to {:.2f})".format(*self.share(level)) + mark for level in LEVELS),
        )


def profiles(rows: Sequence[TableRow]) -> Iterator[Profile]:
    """Yield the profile of each agent and, directly after it, of its twin.

    Args:
        rows: Of a whole table, the spiking one of a pair above its twin.
    """
    enough = {
        (row.agent, row.environment): row
        for row in rows
        if row.reference is not None
        and len(row.seeds) >= FEWEST_SEEDS
        and not (row.derived or row.unheard)
    }
    pairs = dict.fromkeys((row.agent, row.twin) for row in rows if row.twin is not None)
    shown: set[str] = set()
    for agent, twin in pairs:
        common = [name for one, name in enough if one == agent and (twin, name) in enough]
        if len(common) >= FEWEST_ENVIRONMENTS and agent not in shown:
            for one in (agent, twin):
                yield Profile(tuple(enough[one, name] for name in common))
            shown |= {agent, twin}
