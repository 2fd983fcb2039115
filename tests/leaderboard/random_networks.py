"""Random networks, and what they answer."""

from typing import Literal

import numpy as np
import torch

from snn_gym.leaderboard.weights import Layer, Network

Kind = Literal["tanh", "relu", "recurrent", "gru"]
STEPS = 4
"""Observations in a row, for networks with a state."""


def random_network(rng, kind, inputs, units, outputs):
    """Return a network with statistics; of two hidden layers where these have no recurrence."""

    def layer(rows, columns, biases=1, recurrent=False):
        own = rng.standard_normal((rows, units)) if recurrent else None
        return Layer(rng.standard_normal((rows, columns)), rng.standard_normal((rows, biases)), own)

    if kind == "gru":
        hidden = [layer(3 * units, inputs, 2, recurrent=True)]
    elif kind == "recurrent":
        hidden = [layer(units, inputs, recurrent=True)]
    else:
        hidden = [layer(units, inputs), layer(units, units)]
    return Network(
        (*hidden, layer(outputs, units)),
        rng.standard_normal(inputs),
        np.exp(rng.standard_normal(inputs)),
    )


def answers(network, kind, observations):
    """Return what the readout gives after each observation.

    Args:
        network: Weights and statistics.
        kind: What its hidden units are.
        observations: Shape (steps, inputs).
    """
    *hidden, readout = network.layers
    values = (observations - network.mean) / network.std
    for layer in hidden:
        values = _gru(layer, values) if kind == "gru" else _hidden(layer, kind, values)
    return np.asarray(values @ readout.inward.T + readout.biases[:, 0])


def _hidden(layer, kind, values):
    currents = values @ layer.inward.T + layer.biases[:, 0]
    if layer.recurrent is None:
        return np.asarray(np.maximum(currents, 0) if kind == "relu" else np.tanh(currents))
    state, states = np.zeros(layer.units), []
    for current in currents:
        state = np.tanh(current + layer.recurrent @ state)
        states.append(state)
    return np.array(states)


def _gru(layer, values):
    gru = torch.nn.GRU(layer.inward.shape[1], layer.units, dtype=torch.float64)
    gru.load_state_dict(
        {
            "weight_ih_l0": torch.from_numpy(layer.inward),
            "weight_hh_l0": torch.from_numpy(layer.recurrent),
            "bias_ih_l0": torch.from_numpy(layer.biases[:, 0].copy()),
            "bias_hh_l0": torch.from_numpy(layer.biases[:, 1].copy()),
        }
    )
    with torch.no_grad():
        return np.asarray(gru(torch.from_numpy(values))[0].numpy())
