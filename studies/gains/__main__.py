"""Train deep and fast spiking agents: ``python -m studies.gains --only depth/16``.

What is tested stands in ``studies/registered.toml``. Numerics are portable. ``python -m
studies.claims`` writes the tables.
"""

from __future__ import annotations

from typing import Annotated

import typer

import snn_gym


def main(
    only: Annotated[str, typer.Option(help="Text in the names of the runs to make.")] = "",
) -> None:
    """Make the trainings of the plan that the table lacks (hours)."""
    snn_gym.portable()
    # With these comes torch, whose numerics are set by now.
    from studies.gains.training import TABLE, plan
    from studies.runs import Runs, make_missing

    make_missing(Runs(TABLE), plan(), only)


if __name__ == "__main__":
    typer.run(main)
