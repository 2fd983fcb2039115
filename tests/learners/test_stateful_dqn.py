"""Tests of StatefulDQN: exploration, sequences, states, targets and learning."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from snn_gym.learners import StatefulDQN
from snn_gym.learners.sequences import SequenceSamples
from snn_gym.learners.stateful import n_step_targets
from snn_gym.policies.stateful import SequenceBatch
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.training.checkpoint import restore_checkpoint
from snn_gym.training.logs import EpisodeLog
from snn_gym.training.run import SegmentCallback
from tests.learners.recall import Recall
from tests.marked import slow

ALIF = NetworkConfig((24,), 4, neuron="alif", recurrent=True)
NETWORKS = {
    "alif": ALIF,
    "lif": NetworkConfig((12, 10), 3, neuron="lif", decoder="last_voltage"),
    "delta": NetworkConfig((12,), 4, encoder="delta"),
}
KINDS = ("alif", "lif", "delta", "gru", "lstm")
CUT = "tests/CutRecallForDQN-v0"
gym.register(CUT, entry_point=Recall, max_episode_steps=4)


def policy_kwargs(kind):
    if kind in NETWORKS:
        return {"network": NETWORKS[kind]}
    return {"network": NetworkConfig((16,)), "spiking": False, "gated": kind}


def model(kind="gru", env="tests/Recall-v0", *, n_envs=4, seed=0, **arguments):
    settings = {
        "learning_rate": 3e-3, "buffer_size": 4000, "learning_starts": 100, "batch_size": 32,
        "sequence_length": 8, "burn_in_steps": 2, "target_update_interval": 200, "gamma": 0.9,
    }  # fmt: skip
    env = make_vec_env(env, n_envs, seed=seed) if isinstance(env, str) else env
    return StatefulDQN(
        "StatefulDQNPolicy",
        env,
        seed=seed,
        policy_kwargs=policy_kwargs(kind),
        **{**settings, **arguments},
    )


def played(made, steps=40):
    """Fill the replay buffer without updates; return the Q-values (steps, n_envs, A) of acting."""
    made.train = lambda **_: None
    seen, forward = [], made.q_net.forward

    def watched(obs, states):
        values, carried = forward(obs, states)
        seen.append(values.clone())
        return values, carried

    made.q_net.forward = watched
    made.learn(steps * made.n_envs)
    made.q_net.forward = forward
    return torch.stack(seen)


def all_sequences(made):
    """Return all sequences, and the first step of each and its environment."""
    buffer = made.replay_buffer
    numbers = np.arange(buffer.sequences * buffer.n_envs)
    envs, positions = np.divmod(numbers, buffer.sequences)
    return buffer._get_samples(numbers), buffer.stride * positions, envs


def scrambled(module, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"burn_in_steps": 0, "learning_starts": 0, "exploration_initial_eps": 0.5},
        {"burn_in_steps": 5, "learning_starts": 1000, "n_steps": 3},
    ],
)
def test_replayed_q_values_equal_acting(kind, arguments):
    # Episodes of 5 steps, so that sequences hold starts; random actions in between, or only them.
    made = model(kind, **arguments)
    acted = played(made)
    samples, first, envs = all_sequences(made)
    steps = first + made.burn_in_steps + np.arange(8 + made.n_steps)[:, np.newaxis]
    with torch.no_grad():
        replayed = made.q_net.sequence(samples.sequences)
    torch.testing.assert_close(replayed, acted[steps, envs], atol=1e-5, rtol=1e-5)
    assert samples.sequences.starts[1:].any()
    assert samples.sequences.states.any()


def stepped(network, samples, rest):
    """Return Q-values (K + L + n, B, A) of a network that goes on step by step from the states."""
    batch, state, values = samples.sequences, samples.sequences.states, []
    for obs, starts in zip(batch.observations, batch.starts, strict=True):
        state = torch.where(starts.unsqueeze(1), rest, state)
        value, state = network(obs, state)
        values.append(value)
    return torch.stack(values)


def targets_by_hand(samples, bootstrap, gamma, n_steps):
    """Return targets (L, B), NaN where they are not known: a loop over single steps."""
    length, count = samples.actions.shape[:2]
    targets = np.full((length, count), np.nan)
    for step in range(length):
        for one in range(count):
            total = 0.0
            for k in range(n_steps):
                total += gamma**k * samples.rewards[step + k, one].item()
                if samples.terminated[step + k, one]:
                    break
                if samples.truncated[step + k, one]:
                    total = np.nan
                    break
            else:
                total += gamma**n_steps * bootstrap[step + n_steps, one].item()
            targets[step, one] = total
    return targets


@pytest.mark.parametrize("n_steps", [1, 2, 5])
def test_targets_and_their_known_steps_by_hand(n_steps):
    length, count = 7, 40
    torch.manual_seed(0)
    rows = (length + n_steps - 1, count)
    terminated = torch.rand(rows) < 0.2
    samples = SequenceSamples(
        SequenceBatch(torch.empty(0), torch.empty(0), torch.empty(0)),
        torch.zeros(length, count, 1),
        torch.randn(rows),
        terminated,
        (torch.rand(rows) < 0.2) & ~terminated,
    )
    bootstrap = torch.randn(length + n_steps, count)
    targets, known = n_step_targets(samples, bootstrap, 0.9, n_steps)
    expected = targets_by_hand(samples, bootstrap, 0.9, n_steps)
    assert np.array_equal(known.numpy(), ~np.isnan(expected))
    assert 0 < known.sum() < known.numel()
    np.testing.assert_allclose(targets[known], expected[known.numpy()], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("env", ["tests/Recall-v0", CUT])
def test_the_loss_by_hand(env):
    # Weights differ from those of acting and of each other: both networks bring their own state up
    # to date from the one that was stored.
    made = model("gru", env, n_steps=2, burn_in_steps=3)
    played(made)
    scrambled(made.q_net, 1)
    scrambled(made.q_net_target, 2)
    samples, _, _ = all_sequences(made)
    rest = torch.zeros(1, 16)
    with torch.no_grad():
        online = stepped(made.q_net, samples, rest)[3:]
        target = stepped(made.q_net_target, samples, rest)[3:]
        loss = made._loss(samples).item()
    best = online.argmax(dim=2, keepdim=True)
    targets = targets_by_hand(samples, target.gather(2, best)[..., 0], 0.9, 2)
    present = online[:8].gather(2, samples.actions)[..., 0].numpy()
    errors = np.abs(present - targets)[~np.isnan(targets)]
    expected = np.where(errors < 1, 0.5 * errors**2, errors - 0.5).mean()
    assert (errors.size < targets.size) == (env == CUT)
    assert loss == pytest.approx(expected, rel=1e-4)


LEARNING = {
    "n_envs": 8, "learning_starts": 400, "buffer_size": 20_000, "batch_size": 64,
    "exploration_fraction": 0.5,
}  # fmt: skip


def recalled(made):
    return evaluate_policy(made, make_vec_env("tests/Recall-v0", 8, seed=99), 200)[0]


@pytest.mark.parametrize(("kind", "steps"), [slow("alif", 5000), ("gru", 3000)])
def test_the_cue_is_remembered(kind, steps):
    assert recalled(model(kind, **LEARNING).learn(steps)) > 0.95


@pytest.mark.parametrize("kind", ["alif", "delta", "lstm"])
def test_a_zip_restores_actions_and_states(kind, tmp_path):
    made = model(kind).learn(240)
    made.save(tmp_path / "model.zip")
    loaded = StatefulDQN.load(tmp_path / "model.zip", env=make_vec_env("tests/Recall-v0", 4))
    assert (loaded.sequence_length, loaded.burn_in_steps) == (8, 2)
    assert loaded.buffer_size == 4000
    env = make_vec_env("tests/Recall-v0", 3, seed=5)
    seen, state, starts = env.reset(), None, np.ones(3, np.bool_)
    for _ in range(12):
        actions, carried = made.predict(seen, state, starts, deterministic=True)
        others, same = loaded.predict(seen, state, starts, deterministic=True)
        assert np.array_equal(actions, others)
        assert np.array_equal(carried[0], same[0])
        state = carried
        seen, _, starts, _ = env.step(actions)
    loaded.learn(240)
    assert loaded._n_updates > made._n_updates


def test_each_environment_explores_separately_and_the_state_advances():
    made = model("gru")
    with torch.no_grad():
        made.q_net.q_net.head.weight.zero_()
        made.q_net.q_net.head.bias.copy_(torch.tensor([1.0, 0.0]))
    seen = np.random.default_rng(0).random((2000, 3), np.float32)
    made.exploration_rate = 0.5
    _, state = made.predict(seen, deterministic=True)
    for carried in (None, state):
        best, expected = made.predict(seen, carried, deterministic=True)
        chosen, same = made.predict(seen, carried)
        assert not best.any()
        assert 0.2 < chosen.mean() < 0.3
        assert np.array_equal(expected[0], same[0])
    alone, one = made.predict(seen[0])
    assert alone.shape == ()
    np.testing.assert_allclose(one[0][0], state[0][0], atol=1e-6)


def test_no_update_before_a_whole_sequence():
    # 11 environment steps of 4 copies.
    made = model("gru", learning_starts=0, train_freq=1)
    made.learn(40)
    assert made._n_updates == 0
    made.learn(8, reset_num_timesteps=False, log_interval=None)
    assert made._n_updates == 2
    assert {"train/loss", "train/n_updates", "rollout/exploration_rate"} <= set(
        made.logger.name_to_value
    )


def test_replay_of_normalised_environments():
    env = VecNormalize(DummyVecEnv([lambda: Recall(2)] * 4))
    made = model("gru", env).learn(600)
    raw = made.replay_buffer.observations[:20]
    assert set(np.unique(raw)) == {0.0, 1.0}
    torch.manual_seed(0)
    plain = made.replay_buffer.sample(80)
    torch.manual_seed(0)
    samples = made.replay_buffer.sample(80, env)
    expected = env.normalize_obs(plain.sequences.observations.numpy())
    np.testing.assert_array_equal(samples.sequences.observations, expected)
    expected = env.normalize_reward(plain.rewards.numpy())
    np.testing.assert_allclose(samples.rewards, expected, rtol=1e-6)
    assert samples.rewards.dtype == torch.float32


def test_resumed_runs_equal_an_uninterrupted_run(tmp_path):
    def make_envs():
        return make_vec_env("tests/Recall-v0", 4)

    def segments():
        files = tmp_path / "c.safetensors", tmp_path / "e.csv"
        return SegmentCallback(*files, EpisodeLog(), 7, 400, make_envs, "disjoint")

    # A ring of 400 steps is full at the checkpoint.
    arguments = {"train_freq": 7, "buffer_size": 400, "n_steps": 2}
    unbroken = model("alif", **arguments).learn(800, segments())
    resumed = model("alif", seed=3, **arguments)
    restore_checkpoint(tmp_path / "c.safetensors", resumed)
    assert 400 <= resumed.num_timesteps < 800
    resumed.learn(800 - resumed.num_timesteps, segments(), reset_num_timesteps=False)
    cut = resumed.replay_buffer.episode_starts.all(axis=1).nonzero()[0]
    assert len(cut) > 1
    for name in unbroken.replay_buffer.arrays:
        one, other = (getattr(x.replay_buffer, name) for x in (unbroken, resumed))
        np.testing.assert_array_equal(one, other)
    old, new = full_state(unbroken.policy), full_state(resumed.policy)
    assert all(torch.equal(old[name], new[name]) for name in old)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "whole sequences of 8, got 0"),
        ({"n_steps": 0}, "n_steps must be at least 1, got 0"),
        (
            {"buffer_size": 60},
            "buffer_size must be at least 64 to hold a sequence of 11 environment steps of 4 "
            "environments, got 60",
        ),
        (
            {"optimize_memory_usage": True},
            "replays from its own SequenceReplayBuffer, got optimize_memory_usage=True; leave it",
        ),
    ],
)
def test_invalid_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        model(**arguments)


def test_missing_targets_give_zero_loss():
    gym.register("tests/OneStepForDQN-v0", entry_point=Recall, max_episode_steps=1)
    made = model("gru", "tests/OneStepForDQN-v0")
    played(made)
    loss = made._loss(all_sequences(made)[0])
    loss.backward()
    assert loss.item() == 0.0
    assert not any(p.grad.any() for p in made.q_net.parameters())
