"""States that a policy visits while it is trained, for updates that learn from no reward."""

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

from snn_gym.arrays import prefixed, with_prefix
from snn_gym.learners.sequence_replay import SequenceReplayBuffer
from snn_gym.learners.sequence_rollouts import SequenceRolloutBuffer, over_parts
from snn_gym.policies._stateful import SequenceBatch

KEPT = 20_000
"""Latest observations that are kept, or looked at in a replay buffer."""

Sample = tuple[PyTorchObs | SequenceBatch, Tensor]
"""What a policy's ``watched`` takes, and the behaviour (B, A) of the one that teaches."""


class Replayed:
    """Latest observations, or sequences, of a replay buffer.

    Args:
        teacher: Policy whose behaviour is asked for.
        model: Algorithm with the buffer.
    """

    def __init__(self, teacher: Any, model: OffPolicyAlgorithm) -> None:
        self._teacher, self._model = teacher, model

    def collect(self) -> None:
        """Take in what was played since the last call; the buffer has it already."""

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw decisions and ask the teacher about them.

        Args:
            batch_size: Decisions.
            newest: Whether only those of the latest rollout count, where there are rollouts.
        """
        del newest
        buffer = self._model.replay_buffer
        assert isinstance(buffer, ReplayBuffer)  # made with the model
        if isinstance(buffer, SequenceReplayBuffer):
            count = max(1, batch_size // buffer.sequence_length) * buffer.sequence_length
            drawn: Any = buffer.sample(count, self._model._vec_normalize_env).sequences
        else:
            filled = buffer.size()
            recent = min(filled, max(1, KEPT // buffer.n_envs))
            ages = torch.randint(recent, (batch_size,)).numpy()
            rows = (buffer.pos - 1 - ages) % buffer.buffer_size
            drawn = buffer._get_samples(rows, self._model._vec_normalize_env).observations
        with torch.no_grad():
            return drawn, self._teacher.watched(drawn)[0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what a resumed training needs; a checkpoint has the buffer."""
        return {}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""


class Collected:
    """Latest observations of rollouts.

    Args:
        teacher: Policy whose behaviour is asked for.
        buffer: Rollouts.
    """

    def __init__(self, teacher: Any, buffer: RolloutBuffer) -> None:
        self._teacher, self._buffer = teacher, buffer
        self._kept: dict[str, NDArray[Any]] = {}
        self._newest = 0

    def collect(self) -> None:
        """Take in the latest rollout."""
        for name, rollout in self._parts().items():
            flat = rollout.reshape(-1, *rollout.shape[2:])
            before = self._kept.get(name, flat[:0])
            self._kept[name] = np.concatenate([before, flat])[-max(KEPT, len(flat)) :]
            self._newest = len(flat)

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw decisions, as ``Replayed.sample`` does."""
        count = len(next(iter(self._kept.values())))
        first = count - self._newest if newest else 0
        rows = torch.randint(first, count, (batch_size,)).numpy()
        parts = {name: self._buffer.to_torch(kept[rows]) for name, kept in self._kept.items()}
        drawn = parts if isinstance(self._buffer, DictRolloutBuffer) else parts[""]
        with torch.no_grad():
            return drawn, self._teacher.watched(drawn)[0]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the observations by part."""
        return prefixed("kept", self._kept)

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""
        self._kept = with_prefix("kept", arrays)

    def _parts(self) -> dict[str, NDArray[Any]]:
        observations: Any = self._buffer.observations
        return observations if isinstance(observations, dict) else {"": observations}


class Followed:
    """The latest rollout as sequences, along which the teacher carries a state of its own.

    Args:
        teacher: Policy whose behaviour is asked for.
        buffer: Rollouts with states.
    """

    def __init__(self, teacher: Any, buffer: SequenceRolloutBuffer) -> None:
        self._teacher, self._buffer = teacher, buffer
        self._state: Tensor | None = None
        self._batch: SequenceBatch | None = None
        self._target: Tensor | None = None

    def collect(self) -> None:
        """Let the teacher see the latest rollout."""
        buffer, torch_of = self._buffer, self._buffer.to_torch
        self._batch = SequenceBatch(
            over_parts(torch_of, buffer.observations),
            torch_of(buffer.states[buffer.burn_in_steps]),
            torch_of(buffer.episode_starts).bool(),
        )
        if self._state is None:
            # The policies are one until now, and so are their states; one with other states has
            # taught from the start, where an episode begins.
            states, rest = self._batch.states, self._teacher.rest_state(1)
            if states.shape[1] != rest.shape[1]:
                states = rest.expand(len(states), -1)
            self._state = self._teacher.acting_state(states)
        with torch.no_grad():
            self._target, self._state, _ = self._teacher.followed(self._batch, self._state)

    def sample(self, batch_size: int, *, newest: bool = False) -> Sample:
        """Draw whole sequences of the latest rollout, of about as many decisions."""
        del newest
        batch, target = self._batch, self._target
        assert batch is not None  # collected before
        assert target is not None
        length, sequences = batch.starts.shape
        count = min(sequences, max(1, batch_size // length))
        chosen = torch.randperm(sequences)[:count]
        drawn = over_parts(lambda part: part[:, chosen], batch.observations)
        part = SequenceBatch(drawn, batch.states[chosen], batch.starts[:, chosen])
        return part, target[:, chosen].flatten(0, 1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return nothing: episodes start anew where a training is resumed."""
        return {}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what ``arrays`` returned."""


Visited = Replayed | Collected | Followed
"""States that a policy visits."""


def make_visited(model: BaseAlgorithm, teacher: Any) -> Visited:
    """Return the states that a model visits, by the buffer that it has.

    Args:
        model: Algorithm that plays.
        teacher: Policy whose behaviour in these states is asked for.

    Raises:
        ValueError: Sequences are replayed from states that the teacher does not have.
    """
    if isinstance(model, OffPolicyAlgorithm):
        if isinstance(model.replay_buffer, SequenceReplayBuffer):
            _check_states(model.policy, teacher)
        return Replayed(teacher, model)
    buffer: RolloutBuffer = model.rollout_buffer  # type: ignore[attr-defined]
    if isinstance(buffer, SequenceRolloutBuffer):
        return Followed(teacher, buffer)
    return Collected(teacher, buffer)


def _check_states(policy: Any, teacher: Any) -> None:
    """Refuse a teacher that can't go on from the states that a policy played with."""
    networks = policy._acting_network(), teacher._acting_network()
    own, given = (
        (type(network), network.state_size, x.network.hidden_sizes)
        for network, x in zip(networks, (policy, teacher), strict=True)
    )
    if own != given:
        raise ValueError(
            f"replayed sequences begin from states of the student's {own[0].__name__} of "
            f"{own[2]}, which the teacher's {given[0].__name__} of {given[2]} does not have; keep "
            "network and sizes, or train with StatefulPPO"
        )
