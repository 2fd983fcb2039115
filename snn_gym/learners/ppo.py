"""Stable-Baselines3's PPO with less overhead around small networks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import stable_baselines3
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.utils import explained_variance, update_learning_rate
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor
from torch.optim import Optimizer

from snn_gym._base.compilation import njit
from snn_gym.learners.adam import ClippedStep
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.policies.acting import compiled_network, rows_of
from snn_gym.program.compiled import CompiledProgram

# ---- compiled parts ------------------------------------------------------------------------------
Array = NDArray[np.float32]

OLD_VALUE, OLD_LOG_PROB, ADVANTAGE, RETURN = range(4)
# Columns of the transitions of a rollout.
POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, CLIP_FRACTION, APPROX_KL = range(5)
# Means over a minibatch that PPO logs.


@njit(cache=True, error_model="numpy")
def fill_advantages(
    gamma: np.float32,
    decay: np.float32,
    rewards: Array,
    values: Array,
    episode_starts: Array,
    last_values: Array,
    dones: NDArray[np.bool_],
    advantages: Array,
) -> None:
    """Fill ``advantages`` (steps, B) by generalised advantage estimation; ``decay`` is γ λ.

    ``last_values`` (B,) and ``dones`` (B,) are of the observations after the rollout.

    Schulman et al., "High-dimensional continuous control using generalized advantage estimation",
    ICLR 2016, https://arxiv.org/abs/1506.02438.
    """
    # Operation by operation as Stable-Baselines3's buffer, so that the bits are the same.
    one = np.float32(1.0)
    steps, environments = rewards.shape
    for b in range(environments):
        advantage = np.float32(0.0)
        going_on = one - np.float32(dones[b])
        following = last_values[b]
        for t in range(steps - 1, -1, -1):
            error = rewards[t, b] + gamma * following * going_on - values[t, b]
            advantage = error + decay * going_on * advantage
            advantages[t, b] = advantage
            going_on = one - episode_starts[t, b]
            following = values[t, b]


@njit(cache=True, error_model="numpy")
def _standardisation(rows: NDArray[np.int64], known: Array) -> tuple[float, float]:
    """Return the mean and the inverse standard deviation of a minibatch's advantages."""
    count, mean, squares = rows.size, 0.0, 0.0
    for i in range(count):
        mean += known[rows[i], ADVANTAGE]
    mean /= count
    for i in range(count):
        squares += (known[rows[i], ADVANTAGE] - mean) ** 2
    return mean, 1.0 / (math.sqrt(squares / (count - 1)) + 1e-8)


@njit(cache=True, error_model="numpy")
def _log_softmax(logits: Array, log_probs: NDArray[np.float64]) -> float:
    """Fill the log-probabilities (A,) of logits (A,), and return the entropy."""
    top, total, entropy = -np.inf, 0.0, 0.0
    for k in range(logits.size):
        top = max(top, logits[k])
    for k in range(logits.size):
        total += math.exp(logits[k] - top)
    # Relative to the largest logit, so that exp does not overflow.
    shift = top + math.log(total)
    for k in range(logits.size):
        log_probs[k] = logits[k] - shift
        entropy -= math.exp(log_probs[k]) * log_probs[k]
    return entropy


@njit(cache=True, error_model="numpy")
def _value_gradients(
    rows: NDArray[np.int64], known: Array, values: Array, clip: float, weight: float, grad: Array
) -> float:
    """Fill the gradient (n,) of the clipped value loss; return the sum of its squared errors."""
    total = 0.0
    for i in range(rows.size):
        row = rows[i]
        moved = values[i] - known[row, OLD_VALUE]
        error = values[i] - known[row, RETURN]
        if abs(moved) > clip:
            moved = min(max(moved, -clip), clip)
            error = known[row, OLD_VALUE] + moved - known[row, RETURN]
            grad[i] = 0.0
        else:
            grad[i] = weight * 2.0 * error / rows.size
        total += error * error
    return total


