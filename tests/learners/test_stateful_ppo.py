"""Tests of StatefulPPO: rollouts, states, bootstrapping and learning."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from snn_gym import load_agent, save_agent
from snn_gym.learners import StatefulPPO
from snn_gym.policies import StatefulActorCriticPolicy
from snn_gym.spiking import NetworkConfig
from tests.learners.recall import Recall

LSNN = {"tau_mem_ms": 5.0, "tau_syn_ms": 2.0, "tau_adapt_ms": 50.0, "beta": 0.2}
NETWORKS = {
    "alif": NetworkConfig((24,), 4, neuron="alif", neuron_parameters=LSNN, recurrent=True),
    "lif": NetworkConfig((16, 12), 3, neuron="lif", decoder="last_voltage"),
    "delta": NetworkConfig((16,), 4, encoder="delta"),
    "tick": NetworkConfig((16, 12), 1, neuron="lif_soft", learnable=("tau_mem", "v_fall")),
}
KINDS = ("alif", "lif", "delta", "gru", "lstm")


def policy_kwargs(kind, **others):
    if kind in NETWORKS:
        return {"network": NETWORKS[kind], **others}
    return {"network": NetworkConfig((24,)), "spiking_actor": False, "gated": kind, **others}


def model(
    kind="alif",
    env="tests/Recall-v0",
    *,
    n_envs=4,
    seed=0,
    others=None,
    policy="StatefulActorCriticPolicy",
    **arguments,
):
    settings = {"n_steps": 20, "batch_size": 40, "n_epochs": 4, "learning_rate": 3e-3}
    env = make_vec_env(env, n_envs, seed=seed) if isinstance(env, str) else env
    return StatefulPPO(
        policy,
        env,
        seed=seed,
        policy_kwargs=policy_kwargs(kind, **(others or {})),
        **{**settings, **arguments},
    )


class ByTorch(StatefulActorCriticPolicy):
    """A policy with a method of its own, for which nothing is compiled."""

    def predict_values(self, *args):
        return super().predict_values(*args)


gym.register("tests/CutRecall-v0", entry_point=Recall, max_episode_steps=2)


@pytest.mark.parametrize(
    ("kind", "env_id", "lengths"),
    [
        ("alif", "tests/Recall-v0", {}),
        ("delta", "tests/CutRecall-v0", {"sequence_length": 10, "burn_in_steps": 3}),
        ("gru", "tests/CutRecall-v0", {"sequence_length": 5}),
        ("tick", "tests/Recall-v0", {"sequence_length": 4, "burn_in_steps": 2}),
    ],
)
def test_compiled_training_equals_that_by_pytorch(kind, env_id, lengths):
    weights, logs = [], []
    for policy in ("StatefulActorCriticPolicy", ByTorch):
        made = model(kind, env_id, policy=policy, learning_rate=1e-3, **lengths)
        assert made._is_quick() == (policy is not ByTorch)
        made.learn(3 * made.n_steps * made.n_envs)
        weights.append(made.policy.state_dict())
        logs.append(made.logger.name_to_value)
    for name, value in weights[1].items():
        torch.testing.assert_close(weights[0][name], value, atol=1e-4, rtol=1e-4, msg=name)
    for name, value in logs[1].items():
        assert logs[0][name] == pytest.approx(value, rel=1e-2, abs=1e-4), name


def rolled_out(made, rollouts=1):
    """Collect rollouts with updates that do not change the weights."""
    made.train = lambda: made.policy.set_training_mode(True)
    made.learn(rollouts * made.n_steps * made.n_envs)
    return made


def assert_replayed_as_played(made):
    """Check values and log-probabilities of sequences against the steps; return their number."""
    made.policy.set_training_mode(True)
    count = 0
    for batch in made.rollout_buffer.get(made.batch_size):
        values, log_prob, _ = made.policy.evaluate_actions(
            batch.observations, batch.actions.long().flatten()
        )
        torch.testing.assert_close(values.flatten(), batch.old_values, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(log_prob, batch.old_log_prob, atol=1e-5, rtol=1e-5)
        count += len(log_prob)
    return count


WHOLE, SHORT = {}, {"sequence_length": 5}
BURNT = {"sequence_length": 5, "burn_in_steps": 5}


@pytest.mark.parametrize(
    ("kind", "spiking_critic", "lengths"),
    [
        ("alif", False, WHOLE), ("alif", True, BURNT), ("lif", True, SHORT), ("lif", False, BURNT),
        ("delta", True, WHOLE), ("delta", False, SHORT), ("gru", False, BURNT),
        ("gru", True, SHORT), ("lstm", False, SHORT), ("lstm", True, WHOLE),
    ],
)  # fmt: skip
def test_replayed_sequences_equal_the_played_steps(kind, spiking_critic, lengths):
    # Episodes of 5 steps, so that sequences of 20 hold starts in their middle.
    made = rolled_out(model(kind, others={"spiking_critic": spiking_critic}, **lengths), 2)
    assert assert_replayed_as_played(made) == made.n_steps * made.n_envs
    assert made.rollout_buffer.episode_starts[1:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_burn_in_replay_is_exact_despite_changing_statistics(kind):
    # Rollouts of 12 steps begin in the middle of episodes of 5.
    made = model(kind, n_steps=12, batch_size=12, sequence_length=4, burn_in_steps=3)
    normaliser, means, starts = made.policy.normaliser, [], []

    def check():
        assert assert_replayed_as_played(made) == made.n_steps * made.n_envs
        means.append(normaliser.mean.clone())
        starts.append(made.rollout_buffer.episode_starts[0].any())

    made.train = check
    made.learn(4 * made.n_steps * made.n_envs)
    # Otherwise the test would detect no error.
    assert not any(torch.equal(*pair) for pair in itertools.pairwise(means))
    assert starts == [True, False, False, False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "arguments"), [("alif", {}), ("gru", {}), ("alif", {"credit": "eprop"})]
)
def test_the_cue_is_remembered(kind, arguments):
    made = model(kind, n_envs=16, ent_coef=0.01, batch_size=160, n_epochs=8, **arguments)
    made.learn(12_000)
    mean, _ = evaluate_policy(made, make_vec_env("tests/Recall-v0", 4, seed=99), 100)
    assert mean > 0.95


def play(policy, env, steps=12):
    """Return actions and states of a deterministic policy over some episodes."""
    env.seed(5)
    seen, state, starts = env.reset(), None, np.ones(env.num_envs, np.bool_)
    played = []
    for _ in range(steps):
        actions, state = policy.predict(seen, state, starts, deterministic=True)
        seen, _, starts, _ = env.step(actions)
        played += [actions, *state]
    return played


@pytest.mark.parametrize("kind", ["delta", "lstm"])
def test_saved_and_loaded_models_act_the_same(kind, tmp_path):
    made = model(kind, sequence_length=10, burn_in_steps=4, n_epochs=1)
    made.learn(160)
    env = make_vec_env("tests/Recall-v0", 3)
    made.save(tmp_path / "model.zip")
    save_agent(made, tmp_path / "agent")
    zipped = StatefulPPO.load(tmp_path / "model.zip", env=make_vec_env("tests/Recall-v0", 4))
    folder = load_agent(tmp_path / "agent")
    for other in (zipped, folder):
        for one, same in zip(play(made, env), play(other, env), strict=True):
            assert np.array_equal(one, same)
        assert (other.sequence_length, other.burn_in_steps) == (10, 4)
        other.learn(80)


def test_rewards_of_cut_episodes_include_the_last_value():
    # An episode that a limit cuts: the return of its last step holds the value of what follows.
    made = rolled_out(model("gru", "tests/CutRecall-v0", gamma=0.9, n_steps=4, batch_size=4))
    buffer = made.rollout_buffer
    state = torch.as_tensor(buffer.states)
    obs = torch.as_tensor(buffer.observations)
    with torch.no_grad():
        # The state after step 1, and the observation that the third step would have had.
        nobody = torch.zeros(4, dtype=torch.bool)
        _, _, _, first = made.policy(obs[0], state[0], torch.ones(4, dtype=torch.bool))
        _, _, _, second = made.policy(obs[1], first, nobody)
        value = made.policy.predict_values(torch.zeros(4, 3), second, nobody)
    expected = 0.9 * value.flatten().numpy()
    assert np.allclose(buffer.rewards[1], expected, atol=1e-6)
    assert np.abs(expected).min() > 1e-4
    assert not buffer.rewards[0].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequence_length": 8}, "sequence_length must divide n_steps=20, got 8"),
        (
            {"batch_size": 30},
            "batch_size counts environment steps of whole sequences of 20, got 30",
        ),
        (
            {"sequence_length": 4, "burn_in_steps": 5},
            "a sequence must not be shorter than its burn-in, got sequence_length=4 and "
            "burn_in_steps=5; lengthen the one or shorten the other",
        ),
        ({"burn_in_steps": -1}, "burn_in_steps at least 0, got 20 and -1"),
    ],
)
def test_invalid_lengths_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        model(**arguments)
