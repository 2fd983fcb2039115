"""Spiking layers: synapses and the neurons that they drive, T time steps in one compiled call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from snn_gym.program.kernels import backward_kernel, forward_kernel, kept_names
from snn_gym.program.network import NeuronLayer
from snn_gym.program.neuron import equations
from snn_gym.program.neurons import LIFBox
from snn_gym.spiking.events import (
    COLUMNS,
    Source,
    add_products,
    event_room,
    strips_of,
    synapse_gradients,
)
from snn_gym.spiking.kernels import sequence_backward, sequence_forward
from snn_gym.spiking.layer_neurons import (
    Array,
    Breaks,
    LayerNeurons,
    NorseCell,
    Run,
    State,
    as_array,
    no_breaks,
)
from snn_gym.spiking.learned import hidden_parameters
from snn_gym.spiking.surrogates import is_traced


# ---- products ------------------------------------------------------------------------------------
def array_of(tensor: Tensor) -> Array:
    """View a tensor whose rows are in order, or copy it into such an array."""
    array: Array = tensor.detach().contiguous().numpy()
    return array


def gradients_of_synapses(source: Source, grad_currents: Array) -> tuple[Tensor, Tensor]:
    """Return the gradients of weights (N, D) and biases (N,).

    Args:
        source: (R, D), what the synapses got.
        grad_currents: (R, N), gradients of what they gave.
    """
    channels, size = source.shape[1], grad_currents.shape[1]
    weight, bias = np.empty((size, channels), np.float32), np.empty(size, np.float32)
    synapse_gradients(source, grad_currents, weight, bias)
    return torch.from_numpy(weight), torch.from_numpy(bias)


def spike_product(signal: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``signal @ weight.T + bias``, with gradients.

    Args:
        signal: (K, B, D) float32 on the CPU, spikes or others.
        weight: (N, D) float32.
        bias: (N,) float32.
    """
    currents: Tensor = _SpikeProduct.apply(signal, weight, bias)  # type: ignore[no-untyped-call]
    return currents


class _SpikeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, signal: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(signal, weight)
        source = array_of(signal).reshape(-1, signal.shape[2])
        currents = np.repeat(array_of(bias)[None], len(source), axis=0)
        room = event_room(source.shape[1])
        add_products(source, strips_of(array_of(weight)), currents, room)
        return torch.from_numpy(currents).view(*signal.shape[:2], -1)

    @staticmethod
    def backward(ctx: Any, grad_currents: Tensor) -> tuple[Tensor | None, ...]:
        signal, weight = ctx.saved_tensors
        wants_signal = ctx.needs_input_grad[0]
        # As in ``_FusedLayer``: a second derivative goes through operations of PyTorch.
        if torch.is_grad_enabled():
            flat = grad_currents.flatten(0, 1)
            return (
                grad_currents @ weight if wants_signal else None,
                flat.t() @ signal.flatten(0, 1),
                flat.sum(0),
            )
        rows = array_of(grad_currents).reshape(-1, len(weight))
        source = array_of(signal).reshape(-1, signal.shape[2])
        grad_signal = None
        if wants_signal:
            grad_signal = torch.from_numpy(rows @ array_of(weight)).view_as(signal)
        return grad_signal, *gradients_of_synapses(source, rows)


# ---- fused ---------------------------------------------------------------------------------------
_NOTHING = np.empty((0, 0), dtype=np.float32)
_NO_STRIPS = np.empty((0, 0, COLUMNS), dtype=np.float32)


class Decision(NamedTuple):
    """Neurons that run over time steps and breaks, and the values that are kept of a time step."""

    neurons: LayerNeurons
    time_steps: int
    breaks: Breaks
    keep: tuple[str, ...]

    @property
    def each(self) -> bool:
        """Whether each neuron has constants of its own."""
        return bool(self.neurons.learned)


def supports(currents: Tensor) -> bool:
    """Tell whether the kernels can serve this tensor: float32 on the CPU, and not in a trace."""
    return currents.dtype == torch.float32 and currents.device.type == "cpu" and not is_traced()


