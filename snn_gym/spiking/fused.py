"""Run a layer's time steps in one compiled call, with gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from snn_gym.spiking.kernels import Array
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

    Spikes and voltages equal those of ``Stepped.run_stepped`` bit for bit; gradients agree to
    float32 accuracy. A second derivative (``create_graph=True``) goes through ``run_stepped``.

    Args:
        neuron: Dynamics of the layer.
        currents: Inputs (T, B, N), or (1, B, N) for the same input at every time step; float32.
        state: State variables, each (B, N), float32; not changed.
        time_steps: T.
        recurrent_weight: As in ``Stepped.run_stepped``.

    Returns:
        Spikes (T, B, N), potentials before the reset (T, B, N), and the final state.
    """
    if recurrent_weight is not None:
        return neuron.run_stepped(currents, state, time_steps, recurrent_weight)
    if torch.is_grad_enabled() and any(x.requires_grad for x in (currents, *state)):
        spikes, voltages, *final = _FusedLayer.apply(  # type: ignore[no-untyped-call]
            neuron, time_steps, currents, *state
        )
        return spikes, voltages, tuple(final)
    return _forward(neuron, currents, state, time_steps)


def _flat(tensor: Tensor) -> Array:
    """View (K, B, N) as (K, B * N)."""
    return tensor.detach().contiguous().numpy().reshape(tensor.shape[0], -1)


def _forward(
    neuron: FusedNeuron, currents: Tensor, state: State, time_steps: int
) -> tuple[Tensor, Tensor, State]:
    shape = (time_steps, *currents.shape[1:])
    spikes, voltages = torch.empty(shape), torch.empty(shape)
    final = tuple(x.detach().clone(memory_format=torch.contiguous_format) for x in state)
    neuron.kernel_forward(
        _flat(currents),
        [x.numpy().reshape(-1) for x in final],
        voltages.numpy().reshape(time_steps, -1),
        spikes.numpy().reshape(time_steps, -1),
    )
    return spikes, voltages, final


class _FusedLayer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, neuron: FusedNeuron, time_steps: int, currents: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        spikes, voltages, final = _forward(neuron, currents, state, time_steps)
        ctx.save_for_backward(currents, voltages, *state)
        ctx.neuron, ctx.time_steps = neuron, time_steps
        ctx.set_materialize_grads(False)
        return spikes, voltages, *final

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        # Grad mode is on in here only under create_graph. A numpy-backed backward would then
        # return constants, and a Hessian-vector product would be silently wrong.
        if torch.is_grad_enabled():
            return None, None, *_stepped_gradients(ctx, grads)
        return None, None, *_fused_gradients(ctx, grads)


def _fused_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    currents, voltages, *state = ctx.saved_tensors
    grad_spikes, grad_voltages, *grad_final = grads
    spikes = torch.zeros_like(voltages) if grad_spikes is None else grad_spikes
    grad_state = [
        torch.zeros_like(x) if grad is None else grad.clone(memory_format=torch.contiguous_format)
        for x, grad in zip(state, grad_final, strict=True)
    ]
    # Inputs of their own at every time step are written, a constant input's gradient is summed.
    allocate = torch.empty if currents.shape[0] > 1 else torch.zeros
    grad_currents = allocate(currents.shape)
    ctx.neuron.kernel_backward(
        _flat(voltages),
        [_flat(x).reshape(-1) for x in state],
        _flat(spikes),
        _NOTHING if grad_voltages is None else _flat(grad_voltages),
        [grad.numpy().reshape(-1) for grad in grad_state],
        grad_currents.numpy().reshape(currents.shape[0], -1),
    )
    return grad_currents, *grad_state


def _stepped_gradients(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    currents, _, *state = ctx.saved_tensors
    inputs = (currents, *state)
    spikes, voltages, final = ctx.neuron.run_stepped(currents, tuple(state), ctx.time_steps)
    pairs = [
        (output, grad)
        for output, grad in zip((spikes, voltages, *final), grads, strict=True)
        if grad is not None
    ]
    wanted = [x for x in inputs if x.requires_grad]
    results = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [grad for _, grad in pairs],
            create_graph=True,
            allow_unused=True,
        )
    )
    return tuple(next(results) if x.requires_grad else None for x in inputs)
