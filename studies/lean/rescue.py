"""Networks that start dead, and their rescue by dynamics or by controls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch

from snn_gym._base.numerics import one_thread
from snn_gym.spiking.spiking_layer import SpikingLayer
from snn_gym.zoo import make_agent
from studies.lean.outcome import Outcome
from studies.lean.runner import Trained, judge, learn
from studies.lean.tasks import FRESH_SEED, Task
from studies.runs import Planned

# Seeds before taught that a range from 0.05 and gains of e^1.5 bring 3 of 10 back on Acrobot.
SEEDS = range(FRESH_SEED, FRESH_SEED + 10)
_DYNAMICS = {
    "min_rate": 0.1,
    "rescue_strength": 2.0,
    "controller": {"step": 20.0, "limit": 2.0},
}
ARMS = MappingProxyType(
    {
        "off": None,
        "rescue": _DYNAMICS,
        "shuffled": {**_DYNAMICS, "shuffle_seed": 0},
        "good": None,
        "eps": None,
    }
)
"""Regulation by arm; ``good`` is the good start, which is no control."""


@dataclass(frozen=True)
class BadStart:
    """Damage to weights and biases, and the length of the training after it."""

    env_id: str
    """Task."""
    steps: int
    """Environment steps of the training."""
    arms: tuple[str, ...]
    """Arms that are trained."""
    weight_factor: float = 1.0
    """Factor of the synaptic weights."""
    silent_share: float = 0.0
    """Share of neurons that are silenced; the others are saturated. 0 leaves biases alone."""
    silent_bias: float = 0.0
    """Bias of a silenced neuron (units of the threshold's input)."""
    saturated_bias: float = 3.0
    """Bias of a saturated one."""
    layers: int = 2
    """Hidden layers of 64 neurons; more than two have PyTorch's default initialisation."""


STARTS = MappingProxyType(
    {
        "dead": BadStart(
            "CartPole-v1", 30_000, ("off", "rescue", "shuffled", "eps"), 0.5, 0.85, -1.0
        ),
        "dead-deep": BadStart("CartPole-v1", 50_000, ("off", "rescue", "eps"), layers=6),
        "dead-pendulum": BadStart(
            "Pendulum-v1", 100_000, ("rescue", "good", "eps"), 0.3, 0.92, -1.5
        ),
        "dead-acrobot": BadStart("Acrobot-v1", 150_000, ("rescue", "good", "eps"), 0.3, 0.92, -1.5),
    }
)
"""Bad starts by name."""


def rescue_runs() -> Iterator[Planned]:
    """Yield all arms of all bad starts."""
    for name, start in STARTS.items():
        for seed in SEEDS:
            for arm in start.arms:
                label = f"{start.env_id}/{name}-{arm}/{seed}"
                yield Planned(label, partial(train_start, name, arm, seed))


def train_start(name: str, arm: str, seed: int) -> Outcome:
    """Train an arm of a bad start."""
    start, regulation = STARTS[name], ARMS[arm]
    task = Task(start.env_id)
    network: dict[str, Any] = {"regulation": None if regulation is None else dict(regulation)}
    if start.layers != 2:
        network["hidden_sizes"] = [64] * start.layers
    with one_thread():
        adam = {"eps": 1e-20 if arm == "eps" else 1e-5}
        model = make_agent(task.agent, task.env_id, seed, network=network, optimizer_kwargs=adam)
        if arm != "good":
            policy: Any = model.policy
            spoil(list(policy.mlp_extractor.actor.layers), start, seed)
        seconds = learn(model, start.steps)
        outcome = judge(Trained(model, 0, seconds), task, f"{name}-{arm}", seed)
    return replace(outcome, settings=network)


@torch.no_grad()
def spoil(layers: Sequence[SpikingLayer], start: BadStart, seed: int) -> None:
    """Spoil the weights of a network in place."""
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        if start.layers != 2:
            layer.linear.reset_parameters()
        layer.linear.weight.mul_(start.weight_factor)
        if start.silent_share > 0:
            silent = torch.rand(layer.size, generator=generator) < start.silent_share
            low, high = torch.tensor(start.silent_bias), torch.tensor(start.saturated_bias)
            layer.linear.bias.copy_(torch.where(silent, low, high))
