"""Tests of commands on stored agents: output and error lines."""

from dataclasses import replace

import numpy as np
import pytest

from snn_gym.cli import main
from snn_gym.leaderboard.pretrained import list_trained
from snn_gym.training.run import EPISODES_FILE
from tests.cli.test_cli import refused
from tests.leaderboard.test_table import fill, make_row
from tests.training._runs import run


def columns(out):
    """Return the cells of a printed table, by line."""
    table = out.partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("  ") if cell] for line in table.splitlines()]


def test_pretrained_lists_all_loadable_agents(capsys):
    assert main(["pretrained"]) == 0
    header, *lines = columns(capsys.readouterr().out)
    assert header == [
        "agent", "environment", "seeds", "median", "return", "operations per decision",
        "SynOps per decision", "parameters",
    ]  # fmt: skip
    found = {(x.agent, x.environment): x for x in list_trained()}
    assert [tuple(line[:2]) for line in lines] == list(found)
    for agent, env_id, _, seed, mean, operations, synops, parameters in lines:
        row = found[agent, env_id].row()
        assert int(seed) == row.seed
        assert float(mean) == pytest.approx(row.score.mean, abs=0.051)
        count = row.costs.operations_per_decision
        assert operations in ((shown := f"{count:,.1f}"), f"({shown})")
        count = sum(row.costs.synops_per_decision.values())
        shown = f"{count:,.1f}"
        assert synops in ((shown, f"({shown})") if row.costs.synops_per_decision else ("–",))
        assert parameters == f"{row.parameters:,}"


def test_pretrained_filters(capsys, tmp_path):
    board = str(
        fill(
            tmp_path,
            *(make_row(seed=seed, returns=(float(seed),)) for seed in (0, 1, 2, 4)),
            make_row("ppo-mlp"),
            make_row(environment="Acrobot-v1"),
        )
    )
    assert main(["pretrained", "--leaderboard", board, "--agent", "ppo-lif"]) == 0
    _, *lines = columns(capsys.readouterr().out)
    assert [line[:4] for line in lines] == [
        ["ppo-lif", "Acrobot-v1", "0", "0"],
        ["ppo-lif", "CartPole-v1", "0-2, 4", "1"],
    ]
    assert main(["pretrained", "--leaderboard", board, "--env", "CartPole-v1"]) == 0
    _, *lines = columns(capsys.readouterr().out)
    assert [line[0] for line in lines] == ["ppo-lif", "ppo-mlp"]


def test_costs_of_claims_decide_nothing(capsys, tmp_path):
    native = replace(make_row().recipe, numerics="native")
    claims = [make_row(seed=seed, recipe=native, trained_again=None) for seed in range(5)]
    trained = [make_row("ppo-mlp", seed=seed) for seed in range(5)]
    board = ["--leaderboard", str(fill(tmp_path, *claims, *trained))]
    assert main(["compare", "ppo-lif", "ppo-mlp", "--env", "CartPole-v1", *board]) == 0
    assert "no second training gave weights of ppo-lif" in capsys.readouterr().out


def test_rows_that_do_not_rank_are_not_compared(capsys, tmp_path):
    rows = [make_row(seed=0, seeding="consecutive"), make_row("ppo-mlp")]
    board = ["--leaderboard", str(fill(tmp_path, *rows))]
    words = ["compare", "ppo-lif", "ppo-mlp", "--env", "CartPole-v1", *board]
    assert "consecutive seeding, expected disjoint" in refused(capsys, *words)


@pytest.mark.check
def test_compare_prints_and_draws_both_agents(capsys, tmp_path):
    board = fill(tmp_path / "board", *(make_row("ppo-lif", seed) for seed in range(5)))
    fill(board, make_row("ppo-mlp"))
    words = ["compare", "ppo-lif", "ppo-mlp", "--env", "CartPole-v1", "--leaderboard", str(board)]
    assert main([*words, "--save", str(tmp_path / "pictures" / "both.v1.svg")]) == 0
    out = capsys.readouterr().out
    header, *lines = columns(out)
    assert header == ["CartPole-v1", "ppo-lif", "ppo-mlp"]
    assert ["seeds", "0-4", "0"] in lines
    assert ["mean return", "451.0", "–"] in lines
    counts = [line for line in lines if line[0].startswith(("Operations", "SynOps"))]
    assert counts == [
        ["Operations per decision", "1,034.0", "384.0"], ["SynOps per decision", "650.0", "–"],
    ]  # fmt: skip
    assert "too few to test: 5 and 1 seeds, and a test needs 5 of each" in out
    assert out.endswith(f"picture: {tmp_path / 'pictures' / 'both.v1.svg'}\n")
    assert (tmp_path / "pictures" / "both.v1.svg").read_text().startswith("<?xml")


def test_compare_shows_the_learning_curves_of_runs(capsys, tmp_path):
    run("ppo-mlp", tmp_path / "long", steps=600)
    run("ppo-mlp", tmp_path / "short", steps=256)
    sides = [str(tmp_path / name) for name in ("long", "short")]
    assert main(["compare", *sides, "--episodes", "2"]) == 0
    _, *lines = columns(capsys.readouterr().out)
    read = {line[0]: line[1:] for line in lines if line[0].startswith("training return")}
    assert [int(name.split()[-1].replace(",", "")) for name in read] == [192, 384, 576, 768]
    episodes = np.loadtxt(tmp_path / "long" / EPISODES_FILE, delimiter=",", skiprows=1)
    last = f"{episodes[-20:, 1].mean():.1f}"
    assert read["training return at 768"] == [last, "–"]
    assert read["training return at 192"][1] != "–"
    # Every episode of CartPole-v1 earns 1 and more, so the twentieth decides.
    assert ["steps until learned (475.0)", "> 768", "> 256"] in lines
    assert main(["compare", *sides, "--episodes", "2", "--threshold", "1"]) == 0
    learned = dict(line[:2] for line in columns(capsys.readouterr().out))
    assert 0 <= int(learned["steps until learned (1.0)"]) - episodes[19, 0] <= 16


def test_agents_are_compared_by_a_price(capsys, tmp_path):
    board = fill(tmp_path, make_row(), make_row("ppo-mlp"))
    words = ["compare", "ppo-lif", "ppo-mlp", "--env", "CartPole-v1", "--leaderboard", str(board)]
    assert main([*words, "--cost", "loihi"]) == 0
    # 650 SynOps, 256 MACs and 128 updates, 15 spikes; there are no messages in these rows.
    spent = f"{(650 + 256) * 35.5 + 128 * 72.8 + 15 * 69.3:,.1f}"
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("loihi (pJ)"))
    assert line.split()[-2] == spent
    error = refused(capsys, *words, "--cost", "joules")
    assert "the cost 'joules' is unknown; known: operations, cmos45, loihi" in error
