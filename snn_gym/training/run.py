"""Training of an agent of the zoo in a folder, from the start or from its last checkpoint."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger, configure
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv
from torch import Tensor

from snn_gym._base.folders import locked, make_writable, partial_files, remove_partial_files
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import dump_sealed, write_bytes_atomic
from snn_gym.envs import StableBaselinesVecEnv
from snn_gym.envs.stable_baselines import MOST_STEPS
from snn_gym.learners import GradientFreeAlgorithm, LocalActorCritic
from snn_gym.learners.lean_algorithm import LeanAlgorithm
from snn_gym.spiking import SpikingNetwork
from snn_gym.training.checkpoint import (
    copy_state,
    first_difference,
    restore_checkpoint,
    resume_checkpoint,
    save_checkpoint,
)
from snn_gym.training.dynamics_log import DYNAMICS_FILE, PROBE_FILE, DynamicsCallback
from snn_gym.training.logs import (
    EVALUATIONS_FILE,
    TENSORBOARD_FOLDER,
    EpisodeLog,
    EvaluationCallback,
    ProgressCallback,
)
from snn_gym.training.record import RUN_FILE, Training, make_training, read_training
from snn_gym.zoo.build import (
    build_agent,
    check_spaces,
    fitting_spec,
    identify,
    make_environments,
    remember_identity,
    resolve_settings,
    seed_environments,
)
from snn_gym.zoo.files import (
    MANIFEST,
    WEIGHTS,
    NetworkRoom,
    load_agent_in,
    read_manifest,
    read_weights,
    save_agent,
)
from snn_gym.zoo.recipe import Seeding, load_statistics, statistics_of


# ---- segments ------------------------------------------------------------------------------------
def begin_segment(
    model: BaseAlgorithm,
    seed: int,
    segment: int,
    make_envs: Callable[[], VecEnv],
    seeding: Seeding = "disjoint",
) -> None:
    """Set all random states from the seed and the segment's number, and replace the environments.

    A segment lasts from one checkpoint to the next. The middle of an episode can't be restored in
    every environment, and the random states of Python, numpy, torch and each environment are spread
    over many places. So a run, killed or not, starts all of them afresh at each checkpoint, between
    two rollouts. Replayed episodes end there as truncated.

    Raises:
        ValueError: The model has no environments, or none that are stepped in this process.
    """
    env = model.get_env()
    if env is None:
        raise ValueError("training in segments needs environments, got none; use set_env")
    # A word added at the end changes none of the first ones.
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
    """Replace the innermost of wrapped environments in place; wrappers keep their state.

    Box2D's worlds carry their history through a reset. In place, because the rollout that is about
    to begin already holds these objects.
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
    """Mark the newest transitions as truncated, so that n-step returns end at the reset to come."""
    buffer = getattr(model, "replay_buffer", None)
    if isinstance(buffer, ReplayBuffer) and buffer.size() > 0:
        newest = buffer.pos - 1
        buffer.timeouts[newest] = np.maximum(buffer.timeouts[newest], 1 - buffer.dones[newest])


class SegmentCallback(BaseCallback):
    """Log episodes, and at each checkpoint save the run and begin the next segment."""

    steps_before = 0
    """Environment steps of a parent, whose segments have other random streams."""

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

        ``interval`` is in environment steps; ``run`` and ``logs`` are for ``save_checkpoint``.
        ``statistics`` are VecNormalize's before ``learn``, which resets environments and so adds to
        them before the first segment.
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
        if self._segment is None:
            # The call begins at the start of the training or at a checkpoint: nothing to save.
            load_statistics(self.model, self._statistics)
        else:
            save_checkpoint(
                self._checkpoint, self.model, self._episodes, run=self._run, logs=self._logs
            )
            self._episodes.write(self._episodes_file)
        stream = segment + self.steps_before
        begin_segment(self.model, self._seed, stream, self._make_envs, self._seeding)
        self._segment = segment

    def _on_step(self) -> bool:
        infos: list[dict[str, Any]] = self.locals["infos"]
        for info in infos:
            if "episode" in info:
                self._episodes.add(self.num_timesteps, info["episode"]["r"], info["episode"]["l"])
        return True


