"""Best actions of a policy by the compiled call of its program, without PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import Tensor, nn

from snn_gym.policies.protocols import ProgramPolicy
from snn_gym.program.compiled import CompiledProgram, choose, equal_at
from snn_gym.program.encoders import ReceptiveFields
from snn_gym.program.interpreter import chosen
from snn_gym.program.network import UNCHOSEN, Array, Choice, Head, Normaliser, Program
from snn_gym.spiking.layer_neurons import as_array
from snn_gym.spiking.normaliser import ObservationNormaliser

if TYPE_CHECKING:
    from snn_gym.policies.base import SpikingPolicy


# ---- reading -------------------------------------------------------------------------------------
# The program of a policy: what it acts by, read off its modules.
#
# Whatever has a program can be exported, frozen and compacted, so that this is decided in one
# place.
def read_program(policy: ProgramPolicy) -> Program:
    """Return the program that a policy acts by, with copies of its numbers.

    Args:
        policy: A policy of snn_gym.

    Raises:
        ValueError: A part has no form outside of PyTorch; the message names the nearest one.
    """
    _check_spaces(policy)
    network: Any = policy.acting_network()
    own_head = policy.readout() is None
    made: Program = replace(
        network.program(policy.readout()),
        normalisers=_normalisers(policy),
        choice=_choice(policy),
        stateful=policy.carries_state,
    )
    quantiles = getattr(policy, "n_quantiles", 1)
    return _averaged(made, quantiles) if quantiles > 1 and own_head else made


def _averaged(program: Program, quantiles: int) -> Program:
    """Return a program whose outputs are means over quantiles, as QR-DQN acts by."""
    decoder, head = program.decoder, program.head
    if decoder is not None and decoder.values > 1:
        raise ValueError(
            "decoder 'max_voltage' of quantiles is not exported; train with 'mean_rate' or "
            "'last_voltage'"
        )
    weights = head.weights.reshape(quantiles, -1, head.weights.shape[1]).mean(0)
    biases = head.biases.reshape(quantiles, -1).mean(0)
    return replace(program, head=Head(weights, biases))


def _check_spaces(policy: ProgramPolicy) -> None:
    seen, chosen = policy.observation_space, policy.action_space
    if not isinstance(seen, spaces.Box | spaces.MultiBinary) or (
        policy.features_extractor_class is not FlattenExtractor
    ):
        raise ValueError(
            f"observations {seen} are not exported; train on a Box or MultiBinary space that is "
            "flattened"
        )
    if not isinstance(chosen, spaces.Box | spaces.Discrete):
        raise ValueError(f"actions {chosen} are not exported; train with Box or Discrete actions")


def _choice(policy: ProgramPolicy) -> Choice:
    space = policy.action_space
    if isinstance(space, spaces.Box):
        low, high = (x.reshape(-1).astype(np.float32) for x in (space.low, space.high))
        if not policy.squash_output:
            return Choice("clip", low, high)
        return Choice("squash", low, high, _limit_of_mean(policy))
    return UNCHOSEN


def _limit_of_mean(policy: ProgramPolicy) -> float | None:
    """Return within what a mean is clipped before it is squashed, as use_sde has it, or None."""
    mean = getattr(getattr(policy, "actor", None), "mu", None)
    last = mean[-1] if isinstance(mean, nn.Sequential) else None
    return float(last.max_val) if isinstance(last, nn.Hardtanh) else None


def _normalisers(policy: ProgramPolicy) -> tuple[Normaliser, ...]:
    found: ObservationNormaliser | None = policy.normaliser
    if found is None:
        return ()
    return (Normaliser(as_array(found.mean), as_array(found.std), float(found.clip)),)


# ---- acting --------------------------------------------------------------------------------------
# Between an observation and its action, PyTorch and Stable-Baselines3 cost several times what the
# network does. Spikes are those of PyTorch's way, bit for bit. Values of discrete actions have the
# rounding of another order of sums.
#
# Bits of outputs count for continuous actions, and where two values of discrete ones are so close
# that rounding may change their order: rows of the results table hold for one arithmetic. There
# numpy reads the last layer of stateless spiking policies, and all others act by PyTorch, as
# evaluator 5 does.
_METHODS = ("_predict", "forward", "extract_features", "obs_to_tensor", "network_inputs")
"""Methods between an observation and an action; a class of a user may have its own."""
_PACKAGES = ("snn_gym.", "stable_baselines3.", "sb3_contrib.")
Tensors = dict[str, Tensor | None]
Modules = Mapping[str, nn.Module | None]
_CLOSE = 3e-5
"""Share of one plus their size by which values have to differ for rounding not to matter."""


class Decider:
    """Compiled program of a policy.

    Args:
        program: Its program.
        by_numpy: Whether numpy reads the last layer where bits of outputs count; else PyTorch does
            all of it.
    """

    def __init__(self, program: Program, *, by_numpy: bool) -> None:
        self._program, self._by_numpy = program, by_numpy
        self._compiled = CompiledProgram(program) if program.choice.discrete else None

    def actions(self, observations: Array, states: Array | None = None) -> NDArray[Any] | None:
        """Return the best actions, as ``CompiledProgram.actions``; None if PyTorch has to decide.

        Args:
            observations: (B, values) float32, in order.
            states: As there.
        """
        if self._compiled is not None:
            outputs = self._compiled.outputs(observations, states)
            actions = np.empty(len(outputs), np.int64)
            if choose(outputs, actions, _CLOSE):
                return actions
        if not self._by_numpy:
            return None
        head = self._program.head
        outputs = self._unread.outputs(observations, states) @ head.weights.T
        outputs += head.biases
        return chosen(self._program.choice, outputs)

    @cached_property
    def _unread(self) -> CompiledProgram:
        """The program with what its decoder reads as outputs; of discrete actions seldom needed."""
        features = self._program.sizes[-1]
        zeros = np.zeros(features, np.float32)
        head, choice = Head(np.eye(features, dtype=np.float32), zeros), Choice("clip", zeros, zeros)
        return CompiledProgram(replace(self._program, head=head, choice=choice))


class CompiledActing:
    """The compiled program of a policy, made anew where a part of the policy has changed.

    Weights are compared at every decision, however they were changed: in place by PyTorch or
    numpy, or by other tensors.
    """

    def __init__(self) -> None:
        self._decider: Decider | None = None
        self._children: list[tuple[Modules, str, nn.Module]] = []
        self._hooks: list[Mapping[int, Any]] = []
        self._places: list[tuple[Tensors, str]] = []
        self._addresses: list[int] = []
        self._where = np.empty(0, np.int64)
        self._sizes = np.empty(0, np.int64)
        self._copy: Array = np.empty(0, np.float32)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledActing:
        """Return one that knows nothing: a copy of a policy has other tensors."""
        return CompiledActing()

    def __reduce__(self) -> tuple[type[CompiledActing], tuple[()]]:
        """Leave out everything, for the same reason."""
        return CompiledActing, ()

    def decider_of(self, policy: SpikingPolicy) -> Decider | None:
        """Return what a policy acts by now; None where PyTorch has to decide.

        Args:
            policy: A policy of snn_gym, always the same.
        """
        if not self._has_its_parts():
            self._find_parts(policy)
            self._read(policy)
        elif self._decider is not None and not self._is_current():
            self._read(policy)
        # A hook of anyone's has to be called.
        return None if any(self._hooks) else self._decider

    def _has_its_parts(self) -> bool:
        children = self._children
        return bool(children) and all(x.get(name) is child for x, name, child in children)

    def _find_parts(self, policy: SpikingPolicy) -> None:
        """Note where the modules of a decision hang, their hooks and their numbers."""
        parts = (policy.acting_network(), policy.readout(), policy.normaliser)
        modules = [x for part in parts if part is not None for x in part.modules()]
        self._children = list(_ways_to(modules, policy))
        self._hooks = [x for m in modules for x in (m._forward_hooks, m._forward_pre_hooks)]
        self._places = list(_places(modules))

    def _is_current(self) -> bool:
        if [x[name].data_ptr() for x, name in self._places] != self._addresses:  # type: ignore[union-attr]
            return False
        same: bool = equal_at(self._where, self._sizes, self._copy)
        return same

    def _read(self, policy: SpikingPolicy) -> None:
        """Make the program of the parts as they are."""
        self._decider = None
        tensors: list[Tensor] = [found[name] for found, name in self._places]  # type: ignore[misc]
        if not (_is_plain(policy) and all(map(_is_readable, tensors))):
            return
        try:
            program = policy.program()
        except ValueError:  # a part has no form outside of PyTorch
            return
        by_numpy = _is_read_by_numpy(policy, program)
        if not ((by_numpy or program.choice.discrete) and _has_equal_spikes(program)):
            return
        self._decider = Decider(program, by_numpy=by_numpy)
        flat = [x.detach().numpy().reshape(-1) for x in tensors]
        self._addresses = [x.data_ptr() for x in tensors]
        self._where = np.array(self._addresses, np.int64)
        self._sizes = np.array([x.nbytes for x in flat], np.int64)
        self._copy = np.concatenate(flat)


def _ways_to(
    modules: list[nn.Module], policy: nn.Module
) -> Iterator[tuple[Modules, str, nn.Module]]:
    """Yield the children of each module on the ways from a policy to modules, by their names."""
    wanted, names = set(modules), dict(policy.named_modules())
    below = [name.split(".") for name, module in names.items() if module in wanted and name]
    ways = {".".join(parts[:k]) for parts in below for k in range(1, len(parts) + 1)}
    for way in sorted(ways):
        above, _, name = way.rpartition(".")
        yield names[above]._modules, name, names[way]


def _places(modules: list[nn.Module]) -> Iterator[tuple[Tensors, str]]:
    """Yield where modules keep their 32-bit numbers."""
    for module in modules:
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.dtype == torch.float32:
                    yield tensors, name  # type: ignore[misc]


def _is_read_by_numpy(policy: SpikingPolicy, program: Program) -> bool:
    """Tell whether evaluator 5 reads a policy's last layer by numpy."""
    plain = program.spiking and program.choice.rule != "squash" and not program.stateful
    alike = program.coder is None and not any(x.each for x in program.neurons)
    return (
        plain and alike and program.readout.values == 1
        and type(policy.acting_head()) is nn.Linear
    )  # fmt: skip


def _has_equal_spikes(program: Program) -> bool:
    """Tell whether spikes are PyTorch's: noise is drawn by its stream, and exp is rounded apart."""
    return not (program.needs_noise or isinstance(program.encoder, ReceptiveFields))


def _is_readable(tensor: Tensor) -> bool:
    # A module may have been moved or turned to other numbers since its places were noted.
    plain = tensor.device.type == "cpu" and tensor.dtype == torch.float32
    return plain and tensor.is_contiguous()


def _is_plain(policy: SpikingPolicy) -> bool:
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
