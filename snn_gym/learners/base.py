"""Base classes of learners whose hyper-parameters are a settings dataclass, and their judges."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    ConvertCallback,
    ProgressBarCallback,
)
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecMonitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnvWrapper

from snn_gym._base.config import from_mapping
from snn_gym._base.storage import from_arrays, to_arrays
from snn_gym.envs.batch import check_finite
from snn_gym.envs.classic_control import BATCHED_TASKS
from snn_gym.envs.registry import env_ids, load_spike_settings
from snn_gym.envs.rollout import ObservationLimits, Observer, Rollouts, Samples, play
from snn_gym.envs.stable_baselines import CheckedVecEnv, StableBaselinesVecEnv, spec_of
from snn_gym.learners.settings import LearnerSettings, LocalRuleSettings
from snn_gym.policies.controller import SpikingControllerPolicy
from snn_gym.spiking.population import Population, finite_or_raise, start_weights

# ---- judges --------------------------------------------------------------------------------------
# Judges play episodes with networks and return the return of each.
Weights = NDArray[np.float32]
"""(P, W), a network in each row."""
Seeds = Sequence[int]
"""(E,), of the episodes that every network plays."""


class BatchedJudge:
    """Judge that plays all networks and episodes as one batch of a task of ``BATCHED_TASKS``."""

    def __init__(self, env_id: str, population: Population, limits: ObservationLimits) -> None:
        self._env_id = env_id
        self._population = population
        self._limits = limits
        self._task = BATCHED_TASKS[env_id](1)

    def play(self, weights: Weights, seeds: Seeds, observer: Observer | None = None) -> Rollouts:
        """Play, with every network, the first episode after a reset with each seed."""
        # A batched task is made for a number of episodes, which seldom changes.
        if self._task.num_envs != len(seeds):
            self._task.close()
            self._task = BATCHED_TASKS[self._env_id](len(seeds))
        return play(self._task, self._population, weights, seeds, self._limits, observer=observer)


class SequentialJudge:
    """Judge that plays one network after the other in any Stable-Baselines3 ``VecEnv``."""

    def __init__(self, env: VecEnv, policy: SpikingControllerPolicy) -> None:
        self._env = env
        self._policy = policy

    def play(self, weights: Weights, seeds: Seeds, observer: Observer | None = None) -> Rollouts:
        """Play like ``BatchedJudge``; raise ValueError for an observer or non-finite values."""
        if observer is not None:
            raise ValueError(
                "the activity within episodes can be observed in batched tasks only: "
                f"{', '.join(sorted(BATCHED_TASKS))}, without wrappers or arguments"
            )
        # Callbacks and users act with the policy between judgements.
        own_weights = self._policy.parameters_to_vector()
        returns = np.zeros((len(weights), len(seeds)))
        lengths = np.zeros(returns.shape, np.int64)
        samples = Samples()
        try:
            for network, flat in enumerate(weights):
                self._policy.load_from_vector(flat)
                for group in _groups(seeds, self._env.num_envs):
                    lanes = network * len(seeds) + np.arange(group.start, group.stop)
                    returns[network, group], lengths[network, group] = self._episodes(
                        seeds[group.start], lanes, samples
                    )
        finally:
            self._policy.load_from_vector(own_weights)
        return Rollouts(returns, lengths, samples.joined())

    def _episodes(
        self, seed: int, lanes: NDArray[np.int64], samples: Samples
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Play an episode of each lane, with seeds from ``seed`` on; return returns and lengths."""
        count = lanes.size
        returns, lengths = np.zeros(count), np.zeros(count, np.int64)
        running = np.ones(count, np.bool_)
        self._env.seed(seed)
        observations: Any = self._env.reset()
        name, seeds = environment_name(self._env), np.arange(seed, seed + self._env.num_envs)
        playing = np.arange(self._env.num_envs) < count
        step = 0
        while running.any():
            playing[:count] = running
            check_finite("observation", observations, name, step, playing, seeds)
            step += 1
            samples.add(step, lanes, observations, running)
            actions, _ = self._policy.predict_by_torch(observations, deterministic=True)
            observations, rewards, dones, _ = self._env.step(actions)
            check_finite("reward", rewards, name, step, playing, seeds)
            # A VecEnv steps all its environments: those beyond the lanes, and those that ended.
            returns += np.where(running, rewards[:count].astype(np.float64), 0.0)
            lengths += running
            running &= ~dones[:count]
        return returns, lengths