@njit(cache=True, error_model="numpy")
def loss_gradients(
    rows: NDArray[np.int64],
    actions: NDArray[np.int64],
    known: Array,
    logits: Array,
    values: Array,
    coefficients: NDArray[np.float64],
    normalise: bool,
    means: NDArray[np.float64],
    grad_logits: Array,
    grad_values: Array,
) -> None:
    """Fill ``means`` (5,) and the gradients of PPO's loss for a minibatch of discrete actions.

    ``rows`` (n,) are its transitions in ``actions`` (N,) and ``known`` (N, 4); ``logits`` (n, A)
    and ``values`` (n,) are of its rows, ``coefficients`` those of ``PPO._coefficients``. The loss
    is Stable-Baselines3's; sums are in float64. Schulman et al., "Proximal policy optimization
    algorithms", 2017, https://arxiv.org/abs/1707.06347.
    """
    clip, clip_value, weight_entropy, weight_value = coefficients
    count, choices = logits.shape
    mean, scale = 0.0, 1.0
    # A standard deviation needs two values.
    if normalise and count > 1:
        mean, scale = _standardisation(rows, known)
    means[:] = 0.0
    log_probs = np.empty(choices)
    for i in range(count):
        row = rows[i]
        entropy = _log_softmax(logits[i], log_probs)
        log_ratio = log_probs[actions[row]] - known[row, OLD_LOG_PROB]
        # As a float32, so that a ratio of 1 but for rounding is 1 and within any range.
        ratio = np.float64(np.float32(math.exp(log_ratio)))
        advantage = (known[row, ADVANTAGE] - mean) * scale
        plain = advantage * ratio
        clipped = advantage * min(max(ratio, 1.0 - clip), 1.0 + clip)
        # If the clipped objective is less, the ratio is out of its range and has no gradient.
        grad_log_prob = -plain / count if plain <= clipped else 0.0
        for k in range(choices):
            # Derivatives of the log-probability, and of the entropy, by each logit.
            probability = math.exp(log_probs[k])
            chosen = 1.0 if k == actions[row] else 0.0
            grad_logits[i, k] = grad_log_prob * (
                chosen - probability
            ) + weight_entropy / count * probability * (log_probs[k] + entropy)
        means[POLICY_LOSS] -= min(plain, clipped)
        means[ENTROPY_LOSS] -= entropy
        means[CLIP_FRACTION] += 1.0 if abs(ratio - 1.0) > clip else 0.0
        means[APPROX_KL] += ratio - 1.0 - log_ratio
    means[VALUE_LOSS] = _value_gradients(rows, known, values, clip_value, weight_value, grad_values)
    means /= count


# ---- step size -----------------------------------------------------------------------------------
_LARGEST_FACTOR = 30.0
"""Largest factor of the scheduled step size."""
_MEASURED_DECISIONS = 2048
"""Decisions of a rollout from which the whole correction is made; of fewer it is a part."""


def next_step_factor(factor: float, divergence: float, desired: float, decisions: int) -> float:
    """Return the factor of the step size for the next update, in [1, 30].

    It changes by the square root of ``desired`` over ``divergence``, for the divergence grows with
    the square of a small step; by a smaller power if the rollout has fewer than 2048 ``decisions``.
    """
    power = 0.5 * min(1.0, decisions / _MEASURED_DECISIONS)
    # No gradient may have come through, and then the divergence is 0.
    change: float = (desired / max(divergence, 1e-12)) ** power
    return min(max(factor * change, 1.0), _LARGEST_FACTOR)


# ---- rollouts ------------------------------------------------------------------------------------
# Most observations, and most values in them, in one batch of the critic, to save memory.
_ROWS_AT_ONCE = 4096
_VALUES_AT_ONCE = 1 << 25
_FLATTENED = ("observations", "actions", "values", "log_probs", "advantages", "returns")


