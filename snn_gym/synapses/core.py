"""The network as an environment: many networks in training, moved weight by weight, as a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from snn_gym.config import Config, Count, Positive, from_mapping
from snn_gym.spiking.config import NetworkConfig
from snn_gym.spiking.population import Population, start_weights
from snn_gym.synapses.features import SynapseFeatures, check_features
from snn_gym.synapses.jobs import Job, Probe, RolloutJob, check_finite
from snn_gym.synapses.local_dynamics import LOCAL_MEASURES
from snn_gym.synapses.presets import PRESETS
from snn_gym.synapses.supervised import digits, teacher, xor

JOBS: dict[str, Callable[[], Job]] = {
    "Teacher": teacher,
    "XOR": xor,
    "Digits": digits,
    "CartPole": functools.partial(RolloutJob.of, "CartPole", "CartPole-v1"),
    "Acrobot": functools.partial(RolloutJob.of, "Acrobot", "Acrobot-v1"),
    "MountainCar": functools.partial(RolloutJob.of, "MountainCar", "MountainCar-v0"),
}
"""What makes each job, by name."""

MOVES = 3
"""Moves of a synapse: 0 lowers its weight by a step, 1 leaves it, 2 raises it."""

HORIZON = 100
"""Moves of an episode, unless told otherwise."""

_NO_EPISODE = -1


@dataclass(frozen=True)
class PlasticitySettings(Config):
    """How a network in training is seen, moved and judged."""

    step_size: Positive
    """Change of a weight by one move. Default: the job's."""
    probe_size: Count
    """Episodes or samples that weights are judged on. Default: the job's."""
    weight_limit: Positive = 4.0
    """Bound of every weight's absolute value."""
    renew_probe_every: Count = 30
    """Moves after which a new probe is drawn; the default is that of Bhargava et al. 2022."""
    reward: Literal["sign", "difference"] = "sign"
    """``sign``: 1 if the score rose, else -1, ties too; or the ``difference`` of scores."""
    features: tuple[str, ...] = PRESETS["weight+topology"]
    """Blocks of ``FEATURES`` that are observed; a name of ``PRESETS`` serves too."""
    history: Count = 2
    """Past moves and rewards in the blocks of histories."""

    def __post_init__(self) -> None:
        """Check the values."""
        super().__post_init__()
        object.__setattr__(self, "features", check_features(self.features))


@dataclass(frozen=True)
class Transition:
    """One move of N networks; where an episode ended, ``observations`` are the next one's."""

    observations: NDArray[np.float32]
    """(N, W, F) in [-1, 1]."""
    rewards: NDArray[np.float64]
    """(N,)."""
    truncated: NDArray[np.bool_]
    """(N,), whether the episode ended at the horizon."""
    last_observations: NDArray[np.float32]
    """(N, W, F), what the moves led to, before new episodes."""
    last_scores: NDArray[np.float64]
    """(N,), scores that the moves led to, on the probe they were judged on."""
    last_steps: NDArray[np.int64]
    """(N,), environment steps, or samples seen, since the start of the episode."""
    last_weights: NDArray[np.float32]
    """(N, W), what the moves led to."""


