"""``PPO``: Stable-Baselines3's algorithm with less to do around small networks."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import explained_variance
from stable_baselines3.common.vec_env import VecEnv

from snn_gym.learners.optimiser_step import ClippedStep
from snn_gym.learners.ppo_kernels import (
    APPROX_KL,
    ENTROPY_LOSS,
    POLICY_LOSS,
    VALUE_LOSS,
    loss_gradients,
)
from snn_gym.learners.ppo_rollout import Rollout, Transitions
from snn_gym.policies import SpikingActorCriticPolicy

_STOCK_METHODS = ("forward", "evaluate_actions", "predict_values", "_get_action_dist_from_latent")


class PPO(stable_baselines3.PPO):
    """Stable-Baselines3's ``PPO``; where actions are discrete, in fewer and compiled operations.

    The algorithm, its hyper-parameters, what it logs and the random numbers that it draws are the
    same. With discrete actions on the CPU under ``SpikingActorCriticPolicy``, spiking or not:

    - in a rollout only the actor decides step by step; values, log-probabilities and the
      normaliser's sums of all steps follow in one batch when it ends, so callbacks find none of
      the former two in ``locals``;
    - advantages are compiled, and so are the loss and its gradient at the networks' outputs;
    - gradients are clipped and applied by ``ClippedStep``.

    Sums in batches of other sizes and in float64 round otherwise, so weights come out equal to
    those of Stable-Baselines3's own loop within rounding, not to the bit. Everywhere else its own
    loop runs.

    Args:
        *args: As in Stable-Baselines3's ``PPO``.
        **kwargs: As there.

    Example:
        >>> from snn_gym.learners import PPO
        >>> from snn_gym.policies import SpikingActorCriticPolicy
        >>> _ = PPO(SpikingActorCriticPolicy, "CartPole-v1", n_steps=64, device="cpu").learn(128)
    """

    same_as: ClassVar[type[BaseAlgorithm]] = stable_baselines3.PPO
    """The algorithm of another library that learns what this one does."""

    def _is_quick(self) -> bool:
        """Tell whether nothing asks for Stable-Baselines3's own loop."""
        policy, kind = self.policy, type(self.policy)
        return (
            isinstance(policy, SpikingActorCriticPolicy)
            and isinstance(self.action_space, spaces.Discrete)
            and type(self.rollout_buffer) is RolloutBuffer
            and self.device.type == "cpu"
            and not self.use_sde
            and not policy.explores_nothing
            # Nobody knows what a subclass does.
            and all(
                getattr(kind, name) is getattr(SpikingActorCriticPolicy, name)
                for name in _STOCK_METHODS
            )
        )

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Play a rollout, as in Stable-Baselines3.

        Args:
            env: Environments.
            callback: Called at every step.
            rollout_buffer: Filled.
            n_rollout_steps: Environment steps of each copy.

        Returns:
            Whether to go on training.
        """
        if not self._is_quick() or rollout_buffer is not self.rollout_buffer:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        assert self._last_obs is not None, "no observation: call learn(), which resets"
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        rollout = Rollout(rollout_buffer, self.policy)  # type: ignore[arg-type]
        for _ in range(n_rollout_steps):
            if not self._collect_step(env, callback, rollout):
                rollout.show()
                return False
        dones = np.asarray(self._last_episode_starts)
        rollout.finish(self._last_obs, dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _collect_step(self, env: VecEnv, callback: BaseCallback, rollout: Rollout) -> bool:
        """Make one environment step in every environment; return whether to go on."""
        starts: Any = self._last_episode_starts
        actions = rollout.decide(self._last_obs, starts)
        new_obs, rewards, dones, infos = env.step(actions)
        self.num_timesteps += env.num_envs
        callback.update_locals(locals())
        if not callback.on_step():
            return False
        self._update_info_buffer(infos, dones)
        rollout.earn(rewards, dones, infos)
        self._last_obs = new_obs  # type: ignore[assignment]
        self._last_episode_starts = dones
        return True

    def train(self) -> None:
        """Update the policy, as in Stable-Baselines3."""
        if not self._is_quick():
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        transitions = Transitions(self.rollout_buffer)
        step = ClippedStep(self.policy.optimizer, self.policy.parameters(), self.max_grad_norm)
        coefficients = self._coefficients()
        means: list[NDArray[np.float64]] = []
        divergences: list[float] = []
        for _ in range(self.n_epochs):
            divergences = []
            for rows in transitions.minibatches(self.batch_size):
                means.append(self._backward(transitions, rows, coefficients, step))
                divergences.append(float(means[-1][APPROX_KL]))
                if self._is_too_far(divergences):
                    break
                step.take()
            self._n_updates += 1
            if self._is_too_far(divergences):
                break
        self._log(np.array(means), divergences, coefficients)

    def _is_too_far(self, divergences: list[float]) -> bool:
        return self.target_kl is not None and divergences[-1] > 1.5 * self.target_kl

    def _coefficients(self) -> NDArray[np.float64]:
        """Return what ``loss_gradients`` takes, at the present progress."""
        progress = self._current_progress_remaining
        clip_value = np.inf if self.clip_range_vf is None else self.clip_range_vf(progress)  # type: ignore[operator]
        return np.array([self.clip_range(progress), clip_value, self.ent_coef, self.vf_coef])  # type: ignore[operator]

    def _backward(
        self,
        transitions: Transitions,
        rows: NDArray[np.int64],
        coefficients: NDArray[np.float64],
        step: ClippedStep,
    ) -> NDArray[np.float64]:
        """Leave a minibatch's gradients at the parameters; return means by ``POLICY_LOSS`` etc."""
        policy = self.policy
        assert isinstance(policy, SpikingActorCriticPolicy)  # of what is quick
        logits, values = policy.logits_and_values(transitions.observations[torch.from_numpy(rows)])
        grad_logits, grad_values = torch.empty_like(logits), torch.empty_like(values)
        means = np.empty(5)
        loss_gradients(
            rows, transitions.actions, transitions.known,
            logits.detach().numpy(), values.detach().numpy()[:, 0], coefficients,
            self.normalize_advantage, means, grad_logits.numpy(), grad_values.numpy()[:, 0],
        )  # fmt: skip
        step.drop_gradients()
        torch.autograd.backward((logits, values), (grad_logits, grad_values))
        return means

    def _log(
        self,
        means: NDArray[np.float64],
        divergences: list[float],
        coefficients: NDArray[np.float64],
    ) -> None:
        policy_loss, value_loss, entropy_loss, clip_fraction, _ = means.mean(axis=0)
        last = means[-1][[POLICY_LOSS, ENTROPY_LOSS, VALUE_LOSS]]
        buffer = self.rollout_buffer
        record = self.logger.record
        record("train/entropy_loss", entropy_loss)
        record("train/policy_gradient_loss", policy_loss)
        record("train/value_loss", value_loss)
        record("train/approx_kl", np.mean(divergences))
        record("train/clip_fraction", clip_fraction)
        record("train/loss", float(last @ [1.0, self.ent_coef, self.vf_coef]))
        record(
            "train/explained_variance",
            explained_variance(buffer.values.flatten(), buffer.returns.flatten()),
        )
        record("train/n_updates", self._n_updates, exclude="tensorboard")
        record("train/clip_range", float(coefficients[0]))
        if self.clip_range_vf is not None:
            record("train/clip_range_vf", float(coefficients[1]))
