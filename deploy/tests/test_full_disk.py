"""A file that finds no room on the disk leaves the one before."""

import pytest

import snn_gym
from snn_gym_deploy import to_c, to_nir, to_onnx
from tests.hostile.test_full_disk import no_room


@pytest.mark.parametrize("name", ["agent.c", "agent.nir", "agent.onnx"])
def test_a_file_that_finds_no_room_leaves_the_one_before(name, tmp_path):
    model, path = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0), tmp_path / "folder" / name
    path.parent.mkdir()
    write = {"agent.c": lambda: to_c(model, path.parent), "agent.nir": lambda: to_nir(model, path),
             "agent.onnx": lambda: to_onnx(model, path)}[name]  # fmt: skip
    write()
    with no_room(path):
        write()
