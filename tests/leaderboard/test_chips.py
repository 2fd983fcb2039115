"""What a network takes of a chip, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snn_gym.leaderboard.chips import CHIPS, Demand, demand_of, misfits
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.program import compact
from tests.export.made import build, spiking
from tests.leaderboard.small_agent import AGENT


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
    assert demand_of(compact(AGENT, fired)).synapses == 7


def test_a_population_is_read_by_one_output() -> None:
    policy = build(SpikingActorCriticPolicy, decoder="population", chosen="continuous")
    demand = demand_of(spiking(policy))
    populations = demand.neurons - 12 - 9
    assert demand.synapses == 3 * 12 + 12 * 9 + 9 * populations + populations


def test_a_chip_gets_the_channels_of_an_encoder_and_the_constants_of_each_neuron() -> None:
    network = {"encoder": "population", "encoder_parameters": {"neurons_per_dimension": 30}}
    demand = demand_of(spiking(build(SpikingActorCriticPolicy, **network)))
    assert (demand.inputs, demand.widest, demand.fan_in) == (3 * 30, 3 * 30, 3 * 30)
    plain, own = (
        demand_of(spiking(build(SpikingActorCriticPolicy, learnable=x)))
        for x in ((), ("v_threshold",))
    )
    assert own.memory_bytes - plain.memory_bytes == 2 * 4 * (12 + 9)


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
