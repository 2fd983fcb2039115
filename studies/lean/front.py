"""The front of return against operations: small networks, few time steps, and ANNs beside them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from torch import nn

from snn_gym._base.numerics import one_thread
from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.zoo import load_agent_spec
from snn_gym.zoo.build import build_model, make_environments, policy_arguments
from snn_gym.zoo.environments import seed_environments
from studies.lean.outcome import Outcome, outcome_path, write_outcome
from studies.lean.plan import FIRST_SEED, FRESH_SEED, LEAN, OFF, TASKS, Task
from studies.lean.runner import Report, Trained, judge, learn_arm, run_seed, scratch_folder
from studies.lean.twins import TWIN, run_twin, twin_of
from studies.lean.zeros import ZeroCounting

SEEDS = 3
"""Seeds of every configuration."""
WIDTHS = (64, 32, 16, 8)
"""Neurons of each of the two hidden layers of networks that spike."""
TIME_STEPS = (8, 4, 2)
"""Time steps of a decision."""
ANN_WIDTHS = (*WIDTHS, 4)
"""Units of each of the two hidden layers of an ANN."""
TANH, RELU, GRU = "tanh", "relu", "gru"
ANN = "ann"
"""Arm of a configuration that does not spike."""

EVENTS = "snn/EventTracking-v0"
FRONT_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.env_id: task
        for task in (
            *(TASKS[x] for x in ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Pendulum-v1")),
            # Earlier seeds led to the rule for bounds that are out of reach.
            Task(EVENTS, "recurrent-ppo-lsnn", first_seed=FRESH_SEED),
        )
    }
)
"""Tasks by id."""

_EVENT_STEPS = 4  # of the task's own observations, and of whoever sees them
_DENSE = "ppo-mlp"
_FIRST = ("64-64-T4", "16-16-T8", "16-16-T4")


@dataclass(frozen=True)
class Configuration:
    """A network of the sweep."""

    width: int
    """Neurons or units of each of two hidden layers."""
    time_steps: int | None = None
    """Time steps of a network that spikes; None for an ANN."""
    units: str = TANH
    """Units of an ANN."""

    @property
    def name(self) -> str:
        """Name in commands and files, such as ``16-16-T4`` or ``16-16-relu``."""
        kind = self.units if self.time_steps is None else f"T{self.time_steps}"
        return f"{self.width}-{self.width}-{kind}"

    @property
    def network(self) -> dict[str, Any]:
        """Settings of the network."""
        sizes: dict[str, Any] = {"hidden_sizes": [self.width, self.width]}
        return sizes if self.time_steps is None else {**sizes, "time_steps": self.time_steps}


def configurations(env_id: str) -> tuple[Configuration, ...]:
    """Return a task's configurations, those that tell most for their time first."""
    events = env_id == EVENTS
    steps = (_EVENT_STEPS,) if events else TIME_STEPS
    units = (TANH, RELU, GRU) if events else (TANH, RELU)
    spiking = [Configuration(width, step) for width in WIDTHS for step in steps]
    anns = [Configuration(width, None, kind) for width in ANN_WIDTHS for kind in units]
    first = [x for name in _FIRST for x in spiking if x.name == name]
    return (*first, *anns, *(x for x in spiking if x not in first))


def planned(
    tasks: Sequence[Task], names: Sequence[str] | None = None
) -> list[tuple[Task, Configuration]]:
    """Return the planned trainings in order: the first configuration of every task comes first."""
    ranks = zip_longest(*([(task, x) for x in configurations(task.env_id)] for task in tasks))
    everything = [item for rank in ranks for item in rank if item is not None]
    known = {configuration.name: None for _, configuration in everything}
    for name in names or ():
        if name not in known:
            raise ValueError(f"configuration {name!r} is unknown; known: {', '.join(known)}")
    return [item for item in everything if names is None or item[1].name in names]


