"""A network that is small enough to be counted by hand."""

from __future__ import annotations

import numpy as np

from snn_gym.policies.portable_agent import PortableAgent, PortableLayer
from snn_gym.program.neurons import LIFBox


def layer(weights: list[list[float]], recurrent: list[list[float]] | None = None) -> PortableLayer:
    size, loop = len(weights[0]), None if recurrent is None else np.array(recurrent, np.float32)
    zeros = np.zeros(size, np.float32)
    return PortableLayer(
        LIFBox, np.zeros(4, np.float32), np.array(weights, np.float32), zeros, loop, zeros[None]
    )


# Two inputs, three neurons with a ring among them, two neurons, one output.
AGENT = PortableAgent(
    inputs=2,
    normaliser=None,
    head_weights=np.array([[1, 2]], np.float32),
    head_biases=np.zeros(1, np.float32),
    choice="argmax",
    low=np.zeros(0, np.float32),
    high=np.zeros(0, np.float32),
    time_steps=4,
    spike_input=False,
    layers=(
        layer([[1, 2, 3], [4, 5, 0]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        layer([[1, 1], [1, 1], [1, 0]]),
    ),
    coefficients=np.zeros((1, 4), np.float32),
    transition=np.zeros((1, 0), np.float32),
    stateful=False,
)
