"""Requirements of an agent on a chip, counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from snn_gym import load_pretrained
from snn_gym.cli import main
from snn_gym.leaderboard.pretrained import twin_costs
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program.costs import Costs, energy_nj
from snn_gym_deploy import Visits, visit
from snn_gym_deploy.hardware import Activity, activity_of, describe, energy_of
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


def test_energy_and_regimes_follow_from_costs():
    assert energy_of(COSTS) == energy_nj(20, 10, 40)
    assert energy_of(COSTS, removed=16) == energy_nj(20, 10, 24)
    ann = Costs(macs_per_decision={"a": 10.0}, neuron_updates_per_decision={"a": 4.0})
    assert energy_of(ann) == energy_nj(0, 10, 0)
    assert energy_of(replace(COSTS, uncounted=("NatureCNN",))) is None
    assert Activity(1, 1.0, 0.3, 0.1).regimes == ("inside", "outside")


def test_the_twins_energy_comes_from_its_row():
    costs = twin_costs("ppo-lif", "CartPole-v1")
    assert costs is not None
    assert costs.total("macs_per_decision") == 4 * 64 + 64 * 64 + 64 * 2
    assert twin_costs("ppo-lif", "Blackjack-v1") is None
    assert twin_costs("imported-snntorch", "CartPole-v1") is None
    fired = (np.array([True, False, True]), np.array([True, True]))
    lines = list(describe(AGENT, Visits(fired, (), 4, COSTS), costs))
    # 40 updates; without one of 5 neurons, of 4 time steps, 36.
    assert "(nJ): 2.100 to 3.758; without the 1 silent neurons 1.892 to 3.434; ANN twin" in lines[7]
    assert lines[7].endswith("ANN twin 1.030 to 20.608")


def test_the_command_prints_the_requirements(capsys):
    words = ["export", "ppo-lif", "CartPole-v1", "--hardware", "--episodes", "1"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ppo-lif on CartPole-v1, 1 episodes"
    assert lines[1] == "128 neurons, 4,480 synapses, fan-in 64 and fan-out 64 at most"
    assert "Xylo, the chip: no room: fan in 64 of 63" in lines
    assert main(["export", "ppo-mlp", "CartPole-v1", "--hardware"]) == 2
    assert "has no spiking neurons" in capsys.readouterr().err


def test_visits_have_the_costs_of_a_decision():
    found = visit(load_pretrained("ppo-lif", "CartPole-v1"), "CartPole-v1", 1)
    spikes = found.costs.total("spikes_per_decision")
    assert spikes is not None
    assert 0 < spikes / 8 <= found.peak_spikes <= 128
