"""Run a layer's time steps in one compiled call, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_gym.spiking.backward_kernels import backward, recurrent_backward
from snn_gym.spiking.forward_kernels import ALIF, Array, forward, recurrent_forward
from snn_gym.spiking.neuron_base import FusedNeuron, State

_NOTHING = np.empty((0, 0), dtype=np.float32)


def supports(currents: Tensor) -> bool:
    """Tell whether the kernels can serve this tensor: float32 on the CPU."""
    return currents.dtype == torch.float32 and currents.device.type == "cpu"


def run_fused(
    neuron: FusedNeuron,
    currents: Tensor,
    state: State,
    time_steps: int,
    recurrent_weight: Tensor | None = None,
) -> tuple[Tensor, Tensor, State]:
    """Run all time steps of a layer in one compiled call.

    Spikes and voltages equal those of ``Stepped.run_stepped`` bit for bit, with recurrent weights
    up to the rounding of their sum; gradients agree to float32 accuracy. A second derivative
    (``create_graph=True``) goes through ``run_stepped``.

    Args:
        neuron: Dynamics of the layer.
        currents: Inputs (T, B, N), or (1, B, N) for the same input at every time step; float32.
        state: State variables, each (B, N), float32; not changed. With recurrent weights the
            spikes of the step before, 0 or 1, come last.
        time_steps: T.
        recurrent_weight: As in ``Stepped.run_stepped``.

    Returns:
        Spikes (T, B, N), potentials before the reset (T, B, N), and the final state.
    """
    weights = () if recurrent_weight is None else (recurrent_weight,)
    if torch.is_grad_enabled() and any(x.requires_grad for x in (currents, *state, *weights)):
        spikes, voltages, *final = _FusedLayer.apply(  # type: ignore[no-untyped-call]
            neuron, time_steps, currents, recurrent_weight, *state
        )
        return spikes, voltages, tuple(final)
    return _forward(neuron, currents, state, time_steps, recurrent_weight)


def _flat(tensor: Tensor) -> Array:
    """View (K, B, N) as (K, B * N)."""
    return tensor.detach().contiguous().numpy().reshape(tensor.shape[0], -1)


def _own(tensor: Tensor) -> Array:
    """View a fresh tensor (K, B, N) as (K, B * N), to be written to."""
    return tensor.numpy().reshape(tensor.shape[0], -1)


def _forward(
    neuron: FusedNeuron,
    currents: Tensor,
    state: State,
    time_steps: int,
    recurrent_weight: Tensor | None,
) -> tuple[Tensor, Tensor, State]:
    shape = (time_steps, *currents.shape[1:])
    spikes, voltages = torch.empty(shape), torch.empty(shape)
    outputs = _own(voltages), _own(spikes)
    if recurrent_weight is None:
        final = torch.stack(state)
        forward(neuron.kind, neuron.constants, _flat(currents), _own(final), *outputs)
        return spikes, voltages, final.unbind()
    *variables, previous = state
    final = torch.stack(variables)
    recurrent_forward(
        neuron.kind, neuron.constants, _flat(recurrent_weight.t()), _flat(currents),
        _flat(previous).reshape(-1), _own(final), *outputs,
    )  # fmt: skip
    return spikes, voltages, (*final.unbind(), spikes[-1].clone())


class _FusedLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        neuron: FusedNeuron,
        time_steps: int,
        currents: Tensor,
        recurrent_weight: Tensor | None,
        *state: Tensor,
    ) -> tuple[Tensor, ...]:
        spikes, voltages, final = _forward(neuron, currents, state, time_steps, recurrent_weight)
        # The spikes are only needed for the gradient of the recurrent weights.
        kept = None if recurrent_weight is None else spikes
        ctx.save_for_backward(currents, recurrent_weight, voltages, kept, *state)
        ctx.neuron, ctx.time_steps = neuron, time_steps
        ctx.recurrent = recurrent_weight is not None
        ctx.set_materialize_grads(False)
        return spikes, voltages, *final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # Grad mode is on in here only under create_graph. A numpy-backed backward would then
        # return constants, and a Hessian-vector product would be silently wrong.
        if torch.is_grad_enabled():
            return None, None, *_stepped_gradients(ctx, grads)
        gradients = _recurrent_gradients if ctx.recurrent else _fused_gradients
        return None, None, *gradients(ctx, grads)


def _fused_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, _, voltages, _, *state = ctx.saved_tensors
    grad_spikes, grad_voltages, *grad_final = grads
    grad_state = _stacked(grad_final, state)
    # Inputs of their own at every time step are written, a constant input's gradient is summed.
    allocate = torch.empty if currents.shape[0] > 1 else torch.zeros
    grad_currents = allocate(currents.shape)
    backward(
        ctx.neuron.kind, ctx.neuron.constants, ctx.neuron.surrogate_code, _flat(voltages),
        _flat(torch.stack(state)) if ctx.neuron.kind == ALIF else _NOTHING,
        _flat(torch.zeros_like(voltages) if grad_spikes is None else grad_spikes),
        _NOTHING if grad_voltages is None else _flat(grad_voltages),
        _own(grad_state), _own(grad_currents),
    )  # fmt: skip
    return grad_currents, None, *grad_state.unbind()


def _recurrent_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    currents, weight, voltages, spikes, *variables, previous = ctx.saved_tensors
    grad_outputs, grad_voltages, *grad_final, grad_last = grads
    # Row 0 is the gradient of the spikes before the first step.
    grad_spikes = torch.zeros((ctx.time_steps + 1, *previous.shape))
    if grad_outputs is not None:
        grad_spikes[1:] = grad_outputs
    if grad_last is not None:
        grad_spikes[-1] += grad_last
    grad_state = _stacked(grad_final, variables)
    grad_steps = torch.zeros_like(voltages)
    recurrent_backward(
        ctx.neuron.kind, ctx.neuron.constants, ctx.neuron.surrogate_code, _flat(weight),
        _flat(voltages), _flat(torch.stack(variables)), _own(grad_spikes),
        _NOTHING if grad_voltages is None else _flat(grad_voltages),
        _own(grad_state), _own(grad_steps),
    )  # fmt: skip
    # (T - 1, B, N) and (T - 1, B, N) -> (N, N), summed over time steps and batch
    grad_weight = grad_steps[1:].flatten(0, 1).t() @ spikes[:-1].flatten(0, 1)
    grad_weight.addmm_(grad_steps[0].t(), previous)
    grad_currents = grad_steps if currents.shape[0] > 1 else grad_steps.sum(0, keepdim=True)
    return grad_currents, grad_weight, *grad_state, grad_spikes[0]


def _stacked(grads: list[Tensor | None], like: list[Tensor]) -> Tensor:
    """Return gradients (S, B, N) in memory of their own, zeros for those that are None."""
    stacked = torch.zeros((len(like), *like[0].shape))
    for k, grad in enumerate(grads):
        if grad is not None:
            stacked[k] = grad
    return stacked


def _stepped_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, weight, _, _, *state = ctx.saved_tensors
    inputs = (currents, weight, *state)
    spikes, voltages, final = ctx.neuron.run_stepped(currents, tuple(state), ctx.time_steps, weight)
    pairs = [
        (output, grad)
        for output, grad in zip((spikes, voltages, *final), grads, strict=True)
        if grad is not None
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
