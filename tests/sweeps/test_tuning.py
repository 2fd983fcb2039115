"""Tests of tuning: killed searches give the same trials, with separate seeds."""

from __future__ import annotations

import csv
import math
import signal
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

import optuna
import pytest

from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.folders import locked
from snn_gym.cli import main
from snn_gym.leaderboard import evaluate
from snn_gym.leaderboard.evaluation import FIRST_EVALUATION_SEED
from snn_gym.sweeps import tuning
from snn_gym.sweeps.tuning import FIRST_TUNING_EPISODE_SEED, read_search, tune, tune_agent
from snn_gym.zoo import AgentSpec, load_agent_spec, make_agent
from snn_gym.zoo.environments import TRAINING_SEED_LIMIT, environment_seeds

HEAD = """
agent = "ppo-lif"
environment = "CartPole-v1"
seeds = "1000-1002"
trials = 7
steps = 128
episodes = 2
unpruned_trials = 3
"""
SPACE = """
[space]
learning_rate = { low = 1e-4, high = 1e-2, log = true, schedule = "lin" }
gamma = { low = 0.9, high = 0.999 }
network.surrogate_slope = { low = 1.0, high = 10.0 }
network.hidden_sizes = { choices = [[8], [16, 16]] }
"""
SEEDS = (1000, 1001, 1002)
REAL = HEAD.replace('"1000-1002"', '"1000-1001"').replace("trials = 7", "trials = 2")


def written(folder, text=HEAD + SPACE):
    path = folder / "search.toml"
    path.write_text(text)
    return path


def rows_of(folder):
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def pretended(search, agent, seed, values):
    """Score without a training: a function of seed and values, best at gamma 0.95."""
    rate = float(values["learning_rate"].removeprefix("lin_"))
    return -1000 * abs(values["gamma"] - 0.95) - abs(math.log10(rate) + 3) - seed % 7


@pytest.fixture
def without_training(monkeypatch):
    """Replace trainings by ``pretended``; return the list of their agents and seeds."""
    trained: list[tuple[str, int]] = []

    def score(search, agent, seed, values):
        trained.append((agent, seed))
        return pretended(search, agent, seed, values)

    monkeypatch.setattr(tuning, "score", score)
    return trained


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a search of both agents without trainings."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "score", pretended)
        list(tune(written(folder), folder))
    return folder


