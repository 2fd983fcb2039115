"""Tests of the choice of trained agents in the wheel."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.leaderboard import shipping
from snn_gym.leaderboard.results import DIGESTS_NAME, RESULTS_FOLDER, write_row
from snn_gym.leaderboard.shipping import (
    LARGEST_WEIGHTS_BYTES,
    MOST_BYTES,
    median_seed,
    shipped_files,
)
from tests.leaderboard.helpers import BOARD
from tests.leaderboard.test_table import make_row


@pytest.mark.parametrize(
    ("means", "seed"),
    [
        ({7: 1.0}, 7),
        ({0: 3.0, 1: 1.0, 2: 2.0}, 2),
        ({0: 4.0, 1: 1.0, 2: 3.0, 3: 2.0}, 3),  # the lower middle one
        ({3: 5.0, 1: 5.0, 2: 5.0}, 2),  # of equal ones the smaller seed is first
    ],
)
def test_the_median_by_hand(means, seed):
    assert median_seed(means) == seed


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_half_of_the_seeds_reach_the_median(returns):
    median = returns[median_seed(dict(enumerate(returns)))]
    assert 2 * sum(x >= median for x in returns) >= len(returns)
    assert 2 * sum(x <= median for x in returns) >= len(returns)


def board(folder, *rows):
    for row, size in rows:
        write_row(folder, row, bytes(size))
    return folder


def test_small_median_weights_are_chosen_up_to_the_size_limit(tmp_path):
    means = (10.0, 30.0, 20.0)
    rows = [
        (make_row(agent, seed, returns=(mean,)), size)
        for agent, size in (("ppo-mlp", 3000), ("dqsn", 2000), ("ppo-lif", 100_001))
        for seed, mean in enumerate(means)
    ]
    files = shipped_files(board(tmp_path, *rows))
    places = ["results/dqsn/CartPole-v1/2", "results/ppo-mlp/CartPole-v1/2"]
    pairs = [[f"{place}.json", f"{place}.safetensors"] for place in places]
    assert [file.as_posix() for file in files] == [DIGESTS_NAME, *pairs[0], *pairs[1]]
    total = sum((tmp_path / file).stat().st_size for file in files)
    assert shipped_files(tmp_path, most_bytes=total) == files
    assert shipped_files(tmp_path, most_bytes=total - 1) == files[:3]


def test_plan_is_shipped(tmp_path):
    (tmp_path / "plan.toml").write_text("")
    files = shipped_files(board(tmp_path, (make_row(), 10)))
    assert [file.as_posix() for file in files[:2]] == [DIGESTS_NAME, "plan.toml"]


def test_leaderboards_without_a_chain_ship_no_agents(tmp_path):
    assert shipped_files(tmp_path) == ()


def test_small_weights_are_shipped_within_the_limit():
    folder = BOARD
    files = shipped_files(folder)
    total = sum((folder / file).stat().st_size for file in files)
    assert total <= MOST_BYTES == 3_000_000
    small = {
        path.parent: path.stat().st_size
        for path in (folder / RESULTS_FOLDER).rglob("*.safetensors")
        if path.stat().st_size <= LARGEST_WEIGHTS_BYTES
    }
    chosen = {(folder / file).parent for file in files if file.suffix == ".safetensors"}
    left_out = small.keys() - chosen
    assert chosen <= small.keys()
    largest_row = 20_000
    assert not left_out or total + min(small[x] for x in left_out) + largest_row > MOST_BYTES


def test_build_needs_only_the_standard_library():
    """The build environment has neither numpy nor the package."""
    code = (
        "import pathlib, runpy, sys; shipped = runpy.run_path(sys.argv[1])['shipped_files'];"
        "print(len(shipped(pathlib.Path(sys.argv[2]))))"
    )
    words = [shipping.__file__, str(BOARD)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == len(shipped_files(BOARD))
