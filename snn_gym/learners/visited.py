"""States that a policy visits in training, with its teacher's behaviour there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictRolloutBuffer, ReplayBuffer, RolloutBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import Tensor

from snn_gym._base.spaces import by_key
from snn_gym._base.storage import prefixed, with_prefix
from snn_gym.learners.sequences import SequenceRolloutBuffer
from snn_gym.policies.stateful import SequenceBatch, flatten_steps

CAPACITY = 20_000
"""Number of latest observations that are stored, or sampled from a replay buffer."""
FEWEST_RECENT = 256
"""Least number of latest observations of a replay buffer that are sampled from."""
TEACHER_BATCH = 1024

Sample = tuple[PyTorchObs | SequenceBatch, Tensor]
"""Observations for a policy's ``watched``, and the teacher's behaviour (B, A)."""


def _appended(stored: NDArray[Any] | None, rows: NDArray[Any], capacity: int) -> NDArray[Any]:
    """Append rows to those stored; return a copy of the latest ``capacity``, or of all new ones."""
    joined = np.concatenate([rows[:0] if stored is None else stored, rows])
    return joined[-max(capacity, len(rows)) :]


def follow(
    teacher: Any, observations: Any, starts: Tensor, state: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return a teacher's behaviour (L, B, A) for observations (L, B, ...), and its later state.

    ``starts`` (L, B) are those of episodes. A state of None is at rest; a teacher without a state
    has no other.
    """
    batch = SequenceBatch(observations, starts, starts)  # whose own states are not read
    with torch.no_grad():
        if teacher.carries_state:
            if state is None:
                state = teacher.acting_state(teacher.rest_state(starts.shape[1]))
            behaviour, state, _ = teacher.followed(batch, state)
            return behaviour, state
        flat = flatten_steps(observations)
        parts = by_key(flat)
        behaviours = []
        # In parts, so that a long rollout takes little memory.
        for first in range(0, starts.numel(), TEACHER_BATCH):
            part = {name: x[first : first + TEACHER_BATCH] for name, x in parts.items()}
            behaviours.append(teacher.watched(part.get("", part))[0])
        return torch.cat(behaviours).view(*starts.shape, -1), None


