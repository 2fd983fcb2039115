"""Norse's neurons without Norse."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.spiking.neurons.norse_neurons import NorseNeuron
from snn_gym.spiking.neurons.parameters import NeuronParameters
from snn_gym.spiking.neurons.registered import make_neuron
from tests.spiking.strategies import NAMES, neuron_parameters


@given(
    neuron_parameters(),
    st.floats(0.1, 5.0),
    st.integers(0, 1000),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_written_out_is_what_norse_does_bit_for_bit(
    parameters: NeuronParameters, dt_ms: float, seed: int, dtype: torch.dtype
) -> None:
    neuron = make_neuron(NAMES[type(parameters)], parameters, dt_ms, "superspike", 10.0)
    alone = neuron.written_out()
    assert (alone is neuron) == (not isinstance(neuron, NorseNeuron))
    draw = torch.Generator().manual_seed(seed)
    shape = (len(neuron.state_names), 3, 7)
    state = tuple(torch.randn(shape, generator=draw, dtype=dtype))
    current = torch.randn(shape[1:], generator=draw, dtype=dtype)
    expected, found = neuron.integrate(current, state), alone.integrate(current, state)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == dtype
        assert torch.equal(ours, theirs)
    assert alone.rheobase(8) == neuron.rheobase(8)


def test_written_out_has_the_configured_constants_and_leaves_the_neuron_as_it_is() -> None:
    parameters = next(kind for kind, name in NAMES.items() if name == "lif")()
    neuron = make_neuron("lif", parameters, 1.0, "superspike", 10.0)
    neuron.learn(["tau_mem_ms", "v_threshold"], 4)
    assert set(neuron.learned) == {"tau_mem_ms", "v_threshold"}
    assert neuron.written_out().learned == {}
    assert set(neuron.learned) == {"tau_mem_ms", "v_threshold"}
    assert neuron.written_out().rheobase(8) == neuron.rheobase(8)
