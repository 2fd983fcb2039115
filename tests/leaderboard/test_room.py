"""Columns of what an agent takes of a chip, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from snn_gym.leaderboard import table_rows
from snn_gym.leaderboard.chips import CHIPS, Demand, demand_of
from snn_gym.leaderboard.headings import ROOM_COLUMNS, registered_demand, room_cells
from snn_gym.leaderboard.pretrained import load_pretrained
from snn_gym.leaderboard.rendering import all_columns, row_texts
from tests.export.made import spiking
from tests.leaderboard.test_table import fill, make_row

# 4 inputs, 64 and 64 neurons of one state variable each, 2 outputs.
WEIGHTS = 4 * 64 + 64 * 64 + 64 * 2
PPO_LIF = Demand(
    inputs=4, outputs=2, neurons=128, layers=3, widest=64, fan_in=64, fan_out=64, synapses=WEIGHTS,
    memory_bytes=WEIGHTS + 2 * (128 + 2 + 128),
)  # fmt: skip


def test_room_is_that_of_the_registered_architecture() -> None:
    assert registered_demand("ppo-lif", "CartPole-v1") == PPO_LIF
    trained = load_pretrained("ppo-lif", "CartPole-v1")
    assert demand_of(spiking(trained.policy)) == PPO_LIF


def test_pruned_synapses_take_no_room() -> None:
    trained: Any = load_pretrained("ppo-lif-dynamics", "CartPole-v1")
    demand = demand_of(spiking(trained.policy))
    first, second = trained.policy.acting_network().layers
    left = int((second.linear.weight != 0).sum())
    assert int((first.linear.weight != 0).sum()) == 4 * 64
    assert 0 < left < 64 * 64 / 10
    assert demand.synapses == 4 * 64 + left + 64 * 2
    assert (demand.neurons, demand.layers) == (PPO_LIF.neurons, PPO_LIF.layers)


@pytest.mark.parametrize(
    ("agent", "env_id"),
    [
        ("ppo-mlp", "CartPole-v1"),
        ("recurrent-ppo-gru", "snn/CueAccumulation-v0"),
        ("has-left-the-zoo", "CartPole-v1"),
        ("sac-lif", "CartPole-v1"),  # not among its environments
    ],
)
def test_nothing_is_told_of_what_is_no_network_of_spikes(agent: str, env_id: str) -> None:
    assert registered_demand(agent, env_id) is None
    assert set(room_cells(None).values()) == {"–"}


def test_chips_are_named_that_have_room() -> None:
    assert list(room_cells(PPO_LIF)) == list(ROOM_COLUMNS)
    # Of Xylo's fan-in of 63 a neuron of the second layer takes 64.
    assert tuple(room_cells(PPO_LIF).values()) == (
        "128", "4,480", "4,996", "Loihi, SpiNNaker2, Speck"
    )  # fmt: skip
    small, huge = (Demand(4, 2, *[size] * 4, size, size, size) for size in (8, 10**6))
    assert room_cells(small)["Fits"] == ", ".join(CHIPS)
    assert room_cells(huge)["Fits"] == "none"


def test_the_table_has_the_columns(tmp_path: Path) -> None:
    rows = table_rows(fill(tmp_path, make_row("ppo-lif"), make_row("ppo-mlp")))
    assert set(ROOM_COLUMNS) <= set(all_columns(rows))
    texts = [[row_texts(row, rows)[column] for column in ROOM_COLUMNS] for row in rows]
    assert texts == [["128", "4,480", "4,996", "Loihi, SpiNNaker2, Speck"], ["–"] * 4]
