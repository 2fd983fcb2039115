"""Quantisation-aware fine-tuning: agents with weights of few bits imitate their float versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from snn_gym.learners.shedding import twin_of
from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.behaviour import divergence, value_scale
from snn_gym.policies.raw_observations import bare_policy
from snn_gym.spiking.decoders import PopulationHead
from snn_gym.spiking.spiking_layer import SharedLinear
from snn_gym_deploy.visits import FIRST_SEED, observations_of
from studies.faults.damage import rounded

_ROUNDS = 4
_EPISODES = 4
_STEP_SIZE, _BATCH_SIZE = 1e-3, 256


def fine_tune(
    model: BaseAlgorithm | BasePolicy, env_id: str, weights_bits: int, *, updates: int = 500
) -> BasePolicy:
    """Return a policy with weights of few bits that imitates an agent.

    The agent is not changed. Adam, with a step size that falls to 0, lowers the divergence of the
    new policy's behaviour from the agent's. The states are those that the new policy visits, in
    four rounds of four episodes that differ from those of evaluations. Weights are those of
    `studies.faults.damage.rounded`; their gradients move float weights, which are rounded anew at
    every update: the straight-through estimator (Bengio et al. 2013,
    https://arxiv.org/abs/1308.3432; float weights: Courbariaux et al. 2015,
    https://arxiv.org/abs/1511.00363). Biases and other parameters are not rounded.

    Args:
        model: Algorithm with a stateless policy of snn_gym, or the policy.
        env_id: Gymnasium id of its environment.
        weights_bits: Bits of a weight, with its sign, at least 2.
        updates: Updates of all rounds together, at least 4.

    Raises:
        ValueError: The policy carries a state or is none of snn_gym.
    """
    teacher: Any = bare_policy(model, "fine-tuned")
    if not isinstance(teacher, SpikingPolicy) or teacher.carries_state:
        raise ValueError(
            f"fine_tune takes stateless policies of snn_gym, got {type(teacher).__name__}"
        )
    tuned = _Tuned(teacher, weights_bits, _STEP_SIZE)
    generator, visited = np.random.default_rng(0), list[NDArray[Any]]()
    for done in range(_ROUNDS):
        first = FIRST_SEED + done * _EPISODES
        visited.append(observations_of(tuned.policy, env_id, range(first, first + _EPISODES)))
        states = np.concatenate(visited)
        due = (done + 1) * updates // _ROUNDS - done * updates // _ROUNDS
        for k in range(due):
            left = 1.0 - (done + k / due) / _ROUNDS
            tuned.update(states[generator.integers(len(states), size=_BATCH_SIZE)], left)
    policy: BasePolicy = tuned.policy
    policy.set_training_mode(False)
    return policy


def weights_of(policy: SpikingPolicy) -> Iterator[Tensor]:
    """Yield the weight tensors (..., inputs) from observations to actions, without biases."""
    parts: list[nn.Module | None] = [policy.acting_network(), policy.readout()]
    for module in (x for part in parts if part is not None for x in part.modules()):
        if isinstance(module, SharedLinear):
            yield module.filters
        elif isinstance(module, nn.Linear | PopulationHead):
            assert isinstance(module.weight, Tensor)  # both kinds have weights
            yield module.weight


class _Tuned:
    """A policy with rounded weights, and their float versions."""

    def __init__(self, teacher: SpikingPolicy, bits: int, learning_rate: float) -> None:
        self.policy = twin_of(teacher)
        self._teacher = twin_of(teacher)
        self._bits, self._step_size = bits, learning_rate
        self._weights = list(weights_of(self.policy))
        self._floats = [x.detach().clone().requires_grad_() for x in self._weights]
        acting = self.policy.acting_state_dict()
        rounded_ids = {id(x) for x in self._weights}
        self._free = [
            x
            for name, x in self.policy.named_parameters()
            if name in acting and id(x) not in rounded_ids
        ]
        self._optimiser = torch.optim.Adam([*self._floats, *self._free], lr=learning_rate)
        self._value_scale: float | None = None
        self._round()

    def _round(self) -> None:
        # The policy computes with rounded weights, the optimiser moves the float ones.
        with torch.no_grad():
            for weights, exact in zip(self._weights, self._floats, strict=True):
                weights.copy_(torch.from_numpy(rounded(exact.detach().numpy(), self._bits)))

    def update(self, states: NDArray[Any], left: float) -> None:
        """Take an Adam step, ``left`` times the step size, on the divergence in states (B, ...)."""
        observations = torch.from_numpy(states).float()
        with torch.no_grad():
            target: Tensor = self._teacher.watched(observations)[0]
        scale = self._scale(target)
        behaviour = self.policy.watched(observations)[0]
        loss = divergence(self.policy.action_space, target / scale, behaviour / scale).mean()
        parameters: Sequence[Tensor] = [*self._weights, *self._free]
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip([*self._floats, *self._free], gradients, strict=True):
            parameter.grad = gradient
        self._optimiser.param_groups[0]["lr"] = left * self._step_size
        self._optimiser.step()
        self._round()

    def _scale(self, behaviour: Tensor) -> float:
        """Return the divisor that makes action values like log-odds; fixed at the first call."""
        if not self.policy.rates_actions:
            return 1.0
        if self._value_scale is None:
            self._value_scale = value_scale(behaviour)
        return self._value_scale