class RefillCallback(BaseCallback):
    """Play with the policy until an empty replay buffer holds enough for updates.

    Put it after the other callbacks, which see that stretch as one rollout.
    """

    def _on_training_start(self) -> None:
        model = self.model
        assert isinstance(model, OffPolicyAlgorithm)
        assert model.env is not None
        assert model.replay_buffer is not None
        steps = -(-max(model.learning_starts, model.batch_size) // model.n_envs)
        model.collect_rollouts(
            model.env,
            self.locals["callback"],
            TrainFreq(steps, TrainFrequencyUnit.STEP),
            model.replay_buffer,
            action_noise=model.action_noise,
            log_interval=4,
        )

    def _on_step(self) -> bool:
        return True


# ---- run -----------------------------------------------------------------------------------------
EPISODES_FILE = "episodes.csv"
CHECKPOINT_FILE = "checkpoint.safetensors"
DYNAMICS_ROWS = 100
"""Times that the dynamics of a run are logged, about."""
_WRITTEN = (
    RUN_FILE, CHECKPOINT_FILE, EPISODES_FILE, DYNAMICS_FILE, PROBE_FILE, EVALUATIONS_FILE,
    WEIGHTS, MANIFEST,
)  # fmt: skip


@dataclass(frozen=True)
class TrainingRun:
    """Result of a call of ``train``."""

    folder: Path
    """Folder of the run."""
    steps: int
    """Environment steps trained in all, those of a parent included; whole rollouts, so maybe a few
    more than asked for."""
    resumed_at: int | None
    """Environment steps before this call; None if it began the run."""
    was_finished: bool
    """The run had finished before this call, which then did nothing."""
    outcome: str = ""
    """Sentence of an agent that sheds spikes, on what it shed and why; empty for others."""


def open_parent(
    parent: BaseAlgorithm | str | os.PathLike[str], env_id: str | None = None
) -> BaseAlgorithm:
    """Return the model to go on from: a given one, or that of a run's folder.

    An unfinished run has the state of its last checkpoint, optimisers and replay buffer included.
    An agent whose environment is not registered here goes on in ``env_id``.

    Raises:
        ValueError: The folder holds neither a saved agent nor a checkpoint.
    """
    if isinstance(parent, BaseAlgorithm):
        return parent
    folder = Path(parent)
    if (folder / MANIFEST).exists() or not (folder / CHECKPOINT_FILE).exists():
        return load_agent_in(folder, env_id)
    checkpoint = folder / CHECKPOINT_FILE
    with NetworkRoom(checkpoint.stat().st_size, str(folder / RUN_FILE)):
        model = _make(read_training(folder))
    restore_checkpoint(checkpoint, model)
    return model


def train(
    agent: str,
    env_id: str,
    *,
    out: Path,
    resume: bool = False,
    progress_bar: bool = False,
    tensorboard: bool = True,
    parent: BaseAlgorithm | str | os.PathLike[str] | None = None,
    **recipe: Any,
) -> TrainingRun:
    """Train an agent of the zoo, with checkpoints, from fresh weights or a parent's.

    A run that was killed at any moment and resumed ends bit-equal to an uninterrupted one, given
    the same settings and package versions on the same machine. A damaged or swapped checkpoint or
    record is refused, and logs are made again from the checkpoint.

    Args:
        agent: One of ``snn_gym.agent_ids()``.
        env_id: Any id that gymnasium knows.
        out: Folder of the run; must not hold anything else.
        resume: Go on with the run in ``out``, if there is one.
        progress_bar: Show the progress on standard error.
        tensorboard: Whether to log for TensorBoard, under ``out/tb``.
        parent: Trained agent to go on from: a model as of ``load_agent`` or ``load_pretrained``, or
            the folder of a run. ``steps`` are then further ones, and schedules go on as in one
            training of all steps. A finished run has weights and statistics, so that optimisers
            start anew, and a replay buffer is filled by the parent's play before the first update.
            An unfinished run has optimisers and replay buffer too, in its last checkpoint.
        **recipe: ``seed``, ``steps``, ``checkpoint_interval``, ``dynamics``, ``seeding``,
            ``hyperparameters``, ``network``, ``environment_kwargs``, ``eval_every`` and ``device``,
            as for ``make_training``. Evaluations have seeds apart from those of trainings and of
            the results table, and stand in ``out/evaluations.npz``; the best policy that they find
            is kept in ``out/best``, beside the final one.

    Returns:
        How it ended. The trained agent is in ``out``, in the form that ``save_agent`` writes.

    Raises:
        ValueError: A name or number is invalid, the agent does not serve the environment's spaces,
            the parent's weights do not fit, ``out`` is in use, can't be written, or holds a run
            with other settings or damaged files, or dynamics are wanted of an agent that does not
            spike.
    """
    origin = None if parent is None else open_parent(parent, env_id)
    return carry_out(
        make_training(agent, env_id, origin, **recipe),
        out,
        origin,
        resume=resume,
        progress_bar=progress_bar,
        tensorboard=tensorboard,
    )


def carry_out(
    training: Training,
    out: Path,
    origin: BaseAlgorithm | None = None,
    *,
    resume: bool = False,
    progress_bar: bool = False,
    tensorboard: bool = True,
) -> TrainingRun:
    """Carry out a training in a folder, as ``train`` does; ``origin`` is its parent's model."""
    progress = ProgressCallback(training.last_step) if progress_bar else None
    out = Path(out)
    with one_thread():
        # Before the folder is made: a package that the environment needs may be missing.
        model = None if out.exists() else _make(training, origin)
        make_writable(out)
        with locked(out, wait=False):
            training = _begin_or_find(out, training, resume)
            if (out / MANIFEST).exists():
                return _finished(out, training)
            model = model or _make(training, origin)
            folder = str(out / TENSORBOARD_FOLDER)
            logger = configure(folder, ["tensorboard"]) if tensorboard else None
            resumed_at = _learn(model, training, out, progress, logger)
            # From here on the run is finished; killed before, its last stretch is trained again.
            save_agent(model, out, recipe=training.recipe)
            (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    outcome = model.outcome if isinstance(model, LeanAlgorithm) else ""
    return TrainingRun(out, model.num_timesteps, resumed_at, was_finished=False, outcome=outcome)


def _finished(out: Path, training: Training) -> TrainingRun:
    manifest = read_manifest(out)
    read_weights(out, manifest)
    for name in ("agent", "environment", "seed", "seeding"):
        if getattr(manifest, name) != getattr(training, name):
            raise ValueError(
                f"{out / MANIFEST} is of an agent with {name} {getattr(manifest, name)!r}, not "
                f"{getattr(training, name)!r} as {RUN_FILE} says; put this run's own files there"
            )
    (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    done = manifest.num_timesteps
    return TrainingRun(out, done, resumed_at=done, was_finished=True)


def _logs(out: Path, training: Training) -> list[Path]:
    """Return the files that checkpoints store whole: those of dynamics and evaluations, if wanted.

    Episodes are stored apart.
    """
    dynamics = [out / DYNAMICS_FILE, out / PROBE_FILE] if training.dynamics else []
    return [*dynamics, out / EVALUATIONS_FILE] if training.eval_every else dynamics


def _begin_or_find(out: Path, training: Training, resume: bool) -> Training:
    """Write run.json in an empty folder, or check the run there; return the settings it began with.

    Without ``resume`` a folder that is not empty is refused; with it partial files are removed.
    """
    partial = partial_files(out, _WRITTEN) if resume else []
    if set(out.iterdir()) - set(partial):
        if not resume:
            raise ValueError(
                f"{out} is not empty; use --resume to go on with a run in it, or another folder"
            )
        begun = read_training(out)
        _check_same(begun, training, out)
        training = begun
    else:
        write_bytes_atomic(out / RUN_FILE, dump_sealed(training.recorded()))
    if resume:
        remove_partial_files(out, _WRITTEN)
    return training


def _check_same(old: Training, new: Training, out: Path) -> None:
    elsewhere = ["versions", "processor"]
    if (out / MANIFEST).exists():  # it has ended, whatever this process computes by
        elsewhere.append("numerics")
    if old.settings is None or old.versions.get("snn_gym") != new.versions["snn_gym"]:
        elsewhere.append("settings")  # the agent's file may have changed: its own are kept
    saved, given = (
        {name: x for name, x in training.recorded().items() if name not in elsewhere}
        for training in (old, new)
    )
    difference = first_difference(saved, given)
    if difference is not None:
        name, was, wanted = difference
        further = {
            "steps": f", with --from {out} for further steps",
            "numerics": f"; --numerics {was} are its own",
        }.get(name, "")
        raise ValueError(
            f"{out} holds a run with {name} {was!r}, not {wanted!r}; resume it with its own "
            f"settings, or use another folder{further}"
        )
    changed = [name for name in new.versions if old.versions.get(name) != new.versions[name]]
    if changed:
        warnings.warn(
            f"{out} was begun with other versions of {', '.join(changed)}: the result may differ "
            "from that of an uninterrupted run",
            stacklevel=4,
        )


def _make(training: Training, origin: BaseAlgorithm | None = None) -> BaseAlgorithm:
    """Build a run's model with the state of ``origin``, or with fresh weights."""
    agent, env_id, arguments = training.agent, training.environment, training.environment_kwargs
    settings = training.settings
    if settings is None:  # of an older version, whose files do not say
        settings = resolve_settings(fitting_spec(agent, env_id, arguments), env_id)
    model = build_agent(
        agent,
        env_id,
        training.seed,
        settings,
        env_kwargs=arguments,
        seeding=training.seeding,
        device=training.device,
    )
    if origin is not None:
        check_spaces(origin, model.get_env(), env_id)
        copy_state(origin, model, f"the agent to go on from, as {agent} on {env_id}")
    # Segments reset the environments, so that one call of learn would not repeat the training.
    identity = replace(identify(model), fresh=False, parent_sha256=training.start_sha256)
    remember_identity(model, identity)
    return model


def _learn(
    model: BaseAlgorithm,
    training: Training,
    out: Path,
    progress: ProgressCallback | None,
    logger: Logger | None,
) -> int | None:
    """Train the rest of a run, with its logs; return the steps done before, None at the start."""
    checkpoint = out / CHECKPOINT_FILE
    identity: dict[str, Any] = {"run": training.recorded(), "logs": _logs(out, training)}
    restored = resume_checkpoint(checkpoint, model, **identity)
    resumed_at = None if restored is None else model.num_timesteps
    episodes = EpisodeLog() if restored is None else restored
    if logger is not None:
        model.set_logger(logger)
    make = partial(make_environments, training.environment, env_kwargs=training.environment_kwargs)
    segments = SegmentCallback(
        checkpoint,
        out / EPISODES_FILE,
        episodes,
        training.seed,
        training.checkpoint_interval,
        partial(make, model.n_envs, training.seed),
        training.seeding,
        **identity,
        statistics=statistics_of(model),
    )
    segments.steps_before = training.last_step - training.steps
    callbacks = _logging_callbacks(training, out)
    callbacks.append(segments)  # after them, so that logs are on disk before a checkpoint is
    if progress is not None:
        callbacks.append(progress)
    begins = restored is None and training.parent is None
    buffer = None if begins else getattr(model, "replay_buffer", None)
    if buffer is not None and buffer.size() == 0:  # the parent's folder held none
        callbacks.append(RefillCallback())
    # Stable-Baselines3 adds the steps already done, so that schedules see the whole run.
    model.learn(
        training.last_step - model.num_timesteps,
        callback=CallbackList(callbacks),
        reset_num_timesteps=begins,
    )
    episodes.write(out / EPISODES_FILE)
    if not len(episodes) and training.steps > training.checkpoint_interval:
        warnings.warn(
            "no episode ended: environments are reset at checkpoints, here after every "
            f"{training.checkpoint_interval // model.n_envs:,} steps of each; raise "
            "--checkpoint-interval",
            stacklevel=3,
        )
    return resumed_at


def _logging_callbacks(training: Training, out: Path) -> list[BaseCallback]:
    """Return what logs dynamics and evaluations, where the run is to have such logs."""
    callbacks: list[BaseCallback] = []
    if training.dynamics:
        callbacks.append(DynamicsCallback(max(1, training.steps // DYNAMICS_ROWS), out))
    if training.eval_every:
        arguments = training.environment_kwargs
        # Evaluations of an environment without an end would never come back.
        if not gym.spec(training.environment).max_episode_steps:
            arguments = {"max_episode_steps": MOST_STEPS, **arguments}
        make = partial(make_environments, training.environment, env_kwargs=arguments)
        callbacks.append(EvaluationCallback(training.eval_every, out, make))
    return callbacks
