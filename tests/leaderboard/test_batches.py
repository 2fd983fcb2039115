"""Tests of the choice of trained agents in the wheel."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.storage import dump_tensors
from snn_gym.leaderboard import batches
from snn_gym.leaderboard.batches import (
    LARGEST_WEIGHTS_BYTES,
    MOST_BYTES,
    file_of_seed,
    join_seeds,
    median_seed,
    shipped_weights,
)
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.results import verified_weights, write_row
from tests.leaderboard.helpers import BOARD
from tests.leaderboard.test_table import WEIGHTS, make_row


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


@given(
    st.dictionaries(
        st.integers(0, 99),
        st.dictionaries(st.text("ab.", min_size=1), st.integers(0, 5), min_size=1),
        min_size=1,
        max_size=4,
    )
)
def test_files_are_found_again_byte_for_byte(sizes):
    kinds = (np.float32, np.int64, np.bool_)
    files = {
        seed: dump_tensors({x: np.ones(n, kinds[n % 3]) for x, n in named.items()})
        for seed, named in sizes.items()
    }
    batch = join_seeds(files)
    assert {seed: file_of_seed(batch, seed) for seed in files} == files
    assert file_of_seed(batch, 100) is None
    safetensors.numpy.load(batch)  # is a valid file


def test_small_median_weights_are_chosen_up_to_the_size_limit(tmp_path):
    for agent, size in (("ppo-mlp", 3000), ("dqsn", 2000), ("ppo-lif", LARGEST_WEIGHTS_BYTES)):
        weights = dump_tensors({"weight": np.zeros(size, np.uint8)})
        for seed, mean in enumerate((10.0, 30.0, 20.0)):
            write_row(tmp_path, make_row(agent, seed, returns=(mean,)), weights)
    shipped = dict(shipped_weights(tmp_path))
    places = [f"weights/{agent}/CartPole-v1/2.safetensors" for agent in ("dqsn", "ppo-mlp")]
    assert [path.as_posix() for path in shipped] == places
    assert all((tmp_path / path).read_bytes() == data for path, data in shipped.items())
    total = sum(map(len, shipped.values()))
    assert dict(shipped_weights(tmp_path, most_bytes=total)) == shipped
    assert len(list(shipped_weights(tmp_path, most_bytes=total - 1))) == 1


def test_small_weights_are_shipped_within_the_limit(tmp_path):
    shipped = dict(shipped_weights(BOARD))
    assert 0 < sum(map(len, shipped.values())) <= MOST_BYTES
    trained = find_trained("ppo-lif", "CartPole-v1").row()
    place = Path("weights", "ppo-lif", "CartPole-v1", f"{trained.seed}.safetensors")
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_bytes(shipped[place])
    assert verified_weights(tmp_path, trained) == verified_weights(BOARD, trained)


def test_build_needs_only_the_standard_library(tmp_path):
    """The build environment has neither numpy nor the package."""
    write_row(tmp_path, make_row(), WEIGHTS)
    code = (
        "import pathlib, runpy, sys; shipped = runpy.run_path(sys.argv[1])['shipped_weights'];"
        "print(len(list(shipped(pathlib.Path(sys.argv[2])))))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, batches.__file__, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