class PlasticityCore:
    """N networks in training, each with random numbers of its own.

    An episode begins with random weights. A move changes every weight by ``-step_size``, 0 or
    ``step_size``, within ``weight_limit``; the reward says whether the job is done better, judged
    before and after the move on one probe. Network k of a batch does what a batch of one does with
    the same seed.

    Args:
        job: The job, or its name.
        networks: Number N of networks.
        network: What the networks are made of; the job's default if None.
        horizon: Moves of an episode; None for no end.
        **settings: Fields of ``PlasticitySettings``.

    Raises:
        ValueError: The job is unknown, or an argument is not allowed.
        gymnasium.error.DependencyNotInstalled: A package that the job needs is absent.
    """

    def __init__(
        self,
        job: str | Job,
        networks: int = 1,
        network: NetworkConfig | Mapping[str, Any] | None = None,
        horizon: int | None = None,
        **settings: Any,
    ) -> None:
        if networks < 1 or (horizon is not None and horizon < 1):
            raise ValueError(
                f"networks and horizon must be at least 1, got {networks} and {horizon}"
            )
        self.job = make_job(job)
        self.settings = _settings(self.job, settings)
        if isinstance(network, Mapping):
            network = NetworkConfig.from_dict(network)
        config = self.job.network if network is None else network
        self.population = Population(config, self.job.input_size, self.job.output_size)
        self.features = SynapseFeatures(
            self.settings.features, self.population.synapses,
            self.settings.weight_limit, self.settings.history,
        )  # fmt: skip
        self.networks = networks
        self.horizon = horizon
        self.generators = [seeding.np_random()[0] for _ in range(networks)]
        """Source of each network's randomness."""
        self._allocate()

    def __getstate__(self) -> dict[str, Any]:
        # Norse's neurons in a population can't be pickled; the rest makes the same one again.
        return {**self.__dict__, "population": self.population.config}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        config = state["population"]
        self.population = Population(config, self.job.input_size, self.job.output_size)

    def _allocate(self) -> None:
        shape = (self.networks, self.synapses)
        history = self.settings.history
        self._measure = "dynamics" in self.settings.features
        self._weights = np.zeros(shape, np.float32)
        self._probes: Probe = np.zeros((self.networks, self.settings.probe_size), np.int64)
        self._scores = np.zeros(self.networks)
        self._steps = np.zeros(self.networks, np.int64)
        self._moved = np.full(self.networks, _NO_EPISODE)
        self._past_moves = np.zeros((self.networks, history, self.synapses), np.int8)
        self._past_rewards = np.zeros((self.networks, history), np.float32)
        measures = (*shape, len(LOCAL_MEASURES))
        self._dynamics = np.zeros(measures, np.float32) if self._measure else None

    @property
    def synapses(self) -> int:
        """Number W of weights and biases of a network."""
        return self.population.parameter_count

    @property
    def weights(self) -> NDArray[np.float32]:
        """Present weights (N, W), float32; a copy."""
        return self._weights.copy()

    @property
    def scores(self) -> NDArray[np.float64]:
        """Present scores (N,), each on its network's probe; a copy."""
        return self._scores.copy()

    @property
    def steps(self) -> NDArray[np.int64]:
        """Environment steps, or samples seen, (N,) since episodes began; a copy."""
        return self._steps.copy()

    def seed(self, seeds: Sequence[int | None], which: NDArray[np.int64]) -> None:
        """Restart the random numbers of some networks; a seed of None goes on."""
        for index in which:
            if seeds[index] is not None:
                self.generators[index], _ = seeding.np_random(seeds[index])

    def start(self, which: NDArray[np.int64]) -> None:
        """Start an episode in some networks (n,)."""
        for index in which:
            rng = self.generators[index]
            self._weights[index] = start_weights(self.population, rng, 1)[0]
            self._probes[index] = self.job.draw_probe(rng, self.settings.probe_size)
        self._weights[which] = self._clipped(self._weights[which])
        judged = self.job.judge(
            self.population, self._weights[which], self._probes[which], measure=self._measure
        )
        check_finite(self.job.name, judged.scores)
        self._scores[which] = judged.scores
        self._steps[which] = judged.network_steps
        if self._dynamics is not None:
            self._dynamics[which] = judged.dynamics
        self._moved[which] = 0
        self._past_moves[which] = 0
        self._past_rewards[which] = 0.0

    def observe(self) -> NDArray[np.float32]:
        """Return the features of every synapse (N, W, F), float32 in [-1, 1]; a new array."""
        return self.features.observe(
            self._weights, self._past_moves, self._past_rewards, self._dynamics
        )

    def step(self, actions: NDArray[np.integer]) -> Transition:
        """Move every weight and judge; start new episodes where one ends at the horizon.

        Args:
            actions: (N, W), integers in {0, 1, 2}; see ``MOVES``.

        Raises:
            ValueError: The actions do not fit, or a score is not finite.
            gymnasium.error.ResetNeeded: A network has no episode.
        """
        self._check(actions)
        moves = actions.astype(np.int8) - np.int8(1)
        rewards = self._rewards(self._judge(moves))
        self._moved += 1
        self._past_moves = _pushed(self._past_moves, moves)
        self._past_rewards = _pushed(self._past_rewards, rewards)
        last = self.observe()
        present = self.scores, self.steps, self.weights
        truncated = self._moved >= (np.inf if self.horizon is None else self.horizon)
        observations = last
        if truncated.any():
            self.start(np.flatnonzero(truncated))
            observations = self.observe()
        return Transition(observations, rewards, truncated, last, *present)

    def _judge(self, moves: NDArray[np.int8]) -> NDArray[np.float64]:
        """Move the weights and return by how much the scores rose (N,)."""
        old = self._weights
        # The old weights are judged again only where there is a new probe to compare on.
        anew = np.flatnonzero(
            (self._moved > 0) & (self._moved % self.settings.renew_probe_every == 0)
        )
        for index in anew:
            size = self.settings.probe_size
            self._probes[index] = self.job.draw_probe(self.generators[index], size)
        self._weights = self._clipped(old + np.float32(self.settings.step_size) * moves)
        judged = self.job.judge(
            self.population,
            np.concatenate([self._weights, old[anew]]),
            np.concatenate([self._probes, self._probes[anew]]),
            measure=self._measure,
        )
        check_finite(self.job.name, judged.scores)
        before = self._scores
        before[anew] = judged.scores[self.networks :]
        self._scores = judged.scores[: self.networks]
        self._steps = self._steps + judged.network_steps[: self.networks]
        self._steps[anew] += judged.network_steps[self.networks :]
        if judged.dynamics is not None:
            self._dynamics = judged.dynamics[: self.networks]
        return self._scores - before

    def _rewards(self, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.settings.reward == "difference":
            return gains
        return np.where(gains > 0.0, 1.0, -1.0)

    def _check(self, actions: NDArray[np.integer]) -> None:
        if (self._moved == _NO_EPISODE).any():
            raise gym.error.ResetNeeded("call reset() before step()")
        shape = (self.networks, self.synapses)
        fits = actions.shape == shape and actions.dtype.kind in "iu"
        if not fits or actions.min() < 0 or actions.max() >= MOVES:
            raise ValueError(
                f"actions must be integers 0, 1 or 2 of shape {shape}, one for each network and "
                f"synapse; got {actions.dtype} of shape {actions.shape}: {actions}"
            )

    def _clipped(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        limit = np.float32(self.settings.weight_limit)
        return np.clip(weights, -limit, limit)


def make_job(job: str | Job) -> Job:
    """Return the job of a name of ``JOBS``, or the job itself.

    Raises:
        ValueError: There is none of that name.
        gymnasium.error.DependencyNotInstalled: A package that it needs is absent.
    """
    if isinstance(job, Job):
        return job
    if job not in JOBS:
        raise ValueError(f"job {job!r} is unknown; allowed: {', '.join(JOBS)}, or a Job")
    return JOBS[job]()


def _settings(job: Job, given: Mapping[str, Any]) -> PlasticitySettings:
    values = {"step_size": job.step_size, "probe_size": job.probe_size, **given}
    features = values.get("features")
    if isinstance(features, str):
        if features not in PRESETS:
            raise ValueError(
                f"features {features!r} are unknown; allowed: {', '.join(PRESETS)}, or a list of "
                "blocks"
            )
        values["features"] = PRESETS[features]
    return from_mapping(PlasticitySettings, values, "plasticity")


def _pushed(past: NDArray[Any], latest: NDArray[Any]) -> NDArray[Any]:
    """Return a history (N, h, ...) with the latest (N, ...) first and the oldest dropped."""
    return np.concatenate([latest[:, np.newaxis].astype(past.dtype), past[:, :-1]], axis=1)
