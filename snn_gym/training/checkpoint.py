"""One file that holds all of a training run: policy, optimisers, replay buffer and counters."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from snn_gym.arrays import prefixed, with_prefix
from snn_gym.learners.sequence_replay import SequenceReplayBuffer
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.storage import load_tensors, save_tensors
from snn_gym.training.episodes import EpisodeLog
from snn_gym.zoo.files import finite_or_raise, load_state

FORMAT = "snn_gym/checkpoint/2"
MAX_CHECKPOINT_BYTES = 1 << 36

_STATE = "state"
# What Stable-Baselines3 carries from one rollout to the next besides the networks. DQN alone has
# the last two. A schedule is a function of the progress, so the progress is enough.
_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_episode_num",
    "_current_progress_remaining",
    "_n_calls",
    "exploration_rate",
)
_REPLAY_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@runtime_checkable
class _Carrying(Protocol):
    """An algorithm that carries something from update to update beside its policy."""

    def state_tensors(self) -> dict[str, np.ndarray[Any, Any]]: ...

    def load_state_tensors(self, tensors: Mapping[str, np.ndarray[Any, Any]]) -> None: ...


def save_checkpoint(path: Path, model: BaseAlgorithm, episodes: EpisodeLog) -> None:
    """Write everything that a run needs to go on, atomically.

    Random states aren't in it: at every checkpoint they are set anew from the seed and the
    checkpoint's number.

    Args:
        path: File to create or replace.
        model: Model between two rollouts.
        episodes: Episodes so far.

    Raises:
        ValueError: A weight is not finite.
    """
    replay_tensors, replay = _pack_replay(model)
    policy = full_state(model.policy)
    finite_or_raise(policy, f"the model at step {model.num_timesteps:,}")
    tensors: dict[str, Any] = {
        **prefixed("policy", policy),
        **prefixed("beside", _tensors_beside(model)),
        **prefixed("replay", replay_tensors),
        **prefixed("episodes", episodes.to_arrays()),
    }
    if isinstance(model, _Carrying):
        tensors |= prefixed("learner", model.state_tensors())
    optimisers: dict[str, Any] = {}
    for name, optimiser in _optimisers(model).items():
        optimiser_tensors, optimisers[name] = _pack_optimiser(optimiser)
        tensors |= prefixed(f"optimiser.{name}", optimiser_tensors)
    state = {
        "format": FORMAT,
        "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        "optimisers": optimisers,
        "replay": replay,
        "recent_episodes": [_plain_episode(info) for info in model.ep_info_buffer or ()],
    }
    save_tensors(path, tensors, {_STATE: json.dumps(state)})


def restore_checkpoint(path: Path, model: BaseAlgorithm) -> EpisodeLog:
    """Bring a freshly built model to where a checkpoint was written.

    Args:
        path: File that ``save_checkpoint`` wrote.
        model: Model of the same agent, environment and seed; changed in place.

    Returns:
        The episodes until then.

    Raises:
        ValueError: The file is no checkpoint or does not fit the model.
    """
    tensors, metadata = load_tensors(path, max_bytes=MAX_CHECKPOINT_BYTES)
    state = json.loads(metadata.get(_STATE, "{}"))
    if state.get("format") != FORMAT:
        raise ValueError(f"{path}: format is {state.get('format')!r}, expected {FORMAT!r}")
    load_state(model.policy, with_prefix("policy", tensors), str(path))
    beside = with_prefix("beside", tensors)
    for name, tensor in _tensors_beside(model).items():
        tensor.copy_(beside[name])
    for name, optimiser in _optimisers(model).items():
        _unpack_optimiser(
            optimiser, with_prefix(f"optimiser.{name}", tensors), state["optimisers"][name]
        )
    if isinstance(model, _Carrying):
        learner = with_prefix("learner", tensors)
        model.load_state_tensors({name: tensor.numpy() for name, tensor in learner.items()})
    _unpack_replay(model, with_prefix("replay", tensors), state["replay"])
    for name, value in state["counters"].items():
        setattr(model, name, value)
    model.ep_info_buffer = deque(state["recent_episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    return EpisodeLog.from_arrays(with_prefix("episodes", tensors))


def _optimisers(model: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    """Return a model's optimisers by the names that Stable-Baselines3 saves them under."""
    names, _ = model._get_torch_save_params()
    parts = {name: attrgetter(name)(model) for name in names}
    return {name: x for name, x in parts.items() if isinstance(x, torch.optim.Optimizer)}


def _tensors_beside(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Return what a model learns outside its policy, such as the weight of the entropy."""
    _, names = model._get_torch_save_params()
    return {name: attrgetter(name)(model).detach() for name in names}


def _pack_optimiser(
    optimiser: torch.optim.Optimizer,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Split an optimiser's state into tensors and plain values."""
    state = optimiser.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {}
    for index, entries in state["state"].items():
        for key, value in entries.items():
            target = tensors if isinstance(value, torch.Tensor) else values
            target[f"{index}.{key}"] = value
    return tensors, {"values": values, "param_groups": state["param_groups"]}


def _unpack_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], plain: dict[str, Any]
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **plain["values"]}.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    # JSON made lists of tuples such as Adam's betas.
    groups = [
        {
            key: tuple(value) if isinstance(value, list) and key != "params" else value
            for key, value in group.items()
        }
        for group in plain["param_groups"]
    ]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _pack_replay(
    model: BaseAlgorithm,
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any] | None]:
    """Return the filled part of the replay buffer, and where it stands."""
    if not isinstance(model, OffPolicyAlgorithm) or model.replay_buffer is None:
        return {}, None
    buffer = model.replay_buffer
    arrays = {name: getattr(buffer, name)[: buffer.size()] for name in _replay_arrays(buffer)}
    return arrays, {"pos": buffer.pos, "full": buffer.full}


def _replay_arrays(buffer: ReplayBuffer) -> tuple[str, ...]:
    """Return the names of the arrays that hold a buffer's content."""
    return buffer.arrays if isinstance(buffer, SequenceReplayBuffer) else _REPLAY_ARRAYS


def _unpack_replay(
    model: BaseAlgorithm, tensors: Mapping[str, torch.Tensor], place: dict[str, Any] | None
) -> None:
    if not isinstance(model, OffPolicyAlgorithm) or model.replay_buffer is None or place is None:
        return
    buffer = model.replay_buffer
    for name in _replay_arrays(buffer):
        array = tensors[name].numpy()
        # shape: (filled, n_envs, ...), the first rows of (buffer_size, n_envs, ...)
        getattr(buffer, name)[: len(array)] = array
    buffer.pos, buffer.full = place["pos"], place["full"]


def _plain_episode(info: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in info.items()}
