"""``Shedding``: a policy that has learned loses spikes while it does what it did.

The rules are those of ``snn_gym.spiking.regulation.control``, the cost that of
``snn_gym.spiking.regulation.shedding``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor, nn

from snn_gym.arrays import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.learners.visited import make_visited
from snn_gym.policies.base import SpikingPolicy, spiking_policy_of
from snn_gym.policies.behaviour import divergence, value_scale
from snn_gym.spiking.counting import zeros_behind
from snn_gym.spiking.regulation.control import (
    CHECKED,
    COMPARED,
    SETTLING,
    SYNOPS_MARGIN,
    BoundControl,
    StrengthControl,
)
from snn_gym.spiking.regulation.parameters import LeanParameters
from snn_gym.spiking.regulation.shedding import (
    FOLDED_RATES,
    REDIRECTED,
    REPAIRED,
    decay_cost,
    fold,
    neurons_of,
    prune,
    redirect,
    shuffled_orders,
    spike_cost,
)


# ---- episodes that are played --------------------------------------------------------------------
class Played:
    """Returns of the episodes that some environments have played since they were forgotten.

    Of episodes that begin together the short ones end first, and where a return depends on the
    length those that have ended are no fair sample of all. So every environment counts with as
    many, its first ones, and one that was under way when all were forgotten does not.

    Args:
        environments: Number of environments.
    """

    def __init__(self, environments: int) -> None:
        self._returns: list[list[float]] = [[] for _ in range(environments)]
        self._skipped = np.ones(environments, np.bool_)
        self._between = np.zeros(environments, np.bool_)

    def step(self, infos: Sequence[Mapping[str, Any]]) -> None:
        """Take in what a step of all environments said.

        Args:
            infos: Of each environment, with ``episode`` where one ended, as ``Monitor`` adds it.
        """
        for k, info in enumerate(infos):
            ended = "episode" in info
            if ended and not self._skipped[k]:
                self._returns[k].append(float(info["episode"]["r"]))
            self._skipped[k] &= not ended
            self._between[k] = ended

    @property
    def returns(self) -> list[float]:
        """Returns of as many episodes of each environment."""
        count = min(len(x) for x in self._returns)
        return [value for x in self._returns for value in x[:count]]

    def forget(self) -> None:
        """Forget all episodes, and those under way."""
        for x in self._returns:
            x.clear()
        self._skipped = ~self._between

    def forget_old(self, most: int) -> None:
        """Forget the oldest episodes that count, as many of each environment.

        Args:
            most: Episodes that are kept, or one of each environment if that is more.
        """
        kept = max(1, most // len(self._returns))
        old = max(0, min(len(x) for x in self._returns) - kept)
        for x in self._returns:
            del x[:old]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that an interrupted training needs to go on, as arrays by name."""
        return {
            "returns": np.array([value for x in self._returns for value in x], np.float64),
            "counts": np.array([len(x) for x in self._returns]),
            "skipped": self._skipped.copy(),
            "between": self._between.copy(),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""
        parts = np.split(arrays["returns"], np.cumsum(arrays["counts"])[:-1])
        self._returns = [part.tolist() for part in parts]
        self._skipped = np.array(arrays["skipped"])
        self._between = np.array(arrays["between"])


# ---- shedding ------------------------------------------------------------------------------------
_SHUFFLE_SEED = 0
_FRESH = 1024
"""Decisions by which the divergence in the latest states is measured."""
_MOST_JUDGED = 300
"""Episodes that are judged together while the verdict is unclear; older ones had more spikes."""
_ADAM = ("step", "exp_avg", "exp_avg_sq")


@dataclass
class Counters:
    """Numbers of a shedding, beside those of its two loops."""

    begun_at: float
    """Share of the training after which it began."""
    updates: int = 0
    """Updates so far."""
    first_cost: float = 0.0
    """Cost of the network at the first update."""
    temperature: float = 1.0
    """What behaviour is divided by, so that it is log-odds."""


def twin_of(policy: SpikingPolicy) -> SpikingPolicy:
    """Return a policy of the same kind that decides as a policy does now, and is not trained."""
    with torch.random.fork_rng():
        copy = type(policy)(**policy._get_constructor_parameters())
    copy.to(policy.device)
    copy.load_acting_state_dict(policy.acting_state_dict())
    copy.set_training_mode(False)
    return copy


class Shedding:
    """What sheds spikes of one model's policy.

    Args:
        model: Algorithm with a spiking policy that has learned.
        parameters: How.
        bound: Outer loop, which knows what the policy earned.
        progress: Share of the training that is done.
        teacher: Policy whose behaviour is kept, of the same action space; None for the model's own
            as it is now.
    """

    def __init__(
        self,
        model: BaseAlgorithm,
        parameters: LeanParameters,
        bound: BoundControl,
        progress: float,
        teacher: SpikingPolicy | None = None,
    ) -> None:
        self._model, self._parameters = model, parameters
        self._policy = spiking_policy_of(model)
        self._teacher = twin_of(self._policy if teacher is None else teacher)
        self._visited = make_visited(model, self._teacher)
        self._weights = acting_parameters(self._policy)
        self._fan_outs: list[int] = []
        network = self._policy.acting_network()
        sizes = neurons_of(self._weights, list(network.layers))
        self._orders = shuffled_orders(sizes, _SHUFFLE_SEED)
        self._optimiser = torch.optim.Adam(self._weights.values(), lr=parameters.learning_rate)
        self._good = self._policy.acting_state_dict()
        self.played = Played(model.n_envs)
        """Training episodes since the last verdict."""
        self.counters = Counters(progress)
        self.strength = StrengthControl(parameters.first_strength)
        self.bound = bound
        self._last = 0.0, 0.0

    def update(self, progress: float, ahead: float) -> None:
        """Make the updates that are due, and let returns move the bound.

        Args:
            progress: Share of the training that is done, 0 to 1.
            ahead: What it will be at the next call: episodes until then judge these updates.
        """
        if self.counters.updates == self._parameters.updates:
            self._log()
            return  # the weights are final, and their episodes are judged together
        self._visited.collect()
        if not self._fan_outs:
            self._begin()
        if self.counters.updates == 0:
            if self._share(progress) < 0:
                return  # what the frozen policy earns is not known well enough yet
            self.bound = self.bound.compared_with(self.played.returns)
            self.played.forget()
        self._judge(progress)
        due = round(self._parameters.updates * min(1.0, self._share(ahead)))
        if self.counters.updates == 0 < due and self._parameters.signals == "own":
            self._fold()
        with torch.enable_grad():
            for _ in range(due - self.counters.updates):
                self._step()
        if due == self._parameters.updates:
            self.played.forget()
        self._log()

    def finish(self) -> None:
        """Take back the final weights if the episodes played with them earned less."""
        self._forget_old()
        few = replace(self._parameters, episodes=max(2, min(5, self._parameters.episodes)))
        if self._follows_returns and self.bound.judge(self.played.returns, few) == "lost":
            self._policy.load_acting_state_dict(self._good)

    @property
    def teacher(self) -> Any:
        """Policy whose behaviour is kept."""
        return self._teacher

    @property
    def _follows_returns(self) -> bool:
        return self._parameters.max_synops is None

    def _share(self, progress: float) -> float:
        """Return what share of the updates is due at some progress of the training.

        It is below 0 where the first is still to come, and 1 or more where the last was due.
        """
        left = 1.0 - self.counters.begun_at
        first = COMPARED if self._follows_returns and self.bound.is_followed else 0.0
        if left <= 0:
            return 1.0
        return ((progress - self.counters.begun_at) / left - first) / (1.0 - CHECKED - first)

    def _begin(self) -> None:
        """Look at the network and at the scale of its behaviour for the first time."""
        observations, behaviour = self._visited.sample(self._parameters.batch_size)
        self._set_fan_outs()
        if self._policy.rates_actions:
            self.counters.temperature = value_scale(behaviour)
        with torch.no_grad():
            self._set_first_cost(self._policy.watched(observations)[1])

    def _set_first_cost(self, spikes: Sequence[Tensor]) -> None:
        self.counters.first_cost = max(float(self._cost(spikes)[0]), 1e-6)

    @torch.no_grad()
    def _fold(self) -> None:
        """Fold neurons that fire at nearly every time step, as many as updates can make up for."""
        # Drawn apart: a network without such neurons sheds as if none had been looked for.
        with torch.random.fork_rng(devices=[]):
            sample = self._visited.sample(_FRESH)
        rates = [x.mean((0, 1)) for x in self._measure(*sample)[1]]
        before, network = self._policy.acting_state_dict(), self._policy.acting_network()
        head: Any = self._policy.acting_head() if network.head is None else network.head
        linear = isinstance(head, nn.Linear) and not network.decoder.takes_maximum
        gain = float(network.decoder.coefficients[0].sum())
        for least in FOLDED_RATES:
            if fold(network.layers, rates, least, head if linear else None, gain) == 0:
                return
            far, spikes = self._measure(*sample)
            if float(far) <= REPAIRED * self.bound.bound:
                self._set_first_cost(spikes)
                return
            self._policy.load_acting_state_dict(before)

    def _set_fan_outs(self) -> None:
        network = self._policy.acting_network()
        shape = (network.config.time_steps,) if network.spike_input else ()
        zeros = torch.zeros(1, *shape, network.input_size, device=self._policy.device)
        recording = network.record(zeros, head=self._policy.readout())
        self._fan_outs = [x.fan_out for x in recording.layers if x.name != "input"]

    def _judge(self, progress: float) -> None:
        """Move the bound by what the training episodes earned, and keep or take back weights."""
        parameters = self._parameters
        self._forget_old()
        if not self._follows_returns:
            return
        settling = self._share(progress) > 1.0 - SETTLING
        reached = self.strength.out_of_reach(parameters.updates)
        if reached is not None and not settling:
            above = self.bound.begin_above(reached, parameters)
            if above != self.bound:
                self.bound, self.strength = above, StrengthControl(parameters.first_strength)
        verdict = self.bound.judge(self.played.returns, parameters)
        if verdict == "unclear":
            return
        self.played.forget()
        if verdict == "lost" and self._is_unsettled():
            return
        self.bound = self.bound.step(verdict, parameters, settling)
        if verdict == "kept":
            self._good = self._policy.acting_state_dict()
        elif self.bound.losses > 1:
            # A tighter bound alone did not bring the return back.
            self._policy.load_acting_state_dict(self._good)
            self._optimiser.state.clear()
            self.strength = StrengthControl(parameters.first_strength)

    def _forget_old(self) -> None:
        self.played.forget_old(max(_MOST_JUDGED, self._parameters.episodes))

    def _is_unsettled(self) -> bool:
        """Return whether behaviour in the latest states was beyond the bound.

        Then the bound is not to blame for a loss: no update has seen these states yet.
        """
        sample = self._visited.sample(_FRESH, newest=True)
        with torch.no_grad():
            far, _ = self._measure(*sample)
        return float(far) > self.bound.bound

    def _measure(self, observations: Any, target: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the divergence from the teacher in some states, and the spikes."""
        behaviour, spikes = self._policy.watched(observations)
        heat = self.counters.temperature
        far = divergence(self._policy.action_space, target / heat, behaviour / heat)
        return self._worst(far), spikes

    def _worst(self, far: Tensor) -> Tensor:
        """Return the mean divergence in the states in which it is largest."""
        count = max(1, round(self._parameters.worst_share * len(far)))
        return far.topk(count).values.mean()

    def _cost(self, spikes: Sequence[Tensor]) -> tuple[Tensor, float]:
        network = self._policy.acting_network()
        readout = network.readout(self._policy.readout())
        zeros = zeros_behind(list(network.layers), readout)[1:]
        cost, synops = spike_cost(spikes, self._fan_outs, network.config.time_steps, zeros)
        if self._parameters.signals == "blind":
            cost = decay_cost(self._weights[name] for name in self._orders)
        elif self._parameters.signals == "prune":
            cost = torch.zeros_like(cost)
        return cost, synops

    def _step(self) -> None:
        """Make one update of the weights and of the cost's strength."""
        parameters = self._parameters
        self._set_learning_rate()
        far, spikes = self._measure(*self._visited.sample(parameters.batch_size))
        cost, synops = self._cost(spikes)
        self._last = synops, float(far.detach())
        bound = self.bound.bound
        limited, limit, sign = self._last[1], bound, 1
        if parameters.max_synops is not None:
            limited, limit, sign = synops, SYNOPS_MARGIN * parameters.max_synops, -1
        self.strength = self.strength.step(limited, limit, parameters.control_rate, sign)
        weight = self.strength.strength / self.counters.first_cost
        self._set_gradients(far / bound, weight * cost)
        self._optimiser.step()
        if parameters.pruning > 0:
            network = self._policy.acting_network()
            share = parameters.pruning * self.strength.strength
            prune(list(network.layers), share, spikes_enter=network.spikes_enter)
        self.counters.updates += 1

    def _set_learning_rate(self) -> None:
        done = self.counters.updates / self._parameters.updates
        first, last = self._parameters.learning_rate, self._parameters.final_learning_rate
        self._optimiser.param_groups[0]["lr"] = first + done * (last - first)

    def _set_gradients(self, far: Tensor, cost: Tensor) -> None:
        weights, signals = list(self._weights.values()), self._parameters.signals
        if signals not in REDIRECTED:
            gradients = _gradients(far + cost, weights)
        else:
            of_cost = dict(zip(self._weights, _gradients(cost, weights), strict=True))
            told = redirect(of_cost, self._orders, signals).values()
            pairs = zip(_gradients(far, weights), told, strict=True)
            gradients = tuple(of_far + of_cost for of_far, of_cost in pairs)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient

    def _log(self) -> None:
        synops, far = self._last
        for name, value in (
            ("synops", synops),
            ("divergence", self.strength.smoothed if self._follows_returns else far),
            ("bound", self.bound.bound),
            ("strength", self.strength.strength),
        ):
            self._model.logger.record(f"lean/{name}", value)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that an interrupted shedding needs to go on, as arrays by name."""
        found = prefixed("played", self.played.arrays())
        for part, values in (
            ("counters", self.counters),
            ("strength", self.strength),
            ("bound", self.bound),
        ):
            found |= {f"{part}.{name}": x for name, x in to_arrays(values).items()}
        for prefix, tensors in (
            ("good", self._good),
            ("teacher", self._teacher.acting_state_dict()),
        ):
            found |= {f"{prefix}.{name}": x.cpu().numpy() for name, x in tensors.items()}
        for name, weight in self._weights.items():
            moments = self._optimiser.state.get(weight, {})
            found |= {f"adam.{key}.{name}": x.cpu().numpy() for key, x in moments.items()}
        return found | {f"visited.{name}": x for name, x in self._visited.arrays().items()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned.

        Args:
            arrays: Arrays by name.
        """
        owner = type(self).__name__
        self.counters = from_arrays(self.counters, with_prefix("counters", arrays), owner)
        self.strength = from_arrays(self.strength, with_prefix("strength", arrays), owner)
        self.bound = from_arrays(self.bound, with_prefix("bound", arrays), owner)
        self.played.load(with_prefix("played", arrays))
        self._good = _tensors(with_prefix("good", arrays))
        self._teacher.load_acting_state_dict(_tensors(with_prefix("teacher", arrays)))
        for name, weight in self._weights.items():
            if f"adam.{_ADAM[0]}.{name}" in arrays:
                self._optimiser.state[weight] = {
                    key: torch.from_numpy(np.array(arrays[f"adam.{key}.{name}"])) for key in _ADAM
                }
        self._visited.load(with_prefix("visited", arrays))
        self._set_fan_outs()


def _gradients(loss: Tensor, weights: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return the gradient by each of some weights, zero where a weight has no part in the loss."""
    return torch.autograd.grad(
        loss, weights, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def acting_parameters(policy: SpikingPolicy) -> dict[str, Tensor]:
    """Return the parameters that a policy acts by, by name."""
    return {
        f"{prefix}.{name}": x
        for prefix, module in policy.acting_modules().items()
        for name, x in module.named_parameters()
        if x.requires_grad
    }


def _tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(x.copy()) for name, x in arrays.items()}
