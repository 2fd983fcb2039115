"""``LocalActorCritic``: Stable-Baselines3's API, determinism, saving, learning."""

import csv
import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnMaxEpisodes
from stable_baselines3.common.envs import IdentityEnv, IdentityEnvBox
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from snn_gym import load_agent, make_agent, make_vec_env, save_agent
from snn_gym.learners import LocalActorCritic, OnlineActor
from snn_gym.learners import local_actor_critic as module
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.zoo.identity import extract_settings

POLICY = "LocalActorCriticPolicy"
NETWORK = NetworkConfig((16,), 4, surrogate_slope=2.0)
STEPS = 600


def make(env="CartPole-v1", *, seed=0, network=NETWORK, policy_kwargs=None, **arguments):
    given = {"network": network, **(policy_kwargs or {})}
    return LocalActorCritic(POLICY, env, seed=seed, policy_kwargs=given, **arguments)


def weights(model):
    return model.policy.parameters_to_vector()


def observations(count=20):
    return np.random.default_rng(0).normal(0, 1, (count, 4)).astype(np.float32)


class Witness(BaseCallback):
    """Keep what the learner tells its callbacks."""

    def __init__(self, stop_after=None):
        super().__init__()
        self.calls, self.episodes, self.stop_after = [], [], stop_after

    def _on_rollout_start(self):
        self.calls.append("start")

    def _on_step(self):
        self.calls.append("step")
        infos = self.locals["infos"]
        self.episodes += [info["episode"] for info in infos if "episode" in info]
        assert len(self.locals["new_obs"]) == len(infos) == len(self.locals["dones"])
        return self.stop_after is None or self.calls.count("step") < self.stop_after

    def _on_rollout_end(self):
        self.calls.append("end")


def test_it_stops_at_the_step_that_was_asked_for_and_counts_episodes():
    witness = Witness()
    model = make()
    assert model.learn(STEPS, callback=witness) is model
    assert model.num_timesteps == witness.calls.count("step") == STEPS
    assert model.num_episodes == len(witness.episodes) > 10
    rollouts = " ".join(witness.calls).split("end")
    assert [x.split().count("step") for x in rollouts] == [256, 256, 88, 0]
    assert all(x.split()[0] == "start" for x in rollouts[:-1])


def test_a_callback_stops_it_at_once():
    witness = Witness(stop_after=7)
    assert make().learn(10**9, callback=witness).num_timesteps == 7
    assert make().learn(10**9, callback=StopTrainingOnMaxEpisodes(5)).num_episodes == 5


def test_it_logs_as_stable_baselines3_does(tmp_path):
    model = make(learning_rate=0.25)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(STEPS, log_interval=1)
    last = list(csv.DictReader((tmp_path / "progress.csv").open()))[-1]
    assert float(last["time/total_timesteps"]) == STEPS
    assert float(last["time/episodes"]) == model.num_episodes
    assert float(last["train/learning_rate"]) == 0.25
    recent = [x["r"] for x in model.ep_info_buffer]
    assert float(last["rollout/ep_rew_mean"]) == pytest.approx(np.mean(recent))


@pytest.mark.parametrize("n_envs", [1, 6])
def test_a_seed_decides_everything(n_envs):
    first, same, other = (
        make(make_vec_env("CartPole-v1", n_envs, seed), seed=seed).learn(STEPS)
        for seed in (3, 3, 4)
    )
    assert np.array_equal(weights(first), weights(same))
    assert not np.array_equal(weights(first), weights(other))


def test_a_step_of_the_single_environment_is_that_of_stable_baselines3(monkeypatch):
    quick, witness = make(), Witness()
    quick.learn(3_000, callback=witness)
    monkeypatch.setattr(module, "stepper", lambda env: env.step)
    usual, other = make(), Witness()
    usual.learn(3_000, callback=other)
    assert np.array_equal(weights(quick), weights(usual))
    assert [(x["r"], x["l"]) for x in witness.episodes] == [
        (x["r"], x["l"]) for x in other.episodes
    ]


def test_batched_environments_and_single_ones_teach_the_same():
    batched, singles = (
        make(make_vec_env("CartPole-v1", 5, seed=1, mode=mode)).learn(2_000)
        for mode in ("batched", "sync")
    )
    assert np.array_equal(weights(batched), weights(singles))


def test_feedback_weights_never_change_and_without_feedback_hidden_synapses_do_not():
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


@pytest.mark.parametrize("n_envs", [1, 8])
def test_it_learns_to_tell_what_it_sees(n_envs):
    env = DummyVecEnv([lambda: IdentityEnv(3, ep_length=50)] * n_envs)
    model = make(env, learning_rate=1e-2, reward_scale=0.1, gamma=0.5).learn(6_000)
    seen = np.arange(3)
    assert np.array_equal(model.predict(seen, deterministic=True)[0], seen)


def test_it_learns_continuous_actions():
    env = DummyVecEnv([lambda: IdentityEnvBox(low=-1, high=1, eps=0.2, ep_length=50)])
    model = make(env, learning_rate=1e-3, reward_scale=0.1, gamma=0.0, trace_decay=0.0)
    model.learn(10_000)
    seen = np.linspace(-0.8, 0.8, 9, dtype=np.float32)[:, None]
    actions, _ = model.predict(seen, deterministic=True)
    assert np.abs(actions - seen).mean() < 0.2
    assert model.policy.log_std.item() < np.log(0.5)


