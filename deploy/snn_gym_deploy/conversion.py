"""Conversion of ANNs with rectified units to networks of integrate-and-fire neurons; fine-tuning.

A unit becomes a neuron whose spikes in T time steps count its activation in steps of ``theta / T``,
``theta`` being the unit's largest activation in the states that the agent visits (per-neuron
thresholds, as in the release of CRPI, https://github.com/xuzijie32/ANN2SNN-CRPI; balancing by the
largest activation is Diehl et al. 2015's, https://doi.org/10.1109/IJCNN.2015.7280696). Potentials
start at half the threshold, which rounds to the nearest (Bu et al. 2022,
https://arxiv.org/abs/2303.04347). We put ``theta`` into the weights, so that every neuron has the
threshold 1, and reset the state at every decision; ``ResidualPolicy`` carries a residual as CRPI.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from snn_gym._base.config import Count, typed
from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.leaderboard.faults import rounded
from snn_gym.learners.shedding import twin_of
from snn_gym.policies.base import SpikingPolicy
from snn_gym.policies.behaviour import divergence, value_scale
from snn_gym.policies.frozen import program_of
from snn_gym.policies.networks import DenseNetwork
from snn_gym.policies.raw_observations import bare_policy
from snn_gym.policies.shrinking import unrolled
from snn_gym.policies.stateful import State, StatefulPolicy, reset_where
from snn_gym.program.neurons import SoftIAFParameters
from snn_gym.spiking.decoders import PopulationHead
from snn_gym.spiking.execution import NetworkRun, spikes_of
from snn_gym.spiking.network import SpikingNetwork
from snn_gym.spiking.recording import Recording
from snn_gym.spiking.spiking_layer import SharedLinear
from snn_gym_deploy.visits import FIRST_SEED, observations_of

# ---- conversion ----------------------------------------------------------------------------------
DECISIONS = 10_000  # states for the choice of thresholds


def convert(
    model: BaseAlgorithm | BasePolicy,
    env_id: str,
    time_steps: int = 16,
    *,
    decisions: int = DECISIONS,
    env_kwargs: Mapping[str, Any] | None = None,
) -> BasePolicy:
    """Convert an ANN of rectified units to a spiking network that approximates it.

    Args:
        model: Algorithm with a policy of snn_gym whose acting network is an ANN of ReLU units, such
            as ``dqn-mlp`` or ``sac-mlp``; or the policy.
        env_id: Environment whose states choose the thresholds; its seeds differ from those of
            evaluations.
        time_steps: Time steps of a decision, T.
        decisions: Least number of visited states.
        env_kwargs: Arguments of the environment.

    Returns:
        A policy of the same class, which can be evaluated, recorded and exported.

    Raises:
        ValueError: The acting network is no ANN of ReLU units, or has no ``Program``.
    """
    policy: SpikingPolicy = bare_policy(model, "converted")
    units = program_of(policy).dense
    if not units or any(layer.activation != "relu" for layer in units):
        raise ValueError(
            "only ANNs of ReLU units are converted; train dqn-mlp, sac-mlp or another policy with "
            "activation_fn=torch.nn.ReLU, PPO with actor_activation='relu'"
        )
    if policy.network.convolutions:
        policy = unrolled(policy)  # every place has a largest activation of its own
    network = policy.acting_network()
    observations = _visited(policy, env_id, decisions, env_kwargs)
    thresholds = largest_activations(policy, network, observations)
    converted = _spiking(policy, time_steps)
    if converted.normaliser is not None and policy.normaliser is not None:
        converted.normaliser.load_state_dict(policy.normaliser.state_dict())
    _load(converted, policy, network, thresholds)
    converted.train(False)
    return converted


def _spiking(policy: SpikingPolicy, time_steps: int) -> SpikingPolicy:
    """Return a policy of the same class whose acting network spikes."""
    arguments = policy._get_constructor_parameters()
    arguments["network"] = replace(
        policy.network, time_steps=time_steps, neuron="iaf_soft", neuron_parameters=None,
        encoder="constant", encoder_parameters=None, decoder="mean_rate", decoder_parameters=None,
        recurrent=False, learnable=(), regulation=None,
    )  # fmt: skip
    flag = "spiking_actor" if "spiking_actor" in arguments else "spiking"
    if "actor_activation" in arguments:
        arguments["actor_activation"] = None
    return type(policy)(**{**arguments, flag: True})


def _visited(
    policy: SpikingPolicy, env_id: str, decisions: int, env_kwargs: Mapping[str, Any] | None
) -> NDArray[Any]:
    """Return at least ``decisions`` observations (B, ...) of whole episodes."""
    observations, seed = list[NDArray[Any]](), FIRST_SEED
    while sum(map(len, observations)) < decisions:
        observations.append(observations_of(policy, env_id, range(seed, seed + 10), env_kwargs))
        seed += 10
    return np.concatenate(observations)


@torch.no_grad()
def largest_activations(
    policy: SpikingPolicy, network: DenseNetwork, observations: NDArray[Any]
) -> list[Tensor]:
    """Return the largest activation (N,) of hidden ReLU units, layer by layer; 1 if always 0."""
    tensor, _ = policy.obs_to_tensor(observations)
    signal, activations = policy.network_inputs(tensor), []
    for module in network:
        signal = module(signal)
        if isinstance(module, nn.ReLU):
            largest = signal.amax(0)
            activations.append(torch.where(largest > 0, largest, 1.0))
    return activations


@torch.no_grad()
def _load(
    converted: SpikingPolicy, policy: SpikingPolicy, network: DenseNetwork, thresholds: list[Tensor]
) -> None:
    """Copy weights into the converted network, scaled by the thresholds of units."""
    spiking = converted.acting_network()
    linears = [x for x in network if isinstance(x, nn.Linear)]
    scales = [torch.ones(linears[0].in_features), *thresholds]
    for layer, linear, (before, own) in zip(
        spiking.layers, linears, pairwise(scales), strict=False
    ):
        layer.linear.weight.copy_(linear.weight * before / own.unsqueeze(1))
        layer.linear.bias.copy_(linear.bias / own)
    # The head belongs to the network or to the policy.
    source = linears[-1] if len(linears) > len(thresholds) else policy.readout()
    head = spiking.head if spiking.head is not None else converted.readout()
    assert isinstance(source, nn.Linear)  # a program's head is linear
    assert isinstance(head, nn.Linear)
    head.weight.copy_(source.weight * thresholds[-1])
    head.bias.copy_(source.bias)


# ---- residual ------------------------------------------------------------------------------------
# Residual membrane potential after a decision, carried on to the next one.
#
# A neuron's rounding error is less than a spike, and about the same in every decision if states
# change slowly. CRPI starts the next decision from a potential that makes up for a share of it
# (https://github.com/xuzijie32/ANN2SNN-CRPI, MuJoCo/convert.py). CRPI scans the share on the
# episodes that it reports; ``choose_share`` plays other episodes.
SHARES = (0.0, 0.3, 0.6, 1.0)


def next_start(start: Tensor, end: Tensor, spikes: Tensor, share: float) -> Tensor:
    """Return the first potentials (B, N) of the next decision, ``1/2 + share * r`` within [0, 1].

    ``r = max(sum of currents, 0) - spikes`` is the residual against a ReLU, at thresholds of 1.
    Of a decision, ``start`` and ``end`` are first and last potentials, ``spikes`` their number.
    """
    residual = (end - start + spikes).clamp_min(0.0) - spikes
    return 0.5 + (share * residual).clamp(-0.5, 0.5)


class ResidualPolicy:
    """Converted policy that carries to the next decision the part of a ReLU's value without spikes.

    That part is the residual; it starts at 0 in each episode. The policy only acts.

    Args:
        policy: Policy that ``convert`` made.
        share: Share of the residual that is carried, 0 to 1.

    Raises:
        ValueError: The policy is another one, or the share is out of range.
    """

    def __init__(self, policy: BasePolicy, share: float) -> None:
        # Any: PyTorch types unknown attributes of a module as tensors.
        converted: Any = policy
        network = converted.acting_network() if isinstance(policy, SpikingPolicy) else None
        if not (
            isinstance(network, SpikingNetwork)
            and network.config.neuron_parameters == SoftIAFParameters()
        ):
            raise ValueError(
                "a residual is carried by policies that `convert` made, got "
                f"{type(converted).__name__} of other neurons"
            )
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"share must be at least 0 and at most 1, got {share}")
        self.observation_space, self.action_space = policy.observation_space, policy.action_space
        self.share = share
        self._policy, self._network = converted, network

    def predict(
        self,
        observation: NDArray[Any] | dict[str, NDArray[Any]],
        state: State | None = None,
        episode_start: NDArray[Any] | None = None,
        deterministic: bool = True,
    ) -> tuple[NDArray[Any], State]:
        """Return the best actions and the first potentials of the next decision.

        Args:
            observation: One observation or a batch of B.
            state: State of the last call; None if all episodes start.
            episode_start: (B,), bool: True starts an episode, whatever ``state`` holds.
            deterministic: True; nothing is drawn.

        Raises:
            ValueError: ``deterministic`` is False.
        """
        if not deterministic:
            raise ValueError("a residual policy draws no actions; pass deterministic=True")
        tensor, vectorised = self._policy.obs_to_tensor(observation)
        with torch.no_grad():
            inputs = self._policy.network_inputs(tensor)
            start = self._started(state, episode_start, len(inputs))
            runs: list[NetworkRun] = []
            output, end = self._network(inputs, start, optimised=False, observer=runs.append)
            fired = torch.cat([x.sum(0) for x in spikes_of(runs)], 1)
            carried = next_start(start, end, fired, self.share)
            actions = self._chosen(self._policy.behaviour(output).numpy())
        return actions if vectorised else actions[0], (carried.numpy(),)

    def record(self, obs: NDArray[Any], state: State | None = None) -> Recording:
        """Record decisions that begin in given potentials, as ``record`` of policies does.

        Args:
            obs: One observation or a batch.
            state: State of ``predict``, one array (B, N); None for the start of an episode.
        """
        start = None if state is None else torch.as_tensor(state[0])
        recording: Recording = self._policy.record(obs, start)
        return recording

    def _started(
        self, state: State | None, episode_start: NDArray[Any] | None, batch: int
    ) -> Tensor:
        """Return the first potentials (B, N) of a decision, at rest where an episode starts."""
        rest = self._network.rest_state(batch)
        if state is None:
            return rest
        starts = np.zeros(batch, np.bool_) if episode_start is None else episode_start
        return reset_where(torch.as_tensor(starts), torch.as_tensor(state[0]), rest)

    def _chosen(self, behaviour: NDArray[Any]) -> NDArray[Any]:
        """Return actions for Q-values, or for scaled actions in [-1, 1]."""
        space = self.action_space
        if isinstance(space, spaces.Discrete):
            actions: NDArray[Any] = behaviour.argmax(1)
            return actions
        assert isinstance(space, spaces.Box)  # `convert` takes no other spaces
        scaled = self._policy.unscale_action(behaviour.reshape(-1, *space.shape))
        clipped: NDArray[Any] = np.clip(scaled, space.low, space.high)
        return clipped


def choose_share(
    policy: BasePolicy,
    env_id: str,
    shares: Sequence[float] = SHARES,
    *,
    episodes: int = 20,
    env_kwargs: Mapping[str, Any] | None = None,
) -> float:
    """Return the residual's share with the highest mean return, on seeds apart from evaluations.

    Args:
        policy: Policy that ``convert`` made.
        env_id: Gymnasium id.
        shares: Candidates; of equal ones the first is chosen.
        episodes: Episodes for each share.
        env_kwargs: Arguments of the environment.
    """
    seeds = range(FIRST_SEED, FIRST_SEED + typed(Count, episodes, "episodes"))
    means = [
        evaluate(ResidualPolicy(policy, share), env_id, seeds=seeds, env_kwargs=env_kwargs).mean
        for share in shares
    ]
    return shares[int(np.argmax(means))]


# ---- fine-tuning ---------------------------------------------------------------------------------
# Quantisation-aware: agents with weights of few bits imitate their float versions.
_ROUNDS = 4
_EPISODES = 4


def fine_tune(
    model: BaseAlgorithm | BasePolicy,
    env_id: str,
    weights_bits: int,
    *,
    updates: int = 500,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
) -> BasePolicy:
    """Return a policy with weights of few bits that imitates an agent.

    The agent is not changed. Adam, with a step size that falls to 0, lowers the divergence of the
    new policy's behaviour from the agent's. The states are those that the new policy visits, in
    four rounds of four episodes that differ from those of evaluations. Weights are those of
    ``leaderboard.faults.rounded``; their gradients move float weights, which are rounded anew at
    every update: the straight-through estimator (Bengio et al. 2013,
    https://arxiv.org/abs/1308.3432; float weights: Courbariaux et al. 2015,
    https://arxiv.org/abs/1511.00363). Biases and other parameters are not rounded.

    Args:
        model: Algorithm with a stateless policy of snn_gym, or the policy.
        env_id: Gymnasium id of its environment.
        weights_bits: Bits of a weight, with its sign, at least 2.
        updates: Updates of all rounds together, at least 4.
        batch_size: States of an update.
        learning_rate: Step size of the first update.
        seed: Seed of the states that are drawn.
        env_kwargs: Arguments of the environment.

    Raises:
        ValueError: The policy carries a state or is none of snn_gym, or a number is out of range.
    """
    teacher: Any = bare_policy(model, "fine-tuned")
    if not isinstance(teacher, SpikingPolicy) or isinstance(teacher, StatefulPolicy):
        raise ValueError(
            f"fine_tune takes stateless policies of snn_gym, got {type(teacher).__name__}"
        )
    for name, x in (("weights_bits", weights_bits), ("updates", updates), ("seed", seed)):
        typed(int, x, name)
    if weights_bits < 2 or updates < _ROUNDS or batch_size < 1:
        raise ValueError(
            f"weights_bits must be at least 2, updates {_ROUNDS} and batch_size 1, got "
            f"{weights_bits}, {updates} and {batch_size}"
        )
    tuned = _Tuned(teacher, weights_bits, learning_rate)
    generator, visited = np.random.default_rng(seed), list[NDArray[Any]]()
    for done in range(_ROUNDS):
        first = FIRST_SEED + done * _EPISODES
        seeds = range(first, first + _EPISODES)
        visited.append(observations_of(tuned.policy, env_id, seeds, env_kwargs))
        states = np.concatenate(visited)
        due = (done + 1) * updates // _ROUNDS - done * updates // _ROUNDS
        for k in range(due):
            left = 1.0 - (done + k / due) / _ROUNDS
            tuned.update(states[generator.integers(len(states), size=batch_size)], left)
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
