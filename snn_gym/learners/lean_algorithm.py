"""Algorithms that learn first, and then shed what their behaviour does not need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import ConstantSchedule

from snn_gym._base.storage import prefixed, with_prefix
from snn_gym.learners.base import count_call
from snn_gym.learners.lean_rules import (
    STRETCHES,
    begin_bound,
    learning_is_over,
    sums_of_episodes,
    unmeasured_bound,
)
from snn_gym.learners.shedding import Shedding, load_acting
from snn_gym.policies.base import ProgramPolicy, SpikingPolicy, spiking_policy_of
from snn_gym.policies.shrinking import needed_neurons, smaller_arguments, take_over
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.network_config import LeanParameters

FEWEST_ROLLOUTS = 4
"""Rollouts that have to be left for shedding: two of the frozen policy, and two of the final
weights. One may be too few for ten episodes that begin and end in it."""


class LeanAlgorithm(BaseAlgorithm):
    """Mixin that ``lean`` puts before an algorithm, to learn first and then shed spikes.

    Until the return stops improving, or ``latest_start``, ``train`` is that of the algorithm; with
    a ``teacher``, it never is. Then every update sheds spikes and keeps the behaviour, in the
    states that the policy visits in the remaining environment steps.
    """

    stock: ClassVar[type[BaseAlgorithm]]
    """Algorithm without shedding."""
    shedding_kind: type[Shedding] = Shedding
    """Kind of shedding; an ablation study may set another."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.shedding: Shedding | None = None
        self.teacher: ProgramPolicy | None = None
        """Policy whose behaviour is kept from the first update on; None for the policy itself
        when learning is over."""
        self.teacher_first_return: float | None = None
        """Return from which gains count if the policy starts as its teacher, so that its first
        episodes measure the teacher's return; None if it does not."""
        self.divergence = math.nan
        """Divergence from the teacher at the end of ``learn``; NaN before."""
        self.outcome = ""
        """Sentence that says what ``learn`` shed, and why; empty before."""
        self.first_sizes: tuple[NetworkConfig, tuple[int, ...] | None] | None = None
        """Network and sizes of the critic with which the model was made, before any was shed."""
        self._sums = np.zeros((3, STRETCHES))  # of episodes, returns, and squares of returns
        super().__init__(*args, **kwargs)

    @property
    def lean_parameters(self) -> LeanParameters:
        """Parameters of shedding in the network's configuration; the defaults if it has none."""
        regulation = spiking_policy_of(self).network.regulation
        return (regulation and regulation.lean) or LeanParameters()

    def _setup_model(self) -> None:
        super()._setup_model()  # type: ignore[safe-super]
        policy: object = self.policy
        if not isinstance(policy, SpikingPolicy):
            raise ValueError(
                f"{type(policy).__name__} has no acting network that could shed anything; use a "
                "policy of snn_gym.policies, or the algorithm without lean"
            )
        if self.first_sizes is None:
            self.first_sizes = policy.network, policy.critic_hidden_sizes
        spikes = isinstance(policy.acting_network(), SpikingNetwork)
        if not spikes and self.lean_parameters.max_synops:
            raise ValueError(
                f"{type(policy).__name__} acts without spikes, and max_synops needs spikes; leave "
                "it out, or take a spiking student"
            )

    def learn(
        self, total_timesteps: int, callback: MaybeCallback = None, *args: Any, **kwargs: Any
    ) -> Self:
        """Learn, as Stable-Baselines3 defines it, and shed spikes once learning is over.

        At the end, ``Shedding.finish`` may restore earlier weights, and ``outcome`` says what was
        shed. With ``reset_num_timesteps=False`` a shedding that has begun goes on; else learning
        comes first.
        """
        super().learn(total_timesteps, callback, *args, **kwargs)  # type: ignore[safe-super]
        if self.shedding is None:
            self.outcome = f"shed nothing: {self._reason_to_learn()}"
        else:
            self.outcome = self.shedding.finish()
            self.divergence = self.shedding.divergence
            if self.lean_parameters.sheds_neurons:
                self._shrink()
        self.logger.info(self.outcome)
        return self

    def _reason_to_learn(self) -> str:
        """Return why learning went on to the end."""
        if not self._sums[0].any():
            return "no training episode ended, so that the return is unknown"
        needed = f", of which shedding needs {FEWEST_ROLLOUTS}" if self.rollout_steps else ""
        return f"the return had not settled before the last rollouts{needed}; train longer"

    def _shrink(self) -> None:
        """Replace the policy by one without the neurons on which no action depends."""
        whole = spiking_policy_of(self)
        if not isinstance(whole.acting_network(), SpikingNetwork):
            return
        places = needed_neurons(whole)
        given = {name: x for name, x in self.policy_kwargs.items() if name != "net_arch"}
        self.policy_kwargs = {**given, **smaller_arguments(whole, places)}
        # Buffers and optimisers are of other sizes too; environments go on as they are.
        seed, self.seed = self.seed, None
        with torch.random.fork_rng(devices=[]):
            self._setup_model()
        self.seed = seed
        small = spiking_policy_of(self)
        take_over(small, whole, places)
        small.train(False)
        self.shedding = None
        if small.carries_state:
            self._last_states = None  # of other neurons; environments go on from rest

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        count_call(self)  # shedding makes updates that the algorithm does not count
        if reset_num_timesteps:
            self.shedding = None
            self._sums = np.zeros_like(self._sums)
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, *args, **kwargs)

    def train(self, *args: Any, **kwargs: Any) -> None:
        """Update the policy by the algorithm, or by shedding spikes once learning is over."""
        progress = self._progress()
        if self.shedding is None and self._is_over(progress):
            self.shedding = self._begin_shedding(progress)
        if self.shedding is None:
            super().train(*args, **kwargs)  # type: ignore[misc]
        else:
            self.shedding.update(progress, self._progress(self.rollout_steps))
            if self.shedding.refused:
                self.shedding = None

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> Any:
        """Collect experience like the algorithm, without exploration while shedding."""
        # Exploration may hide that the best actions lead nowhere, and the noise of ``use_sde``
        # depends on the spikes that are shed.
        taught = self.teacher is not None and self.lean_parameters.sheds_neurons
        if self.shedding is None and not taught:
            return super().collect_rollouts(*args, **kwargs)  # type: ignore[misc]
        policy = spiking_policy_of(self)
        schedule = getattr(self, "exploration_schedule", None)
        policy.explores_nothing = True
        if schedule is not None:
            self.exploration_rate, self.exploration_schedule = 0.0, ConstantSchedule(0.0)
        if "action_noise" in kwargs:
            kwargs["action_noise"] = None
        try:
            return super().collect_rollouts(*args, **kwargs)  # type: ignore[misc]
        finally:
            policy.explores_nothing = False
            if schedule is not None:
                self.exploration_schedule = schedule

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> Any:
        """Choose actions as Stable-Baselines3 does, but the best ones in rollouts that shed."""
        if not deterministic and spiking_policy_of(self).explores_nothing:
            return spiking_policy_of(self).predict_by_torch(observation, state, episode_start, True)
        return super().predict(observation, state, episode_start, deterministic)

    def _is_over(self, progress: float) -> bool:
        """Return whether to shed now: there is a teacher, or the return settled early enough."""
        if self.teacher is not None or not self.lean_parameters.sheds:
            return self.teacher is not None
        if not learning_is_over(self._sums, progress, self.lean_parameters):
            return False
        left = self._total_timesteps - self.num_timesteps
        forced = self.lean_parameters.largest_rise is None
        return forced or left > (FEWEST_ROLLOUTS - 1) * self.rollout_steps

    def _begin_shedding(self, progress: float) -> Shedding:
        parameters = self.lean_parameters
        if self.teacher_first_return is not None:
            bound = unmeasured_bound(self.teacher_first_return, parameters)
        else:
            # The return of a teacher is unknown, and a new student has none yet.
            known = np.zeros_like(self._sums) if self.teacher is not None else self._sums
            bound = begin_bound(known, parameters)
        return self.shedding_kind(self, parameters, bound, progress, self.teacher)

    def _progress(self, more_steps: int = 0) -> float:
        return min(1.0, (self.num_timesteps + more_steps) / max(1, self._total_timesteps))

    @property
    def rollout_steps(self) -> int:
        """Environment steps of a rollout in all environments, 0 without a rollout buffer."""
        buffer = getattr(self, "rollout_buffer", None)
        return 0 if buffer is None else buffer.buffer_size * buffer.n_envs

    def _update_info_buffer(
        self, infos: list[dict[str, Any]], dones: NDArray[np.bool_] | None = None
    ) -> None:
        super()._update_info_buffer(infos, dones)
        returns = np.array([info["episode"]["r"] for info in infos if "episode" in info], float)
        if len(returns) > 0:
            self.remember_episodes(np.full_like(returns, self._progress()), returns)
        if self.shedding is not None:
            self.shedding.episodes.step(infos)

    def remember_episodes(
        self, progress: NDArray[np.float64], returns: NDArray[np.float64]
    ) -> None:
        """Add training episodes to the statistics: progress (E,) at their end, returns (E,)."""
        self._sums += sums_of_episodes(progress, returns)

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return statistics of returns, and the shedding if it has begun, as arrays by name."""
        tensors = {"sums": self._sums.copy()}
        if self.shedding is not None:
            tensors |= prefixed("shedding", self.shedding.arrays())
        return tensors

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state of ``state_tensors``; nothing changes if there are no tensors."""
        if "sums" in tensors:
            # A copy, for tensors of a file are read-only.
            self._sums = np.array(tensors["sums"])
        shed = with_prefix("shedding", tensors)
        if shed:
            # Weights may have been loaded that belong to fewer time steps.
            policy = spiking_policy_of(self)
            load_acting(policy, policy.acting_state_dict())
            # The progress is among the counters that are loaded next.
            self.shedding = self._begin_shedding(0.0)
            self.shedding.load(shed)

    def _excluded_save_params(self) -> list[str]:
        # Learning begins anew after loading.
        own = (
            "shedding", "teacher", "teacher_first_return", "first_sizes", "divergence", "outcome",
            "_sums",
        )  # fmt: skip
        return [*super()._excluded_save_params(), *own]


