"""Tests of `verify --check` of a stored leaderboard: every edit is named."""

import json
import os
import re
import shutil

import numpy as np
import pytest

from snn_gym.cli import main
from snn_gym.leaderboard import check_board, write_table
from snn_gym.leaderboard.results import list_rows
from snn_gym.leaderboard.statistics import interquartile_mean
from tests.leaderboard.helpers import (
    BOARD,
    SETTINGS,
    edit_row,
    line_of,
    row_file,
    stored_row,
    weights_file,
)


def edited(*, sealed=False, **changes):
    return lambda board: edit_row(board, sealed=sealed, **changes)


def returns_of(board):
    (row,) = list_rows(board)
    return row.score.returns


def better(board, *, sealed=False):
    returns = [x + 1 for x in returns_of(board)]
    score = {"iqm": interquartile_mean(returns), "mean": float(np.mean(returns))}
    edit_row(board, sealed=sealed, score={**score, "returns": " ".join(map(repr, returns))})


def one_return(board, *, by=1e-12, sealed=False):
    first, *others = returns_of(board)
    returns = " ".join(map(repr, [first + by, *others]))
    edit_row(board, sealed=sealed, score=stored_row(board)["score"] | {"returns": returns})


def flipped(board):
    path = weights_file(board)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def moved(name):
    """Return a function that moves the rows to the file of another environment."""
    return lambda board: row_file(board).rename(board / "results" / name)


def copied(board):
    with row_file(board).open("a") as file:
        file.write(line_of(stored_row(board) | {"seed": 77}))
    shutil.copy(weights_file(board), weights_file(board).with_name("77.safetensors"))


def doubled(board):
    path = row_file(board)
    path.write_text(2 * path.read_text())


def linked(board):
    path = row_file(board)
    path.rename(board.parent / "elsewhere.jsonl")
    path.symlink_to(board.parent / "elsewhere.jsonl")


def stranger(board):
    row_file(board).with_name("notes.txt").write_text("")


def polished(board):
    path = board / "README.md"
    path.write_text(re.sub(r"\d", lambda digit: str(9 - int(digit[0])), path.read_text(), count=1))


TAMPERED = {
    "better returns": better,
    "one return, by 1e-12": one_return,
    "another mean": lambda board: one_return(board, by=5.0, sealed=True),
    "fewer steps": edited(steps=7),
    "lower costs": edited(costs={"synops_per_decision": {"hidden_1": 1.0}}),
    "fewer parameters": edited(parameters=1),
    "another class": edited(budget_class="evolutionary"),
    "another date": edited(verified="2020-01-01T00:00:00Z"),
    "other packages": edited(packages={"torch": "9.9"}),
    "other seeding": edited(seeding="consecutive"),
    "other hash": edited(content_sha256="0" * 64, sealed=True),
    "another weight": flipped,
    "another seed": edited(seed=78, sealed=True),
    "another agent": edited(agent="ppo-mlp", sealed=True),
    "another task": moved("Acrobot-v1.jsonl"),
    "a copy": copied,
    "a line twice": doubled,
    "a row deleted": lambda board: row_file(board).unlink(),
    "weights deleted": lambda board: weights_file(board).unlink(),
    "a link": linked,
    "a further file": stranger,
    "further weights": lambda board: shutil.copy(
        weights_file(board), weights_file(board).with_name("9.safetensors")
    ),
    "another table": polished,
    "another digest": lambda board: row_file(board).write_text(
        row_file(board).read_text()[:-4] + 'x"}\n'
    ),
}


