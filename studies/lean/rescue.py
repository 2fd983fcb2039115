"""Networks that start dead, and their rescue by dynamics or by controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from snn_gym._base.numerics import one_thread
from snn_gym.spiking.spiking_layer import SpikingLayer
from snn_gym.zoo import make_agent
from studies.lean.deleted import Deletion
from studies.lean.outcome import Outcome, outcome_path, write_outcome
from studies.lean.plan import FRESH_SEED, Task
from studies.lean.runner import Report, Trained, judge, learn

SEEDS = 10
_DYNAMICS = {
    "min_rate": 0.1,
    "rescue_strength": 2.0,
    "controller": {"step": 20.0, "limit": 2.0},
}


@dataclass(frozen=True)
class BadStart:
    """How weights and biases are spoilt, and how long may be learned."""

    env_id: str
    """Task."""
    steps: int
    """Environment steps of the training."""
    weight_factor: float = 1.0
    """Factor of the synaptic weights."""
    silent_share: float = 0.0
    """Share of neurons that are silenced; the others are saturated. 0 leaves biases alone."""
    silent_bias: float = 0.0
    """Bias of a silenced neuron (units of the threshold's input)."""
    saturated_bias: float = 3.0
    """Bias of a saturated one."""
    layers: int = 2
    """Hidden layers of 64 neurons."""
    default_initialisation: bool = False
    """Whether weights and biases are PyTorch's default for a linear layer."""
    deleted_share: float = 0.0
    """Share of the neurons of each layer that is deleted after half of the training."""


STARTS: Mapping[str, BadStart] = MappingProxyType(
    {
        "dead": BadStart("CartPole-v1", 30_000, 0.5, 0.85, -1.0),
        "dead-deep": BadStart("CartPole-v1", 50_000, layers=6, default_initialisation=True),
        "dead-pendulum": BadStart("Pendulum-v1", 100_000, 0.3, 0.92, -1.5),
        "dead-acrobot": BadStart("Acrobot-v1", 150_000, 0.3, 0.92, -1.5),
        "half-deleted": BadStart("CartPole-v1", 50_000, deleted_share=0.5),
    }
)
"""Bad starts by name, and one training whose neurons are deleted in the middle."""

ARMS: Mapping[str, Mapping[str, Any] | None] = MappingProxyType(
    {
        "off": None,
        "rescue": _DYNAMICS,
        "shuffled": {**_DYNAMICS, "shuffle_seed": 0},
        "kick": None,
        "good": None,
    }
)
"""Regulation by arm. ``kick`` adds one number to the biases of every layer, such that the layer's
mean equals a good start's; ``good`` is the good start, which is no control."""


def run_start(name: str, seed: int, arms: Sequence[str], results: Path, report: Report) -> None:
    """Train the missing arms of a bad start with one seed."""
    if name not in STARTS:
        raise ValueError(f"start {name!r} is unknown; starts: {', '.join(STARTS)}")
    for arm in arms:
        if arm not in ARMS:
            raise ValueError(f"arm {arm!r} is unknown; arms: {', '.join(ARMS)}")
        label = f"{name}-{arm}"
        start = STARTS[name]
        if outcome_path(results, start.env_id, label, seed).exists():
            continue
        with one_thread():
            outcome = _train(start, arm, label, seed)
        write_outcome(results, outcome)
        report(outcome)


def reported_seeds() -> range:
    """Return the seeds that are reported."""
    # Those before taught that a range from 0.05 and gains of e^1.5 bring 3 of 10 back on Acrobot.
    return range(FRESH_SEED, FRESH_SEED + SEEDS)


def _train(start: BadStart, arm: str, label: str, seed: int) -> Outcome:
    task = Task(start.env_id)
    regulation = ARMS[arm]
    network: dict[str, Any] = {"regulation": None if regulation is None else dict(regulation)}
    if start.layers != 2:
        network["hidden_sizes"] = [64] * start.layers
    model = make_agent(task.agent, task.env_id, seed, network=network)
    if arm != "good":
        spoil(_layers(model), start, seed, kick=arm == "kick")
    deletion = None
    if start.deleted_share > 0:
        deletion = Deletion(_layers(model), start.deleted_share, start.steps // 2, seed)
    seconds = learn(model, start.steps, deletion)
    return judge(Trained(model, 0, seconds), task, label, seed, network)


def _layers(model: BaseAlgorithm) -> list[SpikingLayer]:
    policy: Any = model.policy
    return list(policy.mlp_extractor.actor.layers)


@torch.no_grad()
def spoil(layers: Sequence[SpikingLayer], start: BadStart, seed: int, *, kick: bool) -> None:
    """Spoil the weights of a network in place."""
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        mean = layer.linear.bias.mean().clone()
        if start.default_initialisation:
            layer.linear.reset_parameters()
        layer.linear.weight.mul_(start.weight_factor)
        if start.silent_share > 0:
            silent = torch.rand(layer.size, generator=generator) < start.silent_share
            low, high = torch.tensor(start.silent_bias), torch.tensor(start.saturated_bias)
            layer.linear.bias.copy_(torch.where(silent, low, high))
        if kick:
            layer.linear.bias.add_(mean - layer.linear.bias.mean())
