"""A training loop of one file in the manner of CleanRL on a spiking task."""

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

import snn_gym  # noqa: F401  registers the ids


class Agent(nn.Module):
    """Actor and critic in the manner of CleanRL's ppo.py."""

    def __init__(self, envs):
        super().__init__()
        size = int(np.prod(envs.single_observation_space.shape))
        self.critic = nn.Sequential(nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, 1))
        self.actor = nn.Sequential(
            nn.Linear(size, 64), nn.Tanh(), nn.Linear(64, int(envs.single_action_space.n))
        )

    def act(self, x, action=None):
        choice = Categorical(logits=self.actor(x))
        action = choice.sample() if action is None else action
        return action, choice.log_prob(action), choice.entropy(), self.critic(x).squeeze(-1)


def make_env(env_id):
    def thunk():
        env = gym.make(env_id)
        env = gym.wrappers.FlattenObservation(env)
        return gym.wrappers.RecordEpisodeStatistics(env)

    return thunk


def advantages(rewards, dones, values, next_value, next_done, gamma=0.98, lam=0.9):
    result, last = torch.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        going_on = 1.0 - (next_done if t == len(rewards) - 1 else dones[t + 1])
        following = next_value if t == len(rewards) - 1 else values[t + 1]
        delta = rewards[t] + gamma * following * going_on - values[t]
        result[t] = last = delta + gamma * lam * going_on * last
    return result


def update(agent, optimizer, batch, epochs=6, minibatch=128):
    obs, actions, logprobs, adv, returns = (x.flatten(0, 1) for x in batch)
    for _ in range(epochs):
        for part in torch.randperm(len(obs)).split(minibatch):
            _, new, entropy, value = agent.act(obs[part], actions[part])
            ratio = (new - logprobs[part]).exp()
            gain = (adv[part] - adv[part].mean()) / (adv[part].std() + 1e-8)
            policy = torch.max(-gain * ratio, -gain * ratio.clamp(0.8, 1.2)).mean()
            loss = policy - 0.01 * entropy.mean() + 0.5 * (value - returns[part]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()


def test_a_loop_in_the_manner_of_cleanrl_learns_a_spiking_task():
    # https://github.com/vwxyzjn/cleanrl/blob/master/cleanrl/ppo.py: one file, a SyncVectorEnv of
    # gymnasium, no library of algorithms.
    torch.manual_seed(0)
    envs = gym.vector.SyncVectorEnv([make_env("snn/CartPole-v1") for _ in range(8)])
    agent, steps, episodes = Agent(envs), 64, []
    optimizer = torch.optim.Adam(agent.parameters(), lr=1e-3, eps=1e-5)
    observation, _ = envs.reset(seed=0)
    next_done = torch.zeros(8)
    for _ in range(24):
        rows = []
        for _ in range(steps):
            obs = torch.as_tensor(observation, dtype=torch.float32)
            with torch.no_grad():
                action, logprob, _, value = agent.act(obs)
            observation, reward, ended, cut, info = envs.step(action.numpy())
            reward = torch.as_tensor(reward, dtype=torch.float32)
            rows.append((obs, action, logprob, reward, next_done, value))
            next_done = torch.as_tensor(np.logical_or(ended, cut), dtype=torch.float32)
            if "episode" in info:
                episodes.extend(info["episode"]["r"][info["_episode"]])
        obs, actions, logprobs, rewards, dones, values = (
            torch.stack(column) for column in zip(*rows, strict=True)
        )
        with torch.no_grad():
            last = agent.act(torch.as_tensor(observation, dtype=torch.float32))[3]
        adv = advantages(rewards, dones, values, last, next_done)
        update(agent, optimizer, (obs, actions, logprobs, adv, adv + values))
    assert np.mean(episodes[:20]) < 40
    assert np.mean(episodes[-20:]) > 80  # random play: 22
