"""Run a layer's time steps in one compiled call, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_gym.spiking.neurons.backward_kernels import sequence_backward
from snn_gym.spiking.neurons.base import Breaks, FusedNeuron, Run, State, no_breaks
from snn_gym.spiking.neurons.event_intrinsics import COLUMNS
from snn_gym.spiking.neurons.event_kernels import strips_of
from snn_gym.spiking.neurons.forward_kernels import Array, sequence_forward
from snn_gym.spiking.neurons.products import array_of, gradients_of_synapses
from snn_gym.spiking.tracing import is_traced

_NOTHING = np.empty((0, 0), dtype=np.float32)
_NO_STRIPS = np.empty((0, 0, COLUMNS), dtype=np.float32)


def supports(currents: Tensor) -> bool:
    """Tell whether the kernels can serve this tensor: float32 on the CPU, and not in a trace."""
    return currents.dtype == torch.float32 and currents.device.type == "cpu" and not is_traced()


def run_fused(
    neuron: FusedNeuron,
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
        neuron: The layer's neurons.
        currents: As in ``run_stepped``; float32.
        state: As in ``run_stepped``; float32, not changed. Recurrent spikes are 0 or 1.
        time_steps: T.
        recurrent_weight: As in ``run_stepped``.
        breaks: As in ``run_stepped``.
    """
    within = no_breaks(currents.shape[1]) if breaks is None else breaks
    weights = () if recurrent_weight is None else (recurrent_weight,)
    if torch.is_grad_enabled() and any(x.requires_grad for x in (currents, *state, *weights)):
        outputs: tuple[Tensor, ...] = _FusedLayer.apply(  # type: ignore[no-untyped-call]
            neuron, time_steps, within, currents, recurrent_weight, *state
        )
    else:
        outputs = _forward(neuron, time_steps, within, currents, recurrent_weight, state)
    spikes, voltages, entered, *final = outputs
    # (L, S, B, N) -> S variables (L * B, N); a single decision begins in what it is given
    began = state if breaks is None else tuple(x.flatten(0, 1) for x in entered.unbind(1))
    return Run(spikes, voltages, tuple(final), began)


def _flat(tensor: Tensor) -> Array:
    """View (K, B, N) as (K, B * N)."""
    return tensor.detach().contiguous().numpy().reshape(tensor.shape[0], -1)


def _own(tensor: Tensor) -> Array:
    """View a fresh tensor (K, B, N) as (K, B * N), to be written to."""
    return tensor.numpy().reshape(tensor.shape[0], -1)


def _forward(
    neuron: FusedNeuron,
    time_steps: int,
    breaks: Breaks,
    currents: Tensor,
    recurrent_weight: Tensor | None,
    state: State,
) -> tuple[Tensor, ...]:
    """Return spikes and voltages (L * T, B, N), what was entered (L, S, B, N), the final state."""
    rounds, shape = len(breaks.cuts), currents.shape[1:]
    spikes = torch.empty((rounds * time_steps, *shape))
    voltages = torch.empty_like(spikes)
    final, entered = torch.stack(state), torch.empty((rounds, len(state), *shape))
    sequence_forward(
        neuron.kind, neuron.constants,
        _NO_STRIPS if recurrent_weight is None else strips_of(array_of(recurrent_weight)),
        _flat(currents),
        breaks.starts.numpy(), neuron.rest32, _own(final),
        entered.numpy().reshape(rounds, len(state), -1), _own(voltages), _own(spikes),
    )  # fmt: skip
    return spikes, voltages, entered, *final.unbind()


class _FusedLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        neuron: FusedNeuron,
        time_steps: int,
        breaks: Breaks,
        currents: Tensor,
        recurrent_weight: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        outputs = _forward(neuron, time_steps, breaks, currents, recurrent_weight, state)
        spikes, voltages, entered, *_ = outputs
        # The spikes are only needed for the gradient of the recurrent weights.
        kept = None if recurrent_weight is None else spikes
        ctx.save_for_backward(currents, recurrent_weight, voltages, kept, entered, *state)
        ctx.neuron, ctx.time_steps, ctx.breaks = neuron, time_steps, breaks
        ctx.recurrent = recurrent_weight is not None
        ctx.mark_non_differentiable(entered)
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # Grad mode is on in here only under create_graph. A numpy-backed backward would then
        # return constants, and a Hessian-vector product would be silently wrong.
        if torch.is_grad_enabled():
            return None, None, None, *_stepped_gradients(ctx, grads)
        gradients = _recurrent_gradients if ctx.recurrent else _fused_gradients
        return None, None, None, *gradients(ctx, grads)