def _groups(seeds: Sequence[int], size: int) -> Iterator[slice]:
    """Yield slices of at most ``size`` seeds that rise by 1, as ``VecEnv.seed`` sets them."""
    start = 0
    for index in range(1, len(seeds) + 1):
        ends = index == len(seeds) or seeds[index] != seeds[index - 1] + 1
        if ends or index - start == size:
            yield slice(start, index)
            start = index


def environment_name(env: VecEnv) -> str:
    """Return the gymnasium id of the first environment, or the ``repr`` of all without one."""
    spec = spec_of(env)
    return repr(env) if spec is None else spec.id


def batched_id(env: VecEnv) -> str | None:
    """Return the key of ``BATCHED_TASKS`` that plays the same episodes, or None."""
    spec = spec_of(env)
    if spec is None or spec.id not in BATCHED_TASKS:
        return None
    if type(env) is StableBaselinesVecEnv:
        is_plain = type(env.vector_env) is BATCHED_TASKS[spec.id]
    else:  # a subclass may do anything
        is_plain = type(env) in (DummyVecEnv, CheckedVecEnv)
    same_limit = spec.max_episode_steps == gym.spec(spec.id).max_episode_steps
    # Rendering does not change the task.
    has_arguments = bool(spec.kwargs.keys() - {"render_mode"})
    plays_same = is_plain and same_limit and not has_arguments and _sees_the_task(env, spec)
    return spec.id if plays_same else None


def find_observation_limits(
    env: VecEnv, given: tuple[Sequence[float], Sequence[float]] | None
) -> ObservationLimits:
    """Return the ``given`` limits (low, high), or those of a task of snn_gym or a bounded Box.

    Raises:
        ValueError: There are none.
    """
    if given is not None:
        return ObservationLimits.of(*given)
    spec = spec_of(env)
    # Many tasks have no bounds that observations come near to.
    if spec is not None and f"snn/{spec.id}" in env_ids() and _sees_the_task(env, spec):
        spikes = load_spike_settings(spec.id)
        return ObservationLimits.of(spikes.low, spikes.high)
    space = env.observation_space
    if isinstance(space, gym.spaces.Box) and space.is_bounded():
        return ObservationLimits.of(space.low.ravel().tolist(), space.high.ravel().tolist())
    example = ""
    if spec is not None and _sees_the_task(env, spec):
        example = f", such as snn_gym.estimate_limits({spec.id!r})"
    raise ValueError(
        f"the observations {space} of {environment_name(env)} have no limits; give "
        f"observation_limits=(low, high), with a number for each value{example}"
    )


def _sees_the_task(env: VecEnv, spec: gym.envs.registration.EnvSpec) -> bool:
    """Return whether no wrapper changes the task's observations."""
    if isinstance(env, VecEnvWrapper) and type(env) is not VecMonitor:
        return False
    # Stable-Baselines3 puts a Monitor around every environment.
    return {wrapper.name for wrapper in spec.additional_wrappers} <= {"Monitor"}


# ---- hyper-parameters ----------------------------------------------------------------------------
SettingsClass = type[LearnerSettings] | type[LocalRuleSettings]


class Hyperparameter:
    """Attribute of a learner that is a field of its settings; setting it checks its range."""

    def __init__(self, settings_class: SettingsClass, name: str) -> None:
        self._name = name
        default = getattr(settings_class, name)
        self.__doc__ = f"Field of ``{settings_class.__name__}``, {default!r} by default."

    def __get__(self, model: Any, kind: type[Any] | None = None) -> Any:
        # On the class, so that documentation tools find the docstring.
        return self if model is None else getattr(model.settings, self._name)

    def __set__(self, model: Any, value: Any) -> None:
        model.settings = dataclasses.replace(model.settings, **{self._name: value})


def hyperparameter_names(settings_class: SettingsClass) -> tuple[str, ...]:
    """Return the names of a learner's hyper-parameters: all settings but ``n_envs``."""
    # A learner is given its environments, which know their number.
    names = (field.name for field in dataclasses.fields(settings_class))
    return tuple(name for name in names if name != "n_envs")


def count_call(model: Any) -> None:
    """Count a call of ``learn`` in ``model.learn_calls``, which no call sets back."""
    model.learn_calls = getattr(model, "learn_calls", 0) + 1


