"""Tests of the log of episodes."""

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.training.logs import EpisodeLog, read_episodes

ROWS = st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e9, 1e9), st.integers(1, 10**6)))


@given(ROWS)
def test_episode_logs_survive_arrays_and_csv(rows):
    log = EpisodeLog()
    for row in rows:
        log.add(*row)
    again = EpisodeLog.from_arrays(
        {name: torch.from_numpy(array) for name, array in log.to_arrays().items()}
    )
    assert len(again) == len(rows)
    with tempfile.TemporaryDirectory() as folder:
        again.write(Path(folder) / "episodes.csv")
        lines = (Path(folder) / "episodes.csv").read_text().splitlines()[1:]
        timesteps, returns = read_episodes(Path(folder) / "episodes.csv")
    assert list(zip(timesteps, returns, strict=True)) == [row[:2] for row in rows]
    read = [line.split(",") for line in lines]
    assert [(int(a), float(b), int(c)) for a, b, c in read] == rows


def test_the_log_of_episodes_is_read(tmp_path):
    file = tmp_path / "episodes.csv"
    file.write_text("timestep,return,length\n")
    assert [column.size for column in read_episodes(file)] == [0, 0]
    file.write_text("timestep,return,length\n20,-1.5,20\n45,3.25,25\n")
    assert [column.tolist() for column in read_episodes(file)] == [[20.0, 45.0], [-1.5, 3.25]]


@pytest.mark.parametrize(
    "content", ["", "timestep,return,length\n5,x,3\n", "timestep,return,length\n5\n"]
)
def test_invalid_episode_logs_are_named(content, tmp_path):
    file = tmp_path / "episodes.csv"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"episodes\.csv is no log of episodes"):
        read_episodes(file)