@cache
def lean(algorithm: type[BaseAlgorithm]) -> type[LeanAlgorithm]:
    """Return a subclass of an algorithm that sheds spikes once learning is over.

    It takes the arguments of the algorithm. ``LeanParameters`` of the policy's network configure
    it: ``policy_kwargs={"network": {"regulation": {"lean": {...}}}}``.

    Args:
        algorithm: Algorithm of Stable-Baselines3, sb3-contrib or ``snn_gym.learners`` that learns
            by gradients.

    Raises:
        ValueError: The algorithm learns without gradients.

    Example:
        >>> from snn_gym.learners import lean
        >>> from snn_gym.policies import SpikingActorCriticPolicy
        >>> from stable_baselines3 import PPO
        >>> model = lean(PPO)(SpikingActorCriticPolicy, "CartPole-v1", device="cpu")
        >>> _ = model.learn(256)
    """
    if issubclass(algorithm, LeanAlgorithm):
        return algorithm
    if not hasattr(algorithm, "train"):
        raise ValueError(f"{algorithm.__name__} learns without gradients, which lean needs")
    namespace = {"stock": algorithm, "__doc__": LeanAlgorithm.__doc__, "__module__": __name__}
    return type(f"Lean{algorithm.__name__}", (LeanAlgorithm, algorithm), namespace)


def stock(algorithm: type[BaseAlgorithm]) -> type[BaseAlgorithm]:
    """Return the algorithm that a lean one extends; others are returned unchanged."""
    return algorithm.stock if issubclass(algorithm, LeanAlgorithm) else algorithm
