"""Tests of ``SAC`` and ``TD3``: fused gradient steps against those of Stable-Baselines3."""

import numpy as np
import pytest
import stable_baselines3
import torch
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

import snn_gym
from snn_gym.learners import SAC, TD3, lean
from snn_gym.learners.adam import AdamStep
from snn_gym.learners.off_policy import Perceptron, draw_batch, sample_squashed
from snn_gym.policies import SpikingSACPolicy, SpikingTD3Policy
from snn_gym.policies.networks import DenseNetwork
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.zoo import load_agent, make_agent, save_agent
from tests.policies.identity import Identity, make, score

NETWORK = {"hidden_sizes": [16, 8], "time_steps": 4}
POPULATION = {**NETWORK, "encoder": "learnable_population", "decoder": "population"}
PROXY = {"proxy_hidden_sizes": [12, 12]}
POLICIES = {"TD3": SpikingTD3Policy, "SAC": SpikingSACPolicy}
OURS = {"TD3": TD3, "SAC": SAC}
ALGORITHMS = pytest.mark.parametrize("name", ["TD3", "SAC"])
# Sums run in another order.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def build(name, algorithm, env_id="Pendulum-v1", policy=None, **arguments):
    env = env_id
    if isinstance(env_id, str):
        env = snn_gym.make_vec_env(env_id, 2, seed=0, env_kwargs={"max_episode_steps": 13})
    settings = {
        "learning_starts": 60, "buffer_size": 300, "batch_size": 24, "seed": 1, "device": "cpu",
        **arguments,
    }  # fmt: skip
    policy_kwargs = {"network": NETWORK, **(policy or {})}
    return algorithm(POLICIES[name], env, policy_kwargs=policy_kwargs, **settings)


def pair(name, **arguments):
    """Return our algorithm and Stable-Baselines3's, made alike."""
    kinds = OURS[name], getattr(stable_baselines3, name)
    return tuple(build(name, kind, **arguments) for kind in kinds)


def learn(model, steps, **arguments):
    """Learn with the random numbers that every model of a test has."""
    set_random_seed(7)
    return model.learn(steps, **arguments)


