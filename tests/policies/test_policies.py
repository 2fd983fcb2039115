"""The policies under the stock algorithms: learning, determinism, saving, the normaliser's rule."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.envs import IdentityEnv, IdentityEnvBox
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

import snn_gym  # noqa: F401  registers the ids
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy
from snn_gym.spiking import NetworkConfig, ObservationNormaliser

SMALL = NetworkConfig(hidden_sizes=(32,), time_steps=4)
POLICIES: dict[type[BaseAlgorithm], Any] = {
    PPO: SpikingActorCriticPolicy, A2C: SpikingActorCriticPolicy, DQN: SpikingDQNPolicy,
}  # fmt: skip
ARGUMENTS: dict[type[BaseAlgorithm], dict[str, Any]] = {
    PPO: {"n_steps": 64, "batch_size": 32, "n_epochs": 4, "learning_rate": 3e-3},
    A2C: {"n_steps": 16, "learning_rate": 3e-3},
    DQN: {"learning_starts": 64, "learning_rate": 2e-3, "exploration_fraction": 0.5,
          "target_update_interval": 50},
}  # fmt: skip
algorithms = pytest.mark.parametrize("algorithm", list(POLICIES))


def make(algorithm: type[BaseAlgorithm], env: Any = "CartPole-v1", seed: int = 0, **kw: Any):  # type: ignore[no-untyped-def]
    policy_kwargs = {"network": SMALL, **kw.pop("policy_kwargs", {})}
    arguments = {**ARGUMENTS[algorithm], **kw}
    return algorithm(
        POLICIES[algorithm], env, seed=seed, device="cpu", policy_kwargs=policy_kwargs, **arguments
    )


def observations(count: int = 200, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, 0.5, (count, 4)).astype(np.float32)


@algorithms
def test_learns_a_discrete_identity(algorithm: type[BaseAlgorithm]) -> None:
    env = DummyVecEnv([lambda: IdentityEnv(4)])
    model = make(algorithm, env, gamma=0.0)
    model.learn(2000)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=20, warn=False)
    assert mean > 90  # of 100; chance is 25


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_learns_a_continuous_identity(algorithm: type[BaseAlgorithm]) -> None:
    env = DummyVecEnv([lambda: IdentityEnvBox(eps=0.5)])
    model = make(algorithm, env, gamma=0.0)
    model.learn(4000)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=20, warn=False)
    assert mean > 80


@pytest.mark.parametrize("kwargs", [
    {"spiking_actor": False}, {"spiking_critic": False}, {"spiking_critic": True},
    {"spiking_actor": False, "spiking_critic": False}, {"normalise_observations": False},
])  # fmt: skip
def test_each_network_spikes_by_its_flag(kwargs: dict[str, bool]) -> None:
    model = make(PPO, policy_kwargs=kwargs)
    model.learn(128)
    recording = model.policy.record(observations(5))
    spikes = kwargs.get("spiking_actor", True)
    assert [layer.name for layer in recording.layers] == (["hidden_1"] if spikes else [])
    assert recording.macs_per_decision() == (
        {"hidden_1": 4.0 * 32} if spikes else {"dense_1": 4.0 * 32, "readout": 32.0 * 2}
    )
    critic = model.policy.mlp_extractor.critic
    assert hasattr(critic, "layers") == kwargs.get("spiking_critic", False)
    assert (model.policy.normaliser is None) == (kwargs.get("normalise_observations") is False)


@algorithms
def test_training_twice_gives_the_same_weights(algorithm: type[BaseAlgorithm]) -> None:
    first, second, other = (
        make(algorithm, seed=seed).learn(300).policy.state_dict() for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def balance(model: Any) -> None:
    """Make a hardly trained policy prefer either action about equally often."""
    head = model.q_net.q_net.head if isinstance(model, DQN) else model.policy.action_net
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator))
        inputs = model.policy._network_inputs(torch.from_numpy(observations()))
        hidden = model.policy._acting_network().decide(inputs)
        outputs = hidden if isinstance(model, DQN) else head(hidden)
        head.bias[0] -= (outputs[:, 0] - outputs[:, 1]).median()


@algorithms
@pytest.mark.parametrize("encoder", ["constant", "rate"])
def test_round_trips_to_equal_actions(
    algorithm: type[BaseAlgorithm], encoder: str, tmp_path: Path
) -> None:
    network = NetworkConfig(hidden_sizes=(16, 16), time_steps=4, encoder=encoder)
    model = make(algorithm, policy_kwargs={"network": network}).learn(200)
    balance(model)
    model.policy.reseed_noise(5)
    model.save(tmp_path / "model.zip")
    model.policy.save(str(tmp_path / "policy.pth"))
    acting = model.policy.acting_state_dict()
    expected, _ = model.predict(observations(), deterministic=True)
    assert len(np.unique(expected)) == 2
    loaded = algorithm.load(tmp_path / "model.zip", device="cpu")
    policy = POLICIES[algorithm].load(str(tmp_path / "policy.pth"), device="cpu")
    fresh = make(algorithm, seed=9, policy_kwargs={"network": network}).policy
    fresh.load_acting_state_dict(acting)
    for agent in (loaded, policy, fresh):
        actions, _ = agent.predict(observations(), deterministic=True)
        assert np.array_equal(actions, expected)


def test_acting_tensors_leave_out_what_only_training_needs() -> None:
    names = set(make(PPO).policy.acting_state_dict())
    assert names == {
        "action_net.bias", "action_net.weight", "mlp_extractor.actor.dynamics",
        "mlp_extractor.actor.layers.0.linear.bias", "mlp_extractor.actor.layers.0.linear.weight",
        "mlp_extractor.normaliser.mean", "mlp_extractor.normaliser.std",
    }  # fmt: skip
    names = set(make(DQN).policy.acting_state_dict())
    assert names == {
        "q_net.normaliser.mean", "q_net.normaliser.std", "q_net.q_net.dynamics",
        "q_net.q_net.head.bias", "q_net.q_net.head.weight",
        "q_net.q_net.layers.0.linear.bias", "q_net.q_net.layers.0.linear.weight",
    }  # fmt: skip


def test_wrong_acting_tensors_are_named() -> None:
    policy = make(PPO).policy
    good = policy.acting_state_dict()
    bias, dynamics = "action_net.bias", "mlp_extractor.actor.dynamics"
    for change, message in (
        ({"critic": torch.zeros(1)}, "do not match: critic"),
        ({bias: torch.zeros(3)}, r"tensor action_net.bias: expected shape \(2,\).*got \(3,\)"),
        ({bias: torch.zeros(2, dtype=torch.float64)}, "torch.float64"),
        ({dynamics: good[dynamics] + 1}, "belong to a network of other dynamics"),
    ):
        with pytest.raises(ValueError, match=message):
            policy.load_acting_state_dict({**good, **change})
        assert all(torch.equal(policy.acting_state_dict()[name], good[name]) for name in good)
    del good[bias]
    with pytest.raises(ValueError, match="do not match: action_net"):
        policy.load_acting_state_dict(good)


def normaliser_trace(model: Any, steps: int) -> list[tuple[str, torch.Tensor]]:
    """Log which statistics rollouts and updates see, in order."""
    trace: list[tuple[str, torch.Tensor]] = []
    normaliser: ObservationNormaliser = model.policy.normaliser
    original = model.train

    def train(*args: Any, **kwargs: Any) -> None:
        trace.append(("update", normaliser.std.clone()))
        original(*args, **kwargs)
        trace.append(("update", normaliser.std.clone()))

    def act(*_: Any) -> bool:
        trace.append(("act", normaliser.std.clone()))
        return True

    model.train = train
    model.learn(steps, callback=act)
    return trace


@algorithms
def test_a_rollout_and_its_updates_see_one_normaliser(algorithm: type[BaseAlgorithm]) -> None:
    trace = normaliser_trace(make(algorithm), 300)
    kinds = [kind for kind, _ in trace]
    changes = 0
    for k in range(1, len(trace)):
        changed = not torch.equal(trace[k][1], trace[k - 1][1])
        if changed:  # only between updates and the first step of the next rollout
            assert (kinds[k - 1], kinds[k]) == ("update", "act")
        changes += changed
    assert changes >= 2


@algorithms
def test_acting_and_evaluation_never_change_the_normaliser(
    algorithm: type[BaseAlgorithm],
) -> None:
    model = make(algorithm).learn(200)
    before = copy.deepcopy(model.policy.normaliser.state_dict())
    model.predict(observations())
    evaluate_policy(model, gym.make("CartPole-v1"), n_eval_episodes=2, warn=False)
    model.policy.record(observations(3))
    after = model.policy.normaliser.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert before["count"].item() > 0


def test_the_target_network_shares_the_normaliser_and_keeps_it_over_updates() -> None:
    model = make(DQN, target_update_interval=10).learn(300)
    assert model.q_net.normaliser is model.q_net_target.normaliser
    assert float(model.policy.normaliser.std.min()) > 0
    assert not torch.equal(model.policy.normaliser.std, torch.ones(4))


@pytest.mark.parametrize("algorithm", [PPO, DQN])
def test_spike_trains_set_the_time_steps(algorithm: type[BaseAlgorithm]) -> None:
    env = gym.make("snn/CartPole-v1", time_steps=6)
    model = make(algorithm, env).learn(128)
    recording = model.policy.record(env.reset(seed=0)[0])
    assert [layer.name for layer in recording.layers] == ["input", "hidden_1"]
    assert recording.layers[0].spikes.shape == (6, 1, env.observation_space.shape[1])
    assert recording.layers[1].spikes.shape == (6, 1, 32)
    assert np.array_equal(
        recording.layers[0].spikes[:, 0].numpy(), env.reset(seed=0)[0].astype(np.float32)
    )


@pytest.mark.parametrize("space", [
    spaces.Discrete(5), spaces.MultiDiscrete([3, 4]), spaces.MultiBinary(6),
])  # fmt: skip
def test_one_hots_and_flags_are_analogue_and_not_normalised(space: spaces.Space[Any]) -> None:
    policy = SpikingActorCriticPolicy(space, spaces.Discrete(2), lambda _: 1e-3, network=SMALL)
    assert policy.normaliser is None
    action, _ = policy.predict(space.sample())
    assert action in (0, 1)


def test_spiking_layers_keep_their_own_initialisation() -> None:
    layers = []
    for ortho_init in (True, False):
        torch.manual_seed(0)
        policy = SpikingActorCriticPolicy(
            spaces.Box(-1, 1, (4,)), spaces.Discrete(2), lambda _: 1e-3,
            network=SMALL, ortho_init=ortho_init,
        )  # fmt: skip
        layers.append(policy.mlp_extractor.actor.layers[0].linear)
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert layers[0].bias.abs().min().item() > 0


def test_the_defaults_make_a_policy() -> None:
    for algorithm, policy in POLICIES.items():
        model = algorithm(policy, "CartPole-v1", device="cpu")  # type: ignore[arg-type]
        assert model.policy.network == NetworkConfig()


def test_net_arch_is_refused_with_the_fix() -> None:
    for algorithm in POLICIES:
        with pytest.raises(ValueError, match="net_arch is not used by a spiking policy; give"):
            make(algorithm, policy_kwargs={"net_arch": [64]})


def test_an_environment_with_spikes_passes_the_checker() -> None:
    env = gym.make("snn/CartPole-v1").unwrapped
    check_env(env)
    assert env.observation_space == spaces.MultiBinary(env.observation_space.shape)
