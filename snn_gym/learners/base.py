"""``GradientFreeAlgorithm``: the Stable-Baselines3 API around weights that are judged."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

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

from snn_gym._base.config import from_mapping
from snn_gym._base.storage import from_arrays, to_arrays
from snn_gym.envs.rollout import ObservationLimits, Observer, Rollouts
from snn_gym.learners.judging import (
    BatchedJudge,
    Judge,
    SequentialJudge,
    batched_id,
    find_observation_limits,
)
from snn_gym.learners.settings import LearnerSettings, Limits, LocalRuleSettings
from snn_gym.policies.controller import SpikingControllerPolicy
from snn_gym.spiking.population import Population, finite_or_raise, start_weights


# ---- calls ---------------------------------------------------------------------------------------
def set_up_learning(
    model: BaseAlgorithm,
    total_timesteps: int,
    callback: MaybeCallback,
    tb_log_name: str | None,
    reset_num_timesteps: bool,
    progress_bar: bool,
) -> tuple[int, BaseCallback]:
    """Set up a call of ``learn``, whose arguments these are.

    Args:
        model: The learner.
        total_timesteps: Environment steps.
        callback: Callbacks, in any form.
        tb_log_name: Name of the run for TensorBoard; the class's name if None.
        reset_num_timesteps: Whether steps and episodes are counted from 0.
        progress_bar: Whether to show a progress bar.

    Returns:
        Environment steps at which it ends, and one callback.

    Raises:
        ValueError: There is nothing to spend.
    """
    if total_timesteps < 1:
        raise ValueError(f"total_timesteps must be at least 1, got {total_timesteps}")
    name = tb_log_name or type(model).__name__
    return model._setup_learn(total_timesteps, callback, reset_num_timesteps, name, progress_bar)


def log_progress(model: BaseAlgorithm) -> None:
    """Write the means of the last episodes and the counters to a model's logger.

    Args:
        model: Model that is learning.
    """
    seconds = max((time.time_ns() - model.start_time) / 1e9, sys.float_info.epsilon)
    episodes = model.ep_info_buffer or ()
    if episodes:
        model.logger.record("rollout/ep_rew_mean", safe_mean([x["r"] for x in episodes]))
        model.logger.record("rollout/ep_len_mean", safe_mean([x["l"] for x in episodes]))
    steps = model.num_timesteps - model._num_timesteps_at_start
    model.logger.record("time/episodes", model._episode_num, exclude="tensorboard")
    model.logger.record("time/fps", int(steps / seconds))
    model.logger.record("time/time_elapsed", int(seconds), exclude="tensorboard")
    model.logger.record("time/total_timesteps", model.num_timesteps, exclude="tensorboard")
    model.logger.dump(step=model.num_timesteps)


# ---- hyperparameters -----------------------------------------------------------------------------
SettingsClass = type[LearnerSettings] | type[LocalRuleSettings]
"""Type of hyper-parameters."""

_OF_THE_ENVIRONMENTS = "n_envs"  # which the environments that a learner is given say themselves


def hyperparameter_names(settings_class: SettingsClass) -> tuple[str, ...]:
    """Return the names of the settings that are arguments and attributes of a learner."""
    names = (field.name for field in dataclasses.fields(settings_class))
    return tuple(name for name in names if name != _OF_THE_ENVIRONMENTS)


class Hyperparameter:
    """An attribute of a learner that is a field of its settings; setting it checks its range.

    Args:
        settings_class: Type of the settings.
        name: Name of the field.
    """

    def __init__(self, settings_class: SettingsClass, name: str) -> None:
        self._name = name
        default = getattr(settings_class, name)
        self.__doc__ = f"Field of ``{settings_class.__name__}``; {default!r} unless told otherwise."

    def __get__(self, model: Any, kind: type[Any] | None = None) -> Any:
        return self if model is None else getattr(model.settings, self._name)

    def __set__(self, model: Any, value: Any) -> None:
        model.settings = dataclasses.replace(model.settings, **{self._name: value})


def signature_with(
    constructor: Callable[..., Any], settings_class: SettingsClass
) -> inspect.Signature:
    """Return a constructor's signature with the hyper-parameters in place of its ``**kwargs``.

    Args:
        constructor: ``__init__`` of a class.
        settings_class: Type of the settings.
    """
    _, *own, _ = inspect.signature(constructor).parameters.values()  # without self and **kwargs
    keyword = inspect.Parameter.KEYWORD_ONLY
    fields = {field.name: field for field in dataclasses.fields(settings_class)}
    added = [
        inspect.Parameter(name, keyword, default=fields[name].default, annotation=fields[name].type)
        for name in hyperparameter_names(settings_class)
    ]
    return inspect.Signature([*own, *added])


def attach(kind: type[Any], settings_class: SettingsClass) -> None:
    """Make the hyper-parameters of a class of learners its attributes and show its signature.

    Args:
        kind: Class whose constructor takes them in its ``**kwargs``.
        settings_class: Type of the settings.
    """
    for name in hyperparameter_names(settings_class):
        setattr(kind, name, Hyperparameter(settings_class, name))
    kind.__signature__ = signature_with(kind.__init__, settings_class)  # which inspect looks up


def take_over_attributes(model: Any) -> None:
    """Make hyper-parameters of what ``load(path, step_size=0.5)`` wrote past the attributes.

    Args:
        model: Learner with ``settings``.
    """
    names = hyperparameter_names(type(model.settings))
    given = {name: vars(model).pop(name) for name in names if name in vars(model)}
    model.settings = dataclasses.replace(model.settings, **given)


def plain_limits(limits: tuple[Sequence[float], Sequence[float]] | None) -> Limits | None:
    """Return limits as plain numbers, which can be saved as data.

    Args:
        limits: Lower and upper limits, or None.
    """
    if limits is None:
        return None
    low, high = (tuple(float(value) for value in side) for side in limits)
    return low, high


# ---- base ----------------------------------------------------------------------------------------
_HIGHEST_SEED = 2**31


@dataclass
class Nothing:
    """The memory of a learner that carries nothing."""


class GradientFreeAlgorithm(BaseAlgorithm):
    """A Stable-Baselines3 algorithm that moves a spiking network's weights by what they earn.

    A learner repeats iterations: it proposes weights, has them judged on whole episodes, and
    decides what the policy holds. An iteration is one rollout for callbacks: ``on_rollout_start``
    before it, ``on_step`` after each judgement with ``infos`` of all its episodes as ``Monitor``
    writes them and some of their observations as ``new_obs``, ``on_rollout_end`` after it.

    Every episode that judges old or new weights counts: its steps in ``num_timesteps``, itself in
    ``num_episodes``. Judging never stops within an episode, so that training ends at the first
    iteration that reaches ``total_timesteps``: it may exceed it by one iteration.

    Classic control tasks without wrappers or arguments are judged in batches, whose episodes are
    those of ``gym.make`` with the same seeds; everything else in the environments given.

    Hyper-parameters are the fields of ``settings_class``, which says what they are: keyword
    arguments of the constructor, and attributes that can be read and set.

    Args:
        policy: ``SpikingControllerPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        policy_kwargs: Arguments of the policy, such as ``network``.
        stats_window_size: Episodes that the logged means are over.
        tensorboard_log: Folder of TensorBoard logs; None for none.
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
    policy: SpikingControllerPolicy
    settings_class: ClassVar[type[LearnerSettings]] = LearnerSettings
    """Type of the hyper-parameters."""
    settings: LearnerSettings
    """Present hyper-parameters."""
    memory: Any
    """State from one iteration to the next, beside the weights: a dataclass of numbers and
    arrays."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the hyper-parameters of a learner its attributes and show them in its signature."""
        super().__init_subclass__(**kwargs)
        attach(cls, cls.settings_class)

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
        self.settings = self._settings_of(hyperparameters)
        super().__init__(
            policy,
            env,
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
        self.memory = Nothing()
        self._is_new = True
        self._judge: Judge | None = None
        self._callback: BaseCallback | None = None
        self._stopped = False
        if _init_setup_model:
            self._setup_model()

    @classmethod
    def _settings_of(cls, given: Mapping[str, Any]) -> LearnerSettings:
        names = hyperparameter_names(cls.settings_class)
        unknown = [name for name in given if name not in names]
        if unknown:
            raise TypeError(
                f"{cls.__name__}() got an unexpected keyword argument {unknown[0]!r}; "
                f"hyper-parameters: {', '.join(names)}"
            )
        limits = plain_limits(given.get("observation_limits"))
        return from_mapping(
            cls.settings_class, {**given, "observation_limits": limits}, cls.__name__
        )

    @abstractmethod
    def _iterate(self) -> None:
        """Propose weights, judge them, and leave in the policy those to deploy now."""

    def _first_memory(self) -> Any:
        """Return the ``memory`` that learning starts with."""
        return Nothing()

    @property
    def num_episodes(self) -> int:
        """Episodes that judged weights since the counters were reset."""
        return self._episode_num

    @property
    def weights(self) -> NDArray[np.float32]:
        """Weights and biases (W,) of the policy, float32, in the order of its parameters; a copy.

        Setting them deploys them.
        """
        return np.array(self.policy.parameters_to_vector(), dtype=np.float32)

    @weights.setter
    def weights(self, weights: NDArray[np.float32]) -> None:
        finite_or_raise(weights, type(self).__name__)
        # A copy, for the policy's parameters would share the array.
        self.policy.load_from_vector(np.array(weights, dtype=np.float32))

    def probe_seeds(self) -> list[int]:
        """Return seeds of new episodes, ``probe_episodes`` of them, each the one before plus 1."""
        count = self.settings.probe_episodes
        start = int(self.rng.integers(_HIGHEST_SEED - count))
        return list(range(start, start + count))

    def judge(
        self,
        weights: NDArray[np.float32],
        seeds: Sequence[int] | None = None,
        observer: Observer | None = None,
    ) -> Rollouts:
        """Play the same episodes with every network, and count them.

        Args:
            weights: (P, W) float32, a network in each row.
            seeds: Seeds of the E episodes; new ones (``probe_seeds``) if None.
            observer: Sees every step; in batched tasks only.

        Returns:
            Returns and lengths (P, E).

        Raises:
            ValueError: Weights, observations or rewards are not finite, or an observer is given
                where there is nothing to see.
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
            seen = {"rollouts": rollouts, "new_obs": rollouts.observations}
            self._callback.update_locals({"infos": infos, "dones": dones, **seen})
            self._stopped |= not self._callback.on_step()
        return rollouts

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 100,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Learn, as Stable-Baselines3 defines it.

        Args:
            total_timesteps: Environment steps, of all episodes that judge weights.
            callback: Called as the class says.
            log_interval: Iterations between logs; None for no logs.
            tb_log_name: Name of the run for TensorBoard; the class's name if None.
            reset_num_timesteps: Whether steps and episodes are counted from 0.
            progress_bar: Whether to show a progress bar.

        Raises:
            ValueError: There is nothing to spend, or an observation, a reward or a weight is not
                finite.
        """
        total_timesteps, callback = set_up_learning(
            self, total_timesteps, callback, tb_log_name, reset_num_timesteps, progress_bar
        )
        self._callback, self._stopped = callback, False
        self._judge = None  # the environments may be others than before
        callback.on_training_start(locals(), globals())
        iteration = 0
        while self.num_timesteps < total_timesteps and not self._stopped:
            callback.on_rollout_start()
            self._iterate()
            iteration += 1
            self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
            callback.on_rollout_end()
            if log_interval is not None and iteration % log_interval == 0:
                self.dump_logs()
        callback.on_training_end()
        self._callback = None
        return self

    def dump_logs(self) -> None:
        """Write the means of the last episodes and the counters to the logger."""
        log_progress(self)

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Judge in other environments from now on, as Stable-Baselines3 defines it."""
        super().set_env(env, force_reset)
        self._judge = None
        self._scale_observations()

    def reseed(self, seed: int) -> None:
        """Restart the learner's randomness; the episodes that judge weights follow from it too."""
        self.rng = np.random.default_rng(seed)

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what is carried between iterations beside weights, counters and randomness."""
        return to_arrays(self.memory)

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``state_tensors`` returned.

        Raises:
            ValueError: The names are not this learner's.
        """
        self.memory = from_arrays(self.memory, tensors, type(self).__name__)

    def _setup_model(self) -> None:
        take_over_attributes(self)
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
        if self._is_new:  # and not loaded, which sets up once more
            self.weights = start_weights(self.population, self.rng, 1)[0]
            self.memory = self._first_memory()
            self._is_new = False

    def _limits(self) -> ObservationLimits | None:
        """Return the limits that scale observations, None where nothing is scaled."""
        if self.env is None or self.policy.normaliser is None:
            return None
        return find_observation_limits(self.env, self.settings.observation_limits)

    def _scale_observations(self) -> None:
        limits = self._limits()
        if limits is not None:
            self.policy.set_observation_limits(limits.low, limits.high)

    def _current_judge(self) -> Judge:
        if self._judge is None:
            if self.env is None:
                raise ValueError("there is no environment to judge in; call set_env(env) first")
            name, limits = batched_id(self.env), self._limits()
            if name is None or limits is None:
                self._judge = SequentialJudge(self.env, self.policy)
            else:
                self._judge = BatchedJudge(name, self.population, limits)
        return self._judge

    def _episode_infos(self, rollouts: Rollouts) -> list[dict[str, Any]]:
        seconds = round((time.time_ns() - self.start_time) / 1e9, 6) if self.start_time else 0.0
        pairs = zip(
            rollouts.returns.ravel().tolist(), rollouts.lengths.ravel().tolist(), strict=True
        )
        return [{"episode": {"r": r, "l": length, "t": seconds}} for r, length in pairs]

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        if not progress_bar:
            return super()._init_callback(callback)
        parts = callback if isinstance(callback, list) else [callback]
        made = [x if isinstance(x, BaseCallback) else ConvertCallback(x) for x in parts]
        # Stable-Baselines3's own bar takes one step of each environment for every on_step.
        return super()._init_callback(CallbackList([*made, _ProgressBar()]))

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_judge", "_callback", "population"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []


class _ProgressBar(ProgressBarCallback):
    """A progress bar that counts the steps of whole judgements."""

    def _on_step(self) -> bool:
        self.pbar.update(self.locals["rollouts"].steps)
        return True
