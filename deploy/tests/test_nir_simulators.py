"""Stored agents play through simulators that nobody here wrote, by their NIR graphs."""

import contextlib
import io
import json

import gymnasium as gym
import nir
import numpy as np
import pytest
import torch

from host import choose, seen_by_the_graph
from snn_gym import load_pretrained, make_agent
from snn_gym.leaderboard import evaluate
from snn_gym_deploy import to_nir

EPISODES = 20


def spikingjelly(graph):
    exchange = pytest.importorskip("spikingjelly.activation_based.nir_exchange")
    return exchange.import_from_nir(graph, dt=1e-4)


def snntorch(graph):
    with contextlib.redirect_stdout(io.StringIO()):  # it prints every constant
        return pytest.importorskip("snntorch.import_nir").import_from_nir(graph)


class Simulated:
    """A policy of a graph and its host's file."""

    def __init__(self, network, host):
        self._network, self._host = network, host

    def predict(self, observations, *_, **__):
        steps = np.stack([np.stack(seen_by_the_graph(x, self._host)) for x in observations], axis=1)
        state, total = None, torch.zeros(())
        for module in self._network.modules():
            if hasattr(module, "reset_mem"):  # snnTorch's neurons keep their state themselves
                module.reset_mem()
        with torch.no_grad():
            for inputs in torch.from_numpy(steps.astype(np.float32)):
                output, state = self._network(inputs, state)
                total = total + output
        means = (total / len(steps)).numpy()
        return np.array([choose(x, self._host["action"]) for x in means]), None


SIMULATORS = pytest.mark.parametrize("simulator", [spikingjelly, snntorch])


def simulated(model, simulator, folder):
    files = to_nir(model, folder / "agent.nir")
    host = json.loads(files.host.read_text(encoding="utf-8"))
    return Simulated(simulator(nir.read(files.graph)), host)


@SIMULATORS
@pytest.mark.parametrize(
    ("make", "env_id"), [(load_pretrained, "CartPole-v1"), (make_agent, "snn/CartPole-v1")]
)
def test_an_agent_earns_the_same_elsewhere(make, env_id, simulator, tmp_path):
    model = make("ppo-lif", env_id)
    policy = simulated(model, simulator, tmp_path)
    ours = evaluate(model, env_id, EPISODES)
    assert evaluate(policy, env_id, EPISODES).returns == ours.returns


@SIMULATORS
def test_continuous_actions_are_the_same_in_every_state(simulator, tmp_path):
    # Played, the pendulum makes a wide way of a difference in the last bit: states are ours here.
    model = load_pretrained("ppo-lif", "Pendulum-v1")
    policy, env = simulated(model, simulator, tmp_path), gym.make("Pendulum-v1")
    same = []
    for seed in range(3):
        observation, over = env.reset(seed=seed)[0], False
        while not over:
            action, _ = model.predict(observation, deterministic=True)
            same.append(np.allclose(policy.predict(observation[None])[0][0], action, atol=1e-4))
            observation, _, _, over, _ = env.step(action)
    # A spike may flip where its margin is within rounding, which simulators do in their own order.
    assert np.mean(same) >= 0.99
