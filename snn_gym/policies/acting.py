"""Programs of policies, and the compiled call that acts by them without PyTorch."""

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

from snn_gym._base.compilation import njit
from snn_gym.program.compiled import CompiledProgram
from snn_gym.program.encoders import ReceptiveFields
from snn_gym.program.interpreter import chosen
from snn_gym.program.layers import Array, DenseLayer
from snn_gym.program.neuron_kernels import compare_memory
from snn_gym.program.program import UNCHOSEN, Choice, Head, Normaliser, Program
from snn_gym.spiking.layer_neurons import as_array

if TYPE_CHECKING:
    from snn_gym.policies.base import ProgramPolicy, SpikingPolicy


# ---- reading -------------------------------------------------------------------------------------
def read_program(policy: ProgramPolicy) -> Program:
    """Return a policy's acting network and choice of actions as a ``Program`` of copied arrays.

    Raises:
        ValueError: A part has no form outside of PyTorch; the message names a supported one.
    """
    space = policy.action_space
    if not isinstance(space, spaces.Box | spaces.Discrete):
        raise ValueError(f"actions {space} are not exported; train with Box or Discrete actions")
    head: Any = policy.readout()
    program = replace(_program_of(policy, policy.acting_network(), head), choice=choice_of(policy))
    quantiles = getattr(policy, "n_quantiles", 1)
    return _averaged(program, quantiles) if quantiles > 1 and head is None else program


def _program_of(policy: ProgramPolicy, network: Any, head: Any) -> Program:
    """Return one of a policy's networks with its head and normaliser."""
    observed = policy.observation_space
    if not isinstance(observed, spaces.Box | spaces.MultiBinary) or (
        policy.features_extractor_class is not FlattenExtractor
    ):
        raise ValueError(
            f"observations {observed} are not exported; train on a Box or MultiBinary space that "
            "is flattened"
        )
    scaler = policy.normaliser
    normalisers = () if scaler is None else (
        Normaliser(as_array(scaler.mean), as_array(scaler.std), float(scaler.clip)),
    )  # fmt: skip
    program: Program = replace(
        network.program(head),
        normalisers=normalisers,
        # Units without a state may stand beside a network that carries one.
        stateful=policy.carries_state and network.state_size > 0,
    )
    return program


def _averaged(program: Program, quantiles: int) -> Program:
    """Return a program whose head gives means over quantiles."""
    head = program.head
    weights = head.weights.reshape(quantiles, -1, head.weights.shape[1]).mean(0)
    biases = head.biases.reshape(quantiles, -1).mean(0)
    return replace(program, head=Head(weights, biases))


def choice_of(policy: ProgramPolicy) -> Choice:
    """Return how a policy's outputs become an action; ``argmax`` for all that are no Box."""
    space = policy.action_space
    if not isinstance(space, spaces.Box):
        return UNCHOSEN
    low, high = (x.reshape(-1).astype(np.float32) for x in (space.low, space.high))
    if not policy.squash_output:
        return Choice("clip", low, high)
    mean = getattr(getattr(policy, "actor", None), "mu", None)
    # gSDE clips a mean before it is squashed.
    last = mean[-1] if isinstance(mean, nn.Sequential) else None
    return Choice("squash", low, high, last.max_val if isinstance(last, nn.Hardtanh) else None)


# ---- acting --------------------------------------------------------------------------------------
# PyTorch and Stable-Baselines3 take several times as long for a decision as the network itself.
# Compiled spikes equal PyTorch's, bit for bit; values of actions are summed in another order.
#
# Rows of the results table hold for one arithmetic. So where bits of outputs count (continuous
# actions, and values too close to order by rounded sums), numpy reads the last layer of stateless
# spiking policies, and all others act by PyTorch, as evaluator 5 does.
_METHODS = ("_predict", "forward", "extract_features", "obs_to_tensor", "network_inputs")
"""Methods between an observation and an action, which a user's class may override."""
_PACKAGES = ("snn_gym.", "stable_baselines3.", "sb3_contrib.")
Tensors = dict[str, Tensor | None]
Modules = Mapping[str, nn.Module | None]
_CLOSE = 3e-5
"""Values closer than this share of one plus their size may change order by rounding."""


