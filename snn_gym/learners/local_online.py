"""``OnlineActor``: a policy that goes on learning while it acts, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snn_gym.learners.local_core import Moments, Outcome, Rule
from snn_gym.learners.local_regulator import LocalRegulator
from snn_gym.learners.local_ruled import make_core
from snn_gym.policies.local_actor_critic import LocalActorCriticPolicy


class OnlineActor:
    """A ``LocalActorCriticPolicy`` that acts in B environments and learns from every step at once.

    Nothing is stored but the traces: what an action led to changes the weights, and is forgotten.
    The learning of ``LocalActorCritic`` is made of it, and so may be the life of an agent that is
    deployed: ``LocalActorCritic.online`` makes one.

    Args:
        policy: Acts, and is changed.
        samples: Number B of environments.
        rule: Constants of the rule.
        rng: Draws the actions.
        moments: Adam's, of this policy; None for none yet.
        regulator: What regulates this policy's hidden neurons; None for nothing.
        hidden_rate: Step size of hidden synapses, as a share of the readouts'.
        step_size: Of the readouts; also an attribute, to be set at any time. 0 to learn nothing.

    Raises:
        ValueError: The network has a part that the rule can't learn.
    """

    def __init__(
        self,
        policy: LocalActorCriticPolicy,
        samples: int,
        rule: Rule,
        rng: np.random.Generator,
        moments: Moments | None = None,
        regulator: LocalRegulator | None = None,
        *,
        hidden_rate: float,
        step_size: float = 0.0,
    ) -> None:
        self._policy, self.rng = policy, rng
        self._hidden_rate, self.step_size = hidden_rate, step_size
        self.core = make_core(policy, samples, rule, moments, regulator)
        self._values_after = np.zeros(samples, np.float32)
        self._none = Outcome(
            np.zeros(samples, np.float32), np.zeros(samples, np.bool_), self._values_after
        )

    def reset(self, observation: Any) -> Any:
        """Begin an episode in the one environment; see ``begin``.

        Args:
            observation: Its first observation.

        Returns:
            The action.
        """
        return self.begin(np.asarray(observation)[np.newaxis])[0]

    def step(self, observation: Any, reward: float, terminated: bool, truncated: bool) -> Any:
        """Learn from what the last action led to in the one environment, and act.

        Args:
            observation: What the environment showed after the action.
            reward: What the action earned.
            terminated: Whether the episode came to its end.
            truncated: Whether a limit cut it.

        Returns:
            The next action; of no use where the episode is over and ``reset`` comes next.
        """
        observations = np.asarray(observation)[np.newaxis]
        cut = truncated and not terminated
        info = {"terminal_observation": observations[0], "TimeLimit.truncated": cut}
        rewards, dones = np.array([reward], np.float32), np.array([terminated or truncated])
        return self.go_on(observations, rewards, dones, [info])[0]

    def begin(self, observations: Any) -> NDArray[Any]:
        """Begin episodes in all environments, and forget what was decided before.

        Args:
            observations: Batch of B observations.

        Returns:
            Actions (B, ...).
        """
        self.core.forget()
        return self._step(observations, self._none, 0.0)

    def go_on(
        self,
        observations: Any,
        rewards: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: Sequence[Mapping[str, Any]],
    ) -> NDArray[Any]:
        """Learn from what the last actions led to, and act.

        Args:
            observations: Batch of B observations; those that begin an episode where one ended.
            rewards: (B,), as the environments gave them.
            dones: (B,), whether an episode ended.
            infos: Of each environment; where an episode ended with ``terminal_observation`` and
                ``TimeLimit.truncated``, as Stable-Baselines3 has them.

        Returns:
            Actions (B, ...).
        """
        if np.count_nonzero(dones):
            self._values_after[:] = 0.0
            self._value_cut_episodes(dones, infos)
        outcome = Outcome(rewards.astype(np.float32, copy=False), dones, self._values_after)
        return self._step(observations, outcome, self.step_size)

    def _value_cut_episodes(
        self, dones: NDArray[np.bool_], infos: Sequence[Mapping[str, Any]]
    ) -> None:
        """What a limit cut would have gone on from its last observation."""
        cut = [
            k for k in np.flatnonzero(dones).tolist() if infos[k].get("TimeLimit.truncated", False)
        ]
        if cut:
            last = np.stack([infos[k]["terminal_observation"] for k in cut])
            self._values_after[cut] = self.core.values(self._policy.seen(last))

    def _step(self, observations: Any, outcome: Outcome, step_size: float) -> NDArray[Any]:
        core = self.core
        noise = self._draw(core.noise_shape)
        sizes = (step_size * self._hidden_rate, step_size)
        chosen = core.step(self._policy.seen(observations), noise, outcome, sizes)
        if not core.is_continuous:
            return chosen.copy()
        space = self._policy.action_space
        squashed = np.tanh(chosen).reshape(-1, *(space.shape or ()))
        actions: NDArray[Any] = self._policy.unscale_action(squashed)
        return actions

    def _draw(self, shape: tuple[int, int]) -> NDArray[np.float64]:
        if self.core.is_continuous:
            return self.rng.standard_normal(shape)
        return self.rng.random(shape)
