"""Run the study's trials: ``python -m studies.normaliser run``, then ``report``.

The trials are those that ``studies/registered.toml`` names. A trial whose file exists is passed
over, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from snn_gym.config import Config
from snn_gym.registry import load_environment_spec
from snn_gym.seeds import parse_seeds
from snn_gym.sweeps.search import Search, Values
from snn_gym.sweeps.tuning import score
from snn_gym.zoo import load_agent_spec
from studies.files import write_run

REGISTERED = Path(__file__).parents[1] / "registered.toml"
RESULTS = Path(__file__).parent / "results"

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
    """Train and play one trial.

    Args:
        trial: The trial.
    """
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


if __name__ == "__main__":
    app()
