"""Tests of ``PPO``: our loop against the loop of Stable-Baselines3."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed
from torch.nn import functional

import snn_gym
from snn_gym.learners import PPO, StatefulPPO, lean
from snn_gym.learners.ppo import (
    ClippedStep,
    fill_advantages,
    loss_gradients,
    next_step_factor,
)
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.zoo import load_agent, save_agent

SMALL = {"n_steps": 16, "batch_size": 24, "n_epochs": 3, "seed": 1, "device": "cpu"}
NETWORK = {"hidden_sizes": [16, 8], "time_steps": 4}
# Batches of other sizes and sums in float64 round otherwise.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def pair(env_id="CartPole-v1", policy=None, **arguments):
    """Return our PPO and Stable-Baselines3's after 192 environment steps each."""
    made = []
    for algorithm in (PPO, stable_baselines3.PPO):
        env = snn_gym.make_vec_env(env_id, 4, env_kwargs={"max_episode_steps": 13})
        policy_kwargs = {"network": NETWORK, **(policy or {})}
        model = algorithm(
            SpikingActorCriticPolicy, env, policy_kwargs=policy_kwargs, **{**SMALL, **arguments}
        )
        made.append(model.learn(192))
    return made[0], made[1]


def assert_same_training(ours, theirs):
    found, same = full_state(ours.policy), full_state(theirs.policy)
    assert found.keys() == same.keys()
    for name, tensor in same.items():
        np.testing.assert_allclose(found[name], tensor, err_msg=name, **TOLERANCE)
    fresh = full_state(type(theirs.policy)(**theirs.policy._get_constructor_parameters()))
    assert any(not np.allclose(fresh[name], same[name], **TOLERANCE) for name in same)
    for name in ("observations", "actions", "episode_starts"):
        mine, other = (getattr(model.rollout_buffer, name) for model in (ours, theirs))
        np.testing.assert_array_equal(mine, other)
    for name in ("rewards", "values", "log_probs", "advantages", "returns"):
        mine, other = (getattr(model.rollout_buffer, name) for model in (ours, theirs))
        np.testing.assert_allclose(mine, other, err_msg=name, **TOLERANCE)
    assert ours.logger.name_to_value.keys() == theirs.logger.name_to_value.keys()
    for name, value in theirs.logger.name_to_value.items():
        assert ours.logger.name_to_value[name] == pytest.approx(value, rel=1e-3, abs=1e-5), name
    assert ours.num_timesteps == theirs.num_timesteps
    assert [x["l"] for x in ours.ep_info_buffer] == [x["l"] for x in theirs.ep_info_buffer]


@pytest.mark.parametrize(
    ("env_id", "policy", "arguments"),
    [
        ("CartPole-v1", {}, {}),
        ("CartPole-v1", {"spiking_actor": False}, {}),
        ("CartPole-v1", {"spiking_critic": True}, {"clip_range_vf": 0.1, "ent_coef": 0.01}),
        ("CartPole-v1", {"normalise_observations": False}, {"normalize_advantage": False}),
        ("CartPole-v1", {"share_features_extractor": False}, {"clip_range": 0.01}),
        ("CartPole-v1", {"network": {**NETWORK, "decoder": "population"}}, {"ent_coef": 0.1}),
        ("Acrobot-v1", {}, {"gae_lambda": 0.5, "gamma": 0.9, "max_grad_norm": 0.01}),
        ("snn/CartPole-v1", {}, {}),
        ("snn/CartPole-v1", {"spiking_actor": False}, {}),
        ("CartPole-v1", {}, {"target_kl": 1e-4, "n_epochs": 10, "learning_rate": 0.01}),
        ("FrozenLake-v1", {"spiking_actor": False}, {}),
        # Those that Stable-Baselines3's own loop serves.
        ("Pendulum-v1", {}, {"use_sde": True}),
        ("Pendulum-v1", {}, {}),
    ],
)
def test_training_equals_stable_baselines3(env_id, policy, arguments):
    ours, theirs = pair(env_id, policy, **arguments)
    assert ours._is_quick() == isinstance(ours.action_space, gym.spaces.Discrete)
    assert_same_training(ours, theirs)


