"""Segments: the stretches of training between checkpoints, each begun from the seed alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from torch import Tensor

from snn_gym.learners import GradientFreeAlgorithm, LocalActorCritic
from snn_gym.spiking import SpikingNetwork
from snn_gym.training.checkpoint import save_checkpoint
from snn_gym.training.episodes import EpisodeLog
from snn_gym.wrappers import StableBaselinesVecEnv
from snn_gym.zoo.seeding import Seeding, seed_environments
from snn_gym.zoo.vec_normalize import load_statistics


def begin_segment(
    model: BaseAlgorithm,
    seed: int,
    segment: int,
    make_envs: Callable[[], VecEnv],
    seeding: Seeding = "disjoint",
) -> None:
    """Set every random state from the seed and the segment's number, and reset environments.

    The middle of an episode can't be restored in every environment, and the random states of
    Python, numpy, torch and each environment are spread over many places. So a run, killed or
    not, starts all of them afresh at each checkpoint. Environments are made anew, because some
    outlive their resets: Box2D's worlds carry their history into the next episode.

    Args:
        model: Model at the start of a rollout.
        seed: Seed of the run.
        segment: Number of the segment, from 0.
        make_envs: Makes the model's environments once more.
        seeding: How the environments' random streams follow from the segment's seed.

    Raises:
        ValueError: The model has no environments, or none that are stepped in this process.
    """
    env = model.get_env()
    if env is None:
        raise ValueError("training in segments needs environments, got none; use set_env")
    # Words further back come after and change none of those before.
    state = np.random.SeedSequence([seed, segment]).generate_state(5)
    # torch and the global generators take 32 bits.
    general, actions, environments, noise, learner = (int(value) // 2 for value in state)
    set_random_seed(general)
    networks = (part for part in model.policy.modules() if isinstance(part, SpikingNetwork))
    for index, network in enumerate(networks):
        network.reseed_noise(noise + index)
    if isinstance(model, GradientFreeAlgorithm | LocalActorCritic):
        model.reseed(learner)
    _end_episodes_in_replay(model)
    _replace_environments(env, make_envs)
    env.seed(environments)
    seed_environments(env, environments, seeding)
    model.action_space.seed(actions)  # last, for environments may share it
    model._last_obs = env.reset()  # type: ignore[assignment]
    model._last_episode_starts = np.ones(env.num_envs, dtype=bool)
    normalised = model.get_vec_normalize_env()
    if normalised is not None:  # off-policy algorithms store the values from before it
        model._last_original_obs = normalised.get_original_obs()
    if model.use_sde:
        model.policy.reset_noise(env.num_envs)  # type: ignore[operator]


def _replace_environments(env: VecEnv, make_envs: Callable[[], VecEnv]) -> None:
    """Give the innermost of wrapped environments new ones; wrappers keep their state.

    In place: the rollout that is about to begin already holds these very objects.
    """
    base = env.unwrapped
    if not isinstance(base, DummyVecEnv | StableBaselinesVecEnv):
        raise ValueError(
            "training in segments needs environments that are stepped in this process, got "
            f"{type(base).__name__}; make them by snn_gym.make_vec_env with mode='sync' or "
            "mode='batched'"
        )
    fresh = make_envs().unwrapped
    if isinstance(base, StableBaselinesVecEnv):
        assert isinstance(fresh, StableBaselinesVecEnv)
        base.adopt(fresh)
        return
    assert isinstance(fresh, DummyVecEnv)
    for old in base.envs:
        old.close()
    base.envs[:] = fresh.envs


def _end_episodes_in_replay(model: BaseAlgorithm) -> None:
    """Mark the newest transitions as truncated, as the reset that follows cuts their episodes.

    An n-step return would otherwise run on into the episodes after the reset.
    """
    buffer = getattr(model, "replay_buffer", None)
    if isinstance(buffer, ReplayBuffer) and buffer.size() > 0:
        newest = buffer.pos - 1
        buffer.timeouts[newest] = np.maximum(buffer.timeouts[newest], 1 - buffer.dones[newest])


class SegmentCallback(BaseCallback):
    """Log episodes, and at each checkpoint save the run and begin the next segment."""

    def __init__(
        self,
        checkpoint: Path,
        episodes_file: Path,
        episodes: EpisodeLog,
        seed: int,
        interval: int,
        make_envs: Callable[[], VecEnv],
        seeding: Seeding,
        *,
        run: Mapping[str, Any] | None = None,
        logs: Sequence[Path] = (),
        statistics: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Set up for one call of ``learn``.

        Args:
            checkpoint: File of the checkpoint.
            episodes_file: CSV file of the episodes, rewritten at every checkpoint.
            episodes: Log to add episodes to.
            seed: Seed of the run.
            interval: Environment steps between checkpoints.
            make_envs: Makes the model's environments once more.
            seeding: How the environments' random streams follow from the seed.
            run: What tells this run from others; ``save_checkpoint`` is told.
            logs: Files that go on with the run; ``save_checkpoint`` is told.
            statistics: VecNormalize's before ``learn``, which resets environments and so adds to
                them before the first segment; None for none.
        """
        super().__init__()
        self._checkpoint = checkpoint
        self._episodes_file = episodes_file
        self._episodes = episodes
        self._seed = seed
        self._interval = interval
        self._make_envs = make_envs
        self._seeding = seeding
        self._run = run
        self._logs = logs
        self._statistics = statistics or {}
        self._segment: int | None = None

    def _on_rollout_start(self) -> None:
        segment = self.model.num_timesteps // self._interval
        if segment == self._segment:
            return
        # The first rollout of a call begins at the start, or where a checkpoint was read.
        if self._segment is not None:
            save_checkpoint(
                self._checkpoint, self.model, self._episodes, run=self._run, logs=self._logs
            )
            self._episodes.write(self._episodes_file)
        else:
            load_statistics(self.model, self._statistics)
        begin_segment(self.model, self._seed, segment, self._make_envs, self._seeding)
        self._segment = segment

    def _on_step(self) -> bool:
        infos: list[dict[str, Any]] = self.locals["infos"]
        for info in infos:
            if "episode" in info:
                self._episodes.add(self.num_timesteps, info["episode"]["r"], info["episode"]["l"])
        return True
