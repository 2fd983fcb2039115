"""Tests of the progress line of a training: its numbers equal the logs."""

import io
import re
import sys

import numpy as np
import pytest

from snn_gym.training import logs
from snn_gym.zoo import load_agent, make_agent
from tests.training._runs import killed_at, results, run

LINE = re.compile(
    r"([\d,]+) of ([\d,]+) steps \| (?:return (-?[\d,.]+)|no episode has ended)"
    r"(?: \| ([\d,]+) (operations) a decision)? \| ([\d,]+) steps/s \| (\d+:\d\d(?::\d\d)?) left"
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.check
@pytest.mark.parametrize(
    ("agent", "unit", "options"),
    [("ppo-lif", "operations", {"steps": 800}), ("es", None, {"steps": 1600})],
)
def test_without_a_terminal_each_tenth_is_a_line_and_training_is_the_same(
    agent, unit, options, tmp_path, finished, capsys
):
    plain = finished(agent, **options)
    capsys.readouterr()
    run(agent, tmp_path / "run", progress_bar=True, **options)
    out, err = capsys.readouterr()
    assert out == ""
    found = [LINE.fullmatch(line) for line in err.splitlines() if "warn" not in line]
    assert all(found)
    steps = [int(line[1].replace(",", "")) for line in found]
    assert steps == sorted(set(steps))
    assert 2 <= len(steps) <= 10
    assert {line[5] for line in found} == {unit}
    assert results(tmp_path / "run") == results(plain)


@pytest.mark.check
def test_the_return_is_the_mean_of_the_last_hundred_episodes(tmp_path, capsys):
    run("ppo-mlp", tmp_path / "run", steps=5120, interval=10_000, progress_bar=True)
    last = LINE.fullmatch(capsys.readouterr().err.splitlines()[-1])
    steps = int(last[1].replace(",", ""))
    log = np.loadtxt(tmp_path / "run" / "episodes.csv", delimiter=",", skiprows=1)
    ended = log[log[:, 0] <= steps]
    assert len(ended) > 100
    # Those that end in this very step are logged after it.
    earlier = log[log[:, 0] < steps]
    assert any(
        float(last[3]) == pytest.approx(rows[-100:, 1].mean(), abs=0.06)
        for rows in (ended, earlier)
    )


@pytest.mark.parametrize(
    ("agent", "env_id"),
    [("ppo-lif", "CartPole-v1"), ("recurrent-ppo-lsnn", "snn/CueAccumulation-v0")],
)
def test_operations_are_counted_on_current_states(agent, env_id):
    model = make_agent(agent, env_id, seed=0, n_steps=48)
    total = 48 * model.n_envs
    callback = logs.ProgressCallback(total)
    model.learn(total, callback=callback)
    callback._counted_s -= 60.0  # long ago
    callback.on_rollout_start()
    state = None
    if agent != "ppo-lif":
        # Of actor and critic side by side the actor's, and at rest where an episode starts.
        own = model.policy.mlp_extractor.actor.state_size
        state = model._last_states[:, :own].clone()
        state[model._last_episode_starts] = model.policy.mlp_extractor.actor.rest_state(1)
    costs = model.policy.record(model._last_obs, state).costs
    counted = f" | {costs.operations_per_decision:,.0f} operations a decision | "
    assert counted in callback.line()


def test_terminals_rewrite_one_line(tmp_path, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(logs, "_BETWEEN_LINES_S", 0.0)
    run("ppo-mlp", tmp_path / "run", progress_bar=True)
    written = terminal.getvalue()
    assert "\n" not in written
    first, *lines, last = written.split("\r")
    assert (first, last) == ("", "\x1b[K")  # the line is erased
    assert all(LINE.fullmatch(line.removesuffix("\x1b[K")) for line in lines)
    assert len(lines) > 5


def test_resumed_runs_continue_the_count(tmp_path, capsys):
    with killed_at(1000):
        run("ppo-mlp", tmp_path / "run")
    run("ppo-mlp", tmp_path / "run", resume=True, progress_bar=True)
    first = LINE.fullmatch(capsys.readouterr().err.splitlines()[0])
    resumed_at = 768
    assert int(first[1].replace(",", "")) > resumed_at
    assert load_agent(tmp_path / "run").num_timesteps == 1024
