"""Tests of runs that go on from a trained agent."""

import hashlib
import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv

from snn_gym._base.storage import load_tensors
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.training import read_training
from snn_gym.training.checkpoint import has_optimiser_state
from snn_gym.training.run import open_parent
from snn_gym.zoo import load_agent, make_agent, read_manifest, save_agent
from tests.edits import edit_json
from tests.training._runs import FEW_UPDATES, INTERVAL, STEPS, killed_at, results, run

pytestmark = pytest.mark.check

MORE = 600


def tensors(folder):
    return load_tensors(folder / "weights.safetensors", max_bytes=1 << 24)[0]


def counters(folder):
    _, metadata = load_tensors(folder / "checkpoint.safetensors", max_bytes=1 << 28)
    return json.loads(metadata["state"])["counters"]


def go_on(parent, out, *, agent="ppo-lif", env_id="CartPole-v1", **options):
    return run(agent, out, env_id=env_id, **{"steps": MORE, "parent": parent, **options})


def test_steps_and_parent_are_recorded(finished, tmp_path):
    first = finished("ppo-lif")
    done = read_manifest(first)
    ended = go_on(first, tmp_path / "run")
    assert ended.resumed_at is None
    manifest = read_manifest(tmp_path / "run")
    assert done.num_timesteps + MORE <= ended.steps == manifest.num_timesteps
    assert ended.steps < done.num_timesteps + MORE + 256
    assert manifest.parent_sha256 == done.weights_sha256
    recipe = manifest.recipe
    assert (recipe.steps, recipe.parent.steps) == (MORE, done.num_timesteps)
    assert recipe.start_sha256 == done.weights_sha256
    acting = load_agent(first).policy.acting_state_dict()
    save = hashlib.sha256((tmp_path / "run" / "weights.safetensors").read_bytes()).hexdigest()
    assert manifest.weights_sha256 == save != done.weights_sha256
    assert recipe.parent.weights_sha256 != done.weights_sha256  # of the acting weights alone
    assert acting.keys() < tensors(first).keys()
    lines = (tmp_path / "run" / "episodes.csv").read_text().splitlines()[1:]
    assert min(int(line.split(",")[0]) for line in lines) > done.num_timesteps


@pytest.mark.parametrize("agent", ["ppo-lif", "es"])
def test_without_learning_all_weights_stay_the_parents(agent, finished, tmp_path):
    first = finished(agent)
    go_on(first, tmp_path / "run", agent=agent, hyperparameters={"learning_rate": 1e-30})
    before, after = tensors(first), tensors(tmp_path / "run")
    assert before.keys() == after.keys()
    for name in before:
        if "normaliser" not in name:  # whose statistics take new observations
            torch.testing.assert_close(after[name], before[name])


def test_schedules_see_one_training_of_all_steps(finished, tmp_path):
    first = finished("ppo-lif")
    done = read_manifest(first).num_timesteps
    with killed_at(done + MORE):
        go_on(first, tmp_path / "run")
    found = counters(tmp_path / "run")
    assert found["num_timesteps"] > done
    # Before the last update, as Stable-Baselines3 counts.
    assert found["_current_progress_remaining"] == pytest.approx(
        1 - found["num_timesteps"] / (done + MORE)
    )


def test_a_folder_and_its_model_give_the_same_run(finished, tmp_path):
    first = finished("ppo-lif")
    go_on(first, tmp_path / "folder")
    go_on(load_agent(first), tmp_path / "model")
    assert results(tmp_path / "folder") == results(tmp_path / "model")


def test_random_streams_are_not_those_of_the_parent(finished, tmp_path):
    """Segments of one number of steps have one seed, but not here."""
    parent = make_agent("ppo-lif", "CartPole-v1", seed=7).learn(8)
    save_agent(parent, tmp_path / "short")
    frozen = {"hyperparameters": {"learning_rate": 0.0}}
    go_on(tmp_path / "short", tmp_path / "run", **frozen)
    go_on(tmp_path / "run", tmp_path / "again", **frozen)
    episodes = [
        (tmp_path / name / "episodes.csv").read_text().split("\n", 1)[1]
        for name in ("run", "again")
    ]
    lengths = [[x.split(",")[2] for x in text.split()] for text in episodes]
    assert lengths[0][:8] != lengths[1][:8]


def test_a_killed_and_resumed_run_ends_bit_equal(finished, tmp_path):
    few = {"hyperparameters": FEW_UPDATES["dqsn"]}
    options = {"agent": "dqsn", "steps": 3 * MORE, "interval": INTERVAL, **few}
    first = finished("dqsn", **few)
    done = read_manifest(first).num_timesteps
    go_on(first, tmp_path / "whole", **options)
    with killed_at(done + 1300):
        go_on(first, tmp_path / "run", **options)
    ended = go_on(first, tmp_path / "run", resume=True, **options)
    assert ended.resumed_at > done
    assert results(tmp_path / "run") == results(tmp_path / "whole")


def test_a_replay_buffer_is_filled_by_the_parents_play_before_updates(finished, tmp_path):
    first = finished("dqsn", hyperparameters=FEW_UPDATES["dqsn"])
    starts = load_agent(first).learning_starts
    ended = go_on(first, tmp_path / "run", agent="dqsn", steps=16)
    assert ended.steps == read_manifest(first).num_timesteps + starts
    before, after = tensors(first), tensors(tmp_path / "run")
    assert all(torch.equal(before[x], after[x]) for x in before if "normaliser" not in x)


