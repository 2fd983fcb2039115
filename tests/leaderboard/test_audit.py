"""Tests of the audit of a stored leaderboard: every edit is named."""

import json
import os
import re
import shutil

import pytest

from snn_gym import load_pretrained
from snn_gym.cli import main
from snn_gym.export import count_instructions
from snn_gym.leaderboard import audit, write_table
from snn_gym.leaderboard.results import DIGESTS_NAME
from tests.leaderboard.helpers import BOARD, SETTINGS, forge_chain


def row_of(board):
    (path,) = board.glob("results/*/*/*.json")
    return path


def edited(**changes):
    def edit(board):
        path = row_of(board)
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}, indent=2) + "\n")

    return edit


def better(board):
    row = json.loads(row_of(board).read_text())
    returns = [value + 1 for value in row["score"]["returns"]]
    score = {"iqm": row["score"]["iqm"] + 1, "mean": row["score"]["mean"] + 1, "returns": returns}
    edited(score=score)(board)


def one_return(board):
    score = json.loads(row_of(board).read_text())["score"]
    score["returns"][0] += 1e-12
    edited(score=score)(board)


def flipped(board):
    path = row_of(board).with_suffix(".safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def moved(name):
    """Return a function that moves the row, weights or folder to another seed, agent or task."""

    def move(board):
        path = row_of(board)
        other = board / "results" / name
        other.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".json", ".safetensors"):
            path.with_suffix(suffix).rename(other.with_suffix(suffix))

    return move


def copied(board):
    path = row_of(board)
    row = {**json.loads(path.read_text()), "seed": 77}
    path.with_name("77.json").write_text(json.dumps(row))
    shutil.copy(path.with_suffix(".safetensors"), path.with_name("77.safetensors"))


def without(*suffixes):
    def delete(board):
        for suffix in suffixes:
            row_of_stem = next(board.glob(f"results/*/*/*{suffix}"))
            row_of_stem.unlink()

    return delete


def linked(board):
    path = row_of(board)
    path.rename(board.parent / "elsewhere.json")
    path.symlink_to(board.parent / "elsewhere.json")


def stranger(board):
    row_of(board).with_name("notes.txt").write_text("")


def polished(board):
    path = board / "README.md"
    path.write_text(re.sub(r"\d", lambda digit: str(9 - int(digit[0])), path.read_text(), count=1))


def forgotten(board):
    (board / DIGESTS_NAME).unlink()


def rehashed(board):
    """Change a return and the digests, but not the values that depend on the return."""
    one = json.loads(row_of(board).read_text())["score"]
    one["returns"][0] += 5.0
    edited(score=one)(board)
    forgotten(board)
    forge_chain(board)


TAMPERED = {
    "better returns": better,
    "one return, by 1e-12": one_return,
    "another mean": rehashed,
    "fewer steps": edited(steps=7),
    "lower costs": edited(synops_per_decision={"hidden_1": 1.0}),
    "fewer parameters": edited(parameters=1),
    "another class": edited(budget_class="evolutionary"),
    "another date": edited(verified="2020-01-01T00:00:00Z"),
    "other packages": edited(packages={"torch": "9.9"}),
    "other seeding": edited(seeding="consecutive"),
    "other hash": edited(content_sha256="0" * 64),
    "another weight": flipped,
    "another seed": moved("ppo-lif/CartPole-v1/78.json"),
    "another agent": moved("ppo-mlp/CartPole-v1/0.json"),
    "a copy": copied,
    "a row deleted": without(".json"),
    "weights deleted": without(".safetensors"),
    "both deleted": without(".json", ".safetensors"),
    "a link": linked,
    "a further file": stranger,
    "another table": polished,
    "no chain": forgotten,
}


