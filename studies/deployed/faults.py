"""Trained agents with faults: ``python -m studies.deployed.faults``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from snn_gym import load_pretrained
from snn_gym.config import Config
from snn_gym.export import fine_tune
from snn_gym.registry import load_environment_spec
from snn_gym.scoring import evaluate
from snn_gym.scoring.faults import Faults, with_faults
from snn_gym.threads import one_thread
from studies.files import read_run, write_page, write_run
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
    "weights of 3 bits": Faults(weights_bits=3),
    "weights of 2 bits": Faults(weights_bits=2),
    "weights off by 10 %": Faults(weight_noise=0.1),
    "one neuron in ten dead": Faults(dead_neurons=0.1),
    "one spike in ten lost": Faults(spike_loss=0.1),
}
TUNED: Mapping[str, int] = {
    "weights of 4 bits, fine-tuned": 4,
    "weights of 2 bits, fine-tuned": 2,
    "weights of 3 bits, fine-tuned": 3,
}
"""Bits of weights after ``snn_gym.export.fine_tune`` as it comes, of episodes of its own."""

_TEXT = """# Agents with faults

Written by `python -m studies.deployed.faults` from `studies/deployed/faults.json`. Agents of the
results table, seeds {first} to {last}, play {episodes} of the table's episodes with what hardware
may do to them (`snn_gym.scoring.faults`). *Fine-tuned* agents were taught afterwards, with weights
of as few bits, to do what they did with all of them (`snn_gym.export.fine_tune` as it comes: 500
updates, in states of 16 other episodes, without reward); after other faults nothing was trained.
Cells are medians over seeds, with the smallest and the largest. *Kept* is the median over seeds of
what is left of the way from random play (0) to the agent without faults (1). The first table has
that before and after fine-tuning over all agents and seeds that were fine-tuned, seeds from
{first} on.

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


def measure(done: Found) -> Iterator[Played]:
    """Play every agent with every fault of which there is nothing yet."""
    known = {(x.agent, x.environment, x.form, x.seed) for x in done.played}
    once = itertools.product(FORMS, SEEDS, AGENTS)
    # What takes long goes by seeds, so that all agents have as many wherever it is stopped.
    taught = ((form, seed, one) for seed, form, one in itertools.product(SEEDS, TUNED, AGENTS))
    for form, seed, (agent, env_id) in (*once, *taught):
        if (agent, env_id, form, seed) not in known:
            policy = _made(load_pretrained(agent, env_id, seed), env_id, form)
            yield Played(agent, env_id, form, seed, evaluate(policy, env_id, EPISODES).mean)


def _made(model: BaseAlgorithm, env_id: str, form: str) -> BasePolicy:
    if form in FORMS:
        return with_faults(model, FORMS[form])
    return fine_tune(model, env_id, TUNED[form])


def report(found: Found) -> str:
    """Return the page."""
    text = _TEXT.format(first=SEEDS[0], last=SEEDS[-1], episodes=EPISODES)
    lines = []
    for agent, env_id in AGENTS:
        means = {(x.form, x.seed): x.mean for x in found.played if _is(x, agent, env_id)}
        low = load_environment_spec(env_id).reference.random
        for form in sorted((*FORMS, *TUNED), key=_place):
            seeds = [seed for seed in SEEDS if (form, seed) in means]
            if not seeds:
                continue
            own = [means[form, seed] for seed in seeds]
            kept = [(x - low) / (means["none", s] - low) for x, s in zip(own, seeds, strict=True)]
            lines.append(
                (agent, env_id, form, str(len(seeds)), spread(own, 1), f"{np.median(kept):.2f}")
            )
    before_and_after = table(("weights", "agents and seeds", "before", "after"), [*_pairs(found)])
    head = ("agent", "environment", "fault", "seeds", "return", "kept")
    return text + before_and_after + "\n" + table(head, lines)


def _pairs(found: Found) -> Iterator[tuple[str, ...]]:
    """Yield what is kept before and after, of those that were fine-tuned."""
    means = {(x.agent, x.environment, x.seed, x.form): x.mean for x in found.played}
    for form in sorted(TUNED, key=_place):
        before, after = list[float](), list[float]()
        for agent, env_id, seed, what in means:
            if what == form:
                low = load_environment_spec(env_id).reference.random
                whole, rounded, tuned = (
                    means[agent, env_id, seed, x] - low
                    for x in ("none", form.removesuffix(", fine-tuned"), form)
                )
                before.append(rounded / whole)
                after.append(tuned / whole)
        if after:
            yield form.split(",")[0], str(len(after)), spread(before, 2), spread(after, 2)


def _place(form: str) -> tuple[int, bool]:
    """Return where a form stands: what is fine-tuned follows what is not."""
    return list(FORMS).index(form.removesuffix(", fine-tuned")), form in TUNED


def _is(played: Played, agent: str, env_id: str) -> bool:
    return (played.agent, played.environment) == (agent, env_id)


def main(
    report_only: Annotated[bool, typer.Option(help="Write the report alone.")] = False,
) -> None:
    """Measure what is missing, and write docs/faults.md."""
    if not report_only:
        with one_thread():
            found = read_run(Found, RESULTS) if RESULTS.exists() else Found(())
            for played in measure(found):  # each is kept, for this takes long
                found = Found((*found.played, played))
                write_run(RESULTS, found)
    typer.echo(f"wrote {write_page(DOCS / 'faults.md', RESULTS, Found, report, None)}")


if __name__ == "__main__":
    typer.run(main)