class Rollout:
    """Rollout of discrete actions into a buffer; the critic runs in batches at its end."""

    def __init__(
        self,
        buffer: RolloutBuffer,
        policy: SpikingActorCriticPolicy,
        actor: CompiledProgram | None = None,
    ) -> None:
        self._buffer = buffer
        self._policy = policy
        self._actor = actor
        self._logits: list[Tensor] = []
        self._cut: list[tuple[int, int, Any]] = []

    @torch.no_grad()
    def decide(self, observations: Any, starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Store observations (B, ...) and episode starts (B,); return sampled actions (B,)."""
        buffer, step = self._buffer, self._buffer.pos
        buffer.observations[step] = observations.reshape(buffer.observations.shape[1:])
        buffer.episode_starts[step] = starts
        logits = self._logits_of(observations, starts)
        self._logits.append(logits)
        # Samples like torch's Categorical, with the same random numbers.
        log_probs = logits - logits.logsumexp(dim=-1, keepdim=True)
        actions = torch.multinomial(torch.softmax(log_probs, dim=-1), 1, True).numpy()
        buffer.actions[step] = actions
        taken: NDArray[np.int64] = actions.reshape(-1)
        return taken

    def _logits_of(self, observations: Any, starts: NDArray[np.bool_]) -> Tensor:
        """Return the logits (B, A) of observations (B, ...)."""
        del starts  # no state is carried
        if self._actor is None:
            return self._policy.logits(torch.as_tensor(observations))
        return torch.from_numpy(self._actor.outputs(self._rows(observations)))

    def _rows(self, observations: NDArray[Any]) -> Array:
        """Return observations (B, ...), or one (...), as rows (B, values)."""
        rows = rows_of(observations, self._policy.observation_space)
        assert rows is not None  # observations are of the policy's space
        return rows

    def earn(self, rewards: Array, dones: NDArray[np.bool_], infos: list[dict[str, Any]]) -> None:
        """Store the rewards (B,) and last observations of cut episodes; go to the next step."""
        buffer, step = self._buffer, self._buffer.pos
        buffer.rewards[step] = rewards
        for index in np.flatnonzero(dones).tolist():
            last = infos[index].get("terminal_observation")
            if last is not None and infos[index].get("TimeLimit.truncated", False):
                self._cut_off(step, index, last)
        buffer.pos += 1

    def _cut_off(self, step: int, index: int, last: Any) -> None:
        """Note the last observation of an episode that a limit ended."""
        # Valued in one batch when the rollout ends.
        self._cut.append((step, index, last))

    @torch.no_grad()
    def show(self) -> None:
        """Add the observations so far to the normaliser's statistics, if there is a normaliser."""
        networks = self._policy.mlp_extractor
        if networks.normaliser is None:
            return
        with networks.training_data():
            for observations in self._seen(len(self._logits)):
                features = self._policy.extract_features(observations)
                # Actor and critic that share no extractor have different features.
                for part in (features,) if isinstance(features, Tensor) else features:
                    networks.normalised(part)

    @torch.no_grad()
    def finish(self, last: Any, dones: NDArray[np.bool_]) -> None:
        """Fill values, log-probabilities, advantages and returns, and update the normaliser.

        ``last`` are the observations (B, ...) after the rollout, ``dones`` (B,) its last ends.
        """
        buffer = self._buffer
        self.show()
        following = self._value(last)
        logits = torch.stack(self._logits)
        log_probs = logits - logits.logsumexp(dim=-1, keepdim=True)
        chosen = log_probs.gather(-1, torch.from_numpy(buffer.actions))
        buffer.log_probs[:] = chosen.squeeze(-1).numpy()
        fill_advantages(
            np.float32(buffer.gamma), np.float32(buffer.gamma * buffer.gae_lambda),
            buffer.rewards, buffer.values, buffer.episode_starts, following, dones,
            buffer.advantages,
        )  # fmt: skip
        buffer.returns = buffer.advantages + buffer.values
        buffer.full = True

    def _value(self, last: Any) -> Array:
        """Fill all values, and return those (B,) of the observations after the rollout."""
        buffer, policy = self._buffer, self._policy
        values = [policy.predict_values(part) for part in self._seen(buffer.buffer_size)]
        buffer.values[:] = torch.cat(values).numpy().reshape(buffer.values.shape)
        self._bootstrap()
        following: Array = policy.predict_values(torch.as_tensor(last)).flatten().numpy()
        return following

    def _seen(self, steps: int) -> list[Tensor]:
        """Return the observations of the first steps in batches (n, ...)."""
        observations = self._buffer.observations[:steps]
        flat = observations.reshape(-1, *observations.shape[2:])
        values = max(1, flat[0].size)
        # At least one row, however large an observation is.
        rows = max(1, min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // values))
        return list(torch.split(torch.from_numpy(flat), rows))

    def _bootstrap(self) -> None:
        """Add to stored rewards the discounted value of the last observation after a limit."""
        # See https://github.com/DLR-RM/stable-baselines3/issues/633
        if not self._cut:
            return
        steps, indices, lasts = zip(*self._cut, strict=True)
        values = self._policy.predict_values(torch.as_tensor(np.stack(lasts))).flatten()
        gained = (self._buffer.gamma * values).numpy()
        self._buffer.rewards[list(steps), list(indices)] += gained


class Transitions:
    """The N transitions of a full rollout buffer, which is flattened here as by its ``get``."""

    def __init__(self, buffer: RolloutBuffer) -> None:
        for name in _FLATTENED:
            setattr(buffer, name, buffer.swap_and_flatten(getattr(buffer, name)))
        # Its own get would flatten a second time.
        buffer.generator_ready = True
        self.count = buffer.buffer_size * buffer.n_envs
        self.observations = torch.from_numpy(buffer.observations)
        self.actions: NDArray[np.int64] = buffer.actions.reshape(-1).astype(np.int64, copy=False)
        columns = buffer.values, buffer.log_probs, buffer.advantages, buffer.returns
        self.known = np.concatenate(columns, axis=1)  # by OLD_VALUE and so on

    def minibatches(self, size: int) -> Iterator[tuple[NDArray[np.int64], Any]]:
        """Yield rows and observations of minibatches, drawn like the buffer's ``get``."""
        order = np.random.permutation(self.count)  # noqa: NPY002 - Stable-Baselines3's generator
        for start in range(0, self.count, size):
            rows = order[start : start + size]
            yield rows, self.observations[torch.from_numpy(rows)]


# ---- algorithm -----------------------------------------------------------------------------------
_STOCK_METHODS = ("forward", "evaluate_actions", "predict_values", "_get_action_dist_from_latent")


class CompiledPPO(stable_baselines3.PPO):
    """Stable-Baselines3's ``PPO`` with a compiled loop, whose step size can adapt.

    With ``desired_kl`` the scheduled step size is multiplied by a factor from 1 to 30 that brings
    the divergence of the updated policy from the one that acted, the mean ``approx_kl`` of the last
    epoch, near that number of nats. If the schedule alone moves the policy as far, the factor is 1.

    After the adaptive step size of RSL-RL (Rudin et al. 2022, https://arxiv.org/abs/2109.11978).
    Differences: one proportional change after each update, by ``next_step_factor``, instead of
    factors of 1.5 at each minibatch; and steps are never smaller than scheduled.

    Args:
        *args: As in Stable-Baselines3's ``PPO``.
        desired_kl: Desired divergence (nat) of an update; None for the schedule alone.
        **kwargs: As in Stable-Baselines3's ``PPO``.

    Raises:
        ValueError: ``desired_kl`` is not above 0, or updates would stop before it.
    """

    quick_policy: ClassVar[type[SpikingActorCriticPolicy]] = SpikingActorCriticPolicy
    """Policy whose discrete actions the faster loop serves."""
    quick_buffer: ClassVar[type[RolloutBuffer]] = RolloutBuffer

    def __init__(self, *args: Any, desired_kl: float | None = None, **kwargs: Any) -> None:
        if desired_kl is not None and not desired_kl > 0:
            raise ValueError(
                f"desired_kl must be above 0 nat, got {desired_kl}; 0.02 is usual, None for none"
            )
        self.desired_kl = desired_kl
        self.step_factor = 1.0
        """Factor of the scheduled step size in the next update."""
        super().__init__(*args, **kwargs)
        if desired_kl is not None and self.target_kl is not None and self.target_kl < desired_kl:
            raise ValueError(
                f"target_kl={self.target_kl} stops updates before desired_kl={desired_kl}; leave "
                "target_kl out, or raise it"
            )

    def _update_learning_rate(self, optimizers: list[Optimizer] | Optimizer) -> None:
        step_size = self.step_factor * self.lr_schedule(self._current_progress_remaining)
        self.logger.record("train/learning_rate", step_size)
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            update_learning_rate(optimizer, step_size)

    def train(self) -> None:
        """Update the policy, and find the factor of the step size for the next update."""
        self._update_policy()
        if self.desired_kl is not None:
            divergence = float(self.logger.name_to_value["train/approx_kl"])
            self.step_factor = next_step_factor(
                self.step_factor, divergence, self.desired_kl, self.n_steps * self.n_envs
            )

    def _is_quick(self) -> bool:
        """Return whether the faster loop can run."""
        policy, kind = self.policy, type(self.policy)
        return (
            isinstance(policy, self.quick_policy)
            and isinstance(self.action_space, spaces.Discrete)
            and type(self.rollout_buffer) is self.quick_buffer
            and self.device.type == "cpu"
            and not self.use_sde
            and not policy.explores_nothing
            # A subclass may change these methods.
            and all(
                getattr(kind, name) is getattr(self.quick_policy, name) for name in _STOCK_METHODS
            )
        )

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
    ) -> bool:
        """Fill the buffer as Stable-Baselines3 does; return False if the callback stops."""
        if not self._is_quick() or rollout_buffer is not self.rollout_buffer:
            return super().collect_rollouts(env, callback, rollout_buffer, n_rollout_steps)
        self.policy.set_training_mode(False)
        rollout_buffer.reset()
        callback.on_rollout_start()
        policy = self.policy
        assert isinstance(policy, SpikingActorCriticPolicy)  # _is_quick checks it
        actor = compiled_network(policy, policy.mlp_extractor.actor, policy.action_net)
        rollout = Rollout(rollout_buffer, policy, actor)
        return self._roll_out(env, callback, rollout, n_rollout_steps)

    def _roll_out(
        self, env: VecEnv, callback: BaseCallback, rollout: Rollout, n_rollout_steps: int
    ) -> bool:
        """Fill the rollout; return False if the callback stops."""
        assert self._last_obs is not None, "no observation: call learn(), which resets"
        for _ in range(n_rollout_steps):
            if not self._collect_step(env, callback, rollout):
                # Stable-Baselines3's loop would have shown them to the normaliser by now.
                rollout.show()
                return False
        dones = np.asarray(self._last_episode_starts)
        rollout.finish(self._last_obs, dones)
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def _collect_step(self, env: VecEnv, callback: BaseCallback, rollout: Rollout) -> bool:
        """Sample actions, step every environment, and store rewards and ends.

        Return False if the callback stops the training; then rewards and ends are not stored.
        """
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

    def _update_policy(self) -> None:
        if not self._is_quick():
            super().train()
            return
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        transitions = self._transitions()
        step = ClippedStep(self.policy.optimizer, self.policy.parameters(), self.max_grad_norm)
        coefficients = self._coefficients()
        means: list[NDArray[np.float64]] = []
        divergences: list[float] = []
        for _ in range(self.n_epochs):
            divergences = []
            for rows, observations in transitions.minibatches(self.batch_size):
                means.append(self._backward(transitions, rows, observations, coefficients, step))
                divergences.append(float(means[-1][APPROX_KL]))
                if self._is_too_far(divergences):
                    break
                step.take()
            self._n_updates += 1
            if self._is_too_far(divergences):
                break
        self._log(np.array(means), divergences, coefficients)

    def _transitions(self) -> Transitions:
        return Transitions(self.rollout_buffer)

    def _is_too_far(self, divergences: list[float]) -> bool:
        # The factor of Stable-Baselines3.
        return self.target_kl is not None and divergences[-1] > 1.5 * self.target_kl

    def _coefficients(self) -> NDArray[np.float64]:
        """Return clip ranges of ratio and value (inf: none), weights of entropy and value loss."""
        progress = self._current_progress_remaining
        clip_value = np.inf if self.clip_range_vf is None else self.clip_range_vf(progress)  # type: ignore[operator]
        return np.array([self.clip_range(progress), clip_value, self.ent_coef, self.vf_coef])  # type: ignore[operator]

    def _backward(
        self,
        transitions: Transitions,
        rows: NDArray[np.int64],
        observations: Any,
        coefficients: NDArray[np.float64],
        step: ClippedStep,
    ) -> NDArray[np.float64]:
        """Set the parameters' gradients on a minibatch; return means (5,), see ``POLICY_LOSS``."""
        policy = self.policy
        assert isinstance(policy, SpikingActorCriticPolicy)  # _is_quick checks it
        # Gradients begin at these outputs; autograd does the rest.
        logits, values = policy.logits_and_values(observations)
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
        fit = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        values = {
            "entropy_loss": entropy_loss,
            "policy_gradient_loss": policy_loss,
            "value_loss": value_loss,
            "approx_kl": np.mean(divergences),
            "clip_fraction": clip_fraction,
            "loss": float(last @ [1.0, self.ent_coef, self.vf_coef]),
            "explained_variance": fit,
            "clip_range": float(coefficients[0]),
        }
        if self.clip_range_vf is not None:
            values["clip_range_vf"] = float(coefficients[1])
        for name, value in values.items():
            self.logger.record(f"train/{name}", value)
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


SMALL_CNN: Mapping[str, Any] = {
    "convolutions": [{"filters": 16, "kernel": 3}],
    "hidden_sizes": [128],
    "time_steps": 4,
}
"""Network of ``SpikingCnnPolicy``, that of the agent ``ppo-conv-lif``."""


class PPO(CompiledPPO):
    """Stable-Baselines3's ``PPO``, faster for discrete actions.

    The algorithm, its hyper-parameters, logs and random numbers are the same. With discrete actions
    on the CPU under ``SpikingActorCriticPolicy``, spiking or not:

    - a rollout runs only the actor step by step, compiled if it has no convolutions; values,
      log-probabilities and the normaliser's sums follow in one batch when it ends, so callbacks do
      not find values and log-probabilities in ``locals``;
    - advantages, the loss and its gradient at the networks' outputs are compiled;
    - ``ClippedStep`` clips and applies gradients.

    Weights equal those of Stable-Baselines3's loop within rounding, not to the bit, because sums
    run in other batches and in float64. In all other cases Stable-Baselines3's loop runs.

    Args:
        policy: As in Stable-Baselines3's ``PPO``; also ``"SpikingPolicy"``, for
            ``SpikingActorCriticPolicy``, and ``"SpikingCnnPolicy"``, for that policy with 16
            spiking filters of 3 x 3 and a layer of 128 neurons, for small planes and images.
        *args: As in Stable-Baselines3's ``PPO``.
        policy_kwargs: As in Stable-Baselines3's ``PPO``.
        **kwargs: As in Stable-Baselines3's ``PPO``; also ``desired_kl``, a divergence (nat)
            of updates that is sought by steps of 1 to 30 times the scheduled size.

    Example:
        >>> from snn_gym.learners import PPO
        >>> from snn_gym.policies import SpikingActorCriticPolicy
        >>> _ = PPO(SpikingActorCriticPolicy, "CartPole-v1", n_steps=64, device="cpu").learn(128)
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        **stable_baselines3.PPO.policy_aliases,
        "SpikingPolicy": SpikingActorCriticPolicy,
        "SpikingCnnPolicy": SpikingActorCriticPolicy,
    }
    same_as: ClassVar[type[BaseAlgorithm]] = stable_baselines3.PPO
    """Equivalent algorithm of another library."""

    def __init__(
        self,
        policy: str | type[ActorCriticPolicy],
        *args: Any,
        policy_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if policy == "SpikingCnnPolicy":
            policy_kwargs = {"network": SMALL_CNN, **(policy_kwargs or {})}
        kwargs["policy_kwargs"] = policy_kwargs
        super().__init__(policy, *args, **kwargs)
