"""What PPO collects in a rollout, and the tensors that its updates take from there."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import RolloutBuffer
from torch import Tensor

from snn_gym.learners.ppo_kernels import Array, fill_advantages
from snn_gym.policies import SpikingActorCriticPolicy

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
        """(N, 4), as the columns of ``ppo_kernels``."""

    def minibatches(self, size: int) -> list[NDArray[np.int64]]:
        """Return the rows of each minibatch of an epoch, drawn as the buffer itself draws them."""
        order = np.random.permutation(self.count)  # noqa: NPY002 - Stable-Baselines3's generator
        return [order[start : start + size] for start in range(0, self.count, size)]