def run_fused(
    neurons: LayerNeurons,
    currents: Tensor,
    state: State,
    time_steps: int,
    recurrent_weight: Tensor | None = None,
    breaks: Breaks | None = None,
) -> Run:
    """Run all time steps of L environment steps of a layer in one compiled call.

    Spikes and voltages equal those of ``Stepped.run_stepped`` bit for bit, with recurrent weights
    up to the rounding of their sum; gradients agree to float32 accuracy. A second derivative
    (``create_graph=True``) goes through ``run_stepped``.

    Args:
        neurons: The layer's neurons.
        currents: As in ``run_stepped``; float32.
        state: As in ``run_stepped``; float32, not changed. Recurrent spikes are 0 or 1.
        time_steps: T.
        recurrent_weight: As in ``run_stepped``.
        breaks: As in ``run_stepped``.
    """
    within = no_breaks(currents.shape[1]) if breaks is None else breaks
    constants = neurons.own_constants(currents.shape[2]) if neurons.learned else None
    watched = [x for x in (recurrent_weight, constants) if x is not None]
    if torch.is_grad_enabled() and any(x.requires_grad for x in (currents, *state, *watched)):
        kept = kept_names(neurons.text, each=bool(neurons.learned))
        decision = Decision(neurons, time_steps, within, kept)
        outputs: tuple[Tensor, ...] = _FusedLayer.apply(  # type: ignore[no-untyped-call]
            decision, currents, recurrent_weight, constants, *state
        )
        spikes, voltages, entered, *final = outputs
    else:
        decision = Decision(neurons, time_steps, within, neurons.equations.moved_names[:1])
        ran = _forward(decision, currents, recurrent_weight, constants, state)
        spikes, voltages, entered, final = ran.spikes, ran.kept[0], ran.entered, list(ran.final)
    # (L, S, B, N) -> S variables (L * B, N); a single decision begins in what it is given
    began = state if breaks is None else tuple(x.flatten(0, 1) for x in entered.unbind(1))
    return Run(spikes, voltages, tuple(final), began)


class Kept(NamedTuple):
    """Results of the kernels."""

    spikes: Tensor
    """(L * T, B, N)."""
    kept: Tensor
    """(K, L * T, B, N), the recorded variable first."""
    entered: Tensor
    """(L, S, B, N)."""
    final: tuple[Tensor, ...]
    """State variables at the end, each (B, N)."""


def run_keeping(
    neurons: LayerNeurons,
    keep: tuple[str, ...],
    currents: Tensor,
    state: State,
    time_steps: int,
    recurrent_weight: Tensor | None = None,
) -> Kept:
    """Run all time steps of a decision without gradients, and keep what is named of each.

    Args:
        neurons: The layer's neurons, whose constants are not learned.
        keep: Names of a time step's values, as ``traced_names`` gives them.
        currents: As in ``run_stepped``; float32.
        state: As in ``run_stepped``; float32.
        time_steps: T.
        recurrent_weight: As in ``run_stepped``.
    """
    decision = Decision(neurons, time_steps, no_breaks(currents.shape[1]), keep)
    return _forward(decision, currents, recurrent_weight, None, state)


def _flat(tensor: Tensor) -> Array:
    """View (K, B, N) as (K, B * N)."""
    return tensor.detach().contiguous().numpy().reshape(tensor.shape[0], -1)


def _own(tensor: Tensor) -> Array:
    """View a fresh tensor (..., B, N) as (..., B * N), to be written to."""
    return tensor.numpy().reshape(*tensor.shape[:-2], -1)


def _constants(decision: Decision, constants: Tensor | None) -> Array:
    return decision.neurons.constants if constants is None else array_of(constants)


