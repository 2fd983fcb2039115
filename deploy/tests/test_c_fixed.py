"""Numbers of 8 and 16 bits, worked by hand."""

from dataclasses import replace

import numpy as np

from snn_gym.program import Head, Normaliser
from snn_gym_deploy.c_integer import FixedSource
from snn_gym_deploy.integer import to_integer
from tests.made import ZERO, one_neuron

AGENT = one_neuron(
    1.27,
    normalisers=(Normaliser(ZERO, ZERO + 1.0, 5.0),),
    head=Head(np.array([[2.54], [-1.0]], np.float32), np.array([0.0, 0.05], np.float32)),
)


def test_scales_by_hand():
    # 1.27 / 127 = 0.01 is a weight's unit; of potentials up to 2 * 1.5 = 300 units, 32,767 holds
    # 2^6 in each: 0.01 / 64. Threshold 1 is 6,400 of these, the bias 0.25 is 1,600; gain 0.5 is
    # 2^13 of 2^14. The head's unit is 2.54 / 127 = 0.02, read four times a quarter: -1 is -50, and
    # the bias 0.05 is 0.05 / (0.02 * 0.25) = 10.
    tables = FixedSource(to_integer(AGENT, [1.5]), "agent", "").tables
    assert tables["weights_1"].tolist() == [[127]]
    assert tables["biases_1"].tolist() == [1600]
    assert tables["constants_1"].tolist() == [8192, 6400, 0, 0]
    assert tables["coefficients"].tolist() == [[1, 1, 1, 1]]
    assert tables["head_weights"].tolist() == [[127], [-50]]
    assert tables["head_biases"].tolist() == [0, 10]
    sizes = {name: table.dtype.itemsize for name, table in tables.items()}
    assert (sizes["weights_1"], sizes["biases_1"], sizes["head_biases"]) == (1, 2, 4)


def test_a_silent_layer_has_a_unit_and_large_peaks_no_fraction():
    silent = replace(AGENT.layers[0], weights=np.zeros((1, 1), np.float32))
    quiet = FixedSource(to_integer(replace(AGENT, layers=(silent,)), [1.0]), "agent", "")
    assert quiet.tables["weights_1"].tolist() == [[0]]
    large = FixedSource(to_integer(AGENT, [1e6]), "agent", "")
    assert large.tables["constants_1"][1] == 100  # 1 / 0.01
