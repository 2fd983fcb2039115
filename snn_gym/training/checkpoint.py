"""Checkpoint of a training run: policy, optimisers, replay buffer and counters in one file.

The file carries its digest and the settings of its run.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from snn_gym._base.config import Config, Natural, from_mapping
from snn_gym._base.spaces import by_key
from snn_gym._base.storage import (
    SEAL,
    UNSEALED,
    check_seal,
    dump_tensors,
    parse_json,
    parse_tensors,
    prefixed,
    read_regular_file,
    seal,
    with_prefix,
    write_bytes_atomic,
)
from snn_gym.policies.raw_observations import VEC_NORMALIZE
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.training.logs import EpisodeLog
from snn_gym.training.record import parse_training
from snn_gym.zoo.files import finite_or_raise, load_state
from snn_gym.zoo.recipe import load_statistics, statistics_of

FORMAT = "snn_gym/checkpoint/3"
MAX_CHECKPOINT_BYTES = 1 << 36
_MAX_LOG_BYTES = 1 << 32

_STATE = "state"
# State that Stable-Baselines3 carries between rollouts besides the networks. DQN alone has
# `_n_calls` and the exploration rate, our PPO alone the last. A schedule is a function of the
# progress, so the progress is enough.
_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_episode_num",
    "_n_calls",
    "_current_progress_remaining",
    "exploration_rate",
    "step_factor",
)
_REPLAY_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@runtime_checkable
class _Carrying(Protocol):
    """Algorithm with state between updates beside its policy."""

    def state_tensors(self) -> dict[str, np.ndarray[Any, Any]]: ...

    def load_state_tensors(self, tensors: Mapping[str, np.ndarray[Any, Any]]) -> None: ...


def save_checkpoint(
    path: Path,
    model: BaseAlgorithm,
    episodes: EpisodeLog,
    *,
    run: Mapping[str, Any] | None = None,
    logs: Iterable[Path] = (),
) -> None:
    """Write everything that a run needs to go on, atomically, between two rollouts.

    ``run`` identifies the run by plain JSON values; resuming sets the files ``logs`` back to their
    present content. Random states aren't in it: at every checkpoint they are set anew from the seed
    and the checkpoint's number. A weight that is not finite raises ValueError.
    """
    write_bytes_atomic(path, _dump(model, episodes, run, logs))


def copy_state(source: BaseAlgorithm, target: BaseAlgorithm, where: str) -> None:
    """Give a new model the weights, optimisers, replay buffer and counters of another one."""
    _restore(*_parse(_dump(source, EpisodeLog()), where), target, where)


def _dump(
    model: BaseAlgorithm,
    episodes: EpisodeLog,
    run: Mapping[str, Any] | None = None,
    logs: Iterable[Path] = (),
) -> bytes:
    """Return the content of a checkpoint, sealed by its digest."""
    buffer, arrays = _replay(model)
    replay = None if buffer is None else {"pos": buffer.pos, "full": buffer.full}
    filled = {name: array[: buffer.size()] for name, array in arrays.items()} if buffer else {}
    contents = (
        (path.name, read_regular_file(path, max_bytes=_MAX_LOG_BYTES))
        for path in logs
        if path.exists()
    )
    policy = full_state(model.policy)
    finite_or_raise(policy, f"the model at step {model.num_timesteps:,}")
    tensors: dict[str, Any] = {
        **prefixed("policy", policy),
        **prefixed(VEC_NORMALIZE, statistics_of(model)),
        **prefixed("beside", _tensors_beside(model)),
        **prefixed("replay", filled),
        **prefixed("episodes", episodes.to_arrays()),
        **prefixed(
            "log", {name: np.frombuffer(bytearray(data), np.uint8) for name, data in contents}
        ),
    }
    if isinstance(model, _Carrying):
        tensors |= prefixed("learner", model.state_tensors())
    optimisers: dict[str, Any] = {}
    for name, optimiser in _optimisers(model).items():
        optimiser_tensors, optimisers[name] = _pack_optimiser(optimiser)
        tensors |= prefixed(f"optimiser.{name}", optimiser_tensors)
    state = {
        "format": FORMAT,
        "run": run,
        "counters": {name: getattr(model, name) for name in _COUNTERS if hasattr(model, name)},
        "optimisers": optimisers,
        "replay": replay,
        "recent_episodes": [
            {key: float(value) for key, value in info.items()}
            for info in model.ep_info_buffer or ()
        ],
    }
    return seal(dump_tensors(tensors, {_STATE: json.dumps(state), SEAL: UNSEALED}))


def resume_checkpoint(
    path: Path, model: BaseAlgorithm, *, run: Mapping[str, Any], logs: Iterable[Path] = ()
) -> EpisodeLog | None:
    """Restore a new model and the logs from a run's checkpoint; return the episodes until then.

    The result is None without a checkpoint. One that is damaged, of another run or does not fit the
    model raises ValueError.
    """
    if not path.exists():
        return None
    tensors, state = _read(path, run)
    episodes = _restore(tensors, state, model, str(path))
    content = with_prefix("log", tensors)
    for log in logs:
        log.unlink(missing_ok=True)
        if log.name in content:
            write_bytes_atomic(log, content[log.name].numpy().tobytes())
    return episodes


def restore_checkpoint(path: Path, model: BaseAlgorithm) -> EpisodeLog:
    """Restore a new model from a checkpoint of any run; return the episodes until then."""
    tensors, state = _read(path)
    return _restore(tensors, state, model, str(path))


@dataclass(frozen=True)
class _Optimiser(Config):
    """Optimiser state besides tensors."""

    values: dict[str, Any]
    param_groups: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Place(Config):
    """Position of a replay buffer."""

    pos: Natural
    full: bool


@dataclass(frozen=True)
class _State(Config):
    """Content of a checkpoint besides tensors."""

    format: str
    run: dict[str, Any] | None
    counters: dict[str, int | float]
    optimisers: dict[str, _Optimiser]
    replay: _Place | None
    recent_episodes: tuple[dict[str, float], ...]

    def _check(self) -> None:
        # An unknown name would become an attribute of the model.
        wrong = [
            name
            for name, x in self.counters.items()
            if name not in _COUNTERS
            or (name in _COUNTERS[:4] and not (type(x) is int and 0 <= x < 1 << 53))
        ]
        if wrong:
            raise ValueError(f"counter {wrong[0]!r:.60} is unknown, or no count")


def _read(
    path: Path, run: Mapping[str, Any] | None = None
) -> tuple[dict[str, torch.Tensor], _State]:
    """Read a checkpoint; refuse a damaged one, or one of another run than a given ``run``."""
    tensors, state = _parse(read_regular_file(path, max_bytes=MAX_CHECKPOINT_BYTES), str(path))
    saved = state.run or {}
    if run is not None and "format" in saved:  # maybe that of an older version
        saved = parse_training(saved, str(path)).recorded()
    difference = None if run is None else first_difference(saved, run)
    if difference is not None:
        name, was, expected = difference
        raise ValueError(
            f"{path} is of a run with {name} {was!r:.300}, not {expected!r}; put this run's own "
            "checkpoint there, or begin the run anew"
        )
    return tensors, state


def _parse(data: bytes, where: str) -> tuple[dict[str, torch.Tensor], _State]:
    """Return the tensors and the state in a checkpoint's content; refuse a damaged one."""
    check_seal(data, where)
    tensors, metadata = parse_tensors(data, where=where)
    content = parse_json(metadata.get(_STATE, "{}"), where)
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT:
        raise ValueError(f"{where}: format is {version!r:.60}, expected {FORMAT!r}")
    return tensors, from_mapping(_State, content, where)


