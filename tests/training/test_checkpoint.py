"""Tests of checkpoints: they restore the whole state."""

import json
from operator import attrgetter

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from snn_gym._base.storage import SEAL, UNSEALED, dump_tensors, load_tensors, save_tensors, seal
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.training.checkpoint import restore_checkpoint, save_checkpoint
from snn_gym.training.logs import EpisodeLog
from snn_gym.zoo import make_agent


def test_checkpoints_restore_optimisers_and_the_entropy_coefficient(tmp_path):
    model = make_agent("sac-lif", "Pendulum-v1", seed=1, learning_starts=20).learn(60)
    save_checkpoint(tmp_path / "c.safetensors", model, EpisodeLog())
    fresh = make_agent("sac-lif", "Pendulum-v1", seed=2, learning_starts=20)
    restore_checkpoint(tmp_path / "c.safetensors", fresh)
    assert fresh.log_ent_coef.item() == model.log_ent_coef.item() != 0.0
    assert fresh.log_ent_coef.requires_grad
    for part in ("actor.optimizer", "critic.optimizer", "ent_coef_optimizer"):
        old, new = (attrgetter(part)(x).state_dict()["state"] for x in (model, fresh))
        assert len(old) > 0
        assert_close(new, old, rtol=0, atol=0)


@pytest.mark.parametrize("agent", ["ppo-lif", "dqsn"])
def test_checkpoints_restore_everything(agent, tmp_path):
    overrides = {"learning_starts": 32, "gradient_steps": 4} if agent == "dqsn" else {}
    model = make_agent(agent, "CartPole-v1", seed=1, **overrides).learn(600)
    log = EpisodeLog()
    log.add(5, 1.5, 3)
    save_checkpoint(tmp_path / "c.safetensors", model, log)
    fresh = make_agent(agent, "CartPole-v1", seed=2, **overrides)
    restored = restore_checkpoint(tmp_path / "c.safetensors", fresh)
    assert_close(full_state(fresh.policy), full_state(model.policy), rtol=0, atol=0)
    old, new = model.policy.optimizer.state_dict(), fresh.policy.optimizer.state_dict()
    assert len(old["state"]) > 0
    assert_close(new["state"], old["state"], rtol=0, atol=0)
    assert new["param_groups"] == old["param_groups"]
    counters = ["num_timesteps", "_n_updates", "_episode_num", "_current_progress_remaining"]
    if agent == "dqsn":
        counters += ["_n_calls", "exploration_rate"]
        assert fresh.replay_buffer.size() == model.replay_buffer.size() > 0
        for name in ("observations", "next_observations", "actions", "rewards", "dones"):
            assert_close(getattr(fresh.replay_buffer, name), getattr(model.replay_buffer, name))
    for name in counters:
        assert getattr(fresh, name) == getattr(model, name)
    assert restored.to_arrays()["return"].tolist() == [1.5]


def test_wrapped_replay_buffers_are_restored(tmp_path):
    def make():
        return make_agent("dqn-mlp", "CartPole-v1", buffer_size=100, learning_starts=500)

    model, fresh = make().learn(256), make()
    assert model.replay_buffer.full
    save_checkpoint(tmp_path / "c.safetensors", model, EpisodeLog())
    restore_checkpoint(tmp_path / "c.safetensors", fresh)
    assert (fresh.replay_buffer.pos, fresh.replay_buffer.full) == (56, True)
    assert_close(fresh.replay_buffer.rewards, model.replay_buffer.rewards)


def test_a_checkpoint_of_another_agent_is_refused(tmp_path):
    save_checkpoint(tmp_path / "c", make_agent("ppo-lif", "CartPole-v1"), EpisodeLog())
    with pytest.raises(ValueError, match="tensors do not fit the network"):
        restore_checkpoint(tmp_path / "c", make_agent("dqsn", "CartPole-v1"))


