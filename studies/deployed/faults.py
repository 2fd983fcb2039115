"""Trained agents with faults: ``python -m studies.deployed.faults``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from snn_gym import load_pretrained
from snn_gym.config import Config
from snn_gym.registry import load_environment_spec
from snn_gym.scoring import evaluate
from snn_gym.scoring.faults import Faults, with_faults
from studies.files import write_page
from studies.lean.tables import spread, table

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = Path(__file__).parent / "faults.json"
AGENTS = (
    ("ppo-lif", "CartPole-v1"),
    ("ppo-lif", "Acrobot-v1"),
    ("ppo-lif", "MountainCar-v0"),
    ("ppo-lif", "Pendulum-v1"),
    ("sac-lif", "Pendulum-v1"),
)
SEEDS = range(5)
EPISODES = 20
FORMS: Mapping[str, Faults] = {
    "none": Faults(),
    "weights of 8 bits": Faults(weights_bits=8),
    "weights of 4 bits": Faults(weights_bits=4),
    "weights off by 10 %": Faults(weight_noise=0.1),
    "one neuron in ten dead": Faults(dead_neurons=0.1),
}

_TEXT = """# Agents with faults

Written by `python -m studies.deployed.faults` from `studies/deployed/faults.json`. Agents of the
results table, seeds {first} to {last}, play {episodes} of the table's episodes with what hardware
may do to them (`snn_gym.scoring.faults`); nothing was trained after it. Cells are medians over
seeds, with the smallest and the largest. *Kept* is the median over seeds of what is left of the way
from random play (0) to the agent without faults (1).

"""


@dataclass(frozen=True)
class Played(Config):
    """One agent with one fault."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Gymnasium id."""
    form: str
    """One of ``FORMS``."""
    seed: int
    """Seed of its row; what is drawn has one seed for all."""
    mean: float
    """Mean return."""


@dataclass(frozen=True)
class Found(Config):
    """What the study found."""

    played: tuple[Played, ...]
    """All agents and faults."""


def measure() -> Iterator[Played]:
    """Play every agent with every fault."""
    for agent, env_id in AGENTS:
        for seed in SEEDS:
            model = load_pretrained(agent, env_id, seed)
            for form, faults in FORMS.items():
                policy = with_faults(model, faults)
                yield Played(agent, env_id, form, seed, evaluate(policy, env_id, EPISODES).mean)


def report(found: Found) -> str:
    """Return the page."""
    text = _TEXT.format(first=SEEDS[0], last=SEEDS[-1], episodes=EPISODES)
    lines = []
    for agent, env_id in AGENTS:
        means = {(x.form, x.seed): x.mean for x in found.played if _is(x, agent, env_id)}
        low = load_environment_spec(env_id).reference.random
        for form in FORMS:
            own = [means[form, seed] for seed in SEEDS]
            kept = [(x - low) / (means["none", s] - low) for x, s in zip(own, SEEDS, strict=True)]
            lines.append(
                (agent, env_id, form, spread(own, 1), f"{sorted(kept)[len(kept) // 2]:.2f}")
            )
    return text + table(("agent", "environment", "fault", "return", "kept"), lines)


def _is(played: Played, agent: str, env_id: str) -> bool:
    return (played.agent, played.environment) == (agent, env_id)


def main(
    report_only: Annotated[bool, typer.Option(help="Write the report alone.")] = False,
) -> None:
    """Measure everything, and write docs/faults.md."""
    anew = None if report_only else (lambda: Found(tuple(measure())))
    typer.echo(f"wrote {write_page(DOCS / 'faults.md', RESULTS, Found, report, anew)}")


if __name__ == "__main__":
    typer.run(main)
