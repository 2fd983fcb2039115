"""Section on a withdrawn claim, which has no runs any more."""

from __future__ import annotations


def section() -> str:
    """Return the withdrawn claim and the reasons."""
    return (
        "## Withdrawn: gradient learners that watch the dynamics\n\n"
        "An earlier part claimed that regulation of `ppo-lif` is of use on none of four tasks. It "
        "is withdrawn by [rules 4 and 5](../leaderboard/RULES.md):\n\n"
        "- Thresholds (−200 on Pendulum-v1, −120 on MountainCar-v0) and budgets were written when "
        "scores on the same seeds were known.\n"
        "- Only half of the 10 seeds were run.\n"
        "- `ppo-lif` had second scores beside its rows.\n"
        "- Intervals treated seeds as independent that shared most random streams.\n\n"
        "[The lean study](lean-study.md) measures the worth of regulation on other seeds."
    )
