"""Reading the runs of a part."""

import json

import numpy as np
import pytest

from studies.dynamics.groups import read_groups
from studies.dynamics.outcome import result_path
from tests.studies.dynamics.runs import write_runs

HISTORY = ("CartPole-v1", "history")


def test_missing_and_failed_runs(tmp_path):
    write_runs(tmp_path, "presets", HISTORY, [10.0, None, 30.0], [5, None, None])
    groups = read_groups("presets", tmp_path)
    group = groups[HISTORY]
    assert (group.seeds, group.planned, group.solved) == ((0, 2), 10, 1)
    assert group.means.tolist() == [10.0, 30.0]
    assert group.scores.tolist() == [[9.0, 11.0], [29.0, 31.0]]
    assert group.episodes.tolist() == [5.0, np.inf]
    assert group.steps.tolist() == [50.0, np.inf]
    assert not group.is_outdated
    assert groups["Teacher", "history"].results == ()


def test_runs_beyond_the_reported_seeds_are_left_out(tmp_path):
    write_runs(tmp_path, "size", ("es", "7"), [1.0] * 6)
    assert read_groups("size", tmp_path)["es", "7"].seeds == (0, 1, 2, 3, 4)


def test_other_settings_are_noticed(tmp_path):
    write_runs(tmp_path, "presets", HISTORY, [1.0, 2.0], solved_return=1.0)
    assert read_groups("presets", tmp_path)[HISTORY].is_outdated
    result_path(tmp_path, "presets", HISTORY, 0).unlink()
    write_runs(tmp_path, "presets", HISTORY, [1.0])
    with pytest.raises(ValueError, match=r"history were made with different settings; delete"):
        read_groups("presets", tmp_path)


def test_new_fields_do_not_change_old_settings(tmp_path):
    write_runs(tmp_path, "presets", HISTORY, [1.0, 2.0])
    path = result_path(tmp_path, "presets", HISTORY, 0)
    content = json.loads(path.read_text())
    assert content["settings"]["network"].pop("learnable") == []
    path.write_text(json.dumps(content))
    group = read_groups("presets", tmp_path)[HISTORY]
    assert (group.seeds, group.is_outdated) == ((0, 1), False)
    content["settings"]["hyperparameters"].pop("plasticity_rule")
    path.write_text(json.dumps(content))
    group = read_groups("presets", tmp_path)[HISTORY]
    assert (group.seeds, group.is_outdated) == ((0, 1), False)
    content["settings"]["network"]["learnable"] = ["tau_mem"]
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="were made with different settings"):
        read_groups("presets", tmp_path)
