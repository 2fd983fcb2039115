"""MinAtar: ``python -m studies.minatar gate RUN ...`` before rows, ``lean``, then ``report``.

The runs of the gate are those of ``snn-gym train AGENT snn/MinAtar-Breakout-v0 --seed 1000 --steps
10000000``. What is measured and what passes is in ``studies/registered.toml``. A part whose file
exists is passed over, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym import distil, evaluate, load_agent, load_pretrained, make_lean
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_text_atomic
from snn_gym.export.instructions import Target, check_tools, count_instructions
from snn_gym.program.prices import DEFAULT, PRICES
from snn_gym.zoo.identity import identify
from studies.files import write_run
from studies.minatar.report import (
    ENV_ID,
    KIND_SEEDS,
    KINDS,
    RESULTS,
    STUDENT_SEEDS,
    STUDENTS,
    TEACHER,
    Played,
    lean_path,
    page,
    read_gate,
    read_lean,
)

PAGE = Path(__file__).parents[2] / "docs" / "minatar.md"
STUDENT_STEPS = 2_000_000
EPISODES, LEAN_EPISODES, FIRST_EPISODE = 100, 1000, 1_700_000_000
TARGET: Target = "cortex-m4"
app = typer.Typer(add_completion=False, no_args_is_help=True)


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
        teacher = models[read_gate(folder).best.name]
        for units in STUDENTS:
            for seed in STUDENT_SEEDS:
                network = {"hidden_sizes": [units, units]}
                taught = partial(
                    distil, teacher, "ppo-mlp", STUDENT_STEPS, network=network, seed=seed
                )
                path = folder / "students" / f"{units}-{seed}.json"
                _play(path, f"{units}-{units}", seed, taught)


@app.command()
def lean(
    folder: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Let the row of the spiking CNN teach students that shed what they do not need."""
    check_tools(TARGET)
    with one_thread():
        teacher = load_pretrained(TEACHER, ENV_ID, 0)
        _play(
            lean_path(folder, TEACHER, 0),
            TEACHER,
            0,
            partial(_same, teacher),
            LEAN_EPISODES,
            TARGET,
        )
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
                _play(lean_path(folder, name, seed), name, seed, taught, LEAN_EPISODES, target)


def _same(model: BaseAlgorithm) -> BaseAlgorithm:
    return model


def _play(
    path: Path,
    name: str,
    seed: int,
    make: Callable[[], BaseAlgorithm],
    episodes: int = EPISODES,
    target: Target | None = None,
) -> None:
    """Let a model play and write its result, with instructions on a target, unless there is one."""
    if path.exists():
        return
    model = make()
    found = evaluate(model, ENV_ID, seeds=range(FIRST_EPISODE, FIRST_EPISODE + episodes))
    operations = PRICES[DEFAULT].of(found)
    assert operations is not None  # of networks, which are counted
    counted = None if target is None else count_instructions(model, ENV_ID, target).per_decision
    write_run(path, Played(name, seed, model.num_timesteps, found.mean, operations, counted))
    typer.echo(f"{name} seed {seed}: {found.mean:.2f}")


@app.command()
def report(
    folder: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    target: Annotated[Path, typer.Option("--page", help="Page to write.")] = PAGE,
) -> None:
    """Write the page from the results and rows that there are."""
    write_text_atomic(target, page(read_gate(folder), read_lean(folder)))
    typer.echo(f"wrote {target}")


if __name__ == "__main__":
    app()