@njit(cache=True, error_model="numpy", nogil=True)
def _choose(outputs: Array, actions: NDArray[np.int64], closeness: float) -> bool:
    """Fill ``actions`` (B,) with places of the largest outputs (B, O); return if each is clear.

    A place is clear if all other outputs are further below than ``closeness * (1 + abs(largest))``.
    """
    clear = True
    for b in range(outputs.shape[0]):
        best, most, second = 0, outputs[b, 0], -np.float32(np.inf)
        for o in range(1, outputs.shape[1]):
            value = outputs[b, o]
            if value > most:
                best, second, most = o, most, value
            elif value > second:
                second = value
        actions[b] = best
        clear &= most - second > closeness * (1.0 + abs(most))
    return clear


class Decider:
    """Compiled program of a policy; numpy (``by_numpy``) or PyTorch decides Box and close calls."""

    def __init__(self, program: Program, *, by_numpy: bool) -> None:
        self._program, self._by_numpy = program, by_numpy
        self._compiled = CompiledProgram(program) if program.choice.discrete else None

    def actions(self, observations: Array, states: Array | None = None) -> NDArray[Any] | None:
        """Return the best actions (B,) or (B, O) for rows (B, values).

        ``states`` (B, S) change in place, also where the result is None: PyTorch has to decide.
        """
        if self._compiled is not None:
            outputs = self._compiled.outputs(observations, states)
            actions = np.empty(len(outputs), np.int64)
            if _choose(outputs, actions, _CLOSE):  # no call is close
                return actions
        if not self._by_numpy:
            return None
        head = self._program.head
        outputs = self._without_head.outputs(observations, states) @ head.weights.T
        outputs += head.biases
        return chosen(self._program.choice, outputs)

    @cached_property
    def _without_head(self) -> CompiledProgram:
        """The program with an identity head: its outputs are the activity that the head reads."""
        features = self._program.head.weights.shape[1]
        zeros = np.zeros(features, np.float32)
        head, choice = Head(np.eye(features, dtype=np.float32), zeros), Choice("clip", zeros, zeros)
        return CompiledProgram(replace(self._program, head=head, choice=choice))


@njit(cache=True, error_model="numpy", nogil=True)
def _equal_at(addresses: NDArray[np.int64], sizes: NDArray[np.int64], known: Array) -> bool:
    """Return whether ``sizes`` bytes at ``addresses`` equal those of ``known``, block by block."""
    at = known.ctypes.data
    for k in range(addresses.size):
        if compare_memory(addresses[k], at, sizes[k]) != 0:
            return False
        at += sizes[k]
    return True