class ReplayStates:
    """Samples of the observations of a replay buffer since shedding began."""

    def __init__(self, teacher: Any, model: OffPolicyAlgorithm) -> None:
        self._teacher, self._model = teacher, model
        # Exploration before led to other states than the policy visits.
        self._since = model.num_timesteps

    def collect(self) -> None:
        """Do nothing: the buffer stores the observations."""

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw about ``batch_size`` decisions with the teacher's behaviour; ignore ``newest``."""
        del newest
        buffer = self._model.replay_buffer
        assert isinstance(buffer, ReplayBuffer)  # made with the model
        filled = buffer.size()
        new = self._model.num_timesteps - self._since
        # Counted in rows of all environments, rounded up.
        recent = min(filled, -(-min(CAPACITY, max(FEWEST_RECENT, new)) // buffer.n_envs))
        ages = torch.randint(recent, (batch_size,)).numpy()
        # An age of 0 is the latest row.
        rows = (buffer.pos - 1 - ages) % buffer.buffer_size
        drawn: Any = buffer._get_samples(rows, self._model._vec_normalize_env).observations
        with torch.no_grad():
            return drawn, self._teacher.watched(drawn)[0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the start of shedding, in environment steps; the buffer is stored elsewhere."""
        return {"since": np.array(self._since)}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state from what the method ``arrays`` returned."""
        self._since = int(arrays["since"])


class RolloutStates:
    """Latest ``CAPACITY`` observations of rollouts, and at least the whole latest rollout."""

    def __init__(self, teacher: Any, buffer: RolloutBuffer) -> None:
        self._teacher, self._buffer = teacher, buffer
        self._observations: dict[str, NDArray[Any]] = {}
        self._targets: NDArray[np.float32] | None = None
        self._state: Tensor | None = None  # of the teacher, if it carries one
        self._newest = 0

    def collect(self) -> None:
        """Add the latest rollout, with the teacher's behaviour; drop the oldest observations."""
        rollout = by_key(self._buffer.observations)
        starts = self._buffer.to_torch(self._buffer.episode_starts).bool()
        seen = self._to_torch(rollout)
        behaviour, self._state = follow(self._teacher, seen, starts, self._state)
        self._newest = starts.numel()
        for name, x in rollout.items():
            rows = x.reshape(-1, *x.shape[2:])
            self._observations[name] = _appended(self._observations.get(name), rows, CAPACITY)
        self._targets = _appended(self._targets, behaviour.flatten(0, 1).cpu().numpy(), CAPACITY)

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw observations with replacement, and return them with the teacher's behaviour there.

        With ``newest``, draw from the latest rollout only.
        """
        assert self._targets is not None  # collected before
        count = len(self._targets)
        first = count - self._newest if newest else 0
        rows = torch.randint(first, count, (batch_size,)).numpy()
        drawn = self._to_torch({name: x[rows] for name, x in self._observations.items()})
        return drawn, self._buffer.to_torch(self._targets[rows])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the observations by key and the teacher's behaviour, for a checkpoint."""
        targets = {} if self._targets is None else {"targets": self._targets}
        return prefixed("kept", self._observations) | targets

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state from what the method ``arrays`` returned."""
        self._observations = with_prefix("kept", arrays)
        self._targets = arrays.get("targets")

    def _to_torch(self, parts: Mapping[str, NDArray[Any]]) -> PyTorchObs:
        tensors = {name: self._buffer.to_torch(x) for name, x in parts.items()}
        return tensors if isinstance(self._buffer, DictRolloutBuffer) else tensors[""]


class SequenceStates:
    """Latest rollouts as sequences, along which the teacher carries its own state."""

    def __init__(self, teacher: Any, buffer: SequenceRolloutBuffer) -> None:
        self._teacher, self._buffer = teacher, buffer
        self._state: Tensor | None = None
        self._sequences: dict[str, NDArray[Any]] = {}
        self._newest = 0

    def collect(self) -> None:
        """Add the latest rollout with the teacher's behaviour, and move on the teacher's state."""
        buffer = self._buffer
        rollout = {
            "observations": buffer.observations.swapaxes(0, 1),
            "states": buffer.states[buffer.burn_in_steps],
            "starts": buffer.episode_starts.swapaxes(0, 1).astype(np.bool_),
        }
        batch = self._batch_of(rollout)
        # A teacher that was the policy until now takes over its states; one with other states has
        # taught from the start, where an episode begins.
        if self._state is None and self._teacher.carries_state:
            rest = self._teacher.rest_state(1)
            same = batch.states.shape[1] == rest.shape[1]
            states = batch.states if same else rest.expand(len(batch.states), -1)
            self._state = self._teacher.acting_state(states)
        target, self._state = follow(self._teacher, batch.observations, batch.starts, self._state)
        rollout["targets"] = target.cpu().numpy().swapaxes(0, 1)
        self._newest, length = batch.starts.shape[1], len(batch.starts)
        for name, rows in rollout.items():
            stored = self._sequences.get(name)
            self._sequences[name] = _appended(stored, rows, CAPACITY // length)

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw distinct sequences, of about ``batch_size`` decisions; see ``RolloutStates``."""
        sequences, length = self._sequences["starts"].shape
        candidates = self._newest if newest else sequences
        count = min(candidates, max(1, batch_size // length))
        # Without replacement, the latest sequences last in the arrays.
        chosen = sequences - 1 - torch.randperm(candidates)[:count].numpy()
        drawn = {name: x[chosen] for name, x in self._sequences.items()}
        targets = self._buffer.to_torch(drawn["targets"].swapaxes(0, 1))
        return self._batch_of(drawn), targets.flatten(0, 1)

    def _batch_of(self, rows: Mapping[str, NDArray[Any]]) -> SequenceBatch:
        """Return stored sequences (batch, time, ...) as tensors (time, batch, ...)."""
        observations, starts = (
            self._buffer.to_torch(rows[name].swapaxes(0, 1)) for name in ("observations", "starts")
        )
        return SequenceBatch(observations, self._buffer.to_torch(rows["states"]), starts)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the sequences, without the teacher's state: a resume starts episodes anew."""
        return dict(self._sequences)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore the state from what the method ``arrays`` returned."""
        self._sequences = dict(arrays)


VisitedStates = ReplayStates | RolloutStates | SequenceStates


def make_visited(model: BaseAlgorithm, teacher: Any) -> VisitedStates:
    """Return the store of visited states for a model's buffer, with the teacher's behaviour.

    Raise ValueError if the teacher carries a state that replayed observations don't tell.
    """
    if isinstance(model, OffPolicyAlgorithm):
        if teacher.carries_state:
            raise ValueError(
                f"the teacher's {type(teacher).__name__} carries a state, which the single "
                f"observations that {type(model).__name__} replays don't tell; take a student "
                "of PPO or StatefulPPO"
            )
        return ReplayStates(teacher, model)
    buffer: RolloutBuffer = model.rollout_buffer  # type: ignore[attr-defined]
    if isinstance(buffer, SequenceRolloutBuffer):
        return SequenceStates(teacher, buffer)
    return RolloutStates(teacher, buffer)
