"""Recordings by hand, and raster strategies for hypothesis."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from snn_gym.program.costs import Costs
from snn_gym.spiking import LayerRecording, Recording


def raster(*trains):
    """Return spikes (T, 1, N) of neurons drawn as words such as ``.|..|``."""
    return np.array([[char == "|" for char in train] for train in trains], dtype=np.float32).T[
        :, np.newaxis
    ]


@st.composite
def rasters(draw, max_steps=12, max_batch=6, max_neurons=6):
    shape = [draw(st.integers(1, most)) for most in (max_steps, max_batch, max_neurons)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return (rng.random(shape) < draw(st.floats(0, 1))).astype(np.float32)


def recording(dt_ms=1.0, v_threshold=1.0, **layers):
    """Return a recording of layers given as spikes, or as (spikes, voltages)."""
    recorded = []
    for name, given in layers.items():
        spikes, voltages = given if isinstance(given, tuple) else (given, None)
        recorded.append(
            LayerRecording(
                name,
                torch.from_numpy(spikes),
                None if voltages is None else torch.from_numpy(np.asarray(voltages)),
                fan_out=2,
                v_threshold=None if voltages is None else v_threshold,
            )
        )
    synops = {x.name: x.spikes_per_decision() * x.fan_out for x in recorded}
    costs = Costs(synops_per_decision=synops)
    return Recording(tuple(recorded), torch.zeros(1, 1), dt_ms, costs)
