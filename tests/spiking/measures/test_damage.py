"""Tests of damage spreading: distances by hand, and changed inputs."""

import numpy as np
import pytest
import torch

from snn_gym.spiking import NetworkConfig, SpikingNetwork, damage_spreading, record_with_damage
from snn_gym.spiking.measures import hamming_distance
from tests.spiking.measures.rasters import raster, recording
from tests.spiking.strategies import normal


def network(**options):
    torch.manual_seed(0)
    config = NetworkConfig(**{"hidden_sizes": (16, 12), "time_steps": 6, **options})
    return SpikingNetwork(config, 4, 2)


def test_distances_by_hand():
    a, b = raster("|...", "||||"), raster("..|.", "||||")
    assert hamming_distance(a, b).tolist() == [0.5, 0.0, 0.5, 0.0]
    damage = damage_spreading(recording(hidden_1=a), recording(hidden_1=b))
    assert damage["hidden_1"].tolist() == [0.5, 0.0, 0.5, 0.0]


def test_recordings_of_different_layers_are_refused():
    with pytest.raises(ValueError, match=r"of different layers or shapes, .* record the same"):
        damage_spreading(recording(hidden_1=raster("|.")), recording(hidden_1=raster("|..")))
    with pytest.raises(ValueError, match="of different layers"):
        damage_spreading(recording(hidden_1=raster("|.")), recording(hidden_2=raster("|.")))
    with pytest.raises(ValueError, match="the recording is empty"):
        damage_spreading(recording(), recording())


def test_spike_trains_get_one_flipped_spike():
    torch.manual_seed(0)
    net = SpikingNetwork(NetworkConfig(hidden_sizes=(8,)), 5, 2, spike_steps=7)
    trains = (torch.rand(9, 7, 5) < 0.5).float()
    before, after = record_with_damage(net, trains, torch.Generator().manual_seed(0))
    flipped = (before["input"].spikes != after["input"].spikes).sum(dim=(0, 2))
    assert flipped.tolist() == [1] * 9
    damage = damage_spreading(before, after)
    assert damage["input"] == pytest.approx([1 / 5] + [0.0] * 6)


@pytest.mark.parametrize("encoder", ["constant", "rate"])
def test_only_nonzero_steps_cause_damage(encoder):
    net, observations = network(encoder=encoder), normal(0, 32, 4)
    for step, spreads in ((0.0, False), (2.0, True)):
        generator = torch.Generator().manual_seed(0)
        damage = damage_spreading(*record_with_damage(net, observations, generator, step=step))
        assert (damage["hidden_2"].sum() > 0) == spreads


def test_recording_damage_has_no_side_effects():
    net, observations = network(encoder="rate"), normal(0, 8, 4)
    kept, state = observations.clone(), {k: v.clone() for k, v in net.state_dict().items()}
    global_state = torch.get_rng_state()
    first, _ = record_with_damage(net, observations, torch.Generator().manual_seed(3))
    assert torch.equal(observations, kept)
    assert torch.equal(torch.get_rng_state(), global_state)
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())
    assert np.array_equal(first.output, net(observations)[0].detach())
