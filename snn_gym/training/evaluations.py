"""Evaluations in the course of a training run, and the best policy that they found."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage

from snn_gym.folders import remove_partial_files
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.storage import read_regular_file, write_bytes_atomic
from snn_gym.training.undisturbed import undisturbed
from snn_gym.zoo import save_agent
from snn_gym.zoo.files import MANIFEST, WEIGHTS

EVALUATIONS_FILE = "evaluations.npz"
"""What Stable-Baselines3's ``EvalCallback(log_path=RUN)`` writes, in its form."""
BEST_FOLDER = "best"
EVALUATION_EPISODES = 20
"""Episodes of an evaluation, played side by side."""
FIRST_SEED = 1_800_000_000
"""Seed of the first episode: beyond those of trainings and of searches, before the table's."""
_MAX_BYTES = 1 << 30


class EvaluationCallback(BaseCallback):
    """Play episodes with the policy as it is, log the returns and keep the policy if it is best.

    Every evaluation has the same seeds, which training never sees, and new environments. It is made
    at the start of the first rollout after every ``every`` environment steps, and at the end; the
    trained agent is the same with and without. The best policy is the first of the highest mean
    return; ``save_agent`` writes it, and no recipe trains it again.

    Put it before a callback that saves checkpoints. A training that goes on goes on with the log.

    Args:
        every: Environment steps between evaluations, at least 1.
        folder: Folder of the log and of the best policy.
        make_envs: Makes as many environments as it is told, with that seed of the action space.
    """

    def __init__(
        self, every: int, folder: Path, make_envs: Callable[[int, int | None], VecEnv]
    ) -> None:
        super().__init__()
        self._every = every
        self._folder = folder
        self._make_envs = make_envs
        self._timesteps: list[int] = []
        self._returns: list[NDArray[np.float64]] = []
        self._lengths: list[NDArray[np.int64]] = []

    def _on_training_start(self) -> None:
        best, log = self._folder / BEST_FOLDER, self._folder / EVALUATIONS_FILE
        if best.is_dir():
            remove_partial_files(best, (WEIGHTS, MANIFEST))
        done = self.model.num_timesteps
        if done == 0 or not log.exists():
            return
        timesteps, returns, lengths = _read(log)
        # What is logged of later steps comes again.
        kept = sum(timestep <= done for timestep in timesteps)
        self._timesteps, self._returns = timesteps[:kept], returns[:kept]
        self._lengths = lengths[:kept]

    def _on_rollout_start(self) -> None:
        last = self._timesteps[-1] if self._timesteps else 0
        if self.model.num_timesteps // self._every > last // self._every:
            self._evaluate()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if not self._timesteps or self.model.num_timesteps > self._timesteps[-1]:
            self._evaluate()

    def _evaluate(self) -> None:
        with undisturbed(self.model.policy):
            returns, lengths = self._play()
        means = [float(np.mean(x)) for x in self._returns]
        mean = float(np.mean(returns))
        if not means or mean > max(means):
            # Before the log: what is kept is never older than the log says.
            save_agent(self.model, self._folder / BEST_FOLDER)
        self._timesteps.append(self.model.num_timesteps)
        self._returns.append(returns)
        self._lengths.append(lengths)
        self.logger.record("eval/mean_reward", mean)
        self._write()

    def _play(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        env = self._make_envs(EVALUATION_EPISODES, None)
        if isinstance(env, VecTransposeImage):
            env = env.venv  # the policy on raw observations transposes itself
        try:
            env.seed(FIRST_SEED)
            returns, lengths = evaluate_policy(
                raw_policy(self.model),
                env,
                EVALUATION_EPISODES,
                deterministic=True,
                return_episode_rewards=True,
                warn=False,
            )
        finally:
            env.close()
        return np.array(returns, dtype=np.float64), np.array(lengths, dtype=np.int64)

    def _write(self) -> None:
        buffer = io.BytesIO()
        np.savez(
            buffer,
            timesteps=np.array(self._timesteps),
            results=np.stack(self._returns),
            ep_lengths=np.stack(self._lengths),
        )
        write_bytes_atomic(self._folder / EVALUATIONS_FILE, buffer.getvalue())


def _read(path: Path) -> tuple[list[int], list[NDArray[np.float64]], list[NDArray[np.int64]]]:
    data = read_regular_file(path, max_bytes=_MAX_BYTES)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return (
                arrays["timesteps"].tolist(),
                list(arrays["results"]),
                list(arrays["ep_lengths"]),
            )
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no log of evaluations ({error}); begin the run anew"
        ) from error
