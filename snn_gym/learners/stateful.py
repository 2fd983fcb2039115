"""PPO with a state that is carried between environment steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor
from typing_extensions import override

from snn_gym.learners.ppo import Array, CompiledPPO, Rollout, Transitions
from snn_gym.learners.sequences import SequenceRolloutBuffer
from snn_gym.learners.settings import CreditName, check_credit, check_sequences
from snn_gym.policies.stateful import (
    SequenceBatch,
    StatefulActorCriticPolicy,
    reset_where,
)
from snn_gym.program.compiled import CompiledProgram
from snn_gym.spiking.network import SpikingNetwork


# ---- compiled rollouts ---------------------------------------------------------------------------
class SequenceRollout(Rollout):
    """Rollout of discrete actions in which compiled networks carry ``states`` (B, S)."""

    _buffer: SequenceRolloutBuffer

    def __init__(
        self,
        buffer: SequenceRolloutBuffer,
        policy: StatefulActorCriticPolicy,
        programs: tuple[CompiledProgram, CompiledProgram],
        states: Tensor,
    ) -> None:
        actor, self._critic = programs
        super().__init__(buffer, policy, actor)
        networks = policy.mlp_extractor
        # Copies, which compiled networks move on in place.
        self._actor_states, self._critic_states = (x.numpy().copy() for x in networks.split(states))
        self.states: Array = states.numpy()
        """(B, S) after the present step, not yet reset."""
        self._rest = [x.numpy() for x in networks.split(policy.rest_state(1))]

    @override
    def _logits_of(self, observations: Any, starts: NDArray[np.bool_]) -> Tensor:
        buffer, begins = self._buffer, np.asarray(starts, np.bool_)
        buffer.enter_step(self.states, begins)
        self._actor_states[begins], self._critic_states[begins] = self._rest
        rows = self._rows(observations)
        buffer.values[buffer.pos] = self._critic.outputs(rows, self._critic_states)[:, 0]
        assert self._actor is not None  # given above
        logits = self._actor.outputs(rows, self._actor_states)
        self.states = np.concatenate([self._actor_states, self._critic_states], axis=1)
        return torch.from_numpy(logits)

    @override
    def _cut_off(self, step: int, index: int, last: Any) -> None:
        buffer, state = self._buffer, self._critic_states[index : index + 1].copy()
        value = self._critic.outputs(self._rows(np.asarray(last)), state)[0, 0]
        buffer.rewards[step, index] += buffer.gamma * value

    @override
    def _value(self, last: Any) -> Array:
        # Only values of episodes that go on count, so that nothing is reset.
        following: Array = self._critic.outputs(self._rows(last), self._critic_states.copy())[:, 0]
        return following


class SequenceTransitions(Transitions):
    """The N transitions of a full buffer of sequences, step by step."""

    def __init__(self, buffer: SequenceRolloutBuffer) -> None:
        self._buffer = buffer
        self.actions = buffer.actions.reshape(-1).astype(np.int64, copy=False)
        columns = buffer.values, buffer.log_probs, buffer.advantages, buffer.returns
        self.known = np.stack([x.reshape(-1) for x in columns], axis=1)

    @override
    def minibatches(self, size: int) -> Iterator[tuple[NDArray[np.int64], SequenceBatch]]:
        buffer = self._buffer
        within = np.arange(buffer.sequence_length)[:, np.newaxis]
        for first, envs in buffer.drawn(size):
            rows = ((first + within) * buffer.n_envs + envs).reshape(-1)
            yield rows, buffer.sequences(first, envs)


# ---- stateful ppo --------------------------------------------------------------------------------
class StatefulPPO(CompiledPPO):
    """Proximal policy optimisation on whole sequences, for any network that carries a state.

    Membranes (and the gated units of a twin) keep their state between environment steps; an episode
    starts from rest. Rollouts are cut into sequences that begin with their stored state. One call
    of the network replays a sequence and resets the state wherever an episode starts.

    ``credit="eprop"`` stops gradients at recurrent spikes. For one recurrent layer that is e-prop
    (Bellec et al. 2020, https://doi.org/10.1038/s41467-020-17236-y, equation 1), adaptive
    thresholds included: the gradient of a synapse is its eligibility trace
    (``snn_gym.spiking.eligibility``) times the learning signal of its neuron. Differences: the
    trace passes the reset, a critic of gated units learns through time, and with several layers
    gradients also pass between layers.

    Everything else is Stable-Baselines3's PPO (Schulman et al. 2017,
    https://arxiv.org/abs/1707.06347); with discrete actions on the CPU its parts are compiled, as
    in ``snn_gym.learners.PPO``. Unlike in sb3-contrib's RecurrentPPO, a state is one flat
    array, and minibatches hold whole sequences.

    Args:
        policy: ``StatefulActorCriticPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        learning_rate: As in PPO.
        n_steps: Environment steps of each copy in a rollout.
        batch_size: Environment steps in a minibatch, a multiple of ``sequence_length``.
        sequence_length: Environment steps of a sequence, which divides ``n_steps``; None for whole
            rollouts.
        burn_in_steps: Environment steps before each sequence, at most ``sequence_length``, that
            update its state with the present weights, without gradient. Before the first sequence
            they are the end of the last rollout, and the rollout starts from the updated states.
        credit: ``bptt``, or ``eprop`` for no gradient through recurrent spikes.
        **kwargs: Further arguments of ``snn_gym.learners.PPO``.

    Raises:
        ValueError: The lengths do not fit each other, observations are a Dict, or the credit does
            not fit the network.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "StatefulActorCriticPolicy": StatefulActorCriticPolicy
    }
    quick_policy = StatefulActorCriticPolicy
    quick_buffer = SequenceRolloutBuffer
    policy: StatefulActorCriticPolicy
    rollout_buffer: SequenceRolloutBuffer

    def __init__(
        self,
        policy: str | type[StatefulActorCriticPolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 3e-4,
        n_steps: int = 128,
        batch_size: int = 128,
        *,
        sequence_length: int | None = None,
        burn_in_steps: int = 0,
        credit: CreditName = "bptt",
        **kwargs: Any,
    ) -> None:
        self.credit = credit
        self.sequence_length = sequence_length
        self.burn_in_steps = burn_in_steps
        self._last_states: Tensor | None = None
        kwargs = {"device": "cpu", **kwargs}
        super().__init__(policy, env, learning_rate, n_steps, batch_size, **kwargs)

    def _setup_model(self) -> None:
        length = self.n_steps if self.sequence_length is None else self.sequence_length
        self._check_sequences(length)
        check_credit(self.credit)
        # Stable-Baselines3 makes a buffer before the policy, whose state size ours needs: for a
        # while it makes the smallest one.
        n_steps, self.n_steps = self.n_steps, 1
        super()._setup_model()
        self.n_steps = n_steps
        self._check_recurrence()
        self.rollout_buffer = SequenceRolloutBuffer(
            self.n_steps,
            self.observation_space,
            self.action_space,
            self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
            state_size=self.policy.rest_state(1).shape[1],
            sequence_length=length,
            burn_in_steps=self.burn_in_steps,
            recurrent_gradient=self.credit != "eprop",
        )

    def _check_sequences(self, length: int) -> None:
        """Raise ValueError if a length is wrong, or observations are a Dict."""
        if isinstance(self.observation_space, spaces.Dict):
            raise ValueError(
                f"{type(self).__name__} takes no Dict observations, got {self.observation_space}; "
                "wrap the environment in gymnasium.wrappers.FlattenObservation"
            )
        check_sequences(length, self.burn_in_steps)
        if self.batch_size < 1 or self.batch_size % length:
            raise ValueError(
                f"batch_size counts environment steps of whole sequences of {length}, got "
                f"{self.batch_size}; take a multiple of {length}"
            )
        if self.n_steps % length:
            raise ValueError(
                f"sequence_length must divide n_steps={self.n_steps}, got {length}; take "
                f"sequence_length={self.n_steps} or another divisor"
            )

    def _check_recurrence(self) -> None:
        networks = self.policy.mlp_extractor
        spiking = [x for x in (networks.actor, networks.critic) if isinstance(x, SpikingNetwork)]
        if self.credit == "eprop" and not any(network.config.recurrent for network in spiking):
            raise ValueError(
                "credit='eprop' is about recurrent spikes, and neither actor nor critic has any; "
                "use a network with recurrent=True, or leave credit out"
            )

    def states(self, n_envs: int) -> Tensor:
        """Return the states (n_envs, S) before the next step, set to rest if there are none."""
        # The number of environments may have changed.
        if self._last_states is None or len(self._last_states) != n_envs:
            self._last_states = self.policy.rest_state(n_envs)
        return self._last_states

    def acting_states(self) -> Tensor:
        """Return the acting network's states (n_envs, S') before the next step, for ``record``."""
        rest = self.policy.rest_state(1)
        states = reset_where(self._starts(), self.states(self.n_envs), rest)
        return self.policy.acting_state(states)

    def _starts(self) -> Tensor:
        """Return whether an episode starts with the next step (n_envs,)."""
        starts = np.asarray(self._last_episode_starts, np.bool_)
        return torch.as_tensor(starts, device=self.device)

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the buffer with a rollout and its states; return False if the callback stops."""
        assert isinstance(rollout_buffer, SequenceRolloutBuffer)
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        if self.use_sde:
            self.policy.reset_noise(env.num_envs)
        callback.on_rollout_start()
        burn_in = rollout_buffer.burn_in()
        # The same burn-in as in replay, so that sequences replay from the played states.
        states = self.states(env.num_envs) if burn_in is None else self.policy.carry(burn_in)
        self._last_states = states
        programs = self.policy.compiled() if self._is_quick() else None
        if programs is not None:
            rollout = SequenceRollout(rollout_buffer, self.policy, programs, states)
            return self._roll_out(env, callback, rollout, n_rollout_steps)
        for step in range(n_rollout_steps):
            if self.use_sde and self.sde_sample_freq > 0 and step % self.sde_sample_freq == 0:
                self.policy.reset_noise(env.num_envs)
            if not self._collect_by_torch(env, callback, rollout_buffer):
                return False
        with torch.no_grad():
            obs = obs_as_tensor(self._last_obs, self.device)  # type: ignore[arg-type]
            values = self.policy.predict_values(obs, self._last_states, self._starts())
        dones: Any = self._last_episode_starts
        rollout_buffer.compute_returns_and_advantage(last_values=values, dones=dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _collect_step(self, env: VecEnv, callback: BaseCallback, rollout: Rollout) -> bool:
        assert isinstance(rollout, SequenceRollout)  # as collect_rollouts made it
        going_on = super()._collect_step(env, callback, rollout)
        if going_on:
            self._last_states = torch.from_numpy(rollout.states)
        return going_on

    def _transitions(self) -> Transitions:
        return SequenceTransitions(self.rollout_buffer)

    def _collect_by_torch(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: SequenceRolloutBuffer
    ) -> bool:
        """Step every environment and store the step; if a callback stops, only return False."""
        assert self._last_states is not None  # set when the rollout began
        with torch.no_grad():
            obs = obs_as_tensor(self._last_obs, self.device)  # type: ignore[arg-type]
            actions, values, log_probs, states = self.policy(obs, self._last_states, self._starts())
        taken = actions.cpu().numpy()
        new_obs, rewards, dones, infos = env.step(self._within_bounds(taken))
        self.num_timesteps += env.num_envs
        callback.update_locals(locals())
        if not callback.on_step():
            return False
        self._update_info_buffer(infos, dones)
        self._bootstrap(rewards, dones, infos, states)
        rollout_buffer.add_with_state(
            self._last_obs,
            taken,
            rewards,
            self._last_episode_starts,  # type: ignore[arg-type]
            values,
            log_probs,
            self._last_states,
        )
        self._last_obs = new_obs  # type: ignore[assignment]
        self._last_episode_starts = dones
        self._last_states = states
        return True

    def _within_bounds(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return actions scaled or clipped to a Box's bounds; of other spaces, unchanged."""
        if not isinstance(self.action_space, spaces.Box):
            return actions
        if self.policy.squash_output:
            unscaled: NDArray[Any] = self.policy.unscale_action(actions)
            return unscaled
        # A Gaussian has no bounds; the buffer stores the action before clipping.
        clipped: NDArray[Any] = np.clip(actions, self.action_space.low, self.action_space.high)
        return clipped

    def _bootstrap(
        self,
        rewards: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
        states: Tensor,
    ) -> None:
        """Add the last observation's discounted value to rewards where a limit cut an episode."""
        # See https://github.com/DLR-RM/stable-baselines3/issues/633
        # The value is of a step that would have continued the episode.
        going_on = torch.zeros(1, dtype=torch.bool, device=self.device)
        for index in np.flatnonzero(dones):
            info = infos[index]
            last = info.get("terminal_observation")
            if last is None or not info.get("TimeLimit.truncated", False):
                continue
            obs, _ = self.policy.obs_to_tensor(last)
            with torch.no_grad():
                state = states[index : index + 1]
                value = self.policy.predict_values(obs, state, going_on)
            rewards[index] += self.gamma * value.item()

    def _excluded_save_params(self) -> list[str]:
        # Episodes start anew after loading.
        return [*super()._excluded_save_params(), "_last_states"]
