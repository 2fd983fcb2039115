"""``PPO``: Stable-Baselines3's algorithm with less to do around small networks."""

from __future__ import annotations

import math
from collections.abc import Iterable
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
from torch import Tensor, nn

from snn_gym._base.compilation import njit
from snn_gym.policies import SpikingActorCriticPolicy

# ---- compiled parts ------------------------------------------------------------------------------
Array = NDArray[np.float32]

OLD_VALUE, OLD_LOG_PROB, ADVANTAGE, RETURN = range(4)
"""Columns of what a rollout knows of each action."""
POLICY_LOSS, VALUE_LOSS, ENTROPY_LOSS, CLIP_FRACTION, APPROX_KL = range(5)
"""Means over a minibatch that PPO logs."""


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
    """Fill ``advantages`` (steps, B) by generalised advantage estimation.

    Operation by operation Stable-Baselines3's ``RolloutBuffer.compute_returns_and_advantage``, so
    that the bits are the same. Schulman et al., "High-dimensional continuous control using
    generalized advantage estimation", ICLR 2016, https://arxiv.org/abs/1506.02438.

    Args:
        gamma: Discount per environment step.
        decay: The discount times lambda.
        rewards: (steps, B).
        values: (steps, B), of the observations.
        episode_starts: (steps, B), 1 where an episode starts with the observation.
        last_values: (B,), of the observations after the rollout.
        dones: (B,), whether episodes ended with the rollout.
        advantages: (steps, B), filled.
    """
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
    """Fill the gradients of PPO's loss for a minibatch of discrete actions.

    The loss is Stable-Baselines3's; sums are in float64. Schulman et al., "Proximal policy
    optimization algorithms", 2017, https://arxiv.org/abs/1707.06347.

    Args:
        rows: (n,), which of the rollout's N transitions the minibatch has.
        actions: (N,), of all of them.
        known: (N, 4), by ``OLD_VALUE`` and so on.
        logits: (n, A), of the minibatch.
        values: (n,), of the minibatch.
        coefficients: Range of the clipped ratio, of the clipped value (infinite for none), and
            weights of entropy and value loss.
        normalise: Whether the advantages are standardised within the minibatch.
        means: (5,), filled by ``POLICY_LOSS`` and so on.
        grad_logits: (n, A), filled.
        grad_values: (n,), filled.
    """
    clip, clip_value, weight_entropy, weight_value = coefficients
    count, choices = logits.shape
    mean, scale = 0.0, 1.0
    if normalise and count > 1:
        for i in range(count):
            mean += known[rows[i], ADVANTAGE]
        mean /= count
        squares = 0.0
        for i in range(count):
            squares += (known[rows[i], ADVANTAGE] - mean) ** 2
        scale = 1.0 / (math.sqrt(squares / (count - 1)) + 1e-8)
    means[:] = 0.0
    log_probs = np.empty(choices)
    for i in range(count):
        row = rows[i]
        top = -np.inf
        for k in range(choices):
            top = max(top, logits[i, k])
        total = 0.0
        for k in range(choices):
            total += math.exp(logits[i, k] - top)
        shift = top + math.log(total)
        entropy = 0.0
        for k in range(choices):
            log_probs[k] = logits[i, k] - shift
            entropy -= math.exp(log_probs[k]) * log_probs[k]
        log_ratio = log_probs[actions[row]] - known[row, OLD_LOG_PROB]
        # As a float32, so that a ratio of 1 but for rounding is 1 and within any range.
        ratio = np.float64(np.float32(math.exp(log_ratio)))
        advantage = (known[row, ADVANTAGE] - mean) * scale
        plain = advantage * ratio
        clipped = advantage * min(max(ratio, 1.0 - clip), 1.0 + clip)
        # Where the clipped one is less, the ratio is out of its range and has no gradient.
        grad_log_prob = -plain / count if plain <= clipped else 0.0
        for k in range(choices):
            probability = math.exp(log_probs[k])
            chosen = 1.0 if k == actions[row] else 0.0
            grad_logits[i, k] = grad_log_prob * (
                chosen - probability
            ) + weight_entropy / count * probability * (log_probs[k] + entropy)
        moved = values[i] - known[row, OLD_VALUE]
        kept = min(max(moved, -clip_value), clip_value)
        wrong = values[i] - known[row, RETURN]
        if abs(moved) > clip_value:
            wrong = known[row, OLD_VALUE] + kept - known[row, RETURN]
            grad_values[i] = 0.0
        else:
            grad_values[i] = weight_value * 2.0 * wrong / count
        means[POLICY_LOSS] -= min(plain, clipped)
        means[VALUE_LOSS] += wrong * wrong
        means[ENTROPY_LOSS] -= entropy
        means[CLIP_FRACTION] += 1.0 if abs(ratio - 1.0) > clip else 0.0
        means[APPROX_KL] += ratio - 1.0 - log_ratio
    means /= count


