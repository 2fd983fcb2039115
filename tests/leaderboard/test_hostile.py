"""Tests of hostile submissions: each is refused by its check, without running code."""

import copy
import pickle
from collections import Counter

import pytest

from snn_gym.leaderboard import SubmissionError, check_board, verification, verify
from snn_gym.leaderboard.limited_process import Request, rerun_here
from snn_gym.leaderboard.results import list_rows
from tests.leaderboard.helpers import SETTINGS, fingerprint, rerun_in_process
from tests.leaderboard.hostile_folders import folder_cases
from tests.leaderboard.hostile_manifests import manifest_cases
from tests.leaderboard.hostile_weights import MARKER_VARIABLE, TENSORS, Payload, weights_cases

CASES = [*manifest_cases(), *weights_cases(), *folder_cases()]


@pytest.fixture(scope="module")
def leaderboard(template, tmp_path_factory):
    """Give a leaderboard with one row: the unchanged submission."""
    folder = tmp_path_factory.mktemp("board") / "leaderboard"
    submission = template.write(tmp_path_factory.mktemp("control") / "submission")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "rerun_limited", rerun_in_process)
        row = verify(submission, folder, SETTINGS)
    assert list_rows(folder) == (row,)
    return folder


@pytest.fixture
def marker(tmp_path, monkeypatch):
    path = tmp_path / "marker"
    monkeypatch.setenv(MARKER_VARIABLE, str(path))
    return path


def _must_not_start(*_):
    pytest.fail("the re-run was started for a submission that a cheap check has to refuse")


@pytest.fixture
def refuse(leaderboard, marker, tmp_path, record_property):
    """Give a check that tmp_path/submission is refused: code, one line, no side effects."""

    def refuse(code, kind):
        before = fingerprint(leaderboard)
        with pytest.raises(SubmissionError) as caught:
            verify(tmp_path / "submission", leaderboard, SETTINGS)
        assert caught.value.code == code, str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
        assert fingerprint(leaderboard) == before
        assert not marker.exists()
        record_property("hostile", kind)

    return refuse


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hostile_submission_is_refused_by_its_check(case, template, refuse, tmp_path, monkeypatch):
    case.write(template, tmp_path / "submission")
    monkeypatch.setattr(verification, "rerun_limited", _must_not_start)
    refuse(case.code, case.kind)


def test_standard_deviations_of_zero_are_refused(template, refuse, tmp_path):
    name = "mlp_extractor.normaliser.std"
    zeros = template.with_tensors(lambda tensors: tensors[name].zero_())
    zeros.with_manifest(seed=1).write(tmp_path / "submission")
    refuse("weights-dynamics", "other dynamics")


def _claim(returns):
    middle = sorted(returns)
    assert len(returns) == 3  # so that floor(3 / 4) = 0 are left out and IQM and mean agree
    mean = sum(middle) / 3
    return {"iqm": mean, "mean": mean, "returns": returns}


CLAIMS = {
    "all at the maximum": lambda r: [500.0] * 3,
    "one step more in one episode": lambda r: [r[0] + 1.0, *r[1:]],
    "one step less in one episode": lambda r: [*r[:2], r[2] - 1.0],
    "two episodes exchanged": lambda r: [r[0] + 1.0, r[1] - 1.0, r[2]],
    "a little more than rounding": lambda r: [value * (1 + 1e-5) for value in r],
    "negative": lambda r: [-value for value in r],
    "beyond what the task gives": lambda r: [1e9] * 3,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claimed_score_must_equal_the_re_run(name, template, refuse, tmp_path, monkeypatch):
    # Other weights than the row's, honest but for the claim.
    other = template.unrelated(seed=1)
    claim = _claim(CLAIMS[name](_true_returns(other)))
    other.with_manifest(seed=1, score=claim).write(tmp_path / "submission")
    monkeypatch.setattr(verification, "rerun_limited", rerun_in_process)
    refuse("score-mismatch", "claimed score")


def _true_returns(template):
    request = Request(agent="ppo-lif", environment="CartPole-v1", seeds=SETTINGS.seeds)
    return list(rerun_here(request, template.weights).score.returns)


def test_controls_are_accepted(template, tmp_path, in_process):
    """Each honest submission adds exactly one row and replaces no row."""
    board = tmp_path / "leaderboard"
    for seed in range(4):
        honest = template.unrelated(seed) if seed else template
        claim = _claim(_true_returns(honest))
        folder = honest.with_manifest(seed=seed, score=claim).write(tmp_path / f"submission-{seed}")
        before = list_rows(board)
        files = {path: path.read_bytes() for path in board.rglob("*.safetensors")}
        row = verify(folder, board, SETTINGS)
        assert list_rows(board) == (*before, row)
        assert files.items() <= {x: x.read_bytes() for x in board.rglob("*.safetensors")}.items()
        assert check_board(board) == ()


def test_an_unclaimed_rounding_difference_is_accepted(template, tmp_path, in_process):
    score = copy.deepcopy(template.manifest["score"])
    score["returns"][0] *= 1 + 1e-9
    folder = template.with_manifest(score=score).write(tmp_path / "submission")
    row = verify(folder, tmp_path / "leaderboard", SETTINGS)
    # The row has the result of the re-run and not the claim.
    assert row.score.returns != tuple(score["returns"])


def test_unpickled_payload_writes_the_marker(marker):
    """Test of the tests: the unpickled payload makes the marker file."""
    pickle.loads(pickle.dumps(Payload()))
    assert marker.read_text() == "executed"


def test_each_kind_has_enough_cases(template):
    assert len(template.tensors()) == TENSORS
    kinds = Counter(case.kind for case in CASES)
    assert sum(kinds.values()) >= 200
    assert {kind: count for kind, count in kinds.items() if count < 5} == {}
    assert len({str(case) for case in CASES}) == len(CASES)
