"""What an agent asks of a chip, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snn_gym import load_pretrained
from snn_gym.cli import main
from snn_gym.export import PortableAgent, PortableLayer, Visits, visit, without_silent
from snn_gym.export.hardware import (
    CHIPS,
    Activity,
    Demand,
    activity_of,
    demand_of,
    describe,
    energy_of,
    misfits,
)
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.scoring.pretrained import twin_costs
from snn_gym.spiking.costs import Costs
from snn_gym.spiking.energy import energy_nj
from tests.export.made import build, observe, spiking

COSTS = Costs(
    spikes_per_decision={"input": 7.0, "hidden_1": 6.0, "hidden_2": 2.0},
    synops_per_decision={"hidden_1": 12.0, "hidden_2": 8.0},
    macs_per_decision={"encoder": 10.0},
    synapses={"hidden_1": 6.0, "hidden_2": 4.0},
)


def layer(weights: list[list[float]], recurrent: list[list[float]] | None = None) -> PortableLayer:
    size, loop = len(weights[0]), None if recurrent is None else np.array(recurrent, np.float32)
    zeros = np.zeros(size, np.float32)
    return PortableLayer(
        0, np.zeros(7, np.float32), np.array(weights, np.float32), zeros, loop, zeros[None]
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


def test_room_is_what_is_counted_by_hand() -> None:
    # 5 weights, 3 of the ring, 5 onward, 2 of the head; 5 neurons, 5 states and an output.
    assert demand_of(AGENT) == Demand(
        inputs=2, outputs=1, neurons=5, layers=3, widest=3, fan_in=3, fan_out=3, synapses=15,
        memory_bytes=15 + 2 * (5 + 5 + 1),
    )  # fmt: skip
    assert demand_of(AGENT).sources == 7
    assert demand_of(AGENT).indexed_synapse_bytes == 30


def test_neurons_left_out_take_no_room() -> None:
    fired = (np.array([True, False, True]), np.array([True, False]))
    # 3 weights, 1 of the ring (from the third to the first), 2 onward, 1 of the head.
    assert demand_of(without_silent(AGENT, fired)).synapses == 7


def test_a_population_is_read_by_one_output() -> None:
    policy = build(SpikingActorCriticPolicy, decoder="population", chosen="continuous")
    demand = demand_of(spiking(policy))
    populations = demand.neurons - 12 - 9
    assert demand.synapses == 3 * 12 + 12 * 9 + 9 * populations + populations


def test_activity_is_that_of_the_neurons() -> None:
    activity = activity_of(AGENT, Visits((), (), 4, COSTS))
    assert activity == Activity(4, 2.0, 0.4, 2.0)  # 8 spikes in 4 steps of 5 neurons; 20 / 10


def test_peak_and_mean_are_those_of_the_recorded_spikes() -> None:
    policy = build(SpikingActorCriticPolicy)
    seen = observe("analogue", 50)
    spikes = [x.spikes for x in policy.record(seen).layers if x.name != "input"]
    at_once = spikes[0].sum(2) + spikes[1].sum(2)
    visits = Visits((), (), int(at_once.max()), policy.record(seen).costs)
    activity = activity_of(spiking(policy), visits)
    assert activity.peak_spikes >= activity.mean_spikes == pytest.approx(float(at_once.mean()))


def test_energy_and_regimes_are_those_of_its_costs() -> None:
    assert energy_of(COSTS) == energy_nj(20, 10)
    assert Activity(1, 1.0, 0.3, 0.1).regimes == ("inside", "outside")


@pytest.mark.parametrize("chip", CHIPS)
def test_what_has_no_room_is_named_with_its_limit(chip: str) -> None:
    demand = demand_of(AGENT)
    assert misfits(demand, CHIPS[chip]) == ()
    for name, most in CHIPS[chip].limits.items():
        field = {"sources": "inputs", "indexed_synapse_bytes": "synapses"}.get(name, name)
        larger = replace(demand, **{field: 10 * most})
        told = f"{name.replace('_', ' ')} {10 * most:,} of {most:,}"
        assert field != name or told in misfits(larger, CHIPS[chip])
        assert any(f"of {most:,}" in x for x in misfits(larger, CHIPS[chip]))
        if name == field:
            assert misfits(replace(demand, **{name: most}), CHIPS[chip]) == ()


def test_a_twin_is_known_by_its_row() -> None:
    costs = twin_costs("ppo-lif", "CartPole-v1")
    assert costs is not None
    assert costs.total("macs_per_decision") == 4 * 64 + 64 * 64 + 64 * 2
    assert twin_costs("ppo-lif", "Blackjack-v1") is None
    assert twin_costs("imported-snntorch", "CartPole-v1") is None
    told = list(describe(AGENT, Visits((), (), 4, COSTS), costs))
    assert "(nJ): 0.020 to 0.518; ANN twin 1.030 to 20.608" in told[7]


def test_the_command_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "ppo-lif", "CartPole-v1", "--hardware", "--episodes", "1"]
    assert main(words) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "ppo-lif on CartPole-v1, 1 episodes"
    assert told[1] == "128 neurons, 4,480 synapses, fan-in 64 and fan-out 64 at most"
    assert "Xylo, the chip: no room: fan in 64 of 63" in told
    assert main(["export", "ppo-mlp", "CartPole-v1", "--hardware"]) == 2
    assert "has no spiking neurons" in capsys.readouterr().err


def test_visits_have_the_costs_of_a_decision() -> None:
    found = visit(load_pretrained("ppo-lif", "CartPole-v1"), "CartPole-v1", 1)
    spikes = found.costs.total("spikes_per_decision")
    assert spikes is not None
    assert 0 < spikes / 8 <= found.peak_spikes <= 128
