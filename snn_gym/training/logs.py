"""Logs of a training: episodes, evaluations, wall-clock time and progress."""

from __future__ import annotations

import io
import sys
import time
import zipfile
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage

from snn_gym._base.folders import remove_partial_files
from snn_gym._base.lazy import new_line
from snn_gym._base.storage import read_regular_file, write_bytes_atomic, write_text_atomic
from snn_gym.learners import GradientFreeAlgorithm
from snn_gym.policies.raw_observations import raw_policy
from snn_gym.program.costs import NOT_COUNTED
from snn_gym.training.dynamics_log import undisturbed
from snn_gym.zoo.files import MANIFEST, WEIGHTS, save_agent
from snn_gym.zoo.hub import FILES

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
    data = read_regular_file(path, max_bytes=FILES["episodes.csv"])
    form: Any = {"delimiter": ",", "skiprows": 1, "usecols": (0, 1), "comments": None}
    try:
        # Of no rows loadtxt warns.
        filled = data.count(b"\n") > 1
        rows = np.loadtxt(io.BytesIO(data), ndmin=2, **form) if filled else np.empty((0, 2))
        if not (data.startswith(HEADER.encode()) and np.isfinite(rows).all()):
            raise ValueError(f"expected {HEADER}, and no value that is NaN or infinite")
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
_MAX_BYTES = 1 << 28


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
        columns = {name: list(x) for name, x in read_evaluation_log(log).items()}
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


