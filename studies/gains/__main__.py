"""Train deep and fast spiking agents: ``python -m studies.gains run depth``, then ``report``.

A training whose line stands in ``runs.csv`` is passed over, so that a run that was stopped goes on.
What is tested stands in ``studies/registered.toml``. Numerics are portable.
"""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, fields
from typing import Annotated, Any

import typer

import snn_gym
from snn_gym._base.names import parse_seeds

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.command()
def run(
    question: Annotated[str, typer.Argument(help="depth or steps.")],
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0-9.")] = "0-4",
    arms: Annotated[str, typer.Option(help="Only arms whose name or task has this text.")] = "",
) -> None:
    """Make the trainings of a question that are missing, one seed after another."""
    snn_gym.portable()
    from studies.gains import training  # and with it torch, whose numerics are set now

    asked: Any = question
    done = {(run.question, run.arm, run.task, run.seed) for run in training.read()}
    names = [x.name for x in fields(training.Run)]
    for seed in parse_seeds(seeds) or ():
        for arm in training.ARMS[asked]:
            key = (question, arm.name, arm.task, seed)
            if key in done or not (arms in arm.name or arms in arm.task):
                continue
            made = training.trained(asked, arm, seed)
            with training.RUNS.open("a", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, names, lineterminator="\n")
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(asdict(made))
            reached = "never" if math.isinf(made.steps_until) else f"{made.steps_until:,.0f}"
            typer.echo(f"{made.task} {made.arm} seed {seed}: {made.mean_return:.2f}, {reached}")


@app.command()
def report() -> None:
    """Write the tables of docs/deep-networks.md and docs/learning-efficiency.md."""
    from studies.gains.report import write

    write()


if __name__ == "__main__":
    app()
