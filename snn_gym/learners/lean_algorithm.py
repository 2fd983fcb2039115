"""``lean``: an algorithm that learns as it does and then sheds spikes that it does not need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback

from snn_gym.arrays import prefixed, with_prefix
from snn_gym.learners.shedding import Shedding
from snn_gym.policies.base import SpikingPolicy, spiking_policy_of
from snn_gym.spiking import SpikingNetwork
from snn_gym.spiking.regulation.control import (
    STRETCHES,
    begin_bound,
    learning_is_over,
    mean_returns,
    sums_of_episodes,
    unmeasured_bound,
)
from snn_gym.spiking.regulation.parameters import LeanParameters


class LeanAlgorithm(BaseAlgorithm):
    """What ``lean`` puts before an algorithm.

    Its ``train`` is the algorithm's until learning is over. From then on the environment steps
    that are left show the states that the policy visits, and every update sheds spikes.
    """

    stock: ClassVar[type[BaseAlgorithm]]
    """The algorithm itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.shedding: Shedding | None = None
        self.teacher: SpikingPolicy | None = None
        """Policy whose behaviour is kept from the first update on; None for the own one when
        learning is over."""
        self.teacher_first_return: float | None = None
        """Return from which gains are counted of a teacher as which the policy begins, so that its
        first episodes tell what the teacher earns; None where it begins otherwise."""
        self._sums = np.zeros((3, STRETCHES))  # of episodes, returns, and squares of returns
        super().__init__(*args, **kwargs)

    @property
    def lean_parameters(self) -> LeanParameters:
        """How spikes are shed, as the policy's network says; the defaults if it does not."""
        regulation = spiking_policy_of(self).network.regulation
        found = None if regulation is None else regulation.lean
        return LeanParameters() if found is None else found

    def _setup_model(self) -> None:
        super()._setup_model()  # type: ignore[safe-super]
        policy: object = self.policy
        if not isinstance(policy, SpikingPolicy) or (
            not isinstance(policy.acting_network(), SpikingNetwork)
        ):
            raise ValueError(
                f"{type(policy).__name__} acts without spikes, so there are none to shed; use a "
                "spiking policy of snn_gym.policies, or the algorithm without lean; make_lean "
                "(`snn-gym lean`) can teach a spiking agent, its student, instead"
            )

    def learn(
        self, total_timesteps: int, callback: MaybeCallback = None, *args: Any, **kwargs: Any
    ) -> Self:
        """Learn, as Stable-Baselines3 defines it, and shed spikes once learning is over.

        Called again, it learns again; with ``reset_num_timesteps=False`` a shedding that has begun
        goes on.

        Args:
            total_timesteps: Environment steps, of both.
            callback: As in the algorithm.
            *args: As in the algorithm.
            **kwargs: As in the algorithm.
        """
        super().learn(total_timesteps, callback, *args, **kwargs)  # type: ignore[safe-super]
        if self.shedding is not None:
            self.shedding.finish()
        return self

    def _setup_learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        reset_num_timesteps: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if reset_num_timesteps:
            self.shedding = None
            self._sums = np.zeros_like(self._sums)
        return super()._setup_learn(total_timesteps, callback, reset_num_timesteps, *args, **kwargs)

    def train(self, *args: Any, **kwargs: Any) -> None:
        """Update the policy: by the algorithm, or where learning is over by shedding spikes."""
        progress = self._progress()
        if self.shedding is None and self._is_over(progress):
            self.shedding = self._begin_shedding(progress)
        if self.shedding is None:
            super().train(*args, **kwargs)  # type: ignore[misc]
        else:
            self.shedding.update(progress, self._progress(self.rollout_steps))

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> Any:
        """Collect experience, as the algorithm does; without exploration while shedding.

        What is judged is what is left in the end. Exploration may hide that the best actions lead
        nowhere, and where its noise depends on the state (``use_sde``) it is a function of the very
        spikes that are shed.
        """
        if self.shedding is None:
            return super().collect_rollouts(*args, **kwargs)  # type: ignore[misc]
        with self._without_exploration():
            if "action_noise" in kwargs:
                kwargs["action_noise"] = None
            return super().collect_rollouts(*args, **kwargs)  # type: ignore[misc]

    @contextmanager
    def _without_exploration(self) -> Iterator[None]:
        policy = spiking_policy_of(self)
        schedule = getattr(self, "exploration_schedule", None)
        policy.explores_nothing = True
        if schedule is not None:
            self.exploration_rate, self.exploration_schedule = 0.0, _never
        try:
            yield
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
        """Choose actions, as Stable-Baselines3 defines it.

        Args:
            observation: As in the algorithm.
            state: As in the algorithm.
            episode_start: As in the algorithm.
            deterministic: As in the algorithm.
        """
        if not deterministic and spiking_policy_of(self).explores_nothing:
            return spiking_policy_of(self).predict_by_torch(observation, state, episode_start, True)
        return super().predict(observation, state, episode_start, deterministic)

    def _is_over(self, progress: float) -> bool:
        """Return whether there is nothing to learn, by returns or because another has learned."""
        taught = self.teacher is not None
        return taught or learning_is_over(mean_returns(self._sums), progress, self.lean_parameters)

    def _begin_shedding(self, progress: float) -> Shedding:
        parameters = self.lean_parameters
        if self.teacher_first_return is not None:
            bound = unmeasured_bound(self.teacher_first_return, parameters)
        else:
            # Nobody knows what a teacher earned, and a student that starts anew earns nothing yet.
            known = np.zeros_like(self._sums) if self.teacher is not None else self._sums
            bound = begin_bound(known, parameters)
        return Shedding(self, parameters, bound, progress, self.teacher)

    def _progress(self, more_steps: int = 0) -> float:
        return min(1.0, (self.num_timesteps + more_steps) / max(1, self._total_timesteps))

    @property
    def rollout_steps(self) -> int:
        """Return the environment steps of a rollout, 0 where there are only steps."""
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
            self.shedding.played.step(infos)

    def remember_episodes(
        self, progress: NDArray[np.float64], returns: NDArray[np.float64]
    ) -> None:
        """Count training episodes, by which it is found when learning is over.

        Args:
            progress: (E,) share of the training that was done when each ended, 0 to 1.
            returns: (E,) sum of the rewards of each.
        """
        self._sums += sums_of_episodes(progress, returns)

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what is carried between updates beside the policy, as arrays by name."""
        found = {"sums": self._sums.copy()}
        if self.shedding is not None:
            found |= prefixed("shedding", self.shedding.arrays())
        return found

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``state_tensors`` returned.

        Args:
            tensors: Arrays by name; none for a training that another algorithm began.
        """
        if "sums" in tensors:
            self._sums = np.array(tensors["sums"])
        shed = with_prefix("shedding", tensors)
        if shed:
            self.shedding = self._begin_shedding(0.0)
            self.shedding.load(shed)

    def _excluded_save_params(self) -> list[str]:
        # Where it is loaded, learning begins anew.
        own = "shedding", "teacher", "teacher_first_return", "_sums"
        return [*super()._excluded_save_params(), *own]


def _never(progress_remaining: float) -> float:
    del progress_remaining
    return 0.0


@cache
def lean(algorithm: type[BaseAlgorithm]) -> type[LeanAlgorithm]:
    """Return an algorithm that sheds spikes once learning is over.

    It takes the arguments of the algorithm; how spikes are shed stands in the policy's network,
    ``policy_kwargs={"network": {"regulation": {"lean": {...}}}}``, as ``LeanParameters``.

    Args:
        algorithm: One of Stable-Baselines3, sb3-contrib or ``snn_gym.learners`` that learns by
            gradients.

    Raises:
        ValueError: It learns without gradients.

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
    """Return the algorithm that ``lean`` was given, or itself."""
    return algorithm.stock if issubclass(algorithm, LeanAlgorithm) else algorithm