def first_difference(
    saved: Mapping[str, Any], expected: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """Return the dotted name and both values where two mappings differ first; None if nowhere."""
    for name in {**expected, **saved}:
        old, new = saved.get(name), expected.get(name)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            deeper = first_difference(old, new)
            if deeper is not None:
                return f"{name}.{deeper[0]}", *deeper[1:]
        return name, old, new
    return None


def _restore(
    tensors: Mapping[str, torch.Tensor], state: _State, model: BaseAlgorithm, where: str
) -> EpisodeLog:
    try:
        return _restore_all(tensors, state, model, where)
    # Another model's checkpoint, or a forged one, may lack anything.
    except (AttributeError, LookupError, RuntimeError, TypeError) as error:
        line = " ".join(str(error).split())
        raise ValueError(
            f"{where} does not hold the state of this model ({type(error).__name__}: {line:.300})"
        ) from error


def _restore_all(
    tensors: Mapping[str, torch.Tensor], state: _State, model: BaseAlgorithm, where: str
) -> EpisodeLog:
    load_state(model.policy, with_prefix("policy", tensors), where)
    load_statistics(model, with_prefix(VEC_NORMALIZE, tensors))
    beside = with_prefix("beside", tensors)
    for name, tensor in _tensors_beside(model).items():
        tensor.copy_(beside[name])
    for name, optimiser in _optimisers(model).items():
        _unpack_optimiser(
            optimiser, with_prefix(f"optimiser.{name}", tensors), state.optimisers[name]
        )
    if isinstance(model, _Carrying):
        learner = with_prefix("learner", tensors)
        model.load_state_tensors({name: tensor.numpy() for name, tensor in learner.items()})
    buffer, arrays = _replay(model)
    if buffer is not None and state.replay is not None:
        filled = with_prefix("replay", tensors)
        for name, array in arrays.items():  # (buffer_size, n_envs, ...)
            array[: len(filled[name])] = filled[name].numpy()
        if state.replay.pos >= buffer.buffer_size:
            raise IndexError(
                f"the replay buffer stands at {state.replay.pos} of {buffer.buffer_size}"
            )
        buffer.pos, buffer.full = state.replay.pos, state.replay.full
    for name, value in state.counters.items():
        setattr(model, name, value)
    model.ep_info_buffer = deque(state.recent_episodes, maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    return EpisodeLog.from_arrays(with_prefix("episodes", tensors))


def _optimisers(model: BaseAlgorithm) -> dict[str, torch.optim.Optimizer]:
    """Return a model's optimisers by the names that Stable-Baselines3 saves them under."""
    names, _ = model._get_torch_save_params()
    parts = {name: attrgetter(name)(model) for name in names}
    return {name: x for name, x in parts.items() if isinstance(x, torch.optim.Optimizer)}


def has_optimiser_state(model: BaseAlgorithm) -> bool:
    """Return whether an optimiser of a model has made steps."""
    return any(optimiser.state for optimiser in _optimisers(model).values())


def _tensors_beside(model: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Return tensors that a model learns outside its policy, such as the weight of the entropy."""
    _, names = model._get_torch_save_params()
    return {name: attrgetter(name)(model).detach() for name in names}


def _pack_optimiser(
    optimiser: torch.optim.Optimizer,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Split an optimiser's state into tensors and plain values."""
    state = optimiser.state_dict()
    entries_by_name = {
        f"{index}.{key}": value
        for index, entries in state["state"].items()
        for key, value in entries.items()
    }
    tensors = {name: x for name, x in entries_by_name.items() if isinstance(x, torch.Tensor)}
    values = {name: x for name, x in entries_by_name.items() if name not in tensors}
    return tensors, {"values": values, "param_groups": state["param_groups"]}


def _unpack_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], plain: _Optimiser
) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**tensors, **plain.values}.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    # JSON made lists of tuples such as Adam's betas.
    groups = [
        {
            key: tuple(value) if isinstance(value, list) and key != "params" else value
            for key, value in group.items()
        }
        for group in plain.param_groups
    ]
    own = optimiser.param_groups
    weights = [weight for group in own for weight in group["params"]]
    shaped = ((weights[k], x) for k, entries in state.items() for x in entries.values())
    # Numbers alone may take the place of numbers, or the first update would fail.
    pairs = [(x[key], y[key]) for x, y in zip(own, groups, strict=True) for key in x.keys() & y]
    if any(isinstance(x, Real) != isinstance(y, Real) for x, y in pairs) or any(
        isinstance(x, torch.Tensor) and x.dim() and x.shape != w.shape for w, x in shaped
    ):
        raise TypeError("the optimiser's state or settings do not fit the weights")
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _replay(
    model: BaseAlgorithm,
) -> tuple[ReplayBuffer | None, dict[str, np.ndarray[Any, Any]]]:
    """Return a model's replay buffer and, by name, its own arrays (buffer_size, ...).

    Return None and an empty dict for a model without replay buffer.
    """
    buffer = model.replay_buffer if isinstance(model, OffPolicyAlgorithm) else None
    if buffer is None:
        return None, {}
    # A Dict's observations are stored by key.
    return buffer, {
        f"{name}.{key}" if key else name: array
        for name in _REPLAY_ARRAYS
        for key, array in by_key(getattr(buffer, name)).items()
    }