def _forward(
    decision: Decision,
    currents: Tensor,
    recurrent_weight: Tensor | None,
    constants: Tensor | None,
    state: State,
) -> Kept:
    neurons, time_steps, breaks, keep = decision
    rounds, shape = len(breaks.cuts), currents.shape[1:]
    spikes = torch.empty((rounds * time_steps, *shape))
    kept = torch.empty((len(keep), rounds * time_steps, *shape))
    final, entered = torch.stack(state), torch.empty((rounds, len(state), *shape))
    sequence_forward(
        forward_kernel(neurons.text, keep, each=decision.each).address,
        _constants(decision, constants),
        _NO_STRIPS if recurrent_weight is None else strips_of(array_of(recurrent_weight)),
        _flat(currents), breaks.starts.numpy(), _rest(neurons, shape[1]), _own(final),
        _own(entered), _own(kept), _own(spikes),
    )  # fmt: skip
    return Kept(spikes, kept, entered, final.unbind())


def _rest(neurons: LayerNeurons, size: int) -> Array:
    """Return the state at rest, (S, 1), or (S, N) where it depends on what is learned."""
    if not neurons.learned:
        return neurons.rest32
    rest = neurons.initial_state(1, size, torch.empty(0))
    return torch.cat([x.contiguous() for x in rest]).numpy()


class _FusedLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        decision: Decision,
        currents: Tensor,
        recurrent_weight: Tensor | None,
        constants: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        ran = _forward(decision, currents, recurrent_weight, constants, state)
        # The spikes are only needed for the gradient of the recurrent weights.
        spikes = None if recurrent_weight is None else ran.spikes
        ctx.save_for_backward(currents, recurrent_weight, constants, ran.kept, spikes, *state)
        ctx.decision = decision
        ctx.recurrent = recurrent_weight is not None
        ctx.mark_non_differentiable(ran.entered)
        ctx.set_materialize_grads(False)
        voltages = ran.kept[0].clone() if len(decision.keep) > 1 else ran.kept[0]
        return ran.spikes, voltages, ran.entered, *ran.final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # Grad mode is on in here only under create_graph. A numpy-backed backward would then
        # return constants, and a Hessian-vector product would be silently wrong.
        if torch.is_grad_enabled():
            return None, *_stepped_gradients(ctx, grads)
        gradients = _recurrent_gradients if ctx.recurrent else _fused_gradients
        return None, *gradients(ctx, grads)


def _fused_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, *_ = ctx.saved_tensors
    # Inputs of their own at every time step are written, a held input's gradient is summed.
    allocate = torch.empty if len(currents) > len(ctx.decision.breaks.cuts) else torch.zeros
    grad_currents = allocate(currents.shape)
    grad_state, grad_constants = _backward(ctx, grads, grad_currents, _NOTHING)
    return grad_currents, None, grad_constants, *grad_state.unbind()


def _recurrent_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, weight, _, kept, spikes, *_, previous = ctx.saved_tensors
    voltages, breaks, time_steps = kept[0], ctx.decision.breaks, ctx.decision.time_steps
    starts, rounds = breaks.starts, len(breaks.cuts)
    if breaks.recurrent_gradient:
        grad_steps = torch.empty_like(voltages)
        grad_state, grad_constants = _backward(ctx, grads, grad_steps, _flat(weight))
    else:
        grad_steps = torch.zeros_like(voltages)
        direct = _direct(grads, voltages)
        grad_state, grad_constants = _backward(ctx, direct, grad_steps, _NOTHING)
    # What came back at each time step: the spikes before it, but none at the start of an episode.
    before = spikes[:-1]
    if rounds > 1 and starts[1:].any():
        before = before.clone()
        before[time_steps - 1 :: time_steps].masked_fill_(starts[1:, :, None], 0.0)
    # (L * T - 1, B, N) and (L * T - 1, B, N) -> (N, N), summed over time steps and batch
    grad_weight, _ = gradients_of_synapses(
        array_of(before.flatten(0, 1)), array_of(grad_steps[1:].flatten(0, 1))
    )
    grad_weight.addmm_(grad_steps[0].t(), previous.masked_fill(starts[0, :, None], 0.0))
    grad_currents = grad_steps
    if len(currents) == rounds:
        grad_currents = grad_steps.view(rounds, -1, *previous.shape).sum(1)
    return grad_currents, grad_weight, grad_constants, *grad_state