def read_evaluation_log(path: Path) -> dict[str, NDArray[Any]]:
    """Return timesteps (n,), results and ep_lengths (n, episodes) of evaluations.npz.

    Raises:
        ValueError: It is another file, too large, or has other arrays.
    """
    data = io.BytesIO(read_regular_file(path, max_bytes=_MAX_BYTES))
    try:
        if any(entry.compress_type for entry in zipfile.ZipFile(data).infolist()):
            raise ValueError("it is compressed, expected a file of numpy.savez")
        with np.load(data, allow_pickle=False) as arrays:
            log = {name: arrays[name] for name in _ARRAYS}
        steps = len(log["timesteps"])
        parts = [(x.ndim, len(x), x.dtype.kind in "iuf") for x in log.values()]
        if parts != [(1, steps, True), (2, steps, True), (2, steps, True)]:
            raise ValueError("its arrays are not numbers of as many evaluations")
        return log
    # A forged archive fails in many ways.
    except (
        ValueError,
        LookupError,
        TypeError,
        EOFError,
        MemoryError,
        RuntimeError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(
            f"{path} is no log of evaluations ({error}); begin the run anew"
        ) from error


# ---- clock ---------------------------------------------------------------------------------------
FloatArray = NDArray[np.float64]
TENSORBOARD_FOLDER = "tb"


def seconds_at(run: Path, steps: FloatArray) -> FloatArray | None:
    """Return the wall-clock times (s) at which a training reached environment steps (n,) above 0.

    The clock starts when TensorBoard's log is opened, and includes compilation, checkpoints and
    evaluations, but no pause before a run is resumed. Of steps that were trained twice, only the
    second time counts. Times never fall with the step. They are interpolated between two entries
    of the log; after the last one, the mean speed until there is assumed. Without entries the
    result is None.
    """
    found = (run / TENSORBOARD_FOLDER).glob("events.out.tfevents.*")
    files = [file for file in found if file.is_file() and not file.is_symlink()]
    known = [(0.0, 0.0)]
    for begun_s, entries in sorted(filter(None, map(_read, files))):
        while len(known) > 1 and known[-1][0] >= entries[0][0]:
            known.pop()
        before_s = known[-1][1]
        known += [(step, before_s + logged_s - begun_s) for step, logged_s in entries]
    if len(known) == 1:
        return None
    known_steps, known_seconds = np.array(known).T
    known_seconds = np.maximum.accumulate(known_seconds)  # a machine's clock may be set back
    beyond = np.maximum(steps / known_steps[-1], 1.0)
    seconds: FloatArray = beyond * np.interp(steps, known_steps, known_seconds)
    return seconds


def _read(file: Path) -> tuple[float, list[tuple[float, float]]] | None:
    """Return the time at which a log was opened, and (step, time) of each entry above step 0.

    Times are in seconds since 1970. A log without such entries gives None.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    # A killed process may have left a half-written event at the end.
    events = list(EventFileLoader(str(file)).Load())
    entries = {float(x.step): x.wall_time for x in events if x.summary.value and x.step > 0}
    return (events[0].wall_time, sorted(entries.items())) if entries else None


# ---- progress ------------------------------------------------------------------------------------
_BETWEEN_COUNTS_S = 2.0
_PLAIN_LINES = 10
_BETWEEN_LINES_S = 0.5
_WINDOW = 30
"""Rollouts, at least 1 s apart, that speed is averaged over, so compilation soon counts no more."""
_ERASE_REST = "\x1b[K"


class ProgressCallback(BaseCallback):
    """Write the progress of a training to standard error.

    A line has the steps, the mean return of the last 100 episodes, the operations of a decision in
    the environments' present states, steps per second in the last 30 rollouts (half a minute if
    these are short) and the time left at that speed. A terminal and a notebook show one line,
    renewed twice in a second; elsewhere there are ten lines. Operations are counted as rollouts
    start, at most every two seconds; that draws no random numbers and changes nothing that learns.

    Args:
        total: Environment steps of the whole training.
    """

    def __init__(self, total: int) -> None:
        super().__init__()
        self._total = total
        self._operations = ""
        self._passed: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._shown_s = self._counted_s = 0.0
        self._tenth = 0

    def _on_training_start(self) -> None:
        self._show = new_line() or (_write if sys.stderr.isatty() else None)
        begun_at = self.model.num_timesteps
        self._shown_s = time.monotonic()
        self._passed.append((self._shown_s, begun_at))
        self._counted_s = self._shown_s - _BETWEEN_COUNTS_S
        self._tenth = begun_at * _PLAIN_LINES // self._total

    def _on_rollout_start(self) -> None:
        now = time.monotonic()
        if now - self._passed[-1][0] >= 1.0:
            self._passed.append((now, self.model.num_timesteps))
        if now - self._counted_s >= _BETWEEN_COUNTS_S:
            self._operations, self._counted_s = _operations(self.model), now

    def _on_step(self) -> bool:
        if self._show is not None:
            now = time.monotonic()
            if now - self._shown_s >= _BETWEEN_LINES_S:
                self._show(self.line())
                self._shown_s = now
        else:
            # Training ends after whole rollouts, maybe beyond the total.
            tenth = min(self.num_timesteps * _PLAIN_LINES // self._total, _PLAIN_LINES)
            if tenth > self._tenth:
                self._tenth = tenth
                sys.stderr.write(f"{self.line()}\n")
        return True

    def _on_training_end(self) -> None:
        if self._show is not None:
            self._show("" if self._show is _write else self.line())

    def line(self) -> str:
        """Return the progress as a line."""
        done = self.model.num_timesteps
        since_s, since = self._passed[0]
        speed = (done - since) / max(time.monotonic() - since_s, 1e-9)
        left_s = max(self._total - done, 0) / max(speed, 1e-9)
        ended = [episode["r"] for episode in self.model.ep_info_buffer or ()]
        parts = (
            f"{done:,} of {self._total:,} steps",
            f"return {np.mean(ended):,.1f}" if ended else "no episode has ended",
            self._operations,
            f"{speed:,.0f} steps/s",
            f"{_duration(left_s)} left",
        )
        return " | ".join(filter(None, parts))


def _operations(model: Any) -> str:
    """Return the operations of a decision in the present states as text, "" if not recorded.

    A gradient-free algorithm has no present states.
    """
    observations = None if isinstance(model, GradientFreeAlgorithm) else model._last_obs
    if observations is None or not hasattr(model.policy, "record"):
        return ""
    state = model.acting_states() if hasattr(model, "acting_states") else None
    with undisturbed(model.policy):
        costs = model.policy.record(observations, state).costs
    operations = costs.operations_per_decision
    if operations is None:
        return f"operations {NOT_COUNTED}"
    return f"{operations:,.0f} operations a decision"


def _write(line: str) -> None:
    """Write a line in place of the one before in a terminal."""
    sys.stderr.write(f"\r{line}{_ERASE_REST}")
    sys.stderr.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
