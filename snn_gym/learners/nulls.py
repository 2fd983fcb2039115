"""Learners that compare a candidate with what they hold: the nulls of every learning rule."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import GymEnv

from snn_gym.learners.base import GradientFreeAlgorithm, LearnerArguments
from snn_gym.learners.settings import (
    AcceptRejectSettings,
    ComparingSettings,
    Comparison,
    RandomSearchSettings,
    WinStaySettings,
)
from snn_gym.policies.controller import SpikingControllerPolicy
from snn_gym.spiking.population import start_weights

PolicyType = str | type[SpikingControllerPolicy]


class ComparingLearner(GradientFreeAlgorithm):
    """A learner that accepts a candidate if it is not worse than the weights that it holds.

    Comparisons:

    - ``paired``: both play the same new episodes in every iteration;
    - ``until_accepted``: candidates play the same episodes until one is accepted, so that the
      weights held are judged once for all of them; then come new episodes;
    - ``kept_score``: candidates play new episodes, and the weights held keep the score with which
      they were accepted.

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        probe_episodes: Episodes that judge weights.
        comparison: See above.
        early_rejection: Whether a candidate that is worse in the first episode is spared the
            others.
        **arguments: See ``LearnerArguments``.
    """

    settings_class: ClassVar[type[ComparingSettings]] = ComparingSettings

    def __init__(
        self,
        policy: PolicyType,
        env: GymEnv | str | None,
        *,
        probe_episodes: int = ComparingSettings.probe_episodes,
        comparison: Comparison = ComparingSettings.comparison,
        early_rejection: bool = ComparingSettings.early_rejection,
        **arguments: Unpack[LearnerArguments],
    ) -> None:
        self.comparison = comparison
        self.early_rejection = early_rejection
        super().__init__(policy, env, probe_episodes=probe_episodes, **arguments)

    @abstractmethod
    def _propose(self) -> NDArray[np.float32]:
        """Return a candidate (W,)."""

    def _learn_from(self, gain: float) -> None:
        """Take note of by how much the candidate was better; below 0 it was rejected."""

    def _first_memory(self) -> dict[str, NDArray[Any]]:
        count = self.probe_episodes
        return {"seeds": np.zeros(count, np.int64), "scores": np.full(count, np.nan)}

    def _iterate(self) -> None:
        candidate = self._propose()
        self._choose_episodes()
        gain, scores = self._compare(candidate)
        if gain >= 0:
            self.weights = candidate
            self.memory["scores"][:] = scores if self.comparison == "kept_score" else np.nan
        self._learn_from(gain)

    def _choose_episodes(self) -> None:
        scores = self.memory["scores"]
        if self.comparison != "until_accepted" or np.isnan(scores).all():
            self.memory["seeds"][:] = self.probe_seeds()
        if self.comparison == "paired":
            scores[:] = np.nan

    def _compare(self, candidate: NDArray[np.float32]) -> tuple[float, NDArray[np.float64]]:
        """Return by how much the candidate's mean is higher, and its returns (E,)."""
        scores = np.full(self.probe_episodes, np.nan)
        gain = 0.0
        for part in self._parts():
            scores[part] = self._play(candidate, part)
            held = self.memory["scores"]
            if self.comparison != "kept_score":
                held = np.where(np.isnan(scores), np.nan, held)
            gain = float(np.nanmean(scores) - np.nanmean(held))
            if gain < 0:
                break
        return gain, scores

    def _parts(self) -> list[slice]:
        """Return the episodes that are played before it is decided whether to play on."""
        if self.early_rejection and self.probe_episodes > 1:
            return [slice(0, 1), slice(1, None)]
        return [slice(None)]

    def _play(self, candidate: NDArray[np.float32], part: slice) -> NDArray[np.float64]:
        """Return the candidate's returns; judge the weights held as well where that is missing."""
        seeds = self.memory["seeds"][part].tolist()
        held = self.memory["scores"][part]
        missing = bool(np.isnan(held).any())
        networks = np.stack([self.weights, candidate] if missing else [candidate])
        returns = self.judge(networks, seeds).returns
        if missing:
            held[:] = returns[0]
        scores: NDArray[np.float64] = returns[-1]
        return scores


class AcceptReject(ComparingLearner):
    """Hill climbing: move weights at random, keep the move if the probe is not worse.

    A (1+1) evolution strategy with a fixed step (Rechenberg 1973; Beyer and Schwefel 2002,
    https://doi.org/10.1023/A:1015059928466), without their adaptation of the step size. It knows
    nothing of where a synapse sits or what the network does.

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        step_size: Standard deviation of a weight's step, or its length where steps are signs.
        step_shape: ``normal`` or ``sign``.
        moved_share: Probability that a candidate moves a weight; it moves at least one.
        probe_episodes: Episodes that judge weights.
        comparison: See ``ComparingLearner``.
        early_rejection: See ``ComparingLearner``.
        **arguments: See ``LearnerArguments``.

    Raises:
        ValueError: A hyper-parameter is out of range, or a space is not supported.

    Example:
        >>> from snn_gym.learners import AcceptReject
        >>> model = AcceptReject("SpikingControllerPolicy", "CartPole-v1", seed=0)
        >>> model.learn(2_000).num_timesteps >= 2_000
        True
    """

    settings_class = AcceptRejectSettings

    def __init__(
        self,
        policy: PolicyType,
        env: GymEnv | str | None,
        *,
        step_size: float = AcceptRejectSettings.step_size,
        step_shape: Literal["normal", "sign"] = AcceptRejectSettings.step_shape,
        moved_share: float = AcceptRejectSettings.moved_share,
        probe_episodes: int = AcceptRejectSettings.probe_episodes,
        comparison: Comparison = AcceptRejectSettings.comparison,
        early_rejection: bool = AcceptRejectSettings.early_rejection,
        **arguments: Unpack[LearnerArguments],
    ) -> None:
        self.step_size = step_size
        self.step_shape = step_shape
        self.moved_share = moved_share
        super().__init__(
            policy,
            env,
            probe_episodes=probe_episodes,
            comparison=comparison,
            early_rejection=early_rejection,
            **arguments,
        )

    def _propose(self) -> NDArray[np.float32]:
        weights = self.weights
        steps = self.rng.standard_normal(weights.size)
        if self.step_shape == "sign":
            steps = np.sign(steps)
        moved = self.rng.random(weights.size) < self.moved_share
        moved[self.rng.integers(weights.size)] = True
        return (weights + self.step_size * np.where(moved, steps, 0.0)).astype(np.float32)