def test_a_checkpoint_of_an_older_format_is_refused_in_one_line(tmp_path):
    state = {"state": json.dumps({"format": "snn_gym/checkpoint/2"})}
    save_tensors(tmp_path / "c.safetensors", {"x": np.zeros(1)}, state)
    with pytest.raises(ValueError, match=r"c\.safetensors holds no SHA-256 .* older version"):
        restore_checkpoint(tmp_path / "c.safetensors", make_agent("ppo-lif", "CartPole-v1"))


def test_controllers_continue_after_a_checkpoint(tmp_path):
    def make(seed):
        network = {"regulation": {"rate_strength": 0.1, "controller": {"min_samples": 64}}}
        return make_agent("ppo-lif", "CartPole-v1", seed=seed, network=network)

    model, fresh = make(1).learn(600), make(2)
    save_checkpoint(tmp_path / "c.safetensors", model, EpisodeLog())
    restore_checkpoint(tmp_path / "c.safetensors", fresh)
    for one in (model, fresh):
        controllers = one.policy.mlp_extractor.actor.regulation.controllers
        assert controllers[0].count.item() > 0  # of the last updates, not yet acted on
        one.policy.set_training_mode(False)
        assert controllers[0].count.item() == 0
        assert controllers[0].moved.abs().max() > 0
    assert_close(full_state(fresh.policy), full_state(model.policy), rtol=0, atol=0)


GROUPS = ("optimisers", "policy.optimizer", "param_groups")


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("counters", "policy"), 1, "counter 'policy' is unknown"),
        (("counters", "num_timesteps"), "many", "num_timesteps"),
        (("run",), 1, "run"),
        (("recent_episodes",), ["r"], "recent_episodes"),
        (("optimisers", "policy.optimizer"), 1, "optimisers"),
        (("optimisers",), {}, "does not hold the state of this model"),
        (("counters", "num_timesteps"), -1, "num_timesteps' is"),
        (("counters", "num_timesteps"), 0.5, "num_timesteps' is"),
        (("counters", "_n_updates"), 10**30, "_n_updates' is"),
        (
            ("optimisers", "policy.optimizer", "param_groups", 0, "lr"), "fast",
            "do not fit the weights",
        ),
        (
            ("optimisers", "policy.optimizer", "param_groups", 0, "betas"), 0.9,
            "do not fit the weights",
        ),
        (GROUPS, [], "param_groups|zip|argument"),
        (("replay",), {"pos": 10**9, "full": False}, "stands at 1000000000 of"),
    ],
)  # fmt: skip
def test_a_forged_checkpoint_is_refused_in_one_line(place, value, named, tmp_path):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, make_agent("dqsn", "CartPole-v1"), EpisodeLog())
    tensors, metadata = load_tensors(path, max_bytes=1 << 30)
    state = json.loads(metadata["state"])
    inside = state
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    path.write_bytes(seal(dump_tensors(tensors, {"state": json.dumps(state), SEAL: UNSEALED})))
    model = make_agent("dqsn", "CartPole-v1")
    policy = model.policy
    with pytest.raises(ValueError, match=rf"c\.safetensors.*{named}") as caught:
        restore_checkpoint(path, model)
    assert "\n" not in str(caught.value)
    assert model.policy is policy


def test_an_optimiser_with_tensors_of_other_shapes_is_refused_in_one_line(tmp_path):
    path = tmp_path / "c.safetensors"
    model = make_agent("ppo-mlp", "CartPole-v1", n_steps=32).learn(256)
    save_checkpoint(path, model, EpisodeLog())
    tensors, metadata = load_tensors(path, max_bytes=1 << 30)
    name = next(name for name in tensors if name.endswith("exp_avg"))
    forged = dump_tensors(
        {**tensors, name: torch.zeros(3)}, {"state": metadata["state"], SEAL: UNSEALED}
    )
    path.write_bytes(seal(forged))
    with pytest.raises(ValueError, match=r"c\.safetensors.*do not fit the weights") as caught:
        restore_checkpoint(path, make_agent("ppo-mlp", "CartPole-v1", n_steps=32))
    assert "\n" not in str(caught.value)
