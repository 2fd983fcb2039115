"""Regulation by local terms, ablated: each term alone, all of them, terms of the wrong neurons.

``local-actor-critic-dynamics`` learns CartPole-v1 from its own start and from three others, whose
hidden weights are too small or too large, or whose thresholds are so high that hardly any neuron
fires. The terms of its file are switched on one by one. A run uses all of its steps, so that spikes
can be shed once the task is solved. On three other tasks all terms together stand beside none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym.learners import LocalActorCritic
from snn_gym.learners.settings import LocalRegulation
from snn_gym.policies import LocalActorCriticPolicy
from snn_gym.spiking.assembly import configured_neuron
from snn_gym.spiking.regulation import SILENT_RATE
from snn_gym.zoo import load_agent_spec, make_agent
from studies.local.learning import ENV_ID, ReturnsKept, mean_return, solved_after
from studies.runs import Planned

AGENT = "local-actor-critic-dynamics"
SEEDS = tuple(range(700, 720))
"""Seeds of the table; nothing is tuned on seeds below 1000."""
STEPS = 100_000
"""Environment steps of a run."""
STRENGTHS: Mapping[str, str] = MappingProxyType(
    {
        "homeostasis": "homeostasis_step",
        "scaling": "scaling_step",
        "revival": "revival_step",
        "lean": "lean_strength",
    }
)
"""Fields of ``LocalRegulation`` that switch terms on, by the terms' names."""
SHUFFLE_SEED = 0
"""Of the controls' permutation of neurons."""
_RECORDED = 5_000


@dataclass(frozen=True)
class Arm:
    """Terms that are switched on."""

    says: str
    """Label in the table."""
    terms: tuple[str, ...] = ()
    """Keys of ``STRENGTHS``."""
    shuffled: bool = False
    """Whether each neuron receives another neuron's signal."""


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        "off": Arm("off"),
        "homeostasis": Arm("homeostasis", ("homeostasis",)),
        "scaling": Arm("synaptic scaling", ("scaling",)),
        "revival": Arm("revival of silent neurons", ("revival",)),
        "lean": Arm("lean cost", ("lean",)),
        "all": Arm("all four", tuple(STRENGTHS)),
        "revival-shuffled": Arm("revival, of the wrong neurons", ("revival",), True),
        "lean-shuffled": Arm("lean cost, of the wrong neurons", ("lean",), True),
    }
)
"""Arms by name."""


@dataclass(frozen=True)
class Start:
    """Start of a run."""

    says: str
    """Label in the table."""
    arms: tuple[str, ...]
    """Keys of ``ARMS``."""
    seeds: tuple[int, ...] = SEEDS
    """Seeds of its runs."""
    factor: float = 1.0
    """Of the hidden weights that the agent's file draws, biases included."""
    task: str = ENV_ID
    """Environment's id."""
    bias: float | None = None
    """Bias of all hidden neurons, in rheobases; None for the drawn biases."""

    def damage(self, policy: LocalActorCriticPolicy) -> None:
        """Give an agent this start."""
        network = policy.network
        rheobase = configured_neuron(network).rheobase(network.time_steps)
        for linear in policy.learned_parts()[0]:
            linear.weight.data *= self.factor
            linear.bias.data *= self.factor
            if self.bias is not None:
                linear.bias.data[:] = self.bias * rheobase


_OF_RATES = ("off", "homeostasis", "scaling", "revival", "all")
STARTS: Mapping[str, Start] = MappingProxyType(
    {
        "usual": Start("its own", tuple(ARMS)),
        "small": Start("weights times 0.25", _OF_RATES, SEEDS[:10], factor=0.25),
        "silent": Start("biases of -5 rheobases", (*_OF_RATES, "revival-shuffled"), bias=-5.0),
        "large": Start("weights times 4", _OF_RATES, SEEDS[:10], factor=4.0),
    }
)
"""Starts on CartPole-v1 by name; damaged ones are for terms that move rates."""
TASKS: Mapping[str, Start] = MappingProxyType(
    {
        task: Start(task, ("off", "all"), SEEDS[:10], task=task)
        for task in ("Acrobot-v1", "MountainCar-v0", "Pendulum-v1")
    }
)
"""The usual start on other tasks, by these."""
ALL_STARTS: Mapping[str, Start] = MappingProxyType({**STARTS, **TASKS})
"""Both."""


@dataclass(frozen=True)
class DynamicsRun(Config):
    """Result of one run."""

    start: str
    """Key of ``ALL_STARTS``."""
    arm: str
    """Key of ``ARMS``."""
    seed: int
    """Seed of weights, actions and environment."""
    solved_after: int | None
    """Episodes to the end of the first window that solves the task; None for none."""
    final: float
    """Mean return of the trained agent, deterministic, in fresh episodes."""
    synops: float
    """Synaptic operations of one of its decisions there."""
    rate_hz: float
    """Mean firing rate of its hidden neurons there."""
    silent: float
    """Share of its hidden neurons that fire at fewer than 1 % of the time steps there."""


def regulation_of(arm: str) -> LocalRegulation | None:
    """Return the regulation of the agent's file with the terms of an arm alone; None for none."""
    given = ARMS[arm]
    if not given.terms:
        return None
    settings: Any = load_agent_spec(AGENT).settings(ENV_ID)
    regulation: LocalRegulation = settings.regulation
    changed: dict[str, Any] = {
        field: 0.0 for term, field in STRENGTHS.items() if term not in given.terms
    }
    changed["shuffle_seed"] = SHUFFLE_SEED if given.shuffled else None
    return replace(regulation, **changed)


def train(start: str, arm: str, seed: int, steps: int = STEPS) -> DynamicsRun:
    """Train one agent and evaluate it."""
    given = ALL_STARTS[start]
    with one_thread():
        model = make_agent(AGENT, given.task, seed, regulation=regulation_of(arm))
        assert isinstance(model, LocalActorCritic)
        given.damage(model.policy)
        log = ReturnsKept()
        visited: list[NDArray[Any]] = []
        model.learn(steps, callback=log)
        final = mean_return(model, visited=visited, env_id=given.task)
        seen = np.concatenate(visited)
        recording = model.policy.record(seen[:: max(1, len(seen) // _RECORDED)])
    rates = np.concatenate([layer.spikes.mean((0, 1)).numpy() for layer in recording.layers])
    return DynamicsRun(
        start, arm, seed, solved_after(log.returns), final,
        synops=sum(recording.synops_per_decision().values()),
        rate_hz=float(rates.mean()) * 1000.0 / recording.dt_ms,
        silent=float(np.mean(rates < SILENT_RATE)),
    )  # fmt: skip


def dynamics_runs() -> Iterator[Planned]:
    """Yield the trainings from all starts."""
    for name, start in ALL_STARTS.items():
        for seed in start.seeds:
            for arm in start.arms:
                yield Planned(f"dynamics/{name}/{arm}/{seed}", partial(train, name, arm, seed))