def test_an_unfinished_run_gives_optimisers_and_replay_buffer_too(finished, tmp_path):
    small = {"hyperparameters": FEW_UPDATES["dqsn"]}
    with killed_at(1500):
        run("dqsn", tmp_path / "killed", steps=1600, **small)
    model = open_parent(tmp_path / "killed")
    assert has_optimiser_state(model)
    assert 1000 < model.num_timesteps <= 1500
    assert model.replay_buffer.size() * model.n_envs == model.num_timesteps
    assert not has_optimiser_state(open_parent(finished("dqsn", **small)))
    go_on(tmp_path / "killed", tmp_path / "run", agent="dqsn", steps=512)
    steps = read_manifest(tmp_path / "run").num_timesteps
    assert steps == model.num_timesteps + 512  # two rollouts, and no refill
    assert not torch.equal(
        full_state(model.policy)["q_net.q_net.layers.0.linear.weight"],
        tensors(tmp_path / "run")["q_net.q_net.layers.0.linear.weight"],
    )


def test_settings_are_the_parents_with_changes(tmp_path):
    changed = {"hyperparameters": {"gamma": 0.9}, "network": {"hidden_sizes": [8]}}
    run("ppo-lif", tmp_path / "first", steps=256, **changed)
    go_on(tmp_path / "first", tmp_path / "run", steps=256, hyperparameters={"n_epochs": 2})
    settings = read_training(tmp_path / "run").settings
    assert settings.network["hidden_sizes"] == [8]
    assert (settings.hyperparameters["gamma"], settings.hyperparameters["n_epochs"]) == (0.9, 2)


def test_another_environment_with_the_same_spaces_is_gone_on_on(finished, own_names, tmp_path):
    gym.register("Light-v0", CartPoleEnv, max_episode_steps=30)
    with pytest.warns(UserWarning, match="not tuned for Light-v0"):
        go_on(finished("ppo-lif"), tmp_path / "run", env_id="Light-v0")
    manifest = read_manifest(tmp_path / "run")
    assert manifest.environment == "Light-v0"
    assert manifest.parent_sha256 == read_manifest(finished("ppo-lif")).weights_sha256
    lines = (tmp_path / "run" / "episodes.csv").read_text().splitlines()[1:]
    assert max(int(line.split(",")[2]) for line in lines) == 30


def test_a_run_that_went_on_can_be_gone_on_from(finished, tmp_path):
    go_on(finished("ppo-lif"), tmp_path / "second", eval_every=MORE)
    go_on(tmp_path / "second", tmp_path / "third")
    second, third = (read_manifest(tmp_path / name) for name in ("second", "third"))
    assert third.recipe.parent.steps == second.num_timesteps
    assert third.parent_sha256 == second.weights_sha256
    points = np.load(tmp_path / "second" / "evaluations.npz")["timesteps"]
    assert points[0] == read_manifest(finished("ppo-lif")).num_timesteps


@pytest.mark.parametrize(
    ("agent", "env_id", "message"),
    [
        ("ppo-lif", "Acrobot-v1", "name the environment that it was trained on"),
        ("dqsn", "CartPole-v1", "agent to go on from, as dqsn on CartPole-v1"),
    ],
)
def test_agents_that_do_not_fit_are_refused_before_the_folder_is_made(
    agent, env_id, message, finished, tmp_path
):
    with pytest.raises(ValueError, match=message) as caught:
        go_on(finished("ppo-lif"), tmp_path / "run", agent=agent, env_id=env_id)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_untrained_agents_and_other_parents_are_refused(finished, tmp_path):
    with pytest.raises(ValueError, match="no training steps; train it first"):
        go_on(make_agent("ppo-lif", "CartPole-v1"), tmp_path / "run")
    with pytest.raises(ValueError, match="holds no saved agent"):
        go_on(tmp_path, tmp_path / "run")
    with killed_at(STEPS + MORE):
        go_on(finished("ppo-lif"), tmp_path / "run")
    with pytest.raises(ValueError, match="holds a run with parent"):
        run("ppo-lif", tmp_path / "run", steps=MORE, resume=True)
    with pytest.raises(ValueError, match=rf"steps {STEPS}, not 600; .* with --from .* further"):
        run("ppo-lif", finished("ppo-lif"), steps=MORE, resume=True)


def test_an_agent_of_an_object_goes_on_in_a_registered_environment(tmp_path):
    model = make_agent("ppo-lif", CartPoleEnv, seed=0, n_steps=32)
    save_agent(model.learn(256), tmp_path / "first")
    ended = go_on(tmp_path / "first", tmp_path / "run")
    assert ended.steps > model.num_timesteps
    assert read_manifest(tmp_path / "run").environment == "CartPole-v1"


def test_an_unfinished_parent_larger_than_its_checkpoint_is_not_built(tmp_path):
    with killed_at(600):
        run("ppo-mlp", tmp_path / "parent")
    settings = json.loads((tmp_path / "parent" / "run.json").read_text())
    settings["settings"]["network"]["hidden_sizes"] = [3000, 3000]
    edit_json(tmp_path / "parent" / "run.json", settings=settings["settings"])
    with pytest.raises(ValueError, match=r"run\.json asks for a network with many more numbers"):
        open_parent(tmp_path / "parent", "CartPole-v1")
