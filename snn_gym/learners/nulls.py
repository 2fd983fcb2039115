"""Learners that compare a candidate with the weights they hold: the nulls of a learning rule."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snn_gym.learners.base import GradientFreeAlgorithm
from snn_gym.learners.settings import (
    AcceptRejectSettings,
    ComparingSettings,
    RandomSearchSettings,
    WinStaySettings,
)
from snn_gym.spiking.population import start_weights


@dataclass
class ComparingMemory:
    """What a comparing learner carries."""

    seeds: NDArray[np.int64]
    """(E,), of the present episodes."""
    scores: NDArray[np.float64]
    """(E,), returns of the weights held; NaN where they are to be judged."""


@dataclass
class WinStayMemory(ComparingMemory):
    """What ``WinStay`` carries."""

    moves: NDArray[np.int8]
    """(W,), -1, 0 or 1, of the next candidate."""
    may_reverse: bool = True
    """Whether the moves were drawn or won, and so have an opposite to try."""


class ComparingLearner(GradientFreeAlgorithm):
    """A learner that accepts a candidate if it is not worse than the weights that it holds.

    Comparisons:

    - ``paired``: both play the same new episodes in every iteration;
    - ``until_accepted``: candidates play the same episodes until one is accepted, so that the
      weights held are judged once for all of them; then come new episodes;
    - ``kept_score``: candidates play new episodes, and the weights held keep the score with which
      they were accepted.
    """

    settings_class: ClassVar[type[ComparingSettings]] = ComparingSettings
    settings: ComparingSettings
    memory: ComparingMemory

    @abstractmethod
    def _propose(self) -> NDArray[np.float32]:
        """Return a candidate (W,)."""

    def _learn_from(self, gain: float) -> None:
        """Take note of by how much the candidate was better; below 0 it was rejected."""

    def _first_memory(self) -> ComparingMemory:
        count = self.settings.probe_episodes
        return ComparingMemory(np.zeros(count, np.int64), np.full(count, np.nan))

    def _iterate(self) -> None:
        candidate = self._propose()
        self._choose_episodes()
        gain, scores = self._compare(candidate)
        if gain >= 0:
            self.weights = candidate
            self.memory.scores[:] = scores if self.settings.comparison == "kept_score" else np.nan
        self._learn_from(gain)

    def _choose_episodes(self) -> None:
        scores = self.memory.scores
        if self.settings.comparison != "until_accepted" or np.isnan(scores).all():
            self.memory.seeds[:] = self.probe_seeds()
        if self.settings.comparison == "paired":
            scores[:] = np.nan

    def _compare(self, candidate: NDArray[np.float32]) -> tuple[float, NDArray[np.float64]]:
        """Return by how much the candidate's mean is higher, and its returns (E,)."""
        scores = np.full(self.settings.probe_episodes, np.nan)
        gain = 0.0
        for part in self._parts():
            scores[part] = self._play(candidate, part)
            held = self.memory.scores
            if self.settings.comparison != "kept_score":
                held = np.where(np.isnan(scores), np.nan, held)
            gain = float(np.nanmean(scores) - np.nanmean(held))
            if gain < 0:
                break
        return gain, scores

    def _parts(self) -> list[slice]:
        """Return the episodes that are played before it is decided whether to play on."""
        if self.settings.early_rejection and self.settings.probe_episodes > 1:
            return [slice(0, 1), slice(1, None)]
        return [slice(None)]

    def _play(self, candidate: NDArray[np.float32], part: slice) -> NDArray[np.float64]:
        """Return the candidate's returns; judge the weights held as well where that is missing."""
        seeds = self.memory.seeds[part].tolist()
        held = self.memory.scores[part]
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

    Example:
        >>> from snn_gym.learners import AcceptReject
        >>> model = AcceptReject("SpikingControllerPolicy", "CartPole-v1", seed=0)
        >>> model.learn(2_000).num_timesteps >= 2_000
        True
    """

    settings_class = AcceptRejectSettings
    settings: AcceptRejectSettings

    def _propose(self) -> NDArray[np.float32]:
        weights = self.weights
        steps = self.rng.standard_normal(weights.size)
        if self.settings.step_shape == "sign":
            steps = np.sign(steps)
        moved = self.rng.random(weights.size) < self.settings.moved_share
        moved[self.rng.integers(weights.size)] = True
        return (weights + self.settings.step_size * np.where(moved, steps, 0.0)).astype(np.float32)


class RandomSearch(GradientFreeAlgorithm):
    """Guess fresh weights again and again, and keep the best.

    In every iteration the weights held and the candidates play the same new episodes, so that no
    lucky score lasts. Weights are drawn as ``start_weights`` draws them. How far guessing alone
    gets: Schmidhuber, Hochreiter and Bengio 2001, "Evaluating benchmark problems by random
    guessing", in A Field Guide to Dynamical Recurrent Networks, IEEE Press.
    """

    settings_class = RandomSearchSettings
    settings: RandomSearchSettings

    def _iterate(self) -> None:
        fresh = start_weights(
            self.population, self.rng, self.settings.candidates, head_scale=self.settings.head_scale
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
    """

    settings_class = WinStaySettings
    settings: WinStaySettings
    memory: WinStayMemory

    def _first_memory(self) -> WinStayMemory:
        compared = super()._first_memory()
        return WinStayMemory(compared.seeds, compared.scores, self._drawn_moves())

    def _propose(self) -> NDArray[np.float32]:
        return (self.weights + self.settings.step_size * self.memory.moves).astype(np.float32)

    def _learn_from(self, gain: float) -> None:
        memory = self.memory
        reverses = gain < 0 and self.settings.lose == "reverse" and memory.may_reverse
        memory.may_reverse = not reverses
        if reverses:
            memory.moves *= -1
        elif gain <= 0:
            memory.moves = self._drawn_moves()

    def _drawn_moves(self) -> NDArray[np.int8]:
        """Return moves (W,) in {-1, 0, 1}."""
        count = self.population.parameter_count
        signs = self.rng.choice(np.array([-1, 1], np.int8), count)
        return np.where(self.rng.random(count) < self.settings.moved_share, signs, 0).astype(
            np.int8
        )
