"""Tests of hidden seeds: drawn with a secret salt, evaluated, and never published."""

import hashlib
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snn_gym.cli import main
from snn_gym.leaderboard import (
    SubmissionError,
    VerificationSettings,
    audit,
    evaluate,
    play_hidden_seeds,
    reevaluation,
    render_table,
    table_rows,
    verification,
    verify,
    write_table,
)
from snn_gym.leaderboard.evaluation import FIRST_EVALUATION_SEED
from snn_gym.leaderboard.hidden import chance, describe, hidden_seeds, is_flagged, submission_digest
from snn_gym.leaderboard.manifest import HiddenScore, Scores
from snn_gym.leaderboard.results import DIGESTS_NAME, list_rows
from snn_gym.leaderboard.statistics import interquartile_mean
from snn_gym.leaderboard.table import summaries
from snn_gym.leaderboard.worker import Request, rerun
from snn_gym.zoo import load_agent
from snn_gym.zoo.environments import TRAINING_SEED_LIMIT, environment_seeds
from tests.leaderboard.helpers import SETTINGS, forge_chain
from tests.leaderboard.test_table import fill, make_row

SALT = bytes(range(32))
DIGEST = hashlib.sha256(b"x").hexdigest()


def hmac_by_hand(key, message):
    """Compute HMAC-SHA256 as RFC 2104 writes it, for keys of at most a block of 64 bytes."""
    block = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(x ^ 0x36 for x in block) + message).digest()
    return hashlib.sha256(bytes(x ^ 0x5C for x in block) + inner).digest()


def scores(*returns):
    return Scores(iqm=interquartile_mean(returns), mean=float(np.mean(returns)), returns=returns)


def hidden(*returns):
    return HiddenScore(score=scores(*returns), digest=DIGEST, date="2026-01-03T00:00:00Z")


def test_the_seeds_are_the_first_bits_of_an_hmac():
    # `openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f` of the digest's bytes and a counter
    # of 8 bytes begins with aa122f53 for 0 and 195fb37e for 1; of these, the last 29 bits.
    assert hidden_seeds(SALT, DIGEST, 2) == (2**30 + 0x0A122F53, 2**30 + 0x195FB37E)
    by_hand = []
    for counter in range(100):
        word = hmac_by_hand(SALT, bytes.fromhex(DIGEST) + counter.to_bytes(8, "big"))[:4]
        by_hand.append(2**30 + (int.from_bytes(word, "big") & 0x1FFFFFFF))
    assert hidden_seeds(SALT, DIGEST, 100) == tuple(by_hand)


def test_hidden_seeds_differ_from_each_other_and_from_all_other_seeds():
    # Among 60,000 draws of 29 bits, 3.4 pairs are expected to be equal.
    draws = [
        int.from_bytes(hmac_by_hand(SALT, bytes.fromhex(DIGEST) + k.to_bytes(8, "big"))[:4], "big")
        for k in range(60_000)
    ]
    different = list(dict.fromkeys(2**30 + x % 2**29 for x in draws))
    assert len(different) < len(draws)
    seeds = hidden_seeds(SALT, DIGEST, len(different))
    assert list(seeds) == different
    counted_up = environment_seeds(TRAINING_SEED_LIMIT - 1, 1_000_000, "consecutive")
    assert max(counted_up) < min(seeds)
    assert max(seeds) < FIRST_EVALUATION_SEED
    assert max(seeds) < min(environment_seeds(0, 1000, "disjoint"))


def test_another_salt_or_byte_gives_other_seeds():
    submissions = [(b"ab", b"cd"), (b"ab", b"ce"), (b"aa", b"cd"), (b"a", b"bcd"), (b"abcd", b"")]
    drawn = [set(hidden_seeds(SALT, submission_digest(*files), 100)) for files in submissions]
    drawn += [set(hidden_seeds(salt, DIGEST, 100)) for salt in (SALT, SALT + b"\n", bytes(32))]
    assert all(len(seeds) == 100 for seeds in drawn)
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(drawn, 2))


def test_a_public_score_higher_by_more_than_chance_is_flagged():
    rng = np.random.default_rng(0)
    public = tuple(rng.normal(-150.0, 80.0, 100))
    assert chance(make_row(returns=public)) is None
    for shift, flagged in ((0.0, False), (80.0, True), (-80.0, False)):
        row = make_row(returns=public, hidden=hidden(*rng.normal(-150.0 - shift, 80.0, 100)))
        assert is_flagged(row) == flagged
        assert ("significantly higher" in describe(row)) == flagged
    # An agent at the ceiling gives no flag, and one that fails now and then on both neither.
    assert chance(make_row(returns=(500.0,) * 100, hidden=hidden(*(500.0,) * 100))) == 1.0
    for failures, flagged in ((6, False), (15, True)):
        other = hidden(*[9.0] * failures, *[500.0] * (100 - failures))
        assert is_flagged(make_row(returns=(500.0,) * 100, hidden=other)) == flagged


