"""Submissions of graphs from other frameworks: rows of the table without a recipe."""

import json

import pytest

from snn_gym import load_pretrained, make_agent, register_agent
from snn_gym._base.config import to_mapping
from snn_gym.cli import main
from snn_gym.leaderboard import SubmissionError, render_table, retrain_rows, verification, verify
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import list_rows
from snn_gym.zoo.spec import _REGISTERED, load_agent_spec
from snn_gym_deploy import submit_nir, to_nir
from snn_gym_deploy.nir_import import read_nir
from tests.leaderboard.helpers import SETTINGS, rerun_in_process

AGENT, ENV_ID = "imported-pole", "CartPole-v1"
NETWORK = {
    "hidden_sizes": [32, 32], "time_steps": 8, "neuron": "lif_box",
    "neuron_parameters": {"tau_mem_ms": 2.0, "v_threshold": 1.0, "v_reset": 0.0, "v_leak": 0.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Give the graph of a network of an agent that was trained elsewhere."""
    register_agent(
        AGENT,
        description="Two layers of LIF neurons of another framework.",
        algorithm="PPO",
        budget_class="imported",
        policy_kwargs={"normalise_observations": False, "spiking_actor": True},
        network=NETWORK,
        environments={ENV_ID: {}},
    )
    model = make_agent("ppo-lif", ENV_ID, network=NETWORK, normalise_observations=False)
    yield to_nir(model, tmp_path_factory.mktemp("graph") / "pole.nir").graph
    del _REGISTERED[AGENT]
    load_agent_spec.cache_clear()


def test_a_graph_becomes_a_row_that_was_trained_elsewhere(graph, tmp_path, monkeypatch):
    # A process of its own would not know the agent, which has no folder.
    monkeypatch.setattr(verification, "rerun_limited", rerun_in_process)
    monkeypatch.setattr(verification, "check_architecture", lambda *_: None)
    folder = submit_nir(
        graph, ENV_ID, AGENT, tmp_path / "submission", seed=7, steps=1234, seeds=SETTINGS.seeds
    )
    board = tmp_path / "board"
    verify(folder, board, SETTINGS)
    (row,) = list_rows(board)
    assert (row.budget_class, row.recipe, row.steps, row.seed) == ("imported", None, 1234, 7)
    assert (
        "## CartPole-v1, version 1 of the environment, imported: trained elsewhere"
        in render_table(board)
    )
    assert not list(retrain_rows(board))
    manifest = folder / "manifest.json"
    told = json.loads(manifest.read_text())
    stored = find_trained("ppo-lif", ENV_ID).row(0)
    told.update(seed=8, recipe=to_mapping(stored.recipe))
    manifest.write_text(json.dumps(told))
    with pytest.raises(SubmissionError, match="a recipe of imported-pole, which was trained"):
        verify(folder, board, SETTINGS)


def test_another_network_is_another_agent(graph, tmp_path):
    other = to_nir(load_pretrained("ppo-lif", ENV_ID), tmp_path / "other.nir").graph
    with pytest.raises(ValueError, match=r"another hidden_sizes.*than agent 'imported-pole'"):
        submit_nir(other, ENV_ID, AGENT, tmp_path / "out")
    with pytest.raises(ValueError, match="agent 'ppo-lif' is trained here"):
        submit_nir(other, ENV_ID, "ppo-lif", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_agent_that_the_zoo_lacks_is_refused(graph, tmp_path):
    with pytest.raises(ValueError, match="mine"):
        submit_nir(graph, ENV_ID, "mine", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_missing_files_are_named(graph, tmp_path):
    with pytest.raises(ValueError, match=r"^absent\.nir is missing"):
        read_nir(tmp_path / "absent.nir")
    (tmp_path / "alone.nir").write_bytes(graph.read_bytes())
    with pytest.raises(ValueError, match=r"^alone\.nir has no alone\.json beside it"):
        read_nir(tmp_path / "alone.nir")
    with pytest.raises(ValueError, match="is not registered for CartPole; add the table"):
        submit_nir(graph, "CartPole", AGENT, tmp_path / "out")


@pytest.mark.parametrize(("words", "message"), [
    (["submit-nir", "a.nir"], "Missing option '--env'; see `snn-gym submit-nir --help`"),
    (["train", AGENT, ENV_ID], "was trained elsewhere and has no budget here"),
])  # fmt: skip
def test_commands_with_wrong_options_are_refused(words, message, capsys):
    assert main(words) == 2
    assert message in capsys.readouterr().err