def test_unless_asked_to_be_deterministic_it_draws():
    model = make(seed=1)
    drawn = [model.predict(observations())[0] for _ in range(8)]
    assert len({x.tobytes() for x in drawn}) > 1
    best = [model.predict(observations(), deterministic=True)[0] for _ in range(3)]
    assert len({x.tobytes() for x in best}) == 1
    boxed = make("Pendulum-v1")
    actions = boxed.predict(np.ones((500, 3), np.float32))[0]
    # The head starts at 0: tanh of Gaussians of standard deviation 0.5, times 2.
    assert np.arctanh(actions / 2).std() == pytest.approx(0.5, rel=0.15)


def test_a_zip_goes_on_where_it_stopped(tmp_path):
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


def test_a_saved_agent_acts_the_same(tmp_path):
    model = make(observation_limits=([-3] * 4, [3] * 4), feedback="symmetric").learn(STEPS)
    save_agent(model, tmp_path)
    loaded = load_agent(tmp_path)
    assert extract_settings(loaded) == extract_settings(model)
    same = (x.predict(observations(), deterministic=True)[0] for x in (model, loaded))
    assert np.array_equal(*same)
    assert torch.equal(loaded.policy.feedback, model.policy.feedback)
    assert loaded.learn(STEPS, reset_num_timesteps=False).num_timesteps == 2 * STEPS


def test_arguments_of_the_policy_are_saved(tmp_path):
    model = make("Pendulum-v1", policy_kwargs={"input_spread": 0.5, "start_std": 0.25})
    save_agent(model.learn(1), tmp_path)
    policy = load_agent(tmp_path).policy
    assert (policy.input_spread, policy.start_std) == (0.5, 0.25)


def test_its_state_is_tensors_of_fixed_names():
    model, fresh = make().learn(STEPS), make(seed=1)
    fresh.load_state_tensors(model.state_tensors())
    assert fresh.moments.updates == STEPS
    assert np.array_equal(fresh.moments.first, model.moments.first)
    with pytest.raises(ValueError, match=r"got \['something'\]"):
        fresh.load_state_tensors({"something": np.zeros(1)})


def test_what_callbacks_do_to_the_weights_between_calls_is_learned_from():
    model, other = make().learn(STEPS), make(seed=5)
    model.policy.load_state_dict(other.policy.state_dict())
    before = weights(model).copy()
    model.learn(1, reset_num_timesteps=False)
    assert np.abs(weights(model) - before).max() < 0.05


def test_a_deployed_agent_goes_on_learning_as_learn_does():
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


def test_an_end_is_learned_from_before_the_next_episode():
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


def test_a_recording_shows_the_hidden_layer():
    recording = make().policy.record(observations())
    assert [layer.name for layer in recording.layers] == ["hidden_1"]
    assert recording.layers[0].spikes.mean() > 0.05


def test_observations_are_scaled_by_the_limits_of_the_task():
    scaler = make().policy.scaler
    assert scaler.std.tolist() == pytest.approx([2.4, 3.0, 0.2095, 3.5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"feedback": "backprop"},
            "feedback: got 'backprop'.*'random', 'symmetric', 'broad",
        ),
        ({"trace_decay": 1.5}, "trace_decay must be at least 0 and at most 1, got 1.5"),
        ({"device": "meta"}, "learns on the CPU, got device 'meta'"),
        ({"network": NetworkConfig(recurrent=True)}, "can't learn recurrent=True"),
        ({"policy_kwargs": {"input_spread": 0.0}}, "must be above 0, got 0.0 and 0.5"),
    ],
)
def test_what_it_does_not_know_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


def test_another_policy_and_unknown_arguments_are_refused():
    from stable_baselines3.dqn import MlpPolicy

    with pytest.raises(ValueError, match="needs LocalActorCriticPolicy, got DQNPolicy"):
        LocalActorCritic(MlpPolicy, "CartPole-v1")
    with pytest.raises(TypeError, match="trace_decy"):
        make(trace_decy=0.5)
    with pytest.raises(ValueError, match="total_timesteps must be at least 1, got 0"):
        make().learn(0)


def test_observations_of_several_parts_are_refused():
    class Parts(gym.Env):
        observation_space = spaces.Dict({"a": spaces.Box(-1.0, 1.0, (2,))})
        action_space = spaces.Discrete(2)

    with pytest.raises(ValueError, match="takes no Dict observations"):
        LocalActorCritic("LocalActorCriticPolicy", DummyVecEnv([Parts]))


def test_environments_that_others_wrap_are_stepped_as_they_are():
    env = VecNormalize(make_vec_env("CartPole-v1", mode="sync"), norm_obs=False)
    model = make(env, observation_limits=([-3] * 4, [3] * 4)).learn(STEPS)
    assert model.num_timesteps == STEPS


def test_the_zoos_agent_is_made_of_its_file():
    model = make_agent("local-actor-critic", "CartPole-v1", seed=3, trace_decay=0.5)
    assert isinstance(model, LocalActorCritic)
    assert (model.trace_decay, model.feedback, model.n_envs) == (0.5, "random", 1)
    assert model.policy.network.hidden_sizes == (64,)