# ---- algorithm -----------------------------------------------------------------------------------
_STOCK_METHODS = ("forward", "evaluate_actions", "predict_values", "_get_action_dist_from_latent")


class ClippedStep:
    """Clip gradients by their norm, then step; for as long as the optimiser's state is its own.

    A fused Adam is stepped by the call that it makes itself, with lists that it would collect anew
    at every step; the bits are those of ``clip_grad_norm_`` and ``step``.

    Args:
        optimiser: Optimiser of the parameters.
        parameters: All parameters whose gradients count in the norm.
        max_norm: Norm to which longer gradients are cut.
    """

    def __init__(
        self, optimiser: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], max_norm: float
    ) -> None:
        self._optimiser = optimiser
        self._parameters: list[Any] = list(parameters)
        self._max_norm = max_norm
        self._plain = self._is_plain()
        self._lists: tuple[list[Tensor], list[Tensor], list[Tensor]] | None = None

    def drop_gradients(self) -> None:
        """Forget the gradients of the step before."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def take(self) -> None:
        """Clip the gradients and step."""
        gradients = [x.grad for x in self._parameters if x.grad is not None]
        if not self._plain or len(gradients) < len(self._parameters):
            nn.utils.clip_grad_norm_(self._parameters, self._max_norm)
            self._optimiser.step()
            return
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, torch.clamp(self._max_norm / (norm + 1e-6), max=1.0))
        if self._lists is None:
            self._lists = self._collect()
        if self._lists is None:  # the first step makes the optimiser's state
            self._optimiser.step()
            return
        averages, squares, steps = self._lists
        group = self._optimiser.param_groups[0]
        beta1, beta2 = group["betas"]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            self._parameters, gradients, averages, squares, [], steps,
            lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
            eps=group["eps"], amsgrad=False, maximize=False, grad_scale=None, found_inf=None,
        )  # fmt: skip

    def _is_plain(self) -> bool:
        """Tell whether this is a fused Adam of just these parameters, without further options."""
        if type(self._optimiser) is not torch.optim.Adam:
            return False
        (group, *others) = self._optimiser.param_groups
        options = ("amsgrad", "maximize", "differentiable", "decoupled_weight_decay")
        return (
            bool(group["fused"])
            and not others
            and isinstance(group["lr"], float)
            and not any(group.get(option, False) for option in options)
            and all(x.device.type == "cpu" for x in self._parameters)
            and len(group["params"]) == len(self._parameters)
        )

    def _collect(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]] | None:
        states: list[dict[str, Any]] = [self._optimiser.state[x] for x in self._parameters]
        if not all(states):
            return None
        averages, squares, steps = (
            [state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")
        )
        return averages, squares, steps


_ROWS_AT_ONCE = 4096
"""Observations that the critic sees in one batch, so that a long rollout takes little memory."""
_VALUES_AT_ONCE = 1 << 25
"""Most values in these observations, so that images take little memory too."""
_FLATTENED = ("observations", "actions", "values", "log_probs", "advantages", "returns")


class Rollout:
    """Fill a rollout buffer: decisions step by step, and in the end in one batch all the rest.

    Args:
        buffer: Empty buffer of discrete actions, on the CPU.
        policy: Who decides.
    """

    def __init__(self, buffer: RolloutBuffer, policy: SpikingActorCriticPolicy) -> None:
        self._buffer = buffer
        self._policy = policy
        self._logits: list[Tensor] = []
        self._cut: list[tuple[int, int, Any]] = []

    @torch.no_grad()
    def decide(self, observations: Any, starts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return sampled actions (B,) for observations (B, ...), which are kept.

        Args:
            observations: As the environments gave them.
            starts: (B,), whether an episode starts with each.
        """
        buffer, step = self._buffer, self._buffer.pos
        buffer.observations[step] = observations.reshape(buffer.observations.shape[1:])
        buffer.episode_starts[step] = starts
        logits = self._policy.logits(torch.as_tensor(observations))
        self._logits.append(logits)
        # As torch's Categorical samples, so that it takes the same random numbers.
        log_probs = logits - logits.logsumexp(dim=-1, keepdim=True)
        actions = torch.multinomial(torch.softmax(log_probs, dim=-1), 1, True).numpy()
        buffer.actions[step] = actions
        taken: NDArray[np.int64] = actions.reshape(-1)
        return taken

    def earn(self, rewards: Array, dones: NDArray[np.bool_], infos: list[dict[str, Any]]) -> None:
        """Keep what the actions of this step earned.

        Args:
            rewards: (B,).
            dones: (B,).
            infos: B infos; of episodes that were cut, with the last observation.
        """
        buffer, step = self._buffer, self._buffer.pos
        buffer.rewards[step] = rewards
        for index in np.flatnonzero(dones).tolist():
            last = infos[index].get("terminal_observation")
            if last is not None and infos[index].get("TimeLimit.truncated", False):
                self._cut.append((step, index, last))
        buffer.pos += 1

    @torch.no_grad()
    def show(self) -> None:
        """Count the observations so far as the normaliser's training data."""
        networks = self._policy.mlp_extractor
        if networks.normaliser is None:
            return
        with networks.training_data():
            for observations in self._seen(len(self._logits)):
                features = self._policy.extract_features(observations)
                # Actor and critic each see their own, where they share no extractor.
                for part in (features,) if isinstance(features, Tensor) else features:
                    networks.normalised(part)

    @torch.no_grad()
    def finish(self, last: Any, dones: NDArray[np.bool_]) -> None:
        """Fill in values, log-probabilities, advantages and returns.

        Args:
            last: Observations (B, ...) after the rollout.
            dones: (B,), whether episodes start with them.
        """
        buffer, policy = self._buffer, self._policy
        self.show()
        values = [policy.predict_values(part) for part in self._seen(buffer.buffer_size)]
        buffer.values[:] = torch.cat(values).numpy().reshape(buffer.values.shape)
        logits = torch.stack(self._logits)
        log_probs = logits - logits.logsumexp(dim=-1, keepdim=True)
        chosen = log_probs.gather(-1, torch.from_numpy(buffer.actions))
        buffer.log_probs[:] = chosen.squeeze(-1).numpy()
        self._bootstrap()
        following = policy.predict_values(torch.as_tensor(last)).flatten().numpy()
        fill_advantages(
            np.float32(buffer.gamma), np.float32(buffer.gamma * buffer.gae_lambda),
            buffer.rewards, buffer.values, buffer.episode_starts, following, dones,
            buffer.advantages,
        )  # fmt: skip
        buffer.returns = buffer.advantages + buffer.values
        buffer.full = True

    def _seen(self, steps: int) -> list[Tensor]:
        """Return the observations of the first steps, (n, ...) each."""
        observations = self._buffer.observations[:steps]
        flat = observations.reshape(-1, *observations.shape[2:])
        values = max(1, flat[0].size)
        rows = max(1, min(_ROWS_AT_ONCE, _VALUES_AT_ONCE // values))
        return list(torch.split(torch.from_numpy(flat), rows))

    def _bootstrap(self) -> None:
        """Add the values of last observations where episodes were cut by a limit."""
        # See https://github.com/DLR-RM/stable-baselines3/issues/633
        if not self._cut:
            return
        steps, indices, lasts = zip(*self._cut, strict=True)
        values = self._policy.predict_values(torch.as_tensor(np.stack(lasts))).flatten()
        gained = (self._buffer.gamma * values).numpy()
        self._buffer.rewards[list(steps), list(indices)] += gained


class Transitions:
    """The N transitions of a full rollout buffer, without copies where none is needed.

    Args:
        buffer: Full buffer; flattened, as by its own ``get``.
    """

    def __init__(self, buffer: RolloutBuffer) -> None:
        for name in _FLATTENED:
            setattr(buffer, name, buffer.swap_and_flatten(getattr(buffer, name)))
        buffer.generator_ready = True
        self.count = buffer.buffer_size * buffer.n_envs
        self.observations = torch.from_numpy(buffer.observations)
        """(N, ...)."""
        self.actions: NDArray[np.int64] = buffer.actions.reshape(-1).astype(np.int64, copy=False)
        """(N,)."""
        columns = buffer.values, buffer.log_probs, buffer.advantages, buffer.returns
        self.known = np.concatenate(columns, axis=1)
        """(N, 4), as the compiled parts name the columns."""

    def minibatches(self, size: int) -> list[NDArray[np.int64]]:
        """Return the rows of each minibatch of an epoch, drawn as the buffer itself draws them."""
        order = np.random.permutation(self.count)  # noqa: NPY002 - Stable-Baselines3's generator
        return [order[start : start + size] for start in range(0, self.count, size)]


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
