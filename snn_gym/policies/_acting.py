"""Best actions of a policy by the compiled call of its program, without PyTorch.

Between an observation and its action, PyTorch and Stable-Baselines3 cost several times what the
network does. Spikes are those of PyTorch's way, bit for bit. Values of discrete actions have the
rounding of another order of sums: where two are so close that this may matter, PyTorch decides.

Continuous actions are bits of a score, and rows of the results table hold for one arithmetic. So a
spiking policy's head is read by numpy, as evaluator 5 does, and squashed actions and those of ANNs
stay PyTorch's until the evaluator's version rises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym.program.compiled import CompiledProgram
from snn_gym.program.decision_kernels import choose, equal_at
from snn_gym.program.interpreter import chosen
from snn_gym.program.network import Array, Choice, Head, Program

_METHODS = ("_predict", "forward", "extract_features", "obs_to_tensor", "_network_inputs")
"""Methods between an observation and an action; a class of a user may have its own."""
_PACKAGES = ("snn_gym.", "stable_baselines3.", "sb3_contrib.")
Tensors = dict[str, Tensor | None]
_CLOSE = 3e-5
"""Share of one plus their size by which values have to differ for rounding not to matter."""


class Decider:
    """A compiled program, and the head that reads its last layer apart from it.

    Args:
        program: The program.
    """

    def __init__(self, program: Program) -> None:
        self._choice, self._head = program.choice, None if program.choice.discrete else program.head
        if self._head is not None:
            features = self._head.weights.shape[1]
            nothing = np.zeros(features, np.float32)
            limits = Choice("clip", nothing, nothing)
            unread = Head(np.eye(features, dtype=np.float32), nothing)
            program = replace(program, head=unread, choice=limits)
        self._compiled = CompiledProgram(program)

    def actions(self, observations: Array, states: Array | None = None) -> NDArray[Any] | None:
        """Return the best actions, as ``CompiledProgram.actions``; None where two are too close.

        Args:
            observations: (B, values) float32, in order.
            states: As there.
        """
        outputs = self._compiled.outputs(observations, states)
        if self._head is None:
            actions = np.empty(len(outputs), np.int64)
            return actions if choose(outputs, actions, _CLOSE) else None
        outputs = outputs @ self._head.weights.T
        outputs += self._head.biases
        return chosen(self._choice, outputs)


class CompiledActing:
    """The compiled program of a policy, made anew where a part of the policy has changed.

    Weights are compared at every decision, however they were changed: in place by PyTorch or
    numpy, or by other tensors.
    """

    def __init__(self) -> None:
        self._parts: tuple[nn.Module | None, ...] = ()
        self._decider: Decider | None = None
        self._modules: list[nn.Module] = []
        self._places: list[tuple[Tensors, str]] = []
        self._addresses = np.empty(0, np.int64)
        self._sizes = np.empty(0, np.int64)
        self._copy: Array = np.empty(0, np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledActing:
        """Return one that knows nothing: a copy of a policy has other tensors."""
        return CompiledActing()

    def __reduce__(self) -> tuple[type[CompiledActing], tuple[()]]:
        """Leave out everything, for the same reason."""
        return CompiledActing, ()

    def decider_of(self, policy: Any) -> Decider | None:
        """Return what a policy acts by now; None where PyTorch has to decide.

        Args:
            policy: A policy of snn_gym, always the same.
        """
        parts = (policy._acting_network(), policy._readout(), policy.normaliser)
        known = len(parts) == len(self._parts) and all(
            a is b for a, b in zip(parts, self._parts, strict=True)
        )
        if not known:
            self._parts = parts
            self._modules = [x for part in parts if part is not None for x in part.modules()]
            self._places = list(_places(self._modules))
            self._read(policy)
        elif self._decider is not None and not self._is_current():
            self._read(policy)
        # A hook of anyone's has to be called.
        if any(x._forward_hooks or x._forward_pre_hooks for x in self._modules):
            return None
        return self._decider

    def _is_current(self) -> bool:
        addresses = [tensors[name].data_ptr() for tensors, name in self._places]  # type: ignore[union-attr]
        if addresses != self._addresses.tolist():
            return False
        same: bool = equal_at(self._addresses, self._sizes, self._copy)
        return same

    def _read(self, policy: Any) -> None:
        """Make the program of the parts as they are."""
        self._decider = None
        tensors: list[Tensor] = [found[name] for found, name in self._places]  # type: ignore[misc]
        if not (_is_plain(policy) and all(map(_is_readable, tensors))):
            return
        try:
            program = policy.program()
        except ValueError:  # a part has no form outside of PyTorch
            return
        if not (program.choice.discrete or _is_read_by_numpy(policy, program)):
            return
        self._decider = Decider(program)
        flat = [x.detach().numpy().reshape(-1) for x in tensors]
        self._addresses = np.array([x.data_ptr() for x in tensors], np.int64)
        self._sizes = np.array([x.size for x in flat], np.int64)
        self._copy = np.concatenate(flat)


def _places(modules: list[nn.Module]) -> Iterator[tuple[Tensors, str]]:
    """Yield where modules keep their 32-bit numbers."""
    for module in modules:
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.dtype == torch.float32:
                    yield tensors, name  # type: ignore[misc]


def _is_read_by_numpy(policy: Any, program: Program) -> bool:
    """Tell whether a program's continuous actions are those of the evaluator's arithmetic."""
    plain = program.spiking and program.choice.rule == "clip" and not program.stateful
    return plain and type(policy._readout()) is nn.Linear


def _is_readable(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.is_contiguous()


def _is_plain(policy: Any) -> bool:
    """Tell whether a policy decides as its class in this package does."""
    seen = policy.observation_space
    if isinstance(seen, spaces.Box) and not np.issubdtype(seen.dtype, np.floating):
        return False
    methods = (getattr(type(policy), name, None) for name in _METHODS)
    return all(x is None or x.__module__.startswith(_PACKAGES) for x in methods)


def rows_of(observation: Any, space: spaces.Space[Any]) -> Array | None:
    """Return observations as rows (B, values), float32; None where their shape is another one.

    Args:
        observation: One observation or a batch.
        space: Space of observations.
    """
    if not isinstance(observation, np.ndarray):
        return None
    shape = space.shape
    if observation.shape == shape:
        return np.ascontiguousarray(observation, np.float32).reshape(1, -1)
    if observation.shape[1:] != shape or not len(observation):
        return None
    return np.ascontiguousarray(observation, np.float32).reshape(len(observation), -1)


def as_taken(
    actions: NDArray[Any], observation: NDArray[Any], observed: spaces.Space[Any],
    chosen: spaces.Space[Any],
) -> NDArray[Any]:  # fmt: skip
    """Return actions (B,) or (B, O) in the shape of the action space; of one observation, one.

    Args:
        actions: Actions of a compiled program.
        observation: One observation or a batch.
        observed: Space of observations.
        chosen: Space of actions.
    """
    if isinstance(chosen, spaces.Box):
        actions = actions.reshape(-1, *chosen.shape)
    return actions.squeeze(axis=0) if observation.shape == observed.shape else actions