def test_honest_rows_are_rarely_flagged():
    rng = np.random.default_rng(1)
    chances = []
    for _ in range(400):
        # Long episodes, and a tenth that ends early.
        returns = np.minimum(500.0, rng.exponential(400.0, 200)) * rng.choice([1, 0.1], 200)
        row = make_row(returns=tuple(returns[:100]), hidden=hidden(*returns[100:]))
        chances.append(chance(row))
    for level in (0.01, 0.1, 0.5):
        assert np.mean(np.array(chances) <= level) == pytest.approx(level, abs=0.05)
    assert np.mean(np.array(chances) < 1e-3) < 0.005


def test_a_row_with_a_hidden_score_round_trips(tmp_path):
    row = make_row(hidden=hidden(0.1 + 0.2, -1 / 3))
    path = fill(tmp_path, row) / "results" / "ppo-lif" / "CartPole-v1" / "0.json"
    assert list_rows(tmp_path) == (row,)
    content = json.loads(path.read_text())
    content["hidden"]["seeds"] = [1, 2]
    path.write_text(json.dumps(content))
    with pytest.raises(SubmissionError, match="'seeds' is unknown"):
        list_rows(tmp_path)


def test_submissions_are_evaluated_on_their_hidden_seeds(
    template, run_folder, tmp_path, in_process
):
    submission = template.write(tmp_path / "s")
    verify(submission, tmp_path / "without", SETTINGS)
    path = verify(submission, tmp_path / "board", SETTINGS, salt=SALT)
    (plain,), (row,) = list_rows(tmp_path / "without"), list_rows(tmp_path / "board")
    assert plain.hidden is None
    assert row.hidden is not None
    files = [(submission / x).read_bytes() for x in ("manifest.json", "weights.safetensors")]
    seeds = hidden_seeds(SALT, submission_digest(*files), 3)
    assert row.hidden.digest == submission_digest(*files)
    expected = evaluate(load_agent(run_folder), "CartPole-v1", seeds=seeds)
    assert row.hidden.score.returns == expected.returns
    # All other fields are unchanged, including costs of the public episodes.
    assert replace(row, hidden=None, verified=plain.verified) == plain
    assert not any(str(seed) in path.read_text() for seed in seeds)
    assert audit(tmp_path / "board") == ()


@pytest.fixture
def overfitted(template, tmp_path, monkeypatch):
    """Give a writer of submissions with return 500 on public seeds and another on all others."""
    request = Request(agent="ppo-lif", environment="CartPole-v1", seeds=SETTINGS.seeds)
    real = rerun(request, template.weights)

    def submitted(elsewhere):
        public = set(VerificationSettings().seeds)

        def play(request, weights, settings):
            returns = [500.0 if seed in public else elsewhere for seed in request.seeds]
            return replace(real, score=scores(*returns), lengths=(1,) * len(returns))

        monkeypatch.setattr(verification, "rerun_in_worker", play)
        claim = {"iqm": 500.0, "mean": 500.0, "returns": [500.0] * 100}
        return template.with_manifest(score=claim).write(tmp_path / "submission")

    return submitted


@pytest.mark.parametrize(("elsewhere", "flagged"), [(120.0, True), (500.0, False)])
def test_the_command_shows_both_scores_and_flags(elsewhere, flagged, overfitted, tmp_path, capsys):
    secret, board = tmp_path / "salt", tmp_path / "board"
    secret.write_bytes(SALT)
    words = ["verify", str(overfitted(elsewhere)), "--salt", str(secret)]
    assert main([*words, "--leaderboard", str(board)]) == 0
    said = capsys.readouterr().out
    assert f"mean 500 on public seeds, {elsewhere:g} on hidden (p = " in said
    assert ("significantly higher" in said) == flagged
    (row,) = list_rows(board)
    assert is_flagged(row) == flagged
    (line,) = summaries([row])
    assert ("§" in line.hidden_cell()) == flagged


def test_missing_hidden_scores_are_added_to_stored_rows(
    template, tmp_path, in_process, monkeypatch, capsys
):
    board, secret = tmp_path / "board", tmp_path / "salt"
    secret.write_bytes(SALT)
    path = verify(template.write(tmp_path / "s"), board, SETTINGS)
    (before,) = list_rows(board)
    digest = submission_digest(path.read_bytes(), path.with_suffix(".safetensors").read_bytes())
    command = ["verify", "--salt", str(secret), "--leaderboard", str(board)]
    assert main(command) == 0
    assert "1 rows played on hidden seeds, 0 were not" in capsys.readouterr().out
    (row,) = list_rows(board)
    assert replace(row, hidden=None) == before
    seeds = hidden_seeds(SALT, digest, 3)
    request = Request(agent="ppo-lif", environment="CartPole-v1", seeds=seeds)
    assert row.hidden.digest == digest
    assert row.hidden.score == rerun(request, template.weights).score
    write_table(board)
    assert audit(board) == ()
    # Finished rows are skipped.
    monkeypatch.delattr(reevaluation, "rerun")
    assert list(play_hidden_seeds(board, SALT)) == []


