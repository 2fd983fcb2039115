"""Tests of regulation in the algorithms: its effects, its limits, and repeatable training."""

import pytest
import torch

from snn_gym.spiking import (
    ControllerParameters,
    NetworkConfig,
    RegulationParameters,
    SpikingNetwork,
)
from tests.policies.identity import CASES, make, observations, score

# Two rollouts, or a dozen updates from the replay buffer.
STEPS = {name: 128 if name in ("PPO", "A2C", "TRPO") else 44 for name in CASES}
CONTINUOUS = ("SAC", "TD3")
PENALTIES = RegulationParameters(0.2, 0.4, rate_strength=1.0)
CONTROLLER = RegulationParameters(0.2, 0.4, controller=ControllerParameters(min_samples=32))


def regulated(name, regulation, **arguments):
    network = NetworkConfig((16,), 4, regulation=regulation)
    return make(name, policy_kwargs={"network": network, **arguments.pop("policy_kwargs", {})})


def tensors(model):
    return {name: x.detach().clone() for name, x in model.policy.named_parameters()}


def different(first, second):
    return {name for name in first if not torch.equal(first[name], second[name])}


@pytest.mark.check
@pytest.mark.parametrize(("name", "regulation"), [
    ("PPO", PENALTIES), ("DQN", PENALTIES), ("SAC", PENALTIES),
    ("TRPO", CONTROLLER), ("QRDQN", CONTROLLER), ("TD3", CONTROLLER),
])  # fmt: skip
def test_every_algorithm_learns_under_regulation_and_repeats(name, regulation):
    first, again, plain = (
        tensors(regulated(name, chosen).learn(STEPS[name]))
        for chosen in (regulation, regulation, None)
    )
    assert not different(first, again)
    assert different(first, plain)
    assert all(bool(torch.isfinite(x).all()) for x in first.values())


def test_trpo_is_refused_with_penalties_and_ppo_is_named():
    with pytest.raises(RuntimeError, match=r"TRPO does; train with PPO, or leave rate_strength"):
        regulated("TRPO", PENALTIES).learn(64)


def test_trpo_accepts_a_penalised_critic():
    only_critic = {"spiking_actor": False, "spiking_critic": True}
    first, plain = (
        tensors(regulated("TRPO", regulation, policy_kwargs=only_critic).learn(64))
        for regulation in (PENALTIES, None)
    )
    assert {name.split(".")[1] for name in different(first, plain) if "mlp" in name} == {"critic"}


def actor_loss(model, name):
    """Return the actor loss of the algorithm, through the critics."""
    seen, _ = model.policy.obs_to_tensor(observations("analogue", 20))
    if name in ("TD3", "DDPG"):
        return -model.critic.q1_forward(seen, model.actor(seen)).mean()
    torch.manual_seed(0)
    actions, log_prob = model.actor.action_log_prob(seen)
    return log_prob.mean() - sum(q.mean() for q in model.critic(seen, actions))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_critics_are_penalised_only_in_the_critic_loss(name):
    spiking = {"spiking_actor": False, "spiking_critic": True}
    own, by_actor, by_critic = [], [], []
    for regulation in (PENALTIES, None):
        model = regulated(name, regulation, policy_kwargs=spiking)
        model.policy.set_training_mode(True)
        seen, _ = model.policy.obs_to_tensor(observations("analogue", 20))
        weight = model.critic.q_networks[0].layers[0].linear.weight
        loss = model.critic(seen, torch.zeros(20, 2))[0].sum()
        own.append(torch.autograd.grad(loss, weight)[0])
        actors = next(x for x in model.actor.parameters() if x.dim() == 2)
        by_actor.append(torch.autograd.grad(actor_loss(model, name), actors)[0])
        by_critic.append(torch.autograd.grad(actor_loss(model, name), weight)[0])
    assert not torch.allclose(*own)
    assert torch.equal(*by_actor)
    assert float(by_actor[0].abs().max()) > 0
    assert torch.equal(*by_critic)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_critic_controllers_measure_only_critic_updates(name):
    model = regulated(name, CONTROLLER, policy_kwargs={"spiking_critic": True})
    model.policy.set_training_mode(True)
    controller = model.critic.q_networks[0].regulation.controllers[0]
    actor_loss(model, name)
    assert controller.count.item() == 0
    seen, _ = model.policy.obs_to_tensor(observations("analogue", 20))
    model.critic(seen, torch.zeros(20, 2))
    assert controller.count.item() == 20


@pytest.mark.parametrize(("name", "online", "target"), [
    ("QRDQN", "quantile_net", "quantile_net_target"),
    ("TD3", "actor", "actor_target"),
])  # fmt: skip
def test_targets_are_neither_penalised_nor_measured(name, online, target):
    found = {online: [], target: []}
    for regulation in (PENALTIES, None):
        policy = regulated(name, regulation).policy
        policy.set_training_mode(True)
        seen, _ = policy.obs_to_tensor(observations("analogue", 20))
        for part in (online, target):
            network = getattr(policy, part)
            for parameter in network.parameters():
                parameter.requires_grad_(True)
            first = next(m for m in network.modules() if isinstance(m, SpikingNetwork))
            weight = first.layers[0].linear.weight
            found[part].append(torch.autograd.grad(network(seen).sum(), weight)[0])
    assert not torch.allclose(*found[online])
    assert torch.equal(*found[target])


def test_controllers_act_only_at_the_start_of_a_rollout():
    model = regulated("PPO", CONTROLLER)
    model.learn(64)
    after_updates = tensors(model)
    seen = observations("analogue", 8)
    model.predict(seen)
    model.policy.set_training_mode(True)
    model.predict(seen, deterministic=True)
    assert not different(tensors(model), after_updates)
    model.policy.set_training_mode(False)
    acted = different(tensors(model), after_updates)
    assert acted == {"mlp_extractor.actor.layers.0.linear.weight"}


@pytest.mark.check
def test_a_regulated_agent_learns():
    mild = RegulationParameters(rate_strength=0.01, controller=ControllerParameters(step=0.1))
    model = make("PPO", policy_kwargs={"network": NetworkConfig((32,), 4, regulation=mild)})
    model.learn(576)
    assert score(model, "analogue", "Discrete") > 0.85  # chance is 0.25