def test_regulation_equals_stable_baselines3s_loop():
    network = {**NETWORK, "regulation": {"min_rate": 0.4, "rate_strength": 3.0}}
    plain, _ = pair()
    ours, theirs = pair(policy={"network": network})
    assert_same_training(ours, theirs)
    name = "mlp_extractor.actor.layers.0.linear.weight"
    assert not np.allclose(full_state(ours.policy)[name], full_state(plain.policy)[name])


class Changed(SpikingActorCriticPolicy):
    def evaluate_actions(self, obs, actions):
        values, log_prob, entropy = super().evaluate_actions(obs, actions)
        return 2 * values, log_prob, entropy


def test_a_policy_with_other_methods_runs_stable_baselines3s_loop():
    model = PPO(Changed, "CartPole-v1", **SMALL)
    assert not model._is_quick()
    model.learn(16)
    plain = PPO(SpikingActorCriticPolicy, "CartPole-v1", **SMALL)
    assert plain._is_quick()
    plain.policy.explores_nothing = True
    assert not plain._is_quick()


def test_forward_hooks_are_called_in_rollouts():
    model, calls = PPO(SpikingActorCriticPolicy, "CartPole-v1", **SMALL), []
    hook = model.policy.action_net.register_forward_hook(
        lambda *_: calls.append(torch.is_grad_enabled())
    )
    model.learn(model.n_steps)
    assert calls.count(False) == model.n_steps  # updates have gradients
    hook.remove()
    model.learn(model.n_steps)
    assert calls.count(False) == model.n_steps


def test_a_callback_may_stop_in_the_middle_and_sees_every_step():
    class Stop(BaseCallback):
        seen = 0

        def _on_step(self):
            assert {"infos", "rewards", "dones", "new_obs", "actions"} <= self.locals.keys()
            self.seen += 1
            return self.seen < 5

    states = []
    for algorithm in (PPO, stable_baselines3.PPO):
        env = snn_gym.make_vec_env("CartPole-v1", 4)
        model = algorithm(SpikingActorCriticPolicy, env, **SMALL)
        model.learn(128, callback=Stop())
        assert model.num_timesteps == 20
        states.append(full_state(model.policy))
    for name, tensor in states[1].items():
        np.testing.assert_allclose(states[0][name], tensor, err_msg=name, rtol=1e-12)


def test_every_ppo_is_saved_under_the_same_name(tmp_path):
    for number, algorithm in enumerate((PPO, stable_baselines3.PPO, lean(PPO))):
        model = algorithm(SpikingActorCriticPolicy, "CartPole-v1", **SMALL)
        loaded = load_agent(save_agent(model, tmp_path / str(number)))
        assert type(loaded) is PPO


@settings(max_examples=30)
@given(
    steps=st.integers(1, 9), n_envs=st.integers(1, 4), seed=st.integers(0, 999),
    gamma=st.floats(0, 1), gae_lambda=st.floats(0, 1),
)  # fmt: skip
def test_advantages_equal_stable_baselines3_bit_for_bit(steps, n_envs, seed, gamma, gae_lambda):
    draw = np.random.default_rng(seed)
    space = gym.spaces.Box(-1, 1, (1,))
    buffer = RolloutBuffer(
        steps, space, gym.spaces.Discrete(2), "cpu", gae_lambda, gamma, n_envs=n_envs
    )
    shape = steps, n_envs
    buffer.rewards[:] = draw.normal(size=shape)
    buffer.values[:] = draw.normal(size=shape)
    buffer.episode_starts[:] = draw.random(shape) < 0.3
    last, dones = draw.normal(size=n_envs).astype(np.float32), draw.random(n_envs) < 0.5
    buffer.compute_returns_and_advantage(torch.from_numpy(last), dones)
    found = np.empty(shape, np.float32)
    fill_advantages(
        np.float32(gamma), np.float32(gamma * gae_lambda),
        buffer.rewards, buffer.values, buffer.episode_starts, last, dones, found,
    )  # fmt: skip
    np.testing.assert_array_equal(found, buffer.advantages)