class RandomSearch(GradientFreeAlgorithm):
    """Guess fresh weights again and again, and keep the best.

    In every iteration the weights held and the candidates play the same new episodes, so that no
    lucky score lasts. Weights are drawn as ``start_weights`` draws them. How far guessing alone
    gets: Schmidhuber, Hochreiter and Bengio 2001, "Evaluating benchmark problems by random
    guessing", in A Field Guide to Dynamical Recurrent Networks, IEEE Press.

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        candidates: Fresh networks of an iteration.
        head_scale: Spread of the outputs where all decoded activity is 1.
        probe_episodes: Episodes that judge each network.
        **arguments: See ``LearnerArguments``.

    Raises:
        ValueError: A hyper-parameter is out of range, or a space is not supported.
    """

    settings_class = RandomSearchSettings

    def __init__(
        self,
        policy: PolicyType,
        env: GymEnv | str | None,
        *,
        candidates: int = RandomSearchSettings.candidates,
        head_scale: float = RandomSearchSettings.head_scale,
        probe_episodes: int = RandomSearchSettings.probe_episodes,
        **arguments: Unpack[LearnerArguments],
    ) -> None:
        self.candidates = candidates
        self.head_scale = head_scale
        super().__init__(policy, env, probe_episodes=probe_episodes, **arguments)

    def _iterate(self) -> None:
        fresh = start_weights(
            self.population, self.rng, self.candidates, head_scale=self.head_scale
        )
        networks = np.concatenate([self.weights[None], fresh])
        # Of equally good ones argmax takes the first: the weights held stay.
        self.weights = networks[self.judge(networks).returns.mean(axis=1).argmax()]


class WinStay(ComparingLearner):
    """Every synapse repeats its last move while that pays, and else shifts.

    A move is one of -a, 0 and a. If the probe got better by the moves, all synapses make them once
    more (win-stay); if it got worse the weights go back, and every synapse draws a new move
    (lose-shift), or first tries the opposite. Context: synapses as win-stay agents in Bhargava et
    al. 2022, https://arxiv.org/abs/2105.14383; here weights that lost go back.

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        step_size: Length a of a move.
        moved_share: Probability that a drawn move is not 0.
        lose: ``redraw``, or ``reverse`` for the opposite of a lost move before a new one.
        probe_episodes: Episodes that judge weights.
        comparison: See ``ComparingLearner``.
        early_rejection: See ``ComparingLearner``.
        **arguments: See ``LearnerArguments``.

    Raises:
        ValueError: A hyper-parameter is out of range, or a space is not supported.
    """

    settings_class = WinStaySettings

    def __init__(
        self,
        policy: PolicyType,
        env: GymEnv | str | None,
        *,
        step_size: float = WinStaySettings.step_size,
        moved_share: float = WinStaySettings.moved_share,
        lose: Literal["redraw", "reverse"] = WinStaySettings.lose,
        probe_episodes: int = WinStaySettings.probe_episodes,
        comparison: Comparison = WinStaySettings.comparison,
        early_rejection: bool = WinStaySettings.early_rejection,
        **arguments: Unpack[LearnerArguments],
    ) -> None:
        self.step_size = step_size
        self.moved_share = moved_share
        self.lose = lose
        super().__init__(
            policy,
            env,
            probe_episodes=probe_episodes,
            comparison=comparison,
            early_rejection=early_rejection,
            **arguments,
        )

    def _first_memory(self) -> dict[str, NDArray[Any]]:
        # may_reverse: whether the moves were drawn or won, and so have an opposite to try
        own = {"moves": self._drawn_moves(), "may_reverse": np.array(True)}
        return {**super()._first_memory(), **own}

    def _propose(self) -> NDArray[np.float32]:
        return (self.weights + self.step_size * self.memory["moves"]).astype(np.float32)

    def _learn_from(self, gain: float) -> None:
        if gain > 0:
            self.memory["may_reverse"] = np.array(True)
            return
        if gain < 0 and self.lose == "reverse" and self.memory["may_reverse"]:
            self.memory["moves"] *= -1
            self.memory["may_reverse"] = np.array(False)
            return
        self.memory |= {"moves": self._drawn_moves(), "may_reverse": np.array(True)}

    def _drawn_moves(self) -> NDArray[np.int8]:
        """Return moves (W,) in {-1, 0, 1}."""
        count = self.population.parameter_count
        signs = self.rng.choice(np.array([-1, 1], np.int8), count)
        return np.where(self.rng.random(count) < self.moved_share, signs, 0).astype(np.int8)