def _fused_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, *_ = ctx.saved_tensors
    # Inputs of their own at every time step are written, a held input's gradient is summed.
    allocate = torch.empty if len(currents) > len(ctx.breaks.cuts) else torch.zeros
    grad_currents = allocate(currents.shape)
    grad_state = _backward(ctx, grads, grad_currents, _NOTHING)
    return grad_currents, None, *grad_state.unbind()


def _recurrent_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    currents, weight, voltages, spikes, _, *_, previous = ctx.saved_tensors
    starts, rounds = ctx.breaks.starts, len(ctx.breaks.cuts)
    if ctx.breaks.recurrent_gradient:
        grad_steps = torch.empty_like(voltages)
        grad_state = _backward(ctx, grads, grad_steps, _flat(weight))
    else:
        grad_steps = torch.zeros_like(voltages)
        grad_state = _backward(ctx, _direct(grads, voltages), grad_steps, _NOTHING)
    # What came back at each time step: the spikes before it, but none at the start of an episode.
    before = spikes[:-1]
    if rounds > 1 and starts[1:].any():
        before = before.clone()
        before[ctx.time_steps - 1 :: ctx.time_steps].masked_fill_(starts[1:, :, None], 0.0)
    # (L * T - 1, B, N) and (L * T - 1, B, N) -> (N, N), summed over time steps and batch
    grad_weight, _ = gradients_of_synapses(
        array_of(before.flatten(0, 1)), array_of(grad_steps[1:].flatten(0, 1))
    )
    grad_weight.addmm_(grad_steps[0].t(), previous.masked_fill(starts[0, :, None], 0.0))
    grad_currents = grad_steps
    if len(currents) == rounds:
        grad_currents = grad_steps.view(rounds, -1, *previous.shape).sum(1)
    return grad_currents, grad_weight, *grad_state


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
) -> Tensor:
    """Write the gradient of the currents, and return that of the initial state (S, B, N)."""
    _, _, voltages, _, entered, *state = ctx.saved_tensors
    grad_spikes, grad_voltages, _, *grad_final = grads
    grad_state = _stacked(grad_final, state)
    neuron = ctx.neuron.kind, ctx.neuron.constants, ctx.neuron.surrogate_code
    sequence_backward(
        neuron, weight, ctx.breaks.blocked.numpy(), _flat(voltages),
        entered.numpy().reshape(*entered.shape[:2], -1),
        _flat(torch.zeros_like(voltages) if grad_spikes is None else grad_spikes),
        _NOTHING if grad_voltages is None else _flat(grad_voltages),
        _own(grad_state), _own(grad_currents),
    )  # fmt: skip
    return grad_state


def _stacked(grads: list[Tensor | None], like: list[Tensor]) -> Tensor:
    """Return gradients (S, B, N) in memory of their own, zeros for those that are None."""
    stacked = torch.zeros((len(like), *like[0].shape))
    for k, grad in enumerate(grads):
        if grad is not None:
            stacked[k] = grad
    return stacked


def _stepped_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, weight, _, _, _, *state = ctx.saved_tensors
    inputs = (currents, weight, *state)
    run = ctx.neuron.run_stepped(currents, tuple(state), ctx.time_steps, weight, ctx.breaks)
    outputs = (run.spikes, run.voltages, None, *run.final)
    pairs = [
        (output, grad) for output, grad in zip(outputs, grads, strict=True) if grad is not None
    ]
    wanted = [x for x in inputs if x is not None and x.requires_grad]
    results = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [grad for _, grad in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(results) if x is not None and x.requires_grad else None for x in inputs)
