"""Tests of the loop of move, probe and history, by hand."""

import numpy as np
import pytest

from snn_gym.envs.synapses.environments import MovingNetworks, SynapseLoop
from snn_gym.envs.synapses.jobs import Judgement
from snn_gym.envs.synapses.plasticity import LOCAL_MEASURES

SYNAPSES = 3


def judge(weights, probes):
    """Score a network by the sum of its weights; the dynamics of synapse w are 10 * score + w."""
    scores = weights.sum(axis=1).astype(np.float64)
    seen = 10 * scores[:, None, None] + np.arange(SYNAPSES)[None, :, None]
    dynamics = np.repeat(seen, len(LOCAL_MEASURES), axis=2).astype(np.float32)
    return Judgement(scores, np.ones(len(weights), np.int64), dynamics=dynamics)


def loop(addressees=None):
    networks = MovingNetworks.empty(2, SYNAPSES, probe_size=1, history=1)
    made = SynapseLoop(networks, None, judge, weight_limit=4.0, addressees=addressees)
    made.begin(np.arange(2), np.ones((2, SYNAPSES), np.float32), np.zeros((2, 1), np.int64))
    return made, networks


@pytest.mark.parametrize("addressees", [None, [2, 0, 1]])
def test_synapses_see_dynamics_of_themselves_or_of_their_addressees(addressees):
    made, _ = loop(None if addressees is None else np.array(addressees))
    expected = [30 + w for w in addressees or range(SYNAPSES)]
    assert made.seen_dynamics[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("takes_back", "second"), [(True, 3.0), (False, 0.0)])
def test_dynamics_belong_to_the_accepted_weights(takes_back, second):
    made, networks = loop()
    gains = made.move(np.array([[1.0] * SYNAPSES, [-1.0] * SYNAPSES]), takes_back=takes_back)
    assert gains.tolist() == [3.0, -3.0]
    assert networks.scores.tolist() == [6.0, second]
    assert networks.weights.sum(axis=1).tolist() == [6.0, second]
    assert networks.dynamics[:, 0, 0].tolist() == [60.0, 10 * second]