def _direct(grads: tuple[Tensor | None, ...], like: Tensor) -> tuple[Tensor | None, ...]:
    """Return gradients in which that of the last spikes, as final state, is theirs as outputs."""
    grad_spikes, *others, grad_last = grads
    if grad_last is None:
        return grads
    grad_spikes = torch.zeros_like(like) if grad_spikes is None else grad_spikes.clone()
    grad_spikes[-1] += grad_last
    return grad_spikes, *others, None


def _backward(
    ctx: Any, grads: tuple[Tensor | None, ...], grad_currents: Tensor, weight: Array
) -> tuple[Tensor, Tensor | None]:
    """Write the gradient of the currents; return those of the initial state and the constants."""
    _, _, constants, kept, _, *state = ctx.saved_tensors
    grad_spikes, grad_voltages, _, *grad_final = grads
    grad_state = _stacked(grad_final, state)
    decision, neurons = ctx.decision, ctx.decision.neurons
    grad_constants = None if constants is None else torch.zeros_like(constants)
    kernel = backward_kernel(
        neurons.text, neurons.surrogate, recorded=grad_voltages is not None, each=decision.each
    )
    sequence_backward(
        (
            kernel.address, _constants(decision, constants), np.float32(neurons.slope),
            _NOTHING if grad_constants is None else grad_constants.numpy(),
        ),
        weight, decision.breaks.blocked.numpy(), _own(kept),
        _flat(torch.zeros_like(kept[0]) if grad_spikes is None else grad_spikes),
        _NOTHING if grad_voltages is None else _flat(grad_voltages),
        _own(grad_state), _own(grad_currents),
    )  # fmt: skip
    return grad_state, grad_constants


def _stacked(grads: list[Tensor | None], like: list[Tensor]) -> Tensor:
    """Return gradients (S, B, N) in memory of their own, zeros for those that are None."""
    stacked = torch.zeros((len(like), *like[0].shape))
    for k, grad in enumerate(grads):
        if grad is not None:
            stacked[k] = grad
    return stacked


