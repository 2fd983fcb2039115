"""Tests of the cost of spikes with pruned synapses."""

from typing import Any

import numpy as np
import pytest

from snn_gym.learners.lean_rules import prune
from snn_gym.zoo import make_agent

_RATE = {"encoder": "rate"}
CASES: list[tuple[str, str, dict[str, Any], list[str]]] = [
    ("ppo-lif", "CartPole-v1", {}, ["hidden_1", "hidden_2"]),
    ("ppo-lif", "CartPole-v1", _RATE, ["input", "hidden_1", "hidden_2"]),
    ("recurrent-ppo-lsnn", "snn/CueAccumulation-v0", {}, ["input", "hidden_1", "hidden_2"]),
]


def targets(policy, recording):
    """Return the number of nonzero synapses (N,) of each neuron, for each recorded layer."""
    layers, records = list(policy.acting_network().layers), list(recording.layers)
    first = len(records) - len(layers)
    readout = records[-1].fan_out
    if layers[-1].recurrent is not None:
        readout -= layers[-1].size
    found = []
    for k, record in enumerate(records):
        into = [layers[k - first + 1].linear.weight] if k + 1 < len(records) else []
        if k >= first and layers[k - first].recurrent is not None:
            into.append(layers[k - first].recurrent.weight)
        beyond = readout if k + 1 == len(records) else 0
        counts = [
            sum(int((weight[:, sender] != 0).sum()) for weight in into) + beyond
            for sender in range(record.spikes.shape[2])
        ]
        found.append(np.array(counts))
    return found


@pytest.mark.parametrize(("agent", "env_id", "network", "names"), CASES)
def test_spikes_cost_their_nonzero_synapses(agent, env_id, network, names):
    model = make_agent(agent, env_id, 0, network={**network, "hidden_sizes": [7, 5]})
    policy: Any = model.policy
    shown = np.stack([model.observation_space.sample() for _ in range(6)])
    whole = []
    for strength in (0.0, 1.5, 9.0):
        prune(policy.acting_network().layers, strength, spikes_enter="input" in names)
        policy.reseed_noise(3)
        recording = policy.record(shown)
        costs = recording.costs
        assert list(costs.synops_per_decision) == names
        for record, left in zip(recording.layers, targets(policy, recording), strict=True):
            spikes = record.spikes.detach().numpy()
            synops = sum(int(left[sender]) for _, _, sender in np.argwhere(spikes == 1))
            assert costs.synops_per_decision[record.name] == pytest.approx(synops / 6)
            assert costs.synapses[record.name] == int(left.sum())
        whole.append(costs.total("synops_per_decision"))
    assert whole[0] > whole[1] > whole[2] > 0


def test_weights_of_zero_are_not_read():
    model = make_agent("ppo-lif", "CartPole-v1", 0, network={"hidden_sizes": [7, 5]})
    policy: Any = model.policy
    shown = np.stack([model.observation_space.sample() for _ in range(6)])

    def read():
        recording = policy.record(shown)
        fired = recording["hidden_1"].spikes.sum(0).double()  # (B, N)
        left = (policy.acting_network().layers[1].linear.weight != 0).sum(0)
        return recording.costs.parameter_bytes_per_decision["hidden_1"], float((fired * left).sum())

    before, passed = read()
    prune(policy.acting_network().layers, 3.0, spikes_enter=False)
    after, left = read()
    assert left < passed
    # Four bytes at each use, a mean over 6 decisions; the first layer's own weights stay.
    assert before - after == pytest.approx(4 * (passed - left) / 6)