def test_a_verified_leaderboard_passes(board, capsys):
    assert check_board(board) == ()
    assert main(["verify", "--check", "--leaderboard", str(board)]) == 0
    assert capsys.readouterr().out == f"{board} is as it was verified\n"


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=list(TAMPERED))
def test_every_edit_of_a_leaderboard_is_reported(tamper, board, capsys):
    tamper(board)
    problems = check_board(board)
    assert problems
    assert all(
        "\n" not in x and ("results/" in x or "weights/" in x or "README.md" in x or "seed" in x)
        for x in problems
    )
    assert main(["verify", "--check", "--leaderboard", str(board)]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == list(problems)
    assert said.err.startswith("snn-gym: problems in ")


def test_a_row_of_another_class_than_its_agents_is_reported(board):
    """A table of its own would have no rivals, and budgets of its own."""
    edit_row(board, budget_class="evolutionary")
    write_table(board)
    (problem,) = check_board(board)
    assert "budget_class is evolutionary, but that of its agent and weights is gradient" in problem


def test_rows_can_be_reevaluated(board, capsys, monkeypatch):
    seeds = SETTINGS.seeds
    monkeypatch.setattr("snn_gym.leaderboard.stored_rows.evaluation_seeds", lambda _: seeds)
    assert main(["verify", "--check", "--play", "--leaderboard", str(board)]) == 0
    assert "the same returns\n1 rows hold, 0 do not\n" in capsys.readouterr().out
    better(board, sealed=True)  # whoever writes the digest anew is found by playing
    write_table(board)
    assert check_board(board) == ()
    assert main(["verify", "--check", "--play", "--leaderboard", str(board)]) == 2
    said = capsys.readouterr()
    assert "0 rows hold, 1 do not\n" in said.out
    assert "1 rows do not hold" in said.err


@pytest.mark.parametrize(
    "changes",
    [
        {"synops_per_decision": {"hidden_1": 4.8}},
        {"macs_per_decision": {}, "neuron_updates_per_decision": {}},
        "1*3",
    ],
    ids=["few SynOps", "no other operations", "short episodes"],
)
def test_playing_again_finds_edited_costs_and_lengths(changes, board, capsys, monkeypatch):
    seeds = SETTINGS.seeds
    monkeypatch.setattr("snn_gym.leaderboard.stored_rows.evaluation_seeds", lambda _: seeds)
    costs = stored_row(board)["costs"]
    edit_row(
        board, **({"lengths": changes} if isinstance(changes, str) else {"costs": costs | changes})
    )
    write_table(board)
    assert check_board(board) == ()
    assert main(["verify", "--check", "--play", "--leaderboard", str(board)]) == 2
    assert "the same returns of other lengths or costs: " in capsys.readouterr().out


MALFORMED = {
    "NaN": ('"steps":512', '"steps":NaN'),
    "infinite": ('"iqm":', '"iqm":1e999,"mean":'),
    "key twice": ('"seed":0,', '"seed":7,"seed":0,'),
    "key twice, nested": ('"mean":', '"mean":500.0,"mean":'),
    "no integer": ('"seed":0,', '"seed":0.0,'),
    "endless returns": ('"returns":"', '"returns":"1*99999999 '),
    "no returns": ('"returns":"', '"returns":" '),
    "returns that are no numbers": ('"returns":"', '"returns":"nan '),
}


@pytest.mark.parametrize(("old", "new"), MALFORMED.values(), ids=list(MALFORMED))
def test_numbers_and_keys_that_json_readers_read_differently_are_refused(old, new, board):
    text = json.dumps(stored_row(board), separators=(",", ":"))
    assert old in text
    row_file(board).write_text(line_of(text.replace(old, new, 1)))
    problem, *_ = check_board(board)
    assert problem.startswith("results/CartPole-v1.jsonl, line 1")


def test_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no folder; expected a leaderboard"):
        check_board(tmp_path / "none")


@pytest.mark.slow
def test_the_committed_leaderboard_passes():
    assert check_board(BOARD) == ()


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_table_that_is_no_regular_file_is_reported_without_waiting(put, board, capsys):
    (board / "README.md").unlink()
    put(board / "README.md")
    (problem,) = check_board(board)
    assert problem.startswith("README.md ")
    assert main(["table", "--leaderboard", str(board)]) == 2
    assert capsys.readouterr().err.startswith("snn-gym: README.md ")