def assert_same_training(ours, theirs):
    found, same = full_state(ours.policy), full_state(theirs.policy)
    assert found.keys() == same.keys()
    for key, tensor in same.items():
        np.testing.assert_allclose(found[key], tensor, err_msg=key, **TOLERANCE)
    assert ours.logger.name_to_value.keys() == theirs.logger.name_to_value.keys()
    for key, value in theirs.logger.name_to_value.items():
        assert ours.logger.name_to_value[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


CASES = [
    ("TD3", {"policy": {"spiking_actor": False}}),
    ("TD3", {"policy": {}, "action_noise": NormalActionNoise(np.zeros(1), 0.1 * np.ones(1))}),
    ("TD3", {"policy": {"network": POPULATION}, "policy_delay": 3, "target_policy_noise": 0.4}),
    ("TD3", {"policy": {"normalise_observations": False, "n_critics": 3}, "gamma": 0.9}),
    ("TD3", {"policy": {"critic_hidden_sizes": [9]}, "env_id": "snn/Pendulum-v1", "tau": 0.3}),
    ("SAC", {"policy": {"spiking_actor": False}}),
    (
        "SAC",
        {
            "policy": {},
            "ent_coef": 0.2,
            "target_update_interval": 2,
            "gradient_steps": 3,
            "learning_starts": 100,
        },
    ),
    ("SAC", {"policy": {"normalise_observations": False}, "target_entropy": 0.5}),
    ("SAC", {"policy": {"critic_hidden_sizes": [9], "n_critics": 3}, "env_id": "snn/Pendulum-v1"}),
    ("SAC", {"policy": {"spiking_actor": False}, "learning_rate": lambda left: 0.01 * left}),
]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_training_equals_stable_baselines3(name, arguments):
    ours, theirs = pair(name, **arguments)
    for model in (ours, theirs):
        learn(model, 130)
    assert ours._is_quick()
    assert ours._n_updates == theirs._n_updates > 30
    assert_same_training(ours, theirs)
    for field in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        mine, other = (getattr(x.replay_buffer, field) for x in (ours, theirs))
        np.testing.assert_allclose(mine, other, err_msg=field, **TOLERANCE)
    assert [x["l"] for x in ours.ep_info_buffer] == [x["l"] for x in theirs.ep_info_buffer]


@ALGORITHMS
@pytest.mark.parametrize("spiking", [False, True])
def test_one_gradient_step_has_the_gradients_of_stable_baselines3(name, spiking):
    models = pair(name, policy={"spiking_actor": spiking}, policy_delay=1) if (
        name == "TD3"
    ) else pair(name, policy={"spiking_actor": spiking})  # fmt: skip
    gradients = []
    for model in models:
        learn(model, 60)  # random actions
        set_random_seed(3)
        model.train(1, 40)
        parts = (*model.actor.named_parameters(), *model.critic.named_parameters())
        # Stable-Baselines3's critic ends with gradients of the actor's loss besides its own.
        gradients.append({key: x.grad for key, x in parts if not key.startswith("qf")})
    for key, mine in gradients[0].items():
        np.testing.assert_allclose(mine, gradients[1][key], err_msg=key, rtol=1e-4, atol=1e-6)
    assert any(x.abs().max() > 0 for x in gradients[0].values())
    assert_same_training(*models)


@ALGORITHMS
def test_without_fused_steps_the_bits_are_stable_baselines3s(name):
    ours = learn(build(name, OURS[name], fused=False), 90)
    theirs = learn(build(name, getattr(stable_baselines3, name)), 90)
    assert not ours._is_quick()
    for key, tensor in full_state(theirs.policy).items():
        assert torch.equal(full_state(ours.policy)[key], tensor), key


@pytest.mark.parametrize(
    "change",
    [
        lambda: build("TD3", TD3, policy={"spiking_critic": True}),
        lambda: build("TD3", TD3, policy={"activation_fn": nn.Tanh}),
        lambda: build("TD3", TD3, replay_buffer_class=NStepReplayBuffer, n_steps=2),
        lambda: build("SAC", SAC, use_sde=True),
        lambda: build("SAC", SAC, policy={"network": {**NETWORK, "decoder": "population"}}),
        lambda: build("TD3", TD3, VecNormalize(snn_gym.make_vec_env("Pendulum-v1", 2, seed=0))),
    ],
)
def test_all_that_fused_steps_do_not_serve_runs_stable_baselines3s_loop(change):
    model = change()
    before = [x.clone() for x in model.actor.parameters()]
    model.learn(80)
    assert not model._is_quick()
    after = model.actor.parameters()
    assert any(not torch.equal(x, y) for x, y in zip(before, after, strict=True))


@ALGORITHMS
def test_a_callback_sees_every_step_and_may_stop(name):
    class Stop(BaseCallback):
        seen = 0

        def _on_step(self):
            assert {"infos", "rewards", "dones", "new_obs", "actions"} <= self.locals.keys()
            self.seen += 1
            return self.seen < 40

    models = pair(name)
    for model in models:
        learn(model, 200, callback=Stop())
        assert model.num_timesteps == 80
    assert_same_training(*models)


def test_regulation_equals_stable_baselines3s_loop():
    network = {**NETWORK, "regulation": {"min_rate": 0.4, "rate_strength": 3.0}}
    ours, theirs = pair("TD3", policy={"network": network})
    for model in (ours, theirs):
        learn(model, 100)
    assert ours._is_quick()
    assert_same_training(ours, theirs)


# ---- parts ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("sizes", [(), (5,), (6, 4, 3)])
def test_passes_by_hand_equal_autograd(sizes):
    set_random_seed(0)
    network = DenseNetwork(4, sizes, 2, nn.ReLU)
    inputs, grad = torch.randn(7, 4, requires_grad=True), torch.randn(7, 2)
    expected = network(inputs)[0]
    expected.backward(grad)
    gradients = [x.grad.clone() for x in network.parameters()]
    by_hand = Perceptron(network)
    with torch.no_grad():
        for x in network.parameters():
            x.grad = None
        np.testing.assert_allclose(by_hand.forward(inputs.detach()), expected.detach(), rtol=1e-5)
        by_hand.outputs(torch.randn(7, 4))  # leaves the pass that gradients go back through
        columns = by_hand.input_gradient(grad, 1)
        by_hand.set_gradients(grad)
    np.testing.assert_allclose(columns, inputs.grad[:, 1:], rtol=1e-5, atol=1e-6)
    for mine, other in zip(network.parameters(), gradients, strict=True):
        np.testing.assert_allclose(mine.grad, other, rtol=1e-5, atol=1e-6)


def test_squashed_samples_and_their_gradients_equal_stable_baselines3s_distribution():
    mean, log_std = (torch.randn(9, 3, requires_grad=True) for _ in range(2))
    weight, direction = 0.3, torch.randn(9, 3)
    set_random_seed(5)
    spread = SquashedDiagGaussianDistribution(3)
    actions, log_probs = spread.log_prob_from_params(mean, log_std)
    ((actions * direction).sum() + weight * log_probs.sum()).backward()
    set_random_seed(5)
    with torch.no_grad():
        drawn = sample_squashed(mean, log_std)
        gradients = drawn.gradients(direction, weight)
    np.testing.assert_allclose(drawn.actions, actions.detach(), rtol=1e-6)
    np.testing.assert_allclose(drawn.log_probs[:, 0], log_probs.detach(), rtol=1e-4, atol=1e-5)
    for mine, other in zip(gradients, (mean.grad, log_std.grad), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


def test_an_adam_of_another_implementation_takes_the_same_steps_within_rounding():
    results = []
    for exactly in (True, False):
        weight = torch.tensor([0.5], requires_grad=True)
        step = AdamStep(torch.optim.Adam([weight], lr=0.1), [weight], exactly=exactly)
        for slope in (1.0, -3.0, 0.5, 2.0):
            weight.grad = torch.tensor([slope])
            step.take()
        results.append(weight.item())
    assert results[0] == pytest.approx(results[1], rel=1e-6)


def test_an_adam_goes_on_from_a_loaded_state():
    def steps(reload):
        weight = torch.tensor([0.5], requires_grad=True)
        optimiser = torch.optim.Adam([weight], lr=0.1, fused=True)
        step = AdamStep(optimiser, [weight])
        for slope in (1.0, -3.0, 0.5, 2.0):
            weight.grad = torch.tensor([slope])
            step.take()
            if reload:
                optimiser.load_state_dict(optimiser.state_dict())
        return weight.item(), optimiser.state[weight]["exp_avg"].item()

    assert steps(True) == steps(False)


# ---- proxy target --------------------------------------------------------------------------------
def with_proxy(**arguments):
    return build("TD3", TD3, policy={**PROXY, **arguments.pop("policy", {})}, **arguments)


def test_a_proxy_takes_adams_steps_towards_the_actors_actions():
    """One linear unit by hand: p = tanh(w s + b), loss (p - a)^2, Adam's first step lr g / |g|."""
    model = with_proxy(
        policy={"proxy_hidden_sizes": (), "normalise_observations": False},
        proxy_steps=1, proxy_learning_rate=0.01, policy_delay=1000,
    )  # fmt: skip
    learn(model, 60)
    head = model.actor_target.mu[0].network.head
    weight, bias = (x.detach().clone() for x in (head.weight, head.bias))
    set_random_seed(4)
    rows = draw_batch(model.replay_buffer, 24).observations
    with torch.no_grad():
        wanted = model.actor(rows)
    actions = torch.tanh(rows @ weight.t() + bias)
    slopes = 2.0 * (actions - wanted) * (1.0 - actions**2) / len(rows)
    grads = (slopes * rows).sum(0), slopes.sum(0)
    set_random_seed(4)
    model.train(1, 24)
    loss = float(((actions - wanted) ** 2).mean())
    assert model.logger.name_to_value["train/proxy_loss"] == pytest.approx(loss, rel=1e-5)
    after = head.weight[0].detach(), head.bias.detach()
    for found, before, grad in zip(after, (weight[0], bias), grads, strict=True):
        expected = before - 0.01 * grad / (grad.abs() + 1e-8)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_critics_learn_from_the_proxys_actions():
    """y = r + gamma (1 - d) min Q'(s', proxy(s')), without noise."""
    arguments = {"target_policy_noise": 0.0, "policy_delay": 1000, "proxy_steps": 2}
    model, twin = (learn(with_proxy(**arguments), 60) for _ in range(2))
    set_random_seed(6)
    draw_batch(model.replay_buffer, 24)
    batch = draw_batch(model.replay_buffer, 24)  # the last of the proxy's minibatches
    set_random_seed(6)
    twin.train(1, 24)
    with torch.no_grad():
        following = twin.actor_target(batch.next_observations)
        least = torch.min(*twin.critic_target(batch.next_observations, following))
        targets = batch.rewards + 0.99 * (1 - batch.dones) * least
        values = model.critic(batch.observations, batch.actions)
        loss = sum(float(((x - targets) ** 2).mean()) for x in values)
    assert twin.logger.name_to_value["train/critic_loss"] == pytest.approx(loss, rel=1e-4)


def test_a_proxy_comes_close_to_its_actor_and_does_not_follow_by_averages():
    model = with_proxy(policy_delay=10**6, tau=0.9, proxy_steps=4).learn(60)
    seen = torch.from_numpy(model.replay_buffer.observations[:30].reshape(-1, 3))
    with torch.no_grad():
        before = float((model.actor(seen) - model.actor_target(seen)).square().mean())
        set_random_seed(0)
        model.train(150, 24)
        after = float((model.actor(seen) - model.actor_target(seen)).square().mean())
    assert after < 0.1 * before


def test_a_proxy_needs_fused_steps():
    with pytest.raises(ValueError, match="a proxy target needs fused=True, flat observations"):
        with_proxy(fused=False).learn(70)


@pytest.mark.parametrize("name", ["TD3", "SAC", "proxy"])
def test_training_is_deterministic_and_goes_on_after_saving(name, tmp_path):
    make_model = with_proxy if name == "proxy" else lambda: build(name, OURS[name])
    first, second = (learn(make_model(), 90) for _ in range(2))
    for key, tensor in full_state(first.policy).items():
        assert torch.equal(full_state(second.policy)[key], tensor), key
    first.save(tmp_path / "model.zip")
    loaded = type(first).load(tmp_path / "model.zip", env=first.get_env(), device="cpu")
    loaded.set_logger(first.logger)
    for model in (first, loaded):
        model.replay_buffer = second.replay_buffer
        set_random_seed(9)
        model.train(5, 24)
    for key, tensor in full_state(first.policy).items():
        assert torch.equal(full_state(loaded.policy)[key], tensor), key


def test_agents_of_the_zoo_are_saved_with_their_learner(tmp_path):
    agent = make_agent("td3-lif-pt", "Pendulum-v1", seed=3, learning_starts=40, buffer_size=200)
    loaded = load_agent(save_agent(agent.learn(60), tmp_path))
    assert (type(loaded), loaded.fused, loaded.proxy_steps) == (TD3, True, 3)
    assert loaded.policy.proxy_hidden_sizes == (512, 512)
    plain = load_agent(save_agent(build("SAC", stable_baselines3.SAC), tmp_path / "plain"))
    assert (type(plain), plain.fused) == (SAC, False)
    leaner = load_agent(save_agent(build("SAC", lean(SAC)), tmp_path / "lean"))
    assert (type(leaner), leaner.fused) == (SAC, True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "policy"), [("TD3", {}), ("TD3", PROXY), ("SAC", {})])
def test_fused_steps_learn(name, policy):
    case = make(name)  # Stable-Baselines3's, with the settings that learn
    arguments = {
        key: getattr(case, key)
        for key in ("learning_starts", "batch_size", "gamma", "action_noise", "buffer_size")
    }
    if name == "SAC":
        arguments["ent_coef"] = 0.02
    env = Identity(action="Box")
    model = OURS[name](
        POLICIES[name], env, seed=0, device="cpu", learning_rate=3e-3,
        policy_kwargs={**case.policy_kwargs, **policy}, **arguments,
    )  # fmt: skip
    model.learn(600)
    assert model._is_quick()
    assert score(model, "analogue", "Box") >= 0.9
