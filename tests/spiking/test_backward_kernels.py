"""Test of the backward kernels in the interpreter, which checks every index."""

from __future__ import annotations

import pytest
import torch

from snn_gym.program.builtin_neurons import NEURONS
from snn_gym.spiking import spiking_layer as fused
from snn_gym.spiking.layer_neurons import LayerNeurons
from tests.spiking.events_in_python import interpret
from tests.spiking.strategies import NAMES, SURROGATES, normal
from tests.spiking.test_recurrent import start_of, weight_of
from tests.spiking.test_sequence import breaks_of


@pytest.mark.parametrize(
    ("neuron", "surrogate", "recurrent"),
    list(zip(sorted(NAMES.values()), SURROGATES, [True, False] * 2, strict=True)),
)
def test_kernels_stay_within_their_arrays(neuron, surrogate, recurrent, monkeypatch):
    rounds, batch, time_steps, size = 3, 3, 2, 5
    layer = LayerNeurons(NEURONS[neuron], NEURONS[neuron].Parameters(), 1.0, surrogate, 2.0)
    currents = normal(0, rounds * time_steps, batch, size, shift=0.5).requires_grad_()
    weight = weight_of(size, 2).requires_grad_() if recurrent else None
    drawn = start_of(layer, batch, size, 3)
    state = tuple(x.requires_grad_() for x in (drawn if recurrent else drawn[:-1]))
    wanted = (currents, *state) if weight is None else (currents, weight, *state)
    found = []
    for way in ("compiled", "interpreted"):
        if way == "interpreted":
            interpret(monkeypatch)
            assert not hasattr(fused.sequence_forward, "py_func")
        run = fused.run_fused(
            layer, currents, state, time_steps, weight, breaks_of(rounds, batch, 4)
        )
        loss = (run.spikes * normal(5, *run.spikes.shape)).sum() + run.voltages.square().sum()
        loss = loss + sum(x.sum() for x in run.final)
        found.append([run.spikes, run.voltages, *torch.autograd.grad(loss, wanted)])
    assert any(x.any() for x in found[0][2:])
    for compiled, interpreted in zip(*found, strict=True):
        torch.testing.assert_close(compiled, interpreted, rtol=1e-4, atol=1e-5)