class SettingsAlgorithm(BaseAlgorithm):
    """Stable-Baselines3 algorithm whose hyper-parameters are the fields of a settings dataclass."""

    settings_class: ClassVar[SettingsClass]
    settings: LearnerSettings | LocalRuleSettings
    policy: SpikingControllerPolicy

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the hyper-parameters attributes, and show them in the signature."""
        super().__init_subclass__(**kwargs)
        names = hyperparameter_names(cls.settings_class)
        for name in names:
            setattr(cls, name, Hyperparameter(cls.settings_class, name))
        _, *own, _ = inspect.signature(cls.__init__).parameters.values()  # no self, no **kwargs
        keyword = inspect.Parameter.KEYWORD_ONLY
        added = (
            inspect.Parameter(field.name, keyword, default=field.default, annotation=field.type)
            for field in dataclasses.fields(cls.settings_class)
            if field.name in names
        )
        signature = inspect.Signature([*own, *added])
        # inspect.signature, and so help(), looks it up.
        cls.__signature__ = signature  # type: ignore[attr-defined]

    @classmethod
    def _take_settings(cls, arguments: dict[str, Any]) -> Any:
        """Remove the hyper-parameters from keyword arguments; return them as settings, checked."""
        names = hyperparameter_names(cls.settings_class)
        own = {name: arguments.pop(name) for name in names if name in arguments}
        limits = own.get("observation_limits")
        if limits is not None:  # plain numbers can be saved as data
            low, high = limits
            own["observation_limits"] = tuple(map(float, low)), tuple(map(float, high))
        return from_mapping(cls.settings_class, own, cls.__name__)

    def _take_loaded_settings(self) -> None:
        """Move hyper-parameters set by ``load(path, step_size=0.5)`` to ``settings``, checked."""
        # Stable-Baselines3 updates the instance's dict, where descriptors do not see it.
        names = hyperparameter_names(self.settings_class)
        given = {name: vars(self).pop(name) for name in names if name in vars(self)}
        self.settings = dataclasses.replace(self.settings, **given)

    @property
    def num_episodes(self) -> int:
        """Number of training episodes since the counters were reset."""
        return self._episode_num

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Change the environments, as Stable-Baselines3 does, and the limits of observations."""
        super().set_env(env, force_reset)
        self._scale_observations()

    def dump_logs(self) -> None:
        """Write the means of the last episodes and the counters to the logger."""
        # A first log may come within the resolution of the clock.
        seconds = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)
        episodes, record = self.ep_info_buffer or (), self.logger.record
        if episodes:
            record("rollout/ep_rew_mean", safe_mean([episode["r"] for episode in episodes]))
            record("rollout/ep_len_mean", safe_mean([episode["l"] for episode in episodes]))
        steps = self.num_timesteps - self._num_timesteps_at_start
        record("time/fps", int(steps / seconds))
        for name, number in (
            ("episodes", self._episode_num),
            ("time_elapsed", int(seconds)),
            ("total_timesteps", self.num_timesteps),
        ):
            record(f"time/{name}", number, exclude="tensorboard")
        self.logger.dump(step=self.num_timesteps)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 10,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Learn, as Stable-Baselines3 defines it, until ``total_timesteps`` are reached.

        Args:
            total_timesteps: Environment steps of all environments; the last rollout, which cannot
                be cut, may exceed them.
            callback: Called as the class says.
            log_interval: Rollouts between logs; None for no logs.
            tb_log_name: Name of the run for TensorBoard; the class's name if None.
            reset_num_timesteps: Whether steps and episodes are counted from 0.
            progress_bar: Whether to show a progress bar.

        Raises:
            ValueError: ``total_timesteps`` is below 1, or an observation, a reward or a weight is
                not finite.
        """
        if total_timesteps < 1:
            raise ValueError(f"total_timesteps must be at least 1, got {total_timesteps}")
        count_call(self)
        name = tb_log_name or type(self).__name__
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, name, progress_bar
        )
        self._start_learning()
        callback.on_training_start(locals(), globals())
        rollouts, going_on = 0, True
        while going_on and self.num_timesteps < total_timesteps:
            going_on = self._rollout(callback, total_timesteps)
            rollouts += 1
            if log_interval is not None and rollouts % log_interval == 0:
                self.dump_logs()
        callback.on_training_end()
        return self

    @abstractmethod
    def _start_learning(self) -> None:
        """Begin ``learn`` with the present weights, environments and hyper-parameters."""

    @abstractmethod
    def _rollout(self, callback: BaseCallback, total_timesteps: int) -> bool:
        """Make one rollout; return False if a callback stops the training."""

    def _limits(self) -> ObservationLimits | None:
        """Return the limits that scale observations, None where nothing is scaled."""
        if self.env is None or self.policy.scaler is None:
            return None
        return find_observation_limits(self.env, self.settings.observation_limits)

    def _scale_observations(self) -> None:
        limits = self._limits()
        if limits is not None:
            self.policy.set_observation_limits(limits.low, limits.high)

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []


# ---- gradient-free algorithms --------------------------------------------------------------------
# Seeds fit a signed 32-bit integer.
_HIGHEST_SEED = 2**31


@dataclass
class NoMemory:
    """Memory of a learner that carries nothing between iterations."""


class GradientFreeAlgorithm(SettingsAlgorithm):
    """Stable-Baselines3 algorithm that changes a spiking network's weights by episode returns.

    Each iteration proposes weights, judges them on whole episodes, and chooses the weights of the
    policy. Callbacks see an iteration as one rollout, and each judgement as one ``on_step`` with
    the ``infos`` of all its episodes (as ``Monitor`` writes them) and some of their observations
    (``new_obs``).

    Every judging episode counts, in ``num_timesteps`` and ``num_episodes``. Training ends with the
    first iteration that reaches ``total_timesteps``, so it may exceed it by one iteration.

    Classic control tasks without wrappers or arguments are judged in batches, whose episodes are
    those of ``gym.make`` with the same seeds; other tasks in the given environments.

    The fields of ``settings_class`` are keyword arguments of the constructor and attributes.

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        policy_kwargs: Arguments of the policy, such as ``network``.
        stats_window_size: Number of episodes in the logged means.
        tensorboard_log: Folder of TensorBoard logs, or None.
        verbose: Stable-Baselines3's verbosity, 0 to 2.
        seed: Seed of weights, moves and episodes; None for a random one.
        device: PyTorch device of the policy; judging runs on the CPU.
        **hyperparameters: Fields of ``settings_class``.

    Raises:
        TypeError: An argument is unknown.
        ValueError: A hyper-parameter is out of range, the spaces are not supported, or the
            observations have no known limits.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "SpikingControllerPolicy": SpikingControllerPolicy
    }
    settings_class: ClassVar[type[LearnerSettings]] = LearnerSettings
    settings: LearnerSettings
    memory: Any
    """State between iterations beside the weights: a dataclass of numbers and arrays."""

    def __init__(
        self,
        policy: str | type[SpikingControllerPolicy],
        env: GymEnv | str | None,
        *,
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "cpu",
        _init_setup_model: bool = True,
        **hyperparameters: Any,
    ) -> None:
        self.settings = self._take_settings(hyperparameters)
        if hyperparameters:
            raise TypeError(
                f"{type(self).__name__}() got an unexpected keyword argument "
                f"{next(iter(hyperparameters))!r}; hyper-parameters: "
                f"{', '.join(hyperparameter_names(self.settings_class))}"
            )
        super().__init__(
            policy,
            env,
            # Most of these learners have no learning rate.
            getattr(self.settings, "learning_rate", 0.0),
            policy_kwargs,
            stats_window_size,
            tensorboard_log,
            verbose,
            device,
            support_multi_env=True,
            seed=seed,
        )
        self.rng = np.random.default_rng(self.seed)
        self.memory = NoMemory()
        self._is_new = True
        self._judge: BatchedJudge | SequentialJudge | None = None
        self._callback: BaseCallback | None = None
        self._stopped = False
        if _init_setup_model:
            self._setup_model()

    @abstractmethod
    def _iterate(self) -> None:
        """Propose weights, judge them, and set the policy to the weights to deploy now."""

    def _first_memory(self) -> Any:
        """Return the ``memory`` that learning starts with."""
        return NoMemory()

    @property
    def weights(self) -> NDArray[np.float32]:
        """Copy of the policy's weights and biases (W,).

        They can be set; a value that is not finite raises ValueError.
        """
        return np.array(self.policy.parameters_to_vector(), dtype=np.float32)

    @weights.setter
    def weights(self, weights: NDArray[np.float32]) -> None:
        finite_or_raise(weights, type(self).__name__)
        # A copy, for the policy's parameters would share the array.
        self.policy.load_from_vector(np.array(weights, dtype=np.float32))

    def probe_seeds(self) -> list[int]:
        """Return ``probe_episodes`` consecutive seeds from a start drawn at random."""
        count = self.settings.probe_episodes
        start = int(self.rng.integers(_HIGHEST_SEED - count))
        return list(range(start, start + count))

    def judge(
        self,
        weights: NDArray[np.float32],
        seeds: Sequence[int] | None = None,
        observer: Observer | None = None,
    ) -> Rollouts:
        """Play the same episodes with every network; count them, and call the callback.

        Args:
            weights: (P, W) float32, a network in each row.
            seeds: Seeds of the E episodes; ``probe_seeds`` if None.
            observer: Sees every step of a batched task.

        Returns:
            Returns and lengths (P, E).

        Raises:
            ValueError: Weights, observations or rewards are not finite, there is no environment,
                or an observer is given for a task that is not batched.
        """
        finite_or_raise(weights, type(self).__name__)
        seeds = self.probe_seeds() if seeds is None else seeds
        rollouts = self._current_judge().play(weights, seeds, observer)
        self.num_timesteps += rollouts.steps
        self._episode_num += rollouts.returns.size
        infos = self._episode_infos(rollouts)
        if self._callback is not None:
            dones = np.ones(len(infos), np.bool_)
            self._update_info_buffer(infos, dones)
            self._callback.update_locals(
                {
                    "infos": infos,
                    "dones": dones,
                    "rollouts": rollouts,
                    "new_obs": rollouts.observations,
                }
            )
            # The iteration is finished first: its candidates are judged already.
            self._stopped |= not self._callback.on_step()
        return rollouts

    def _start_learning(self) -> None:
        self._stopped, self._judge = False, None

    def _rollout(self, callback: BaseCallback, total_timesteps: int) -> bool:
        self._callback = callback
        callback.on_rollout_start()
        self._iterate()
        self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
        callback.on_rollout_end()
        self._callback = None
        return not self._stopped

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Judge in other environments from now on, as Stable-Baselines3 defines it."""
        super().set_env(env, force_reset)
        self._judge = None

    def reseed(self, seed: int) -> None:
        """Seed the generator that draws candidates and the seeds of judging episodes."""
        self.rng = np.random.default_rng(seed)

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the fields of ``memory`` as arrays by name."""
        return to_arrays(self.memory)

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state of ``state_tensors``; raise ValueError if names do not fit."""
        self.memory = from_arrays(self.memory, tensors, type(self).__name__)

    def _setup_model(self) -> None:
        self._take_loaded_settings()
        self.set_random_seed(self.seed)
        self._setup_lr_schedule()
        if not issubclass(self.policy_class, SpikingControllerPolicy):
            raise ValueError(
                f"{type(self).__name__} needs SpikingControllerPolicy, got "
                f"{self.policy_class.__name__}"
            )
        self.policy = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        ).to(self.device)
        self.policy.train(False)
        network = self.policy.controller
        self.population = Population(network.config, network.input_size, network.output_size)
        self._scale_observations()
        if self._is_new:  # loading sets up a second time
            self.weights = start_weights(self.population, self.rng, 1)[0]
            self.memory = self._first_memory()
            self._is_new = False

    def _current_judge(self) -> BatchedJudge | SequentialJudge:
        """Return the judge, made when first needed; ValueError without an environment."""
        if self._judge is None:
            if self.env is None:
                raise ValueError("there is no environment to judge in; call set_env(env) first")
            name, limits = batched_id(self.env), self._limits()
            # A batch is many times faster, where the task has one.
            if name is None or limits is None:
                self._judge = SequentialJudge(self.env, self.policy)
            else:
                self._judge = BatchedJudge(name, self.population, limits)
        return self._judge

    def _episode_infos(self, rollouts: Rollouts) -> list[dict[str, Any]]:
        seconds = round((time.time_ns() - self.start_time) / 1e9, 6) if self.start_time else 0.0
        return [
            {"episode": {"r": episode_return, "l": length, "t": seconds}}
            for episode_return, length in zip(
                rollouts.returns.ravel().tolist(), rollouts.lengths.ravel().tolist(), strict=True
            )
        ]

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        if not progress_bar:
            return super()._init_callback(callback)
        callbacks = callback if isinstance(callback, list) else [callback]
        converted = [x if isinstance(x, BaseCallback) else ConvertCallback(x) for x in callbacks]
        # Stable-Baselines3's own bar counts one step of each environment for every on_step.
        return super()._init_callback(CallbackList([*converted, _ProgressBar()]))

    def _excluded_save_params(self) -> list[str]:
        # Made again from the environments and the policy.
        return [*super()._excluded_save_params(), "_judge", "_callback", "population"]


class _ProgressBar(ProgressBarCallback):
    """Progress bar that counts the steps of whole judgements."""

    def _on_step(self) -> bool:
        self.pbar.update(self.locals["rollouts"].steps)
        return True
