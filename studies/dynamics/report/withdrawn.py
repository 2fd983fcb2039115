"""What stood in the report and was withdrawn; there are no runs behind it."""

from __future__ import annotations


def section() -> str:
    """Return what is withdrawn, and why."""
    return (
        "## Withdrawn: gradient learners that watch the dynamics\n\n"
        "A part on `ppo-lif` judged that regulation is of use on none of four tasks. It is "
        "withdrawn by [rules 4 and 5](../leaderboard/RULES.md): thresholds (−200 on Pendulum-v1, "
        "−120 on MountainCar-v0) and budgets were written when scores on the same seeds were "
        "known, half of the 10 seeds were run, `ppo-lif` got second scores beside its rows, and "
        "intervals took seeds for independent that shared most random streams. "
        "[The lean study](lean-study.md) asks what regulation is worth, on other seeds."
    )
