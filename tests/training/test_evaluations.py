"""Tests of evaluations during training: no side effects, log, and best policy."""

import io

import numpy as np
import pytest

import snn_gym
from snn_gym.leaderboard.evaluation import FIRST_EVALUATION_SEED
from snn_gym.training.logs import BEST_FOLDER, EVALUATION_EPISODES, EVALUATIONS_FILE
from snn_gym.training.logs import FIRST_SEED as FIRST
from snn_gym.zoo import load_agent, read_manifest
from snn_gym.zoo.recipe import TRAINING_SEED_LIMIT
from tests.marked import slow
from tests.training._runs import FEW_UPDATES, STEPS, killed_at, results, run

pytestmark = pytest.mark.check

EVERY = 300
SEEDS = range(FIRST, FIRST + EVALUATION_EPISODES)


def log(folder):
    with np.load(io.BytesIO((folder / EVALUATIONS_FILE).read_bytes())) as arrays:
        return {name: arrays[name] for name in arrays.files}


def kept(folder):
    best = folder / BEST_FOLDER
    return {file.name: file.read_bytes() for file in (*best.iterdir(), folder / EVALUATIONS_FILE)}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    run("ppo-lif", folder, eval_every=EVERY)
    return folder


@pytest.mark.parametrize(
    ("agent", "options"),
    [
        ("ppo-lif", {"network": {"encoder": "rate"}}),  # which draws noise when it acts
        ("es", {"steps": 1600}),
        slow(
            "sac-lif",
            {"env_id": "Pendulum-v1", "steps": 400, "hyperparameters": FEW_UPDATES["sac-lif"]},
        ),
        slow("recurrent-ppo-lsnn", {"env_id": "snn/CueAccumulation-v0", "steps": 5000}),
    ],
)
def test_the_agent_is_the_same_with_and_without_evaluations(agent, options, tmp_path):
    run(agent, tmp_path / "plain", **options)
    run(agent, tmp_path / "watched", eval_every=EVERY, **options)
    assert results(tmp_path / "watched") == results(tmp_path / "plain")
    assert len(log(tmp_path / "watched")["timesteps"]) >= 1


def test_returns_equal_the_evaluator(watched):
    found = log(watched)
    for folder, row in ((watched, -1), (watched / BEST_FOLDER, found["results"].mean(1).argmax())):
        played = snn_gym.evaluate(load_agent(folder), "CartPole-v1", seeds=SEEDS)
        # Stable-Baselines3 lists episodes as they end.
        assert sorted(found["results"][row]) == sorted(played.returns)
        assert sorted(found["ep_lengths"][row]) == sorted(played.lengths)


def test_evaluations_follow_each_interval_and_the_end(watched):
    rollout = 8 * 32
    ends = np.arange(0, STEPS + rollout, rollout)
    first = [int(ends[ends >= mark][0]) for mark in range(EVERY, STEPS, EVERY)]
    assert log(watched)["timesteps"].tolist() == sorted({*first, 1024})


def test_the_best_policy_is_the_first_of_the_highest_mean(watched):
    found = log(watched)
    best = read_manifest(watched / BEST_FOLDER)
    assert best.num_timesteps == found["timesteps"][found["results"].mean(1).argmax()]
    assert best.recipe is None  # nobody can train it again
    assert read_manifest(watched).recipe is not None


def test_a_killed_run_ends_with_the_same_log_and_best_policy(watched, tmp_path):
    with killed_at(700):
        run("ppo-lif", tmp_path / "run", eval_every=EVERY)
    run("ppo-lif", tmp_path / "run", eval_every=EVERY, resume=True)
    assert results(tmp_path / "run") == results(watched)
    assert kept(tmp_path / "run") == kept(watched)


def test_a_kill_while_the_best_policy_is_written_leaves_no_trace(watched, tmp_path):
    with killed_at(800):
        run("ppo-lif", tmp_path / "run", eval_every=EVERY)
    best = tmp_path / "run" / BEST_FOLDER
    (best / "weights.safetensors").write_bytes(b"half")
    (best / ".manifest.json.abcd_123.partial").write_text("half")
    last = log(tmp_path / "run")["timesteps"][-1]
    resumed = run("ppo-lif", tmp_path / "run", eval_every=EVERY, resume=True)
    assert resumed.resumed_at < 800
    assert last < 800
    assert results(tmp_path / "run") == results(watched)
    assert not list(best.glob(".*"))
    assert log(tmp_path / "run")["timesteps"].tolist() == log(watched)["timesteps"].tolist()


def test_evaluations_after_the_checkpoint_are_repeated(watched, tmp_path):
    with killed_at(300):  # before the first evaluation
        run("ppo-lif", tmp_path / "run", eval_every=EVERY, interval=256)
    plain = run("ppo-lif", tmp_path / "whole", eval_every=EVERY, interval=256)
    assert plain.resumed_at is None
    forged = {name: values[:1] for name, values in log(watched).items()}
    np.savez(tmp_path / "run" / EVALUATIONS_FILE, **{**forged, "results": forged["results"] + 9e9})
    run("ppo-lif", tmp_path / "run", eval_every=EVERY, interval=256, resume=True)
    assert kept(tmp_path / "run") == kept(tmp_path / "whole")


def test_other_files_are_refused(tmp_path):
    from snn_gym.training import logs

    (tmp_path / EVALUATIONS_FILE).write_bytes(b"PK")
    with pytest.raises(ValueError, match="is no log of evaluations"):
        logs.read_evaluation_log(tmp_path / EVALUATIONS_FILE)


def test_evaluation_seeds_differ_from_all_other_seeds():
    most_copies = 100_000
    assert TRAINING_SEED_LIMIT + most_copies < FIRST
    assert max(SEEDS) < min(FIRST_EVALUATION_SEED, 1 << 31)