def theirs_of(logits, values, actions, known, numbers, normalise):
    """Return the PPO loss of Stable-Baselines3 and its logged means."""
    clip, clip_value, weight_entropy, weight_value = numbers
    old_values, old_log_probs, advantages, returns = known.T
    spread = torch.distributions.Categorical(logits=logits)
    log_probs = spread.log_prob(actions)
    if normalise and len(advantages) > 1:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    ratio = (log_probs - old_log_probs).exp()
    clipped = advantages * ratio.clamp(1 - clip, 1 + clip)
    policy_loss = -torch.min(advantages * ratio, clipped).mean()
    predicted = old_values + (values - old_values).clamp(-clip_value, clip_value)
    value_loss = functional.mse_loss(returns, predicted)
    entropy_loss = -spread.entropy().mean()
    loss = policy_loss + weight_entropy * entropy_loss + weight_value * value_loss
    divergence = (ratio - 1 - (log_probs - old_log_probs)).mean()
    share = ((ratio - 1).abs() > clip).double().mean()
    return loss, [float(x) for x in (policy_loss, value_loss, entropy_loss, share, divergence)]


@settings(max_examples=60)
@given(
    count=st.integers(1, 20), choices=st.integers(2, 5), seed=st.integers(0, 999),
    clip=st.sampled_from([0.05, 0.2, 0.9]), clip_value=st.sampled_from([0.1, 1.0, np.inf]),
    weights=st.tuples(st.floats(0, 1), st.floats(0, 1)), normalise=st.booleans(),
)  # fmt: skip
def test_loss_gradients_equal_autograd(
    count, choices, seed, clip, clip_value, weights,
    normalise,
):  # fmt: skip
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=(count, choices)).astype(np.float32)
    values = draw.normal(size=count).astype(np.float32)
    total = count + 7
    rows = draw.permutation(total)[:count]
    actions = draw.integers(choices, size=total)
    known = draw.normal(size=(total, 4)).astype(np.float32)
    known[:, 1] = np.log(draw.uniform(0.1, 0.9, total))
    numbers = np.array([clip, clip_value, *weights])
    means = np.empty(5)
    grad_logits, grad_values = np.empty_like(logits), np.empty_like(values)
    loss_gradients(
        rows, actions, known, logits, values, numbers, normalise, means, grad_logits, grad_values
    )
    exact_logits, exact_values = (
        torch.from_numpy(x.astype(np.float64)).requires_grad_() for x in (logits, values)
    )
    loss, expected = theirs_of(
        exact_logits, exact_values, torch.from_numpy(actions[rows]),
        torch.from_numpy(known[rows].astype(np.float64)), numbers, normalise,
    )  # fmt: skip
    loss.backward()
    np.testing.assert_allclose(grad_logits, exact_logits.grad, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(grad_values, exact_values.grad, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(means, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"fused": True, "eps": 1e-5}, {"fused": True, "weight_decay": 0.1},
        {"fused": True, "amsgrad": True}, {}, {"foreach": True},
    ],
)  # fmt: skip
@pytest.mark.parametrize("max_norm", [0.01, 100.0])
def test_a_clipped_step_equals_clipping_and_the_optimiser_to_the_bit(options, max_norm):
    both = []
    for quick in (True, False):
        set_random_seed(0)
        layers = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Linear(7, 2))
        optimiser = torch.optim.Adam(layers.parameters(), lr=0.01, **options)
        step = ClippedStep(optimiser, layers.parameters(), max_norm)
        for round_ in range(4):
            optimiser.param_groups[0]["lr"] = 0.01 / (1 + round_)
            step.drop_gradients()
            layers(torch.randn(3, 5)).square().sum().backward()
            if quick:
                step.take()
            else:
                torch.nn.utils.clip_grad_norm_(layers.parameters(), max_norm)
                optimiser.step()
        both.append(
            [*layers.parameters(), *(x for s in optimiser.state.values() for x in s.values())]
        )
    for mine, other in zip(*both, strict=True):
        assert torch.equal(mine, other)


