"""Network that is small enough to be counted by hand."""

import numpy as np

from snn_gym.program import Choice, Decoder, Head, NeuronLayer, Program
from snn_gym.program.builtin_neurons import LIFBox


def layer(weights, recurrent=None):
    size, loop = len(weights[0]), None if recurrent is None else np.array(recurrent, np.float32)
    zeros = np.zeros(size, np.float32)
    return NeuronLayer(
        LIFBox, np.zeros(4, np.float32), np.array(weights, np.float32), zeros, loop, zeros[None]
    )


# Two inputs, three neurons with a ring among them, two neurons, one output.
AGENT = Program(
    inputs=2,
    encoder="constant",
    normalisers=(),
    time_steps=4,
    layers=(
        layer([[1, 2, 3], [4, 5, 0]], [[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        layer([[1, 1], [1, 1], [1, 0]]),
    ),
    decoder=Decoder(np.zeros((1, 4), np.float32), np.zeros((1, 0), np.float32)),
    head=Head(np.array([[1, 2]], np.float32), np.zeros(1, np.float32)),
    choice=Choice("argmax", np.zeros(0, np.float32), np.zeros(0, np.float32)),
)
