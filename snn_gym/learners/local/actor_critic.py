"""Actor-critic that learns online by local rules and one broadcast error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from snn_gym._base.storage import from_arrays, prefixed, to_arrays, with_prefix
from snn_gym.envs.batch import check_step
from snn_gym.envs.classic_control import BatchedTask
from snn_gym.envs.stable_baselines import CheckedVecEnv, StableBaselinesVecEnv
from snn_gym.learners.base import SettingsAlgorithm
from snn_gym.learners.local.online import Moments, OnlineActor, RuleConstants, check_network
from snn_gym.learners.local.regulator import LocalRegulator
from snn_gym.learners.settings import LocalRuleSettings
from snn_gym.policies.controller import LocalActorCriticPolicy

# ---- stepping ------------------------------------------------------------------------------------
Step = tuple[Any, NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]


def stepper(env: VecEnv) -> Callable[[NDArray[Any]], Step]:
    """Return ``env.step``, or a faster equivalent that may lack infos of running episodes."""
    # Subclasses may step otherwise.
    if type(env) in (DummyVecEnv, CheckedVecEnv) and env.num_envs == 1:
        return _Single(env).step  # type: ignore[arg-type]
    if type(env) is StableBaselinesVecEnv and isinstance(env.vector_env, BatchedTask):
        return env.step_without_infos
    return env.step


class _Single:
    """Stepper of a ``DummyVecEnv`` with one environment, which does not copy infos."""

    def __init__(self, env: DummyVecEnv) -> None:
        self._env = env
        self._name = getattr(env, "_name", str(env))
        self._checks = isinstance(env, CheckedVecEnv)
        self._steps = np.zeros(1, np.int64)

    def step(self, actions: NDArray[Any]) -> Step:
        """Make a step; see ``VecEnv.step``."""
        env = self._env.envs[0]  # looked up at every step, for it may be replaced
        observation, reward, terminated, truncated, info = env.step(actions[0])
        done = terminated or truncated
        # The keys of infos that DummyVecEnv writes.
        info["TimeLimit.truncated"] = truncated and not terminated
        if done:
            info["terminal_observation"] = observation
            observation, self._env.reset_infos[0] = env.reset()
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
"""Environment steps of each copy in a rollout, as callbacks see it."""


class LocalActorCritic(SettingsAlgorithm):
    """TD(λ) actor-critic whose synapses learn online, by local rules.

    An actor and a critic read a spiking network. Each synapse keeps an eligibility trace; at every
    environment step one number, the TD error, is broadcast to all synapses, and the weights follow
    error times trace. There is no buffer, no replay and no back-propagation through time.

    - TD error: ``δ = r + γ V(s') - V(s)``.
    - Traces: ``z <- γ λ z + e``, zero where an episode ends; weights: ``Δw ~ δ z``.
    - Readouts: ``e = x_j`` of the critic, ``(1[a] - π_a) x_j`` of the actor's output a, with x the
      decoded activity.
    - Hidden synapses: ``e_ij = L_j sum over t of k(t) ψ_j(t) ε_ij(t)``, where ``ε_ij`` is the
      effect of the synapse's input on the potential since the neuron's last spike, ψ the surrogate
      derivative, k the decoder, and ``L_j`` the sum of the readouts' errors (1 for the critic),
      weighted by fixed random weights or by the readouts' weights. Another ``rule`` of plasticity
      may replace ``e_ij``.

    With one hidden layer and symmetric feedback, e is the surrogate gradient of ``V + log π`` with
    the reset detached. With random feedback it is e-prop's eligibility (Bellec et al. 2020,
    https://doi.org/10.1038/s41467-020-17236-y) under the broadcast of feedback alignment (Lillicrap
    et al. 2016, https://doi.org/10.1038/ncomms13276), with three differences: no recurrence, the
    traces of TD(λ) instead of whole episodes, and Adam. The network starts from rest at every
    decision, and runs once for each environment step: a decision uses the weights before the update
    that its value completes.

    Where a limit cuts an episode, ``V(s')`` is the value of the last observation. Several
    environments learn from the mean of their gradients.

    Callbacks see each environment step, and ``ROLLOUT_STEPS`` of them as a rollout.

    ``regulation`` adds local terms that keep each hidden neuron's firing rate in a range, wake
    silent neurons, and shed spikes once the return stops rising; see ``regulator``.

    The fields of ``LocalRuleSettings`` are keyword arguments and attributes.

    Args:
        policy: ``LocalActorCriticPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        learning_rate: Step size of the readouts, or its schedule over the remaining progress.
        seed: Seed of weights and actions; None for a random one.
        **kwargs: Fields of ``LocalRuleSettings``, and ``policy_kwargs``, ``stats_window_size``,
            ``tensorboard_log``, ``verbose`` and ``device`` as in Stable-Baselines3; the device is
            the CPU.

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
        self.settings = self._take_settings(kwargs)
        # Stable-Baselines3 would choose a GPU where there is one.
        rest = {"device": "cpu", "policy_kwargs": None, **kwargs}
        super().__init__(policy, env, learning_rate, support_multi_env=True, seed=seed, **rest)
        self.rng = np.random.default_rng(self.seed)
        self.moments: Moments | None = None
        self.regulator: LocalRegulator | None = None
        self._actor: OnlineActor | None = None
        self._decided_on: Any = None  # observations that led to _actions
        self._actions: Any = None
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._take_loaded_settings()
        self.set_random_seed(self.seed)
        self._setup_lr_schedule()
        if self.device.type != "cpu":
            raise ValueError(f"LocalActorCritic learns on the CPU, got device {str(self.device)!r}")
        if isinstance(self.observation_space, spaces.Dict):
            raise ValueError(
                f"LocalActorCritic takes no Dict observations, got {self.observation_space}; wrap "
                "the environment in gymnasium.wrappers.FlattenObservation"
            )
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
        # A loaded model has moments already.
        self.moments = self.moments or Moments.none(size)
        self._make_regulator()

    def _make_regulator(self) -> None:
        """Make the regulator, unless it has the present hyper-parameters already."""
        parameters = self.settings.regulation
        if parameters is None:
            self.regulator = None
        # Otherwise it goes on with its slow traces.
        elif self.regulator is None or self.regulator.parameters != parameters:
            self.regulator = LocalRegulator(parameters, self.policy)

    def online(self, step_size: float, samples: int = 1) -> OnlineActor:
        """Return an actor that goes on learning from every step after deployment.

        ``predict`` never learns, because it does not see the reward of its action. The actor sees
        it in the next call, and changes the policy::

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
            step_size: Step size of the readouts.
            samples: Number B of environments, for ``OnlineActor.begin`` and ``go_on``.
        """
        settings = self.settings
        rule = RuleConstants(
            settings.feedback, settings.gamma, settings.trace_decay, settings.optimiser,
            settings.reward_scale, settings.rule,
        )  # fmt: skip
        self._make_regulator()
        return OnlineActor(
            self.policy, samples, rule, self.rng, self.moments, self.regulator,
            hidden_rate=settings.hidden_rate, step_size=step_size,
        )  # fmt: skip

    def _start_learning(self) -> None:
        self._actor, self._decided_on = self.online(0.0, self.n_envs), None

    def _rollout(self, callback: BaseCallback, total_timesteps: int) -> bool:
        self._update_current_progress_remaining(self.num_timesteps, total_timesteps)
        step_size = self.lr_schedule(self._current_progress_remaining)
        self.logger.record("train/learning_rate", step_size)
        callback.on_rollout_start()
        actor, env = self._actor, self.env
        assert actor is not None  # learn() has made it
        assert env is not None
        if self._last_obs is not self._decided_on:  # the environments were reset
            self._actions = actor.begin(self._last_obs)
        actor.step_size, make_step = step_size, stepper(env)
        for _ in range(ROLLOUT_STEPS):
            actions = self._actions
            new_obs, rewards, dones, infos = make_step(actions)
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            self._actions = actor.go_on(new_obs, rewards, dones, infos)
            # The actions for these observations are chosen.
            self._last_obs = self._decided_on = new_obs
            self._last_episode_starts = dones
            # Faster than any(), at every step.
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

    def reseed(self, seed: int) -> None:
        """Seed the generator that draws actions."""
        self.rng = np.random.default_rng(seed)
        if self._actor is not None:
            self._actor.rng = self.rng

    def state_tensors(self) -> dict[str, NDArray[Any]]:
        """Return Adam's moments and the regulator's state as arrays by name."""
        assert self.moments is not None  # made with the policy
        regulated = {} if self.regulator is None else self.regulator.arrays()
        return {**to_arrays(self.moments), **prefixed("regulation", regulated)}

    def load_state_tensors(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state of ``state_tensors``; raise ValueError if names do not fit."""
        assert self.moments is not None  # made with the policy
        moments = dict(tensors)
        if self.regulator is not None:
            regulated = with_prefix("regulation", tensors)
            self.regulator.load(regulated)
            for name in prefixed("regulation", regulated):
                del moments[name]
        self.moments = from_arrays(self.moments, moments, type(self).__name__)

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_actor", "_decided_on", "_actions"]
