"""Tests of learners without gradients, from the zoo to the results table."""

import json

import pytest

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard import SubmissionError, submit, verify
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME
from snn_gym.leaderboard.results import list_rows
from snn_gym.leaderboard.table import summarise
from snn_gym.zoo import load_agent_spec, make_agent, save_agent
from tests.leaderboard.helpers import SETTINGS, Template


@pytest.fixture(scope="module")
def submission(tmp_path_factory):
    root = tmp_path_factory.mktemp("accept-reject")
    model = make_agent("accept-reject", "CartPole-v1", seed=0).learn(2_000)
    return submit(save_agent(model, root / "run"), root / "s", seeds=SETTINGS.seeds)


@pytest.mark.slow
def test_submissions_become_rows_without_a_twin(submission, tmp_path):
    verify(submission, tmp_path, SETTINGS)
    row = summarise(list_rows(tmp_path))  # its recipe is not that of rows that rank
    assert (row.agent, row.budget_class, row.twin) == ("accept-reject", "evolutionary", None)
    assert row.cells()[1] == "–"
    assert row.parameters == 114
    assert row.spikes_per_decision > 0
    assert row.macs_per_decision == 4 + 4 * 16  # with the normaliser


@pytest.mark.slow
def test_budget_is_used_up_to_one_iteration(submission, tmp_path):
    template = Template(
        json.loads((submission / MANIFEST_NAME).read_text()),
        (submission / WEIGHTS_NAME).read_bytes(),
    )
    settings = load_agent_spec("accept-reject").settings("CartPole-v1")
    spec = load_environment_spec("CartPole-v1")
    limit = spec.budget["evolutionary"] + settings.episodes_per_iteration * 500 - 1
    folder = template.with_manifest(steps=limit + 1).write(tmp_path / "over")
    with pytest.raises(SubmissionError, match=f"expected at most {limit} ") as refusal:
        verify(folder, tmp_path / "board", SETTINGS)
    assert refusal.value.code == "budget"
