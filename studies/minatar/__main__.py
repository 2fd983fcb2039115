"""The gate before MinAtar's rows: ``python -m studies.minatar gate RUN ...``, then ``report``.

The runs are those of ``snn-gym train AGENT snn/MinAtar-Breakout-v0 --seed 1000 --steps 10000000``.
What is measured and what passes is in ``studies/registered.toml``. A part whose file exists is
passed over, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from scipy import stats
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym import distil, evaluate, load_agent
from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_text_atomic
from snn_gym.envs.registry import load_environment_spec
from snn_gym.program.prices import DEFAULT, PRICES
from snn_gym.zoo.identity import identify
from studies.files import read_run, write_run
from studies.tables import table, wrapped

ENV_ID = "snn/MinAtar-Breakout-v0"
RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[2] / "docs" / "minatar.md"
STUDENTS = (16, 64)
STUDENT_STEPS, STUDENT_SEEDS = 2_000_000, range(1000, 1005)
EPISODES, FIRST_EPISODE = 100, 1_700_000_000
LEAST_RETURN, LARGEST_SHARE = 25.0, 0.9
_INTRO = (
    "# MinAtar: does a game need more than a small network?",
    "Before rows are trained, a gate asks whether MinAtar's Breakout, as our agents play it after "
    "10 million steps, needs more than a small network. It was registered before the runs, in "
    "[registered.toml](../studies/registered.toml). It is passed where the best agent earns more "
    f"than {LEAST_RETURN:g}, and the upper ends of the 95 % intervals of its students of 16-16 and "
    f"of 64-64 units are below {LARGEST_SHARE:g} of it.",
)
app = typer.Typer(add_completion=False, no_args_is_help=True)


@dataclass(frozen=True)
class Played(Config):
    """Mean return of an agent or a student in the gate's episodes."""

    name: str
    """Agent, or the units of a student's layers."""
    seed: int
    steps: int
    """Environment steps of the training."""
    mean: float
    operations: float
    """Operations of a decision."""


@app.command()
def gate(
    runs: Annotated[list[Path], typer.Argument(help="Folders of the runs.")],
    folder: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Let the agents of runs play, and the best of them teach small networks."""
    with one_thread():
        models = {str(identify(x).agent): x for x in map(load_agent, runs)}
        for name, model in models.items():
            _play(folder / "agents" / f"{name}.json", name, model.seed or 0, partial(_same, model))
        teacher = models[max(_agents(folder), key=lambda x: x.mean).name]
        for units in STUDENTS:
            for seed in STUDENT_SEEDS:
                network = {"hidden_sizes": [units, units]}
                taught = partial(
                    distil, teacher, "ppo-mlp", STUDENT_STEPS, network=network, seed=seed
                )
                path = folder / "students" / f"{units}-{seed}.json"
                _play(path, f"{units}-{units}", seed, taught)


def _same(model: BaseAlgorithm) -> BaseAlgorithm:
    return model


def _play(path: Path, name: str, seed: int, make: Callable[[], BaseAlgorithm]) -> None:
    """Let a model play and write its result, unless there is one."""
    if path.exists():
        return
    model = make()
    found = evaluate(model, ENV_ID, seeds=range(FIRST_EPISODE, FIRST_EPISODE + EPISODES))
    operations = PRICES[DEFAULT].of(found)
    assert operations is not None  # of networks, which are counted
    write_run(path, Played(name, seed, model.num_timesteps, found.mean, operations))
    typer.echo(f"{name} seed {seed}: {found.mean:.2f}")


def _agents(folder: Path) -> list[Played]:
    return [read_run(Played, path) for path in sorted((folder / "agents").glob("*.json"))]


def _students(folder: Path, units: int) -> list[Played]:
    """Read the results of the students of a size; none before all have played."""
    paths = [folder / "students" / f"{units}-{seed}.json" for seed in STUDENT_SEEDS]
    whole = all(path.exists() for path in paths)
    return [read_run(Played, path) for path in paths] if whole else []


def upper_end(means: Sequence[float]) -> float:
    """Return the upper end of the two-sided 95 % interval of a mean, Student's t over seeds."""
    found = np.asarray(means, float)
    error = float(found.std(ddof=1)) / math.sqrt(len(found))
    return float(found.mean() + stats.t.ppf(0.975, len(found) - 1) * error)


def passes(best: float, upper_ends: Sequence[float]) -> bool:
    """Return whether an agent's return and the upper ends of its students pass the gate."""
    return best > LEAST_RETURN and max(upper_ends) < LARGEST_SHARE * best


def _scores() -> str:
    """Return a sentence of the scores without training."""
    scores = load_environment_spec(ENV_ID).reference
    return (
        f"Without training, random play earns {scores.random:.1f}, a script that goes below the "
        f"ball's next place {scores.scripted:.1f}, and random shooting, which plays the game on "
        f"from its state, {scores.oracle:.1f} ([card](../envs/MinAtar-Breakout-v0.md))."
    )


@app.command()
def report(
    folder: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    page: Annotated[Path, typer.Option(help="Page to write.")] = PAGE,
) -> None:
    """Write the page from the results that there are."""
    agents, students = _agents(folder), [x for n in STUDENTS if (x := _students(folder, n))]
    rows = [(f"`{x.name}`", f"{x.mean:.1f}", "–", f"{x.operations:,.0f}") for x in agents]
    ends = [upper_end([x.mean for x in group]) for group in students]
    for group, end in zip(students, ends, strict=True):
        mean, operations = (np.mean([getattr(x, n) for x in group]) for n in ("mean", "operations"))
        rows.append((f"{group[0].name}, taught", f"{mean:.1f}", f"{end:.1f}", f"{operations:,.0f}"))
    finding = "The gate is open: runs are missing."
    if agents and len(students) == len(STUDENTS):
        best = max(x.mean for x in agents)
        shares = " and ".join(f"{end / best:.2f}" for end in ends)
        finding = (
            f"The gate is {'passed' if passes(best, ends) else 'not passed'}: the best agent earns "
            f"{best:.1f}, and the upper ends of its students are {shares} of that."
        )
    head = ("Agent", "Return", "Upper end", "Operations")
    commands = "`python -m studies.minatar gate RUN ...` and `report` write this page."
    write_text_atomic(page, wrapped(*_INTRO, finding, table(head, rows), _scores(), commands))
    typer.echo(f"wrote {page}")


if __name__ == "__main__":
    app()
