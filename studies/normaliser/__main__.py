"""Run the study's trials: ``python -m studies.normaliser run``, then ``report``.

The trials are those that ``studies/registered.toml`` names. A trial whose file exists is passed
over, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from snn_gym._base.config import Config
from snn_gym._base.names import parse_seeds
from snn_gym._base.storage import write_text_atomic
from snn_gym.envs.registry import load_environment_spec
from snn_gym.sweeps.tuning import Search, Values, score
from snn_gym.zoo import load_agent_spec
from studies.files import read_run, write_run
from studies.tables import table

REGISTERED = Path(__file__).parents[1] / "registered.toml"
RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[2] / "docs"
LEAST_GAIN = 0.01
"""Share of the range from random play to `solved` that losing the normaliser has to gain."""
_HEADINGS = (
    "Environment", "Agent", "Mean with", "Seeds with", "Mean without", "Seeds without", "Chosen",
)  # fmt: skip
_PAGE = """# Which agents learn better without the observation normaliser

An agent and its ANN twin used to have the same observation normaliser on every task. On CartPole-v1
the normaliser harms the twin, so the comparison measured the normaliser and not the spikes. Each
agent now has its own setting for each environment (`normalise_observations` under
`[environments."ID"]`). This study chooses that setting. The questions, seeds and rule were
registered before the trials, in [registered.toml](../studies/registered.toml).

- Both agents of a pair have the same trials: each task with and without the normaliser, on the
  same seeds. These seeds start at 1000, and no result uses them.
- A trial trains for the registered steps. Its final policy then plays 20 episodes.
- An agent loses the normaliser if its mean return without it is higher by more than 1 % of the
  range from random play to `solved`. Otherwise it keeps the normaliser.

A dash marks a trial that has not run yet.

{table}
```bash
python -m studies.normaliser run
python -m studies.normaliser report
```
"""

Setting = Literal["with", "without"]
SETTINGS: tuple[Setting, ...] = ("with", "without")


@dataclass(frozen=True)
class Trial(Config):
    """One training: an agent on a task, with or without the normaliser, from one seed."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Gymnasium id."""
    setting: Setting
    """Whether observations are normalised."""
    seed: int
    """Tuning seed."""
    steps: int | None
    """Environment steps of the training; None for the environment's budget."""

    @property
    def path(self) -> Path:
        """Place of the trial's file below the folder of the results."""
        task = self.environment.replace("/", "__")
        return Path(self.agent) / task / self.setting / f"{self.seed}.json"


@dataclass(frozen=True)
class Outcome(Config):
    """Return of a trial's final policy."""

    mean_return: float
    """Mean return of the episodes, in the task's reward units."""
    episodes: int
    """Number of episodes."""


def trials() -> Iterator[Trial]:
    """Yield the registered trials, seeds outermost, so that settings stay level when stopped."""
    for entry in registered():
        for seed in parse_seeds(entry["seeds"]) or ():
            for agent in entry["agents"]:
                for environment in entry["environments"]:
                    for setting in SETTINGS:
                        yield Trial(agent, environment, setting, seed, entry.get("steps"))


def registered() -> list[dict[str, Any]]:
    """Return the study's entries of ``studies/registered.toml``."""
    entries = tomllib.loads(REGISTERED.read_text(encoding="utf-8"))["registered"]
    return [entry for entry in entries if entry["name"] == "normaliser"]


app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def study() -> None:
    """Run the study."""


@app.command()
def run(
    task: Annotated[str | None, typer.Option(help="Environment; all of them if none.")] = None,
    agent: Annotated[str | None, typer.Option(help="Agent; all of them if none.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Train the trials that have no file yet."""
    for trial in trials():
        path = out / trial.path
        if path.exists() or task not in (None, trial.environment):
            continue
        if agent not in (None, trial.agent):
            continue
        outcome = train(trial)
        write_run(path, outcome)
        typer.echo(f"{trial.path}: {outcome.mean_return:.1f}")


def train(trial: Trial) -> Outcome:
    """Train and play one trial."""
    budget = load_agent_spec(trial.agent).budget(load_environment_spec(trial.environment))
    search = Search(
        agent=trial.agent,
        environment=trial.environment,
        seeds=str(trial.seed),
        trials=1,
        steps=trial.steps or budget,
        space={"normalise_observations": Values(choices=(True, False))},
    )
    values = {"normalise_observations": trial.setting == "with"}
    return Outcome(score(search, trial.agent, trial.seed, values), search.episodes)


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Folder that the page is written to.")] = DOCS,
) -> None:
    """Write docs/normaliser-study.md from the trials that there are."""
    path = docs / "normaliser-study.md"
    write_text_atomic(path, page(results))
    typer.echo(f"wrote {path}")


def page(results: Path) -> str:
    """Return the study's page."""
    pairs: dict[tuple[str, str], dict[Setting, dict[int, float]]] = {}
    for trial in trials():
        pair = pairs.setdefault((trial.environment, trial.agent), {x: {} for x in SETTINGS})
        path = results / trial.path
        outcome = read_run(Outcome, path).mean_return if path.exists() else math.nan
        pair[trial.setting][trial.seed] = outcome
    rows = [(*names, *_cells(names[0], pair)) for names, pair in sorted(pairs.items())]
    return _PAGE.format(table=table(_HEADINGS, rows))


def _cells(env_id: str, pair: Mapping[Setting, Mapping[int, float]]) -> tuple[str, ...]:
    means: dict[Setting, float] = {}
    cells: list[str] = []
    for setting in SETTINGS:
        returns = list(pair[setting].values())
        means[setting] = float(np.mean(returns))
        shown = ", ".join("–" if math.isnan(x) else f"{x:.1f}" for x in returns)
        mean = "–" if math.isnan(means[setting]) else f"{means[setting]:.1f}"
        cells += [mean, shown]
    chosen = choice(env_id, means["with"], means["without"])
    return (*cells, "not finished" if chosen is None else chosen)


def choice(env_id: str, with_it: float, without: float) -> Setting | None:
    """Return the setting that the registered rule chooses, None while trials are missing."""
    if math.isnan(with_it) or math.isnan(without):
        return None
    least = load_environment_spec(env_id).reference.loss(LEAST_GAIN)
    return "without" if without - with_it > least else "with"


if __name__ == "__main__":
    app()
