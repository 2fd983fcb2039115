"""Compiled kernels of every neuron, a user's own among them, against its text."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from snn_gym.program.builtin_neurons import NEURONS
from snn_gym.program.neuron_kernels import kept_names
from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.layer_neurons import Breaks, LayerNeurons
from snn_gym.spiking.population import Population
from snn_gym.spiking.spiking_layer import run_fused
from tests.pairs import pairs
from tests.program.own_neurons import OWN
from tests.spiking.strategies import normal

pytestmark = pytest.mark.usefixtures("own_neurons")

ALL = (*NEURONS, *OWN)
T, B, N = 6, 4, 21
SHIFT = {"izhikevich": 0.15, "quadratic": 0.4, "exponential": 1.2}


def neurons_of(name, surrogate="superspike"):
    return LayerNeurons(NEURONS[name], NEURONS[name].Parameters(), 1.0, surrogate, 2.0)


def currents_of(name, rows=T):
    scale = 0.1 if name == "izhikevich" else 0.7
    return normal(1, rows, B, N, scale=scale, shift=SHIFT.get(name, 0.8))


@pytest.mark.parametrize(("name", "rows", "recurrent"), pairs(ALL, [3, 3 * T], [False, True]))
def test_kernels_have_the_spikes_and_gradients_of_the_text(name, rows, recurrent):
    neurons = neurons_of(name)
    currents = currents_of(name, rows).requires_grad_()
    weight = normal(3, N, N, scale=0.05).requires_grad_() if recurrent else None
    state = tuple(x.clone() for x in neurons.initial_state(B, N, currents))
    state = (*state, torch.zeros(B, N)) if recurrent else state
    state = tuple(x.requires_grad_() for x in state)
    starts = torch.zeros(3, B, dtype=torch.bool)
    starts[1, 0] = starts[2, 3] = True
    breaks = Breaks(starts)
    wanted = [currents, *state, *([] if weight is None else [weight])]
    found = []
    for run in (run_fused, LayerNeurons.run_stepped):
        ran = run(neurons, currents, state, T, weight, breaks)
        loss = (ran.spikes * normal(5, *ran.spikes.shape)).sum() + ran.voltages.square().sum()
        loss = loss + sum((x * normal(6, *x.shape)).sum() for x in ran.final)
        found.append((ran, torch.autograd.grad(loss, wanted)))
    (ours, mine), (theirs, expected) = found
    assert 0.01 < float(ours.spikes.mean()) < 0.9
    if not recurrent:  # whose sums have another order
        assert torch.equal(ours.spikes, theirs.spikes)
        torch.testing.assert_close(ours.voltages, theirs.voltages, rtol=1e-5, atol=1e-6)
    for a, b in zip(mine, expected, strict=True):
        assert float(b.abs().max()) > 0
        torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-3 * float(b.abs().max()))


@pytest.mark.check
@pytest.mark.parametrize("name", ["lif", "alif", "izhikevich", "resonator"])
def test_a_network_learns_and_is_copied(name):
    torch.manual_seed(0)
    config = NetworkConfig((12, 8), 5, neuron=name)
    network, x = SpikingNetwork(config, 3, 2), normal(0, 16, 3)
    assert network.compiled is not None
    before = (network(x)[0] - 1.0).square().mean()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(20):
        optimiser.zero_grad()
        loss = (network(x)[0] - 1.0).square().mean()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.5 * float(before.detach())
    again = SpikingNetwork(NetworkConfig.from_dict(config.to_dict()), 3, 2)
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(x)[0], network(x)[0])
    with torch.no_grad():
        stepped = SpikingNetwork(NetworkConfig((12, 8), 5, neuron=name, backend="norse"), 3, 2)
        stepped.load_state_dict(network.state_dict())
        torch.testing.assert_close(network(x)[0], stepped(x)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["lif_box", "iaf_soft", "alif", "quadratic"])
def test_a_population_runs_a_neuron(name):
    torch.manual_seed(1)
    network = SpikingNetwork(NetworkConfig((9,), 5, neuron=name), 3, 2)
    population = Population(network.config, 3, 2)
    x = normal(2, 7, 3)
    with torch.no_grad():
        expected = network(x)[0]
    found = population.outputs(population.flatten(network)[None], x.numpy()[None])[0]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-4)


def test_values_that_the_backward_pass_reads_again():
    assert kept_names(NEURONS["lif_box"]) == ("moved_v",)
    assert kept_names(NEURONS["alif"]) == ("moved_v", "moved_b")
    assert kept_names(OWN["quadratic"]) == ("moved_v", "v")
    assert set(kept_names(NEURONS["lif_box"], each=True)) == {"moved_v", "v", "x"}


@pytest.mark.check
def test_another_process_reads_the_code_from_the_cache(tmp_path):
    code = "from snn_gym.program.neuron_kernels import surrogate_kernel; surrogate_kernel('arctan')"
    written = []
    for _ in range(2):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        written.append({x: x.stat().st_mtime_ns for x in tmp_path.rglob("*.nb[ic]")})
    assert written[0]
    assert written[1] == written[0]