def front_seeds(task: Task, configuration: Configuration) -> range:
    """Return the reported seeds of a configuration: the first ones of its task.

    ANNs of the events keep the earlier seeds, whose lessons are about shedding only.
    """
    if task.env_id == EVENTS and configuration.time_steps is None:
        return range(FIRST_SEED, FIRST_SEED + SEEDS)
    return task.seed_range()[:SEEDS]


def labels(task: Task, configuration: Configuration) -> dict[str, str]:
    """Return under which names a configuration's outcomes are kept, by arm.

    The task's own agent and its twin are arms of the study itself, and not trained twice.
    """
    name = f"front-{configuration.name}"
    if configuration.time_steps is None:
        return {ANN: TWIN if _is_twin(task, configuration) else name}
    varied = _varied(task, configuration)
    return {arm: varied.label(arm) for arm in (OFF, LEAN)}


def run_configuration(
    task: Task,
    configuration: Configuration,
    seed: int,
    results: Path,
    scratch: Path,
    report: Report,
) -> None:
    """Train the missing arms of a configuration with one seed."""
    if configuration.time_steps is not None:
        varied = _varied(task, configuration)
        run_seed(varied, seed, (OFF, LEAN), results, scratch, report)
        if varied.variant:
            shutil.rmtree(scratch_folder(scratch, varied, seed))
    elif _is_twin(task, configuration):
        run_twin(task, seed, results, scratch, report)
    else:
        (label,) = labels(task, configuration).values()
        if not outcome_path(results, task.env_id, label, seed).exists():
            with one_thread():
                outcome = _train_ann(task, configuration, label, seed, scratch)
            write_outcome(results, outcome)
            report(outcome)


def make_ann(task: Task, configuration: Configuration, seed: int) -> BaseAlgorithm:
    """Make the ANN of a configuration, ready to learn."""
    spec = load_agent_spec(_ann_agent(task, configuration))
    # The zoo has no agent without memory for events: it gets the settings of the one with memory.
    known = task.env_id in spec.environments
    memory = {} if known else load_agent_spec(task.agent).table(task.env_id)
    settings = spec.settings(task.env_id, {k: v for k, v in memory.items() if k != "network"})
    arguments = policy_arguments(spec, task.env_id, configuration.network)
    if configuration.units == RELU:
        arguments["activation_fn"] = nn.ReLU
    env = make_environments(task.env_id, settings.n_envs, seed)
    model = build_model(spec.algorithm, arguments, settings, env, seed=seed, device="cpu")
    seed_environments(env, seed, "disjoint")
    return model


def _train_ann(
    task: Task, configuration: Configuration, label: str, seed: int, scratch: Path
) -> Outcome:
    own = replace(task, agent=_ann_agent(task, configuration), network=configuration.network)
    model = make_ann(task, configuration, seed)
    seconds = learn_arm(model, own, seed, scratch_folder(scratch, own, seed) / label)
    trained = Trained(model, 0, seconds)
    if configuration.units != RELU:
        return judge(trained, own, label, seed, {})
    policy: Any = ZeroCounting(model.policy)
    outcome = judge(trained, own, label, seed, {}, evaluate(policy, own.env_id))
    return replace(outcome, zero_share=policy.zero_share)


def _varied(task: Task, configuration: Configuration) -> Task:
    """Return the task with a configuration's network, or the task itself if that is its own."""
    network = configuration.network
    if _has(task.agent, task.env_id, network):
        return task
    return replace(task, network=network, variant=f"front-{configuration.name}")


def _ann_agent(task: Task, configuration: Configuration) -> str:
    return twin_of(task) if configuration.units == GRU else _DENSE


def _is_twin(task: Task, configuration: Configuration) -> bool:
    agent = _ann_agent(task, configuration)
    return (
        configuration.units != RELU
        and agent == twin_of(task)
        and _has(agent, task.env_id, configuration.network)
    )


def _has(agent: str, env_id: str, network: Mapping[str, Any]) -> bool:
    """Return whether an agent's network has these settings anyway."""
    own = load_agent_spec(agent).network_settings(env_id)
    return all(own.get(key) == value for key, value in network.items())
