"""Policies with weights of few bits that imitate their float versions."""

import numpy as np
import pytest
import torch

from snn_gym import load_pretrained
from snn_gym.learners.shedding import twin_of
from snn_gym.policies import SpikingActorCriticPolicy, SpikingDQNPolicy
from snn_gym.policies.behaviour import divergence
from studies.faults.damage import rounded
from studies.faults.fine_tuning import _Tuned, fine_tune, weights_of
from tests.made import build, observe


def on_grid(weights, bits):
    return torch.from_numpy(rounded(weights.detach().numpy(), bits))


def rounded_copy(policy, bits):
    """Return a copy of a policy whose weights are rounded."""
    made = twin_of(policy)
    for weights in weights_of(made):
        weights.data.copy_(on_grid(weights, bits))
    return made


def test_an_update_passes_straight_through_the_rounding():
    policy, states = build(SpikingActorCriticPolicy), observe("analogue", 30)
    tuned = _Tuned(policy, bits=3, learning_rate=0.01)
    kept = [x.detach().clone() for x in tuned._floats]
    tuned.update(states, left=0.5)
    # Another path: the gradient of weights that were rounded by the fault, and Adam's first step.
    other = rounded_copy(policy, 3)
    weights = list(weights_of(other))
    seen = torch.from_numpy(states).float()
    far = divergence(other.action_space, policy.watched(seen)[0].detach(), other.watched(seen)[0])
    for before, after, found in zip(
        kept, tuned._floats, torch.autograd.grad(far.mean(), weights), strict=True
    ):
        step = -0.005 * found / (found.abs() + 1e-8)
        assert torch.allclose(after.detach() - before, step, atol=1e-5)
    assert any(
        not torch.equal(x, on_grid(before, 3))
        for x, before in zip(weights_of(tuned.policy), kept, strict=True)
    )


@pytest.mark.parametrize("kind", [SpikingActorCriticPolicy, SpikingDQNPolicy])
def test_weights_stay_on_the_grid_and_the_teacher_unchanged(kind):
    policy = build(kind)
    before = {name: x.clone() for name, x in policy.state_dict().items()}
    tuned = _Tuned(policy, bits=2, learning_rate=0.01)
    states = observe("analogue", 30)
    far = []
    for _ in range(60):
        tuned.update(states, left=1.0)
        assert all(len(x.unique()) <= 3 for x in weights_of(tuned.policy))
    assert all(torch.equal(x, before[name]) for name, x in policy.state_dict().items())
    seen = torch.from_numpy(states).float()
    rounded_alone = rounded_copy(policy, 2)
    for student in (rounded_alone, tuned.policy):
        both = (x.watched(seen)[0] / tuned._scale(x.watched(seen)[0]) for x in (policy, student))
        far.append(float(divergence(policy.action_space, *both).detach().mean()))
    assert far[1] < 0.7 * far[0]


def test_fine_tuning_agrees_more_with_the_agent_than_rounding():
    model = load_pretrained("ppo-lif", "Acrobot-v1")
    tuned = fine_tune(model, "Acrobot-v1", 2, updates=40)
    again = fine_tune(model, "Acrobot-v1", 2, updates=40)
    for one, other in zip(weights_of(tuned), weights_of(again), strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, on_grid(one, 2))  # rounding it does nothing more
    states = np.random.default_rng(0).normal(0.0, 0.5, (300, 6)).astype(np.float32)
    chosen = [
        x.predict(states, deterministic=True)[0]
        for x in (model, tuned, rounded_copy(model.policy, 2))
    ]
    assert np.mean(chosen[0] == chosen[1]) > np.mean(chosen[0] == chosen[2])


def test_an_agent_with_a_state_is_refused():
    with pytest.raises(ValueError, match="stateless policies"):
        fine_tune(load_pretrained("recurrent-ppo-lsnn", "snn/CueAccumulation-v0"), "any", 4)
