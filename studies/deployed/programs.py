"""Agents as C: exported, compiled, played and timed."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym import load_pretrained, make_lean
from snn_gym._base.config import Config
from snn_gym.leaderboard import evaluate
from snn_gym.zoo.recipe import processor
from snn_gym_deploy import to_c, visit
from studies.deployed.program import Player, seconds_per_decision
from studies.runs import Planned
from studies.tables import spread, table

ENV_ID = "CartPole-v1"
SEEDS = range(3, 8)
"""Seeds that the spiking agent and its twin both have."""
LEAN = "ppo-lif, made lean"
FORMS: Mapping[str, Mapping[str, bool]] = {
    "float": {},
    "fixed point": {"fixed_point": True},
    "float, without silent neurons": {"drop_silent": True},
    "fixed point, without silent neurons": {"fixed_point": True, "drop_silent": True},
}
_TIMED = 1000

_TEXT = """# Agents as C

Agents of the results table, seeds {first} to {last} on {env}, are written as C by
[snn-gym export](guide/export.md) and compiled by `cc -std=c99 -O3 -march=native`. So are the
spiking ones made lean (`make_lean` with `pruning=0.0`). Each program plays the table's {episodes}
episodes through a pipe. It is timed on {timed:,} states that the agent visits: CPU time of a
decision, from observation to action, on one core, the least of 15 rounds.

Scales of fixed point and silent neurons come from 20 other episodes. Cells are medians over seeds,
with the smallest and the largest. Processor: {processor}. `python -m studies.deployed` writes this
page from `studies/deployed/runs.jsonl`.

"""
_END = """
The ANN is the twin, `ppo-mlp`, with the same hidden sizes, written as C in the same way, in float.
On an Intel machine it took 0.98 µs and a lean agent 0.58 µs. Half of the twin's time was `tanhf` of
the C library. With tanh as a rational function, compiled in another way, it took 0.5 µs, no more
than a lean agent ([frozen agents](speed-notes.md)).

Constants are weights, biases, scales and observation statistics. All of this is one small task on
an ordinary processor, not on a chip.
"""


@dataclass(frozen=True)
class Deployed(Config):
    """One agent in one form."""

    agent: str
    """Agent."""
    form: str
    """One of ``FORMS``."""
    seed: int
    """Seed of its row."""
    sizes: tuple[int, ...]
    """Neurons or units of each layer."""
    constant_bytes: int
    """Memory of the constants."""
    mean: float
    """Mean return as C."""
    simulated: float
    """Mean return of the agent itself, in the same episodes."""
    seconds: float
    """CPU time of a decision (s)."""
    processor: dict[str, str]
    """As recipes have it."""


def program_runs() -> Iterator[Planned]:
    """Yield every agent in every form."""
    for seed, agent in itertools.product(SEEDS, ("ppo-lif", LEAN, "ppo-mlp")):
        for form in FORMS if agent != "ppo-mlp" else ("float",):
            name = f"c/{_row(agent)}/{ENV_ID}/{agent}, {form}/{seed}"
            yield Planned(name, partial(measure, agent, form, seed))


def measure(agent: str, form: str, seed: int) -> Deployed:
    """Export, compile, play and time an agent in a form."""
    model = load_pretrained(_row(agent), ENV_ID, seed)
    model = make_lean(model, pruning=0.0) if agent == LEAN else model
    simulated = evaluate(model, ENV_ID).mean
    with tempfile.TemporaryDirectory() as folder:
        files = to_c(model, folder, visits=visit(model, ENV_ID), **FORMS[form])  # type: ignore[arg-type]
        with Player(files) as player:
            mean = evaluate(player, ENV_ID).mean
        spent = seconds_per_decision(files, visited(model))
    sizes = files.sizes, files.constant_bytes
    return Deployed(agent, form, seed, *sizes, mean, simulated, spent, processor())


def _row(agent: str) -> str:
    """Return the agent of the results table that an agent was made from."""
    return "ppo-lif" if agent == LEAN else agent


def visited(model: Any) -> NDArray[np.float32]:
    """Return states (1000, D) of the agent's episodes."""
    env, seen = gym.make(ENV_ID), list[NDArray[np.float32]]()
    observation, _ = env.reset(seed=0)
    while len(seen) < _TIMED:
        seen.append(observation)
        action = model.predict(observation, deterministic=True)[0]
        observation, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
    return np.stack(seen)


def program_page(runs: Sequence[Deployed]) -> str:
    """Return the page."""
    text = _TEXT.format(
        first=SEEDS[0], last=SEEDS[-1], env=ENV_ID, episodes=100, timed=_TIMED,
        processor=", ".join(f"{name} {value}" for name, value in runs[0].processor.items()),
    )  # fmt: skip
    head = (
        "agent", "form", "seeds", "neurons", "bytes of constants", "return as C",
        "return in the simulator", "time of a decision (µs)",
    )  # fmt: skip
    rows = []
    for agent in dict.fromkeys(x.agent for x in runs):
        for form in FORMS:
            own = [x for x in runs if (x.agent, x.form) == (agent, form)]
            if own:
                rows.append(_line(agent, form, own))
    return text + table(head, rows) + _END


def _line(agent: str, form: str, own: list[Deployed]) -> tuple[str, ...]:
    return (
        agent, form, str(len(own)), spread([sum(x.sizes) for x in own]),
        spread([x.constant_bytes for x in own]), spread([x.mean for x in own], 1),
        spread([x.simulated for x in own], 1), spread([1e6 * x.seconds for x in own], 2),
    )  # fmt: skip
