"""Tests of TRPO: second derivatives of the policy, and learning."""

from functools import partial

import pytest
import torch
from sb3_contrib import TRPO
from stable_baselines3.common.distributions import kl_divergence
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking import NetworkConfig
from tests.policies.identity import Identity, make, observations


def curvature(model, view, seed):
    """Return the gradient of TRPO's objective and a Hessian-vector product of its KL term."""
    seen, _ = model.policy.obs_to_tensor(observations(view, 40, seed))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        distribution = model.policy.get_distribution(seen)
        actions = distribution.mode()
        # A policy a little beside this one, so that the gradient of the KL term is not zero.
        old_logits = distribution.distribution.logits + torch.randn(40, 4, generator=generator)
        old = type(distribution)(4).proba_distribution(old_logits)
    distribution = model.policy.get_distribution(seen)
    objective = (distribution.log_prob(actions) * torch.randn(40, generator=generator)).mean()
    kl = kl_divergence(distribution, old).mean()
    parameters, gradient, kl_gradient, _ = model._compute_actor_grad(kl, objective)
    vector = torch.randn(kl_gradient.shape, generator=generator)
    product = partial(model.hessian_vector_product, parameters, kl_gradient)
    return gradient, product(vector) - model.cg_damping * vector


CHANGES = [
    {}, {"neuron": "lif", "decoder": "population"}, {"neuron": "alif", "recurrent": True},
    {"neuron": "iaf", "decoder": "last_voltage"},
]  # fmt: skip


@pytest.mark.parametrize(("view", "change"), [
    *(("spikes" if k % 2 else "analogue", change) for k, change in enumerate(CHANGES)),
    ("analogue", {"encoder": "learnable_population"}),
], ids=str)  # fmt: skip
def test_hessian_vector_products_equal_the_stepped_paths(change, view):
    fused, stepped = (
        make("TRPO", Identity(view), seed=1, policy_kwargs={
            "network": NetworkConfig((12, 12), 5, backend=backend, **change), "ortho_init": False
        })
        for backend in ("auto", "norse")
    )  # fmt: skip
    stepped.policy.load_state_dict(fused.policy.state_dict())
    for seed in range(1):
        gradient, product = curvature(fused, view, seed)
        expected_gradient, expected = curvature(stepped, view, seed)
        assert expected.norm() > 1e-4
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(product, expected, rtol=1e-3, atol=1e-5 * expected.norm().item())


@pytest.mark.slow
def test_learns_cartpole():
    env = make_vec_env("CartPole-v1", n_envs=2, seed=0)
    # The flatter the surrogate gradient, the better the step that it predicts.
    network = NetworkConfig(hidden_sizes=(32, 32), surrogate_slope=2.0)
    model = TRPO(
        SpikingActorCriticPolicy, env, seed=0, device="cpu", policy_kwargs={"network": network},
        n_steps=256, batch_size=128, learning_rate=3e-3, n_critic_updates=20, gae_lambda=0.98,
    )  # fmt: skip
    model.learn(12_000)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=10, warn=False)
    assert mean > 400  # of 500; chance is 22
