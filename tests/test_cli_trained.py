"""Commands on trained agents: what they print, and one line for bad input."""

import pytest

import snn_gym.scoring.pretrained as home
from snn_gym.cli import main
from snn_gym.scoring.pretrained import list_trained
from snn_gym.scoring.results import row_path
from tests.scoring.test_table import fill, make_row
from tests.test_cli import refused


def columns(out):
    """Return the cells of a printed table, by line."""
    table = out.partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("  ") if cell] for line in table.splitlines()]


def test_pretrained_lists_what_load_pretrained_gives(capsys):
    assert main(["pretrained"]) == 0
    header, *lines = columns(capsys.readouterr().out)
    assert header == [
        "agent", "environment", "seeds", "median", "return", "SynOps per decision", "size",
    ]  # fmt: skip
    found = {(x.agent, x.environment): x for x in list_trained()}
    assert [tuple(line[:2]) for line in lines] == list(found)
    for agent, env_id, _, seed, mean, synops, size in lines:
        row = found[agent, env_id].row()
        assert int(seed) == row.seed
        assert float(mean) == pytest.approx(row.score.mean, abs=0.051)
        operations = sum(row.synops_per_decision.values())
        assert synops == (f"{operations:,.1f}" if row.synops_per_decision else "–")
        path = row_path(home._board(None), agent, env_id, row.seed).with_suffix(".safetensors")
        assert size == f"{path.stat().st_size / 1000:.1f} kB"


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pretrained --agent ppo-lfi", "'ppo-lfi'; did you mean 'ppo-lif'? there are: a2c-lif"),
        ("pretrained --env Cartpole-v1", "did you mean 'CartPole-v1'? there are some for: Acrob"),
        ("pretrained --leaderboard nowhere", "the results table is empty; train one with"),
    ],
)
def test_bad_input_gets_one_line(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *words.split())
