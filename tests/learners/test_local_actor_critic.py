"""Tests of ``LocalActorCritic``: rollouts, saving, learning, deployment."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.envs import IdentityEnv, IdentityEnvBox
from stable_baselines3.common.vec_env import DummyVecEnv

from snn_gym import make_vec_env
from snn_gym.learners import LocalActorCritic, OnlineActor
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state
from tests.learners.test_contract import Witness, observations, weights

POLICY = "LocalActorCriticPolicy"
NETWORK = NetworkConfig((16,), 4, surrogate_slope=2.0)
STEPS = 600


def make(env="CartPole-v1", *, seed=0, network=NETWORK, policy_kwargs=None, **arguments):
    given = {"network": network, **(policy_kwargs or {})}
    return LocalActorCritic(POLICY, env, seed=seed, policy_kwargs=given, **arguments)


def test_training_ends_at_the_given_step_and_counts_episodes():
    witness = Witness()
    model = make()
    assert model.learn(STEPS, callback=witness) is model
    assert model.num_timesteps == witness.calls.count("step") == STEPS
    assert model.num_episodes == len(witness.episodes) > 10
    rollouts = " ".join(witness.calls[1:-1]).split("end")
    assert [x.split().count("step") for x in rollouts] == [256, 256, 88, 0]
    assert all(x.split()[0] == "start" for x in rollouts[:-1])


def test_batched_and_single_environments_give_the_same_weights():
    batched, singles = (
        make(make_vec_env("CartPole-v1", 5, seed=1, mode=mode)).learn(2_000)
        for mode in ("batched", "sync")
    )
    assert np.array_equal(weights(batched), weights(singles))


def test_feedback_weights_and_hidden_synapses_without_feedback_are_fixed():
    for feedback in ("random", "none", "symmetric"):
        model = make(feedback=feedback)
        before = {name: value.clone() for name, value in full_state(model.policy).items()}
        after = full_state(model.learn(STEPS).policy)
        assert torch.equal(before["feedback"], after["feedback"])
        name = "controller.layers.0.linear.weight"
        assert torch.equal(before[name], after[name]) == (feedback == "none")
        assert not torch.equal(before["critic.weight"], after["critic.weight"])


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_the_learning_rate_follows_its_schedule(optimiser):
    model = make(learning_rate=lambda left: 1e-2 * (left > 0.5), optimiser=optimiser)
    kept = []

    class Keep(BaseCallback):
        def _on_step(self):
            if self.num_timesteps % 256 == 0:
                kept.append(weights(self.model).copy())
            return True

    model.learn(1024, callback=Keep())
    # Rollouts begin with 1, 3/4, 1/2 and 1/4 of the steps left.
    changed = [not np.array_equal(a, b) for a, b in itertools.pairwise(kept)]
    assert changed == [True, False, False]


@pytest.mark.parametrize("n_envs", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_the_identity_task_is_learned(n_envs):
    env = DummyVecEnv([lambda: IdentityEnv(3, ep_length=50)] * n_envs)
    model = make(env, learning_rate=1e-2, reward_scale=0.1, gamma=0.5).learn(6_000)
    seen = np.arange(3)
    assert np.array_equal(model.predict(seen, deterministic=True)[0], seen)


@pytest.mark.check
def test_continuous_actions_are_learned():
    env = DummyVecEnv([lambda: IdentityEnvBox(low=-1, high=1, eps=0.2, ep_length=50)])
    model = make(env, learning_rate=1e-3, reward_scale=0.1, gamma=0.0, trace_decay=0.0)
    model.learn(10_000)
    seen = np.linspace(-0.8, 0.8, 9, dtype=np.float32)[:, None]
    actions, _ = model.predict(seen, deterministic=True)
    assert np.abs(actions - seen).mean() < 0.2
    assert model.policy.log_std.item() < np.log(0.5)


def test_actions_are_sampled_unless_deterministic():
    model = make(seed=1)
    drawn = [model.predict(observations())[0] for _ in range(8)]
    assert len({x.tobytes() for x in drawn}) > 1
    best = [model.predict(observations(), deterministic=True)[0] for _ in range(3)]
    assert len({x.tobytes() for x in best}) == 1
    boxed = make("Pendulum-v1")
    actions = boxed.predict(np.ones((500, 3), np.float32))[0]
    # The head starts at 0: tanh of Gaussians of standard deviation 0.5, times 2.
    assert np.arctanh(actions / 2).std() == pytest.approx(0.5, rel=0.15)


def test_a_zip_continues_training(tmp_path):
    model = make().learn(STEPS)
    model.save(tmp_path / "model.zip")
    env = make_vec_env("CartPole-v1", mode="sync")
    loaded = LocalActorCritic.load(tmp_path / "model.zip", env=env)
    assert np.array_equal(weights(loaded), weights(model))
    model.set_env(make_vec_env("CartPole-v1", mode="sync"))
    for each in (model, loaded):
        each.rng = np.random.default_rng(1)
        each.get_env().seed(7)
        each.learn(STEPS)
    assert np.array_equal(weights(loaded), weights(model))
    assert loaded.moments.updates == model.moments.updates == 2 * STEPS
    changed = LocalActorCritic.load(tmp_path / "model.zip", env=env, trace_decay=0.25)
    assert changed.settings.trace_decay == 0.25


def test_training_continues_from_weights_changed_between_calls():
    model, other = make().learn(STEPS), make(seed=5)
    model.policy.load_state_dict(other.policy.state_dict())
    before = weights(model).copy()
    model.learn(1, reset_num_timesteps=False)
    assert np.abs(weights(model) - before).max() < 0.05


def test_a_deployed_actor_learns_like_training():
    learned, deployed = make(learning_rate=3e-3), make(learning_rate=3e-3)
    learned.learn(STEPS)
    env = gym.make("CartPole-v1")
    observation, _ = env.reset(seed=0)
    actor = deployed.online(step_size=3e-3)
    assert isinstance(actor, OnlineActor)
    action = actor.reset(observation)
    for _ in range(3):
        assert env.action_space.contains(int(action))
        observation, reward, terminated, truncated, _ = env.step(action)
        action = actor.step(observation, float(reward), terminated, truncated)
    # The very first steps of ``learn``, in the episode of the same seed.
    model = make(learning_rate=3e-3)
    model.get_env().seed(0)
    model.learn(3)
    assert np.array_equal(weights(model), weights(deployed))
    assert not np.array_equal(weights(learned), weights(deployed))


def test_final_steps_are_learned_before_the_next_episode():
    model = make()
    actor = model.online(step_size=1e-2)
    seen = np.full(4, 0.1, np.float32)
    actor.reset(seen)
    before = weights(model).copy()
    actor.step(seen, 1.0, True, False)
    assert actor.core.errors[0] == pytest.approx(0.01)
    assert not np.array_equal(weights(model), before)
    after = weights(model).copy()
    actor.reset(seen)
    assert np.array_equal(weights(model), after)
    actor.step_size = 0.0
    actor.step(seen, 1.0, True, False)
    assert np.array_equal(weights(model), after)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"feedback": "backprop"}, "feedback: got 'backprop'.*'random', 'symmetric', 'broad"),
        ({"trace_decay": 1.5}, "trace_decay must be at least 0 and at most 1, got 1.5"),
        ({"device": "meta"}, "learns on the CPU, got device 'meta'"),
        ({"policy_kwargs": {"input_spread": 0.0}}, "must be above 0, got 0.0 and 0.5"),
    ],
)
def test_invalid_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_unknown_arguments_and_dict_observations_are_refused():
    with pytest.raises(TypeError, match="trace_decy"):
        make(trace_decy=0.5)

    class Parts(gym.Env):
        observation_space = spaces.Dict({"a": spaces.Box(-1.0, 1.0, (2,))})
        action_space = spaces.Discrete(2)

    with pytest.raises(ValueError, match="takes no Dict observations"):
        make(DummyVecEnv([Parts]))
