"""Tests of hardware demand of networks, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from snn_gym import load_pretrained
from snn_gym.cli import main
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program import compact
from snn_gym_deploy import visit
from snn_gym_deploy.chips import CHIPS, Demand, demand_of, misfits
from tests.leaderboard.small_agent import AGENT
from tests.made import build, spiking


def test_demand_counted_by_hand():
    # 5 weights, 3 of the ring, 5 onward, 2 of the head; 5 neurons, 5 states and an output.
    assert demand_of(AGENT) == Demand(
        inputs=2, outputs=1, neurons=5, layers=3, widest=3, fan_in=3, fan_out=3, synapses=15,
        memory_bytes=15 + 2 * (5 + 5 + 1),
    )  # fmt: skip
    assert demand_of(AGENT).sources == 7
    assert demand_of(AGENT).indexed_synapse_bytes == 30


def test_neurons_left_out_take_no_room():
    fired = (np.array([True, False, True]), np.array([True, False]))
    # 3 weights, 1 of the ring (from the third to the first), 2 onward, 1 of the head.
    assert demand_of(compact(AGENT, fired)).synapses == 7


def test_populations_are_read_by_one_output():
    policy = build(SpikingActorCriticPolicy, decoder="population", chosen="continuous")
    demand = demand_of(spiking(policy))
    populations = demand.neurons - 12 - 9
    assert demand.synapses == 3 * 12 + 12 * 9 + 9 * populations + populations


def test_a_chip_gets_the_channels_of_an_encoder_and_the_constants_of_each_neuron():
    network = {"encoder": "population", "encoder_parameters": {"neurons_per_dimension": 30}}
    demand = demand_of(spiking(build(SpikingActorCriticPolicy, **network)))
    assert (demand.inputs, demand.widest, demand.fan_in) == (3 * 30, 3 * 30, 3 * 30)
    plain, own = (
        demand_of(spiking(build(SpikingActorCriticPolicy, learnable=x)))
        for x in ((), ("v_threshold",))
    )
    assert own.memory_bytes - plain.memory_bytes == 2 * 4 * (12 + 9)


@pytest.mark.parametrize("chip", CHIPS)
def test_exceeded_limits_are_named(chip):
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


# 4 inputs, 64 and 64 neurons of one state variable each, 2 outputs.
WEIGHTS = 4 * 64 + 64 * 64 + 64 * 2
PPO_LIF = Demand(
    inputs=4, outputs=2, neurons=128, layers=3, widest=64, fan_in=64, fan_out=64, synapses=WEIGHTS,
    memory_bytes=WEIGHTS + 2 * (128 + 2 + 128),
)  # fmt: skip


def test_demand_equals_the_architecture():
    trained = load_pretrained("ppo-lif", "CartPole-v1")
    assert demand_of(spiking(trained.policy)) == PPO_LIF
    # Of Xylo's fan-in of 63 a neuron of the second layer takes 64.
    fitting = [name for name, chip in CHIPS.items() if not misfits(PPO_LIF, chip)]
    assert fitting == ["Loihi", "SpiNNaker2", "Speck"]


def test_pruned_synapses_take_no_room():
    trained = load_pretrained("ppo-lif-dynamics", "CartPole-v1")
    demand = demand_of(spiking(trained.policy))
    first, second = trained.policy.acting_network().layers
    left = int((second.linear.weight != 0).sum())
    assert int((first.linear.weight != 0).sum()) == 4 * 64
    assert 0 < left < 64 * 64 / 10
    assert demand.synapses == 4 * 64 + left + 64 * 2
    assert (demand.neurons, demand.layers) == (PPO_LIF.neurons, PPO_LIF.layers)


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