def test_a_verified_leaderboard_passes(board, capsys):
    assert audit(board) == ()
    assert main(["audit", "--leaderboard", str(board)]) == 0
    assert capsys.readouterr().out == f"{board} is as it was verified\n"


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=list(TAMPERED))
def test_every_edit_of_a_leaderboard_is_reported(tamper, board, capsys):
    tamper(board)
    problems = audit(board)
    assert problems
    assert all("\n" not in x and ("results/" in x or "README.md" in x) for x in problems)
    assert main(["audit", "--leaderboard", str(board)]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == list(problems)
    assert said.err.startswith("snn-gym: problems in ")


def counted(board, *counts, digest=None, target="host"):
    """Write one or more counts of instructions of the row's weights."""
    digest = digest or json.loads(row_of(board).read_text())["weights_sha256"]
    lines = "".join(f"{digest},{target},{count}\n" for count in counts)
    (board / "instructions.csv").write_text("weights_sha256,target,instructions\n" + lines)


COUNTS = {
    "not a number": (("nan",), {}),
    "infinite": (("inf",), {}),
    "negative": (("-5",), {}),
    "zero": (("0.0",), {}),
    "another alphabet": (("١٢٣٤٥",), {}),
    "underscores": (("9_9999",), {}),
    "twice": (("20000", "30000"), {}),
    "an unknown target": (("20000",), {"target": "z80"}),
    "another row's": (("20000",), {"digest": "0" * 64}),
    "no digest": (("20000",), {"digest": "mine"}),
    "fewer than its operations allow": (("1.5",), {}),
}


@pytest.mark.parametrize(("counts", "of"), COUNTS.values(), ids=list(COUNTS))
def test_counts_that_no_weights_have_are_reported(counts, of, board):
    counted(board, *counts, **of)
    (problem,) = audit(board)
    assert "instructions.csv" in problem
    assert "\n" not in problem


def test_the_audit_says_that_it_counted_no_instructions(board, capsys):
    counted(board, "20000.5")
    assert audit(board) == ()
    assert main(["audit", "--leaderboard", str(board)]) == 0
    assert capsys.readouterr().out == (
        f"{board} is as it was verified\n"
        "instructions not counted again: 1; `snn-gym verify --instructions` does\n"
    )


def test_verify_says_what_it_could_not_count_again(board, capsys, monkeypatch):
    counted(board, "20000.5")
    monkeypatch.setenv("PATH", "")
    assert main(["verify", "--leaderboard", str(board), "--instructions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "0.json: host not counted again: cc is not installed, and counting" in lines[0]
    assert lines[1:] == ["1 rows hold or were not counted again, 0 do not hold"]


needs_valgrind = pytest.mark.skipif(
    shutil.which("cc") is None or shutil.which("valgrind") is None,
    reason="a compiler or valgrind is not installed",
)


@needs_valgrind
@pytest.mark.slow
def test_verify_counts_instructions_again(board, capsys):
    row = json.loads(row_of(board).read_text())
    model = load_pretrained(row["agent"], row["environment"], row["seed"], leaderboard=board)
    honest = count_instructions(model, row["environment"], "host").per_decision
    for factor, status in ((1.0, 0), (0.7, 2)):
        counted(board, f"{factor * honest:.9g}")
        assert audit(board) == ()
        assert main(["verify", "--leaderboard", str(board), "--instructions"]) == status
        said = capsys.readouterr().out
        shown, stored = re.search(r"host: ([0-9.]+) counted, ([0-9.]+) stored", said).groups()
        assert float(shown) == pytest.approx(honest)
        assert float(stored) == pytest.approx(factor * honest)


def test_line_of_a_broken_chain_is_named(board):
    path = board / DIGESTS_NAME
    path.write_text("0" + path.read_text()[1:].replace("a", "b"))
    (problem,) = audit(board)
    assert problem.startswith(f"line 1 of {DIGESTS_NAME} does not follow from the one before")


def test_a_row_of_another_class_than_its_agents_is_reported(board):
    """A table of its own would have no rivals, and budgets of its own."""
    edited(budget_class="evolutionary")(board)
    forgotten(board)
    forge_chain(board)
    write_table(board)
    (problem,) = audit(board)
    assert "budget_class is evolutionary, but that of its agent and weights is gradient" in problem


def test_rows_can_be_reevaluated(board, capsys, monkeypatch):
    seeds = SETTINGS.seeds
    monkeypatch.setattr("snn_gym.leaderboard.reevaluation.evaluation_seeds", lambda _: seeds)
    files = {path: path.read_bytes() for path in board.rglob("*") if path.is_file()}
    assert main(["audit", "--leaderboard", str(board), "--evaluate"]) == 0
    assert "the same returns\n1 rows hold, 0 do not\n" in capsys.readouterr().out
    better(board)
    forgotten(board)
    forge_chain(board)  # whoever writes all digests anew is found by playing
    write_table(board)
    assert audit(board) == ()
    assert main(["audit", "--leaderboard", str(board), "--evaluate"]) == 2
    said = capsys.readouterr()
    assert "0 rows hold, 1 do not\n" in said.out
    assert "1 rows do not hold" in said.err
    row_of(board).write_bytes(files[row_of(board)])


@pytest.mark.parametrize(
    "changes",
    [
        {"synops_per_decision": {"hidden_1": 4.8}},
        {"macs_per_decision": {}, "neuron_updates_per_decision": {}},
        {"lengths": [1, 1, 1]},
    ],
    ids=["few SynOps", "no other operations", "short episodes"],
)
def test_playing_again_finds_edited_costs_and_lengths(changes, board, capsys, monkeypatch):
    seeds = SETTINGS.seeds
    monkeypatch.setattr("snn_gym.leaderboard.reevaluation.evaluation_seeds", lambda _: seeds)
    edited(**changes)(board)
    forgotten(board)
    forge_chain(board)
    write_table(board)
    assert audit(board) == ()
    assert main(["audit", "--leaderboard", str(board), "--evaluate"]) == 2
    assert "the same returns of other lengths or costs: " in capsys.readouterr().out


SOUND = '"seed": 0,'
MALFORMED = {
    "NaN": ('"steps": 256', '"steps": NaN'),
    "infinite": ('"iqm": ', '"iqm": 1e999, "mean": '),
    "key twice": (SOUND, '"seed": 7, "seed": 0,'),
    "key twice, nested": ('"mean": ', '"mean": 500.0, "mean": '),
    "no integer": (SOUND, '"seed": 0.0,'),
}


@pytest.mark.parametrize(("old", "new"), MALFORMED.values(), ids=list(MALFORMED))
def test_numbers_and_keys_that_json_readers_read_differently_are_refused(old, new, board):
    text = row_of(board).read_text()
    assert old in text
    row_of(board).write_text(text.replace(old, new, 1))
    forgotten(board)
    forge_chain(board)
    (problem,) = audit(board)
    assert problem.startswith("results/ppo-lif/CartPole-v1/0.json")


def test_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no folder; expected a leaderboard"):
        audit(tmp_path / "none")


def test_committed_leaderboard_passes_the_audit():
    assert audit(BOARD) == ()


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_table_that_is_no_regular_file_is_reported_without_waiting(put, board, capsys):
    (board / "README.md").unlink()
    put(board / "README.md")
    (problem,) = audit(board)
    assert problem.startswith("README.md ")
    assert main(["table", "--leaderboard", str(board)]) == 2
    assert capsys.readouterr().err.startswith("snn-gym: README.md ")
