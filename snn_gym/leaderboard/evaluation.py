"""Evaluation of a final policy: returns of episodes, and costs of decisions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from snn_gym._base.config import Length, Range, typed
from snn_gym._base.numerics import one_thread
from snn_gym._base.spaces import by_key, each_array, row, set_row, stacked
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.program.costs import Costs, mean_costs

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy

    from snn_gym.envs.stable_baselines import EnvironmentLike, Given
    from snn_gym.policies.raw_observations import Acting

EVALUATOR_VERSION = 7
"""Version of the procedure in this module; scores of different versions do not compare.

Version 7 plays as versions 4 to 6 did, and counts costs as version 6 did. Where it subsamples, it
draws from all episodes; version 6 took every second, fourth, ... one.
"""
COMPARED_VERSIONS = (6, EVALUATOR_VERSION)
"""Versions whose scores compare, and whose costs compare where no decision was left out."""

FIRST_EVALUATION_SEED = 2_000_000_000
"""Public seed of the first episode; training seeds are smaller."""

MOST_EPISODES = 1_000_000
"""Largest number of public seeds."""
_EpisodeSeed = Annotated[int, Range(at_least=0, below=2**32)]
_EpisodeSeeds = Annotated[tuple[_EpisodeSeed, ...], Length(1, MOST_EPISODES)]

OFFICIAL_EPISODES = 100
"""Episodes behind every row of the results table."""

MAX_KEPT_OBSERVATIONS = 20_000
_MAX_KEPT_BYTES = 1 << 30
_OBSERVATIONS_PER_RECORD = 512
_EPISODES_TOGETHER = 100


@dataclass(frozen=True)
class Evaluation(Costs):
    """Returns of a final policy, and mean costs of its decisions."""

    env_id: str
    seeds: tuple[int, ...]
    """Seed of each episode."""
    returns: tuple[float, ...]
    """Undiscounted sum of rewards of each episode, in the task's reward units."""
    lengths: tuple[int, ...]
    """Environment steps of each episode."""
    iqm: float
    """Interquartile mean of `returns`."""
    mean: float


def evaluation_seeds(episodes: int) -> tuple[int, ...]:
    """Return so many consecutive public seeds; ValueError outside 1 to `MOST_EPISODES`."""
    number = typed(Annotated[int, Range(1, at_most=MOST_EPISODES)], episodes, "episodes")
    return tuple(range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + number))


def evaluate(
    model_or_policy: BaseAlgorithm | BasePolicy | Acting,
    env_id: EnvironmentLike,
    episodes: int = OFFICIAL_EPISODES,
    seeds: Sequence[int] | None = None,
    *,
    env_kwargs: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
) -> Evaluation:
    """Evaluate a final policy, with deterministic actions, on episodes with public or given seeds.

    Each episode resets a separate environment once with its seed; up to 100 episodes run side by
    side. Rewards are summed in float64, without wrappers. The policy's normaliser does not change,
    and an encoder's noise restarts with the first seed. Meanwhile PyTorch uses one thread, so that
    sums do not depend on the number of cores. A stateful policy keeps its state through an episode.
    Costs are means over visited observations with their states. Of these an even sample is taken,
    of at most 20,000 or 1 GiB.

    A model keeps the statistics of its VecNormalize and transposed images. Other wrappers that
    change observations or actions are refused, unless the id has them (docs/guide/agents.md).

    Args:
        model_or_policy: Stable-Baselines3 model or policy, or an object with their `predict`.
            Costs are counted only if it has the method `record`, as our policies have.
        env_id: Gymnasium id, environment, callable that makes one, or VecEnv, whose rewards have
            32 bits. A caller's environments are reset, played in one after the other or as many
            as there are, and stay open.
        episodes: Number of episodes, unless `seeds` is given.
        seeds: Seed of each episode, each in [0, 2**32); None for the public `evaluation_seeds`.
        env_kwargs: Arguments of an id, for ``gym.make``. Others than those that a model was trained
            with give a warning.
        max_steps: Environment steps after which an episode is cut, with a warning; None for
            30,000, or more where the id has a larger limit of its own.

    Returns:
        Returns, lengths and costs.

    Raises:
        TypeError: ``env_id`` is no environment, or there is no model or policy.
        ValueError: There are no episodes, a return or an observation is not finite, a wrapper is
            refused, or the policy's spaces are not those of the environment.
        gymnasium.error.Error: The environment is unknown.
    """
    # Imported here, because importing this module must not load torch.
    from snn_gym.envs.stable_baselines import Given
    from snn_gym.policies.raw_observations import raw_policy

    if not hasattr(model_or_policy, "predict"):
        raise TypeError(
            f"expected a model or a policy, which have predict, got {model_or_policy!r:.100}; load "
            "one by snn_gym.load_pretrained or snn_gym.load_agent"
        )
    given = Given(env_id, env_kwargs)
    policy: Acting = raw_policy(model_or_policy, given.acted_in, env_kwargs)
    played: Any = evaluation_seeds(episodes) if seeds is None else seeds
    played = tuple(played) if np.iterable(played) else played
    seeds = tuple(typed(_EpisodeSeeds, played, "seeds"))
    visited = _Visited(MAX_KEPT_OBSERVATIONS)
    together = given.count or _EPISODES_TOGETHER
    groups = [seeds[k : k + together] for k in range(0, len(seeds), together)]
    with one_thread():
        episodes_played = [
            episode
            for group in groups
            for episode in _play(policy, given, group, visited, max_steps)
        ]
        costs = mean_costs(_costs(policy, visited.decisions, seeds))
    returns = tuple(episode_return for episode_return, _ in episodes_played)
    return Evaluation(
        env_id=given.name,
        seeds=seeds,
        returns=returns,
        lengths=tuple(length for _, length in episodes_played),
        iqm=interquartile_mean(returns),
        mean=float(np.mean(returns)),
        **vars(costs),
    )


