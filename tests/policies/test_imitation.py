"""Tests of policies that learn from an expert, as in the package ``imitation``."""

import gymnasium as gym
import numpy as np
import pytest
import torch

import snn_gym
from tests.policies.identity import EVERY, Identity, make, observations

EXPERT = np.array([0.1, 0.3, 1.0, 1.0])
"""Push to the side that this sum of CartPole's values is on: 500 in every episode tried."""


def acts(seen):
    return (seen @ EXPERT > 0).astype(np.int64)


def demonstrations(episodes):
    """Play CartPole with the expert; return its observations and returns."""
    env, seen, returns = gym.make("CartPole-v1"), [], []
    for seed in range(episodes):
        observation, _ = env.reset(seed=seed)
        done, earned = False, 0.0
        while not done:
            seen.append(observation)
            observation, reward, terminated, truncated, _ = env.step(int(acts(observation)))
            done, earned = terminated or truncated, earned + float(reward)
        returns.append(earned)
    return np.array(seen, np.float32), returns


def clone(policy, seen, epochs):
    """Raise the likelihood of the expert's actions like ``BC.train``, without training mode."""
    optimiser = torch.optim.Adam(policy.parameters())
    order = torch.Generator().manual_seed(0)
    obs, actions = torch.as_tensor(seen), torch.as_tensor(acts(seen))
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(obs), generator=order), 32):
            _, log_prob, entropy = policy.evaluate_actions(obs[batch], actions[batch])
            loss = -log_prob.mean() - 1e-3 * entropy.mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        policy.predict(seen[0])  # as where it logs returns; it leaves the mode of training


def test_a_clone_balances_the_pole():
    seen, returns = demonstrations(4)
    assert returns == [500.0] * 4
    model = snn_gym.make_agent("ppo-lif", "CartPole-v1", seed=0, normalise_observations=True)
    clone(model.policy, seen, epochs=3)
    assert snn_gym.evaluate(model, "CartPole-v1", episodes=5).mean > 450


def test_first_batches_set_the_statistics_and_rollouts_add_to_them():
    model = make("PPO")
    seen = torch.as_tensor(observations("analogue", 200))
    actions = torch.zeros(200, dtype=torch.long)
    normaliser = model.policy.normaliser
    for batch in torch.split(torch.arange(200), 50):
        model.policy.evaluate_actions(seen[batch], actions[batch])
    torch.testing.assert_close(normaliser.mean, seen.mean(0))
    torch.testing.assert_close(normaliser.std, seen.std(0, correction=0))
    with torch.no_grad():
        model.policy.evaluate_actions(seen + 1, actions)
    model.policy.predict(seen.numpy() + 1)
    assert normaliser.count.item() == 200
    model.learn(64)
    assert normaliser.count.item() == 264
    model.policy.evaluate_actions(seen, actions)  # rollouts have begun
    assert normaliser.count.item() == 264


@pytest.mark.parametrize(
    ("name", "view"),
    [("PPO", "analogue"), ("PPO", "Dict"), ("DQN", "analogue"), ("StatefulPPO", "analogue")],
)
def test_fit_normaliser_uses_only_the_given_data(name, view):
    model = make(name, Identity(view, EVERY[name].actions[0]))
    normaliser = model.policy.normaliser
    model.policy.fit_normaliser(observations(view, 20, seed=1))
    seen = observations(view, 300)
    model.policy.fit_normaliser(seen)
    values = seen["value"] if view == "Dict" else seen
    np.testing.assert_allclose(normaliser.mean, values.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(normaliser.std, values.std(0), rtol=1e-4, atol=1e-4)
    if (name, view) == ("PPO", "analogue"):
        fitted = normaliser.mean.clone()
        model.policy.evaluate_actions(torch.as_tensor(seen[:9]), torch.zeros(9, dtype=torch.long))
        assert torch.equal(normaliser.mean, fitted)
        model.learn(64)  # a rollout adds to them
        assert normaliser.count.item() == 364


def test_fit_normaliser_refuses_unusable_input():
    with pytest.raises(ValueError, match="at least 2 observations, got 1; pass more"):
        make("PPO").policy.fit_normaliser(observations("analogue", 1))
    without = make("PPO", policy_kwargs={"normalise_observations": False}).policy
    with pytest.raises(ValueError, match=r"has no observation normaliser.*leave fit_normaliser"):
        without.fit_normaliser(observations("analogue", 9))
