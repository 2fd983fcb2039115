"""Run the study: ``python -m studies.deployed`` exports, compiles, plays, times and reports."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
import typer
from numpy.typing import NDArray

from snn_gym import load_pretrained, make_lean
from snn_gym._base.config import Config
from snn_gym.leaderboard import evaluate
from snn_gym.zoo.recipe import processor
from snn_gym_deploy import to_c, visit
from studies.deployed.page import Page
from studies.deployed.program import Player, seconds_per_decision
from studies.rows import RowName
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
page from `studies/deployed/deployed.json`.

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


@dataclass(frozen=True)
class Results(Config):
    """Measurements of the study."""

    processor: dict[str, str]
    """As recipes have it."""
    deployed: tuple[Deployed, ...]
    """All agents and forms."""


def measure(_: Results | None) -> Iterator[Results]:
    """Export, compile, play and time every agent in every form."""
    yield Results(processor(), tuple(_measured()))


def _measured() -> Iterator[Deployed]:
    for seed in SEEDS:
        trained, ann = (load_pretrained(x, ENV_ID, seed) for x in ("ppo-lif", "ppo-mlp"))
        lean = make_lean(trained, pruning=0.0)
        for agent, model in (("ppo-lif", trained), (LEAN, lean), ("ppo-mlp", ann)):
            simulated = evaluate(model, ENV_ID).mean
            visits, seen = visit(model, ENV_ID), visited(model)
            forms = FORMS if agent != "ppo-mlp" else {"float": FORMS["float"]}
            for form, options in forms.items():
                with tempfile.TemporaryDirectory() as folder:
                    files = to_c(model, folder, visits=visits, **options)  # type: ignore[arg-type]
                    with Player(files) as player:
                        mean = evaluate(player, ENV_ID).mean
                    spent = seconds_per_decision(files, seen)
                yield Deployed(
                    agent, form, seed, files.sizes, files.constant_bytes, mean, simulated, spent
                )


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


def report(results: Results) -> str:
    """Return the page."""
    text = _TEXT.format(
        first=SEEDS[0], last=SEEDS[-1], env=ENV_ID, episodes=100, timed=_TIMED,
        processor=", ".join(f"{name} {value}" for name, value in results.processor.items()),
    )  # fmt: skip
    head = (
        "agent", "form", "seeds", "neurons", "bytes of constants", "return as C",
        "return in the simulator", "time of a decision (µs)",
    )  # fmt: skip
    rows = []
    for agent in dict.fromkeys(x.agent for x in results.deployed):
        for form in FORMS:
            own = [x for x in results.deployed if (x.agent, x.form) == (agent, form)]
            if own:
                rows.append(_line(agent, form, own))
    return text + table(head, rows) + _END


def _line(agent: str, form: str, own: list[Deployed]) -> tuple[str, ...]:
    return (
        agent, form, str(len(own)), spread([sum(x.sizes) for x in own]),
        spread([x.constant_bytes for x in own]), spread([x.mean for x in own], 1),
        spread([x.simulated for x in own], 1), spread([1e6 * x.seconds for x in own], 2),
    )  # fmt: skip


def rows_of(results: Results) -> Iterator[RowName]:
    """Yield the rows that results were measured from."""
    for x in results.deployed:
        yield RowName("ppo-lif" if x.agent == LEAN else x.agent, ENV_ID, x.seed)


PAGE = Page("deployed", Results, measure, report, rows_of)

if __name__ == "__main__":
    typer.run(PAGE.write)