class _Visited:
    """Even subsample of visited observations and their states, of bounded size.

    Of each block of decisions one is drawn, by fixed draws: every n-th decision would leave out
    episodes where n and their number have a common divisor, and phases of a task.
    """

    def __init__(self, limit: int, max_bytes: int = _MAX_KEPT_BYTES) -> None:
        self.decisions: list[_Decision] = []
        self._limit, self._max_bytes = limit, max_bytes
        self._seen, self._block, self._drawn = 0, 1, 0
        self._random = np.random.default_rng(0)

    def add(self, observation: Any, state: tuple[NDArray[Any], ...] | None) -> None:
        """Take a decision into account, and keep it if it was drawn."""
        if self._seen % self._block == 0:
            self._drawn = self._seen + int(self._random.integers(self._block))
        if self._seen == self._drawn:
            copied = None if state is None else tuple(np.array(x, copy=True) for x in state)
            self.decisions.append((each_array(np.array, observation), copied))
            size = sum(x.nbytes for x in by_key(observation).values())
            if len(self.decisions) > min(self._limit, max(2, self._max_bytes // max(1, size))):
                self._join_blocks()
        self._seen += 1

    def _join_blocks(self) -> None:
        """Join each two blocks, and draw one of their decisions."""
        number = len(self.decisions)
        chosen = np.arange(0, number, 2) + self._random.integers(2, size=-(-number // 2))
        # The second block of the last pair may not have begun.
        self._drawn += self._block * int(chosen[-1] == number)
        self.decisions = [self.decisions[k] for k in chosen if k < number]
        self._block *= 2


# An observation and the state before it, arrays without the batch axis; None at rest.
_Decision = tuple[Any, tuple[NDArray[Any], ...] | None]


def _play(
    policy: Acting, given: Given, seeds: Sequence[int], visited: _Visited, max_steps: int | None
) -> list[tuple[float, int]]:
    """Play an episode for each seed, side by side; return the return and the length of each.

    The observations, with the policy's states before them, are added to ``visited``. Episodes are
    cut as ``evaluate`` says.
    """
    from snn_gym.envs import batch
    from snn_gym.envs.stable_baselines import MOST_STEPS, spec_of
    from snn_gym.zoo.build import check_spaces

    stage = given.stage(len(seeds))
    own_limit = getattr(spec_of(stage.env), "max_episode_steps", None)
    space, limit = stage.env.observation_space, max_steps or max(MOST_STEPS, own_limit or 0)
    if isinstance(space, gym.spaces.Tuple):
        raise ValueError(
            f"evaluations take arrays, numbers or a Dict of these as observations, got {space}; "
            "register an id with gymnasium.wrappers.FlattenObservation, or use evaluate_policy"
        )
    check_spaces(policy, stage.env, given.name)
    if hasattr(policy, "reseed_noise"):
        policy.reseed_noise(seeds[0])
    observations = stage.reset(seeds)  # shape: (lanes, *observation)
    lanes = len(next(iter(by_key(observations).values())))
    returns = np.zeros(lanes, dtype=np.float64)
    lengths = np.zeros(lanes, dtype=np.int64)
    running = np.arange(lanes) < len(seeds)
    # Only our policies are known to have the batch as the first axis of the state.
    recorded = hasattr(policy, "record")
    state: tuple[NDArray[Any], ...] | None = None
    starts = np.ones(lanes, dtype=np.bool_)
    batch.check_finite("observation", observations, given.name, 0, running, seeds)
    while running.any() and lengths.max() < limit:
        # Ended episodes stay in the batch: rounding depends on its size, so that removing them
        # would make an episode depend on the ends of others.
        actions, carried = policy.predict(observations, state, starts, deterministic=True)
        for k in np.flatnonzero(running).tolist():
            before = None if state is None or not recorded else tuple(x[k] for x in state)
            visited.add(row(observations, k), before)
        ran = running.copy()
        for k, observation, reward, ended in stage.step(actions, ran):
            set_row(observations, k, observation)
            returns[k] += np.float64(reward)
            lengths[k] += 1
            running[k] = not ended
        batch.check_finite("observation", observations, given.name, int(lengths.max()), ran, seeds)
        state, starts = carried, np.zeros(lanes, dtype=np.bool_)
    stage.close()
    if running.any():
        warnings.warn(
            f"{given.name}: episodes did not end within {limit:,} steps and were cut there; raise "
            "max_steps of snn_gym.evaluate, or register the id with max_episode_steps",
            stacklevel=3,
        )
    return list(zip(returns.tolist(), lengths.tolist(), strict=True))[: len(seeds)]


def _costs(
    policy: Acting, decisions: Sequence[_Decision], seeds: Sequence[int]
) -> Iterator[tuple[int, Costs]]:
    """Yield the size and the mean costs of each batch; uncounted if the policy has no record."""
    if not hasattr(policy, "record"):
        yield len(decisions), Costs(uncounted=(type(policy).__name__,))
        return
    if hasattr(policy, "reseed_noise"):
        policy.reseed_noise(seeds[0])
    from_rest = [decision for decision in decisions if decision[1] is None]
    carried = [decision for decision in decisions if decision[1] is not None]
    for group in (from_rest, carried):
        for start in range(0, len(group), _OBSERVATIONS_PER_RECORD):
            observations, states = zip(
                *group[start : start + _OBSERVATIONS_PER_RECORD], strict=True
            )
            # shape: (batch, *observation), and (batch, S) of each array of the state
            state = None if states[0] is None else tuple(map(np.stack, zip(*states, strict=True)))
            yield len(observations), policy.record(stacked(observations), state).costs
