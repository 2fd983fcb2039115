"""Converted ANNs beside direct training: ``python -m studies.deployed.converted``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import typer

from snn_gym import load_pretrained
from snn_gym.config import Config
from snn_gym.export import convert
from snn_gym.scoring import evaluate
from snn_gym.scoring.pretrained import find_trained
from studies.deployed.page import Page
from studies.lean.tables import spread, table

PAIRS = (
    ("dqn-mlp", "dqsn", "CartPole-v1"),
    ("qrdqn-mlp", "qrdqn-lif", "CartPole-v1"),
    ("sac-mlp", "sac-lif", "Pendulum-v1"),
)
"""ANN, what is trained directly, and environment."""
TIME_STEPS = (8, 16, 32)
MOST_SEEDS = 3

_TEXT = """# Conversion beside direct training

Written by `python -m studies.deployed.converted` from `studies/deployed/converted.json`. ANNs of
the results table whose units are rectified are converted by `snn_gym.export.convert`, at 8, 16 and
32 time steps, and play the table's 100 episodes; beside them stand the ANNs' own rows and those of
the spiking agents that were trained directly, by the same algorithm, with the same hidden sizes and
budget. The first three seeds that there are, and cells have medians over them, with the smallest
and the largest. SynOps and MACs are per decision. Tasks are those of rows with rectified ANNs:
`ppo-mlp`, which has Acrobot-v1 and MountainCar-v0, is a tanh network.

"""
_END = """
On these tasks 8 time steps are enough: more cost more and earn no more than the spread over seeds.
There a converted agent earns about what its ANN does, for a third to three quarters of the SynOps
of the one that was trained directly. It also inherits what the ANN failed to learn: trained
directly, `dqsn` is at 488.9 or more on CartPole-v1, where its ANN and what is made of it have weak
seeds. With three seeds none of these differences is tested.
"""


@dataclass(frozen=True)
class Played(Config):
    """One agent, in one form."""

    environment: str
    """Gymnasium id."""
    agent: str
    """Agent of the zoo."""
    time_steps: int
    """Of a decision; 0 for the agent itself, not converted."""
    seed: int
    """Seed of its row."""
    mean: float
    """Mean return."""
    synops: float
    """Synaptic operations of a decision."""
    macs: float
    """Multiply-accumulates of a decision."""


@dataclass(frozen=True)
class Found(Config):
    """What the study found."""

    played: tuple[Played, ...]
    """All agents and forms."""


def measure(_: Found | None) -> Iterator[Found]:
    """Convert and play every ANN; take the others from their rows."""
    yield Found(tuple(_played()))


def _played() -> Iterator[Played]:
    for ann, direct, env_id in PAIRS:
        for agent in (ann, direct):
            for row in find_trained(agent, env_id).rows[:MOST_SEEDS]:
                synops, macs = (
                    row.costs.total(f"{x}_per_decision") or 0.0 for x in ("synops", "macs")
                )
                yield Played(env_id, agent, 0, row.seed, row.score.mean, synops, macs)
        for row in find_trained(ann, env_id).rows[:MOST_SEEDS]:
            model = load_pretrained(ann, env_id, row.seed)
            for steps in TIME_STEPS:
                found = evaluate(convert(model, env_id, steps), env_id)
                synops, macs = (found.total(f"{x}_per_decision") or 0.0 for x in ("synops", "macs"))
                yield Played(env_id, ann, steps, row.seed, found.mean, synops, macs)


def report(found: Found) -> str:
    """Return the page."""
    head = ("environment", "agent", "seeds", "return", "SynOps", "MACs")
    lines = []
    for ann, direct, env_id in PAIRS:
        for agent, steps in ((ann, 0), *((ann, x) for x in TIME_STEPS), (direct, 0)):
            own = [
                x
                for x in found.played
                if (x.environment, x.agent, x.time_steps) == (env_id, agent, steps)
            ]
            what = f"{agent}, converted, T = {steps}" if steps else agent
            lines.append(
                (
                    env_id, what, str(len(own)), spread([x.mean for x in own], 1),
                    spread([x.synops for x in own]), spread([x.macs for x in own]),
                )
            )  # fmt: skip
    return _TEXT + table(head, lines) + _END


PAGE = Page("converted", Found, measure, report)

if __name__ == "__main__":
    typer.run(PAGE.write)
