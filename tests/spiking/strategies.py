"""Hypothesis strategies for neurons, shapes and inputs."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from snn_gym.program.builtin_neurons import (
    ALIFParameters,
    IAFParameters,
    LIFBoxParameters,
    LIFParameters,
)
from snn_gym.spiking.network_config import NetworkConfig

SURROGATES = ("superspike", "arctan", "triangle", "sigmoid")

_taus_ms = st.floats(1.0, 50.0, width=32)
_thresholds = st.floats(0.25, 2.0, width=32)
_resets = st.floats(-1.0, 0.125, width=32)
_leaks = st.floats(-0.5, 0.125, width=32)


def neuron_parameters():
    """Draw parameters of any registered neuron."""
    return st.one_of(
        st.builds(
            LIFBoxParameters,
            tau_mem_ms=_taus_ms, v_threshold=_thresholds, v_reset=_resets, v_leak=_leaks,
        ),
        st.builds(
            LIFParameters,
            tau_mem_ms=_taus_ms, tau_syn_ms=_taus_ms, v_threshold=_thresholds,
            v_reset=_resets, v_leak=_leaks,
        ),
        st.builds(IAFParameters, v_threshold=_thresholds, v_reset=_resets),
        st.builds(
            ALIFParameters,
            tau_mem_ms=_taus_ms, tau_syn_ms=_taus_ms, tau_adapt_ms=st.floats(1.0, 200.0, width=32),
            beta=st.floats(0.0, 2.0, width=32), v_threshold=_thresholds, v_reset=_resets,
            v_leak=_leaks,
        ),
    )  # fmt: skip


NAMES = {
    LIFBoxParameters: "lif_box", LIFParameters: "lif", IAFParameters: "iaf", ALIFParameters: "alif",
}  # fmt: skip
DECODERS = ("mean_rate", "last_voltage", "population")
ENCODERS = ("constant", "rate", "latency", "population", "delta", "learnable_population")


@st.composite
def network_configs(draw, **fixed):
    """Draw a network configuration."""
    parameters = draw(neuron_parameters())
    values: dict[str, object] = {
        "hidden_sizes": tuple(draw(st.lists(st.integers(1, 12), min_size=1, max_size=3))),
        "time_steps": draw(st.integers(1, 9)),
        "neuron": NAMES[type(parameters)],
        "neuron_parameters": parameters,
        "surrogate": draw(st.sampled_from(SURROGATES)),
        "surrogate_slope": draw(st.floats(0.5, 10.0, width=32)),
        "decoder": draw(st.sampled_from(DECODERS)),
        "recurrent": draw(st.booleans()),
    }
    return NetworkConfig(**{**values, **fixed})


def normal(seed, *shape, scale=1.0, shift=0.0):
    """Return normal numbers, float32."""
    values = np.random.default_rng(seed).normal(shift, scale, shape)
    return torch.from_numpy(values.astype(np.float32))


SURROGATE_OF = dict(zip(sorted(NAMES.values()), SURROGATES, strict=True))
"""Surrogate of each neuron where not every pair is to be compiled."""
