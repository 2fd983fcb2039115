"""Run the study: ``python -m studies.lean run [--task ID] [--arms a,b] [--seeds 100-109]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from snn_gym._base.names import parse_seeds
from studies.lean.disturbed import disturbed_tasks, run_disturbed
from studies.lean.fixed import choose_strength
from studies.lean.front import FRONT_TASKS, front_seeds, planned, run_configuration
from studies.lean.outcome import Outcome
from studies.lean.plan import (
    OTHER_AGENTS,
    REPORTED,
    SECOND_TASKS,
    SYNAPSE_TASKS,
    TASKS,
    TENTH_TASKS,
    Task,
)
from studies.lean.report import write_report
from studies.lean.rescue import ARMS as RESCUES
from studies.lean.rescue import STARTS, reported_seeds, run_start
from studies.lean.runner import run_seed
from studies.lean.twins import run_twin

RESULTS = Path(__file__).parent / "results"
TUNING = Path(__file__).parent / "tuning"
SCRATCH = Path("runs") / "lean"
DOCS = Path(__file__).parents[2] / "docs"

OneTask = Annotated[
    str | None,
    typer.Option(help="Task (of `run`, also one of the other agents); all of them if none."),
]
SomeSeeds = Annotated[str | None, typer.Option(help="Such as 100-102; the reported ones.")]
Results = Annotated[Path, typer.Option(help="Folder of the results.")]
Scratch = Annotated[Path, typer.Option(help="Folder of checkpoints.")]

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def study() -> None:
    """Run the study."""


@app.command()
def run(
    task: OneTask = None,
    arms: Annotated[str, typer.Option(help="Arms, with commas between.")] = ",".join(REPORTED),
    seeds: SomeSeeds = None,
    out: Results = RESULTS,
    scratch: Scratch = SCRATCH,
) -> None:
    """Train the missing arms; an arm whose file exists is skipped."""
    with _usage():
        runnable = {**TASKS, **OTHER_AGENTS, **TENTH_TASKS, **SECOND_TASKS, **SYNAPSE_TASKS}
        for chosen, seed in _asked(runnable, task, seeds):
            run_seed(chosen, seed, arms.split(","), out, scratch, _show)


@app.command()
def choose(
    task: OneTask = None,
    out: Annotated[Path, typer.Option(help="Folder of the trials; no results.")] = TUNING,
    scratch: Scratch = SCRATCH,
) -> None:
    """Choose the strength of the arm ``fixed``; finished trials are skipped."""
    with _usage():
        for chosen in _chosen(TASKS, task):
            strength = choose_strength(chosen, out, scratch, _show)
            typer.echo(f"{chosen.env_id}: strength {strength:g}")


@app.command()
def twins(
    task: OneTask = None,
    seeds: SomeSeeds = None,
    out: Results = RESULTS,
    scratch: Scratch = SCRATCH,
) -> None:
    """Train the ANN twins of the tasks' agents; one whose file exists is passed over."""
    with _usage():
        for chosen, seed in _asked(TASKS, task, seeds):
            run_twin(chosen, seed, out, scratch, _show)


@app.command()
def front(
    task: OneTask = None,
    seeds: SomeSeeds = None,
    configs: Annotated[
        str | None, typer.Option(help="Configurations, with commas between.")
    ] = None,
    out: Results = RESULTS,
    scratch: Scratch = SCRATCH,
) -> None:
    """Train smaller networks, fewer time steps and ANNs; finished trainings are skipped."""
    names = None if configs is None else configs.split(",")
    with _usage():
        for chosen, configuration in planned(_chosen(FRONT_TASKS, task), names):
            for seed in parse_seeds(seeds) or front_seeds(chosen, configuration):
                run_configuration(chosen, configuration, seed, out, scratch, _show)


@app.command()
def rescue(
    start: Annotated[str | None, typer.Option(help="Bad start; all of them if none.")] = None,
    arms: Annotated[str, typer.Option(help="Arms, with commas between.")] = ",".join(RESCUES),
    seeds: SomeSeeds = None,
    out: Results = RESULTS,
) -> None:
    """Train networks that start dead; an arm whose file exists is passed over."""
    with _usage():
        for name in STARTS if start is None else (start,):
            for seed in parse_seeds(seeds) or reported_seeds():
                run_start(name, seed, arms.split(","), out, _show)


@app.command()
def disturbed(
    task: OneTask = None,
    seeds: SomeSeeds = None,
    out: Results = RESULTS,
    scratch: Scratch = SCRATCH,
) -> None:
    """Evaluate `off` and `lean` with noisy observations and changed physics."""
    with _usage():
        for chosen, seed in _asked(disturbed_tasks(), task, seeds):
            run_disturbed(chosen, seed, out, scratch, _show)


@app.command()
def report(
    results: Results = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder of the report.")] = DOCS,
) -> None:
    """Write the report from the arms there are."""
    typer.echo(f"wrote {write_report(results, docs)[0]} and its pages")


@contextmanager
def _usage() -> Iterator[None]:
    """Print a wrong request as one line."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _asked(
    tasks: Mapping[str, Task], name: str | None, seeds: str | None
) -> Iterator[tuple[Task, int]]:
    """Yield the tasks of that name, all of them if none, with the seeds, the reported if none."""
    for chosen in _chosen(tasks, name):
        for seed in parse_seeds(seeds) or chosen.seed_range():
            yield chosen, seed


def _chosen(tasks: Mapping[str, Task], name: str | None) -> Sequence[Task]:
    """Return the task of that name, all of them if none."""
    if name is None:
        return list(tasks.values())
    if name not in tasks:
        raise ValueError(f"task {name!r} is unknown; tasks: {', '.join(tasks)}")
    return [tasks[name]]


def _show(outcome: Outcome) -> None:
    typer.echo(
        f"{outcome.task}/{outcome.arm}/{outcome.seed}: mean {outcome.mean:.1f}, "
        f"{outcome.hidden_synops:.0f} SynOps, {outcome.operations:.0f} operations, "
        f"{outcome.seconds:.0f} s"
    )


if __name__ == "__main__":
    app()
