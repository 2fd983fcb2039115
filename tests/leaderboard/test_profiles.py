"""Performance profiles, by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard import render_table, table_rows
from snn_gym.leaderboard.comparison import LEVELS, PROFILE_COLUMNS, profiles
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.table import summaries
from tests.leaderboard.test_table import fill, make_row

ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1")


def seeds(agent: str, environment: str, *normalised: float, **changes: object) -> list[Row]:
    """Return a row for each normalised score."""
    reference = load_environment_spec(environment).reference
    way = reference.solved - reference.random
    returns = [reference.random + share * way for share in normalised]
    return [
        make_row(agent, seed=seed, environment=environment, returns=(x, x), **changes)
        for seed, x in enumerate(returns)
    ]


def test_a_profile_by_hand(tmp_path: Path) -> None:
    board = fill(
        tmp_path,
        *seeds("ppo-lif", "CartPole-v1", 0.1, 0.6, 0.6, 0.8, 0.95),
        *seeds("ppo-lif", "Acrobot-v1", 0.8, 0.8, 0.8, 0.8, 1.1),
        *(row for name in ENVIRONMENTS for row in seeds("ppo-mlp", name, *[0.5] * 5)),
    )
    spiking, twin = profiles(table_rows(board))
    assert [profile.rows[0].agent for profile in (spiking, twin)] == ["ppo-lif", "ppo-mlp"]
    # Of five seeds 4, 4, 2, 1 and 0 on one, 5, 5, 5, 1 and 1 on the other.
    shares = [spiking.share(level)[0] for level in LEVELS]
    assert shares == pytest.approx([0.9, 0.9, 0.7, 0.2, 0.1])
    # Two of five, and all of five: variance 0.3 of the one, so 0.3 / 5 / 4 of the mean, and four
    # degrees of freedom; t(0.975, 4) = 2.77644511. The upper bound is above 1.
    share, low, high = spiking.share(0.75)
    assert low == pytest.approx(share - 2.77644511 * math.sqrt(0.3 / 5 / 4))
    assert high == 1.0
    assert twin.share(0.5) == (1.0, 1.0, 1.0)  # "at least"
    assert twin.share(0.75) == (0.0, 0.0, 0.0)
    assert spiking.cells()[:4] == ("ppo-lif", "ppo-mlp", "Acrobot-v1, CartPole-v1", "10")
    assert spiking.cells()[6] == "0.70 (0.36 to 1.00)"
    assert len(spiking.cells()) == len(PROFILE_COLUMNS)
    text = render_table(board)
    assert text.index("## Across environments") < text.index("## Columns")
    assert "| ppo-lif | ppo-mlp | Acrobot-v1, CartPole-v1 | 10 | 0.90 (" in text


def test_only_environments_where_both_have_seeds_enough_count(tmp_path: Path) -> None:
    board = fill(
        tmp_path,
        *(row for name in ENVIRONMENTS for row in seeds("ppo-lif", name, *[0.5] * 5)),
        *seeds("ppo-mlp", "CartPole-v1", *[0.5] * 5),
        *seeds("ppo-mlp", "Acrobot-v1", *[0.5] * 4),
        *seeds("a2c-lif", "CartPole-v1", *[0.5] * 5),  # without its twin
        *seeds("ppo-lif", "Pendulum-v1", *[0.5] * 5, environment_version=99),
        *seeds("ppo-mlp", "Pendulum-v1", *[0.5] * 5, environment_version=99),
    )
    assert list(profiles(table_rows(board))) == []
    assert "Across environments" not in render_table(board)
    fill(board, make_row("ppo-mlp", seed=9, environment="Acrobot-v1", returns=(-80.0, -80.0)))
    assert [len(profile.rows) for profile in profiles(table_rows(board))] == [2, 2]


def test_shared_streams_are_marked() -> None:
    rows = [
        *seeds("ppo-lif", "CartPole-v1", *[0.5] * 5, seeding="consecutive"),
        *seeds("ppo-lif", "Acrobot-v1", *[0.5] * 5),
        *(row for name in ENVIRONMENTS for row in seeds("ppo-mlp", name, *[0.5] * 5)),
    ]
    marked, clean = (" ".join(profile.cells()) for profile in profiles(summaries(rows)))
    assert marked.count("†") == len(LEVELS)
    assert "†" not in clean


def test_a_pair_of_the_leaderboard_shares_its_environments() -> None:
    root = checkout_root()
    assert root is not None
    found = list(profiles(table_rows(root / "leaderboard")))
    assert found
    for agent, twin in zip(found[::2], found[1::2], strict=True):
        assert agent.rows[0].twin == twin.rows[0].agent
        assert [x.environment for x in agent.rows] == [x.environment for x in twin.rows]
