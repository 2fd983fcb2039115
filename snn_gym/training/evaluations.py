"""Log of training episodes, and evaluations during training."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage

from snn_gym._base.folders import remove_partial_files
from snn_gym._base.storage import read_regular_file, write_bytes_atomic, write_text_atomic
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.training.dynamics import undisturbed
from snn_gym.zoo import save_agent
from snn_gym.zoo.files import MANIFEST, WEIGHTS

# ---- episodes ------------------------------------------------------------------------------------
HEADER = "timestep,return,length"
_DTYPES: dict[str, type] = {"timestep": np.int64, "return": np.float64, "length": np.int64}


class EpisodeLog:
    """Finished training episodes: environment step of the end, return and length."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, float, int]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, timestep: int, episode_return: float, length: int) -> None:
        """Add an episode that ended after ``timestep`` environment steps of the training."""
        self._rows.append((timestep, float(episode_return), int(length)))

    def to_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the columns as arrays of shape (episodes,), by name."""
        return {
            name: np.array([row[column] for row in self._rows], dtype)
            for column, (name, dtype) in enumerate(_DTYPES.items())
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> EpisodeLog:
        """Build a log from the columns of ``to_arrays``."""
        log = cls()
        log._rows = list(zip(*(arrays[name].tolist() for name in _DTYPES), strict=True))
        return log

    def write(self, path: Path) -> None:
        """Write the log as a CSV file, atomically."""
        # repr of a float is the shortest text that reads back as the same number
        lines = [f"{timestep},{value!r},{length}" for timestep, value, length in self._rows]
        write_text_atomic(path, "\n".join([HEADER, *lines]) + "\n")


def read_episodes(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return environment steps and returns (episodes,) of episodes.csv, or raise ``ValueError``."""
    try:
        _, *lines = path.read_text().splitlines()
        rows = np.array([line.split(",")[:2] for line in lines], dtype=np.float64).reshape(-1, 2)
    except ValueError as error:
        raise ValueError(f"{path} is no log of episodes: {error}") from error
    return rows[:, 0], rows[:, 1]


# ---- evaluations ---------------------------------------------------------------------------------
EVALUATIONS_FILE = "evaluations.npz"
"""Evaluations in the form of Stable-Baselines3's ``EvalCallback(log_path=RUN)``."""
BEST_FOLDER = "best"
EVALUATION_EPISODES = 20
"""Episodes of an evaluation, played side by side."""
FIRST_SEED = 1_800_000_000
"""Seed of the first episode: beyond those of trainings and of searches, before the table's."""
_ARRAYS = ("timesteps", "results", "ep_lengths")
_MAX_BYTES = 1 << 30


class EvaluationCallback(BaseCallback):
    """Evaluate the policy during training, log the returns and save the best policy.

    Every evaluation has the same seeds, which training never sees, and new environments. It is made
    at the start of the first rollout after every ``every`` environment steps, and at the end; the
    trained agent is the same with and without. The best policy is the first of the highest mean
    return. Put it before a callback that saves checkpoints. Resumed training makes evaluations
    after its checkpoint again.

    Args:
        every: Environment steps between evaluations.
        folder: Folder of evaluations.npz and of best/, the best agent.
        make_envs: Makes environments from their number and a seed, None for none.
    """

    def __init__(
        self, every: int, folder: Path, make_envs: Callable[[int, int | None], VecEnv]
    ) -> None:
        super().__init__()
        self._every = every
        self._folder = folder
        self._make_envs = make_envs
        self._log: dict[str, list[Any]] = {name: [] for name in _ARRAYS}

    def _on_training_start(self) -> None:
        best, log = self._folder / BEST_FOLDER, self._folder / EVALUATIONS_FILE
        if best.is_dir():
            remove_partial_files(best, (WEIGHTS, MANIFEST))
        done = self.model.num_timesteps
        if done == 0 or not log.exists():
            return
        columns = _read(log)
        # Evaluations after the checkpoint are made again.
        rows = sum(timestep <= done for timestep in columns["timesteps"])
        self._log = {name: column[:rows] for name, column in columns.items()}

    @property
    def _last_timestep(self) -> int:
        return int(self._log["timesteps"][-1]) if self._log["timesteps"] else 0

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps // self._every > self._last_timestep // self._every:
            self._evaluate()

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        if self.model.num_timesteps > self._last_timestep:
            self._evaluate()

    def _evaluate(self) -> None:
        with undisturbed(self.model.policy):
            returns, lengths = self._play()
        mean = float(np.mean(returns))
        if all(mean > float(np.mean(x)) for x in self._log["results"]):
            # Before the log: the best policy is never older than the log says.
            save_agent(self.model, self._folder / BEST_FOLDER)
        row = self.model.num_timesteps, returns, lengths
        for column, value in zip(self._log.values(), row, strict=True):
            column.append(value)
        self.logger.record("eval/mean_reward", mean)
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: np.array(column) for name, column in self._log.items()}
        np.savez(buffer, **arrays)
        write_bytes_atomic(self._folder / EVALUATIONS_FILE, buffer.getvalue())

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


def _read(path: Path) -> dict[str, list[Any]]:
    data = read_regular_file(path, max_bytes=_MAX_BYTES)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: list(arrays[name]) for name in _ARRAYS}
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no log of evaluations ({error}); begin the run anew"
        ) from error
