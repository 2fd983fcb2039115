"""Activity of networks in visited states, counted by hand."""

import pytest

from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program.costs import Costs
from snn_gym_deploy import Visits
from studies.deployed.hardware import Activity, activity_of
from tests.leaderboard.small_agent import AGENT
from tests.made import build, observe, spiking

COSTS = Costs(
    spikes_per_decision={"input": 7.0, "hidden_1": 6.0, "hidden_2": 2.0},
    synops_per_decision={"hidden_1": 12.0, "hidden_2": 8.0},
    macs_per_decision={"encoder": 10.0},
    neuron_updates_per_decision={"hidden_1": 20.0, "hidden_2": 12.0, "readout": 8.0},
    synapses={"hidden_1": 6.0, "hidden_2": 4.0},
)


def test_activity_by_hand():
    activity = activity_of(AGENT, Visits((), (), 4, COSTS))
    assert activity == Activity(4, 2.0, 0.4, 2.0)  # 8 spikes in 4 steps of 5 neurons; 20 / 10


def test_activity_equals_that_of_the_recorded_spikes():
    policy = build(SpikingActorCriticPolicy)
    seen = observe("analogue", 50)
    spikes = [x.spikes for x in policy.record(seen).layers if x.name != "input"]
    at_once = spikes[0].sum(2) + spikes[1].sum(2)
    visits = Visits((), (), int(at_once.max()), policy.record(seen).costs)
    activity = activity_of(spiking(policy), visits)
    assert activity.peak_spikes >= activity.mean_spikes == pytest.approx(float(at_once.mean()))
    assert Activity(1, 1.0, 0.3, 0.1).regimes == ("inside", "outside")
