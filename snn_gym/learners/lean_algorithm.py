"""``lean``: an algorithm that learns as it does and then sheds spikes that it does not need."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback

from snn_gym.arrays import prefixed, with_prefix
from snn_gym.learners.shedding import Shedding
from snn_gym.spiking import SpikingNetwork
from snn_gym.spiking.regulation.control import STRETCHES, BoundControl, learning_is_over
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
        self.teacher: Any = None
        """Policy whose behaviour is kept from the first update on; None for the own one when
        learning is over."""
        self._sums = np.zeros((2, STRETCHES))  # of returns, and of episodes
        super().__init__(*args, **kwargs)

    @property
    def lean_parameters(self) -> LeanParameters:
        """How spikes are shed, as the policy's network says; the defaults if it does not."""
        policy: Any = self.policy
        regulation = policy.network.regulation
        found = None if regulation is None else regulation.lean
        return LeanParameters() if found is None else found

    def _setup_model(self) -> None:
        super()._setup_model()  # type: ignore[safe-super]
        policy: Any = self.policy
        find = getattr(policy, "_acting_network", None)
        if find is None or not isinstance(find(), SpikingNetwork):
            raise ValueError(
                f"{type(policy).__name__} acts without spikes, so there are none to shed; use a "
                "spiking policy of snn_gym.policies, or the algorithm without lean"
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
            self.shedding.update(progress)

    def _is_over(self, progress: float) -> bool:
        """Return whether there is nothing to learn, by returns or because another has learned."""
        taught = self.teacher is not None
        return taught or learning_is_over(self._mean_returns(), progress, self.lean_parameters)

    def _begin_shedding(self, progress: float) -> Shedding:
        recent = [episode["r"] for episode in self.ep_info_buffer or ()]
        means = self._mean_returns()
        first = means[~np.isnan(means)][:1]
        bound = BoundControl(self.lean_parameters.bound)
        # Nobody knows what a teacher earned, and a student that starts anew earns nothing yet.
        if self.teacher is None and len(recent) > 1 and len(first):
            reference = float(np.mean(recent))
            error = float(np.std(recent, ddof=1)) / len(recent) ** 0.5
            gained = max(0.0, reference - float(first[0]))
            bound = replace(bound, reference=reference, error=error, gained=gained)
        return Shedding(self, self.lean_parameters, bound, progress, self.teacher)

    def _progress(self) -> float:
        return min(1.0, self.num_timesteps / max(1, self._total_timesteps))

    def _mean_returns(self) -> NDArray[np.float64]:
        """Return the mean return (STRETCHES,) of every stretch of the training, NaN for none."""
        returns, episodes = self._sums
        return np.where(episodes > 0, returns / np.maximum(episodes, 1), np.nan)

    def _update_info_buffer(
        self, infos: list[dict[str, Any]], dones: NDArray[np.bool_] | None = None
    ) -> None:
        super()._update_info_buffer(infos, dones)
        returns = [float(info["episode"]["r"]) for info in infos if "episode" in info]
        for episode_return in returns:
            self.remember_episode(self._progress(), episode_return)
        if self.shedding is not None:
            self.shedding.returns.extend(returns)

    def remember_episode(self, progress: float, episode_return: float) -> None:
        """Count a training episode, by which it is found when learning is over.

        Args:
            progress: Share of the training that was done when it ended, 0 to 1.
            episode_return: Sum of its rewards.
        """
        stretch = min(STRETCHES - 1, int(progress * STRETCHES))
        self._sums[:, stretch] += episode_return, 1

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
        return [*super()._excluded_save_params(), "shedding", "teacher", "_sums"]


@functools.cache
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
