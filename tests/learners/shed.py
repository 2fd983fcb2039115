"""Small models that shed spikes on the identity task, for every algorithm."""

from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from snn_gym.learners import lean
from snn_gym.learners.lean_algorithm import LeanAlgorithm
from snn_gym.spiking.bookkeeping import full_state
from tests.policies.identity import EVERY, SMALL, Identity

# TRPO has PPO's policy and its buffer.
NAMES = [name for name in EVERY if name != "TRPO"]
QUICK = {
    "latest_start": 0.6, "largest_rise": None, "patience": 0.5, "updates": 200, "batch_size": 64,
    "learning_rate": 0.01, "final_learning_rate": 0.001, "control_rate": 0.1, "widening": 1.0,
}  # fmt: skip
"""Settings of shedding with which it takes seconds."""
SETTLED = {name: {"updates": 400, "control_rate": 0.05} for name in ("DQN",)}
"""Settings for gaps of values, which vary more than policies."""
FAST = {
    "StatefulPPO": {"learning_rate": 3e-3, "n_epochs": 4},
}  # fmt: skip
"""Arguments to learn the identity task fast."""


def quick(name):
    """Return settings of shedding for a test of seconds."""
    return {**QUICK, **SETTLED.get(name, {})}


def make_shedding(name, action=None, seed=0, env=None, policy_kwargs=None, **settings):
    """Return an untrained algorithm."""
    case = EVERY[name]
    network = replace(SMALL, regulation={"lean": {**quick(name), **settings}})
    return lean(case.algorithm)(
        case.policy, env or Identity(action=action or case.actions[0]), seed=seed, device="cpu",
        policy_kwargs={"network": network, **case.policy_kwargs, **(policy_kwargs or {})},
        **{"gamma": 0.0, **case.arguments, **FAST.get(name, {})},
    )  # fmt: skip


def steps_of(name):
    """Return the environment steps for learning and shedding."""
    return 2 * EVERY[name].steps or 1600


@dataclass
class Shed:
    """Model after shedding, with records of its training."""

    model: LeanAlgorithm
    calls: int = 0
    farthest: float = 0.0
    """Largest running mean of the divergence at a step of the training."""
    frozen: dict[str, Tensor] = field(default_factory=dict)
    """State of the policy at the first step after learning was over."""

    @property
    def shedding(self):
        return self.model.shedding


class _Watch(BaseCallback):
    def __init__(self, seen):
        super().__init__()
        self._seen = seen

    def _on_step(self):
        self._seen.calls += 1
        model = self._seen.model
        if model.shedding is not None:
            divergence = model.shedding.strength.smoothed
            self._seen.farthest = max(self._seen.farthest, divergence)
        if model.shedding is not None and not self._seen.frozen:
            state = full_state(model.policy)
            self._seen.frozen = {name: x.clone() for name, x in state.items()}
        return True


@cache
def shed(name, action=None, **settings):
    """Train a model with shedding; the result is cached and must not be changed."""
    seen = Shed(make_shedding(name, action, **settings))
    seen.model.learn(steps_of(name), callback=_Watch(seen))
    return seen


def synops(policy, observations):
    """Return the synaptic operations of hidden spikes in a decision, counted in a recording."""
    layers = policy.record(observations).layers
    return sum(
        layer.fan_out * float(layer.spikes.sum(0).mean(0).sum())
        for layer in layers
        if layer.name != "input"
    )


def distance(first, second):
    """Return the largest difference of tensors by name."""
    assert first.keys() == second.keys()
    return max(float((x.double() - second[name].double()).abs().max()) for name, x in first.items())


def copied(state):
    """Return copies of tensors by name."""
    return {name: torch.clone(x) for name, x in state.items()}


def earned(shedding, returns):
    """Set the returns of the only environment of a shedding."""
    shedding.episodes.load(
        {
            "returns": np.array(returns, np.float64),
            "counts": np.array([len(returns)]),
            "skipped": np.array([False]),
            "between": np.array([True]),
        }
    )


# One update, so that nothing has moved far.
ONCE = {"latest_start": 0.5, "updates": 1, "batch_size": 32}


def begun(name="PPO", **settings):
    """Return a model at the start of shedding."""
    model = make_shedding(name, **{**ONCE, **settings}).learn(192)
    return model, model.shedding


def put(shedding, value):
    """Set all weights to a value."""
    with torch.no_grad():
        for x in shedding._weights.values():
            x.fill_(value)