# ---- step size -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("factor", "divergence", "decisions", "following"),
    [
        (1.0, 0.02, 2048, 1.0),
        (1.0, 0.02 / 4, 2048, 2.0),
        (1.0, 0.02 / 4, 9999, 2.0),
        (1.0, 0.02 / 16, 1024, 2.0),
        (8.0, 0.02 * 4, 2048, 4.0),
        (1.0, 0.02 / 1e4, 1024, 10.0),
        (1.0, 0.0, 2048, 30.0),
        (9.0, float("inf"), 2048, 1.0),
        (1.5, 0.02 * 4, 2048, 1.0),
        (20.0, 0.02 / 4, 2048, 30.0),
    ],
)
def test_the_next_step_factor_is_that_worked_by_hand(factor, divergence, decisions, following):
    found = next_step_factor(factor, divergence, 0.02, decisions)
    assert found == pytest.approx(following)


class StepSizes(BaseCallback):
    """Step size of the optimiser, and divergence of the last update, when rollouts start."""

    def __init__(self):
        super().__init__()
        self.found = []

    def _on_rollout_start(self):
        divergence = self.logger.name_to_value.get("train/approx_kl")
        self.found.append((self.model.policy.optimizer.param_groups[0]["lr"], divergence))

    def _on_step(self):
        return True


def adaptive(desired_kl, env_id="CartPole-v1", algorithm=PPO, policy="SpikingPolicy", **options):
    """Return a model after six updates, and the step sizes."""
    env = snn_gym.make_vec_env(env_id, 4, env_kwargs={"max_episode_steps": 13})
    options = {**SMALL, "batch_size": 32, "learning_rate": 1e-4, **options}
    network = {"policy_kwargs": {"network": NETWORK}}
    model = algorithm(policy, env, **options, **network, desired_kl=desired_kl)
    callback = StepSizes()
    return model.learn(6 * 64, callback=callback, log_interval=None), callback.found


@pytest.mark.parametrize(
    ("env_id", "algorithm", "policy"),
    [
        ("CartPole-v1", PPO, "SpikingPolicy"),
        ("CartPole-v1", lean(PPO), "SpikingPolicy"),
        ("Pendulum-v1", PPO, "SpikingPolicy"),
        ("CartPole-v1", StatefulPPO, "StatefulActorCriticPolicy"),
    ],
)
def test_steps_grow_until_updates_diverge_as_desired(env_id, algorithm, policy):
    _, found = adaptive(10.0, env_id, algorithm, policy)
    factor = 1.0
    # Nothing was updated before the first rollout.
    for step_size, divergence in found[1:]:
        assert step_size == pytest.approx(1e-4 * factor)
        factor = next_step_factor(factor, divergence, 10.0, 4 * 16)
    assert factor > 3


def test_a_desired_divergence_that_is_exceeded_changes_nothing():
    exceeded, _ = adaptive(1e-9)
    plain, _ = adaptive(None)
    for name, tensor in full_state(plain.policy).items():
        assert torch.equal(tensor, full_state(exceeded.policy)[name]), name


@pytest.mark.parametrize("desired_kl", [0.0, -0.02, float("nan")])
def test_a_desired_divergence_is_above_0(desired_kl):
    with pytest.raises(ValueError, match="desired_kl must be above 0 nat, got"):
        adaptive(desired_kl)


def test_updates_do_not_stop_before_the_desired_divergence():
    with pytest.raises(ValueError, match=r"target_kl=0\.01 stops .* before desired_kl=0\.02"):
        adaptive(0.02, target_kl=0.01)
