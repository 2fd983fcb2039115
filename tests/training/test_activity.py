"""Tests of the spike rate and costs in every training's log."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snn_gym.training import ActivityCallback
from snn_gym.zoo import make_agent
from tests.training._runs import FEW_UPDATES, results, run

KEYS = {"network/rate_hz", "network/synops", "network/operations"}


class Entries(KVWriter):
    """What a training logs."""

    def __init__(self):
        self.rows = []

    def write(self, key_values, key_excluded, step=0):
        self.rows.append(dict(key_values))


class First(BaseCallback):
    """A recording in the states in which the first rollout starts."""

    recording = None

    def _on_rollout_start(self):
        self.recording = self.recording or self.model.policy.record(self.model._last_obs)

    def _on_step(self):
        return True


def logged(folder):
    events = EventAccumulator(str(folder / "tb"))
    events.Reload()
    return {key: events.Scalars(key) for key in events.Tags()["scalars"] if key in KEYS}


@pytest.mark.parametrize(
    ("agent", "options"),
    [
        ("ppo-lif", {}),
        ("dqsn", {"hyperparameters": FEW_UPDATES["dqsn"]}),
        ("recurrent-ppo-lsnn", {"env_id": "snn/CueAccumulation-v0", "steps": 5000}),
    ],
)
def test_every_spiking_training_logs_and_ends_the_same(agent, options, finished, tmp_path):
    run(agent, tmp_path / "run", tensorboard=True, **options)
    found = logged(tmp_path / "run")
    assert set(found) == KEYS
    for entries in found.values():
        assert all(np.isfinite(entry.value) and entry.value >= 0 for entry in entries)
    assert found["network/synops"][-1].value <= found["network/operations"][-1].value
    assert results(tmp_path / "run") == results(finished(agent, **options))


@pytest.mark.parametrize("agent", ["es", "local-actor-critic"])
def test_learners_without_gradients_log_as_often_as_they_log_at_all(agent):
    found, ended = Entries(), []
    for callback in (None, ActivityCallback(1)):
        model = make_agent(agent, "CartPole-v1", seed=2)
        model.set_logger(Logger(None, [found]))
        ended.append(model.learn(2000, callback=callback, log_interval=1).policy.state_dict())
    rows = [row for row in found.rows if set(row) >= KEYS]
    assert len(rows) >= 2
    assert all(0 <= row["network/synops"] <= row["network/operations"] for row in rows)
    assert all(torch.equal(x, ended[1][name]) for name, x in ended[0].items())


def test_an_ann_logs_none(tmp_path):
    run("ppo-mlp", tmp_path / "run", tensorboard=True)
    assert logged(tmp_path / "run") == {}


def test_the_numbers_are_those_of_a_recording():
    model = make_agent("ppo-lif", "CartPole-v1", seed=2, n_steps=16)
    entries = Entries()
    model.set_logger(Logger(None, [entries]))
    before = First()
    model.learn(32 * model.n_envs, callback=[before, ActivityCallback(10**6)])
    (row,) = (row for row in entries.rows if "network/rate_hz" in row)
    spikes = torch.cat([before.recording[f"hidden_{k}"].spikes for k in (1, 2)], dim=2)
    # A spike in every time step of 1 ms would be 1000 Hz.
    assert row["network/rate_hz"] == pytest.approx(1000 * float(spikes.mean()), rel=1e-5)
    synops = sum(before.recording.synops_per_decision().values())
    assert row["network/synops"] == pytest.approx(synops)
    assert row["network/operations"] == before.recording.costs.operations_per_decision


def test_a_period_below_one_step_is_refused():
    with pytest.raises(ValueError, match="every must be at least 1 environment step, got 0"):
        ActivityCallback(0)
