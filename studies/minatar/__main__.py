"""MinAtar: ``python -m studies.minatar gate RUN ...`` before rows, ``lean``, then ``report``.

The runs of the gate are those of ``snn-gym train AGENT snn/MinAtar-Breakout-v0 --seed 1000 --steps
10000000``. What is measured and what passes is in ``studies/registered.toml``. A part whose file
exists is passed over, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym import distil, evaluate, load_agent, load_pretrained, make_lean
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_text_atomic
from snn_gym.program.prices import DEFAULT, PRICES
from snn_gym.zoo.build import identify
from snn_gym_deploy.instructions import Target, check_tools, count_instructions
from studies.minatar.report import (
    ENV_ID,
    KIND_SEEDS,
    KINDS,
    RUNS,
    STUDENT_SEEDS,
    STUDENTS,
    TEACHER,
    Played,
    page,
    read_gate,
    read_lean,
)
from studies.runs import DOCS, Planned, Runs, make_missing

STUDENT_STEPS = 2_000_000
EPISODES, LEAN_EPISODES, FIRST_EPISODE = 100, 1000, 1_700_000_000
TARGET: Target = "cortex-m4"
app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.command()
def gate(runs: Annotated[list[Path], typer.Argument(help="Folders of the runs.")]) -> None:
    """Let the agents of runs play, and the best of them teach small networks."""
    table = Runs(RUNS)
    with one_thread():
        models = {str(identify(x).agent): x for x in map(load_agent, runs)}
        agents = [
            Planned(f"agents/{name}", partial(_play, name, x.seed or 0, partial(_same, x)))
            for name, x in models.items()
        ]
        make_missing(table, agents)
        teacher = models[read_gate(table).best.name]
        make_missing(table, _students(teacher))


def _same(model: BaseAlgorithm) -> BaseAlgorithm:
    return model


def _students(teacher: BaseAlgorithm) -> Iterator[Planned]:
    for units in STUDENTS:
        for seed in STUDENT_SEEDS:
            name, network = f"{units}-{units}", {"hidden_sizes": [units, units]}
            taught = partial(distil, teacher, "ppo-mlp", STUDENT_STEPS, network=network, seed=seed)
            yield Planned(f"students/{name}/{seed}", partial(_play, name, seed, taught))


@app.command()
def lean() -> None:
    """Let the row of the spiking CNN teach students that shed what they do not need."""
    check_tools(TARGET)
    with one_thread():
        make_missing(Runs(RUNS), _lean_runs(load_pretrained(TEACHER, ENV_ID, 0)))


def _lean_runs(teacher: BaseAlgorithm) -> Iterator[Planned]:
    play = partial(_play, TEACHER, 0, partial(_same, teacher), LEAN_EPISODES, TARGET)
    yield Planned(f"lean/{TEACHER}/0", play)
    for name, kind in KINDS.items():
        for seed in KIND_SEEDS:
            taught = partial(
                make_lean,
                teacher,
                kind.steps,
                student=kind.agent,
                network=kind.network,
                seed=seed,
                updates=kind.updates,
            )
            target = TARGET if seed == KIND_SEEDS[0] else None
            play = partial(_play, name, seed, taught, LEAN_EPISODES, target)
            yield Planned(f"lean/{name}/{seed}", play)


def _play(
    name: str,
    seed: int,
    make: Callable[[], BaseAlgorithm],
    episodes: int = EPISODES,
    target: Target | None = None,
) -> Played:
    """Let a model play, and count its instructions on a target."""
    model = make()
    found = evaluate(model, ENV_ID, seeds=range(FIRST_EPISODE, FIRST_EPISODE + episodes))
    operations = PRICES[DEFAULT].of(found)
    assert operations is not None  # of networks, which are counted
    counted = None if target is None else count_instructions(model, ENV_ID, target).per_decision
    return Played(name, seed, model.num_timesteps, found.mean, operations, counted)


@app.command()
def report(
    docs: Annotated[Path, typer.Option(help="Folder of the page.")] = DOCS,
) -> None:
    """Write the page from the results and rows that there are."""
    runs = Runs(RUNS)
    write_text_atomic(docs / "minatar.md", page(read_gate(runs), read_lean(runs)))
    typer.echo(f"wrote {docs / 'minatar.md'}")


if __name__ == "__main__":
    app()