class CompiledActing:
    """Cache of a policy's ``Decider``, compiled anew after a module or weight has changed.

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
        """Return an empty object: a copy of a policy has other tensors."""
        return CompiledActing()

    def __reduce__(self) -> tuple[type[CompiledActing], tuple[()]]:
        return CompiledActing, ()

    def decider_of(self, policy: SpikingPolicy) -> Decider | None:
        """Return the policy's present decider; None if it can't be compiled or has hooks."""
        children = self._children
        if not children or any(x.get(name) is not child for x, name, child in children):
            self._find_parts(policy)
            self._read(policy)
        elif self._decider is not None and not self._is_current():
            self._read(policy)
        # Forward hooks have to be called, as PyTorch alone does.
        return None if any(self._hooks) else self._decider

    def _find_parts(self, policy: SpikingPolicy) -> None:
        """Store references to the modules that act, their hooks and their tables of tensors."""
        parts = (policy.acting_network(), policy.readout(), policy.normaliser)
        modules = [x for part in parts if part is not None for x in part.modules()]
        self._children = list(_paths_to(modules, policy))
        self._hooks = [x for m in modules for x in (m._forward_hooks, m._forward_pre_hooks)]
        self._places = list(_places(modules))

    def _is_current(self) -> bool:
        # Other addresses are tensors that were replaced; other values were changed in place.
        if [x[name].data_ptr() for x, name in self._places] != self._addresses:  # type: ignore[union-attr]
            return False
        same: bool = _equal_at(self._where, self._sizes, self._copy)
        return same

    def _read(self, policy: SpikingPolicy) -> None:
        """Compile the policy's program and copy its weights; no decider if it can't be compiled."""
        self._decider = None
        tensors: list[Tensor] = [table[name] for table, name in self._places]  # type: ignore[misc]
        # A module may have been moved or turned to other numbers since its places were noted.
        readable = all(
            x.device.type == "cpu" and x.dtype == torch.float32 and x.is_contiguous()
            for x in tensors
        )
        if not (readable and _is_plain(policy)):
            return
        try:
            program = policy.program()
        except ValueError:  # a part has no form outside of PyTorch
            return
        by_numpy = _is_read_by_numpy(policy, program)
        if _differs(program) or not (by_numpy or program.choice.discrete):
            return
        self._decider = Decider(program, by_numpy=by_numpy)
        flat = [x.detach().numpy().reshape(-1) for x in tensors]
        self._addresses = [x.data_ptr() for x in tensors]
        self._where = np.array(self._addresses, np.int64)
        self._sizes = np.array([x.nbytes for x in flat], np.int64)
        self._copy = np.concatenate(flat)


def _paths_to(
    modules: list[nn.Module], policy: nn.Module
) -> Iterator[tuple[Modules, str, nn.Module]]:
    """Yield (parent's table of children, name, child) on each path from a policy to modules."""
    wanted, names = set(modules), dict(policy.named_modules())
    below = [name.split(".") for name, module in names.items() if module in wanted and name]
    ways = {".".join(parts[:k]) for parts in below for k in range(1, len(parts) + 1)}
    for way in sorted(ways):
        above, _, name = way.rpartition(".")
        yield names[above]._modules, name, names[way]


def _places(modules: list[nn.Module]) -> Iterator[tuple[Tensors, str]]:
    """Yield (table of parameters or buffers, name) of each float32 tensor of modules."""
    for module in modules:
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.dtype == torch.float32:
                    yield tensors, name  # type: ignore[misc]


def compiled_network(
    policy: ProgramPolicy, network: Any, head: nn.Module
) -> CompiledProgram | None:
    """Return a network of a policy on copies of its weights, compiled up to its head's outputs.

    None if it has no form outside of PyTorch, differs there by more than rounding, or its policy
    has hooks or methods of a user; also with convolutions, which PyTorch computes faster for a
    batch.
    """
    # As in ``CompiledActing``: PyTorch alone calls hooks.
    if (
        policy.network.convolutions
        or not _is_plain(policy)
        or any(x._forward_hooks or x._forward_pre_hooks for x in policy.modules())
    ):
        return None
    try:
        program = _program_of(policy, network, head)
    except ValueError:  # a part has no form outside of PyTorch
        return None
    return None if _differs(program) else CompiledProgram(program)


def _differs(program: Program) -> bool:
    """Tell whether a compiled program differs from PyTorch by more than rounding of sums."""
    # Noise is drawn from PyTorch's stream, and PyTorch rounds exp in another way. A rounding
    # error can move an output that is rounded by a whole level.
    return (
        program.needs_noise
        or isinstance(program.encoder, ReceptiveFields)
        or any(isinstance(x, DenseLayer) and x.levels for x in program.layers)
    )


def _is_read_by_numpy(policy: SpikingPolicy, program: Program) -> bool:
    """Tell whether version 5 of the evaluator computes the head in numpy.

    It does so for one linear head, without a state and without squashing.
    """
    plain = program.spiking and program.choice.rule != "squash" and not program.stateful
    alike = program.coder is None and not any(x.each for x in program.neurons)
    return plain and alike and type(policy.acting_head()) is nn.Linear


def _is_plain(policy: ProgramPolicy) -> bool:
    """Tell whether no method of acting is a user's, and observations are no Box of integers."""
    observed = policy.observation_space
    if isinstance(observed, spaces.Box) and not np.issubdtype(observed.dtype, np.floating):
        return False
    methods = (getattr(type(policy), name, None) for name in _METHODS)
    return all(x is None or x.__module__.startswith(_PACKAGES) for x in methods)


def rows_of(observation: Any, space: spaces.Space[Any]) -> Array | None:
    """Return one or B observations as rows (B, values), float32.

    None if they are no array, empty or of a shape that does not fit the space.
    """
    if not isinstance(observation, np.ndarray):
        return None
    batch = observation[np.newaxis] if observation.shape == space.shape else observation
    if batch.shape[1:] != space.shape or not len(batch):
        return None
    return np.ascontiguousarray(batch, np.float32).reshape(len(batch), -1)


def as_taken(
    actions: NDArray[Any], observation: NDArray[Any], observed: spaces.Space[Any],
    chosen: spaces.Space[Any],
) -> NDArray[Any]:  # fmt: skip
    """Return actions (B,) or (B, O) in the shape of the action space ``chosen``.

    A single observation, one of the space ``observed``, gets one action without a batch axis.
    """
    if isinstance(chosen, spaces.Box):
        actions = actions.reshape(-1, *chosen.shape)
    return actions.squeeze(axis=0) if observation.shape == observed.shape else actions