def test_interrupted_searches_give_the_same_trials(tmp_path, monkeypatch, whole):
    search = read_search(written(tmp_path))
    calls = 0

    def interrupted(search, agent, seed, values):
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            raise KeyboardInterrupt
        return pretended(search, agent, seed, values)

    monkeypatch.setattr(tuning, "score", interrupted)
    times = 0
    while True:
        try:
            list(tune_agent(search, "ppo-lif", tmp_path / "cut"))
            break
        except KeyboardInterrupt:
            times += 1
            assert times < 100, "it does not get on"
    assert times >= search.trials - 1
    for name in ("trials.csv", "best.toml", "search.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (whole / "ppo-lif" / name).read_bytes()
    assert len({row["gamma"] for row in rows_of(tmp_path / "cut")}) == search.trials
    done = calls
    list(tune_agent(search, "ppo-lif", tmp_path / "cut"))
    assert calls == done  # there was nothing left


def test_trials_below_the_median_are_pruned_between_seeds(whole):
    finished: list[list[float]] = []  # running means of each
    pruned = 0
    for row in rows_of(whole / "ppo-lif"):
        scores = [float(x) for seed in SEEDS if (x := row[f"return_of_{seed}"])]
        means = [statistics.fmean(scores[: k + 1]) for k in range(len(scores))]
        assert float(row["mean_return"]) == pytest.approx(means[-1])
        # Optuna's rule: the best mean so far is below the median of the means at that point.
        worse = [
            len(finished) >= 3 and max(means[: k + 1]) < statistics.median(x[k] for x in finished)
            for k in range(min(len(means), 2))
        ]
        assert worse == [False] * (len(worse) - 1) + [row["state"] == "pruned"]
        pruned += row["state"] == "pruned"
        if row["state"] == "finished":
            assert len(scores) == 3
            finished.append(means)
    assert 0 < pruned <= 4


def test_agent_and_twin_have_the_same_printed_budget(tmp_path, without_training):
    text = (HEAD + SPACE).replace("trials = 7", "trials = 3")
    lines = list(tune(written(tmp_path, text), tmp_path / "out"))
    assert lines[0] == (
        "ppo-lif and ppo-mlp on CartPole-v1: 3 trials × 3 seeds × 128 steps = 1,152 environment "
        "steps at most for each"
    )
    assert without_training == [
        (agent, seed) for agent in ("ppo-lif", "ppo-mlp") for _ in range(3) for seed in SEEDS
    ]
    (best,) = (line for line in lines if line.startswith("ppo-lif: best"))
    assert "; trials 3 finished, 0 pruned, 0 failed: learning_rate = " in best
    means = [float(row["mean_return"]) for row in rows_of(tmp_path / "out" / "ppo-lif")]
    assert best.startswith(f"ppo-lif: best mean return {max(means):.2f} of seeds 1000-1002; ")
    assert "surrogate_slope" not in (tmp_path / "out" / "ppo-mlp" / "trials.csv").read_text()


@pytest.mark.parametrize("agent", ["ppo-lif", "ppo-mlp"])
def test_best_toml_is_a_table_of_the_agents_file(whole, agent):
    rows = [row for row in rows_of(whole / agent) if row["state"] == "finished"]
    best = max(rows, key=lambda row: float(row["mean_return"]))
    table = tomllib.loads((whole / agent / "best.toml").read_text())["environments"]
    old = load_agent_spec(agent)
    file = {**to_mapping(old), "environments": {**old.environments, **table}}
    new = from_mapping(AgentSpec, file, "best.toml")
    values = {"learning_rate": best["learning_rate"], "gamma": float(best["gamma"])}
    assert new.settings("CartPole-v1") == old.settings("CartPole-v1", values)
    network = new.network_settings("CartPole-v1")
    assert str(network["hidden_sizes"]) == best["network.hidden_sizes"]
    assert {**network, "hidden_sizes": 0, "surrogate_slope": 0} == {
        **old.network_settings("CartPole-v1"), "hidden_sizes": 0, "surrogate_slope": 0,
    }  # fmt: skip


def test_a_trial_is_scored_as_by_hand(tmp_path):
    search = read_search(written(tmp_path, REAL + SPACE))
    values = {"learning_rate": "lin_0.01", "gamma": 0.9, "network.hidden_sizes": [8]}
    found = tuning.score(search, "ppo-lif", 1001, values)
    network = {"hidden_sizes": [8]}
    model = make_agent(
        "ppo-lif", "CartPole-v1", 1001, network=network, learning_rate="lin_0.01", gamma=0.9
    )
    model.learn(128)
    assert found == evaluate(model, "CartPole-v1", seeds=[1_700_000_000, 1_700_000_001]).mean


def test_tuning_seeds_differ_from_all_other_seeds():
    most = FIRST_TUNING_EPISODE_SEED + 10_000  # as many as a search may ask for
    assert TRAINING_SEED_LIMIT + 100_000 < FIRST_TUNING_EPISODE_SEED
    assert most < FIRST_EVALUATION_SEED
    assert min(environment_seeds(1000, 64, "disjoint")) > most


def test_killed_searches_resume(tmp_path):
    path = written(tmp_path, REAL + SPACE)
    words = ["tune", str(path), "--agent", "ppo-mlp", "--out"]
    program = "import sys; from snn_gym.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words, str(tmp_path / "cut")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    process.kill()
    process.communicate()
    assert lines[1].startswith("ppo-mlp trial 1 of 2: mean return ")
    assert process.returncode == -signal.SIGKILL
    assert len(rows_of(tmp_path / "cut" / "ppo-mlp")) == 1
    for name in ("cut", "whole"):
        assert main([*words, str(tmp_path / name)]) == 0
    for name in ("trials.csv", "best.toml"):
        cut, whole = (tmp_path / folder / "ppo-mlp" / name for folder in ("cut", "whole"))
        assert cut.read_bytes() == whole.read_bytes()


def test_trainings_that_diverge_are_the_worst_trials(tmp_path):
    text = (
        REAL.replace("trials = 2", "trials = 4")
        + "[space]\nlearning_rate = { choices = [1e-3, 1e30] }\n"
    )
    search = read_search(written(tmp_path, text))
    list(tune_agent(search, "ppo-mlp", tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    by_rate = {row["learning_rate"]: row for row in rows}
    assert set(by_rate) == {"0.001", "1e+30"}
    for row in rows:
        assert row["state"] == ("finished" if row["learning_rate"] == "0.001" else "failed")
    assert by_rate["1e+30"]["mean_return"] == ""
    assert by_rate["1e+30"]["failure"]
    assert "learning_rate = 0.001\n" in (tmp_path / "out" / "best.toml").read_text()
    # So the sampler sees it too.
    storage = f"sqlite:///{tmp_path / 'out' / 'study.db'}"
    trials = optuna.load_study(study_name=None, storage=storage).trials
    failed = [row["state"] == "failed" for row in rows]
    assert [trial.value == -math.inf for trial in trials] == failed


def test_searches_with_only_failures_give_the_reason(tmp_path, monkeypatch, capsys):
    def fails(*_):
        raise ValueError("weights are not finite,\nsee above")

    monkeypatch.setattr(tuning, "score", fails)
    assert main(["tune", str(written(tmp_path)), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert "ppo-lif trial 7 of 7: failed with seed 1000: weights are not finite, see above" in out
    expected = "none of 7 trials was finished; the last: weights are not finite, see above"
    assert err == f"snn-gym: {expected}\n"
    assert not (tmp_path / "out" / "ppo-lif" / "best.toml").exists()


def test_folders_of_other_searches_and_unknown_agents_are_refused(tmp_path, without_training):
    out = tmp_path / "out"
    list(tune(written(tmp_path), out, "ppo-mlp"))
    other = written(tmp_path, (HEAD + SPACE).replace("trials = 7", "trials = 90"))
    with pytest.raises(ValueError, match="holds a search with other search, environment_steps_at"):
        list(tune(other, out, "ppo-mlp"))
    with pytest.raises(ValueError, match="tunes ppo-lif and ppo-mlp, not 'dqsn'"):
        list(tune(other, out, "dqsn"))
    (out / "ppo-lif").mkdir()
    with locked(out / "ppo-lif"), pytest.raises(ValueError, match="is in use by another process"):
        list(tune(other, out, "ppo-lif"))
    (out / "ppo-lif" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no search; use another folder"):
        list(tune(other, out, "ppo-lif"))


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", str(written(tmp_path)), "--out", str(tmp_path / "out")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "snn-gym: searching needs Optuna, which is not installed; in the clone of snn_gym, run "
        'pip install -e ".[tune]"\n'
    )
    assert not (tmp_path / "out").exists()
