"""``LocalActorCritic``: learning on line, by what each synapse sees and one broadcast error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from snn_gym._base.config import from_mapping
from snn_gym._base.storage import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.envs.batch import check_step
from snn_gym.envs.classic_control import BatchedTask
from snn_gym.envs.stable_baselines import CheckedVecEnv, StableBaselinesVecEnv
from snn_gym.learners.base import (
    attach,
    hyperparameter_names,
    log_progress,
    plain_limits,
    set_up_learning,
    take_over_attributes,
)
from snn_gym.learners.judging import find_observation_limits
from snn_gym.learners.local.core import Moments, Rule, check_network
from snn_gym.learners.local.online import OnlineActor
from snn_gym.learners.local.regulator import LocalRegulator
from snn_gym.learners.settings import LocalRuleSettings
from snn_gym.policies.controller import LocalActorCriticPolicy

# ---- stepping ------------------------------------------------------------------------------------
Step = tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]
"""Observations, rewards, dones and infos, as ``VecEnv.step`` returns them."""


def stepper(env: VecEnv) -> Callable[[NDArray[Any]], Step]:
    """Return what makes the steps of environments: ``env.step``, or the same, quicker.

    Args:
        env: Environments.
    """
    if type(env) in (DummyVecEnv, CheckedVecEnv) and env.num_envs == 1:
        return _Single(env).step  # type: ignore[arg-type]
    if type(env) is StableBaselinesVecEnv and isinstance(env.vector_env, BatchedTask):
        return env.step_without_infos
    return env.step


class _Single:
    """The one environment of a ``DummyVecEnv``, stepped as that would, without copies of infos."""

    def __init__(self, env: DummyVecEnv) -> None:
        self._env = env
        self._name = getattr(env, "_name", str(env))
        self._checks = isinstance(env, CheckedVecEnv)
        self._steps = np.zeros(1, np.int64)

    def step(self, actions: NDArray[Any]) -> Step:
        """Make a step; see ``VecEnv.step``."""
        only = self._env.envs[0]  # every time anew, for it may be replaced
        observation, reward, terminated, truncated, info = only.step(actions[0])
        done = terminated or truncated
        info["TimeLimit.truncated"] = truncated and not terminated
        if done:
            info["terminal_observation"] = observation
            observation, self._env.reset_infos[0] = only.reset()
        observations, dones = np.asarray(observation)[np.newaxis], np.array([done])
        rewards = np.array([reward], np.float32)
        self._steps += 1
        if self._checks:
            check_step(self._name, observations, rewards, dones, self._steps, [info])
        if done:
            self._steps[0] = 0
        return observations, rewards, dones, [info]


# ---- algorithm -----------------------------------------------------------------------------------
ROLLOUT_STEPS = 256
"""Environment steps of each copy between ``on_rollout_start`` and ``on_rollout_end``."""


class LocalActorCritic(BaseAlgorithm):
    """TD(λ) actor-critic whose every synapse learns on line, by local rules.

    A spiking network is read by an actor and a critic. Each synapse keeps an eligibility trace of
    what it saw and did; at every environment step one number, the TD error, is broadcast to all of
    them, and the weights follow error times trace. There is no buffer, no replay and no
    back-propagation through time: what is kept of the past are the traces.

    - TD error: ``δ = r + γ V(s') - V(s)``.
    - Traces: ``z <- γ λ z + e``, emptied where an episode ends; weights: ``Δw ~ δ z``.
    - Readouts: ``e = x_j`` of the critic, ``(1[a] - π_a) x_j`` of the actor's output a, with x the
      decoded activity.
    - Hidden synapses: ``e_ij = L_j sum over t of k(t) ψ_j(t) ε_ij(t)``, where ``ε_ij`` is what the
      synapse's input has left in the potential since the neuron's last spike, ψ the surrogate
      derivative, k the decoder, and ``L_j`` the sum of what the errors of the readouts (1 for the
      critic) bring back, through fixed random weights or through the readouts' own. Another
      ``rule`` makes something else of what a synapse sees; see ``plasticity``.

    With one hidden layer and symmetric feedback, e is the surrogate gradient of ``V + log π`` with
    the reset detached. With random feedback it is e-prop's eligibility (Bellec et al. 2020,
    https://doi.org/10.1038/s41467-020-17236-y) under the broadcast of feedback alignment (Lillicrap
    et al. 2016, https://doi.org/10.1038/ncomms13276); differences: no recurrence, the traces of
    TD(λ) in the place of whole episodes, Adam. The network's state starts from rest at every
    decision. A decision is made with the weights before the update that its own value completes,
    so that the network runs once for each environment step.

    Episodes that a limit cuts go on in value: ``V(s')`` is that of the last observation.
    Environments learn from the mean of their gradients.

    With ``regulation`` each hidden neuron keeps its firing rate in a range, wakes up where it has
    fallen silent, and sheds spikes once the return stops rising, by terms that are as local as the
    rule and are added to it; see ``regulator``.

    Hyper-parameters beside ``learning_rate`` are the fields of ``LocalRuleSettings``, which says
    what they are: keyword arguments, and attributes that can be read and set.

    Args:
        policy: ``LocalActorCriticPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        learning_rate: Step size of the readouts, also as a schedule of the remaining progress.
        seed: Seed of weights and actions; None for a random one.
        **kwargs: Fields of ``LocalRuleSettings``, and ``policy_kwargs``, ``stats_window_size``,
            ``tensorboard_log``, ``verbose`` and ``device`` as in Stable-Baselines3; only the CPU
            is served.

    Raises:
        ValueError: A hyper-parameter is out of range, or the spaces, the network or the device are
            not supported.

    Example:
        >>> from snn_gym.learners import LocalActorCritic
        >>> model = LocalActorCritic("LocalActorCriticPolicy", "CartPole-v1", seed=0).learn(1_000)
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "LocalActorCriticPolicy": LocalActorCriticPolicy
    }
    policy: LocalActorCriticPolicy
    settings_class: ClassVar[type[LocalRuleSettings]] = LocalRuleSettings
    settings: LocalRuleSettings
    """Present hyper-parameters of the rule."""

    def __init__(
        self,
        policy: str | type[LocalActorCriticPolicy],
        env: GymEnv | str | None,
        learning_rate: float | Schedule = 2e-3,
        *,
        seed: int | None = None,
        _init_setup_model: bool = True,
        **kwargs: Any,
    ) -> None:
        names = hyperparameter_names(self.settings_class)
        own = {name: kwargs.pop(name) for name in names if name in kwargs}
        own["observation_limits"] = plain_limits(own.get("observation_limits"))
        self.settings = from_mapping(self.settings_class, own, type(self).__name__)
        rest = {"device": "cpu", "policy_kwargs": None, **kwargs}
        super().__init__(policy, env, learning_rate, support_multi_env=True, seed=seed, **rest)
        self.rng = np.random.default_rng(self.seed)
        self.moments: Moments | None = None
        self.regulator: LocalRegulator | None = None
        self._actor: OnlineActor | None = None
        self._decided_on: Any = None
        self._actions: Any = None
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        take_over_attributes(self)
        self.set_random_seed(self.seed)
        self._setup_lr_schedule()
        _check_served(self.device, self.observation_space)
        if not issubclass(self.policy_class, LocalActorCriticPolicy):
            raise ValueError(
                f"LocalActorCritic needs LocalActorCriticPolicy, got {self.policy_class.__name__}"
            )
        self.policy = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        )
        check_network(self.policy)
        self.policy.train(False)
        self._scale_observations()
        size = sum(part.numel() for part in self.policy.parameters())
        self.moments = self.moments or Moments.none(size)
        self._make_regulator()

    def _make_regulator(self) -> None:
        """Make what regulates, unless there is one of the present hyper-parameters."""
        wanted, found = self.settings.regulation, self.regulator
        if wanted is None:
            self.regulator = None
        elif found is None or found.parameters != wanted:
            self.regulator = LocalRegulator(wanted, self.policy)

    @property
    def num_episodes(self) -> int:
        """Episodes that ended since the counters were reset."""
        return self._episode_num

    def online(self, step_size: float, samples: int = 1) -> OnlineActor:
        """Return what acts with the policy and goes on learning from every step, once deployed.

        ``predict`` never learns: it is not told what its action led to. Here the next call says
        it, and changes the policy::

            actor = model.online(step_size=1e-3)
            observation, _ = env.reset()
            action = actor.reset(observation)
            while True:
                observation, reward, terminated, truncated, _ = env.step(action)
                action = actor.step(observation, reward, terminated, truncated)
                if terminated or truncated:
                    observation, _ = env.reset()
                    action = actor.reset(observation)

        Args:
            step_size: Of the readouts.
            samples: Number B of environments, for ``OnlineActor.begin`` and ``go_on``.
        """
        settings = self.settings
        rule = Rule(
            settings.feedback, settings.gamma, settings.trace_decay, settings.optimiser,
            settings.reward_scale, settings.rule,
        )  # fmt: skip
        self._make_regulator()
        return OnlineActor(
            self.policy, samples, rule, self.rng, self.moments, self.regulator,
            hidden_rate=settings.hidden_rate, step_size=step_size,
        )  # fmt: skip

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int | None = 10,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Learn, as Stable-Baselines3 defines it; the last environment step is the last one asked.

        Args:
            total_timesteps: Environment steps, of all environments together.
            callback: Called at every step; ``ROLLOUT_STEPS`` steps are a rollout.
            log_interval: Rollouts between logs; None for no logs.
            tb_log_name: Name of the run for TensorBoard; the class's name if None.
            reset_num_timesteps: Whether steps and episodes are counted from 0.
            progress_bar: Whether to show a progress bar.

        Raises:
            ValueError: There is nothing to spend, or an observation or a reward is not finite.
        """
        total_timesteps, callback = set_up_learning(
            self, total_timesteps, callback, tb_log_name, reset_num_timesteps, progress_bar
        )
        # Weights, environments and hyper-parameters may be others than before.
        self._actor, self._decided_on = self.online(0.0, self.n_envs), None
        callback.on_training_start(locals(), globals())
        rollouts, going_on = 0, True
        while going_on and self.num_timesteps < total_timesteps:
            going_on = self._rollout(callback, total_timesteps)
            rollouts += 1
            if log_interval is not None and rollouts % log_interval == 0:
                self.dump_logs()
        callback.on_training_end()
        return self

    def _rollout(self, callback: BaseCallback, total_timesteps: int) -> bool:
        """Live for up to ``ROLLOUT_STEPS`` steps; return whether a callback lets it go on."""
        self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
        step_size = self.lr_schedule(self._current_progress_remaining)
        self.logger.record("train/learning_rate", step_size)
        callback.on_rollout_start()
        actor, env = self._actor, self.env
        assert actor is not None  # learn() has made it
        assert env is not None
        if self._last_obs is not self._decided_on:  # episodes that somebody began
            self._actions = actor.begin(self._last_obs)
        actor.step_size, make_step = step_size, stepper(env)
        for _ in range(ROLLOUT_STEPS):
            actions = self._actions
            new_obs, rewards, dones, infos = make_step(actions)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            self._actions = actor.go_on(new_obs, rewards, dones, infos)
            self._last_obs = self._decided_on = new_obs
            self._last_episode_starts = dones
            if np.count_nonzero(dones):
                ended = np.flatnonzero(dones)
                self._episode_num += len(ended)
                self._update_info_buffer([infos[k] for k in ended.tolist()], dones[ended])
            if not callback.on_step():
                return False
            if self.num_timesteps >= total_timesteps:
                break
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def dump_logs(self) -> None:
        """Write the means of the last episodes and the counters to the logger."""
        log_progress(self)

    def set_env(self, env: GymEnv, force_reset: bool = True) -> None:
        """Learn in other environments from now on, as Stable-Baselines3 defines it."""
        super().set_env(env, force_reset)
        self._scale_observations()

    def reseed(self, seed: int) -> None:
        """Restart the randomness of the actions."""
        self.rng = np.random.default_rng(seed)
        if self._actor is not None:
            self._actor.rng = self.rng

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return what is carried from episode to episode beside the policy and the counters."""
        assert self.moments is not None  # made with the policy
        regulated = {} if self.regulator is None else self.regulator.arrays()
        return {**to_arrays(self.moments), **prefixed("regulation", regulated)}

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``state_tensors`` returned.

        Raises:
            ValueError: The names are not this learner's.
        """
        assert self.moments is not None  # made with the policy
        rest = dict(tensors)
        if self.regulator is not None:
            regulated = with_prefix("regulation", tensors)
            self.regulator.load(regulated)
            for name in prefixed("regulation", regulated):
                del rest[name]
        self.moments = from_arrays(self.moments, rest, type(self).__name__)

    def _scale_observations(self) -> None:
        if self.env is not None and self.policy.scaler is not None:
            limits = find_observation_limits(self.env, self.settings.observation_limits)
            self.policy.set_observation_limits(limits.low, limits.high)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_actor", "_decided_on", "_actions"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        return ["policy"], []


attach(LocalActorCritic, LocalRuleSettings)


def _check_served(device: torch.device, space: spaces.Space[Any]) -> None:
    if device.type != "cpu":
        raise ValueError(f"LocalActorCritic learns on the CPU, got device {str(device)!r}")
    if isinstance(space, spaces.Dict):
        raise ValueError(
            f"LocalActorCritic takes no Dict observations, got {space}; wrap the environment in "
            "gymnasium.wrappers.FlattenObservation"
        )