def _stepped_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, weight, constants, _, _, *state = ctx.saved_tensors
    decision: Decision = ctx.decision
    inputs = (currents, weight, constants, *state)
    neurons = decision.neurons if constants is None else decision.neurons.with_values(constants)
    run = neurons.run_stepped(currents, tuple(state), decision.time_steps, weight, decision.breaks)
    outputs = (run.spikes, run.voltages, None, *run.final)
    pairs = [
        (output, grad) for output, grad in zip(outputs, grads, strict=True) if grad is not None
    ]
    wanted: list[Tensor] = [x for x in inputs if x is not None and x.requires_grad]
    results = iter(
        torch.autograd.grad(
            [output for output, _ in pairs if output is not None],
            wanted,
            [grad for _, grad in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(results) if x is not None and x.requires_grad else None for x in inputs)


# ---- layers --------------------------------------------------------------------------------------
class SynapticLinear(nn.Linear):
    """A linear layer into spiking neurons, whose initialisation belongs to the network."""


class SpikingLayer(nn.Module):
    """Synapses and the neurons that they drive.

    Args:
        inputs: Input channels.
        size: Neurons.
        neuron: What its neurons are.
        backend: ``fused`` kernels, ``norse`` stepping, or the fastest that applies (``auto``).
        recurrent: Whether the spikes of the time step before come back through learned weights,
            as in Norse's recurrent cells.
    """

    def __init__(
        self,
        inputs: int,
        size: int,
        neuron: LayerNeurons | NorseCell,
        backend: str,
        *,
        recurrent: bool = False,
    ) -> None:
        super().__init__()
        self.linear = SynapticLinear(inputs, size)
        self.recurrent = SynapticLinear(size, size, bias=False) if recurrent else None
        self.neuron = neuron
        self.backend = backend
        self.size = size
        learned = neuron.learned if isinstance(neuron, LayerNeurons) else {}
        self.learned = nn.ModuleDict(learned)
        # What a neuron or cell learns of its own is trained and saved with the layer.
        self.neuron_parameters = nn.ParameterDict(hidden_parameters(neuron, self.parameters()))
        self.fusable = isinstance(neuron, LayerNeurons) and backend != "norse"
        """Whether the fused kernels run this layer where they support the input."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables; of a recurrent layer the last spikes ``z`` come last."""
        names = self.neuron.state_names
        return names if self.recurrent is None else (*names, "z")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Numbers of one sample in each state variable."""
        sizes = self.neuron.state_sizes(self.size)
        return sizes if self.recurrent is None else (*sizes, self.size)

    @property
    def recurrent_weight(self) -> Tensor | None:
        """Weights (size, size) from the spikes of the step before, None without recurrence."""
        return None if self.recurrent is None else self.recurrent.weight

    def initial_state(self, batch: int, like: Tensor) -> State:
        """Return the state at rest, each variable (batch, size)."""
        state = self.neuron.initial_state(batch, self.size, like)
        return state if self.recurrent is None else (*state, like.new_zeros(batch, self.size))

    def program(self) -> NeuronLayer:
        """Return the layer as a part of a program, with copies of its numbers.

        Raises:
            ValueError: Its neurons are cells, which have no text.
        """
        neuron, looped = self.neuron, self.recurrent_weight
        if not isinstance(neuron, LayerNeurons):
            raise ValueError(
                f"cells of {type(neuron.cell).__name__} are not exported; train with a neuron that "
                "register_neuron knows"
            )
        state = neuron.initial_state(1, self.size, self.linear.weight)
        own, shared = neuron.own_constants, neuron.constants[:, 0].copy()
        return NeuronLayer(
            neuron=neuron.text,
            constants=as_array(own(self.size)) if neuron.learned else shared,
            weights=np.ascontiguousarray(as_array(self.linear.weight).T),
            biases=as_array(self.linear.bias),
            recurrent=None if looped is None else np.ascontiguousarray(as_array(looped).T),
            rest=np.concatenate([as_array(x) for x in state]),
        )

    def stand_in(self) -> NeuronLayer:
        """Return a part of a program with the synapses of this layer, whatever its neurons are."""
        silent = LIFBox, np.zeros(len(equations(LIFBox).constants), np.float32)
        weights, biases = as_array(self.linear.weight).T, as_array(self.linear.bias)
        looped = None if self.recurrent is None else as_array(self.recurrent.weight).T
        return NeuronLayer(*silent, weights, biases, looped, np.zeros((1, self.size), np.float32))

    def forward(
        self, inputs: Tensor, state: State, time_steps: int, breaks: Breaks | None = None
    ) -> Run:
        """Run all time steps of L environment steps.

        Args:
            inputs: (L * T, B, inputs), or (L, B, inputs) for inputs held over the time steps of an
                environment step.
            state: State variables, each (B, size), left by the environment step before the first.
            time_steps: T.
            breaks: Where the state is reset and where its gradient is cut; None for one
                environment step (L = 1) that goes on from ``state``.

        Raises:
            ValueError: The backend is ``fused`` and the kernels can't serve the input.
        """
        currents, weight = self.currents(inputs), self.recurrent_weight
        if self._runs_fused(currents):
            assert isinstance(self.neuron, LayerNeurons)  # of a fusable layer
            return run_fused(self.neuron, currents, state, time_steps, weight, breaks)
        return self.neuron.run_stepped(currents, state, time_steps, weight, breaks)

    def currents(self, inputs: Tensor) -> Tensor:
        """Return what the synapses bring of inputs (K, B, inputs), (K, B, size)."""
        # One product for all K steps: (K, B, in) -> (K * B, in) -> (K, B, size)
        if supports(inputs):
            return spike_product(inputs, self.linear.weight, self.linear.bias)
        steps, batch, _ = inputs.shape
        currents: Tensor = self.linear(inputs.reshape(steps * batch, -1))
        return currents.view(steps, batch, self.size)

    def _runs_fused(self, currents: Tensor) -> bool:
        """Tell whether the compiled kernels run the layer on these currents."""
        if not self.fusable:
            return False
        if not supports(currents) and self.backend == "fused":
            raise ValueError(
                f"backend 'fused' runs float32 on the CPU, got {currents.dtype} on "
                f"{currents.device}, or a trace of it; use backend='auto'"
            )
        return supports(currents)
