"""Tests of sequences of environment steps, against stepping: outputs, states, errors."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from snn_gym.program.builtin_neurons import NEURONS, LIFBoxParameters
from snn_gym.spiking import NetworkConfig, Neuron, NeuronParameters, SpikingNetwork, register_neuron
from snn_gym.spiking.execution import make_breaks
from snn_gym.spiking.layer_neurons import Breaks
from snn_gym.spiking.spiking_layer import run_fused
from tests.pairs import pairs
from tests.spiking.strategies import DECODERS, ENCODERS, network_configs, neuron_parameters, normal
from tests.spiking.tally import few_excused
from tests.spiking.test_layers import neuron_of, random_state
from tests.spiking.test_recurrent import start_of, weight_of

MARGIN = 1e-5
BUILT_IN = ("lif_box", "lif", "iaf", "alif")
INPUTS = (*ENCODERS, "spike_train")
# L, B, T, N
shapes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 5), st.integers(1, 20))


@dataclass(frozen=True)
class SlowParameters(NeuronParameters):
    v_threshold: float = 1.0
    v_reset: float = 0.0


class SlowNeuron(Neuron):
    """Neuron of two variables, which detects a wrong order of states."""

    Parameters = SlowParameters
    state = ("v", "i")

    @staticmethod
    def integrate(p, s, x):
        return (0.75 * s.v + 0.5 * s.i, 0.5 * s.i + x)


@pytest.fixture(scope="module", autouse=True)
def slow():
    register_neuron("slow", SlowNeuron)
    yield
    del NEURONS["slow"]


def build(config, kind="constant", seed=0):
    """Return a network with the given kind of input."""
    torch.manual_seed(seed)
    if kind == "spike_train":
        return SpikingNetwork(config, 3, 2, spike_steps=config.time_steps)
    return SpikingNetwork(replace(config, encoder=kind, encoder_parameters=None), 3, 2)


def inputs_of(network, rounds, batch, seed=0):
    if network.spike_input:
        return (normal(seed, rounds, batch, network.config.time_steps, 3) > 0.3).float()
    # In steps of 1/8, so that the intensities' changes are far from the encoders' thresholds.
    return (normal(seed, rounds, batch, 3, scale=1.5) * 8).round() / 8 + 1 / 64


def starts_of(rounds, batch, seed=0, share=0.25):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rounds, batch, generator=generator) < share


def carried(network, batch, seed=0):
    """Return the state after an environment step."""
    generated = copy.deepcopy(network)
    return generated(inputs_of(network, 1, batch, seed + 99)[0])[1].detach()


def stepped(network, inputs, state, starts):
    """Return the reference result of a sequence, step by step."""
    rest = network.rest_state(inputs.shape[1])
    state = rest if state is None else state
    outputs = []
    for k, x in enumerate(inputs):
        output, state = network(x, torch.where(starts[k][:, None], rest, state))
        outputs.append(output)
    return torch.stack(outputs), state


def decided(network, inputs, state, starts):
    """(L, B) bool: up to this environment step no potential of that sample was at a threshold."""
    network, rest, clear = copy.deepcopy(network), network.rest_state(inputs.shape[1]), []
    for k, x in enumerate(inputs):
        state = torch.where(starts[k][:, None], rest, state)
        with torch.no_grad():
            recording = network.record(x, state)
            _, state = network(x, state)
        far = torch.ones(inputs.shape[1], dtype=torch.bool)
        for layer in recording.layers:
            if layer.voltages is not None and layer.v_threshold is not None:
                distances = (layer.voltages - layer.v_threshold).abs()
                far &= distances.amin((0, 2)) >= MARGIN
        clear.append(far)
    return torch.stack(clear).long().cumprod(0).bool()


def assert_equals_stepping(network, rounds, batch, seed, tally):
    other = copy.deepcopy(network)
    inputs, starts = inputs_of(network, rounds, batch, seed), starts_of(rounds, batch, seed)
    state = carried(network, batch, seed)
    clear = decided(network, inputs, state, starts)
    outputs, final = network.sequence(inputs, state, starts)
    expected, expected_final = stepped(other, inputs, state, starts)
    assert outputs.shape == (rounds, batch, network.output_size)
    torch.testing.assert_close(outputs[clear], expected[clear], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(final[clear[-1]], expected_final[clear[-1]], rtol=1e-4, atol=2e-5)
    for name, buffer in network.named_buffers():  # the noise is where stepping leaves it
        assert torch.equal(buffer, other.get_buffer(name))
    tally.made += batch
    tally.excused += int((~clear[-1]).sum())


def test_sequences_equal_stepping():
    with few_excused() as tally:
        for kind, decoder, neuron, recurrent in pairs(
            INPUTS, DECODERS, ["alif", "slow"], [False, True]
        ):
            options: dict[str, Any] = {}
            if decoder == "last_voltage":
                options["decoder_parameters"] = {"tau_mem_ms": 3.0, "tau_syn_ms": 2.0}
            config = NetworkConfig(
                (9, 7), 4, neuron=neuron, decoder=decoder, recurrent=recurrent, **options
            )
            assert_equals_stepping(build(config, kind), 6, 5, 1, tally)


def test_sequences_of_every_shape_equal_stepping():
    @settings(max_examples=30, deadline=None)
    @given(
        network_configs(), st.sampled_from(INPUTS), st.integers(0, 2**20), st.integers(1, 5),
        st.integers(1, 4), st.sampled_from(["auto", "norse"]),
    )  # fmt: skip
    def compare(config, kind, seed, rounds, batch, backend):
        network = build(replace(config, backend=backend), kind, seed)
        assert_equals_stepping(network, rounds, batch, seed, tally)

    with few_excused() as tally:
        compare()


def test_missing_state_is_the_rest_state():
    network = build(NetworkConfig((6,), 4, neuron="alif", decoder="last_voltage"), "delta")
    inputs, starts = inputs_of(network, 4, 3), starts_of(4, 3)
    first = starts.clone()
    first[0] = True
    without = network.sequence(inputs, None, starts)
    for ours, expected in zip(
        without, network.sequence(inputs, carried(network, 3), first), strict=True
    ):
        torch.testing.assert_close(ours, expected)


def test_delta_encoder_restarts_at_an_episode_start():
    config = NetworkConfig((4,), 4, encoder="delta", encoder_parameters={"threshold": 0.125})
    torch.manual_seed(0)
    network = SpikingNetwork(config, 1, 2)
    # Intensities 0.5, 0.75, 0.25; the last is a new episode for the second sample alone.
    inputs = torch.tensor([0.0, 1.5, -1.5]).reshape(3, 1, 1).repeat(1, 2, 1)
    starts = torch.tensor([[True, True], [False, False], [False, True]])
    seen: list[Tensor] = []
    network.layers[0].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    _, final = network.sequence(inputs, None, starts)
    # (L * T * B, ON and OFF) -> counts (L, B, ON and OFF)
    counts = seen[0].view(3, 4, 2, 2).sum(1)
    assert counts[:, 0].tolist() == [[0.0, 0.0], [2.0, 0.0], [0.0, 4.0]]
    assert counts[:, 1].tolist() == [[0.0, 0.0], [2.0, 0.0], [0.0, 0.0]]
    assert final[:, -1].tolist() == [0.25, 0.25]


def test_a_literal_trace_with_a_reset():
    # tau_mem = 2 ms halves the distance to the input 1.5 at every step: 0.75, 1.125 (fires). The
    # input 0.5 of the second environment step finds 0 after the spike; -1 is left from before.
    neuron = neuron_of(LIFBoxParameters(tau_mem_ms=2.0))
    currents = torch.tensor([1.5, 0.5, 0.5]).reshape(3, 1, 1).repeat(1, 2, 1)
    breaks = Breaks(torch.tensor([[True, False], [False, False], [False, True]]))
    run = run_fused(neuron, currents, (torch.full((2, 1), -1.0),), 2, breaks=breaks)
    assert run.voltages[:, 0, 0].tolist() == [0.75, 1.125, 0.25, 0.375, 0.4375, 0.46875]
    assert run.voltages[:, 1, 0].tolist() == [0.25, 0.875, 0.6875, 0.59375, 0.25, 0.375]
    assert run.spikes[:, 0, 0].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    assert run.final[0].flatten().tolist() == [0.46875, 0.375]
    assert run.entered[0].view(3, 2).tolist() == [[0.0, -1.0], [0.0, 0.875], [0.375, 0.0]]


def breaks_of(rounds, batch, seed):
    starts = starts_of(rounds, batch, seed)
    return make_breaks(torch.zeros(rounds, batch, 1), starts)


@settings(max_examples=30, deadline=None)
@given(neuron_parameters(), shapes, st.integers(0, 2**31), st.booleans(), st.booleans())
def test_kernels_equal_separate_environment_steps_bit_for_bit(
    parameters, shape, seed, held, recurrent
):
    rounds, batch, time_steps, size = shape
    neuron, breaks = neuron_of(parameters), breaks_of(rounds, batch, seed)
    steps = 1 if held else time_steps
    currents = normal(seed, rounds * steps, batch, size, scale=2.0, shift=0.5)
    state, rest = (
        random_state(neuron, batch, size, seed),
        neuron.initial_state(batch, size, currents),
    )
    weight = None
    if recurrent:
        state, rest = start_of(neuron, batch, size, seed), (*rest, torch.zeros(batch, size))
        weight = weight_of(size, seed)
    run = run_fused(neuron, currents, state, time_steps, weight, breaks)
    thresholds = neuron.thresholds(run.spikes, run.entered)
    assert torch.equal((run.voltages > thresholds).float(), run.spikes)
    for k in range(rounds):
        state = breaks.enter(k, state, rest)
        for ours, expected in zip(run.entered, state, strict=True):
            assert torch.equal(ours.view(rounds, batch, size)[k], expected)
        part = slice(k * time_steps, (k + 1) * time_steps)
        spikes, voltages, state, _ = run_fused(
            neuron, currents[k * steps : (k + 1) * steps], state, time_steps, weight
        )
        assert torch.equal(run.spikes[part], spikes)
        assert torch.equal(run.voltages[part], voltages)
    for ours, expected in zip(run.final, state, strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize(("recurrent", "decoder"), [(False, "mean_rate"), (True, "last_voltage")])
def test_double_precision_runs_by_stepping(recurrent, decoder):
    config = NetworkConfig((6,), 3, neuron="alif", recurrent=recurrent, decoder=decoder)
    network = build(config).double()
    inputs, starts = inputs_of(network, 4, 3).double(), starts_of(4, 3)
    ours, theirs = network.sequence(inputs, None, starts), stepped(network, inputs, None, starts)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == torch.float64
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": torch.zeros(2, 3)}, r"shape \(environment steps, batch, 3\), got \(2, 3\); re"),
        ({"inputs": torch.zeros(2, 4, 5)}, r"steps, batch, 3\), got \(2, 4, 5\); reshape them"),
        ({"inputs": torch.zeros(0, 4, 3)}, r"one environment step, got inputs \(0, 4, 3\); leave"),
        ({"state": torch.zeros(3, 6)}, r"shape \(4, 6\), got \(3, 6\); carry the one"),
        ({"starts": torch.zeros(4, 2).bool()}, r"\(2, 4\) and dtype torch.bool, got \(4, 2\) and"),
        ({"starts": torch.zeros(2, 4)}, r"got \(2, 4\) and torch.float32; give one truth value"),
    ],
)
def test_mistakes_are_named(changes, message):
    network = SpikingNetwork(NetworkConfig((6,)), 3, 2)
    values: dict[str, Any] = {
        "inputs": torch.zeros(2, 4, 3),
        "state": None,
        "starts": torch.zeros(2, 4).bool(),
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        network.sequence(**values)