def test_unplayable_rows_are_named_and_kept(tmp_path):
    board = fill(tmp_path, make_row(), make_row(seed=1, evaluator_version=1))
    before = list_rows(board)
    problems = [str(result.problem) for result in play_hidden_seeds(board, SALT)]
    assert "safetensors" in problems[0]
    assert "--again" in problems[1]
    assert list_rows(board) == before


def test_the_table_has_the_column_only_for_hidden_scores(tmp_path):
    honest = [make_row(seed=seed) for seed in range(3)]
    assert "Hidden seeds" not in render_table(fill(tmp_path / "none", *honest))
    worse = hidden(*[300.0] * 50)
    board = fill(
        tmp_path / "some",
        make_row(hidden=hidden(400.0, 500.0)),
        make_row(seed=1, returns=(500.0,) * 2, hidden=hidden(500.0, 460.0)),
        make_row(seed=2),
        make_row("ppo-mlp"),
        make_row("dqsn", returns=(400.0, 410.0) * 25, hidden=worse),
        make_row("dqsn", seed=1, returns=(400.0, 410.0) * 25, hidden=worse),
    )
    shown = {row.agent: row.hidden_cell() for row in table_rows(board)}
    assert shown == {"ppo-lif": "465.0", "ppo-mlp": "–", "dqsn": "300.0 § 2"}
    text = render_table(board)
    assert "\n§ Number of training runs whose public score is significantly higher" in text
    assert "\n| Hidden seeds | " in text.split("## Columns")[1]
    lines = [line for line in text.splitlines() if line.startswith(("| Agent | Seeds", "| dqsn"))]
    assert len({line.count("|") for line in lines}) == 1


def test_edited_hidden_means_are_detected(template, tmp_path, in_process):
    board = tmp_path / "board"
    path = verify(template.write(tmp_path / "s"), board, SETTINGS, salt=SALT)
    content = json.loads(path.read_text())
    content["hidden"]["score"]["mean"] += 1.0
    path.write_text(json.dumps(content, indent=2) + "\n")
    assert audit(board)
    (board / DIGESTS_NAME).unlink()
    forge_chain(board)  # even where all digests are written anew
    (problem,) = audit(board)
    assert "mean is" in problem


def no_salt(path):
    """Make no salt file."""


def short(path):
    path.write_bytes(SALT[:-1])


def huge(path):
    path.write_bytes(SALT * 1000)


def link(path):
    path.with_name("elsewhere").write_bytes(SALT)
    path.symlink_to(path.with_name("elsewhere"))


def second_name(path):
    path.with_name("elsewhere").write_bytes(SALT)
    path.hardlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_salt, "is missing"),
        (Path.mkdir, "is a folder"),
        (short, "has 31 bytes; expected at least 32"),
        (huge, "has 32000 bytes; expected at most 4096"),
        (link, "is a symbolic link"),
        (second_name, "hard links"),
    ],
)
def test_bad_salts_are_refused_in_one_line(make, message, tmp_path, capsys):
    make(tmp_path / "salt")
    board = tmp_path / "board"
    words = ["verify", "--salt", str(tmp_path / "salt"), "--leaderboard", str(board)]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "head -c 32 /dev/urandom > FILE" in said
    assert said.count("\n") == 1
    assert not board.exists()


@pytest.mark.parametrize("place", ["repository/leaderboard/salt", "repository/salt", "way/salt"])
def test_public_salts_are_refused(place, tmp_path, capsys):
    board = tmp_path / "repository" / "leaderboard"
    board.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    (tmp_path / "way").symlink_to(board)
    (tmp_path / place).write_bytes(SALT)
    (tmp_path / "good").write_bytes(SALT)
    words = ["verify", "--leaderboard", str(board), "--salt"]
    assert main([*words, str(tmp_path / place)]) == 2
    assert "which is public; move it elsewhere" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "good")]) == 0
    (tmp_path / "repository" / ".git").rmdir()
    inside = "leaderboard" in place or "way" in place
    assert main([*words, str(tmp_path / place)]) == (2 if inside else 0)


def test_a_short_salt_is_refused_in_python():
    with pytest.raises(ValueError, match="has 31 bytes"):
        hidden_seeds(SALT[:-1], DIGEST, 1)


def test_actions_on_stored_rows_exclude_each_other(tmp_path, capsys):
    (tmp_path / "salt").write_bytes(SALT)
    words = ["verify", "--salt", str(tmp_path / "salt"), "--leaderboard", str(tmp_path / "board")]
    for other in ("--again", "--retrain"):
        assert main([*words, other]) == 2
        assert "one of --again, --retrain, --salt, --curves, --faults" in capsys.readouterr().err
