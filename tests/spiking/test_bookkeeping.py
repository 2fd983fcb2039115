"""Tests of bookkeeping: separate from the weights, and saved with them."""

from __future__ import annotations

import io

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from snn_gym.spiking import NetworkConfig, SpikingNetwork
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.spiking.normaliser import ObservationNormaliser
from tests.spiking.strategies import normal

CONFIG = NetworkConfig(
    (6,),
    4,
    encoder="rate",
    encoder_parameters={"timing": "poisson"},
    regulation={"controller": {"min_samples": 1000}},
)
BOOKKEEPING = {
    "0.count", "0.total", "0.total_of_squares", "0.due", "1.neuron_constants", "1.noise_state",
    *(f"1.regulation.controllers.0.{name}" for name in ("count", "total", "moved")),
}  # fmt: skip


def used(seed=0):
    """Return a used normaliser and network, with counts, noise and measurements."""
    torch.manual_seed(seed)
    module = nn.Sequential(ObservationNormaliser(3), SpikingNetwork(CONFIG, 3, 2))
    with module[0].accumulating():
        module[1](module[0](normal(seed, 20, 3)))[0]
    module[0].updates_started()
    return module


def kept(module):
    return {name: x.clone() for name, x in full_state(module).items() if name in BOOKKEEPING}


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_state_dict_has_only_replaceable_weights():
    module, before = used(), kept(used())
    assert before.keys() == BOOKKEEPING
    assert before["0.count"].item() == 20
    assert before["0.due"].item()
    assert before["1.noise_state"][1].item() == 1
    assert before["1.regulation.controllers.0.count"].item() == 20
    weights = module.state_dict()
    assert not weights.keys() & BOOKKEEPING
    assert weights.keys() | BOOKKEEPING == full_state(module).keys()
    random = {name: torch.rand_like(x) for name, x in weights.items()}
    module.load_state_dict(random)
    assert_equal(dict(module.state_dict()), random)
    assert_equal(kept(module), before)


def through_torch(module, _):
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    # As Stable-Baselines3 loads its zip files.
    return torch.load(file, weights_only=True)


def through_safetensors(module, folder):
    save_file(full_state(module), folder / "file")
    return load_file(folder / "file")


@pytest.mark.parametrize("way", [lambda module, _: module.state_dict(), through_torch,
                                 through_safetensors])  # fmt: skip
def test_bookkeeping_travels_with_the_weights(way, tmp_path):
    module, other = used(0), used(1)
    assert not torch.equal(module[1].noise_state, other[1].noise_state)
    other.load_state_dict(way(module, tmp_path))
    assert_equal(full_state(other), full_state(module))
    data = normal(5, 4, 3)
    assert torch.equal(other[1](other[0](data))[0], module[1](module[0](data))[0])


def test_bookkeeping_of_another_shape_is_refused():
    module = used()
    for name, value, message in (
        ("0.total", torch.zeros(4), r"0.total: expected of shape \(3,\), got shape \(4,\)"),
        ("1.neuron_constants", torch.zeros(2), "1.neuron_constants: saved under other dynamics"),
    ):
        with pytest.raises(RuntimeError, match=message):
            used().load_state_dict({**module.state_dict(), name: value})
    saved = SpikingNetwork(CONFIG, 3, 2).state_dict()
    plain = SpikingNetwork(NetworkConfig((6,), 5, encoder="rate"), 3, 2)
    with pytest.raises(RuntimeError, match="saved under other dynamics"):
        plain.load_state_dict(saved)
    plain = SpikingNetwork(NetworkConfig((6,), 4), 3, 2)
    with pytest.raises(RuntimeError, match="noise_state: expected no such tensor"):
        plain.load_state_dict(saved)
