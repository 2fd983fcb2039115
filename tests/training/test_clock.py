"""Tests of training times from logs, written event by event."""

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from snn_gym.training import train
from snn_gym.training.logs import TENSORBOARD_FOLDER, seconds_at

BEGUN_S = 1_700_000_000.0


def write_log(run, number, begun_s, *entries):
    """Write a log with its opening time and pairs of environment steps and times."""
    folder = run / TENSORBOARD_FOLDER
    folder.mkdir(exist_ok=True)
    with open(folder / f"events.out.tfevents.{number}", "wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=begun_s, file_version="brain.Event:2").SerializeToString())
        for step, logged_s in entries:
            summary = Summary(value=[Summary.Value(tag="time/fps", simple_value=1.0)])
            event = Event(wall_time=logged_s, step=step, summary=summary)
            writer.write(event.SerializeToString())
        writer.flush()


def at(run, *steps):
    found = seconds_at(run, np.array(steps, dtype=np.float64))
    return None if found is None else found.tolist()


def test_time_is_interpolated_and_extrapolated(tmp_path):
    write_log(tmp_path, 1, BEGUN_S, (100, BEGUN_S + 10), (200, BEGUN_S + 14))
    # Until 100 a step takes 0.1 s, then 0.04 s; after 200 the mean until there, 0.07 s.
    assert at(tmp_path, 50, 100, 150, 200, 300) == pytest.approx([5.0, 10.0, 12.0, 14.0, 21.0])


def test_repeated_steps_of_a_resumed_training_count_once(tmp_path):
    write_log(tmp_path, 2, BEGUN_S + 1000, (250, BEGUN_S + 1003), (300, BEGUN_S + 1005))
    # Killed at 400: steps after the checkpoint at 200 are lost.
    first = [(100, BEGUN_S + 10), (200, BEGUN_S + 20), (300, BEGUN_S + 30), (400, BEGUN_S + 40)]
    write_log(tmp_path, 1, BEGUN_S, *first)
    assert at(tmp_path, 100, 200, 250, 300) == pytest.approx([10.0, 20.0, 23.0, 25.0])


def test_time_never_runs_backwards(tmp_path):
    write_log(tmp_path, 1, BEGUN_S, (100, BEGUN_S + 10), (200, BEGUN_S - 50), (300, BEGUN_S + 30))
    assert at(tmp_path, 100, 200, 250, 300) == pytest.approx([10.0, 10.0, 20.0, 30.0])


def test_partial_entries_of_killed_processes_are_skipped(tmp_path):
    write_log(tmp_path, 1, BEGUN_S, (100, BEGUN_S + 10), (200, BEGUN_S + 20))
    (file,) = (tmp_path / TENSORBOARD_FOLDER).iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert at(tmp_path, 100) == pytest.approx([10.0])


def test_missing_logs_give_no_time(tmp_path):
    assert at(tmp_path, 100) is None
    write_log(tmp_path, 1, BEGUN_S)
    assert at(tmp_path, 100) is None


def test_training_logs_are_readable(tmp_path):
    train("ppo-mlp", "CartPole-v1", out=tmp_path / "run", seed=0, steps=512)
    seconds = at(tmp_path / "run", 256, 512)
    assert 0 < seconds[0] < seconds[1] < 600
