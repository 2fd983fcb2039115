"""Tests of rows whose agent has shed neurons and time steps: submitted, retrained and loaded."""

import shutil

import numpy as np
import pytest
import torch

from snn_gym._base.folders import content_path
from snn_gym.leaderboard import SubmissionError, retrain_rows, submit, verify
from snn_gym.leaderboard.plan import PlannedRun
from snn_gym.leaderboard.pretrained import load_pretrained
from snn_gym.leaderboard.results import list_rows
from snn_gym.sweeps import train_and_submit
from snn_gym.zoo import load_agent, load_agent_spec, make_agent, make_lean, read_manifest, spec
from snn_gym.zoo.files import save_agent
from tests.leaderboard.helpers import SETTINGS
from tests.leaderboard.test_retraining import read

pytestmark = [pytest.mark.check, pytest.mark.usefixtures("in_process")]

STUDENT = "ppo-lif-lean"
QUICK = {"updates": 110, "bound": 3.0, "max_bound": 3.0}
"""Settings with which every trial of fewer time steps succeeds, in seconds."""


@pytest.fixture(autouse=True, scope="module")
def _quick_agent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo") / "agents"
    shutil.copytree(content_path("agents"), folder)
    with (folder / STUDENT / "agent.toml").open("a") as file:
        # The file's last table is [network.regulation.lean].
        file.write("".join(f"{name} = {value}\n" for name, value in QUICK.items()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spec, "content_path", lambda _: folder)
        load_agent_spec.cache_clear()
        yield
    load_agent_spec.cache_clear()


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    """Return the folder of a leaderboard with the teacher's row, and the student's saved agent."""
    root = tmp_path_factory.mktemp("lean")
    trained = make_agent("ppo-lif", "CartPole-v1", seed=0).learn(256)
    save_agent(trained, root / "teacher")
    found = read(submit(root / "teacher", seeds=SETTINGS.seeds))
    verify(found.write(root / "parent"), root / "board", SETTINGS)
    student = make_lean(trained, 300, student=STUDENT, **QUICK)
    save_agent(student, root / "student")
    return root


def test_a_smaller_network_keeps_the_recipe_it_began_with(lean):
    manifest = read_manifest(lean / "student")
    now, first = manifest.policy_kwargs["network"], manifest.recipe.settings.network
    assert first["hidden_sizes"] == [64, 64]
    assert first["time_steps"] == 8
    assert now["time_steps"] == 1
    assert max(now["hidden_sizes"]) < 64
    assert manifest.policy_kwargs["critic_hidden_sizes"] == [64, 64]
    assert "critic_hidden_sizes" not in manifest.recipe.settings.policy_kwargs
    again = read_manifest(save_agent(load_agent(lean / "student"), lean / "again"))
    assert again.recipe == manifest.recipe


def test_rows_of_smaller_networks_are_retrained_load_and_are_the_same_by_a_sweep(lean, tmp_path):
    board = tmp_path / "board"
    shutil.copytree(lean / "board", board)
    found = read(submit(lean / "student", tmp_path / "out", seeds=SETTINGS.seeds))
    verify(found.write(tmp_path / "s"), board, SETTINGS, retrain=True)
    (row,) = (row for row in list_rows(board) if row.agent == STUDENT)
    assert row.trained_again.same == "weights"
    saved = load_agent(lean / "student")
    sizes = saved.policy.network.hidden_sizes
    assert sum(row.costs.neuron_updates_per_decision.values()) == sum(sizes)
    assert [again.problem for again in retrain_rows(board)] == [None, None]
    loaded = load_pretrained(STUDENT, "CartPole-v1", 0, leaderboard=board)
    assert loaded.policy.network.hidden_sizes == sizes
    assert loaded.policy.critic_hidden_sizes == (64, 64)
    seen = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    ours, theirs = (x.predict(seen, deterministic=True)[0] for x in (loaded, saved))
    np.testing.assert_array_equal(ours, theirs)
    job = PlannedRun(STUDENT, "CartPole-v1", 0, 300, teacher="ppo-lif")
    manifest = read(train_and_submit(job, tmp_path / "runs", board)).manifest
    assert manifest["weights_sha256"] == found.manifest["weights_sha256"]


def resized(rows, steps):
    """Return a change of tensors to more neurons in the last layer, and other time steps."""

    def change(tensors):
        for name, tensor in tensors.items():
            if name.endswith("layers.1.linear.bias"):
                tensors[name] = torch.zeros(rows)
            if name.endswith("neuron_constants"):
                tensor[1] = steps

    return change


@pytest.mark.parametrize(("rows", "steps"), [(65, 1), (3, 3), (0, 1), (64, 16)])
def test_networks_that_shedding_cannot_leave_are_refused(rows, steps, lean, tmp_path):
    found = read(submit(lean / "student", tmp_path / "out", seeds=SETTINGS.seeds))
    other = found.with_tensors(resized(rows, steps))
    with pytest.raises(SubmissionError) as caught:
        verify(other.write(tmp_path / "s"), lean / "board", SETTINGS, retrain=True)
    assert caught.value.code in ("weights-shape", "weights-dynamics")
