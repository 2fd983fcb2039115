"""PPO with a state that lasts from one environment step to the next."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from snn_gym.learners.sequence_learner import SequenceLearner
from snn_gym.learners.sequence_rollouts import SequenceDictRolloutBuffer, SequenceRolloutBuffer
from snn_gym.learners.sequence_settings import CreditFeedbackName, CreditName, check_credit
from snn_gym.policies.stateful_actor_critic import StatefulActorCriticPolicy
from snn_gym.spiking.network import SpikingNetwork


class StatefulPPO(SequenceLearner, PPO):
    """Proximal policy optimisation on whole sequences, for any network that carries a state.

    Between environment steps the membranes (and the gated units of a twin) keep their state; an
    episode starts from rest. Rollouts are stored with the state before every step, cut into
    sequences, and replayed in one call of the network, with resets wherever episodes start, so that
    nothing is padded. Gradients pass back through a sequence, or through ``bptt_steps`` of it.

    With ``credit="eprop"`` they do not pass through recurrent spikes, and all else is the same. Of
    one recurrent layer that is e-prop (Bellec et al. 2020,
    https://doi.org/10.1038/s41467-020-17236-y, equation 1), adaptive thresholds included:
    what is left at each synapse is an eligibility trace, which can be followed forward in time
    (``snn_gym.spiking.eligibility``), times the learning signal of its neuron. Other than there,
    the trace passes the reset, as gradients do here, and a critic of gated units learns through
    time; with several layers gradients also pass from layer to layer.

    Everything else is Stable-Baselines3's PPO (Schulman et al. 2017,
    https://arxiv.org/abs/1707.06347): its ``train`` is used unchanged. Unlike sb3-contrib's
    RecurrentPPO, a state is one flat array of any content, and minibatches hold whole sequences.

    Args:
        policy: ``StatefulActorCriticPolicy``, or its name.
        env: Environment, its gymnasium id, or a ``VecEnv``.
        learning_rate: As in PPO.
        n_steps: Environment steps of each copy in a rollout.
        batch_size: Environment steps in a minibatch, a multiple of ``sequence_length``.
        sequence_length: Environment steps of a sequence, which divides ``n_steps``; None for whole
            rollouts.
        bptt_steps: Environment steps that a gradient passes back; None for whole sequences.
        burn_in_steps: Environment steps before each sequence that bring its state up to date with
            the present weights, without gradient; at most ``sequence_length``. The steps before a
            rollout's first sequence are those of the rollout before; the rollout itself starts from
            the states that they lead to, under the weights and the statistics of observations that
            hold from then on.
        credit: ``bptt``, or ``eprop`` for no gradient through recurrent spikes.
        feedback: With e-prop, what carries the readout's error to spiking neurons: its own weights
            (``symmetric``), or ``random`` ones that stay as they are.
        **kwargs: Further arguments of PPO.

    Raises:
        ValueError: The lengths do not fit each other, or the credit does not fit the network.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "StatefulActorCriticPolicy": StatefulActorCriticPolicy
    }
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
        bptt_steps: int | None = None,
        burn_in_steps: int = 0,
        credit: CreditName = "bptt",
        feedback: CreditFeedbackName = "symmetric",
        **kwargs: Any,
    ) -> None:
        self.credit, self.feedback = credit, feedback
        super().__init__(
            policy,
            env,
            learning_rate,
            n_steps,
            batch_size,
            sequence_length=sequence_length,
            bptt_steps=bptt_steps,
            burn_in_steps=burn_in_steps,
            **kwargs,
        )

    def _setup_model(self) -> None:
        length = self.n_steps if self.sequence_length is None else self.sequence_length
        self._check_lengths(length, self.batch_size)
        if self.n_steps % length:
            raise ValueError(
                f"sequence_length must divide n_steps={self.n_steps}, got {length}; take "
                f"sequence_length={self.n_steps} or another divisor"
            )
        check_credit(self.credit, self.feedback)
        arguments = {**self.policy_kwargs, "random_feedback": self.feedback == "random"}
        with self._temporarily(
            n_steps=1, rollout_buffer_class=None, rollout_buffer_kwargs={}, policy_kwargs=arguments
        ):
            super()._setup_model()
        self._check_recurrence()
        has_parts = isinstance(self.observation_space, spaces.Dict)
        buffer_class = SequenceDictRolloutBuffer if has_parts else SequenceRolloutBuffer
        self.rollout_buffer = buffer_class(
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
            truncate_every=self.bptt_steps,
            recurrent_gradient=self.credit != "eprop",
        )

    def _check_recurrence(self) -> None:
        networks = self.policy.mlp_extractor
        spiking = [x for x in (networks.actor, networks.critic) if isinstance(x, SpikingNetwork)]
        if self.credit == "eprop" and not any(network.config.recurrent for network in spiking):
            raise ValueError(
                "credit='eprop' is about recurrent spikes, and neither actor nor critic has any; "
                "use a network with recurrent=True, or leave credit out"
            )

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play a rollout, as in Stable-Baselines3, carrying the states.

        Args:
            env: Environments.
            callback: Called at every step.
            rollout_buffer: Filled.
            n_rollout_steps: Environment steps of each copy.

        Returns:
            Whether to go on training.
        """
        assert isinstance(rollout_buffer, SequenceRolloutBuffer)
        assert self._last_obs is not None, "No previous observation was provided"
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        if self.use_sde:
            self.policy.reset_noise(env.num_envs)
        callback.on_rollout_start()
        burn_in = rollout_buffer.burn_in()
        # As replay does it, so that what is replayed is what was played.
        states = self.states(env.num_envs) if burn_in is None else self.policy.carry(burn_in)
        self._last_states = states
        for step in range(n_rollout_steps):
            if self.use_sde and self.sde_sample_freq > 0 and step % self.sde_sample_freq == 0:
                self.policy.reset_noise(env.num_envs)
            if not self._collect_step(env, callback, rollout_buffer):
                return False
        with torch.no_grad():
            obs = obs_as_tensor(self._last_obs, self.device)
            values = self.policy.predict_values(obs, self._last_states, self._starts())
        dones: Any = self._last_episode_starts
        rollout_buffer.compute_returns_and_advantage(last_values=values, dones=dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _collect_step(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: SequenceRolloutBuffer
    ) -> bool:
        """Make one environment step in every environment; return whether to go on."""
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

    def _starts(self) -> Tensor:
        return torch.as_tensor(
            np.asarray(self._last_episode_starts, dtype=np.bool_), device=self.device
        )

    def _within_bounds(self, actions: NDArray[Any]) -> NDArray[Any]:
        if not isinstance(self.action_space, spaces.Box):
            return actions
        if self.policy.squash_output:
            unscaled: NDArray[Any] = self.policy.unscale_action(actions)
            return unscaled
        clipped: NDArray[Any] = np.clip(actions, self.action_space.low, self.action_space.high)
        return clipped

    def _bootstrap(
        self,
        rewards: NDArray[Any],
        dones: NDArray[np.bool_],
        infos: list[dict[str, Any]],
        states: Tensor,
    ) -> None:
        """Add the value of the last observation where an episode was cut by a limit."""
        # See https://github.com/DLR-RM/stable-baselines3/issues/633
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
