"""The log of episodes."""

import tempfile
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from snn_gym.training.episodes import EpisodeLog

ROWS = st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e9, 1e9), st.integers(1, 10**6)))


@given(ROWS)
def test_the_log_of_episodes_survives_arrays_and_csv(rows):
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
    read = [line.split(",") for line in lines]
    assert [(int(a), float(b), int(c)) for a, b, c in read] == rows
