"""Tests of the local rule: by hand, against plain Python, and against autograd."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gymnasium import spaces
from numpy.testing import assert_allclose

from snn_gym.learners.local.online import LocalCore, Moments, Outcome, RuleConstants, climb
from snn_gym.policies import LocalActorCriticPolicy
from snn_gym.program.builtin_neurons import NEURONS, SURROGATES
from snn_gym.spiking import NetworkConfig
from snn_gym.spiking.layer_neurons import spike
from tests.learners.local_reference import Adam, Reference, softmax_choice
from tests.program.own_neurons import OWN

FEEDBACK = ("random", "symmetric", "none")
NOTHING = (0.0, 0.0)
DISCRETE, BOX = spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,))


def make_policy(hidden=(5,), inputs=3, actions=None, seed=0, **network):
    torch.manual_seed(seed)
    made = LocalActorCriticPolicy(
        spaces.Box(-1.0, 1.0, (inputs,), np.float32),
        actions or spaces.Discrete(3),
        network=NetworkConfig(hidden, **{"time_steps": 4, "surrogate_slope": 2.0, **network}),
    )
    for part in (made.head, made.critic):
        torch.nn.init.normal_(part.weight)
        torch.nn.init.normal_(part.bias)
    return made


def make_core(policy, samples=1, **rule):
    values = {
        "feedback": "random", "gamma": 0.9, "trace_decay": 0.5, "optimiser": "sgd",
        "reward_scale": 1.0, **rule,
    }  # fmt: skip
    return LocalCore(policy, samples, RuleConstants(**values))


def outcome(rewards=(0.0,), ended=(False,), after=(0.0,)):
    return Outcome(
        np.array(rewards, np.float32), np.array(ended, np.bool_), np.array(after, np.float32)
    )


def one(*values):
    return np.array([values], np.float32)


# One neuron (gain 1/2, threshold 1), T = 2, current x w + b = 1 * 1 + 0.5:
#   t = 1: v = 0.75,  no spike, c = 0.5,  psi = 1 / (1 + 2 * 0.25)^2  = 4/9
#   t = 2: v = 1.125, spike,    c = 0.75, psi = 1 / (1 + 2 * 0.125)^2 = 0.64
# gate = (4/9 * 0.5 + 0.64 * 0.75) / 2 = 0.3511111, rate = 1/2.
GATE = (4 / 9 * 0.5 + 0.64 * 0.75) / 2


def tiny(value=(0.25, 0.125), head=((0.0, 0.0), (0.0, 0.0)), back=(3.0, 2.0, -2.0), **network):
    """Return a policy of one input, one neuron and two actions with given numbers."""
    made = make_policy((1,), 1, spaces.Discrete(2), **{"time_steps": 2, **network})
    (hidden,), readout, critic = made.learned_parts()
    for linear, weights, biases in (
        (hidden, [[1.0]], [0.5]),
        (critic, [[value[0]]], [value[1]]),
        (readout, [[row[0]] for row in head], [row[1] for row in head]),
    ):
        linear.weight.copy_(torch.tensor(weights))
        linear.bias.copy_(torch.tensor(biases))
    made.feedback.copy_(torch.tensor(back)[:, None])
    return made


def test_eligibility_of_the_first_decision_by_hand():
    core = make_core(tiny())
    (action,) = core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    assert action == 0
    # Value: error 1. Actor, even odds: +1/2 for the action taken, -1/2 for the other.
    signal = 1.0 * 3.0 + 0.5 * 2.0 - 0.5 * -2.0
    expected = [
        signal * GATE, signal * GATE,  # weight (x = 1) and bias
        0.5, 1.0,  # value: rate, bias
        0.25, 0.5,  # the action taken
        -0.25, -0.5,  # the other
    ]  # fmt: skip
    assert_allclose(core.traces[0], expected, rtol=1e-6)
    assert core.errors[0] == 0.0


def test_symmetric_feedback_uses_the_readout_weights():
    core = make_core(tiny(head=((0.5, 0.0), (-1.5, 1.0))), feedback="symmetric")
    core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    # Outputs 0.25 and 0.25: even odds.
    signal = 0.25 + 0.5 * 0.5 - 0.5 * -1.5
    assert_allclose(core.traces[0, :2], [signal * GATE] * 2, rtol=1e-6)


def test_spikes_reset_the_potential():
    # T = 3: after the spike v = 0.75 and c = 0.5 again, so psi = 4/9.
    core = make_core(tiny(time_steps=3), feedback="random")
    core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    gate = (4 / 9 * 0.5 + 0.64 * 0.75 + 4 / 9 * 0.5) / 3
    assert_allclose(core.traces[0, 1], 5.0 * gate, rtol=1e-6)


def test_a_potential_at_the_threshold_is_no_spike():
    # Current 1 * 1 + 1 = 2, so v = 1 = threshold after one step: psi = 1, c = 1/2.
    policy = tiny(time_steps=1)
    policy.learned_parts()[0][0].bias.fill_(1.0)
    core = make_core(policy)
    core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    assert core.values(one(1.0)) == 0.125  # the readout's bias alone
    assert_allclose(core.traces[0, :4], [5.0 * 0.5, 5.0 * 0.5, 0.0, 1.0], rtol=1e-6)


def test_a_potential_at_the_threshold_is_no_spike_in_a_layer_that_spikes_drive():
    policy = make_policy((1, 1), 1, spaces.Discrete(2), time_steps=1)
    (below, above), _, critic = policy.learned_parts()
    for linear, weight, bias in ((below, 8.0, 0.0), (above, 1.5, 0.5), (critic, 0.25, 0.125)):
        linear.weight.fill_(weight)
        linear.bias.fill_(bias)
    # The first neuron is at 4 and fires; the second gets 1.5 + 0.5 and is at 1.
    core = make_core(policy)
    assert core.values(one(1.0)) == 0.125
    above.weight.fill_(1.75)
    core.read_policy()
    assert core.values(one(1.0)) == 0.375


@pytest.mark.parametrize(("uniform", "action"), [(0.0, 0), (0.4999, 0), (0.5, 1), (0.9999, 1)])
def test_equal_odds_split_uniform_numbers_in_half(uniform, action):
    core = make_core(tiny())
    assert core.step(one(1.0), np.array([[uniform]]), outcome(), NOTHING)[0] == action


def test_an_error_multiplies_the_trace_before_the_decision_enters_it():
    core = make_core(tiny())
    step = np.array([[0.1]])
    core.step(one(1.0), step, outcome(), NOTHING)
    first = core.traces[0].copy()
    core.step(one(1.0), step, outcome(rewards=[2.0]), (0.5, 0.25))
    # V = 0.25 * 0.5 + 0.125 = 0.25 in both decisions.
    error = 2.0 + 0.9 * 0.25 - 0.25
    assert_allclose(core.errors[0], error, rtol=1e-6)
    assert_allclose(core.traces[0], 0.9 * 0.5 * first + first, rtol=1e-6)
    core.read_policy()
    weights = [1.0, 0.5, 0.25, 0.125, 0.0, 0.0, 0.0, 0.0]
    sizes = np.array([0.5] * 2 + [0.25] * 6)
    assert_allclose(core._theta, weights + sizes * error * first, rtol=1e-6)


@pytest.mark.parametrize(("after", "expected"), [(0.0, 2.0 - 0.25), (5.0, 2.0 + 4.5 - 0.25)])
def test_an_end_closes_the_last_error_and_empties_the_trace(after, expected):
    core = make_core(tiny())
    core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    first = core.traces[0].copy()
    core.step(one(1.0), np.array([[0.1]]), outcome([2.0], [True], [after]), NOTHING)
    assert_allclose(core.errors[0], expected, rtol=1e-6)
    assert_allclose(core.traces[0], first, rtol=1e-6)


def test_forgetting_clears_the_last_decision():
    core = make_core(tiny())
    core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    first = core.traces[0].copy()
    core.forget()
    core.step(one(1.0), np.array([[0.1]]), outcome(rewards=[9.0]), (1.0, 1.0))
    assert core.errors[0] == 0.0
    assert_allclose(core.traces[0], first, rtol=1e-6)
    assert_allclose(core._theta[:4], [1.0, 0.5, 0.25, 0.125])


def test_rewards_are_scaled():
    core = make_core(tiny(), reward_scale=0.01)
    core.step(one(1.0), np.array([[0.1]]), outcome(), NOTHING)
    core.step(one(1.0), np.array([[0.1]]), outcome(rewards=[100.0]), NOTHING)
    assert_allclose(core.errors[0], 1.0 + 0.9 * 0.25 - 0.25, rtol=1e-6)


def test_observations_are_scaled_and_clipped_like_the_policy():
    policy = make_policy()
    policy.set_observation_limits([0.0, -2.0, 1.0], [2.0, 2.0, 1.5])
    seen = np.random.default_rng(0).normal(0, 2, (9, 3)).astype(np.float32)
    core = make_core(policy)
    with torch.no_grad():
        inputs = policy.network_inputs(torch.from_numpy(seen))
        decoded = policy.controller.record(inputs).layers[-1].spikes.mean(0)
        expected = policy.critic(decoded).squeeze(1)
    assert_allclose(core.values(seen), expected.numpy(), rtol=1e-5, atol=1e-6)


def live_beside(core, reference, policy, steps=12, seed=0):
    """Step core and reference; yield the errors and gradients of the reference."""
    rng = np.random.default_rng(seed)
    ended = False
    for step in range(steps):
        x = rng.uniform(-1, 1, policy.observation_space.shape[0])
        ended, after, reward = step in (4, 9), float(step == 9), rng.normal()
        noise = rng.standard_normal(core.noise_shape) if core.is_continuous else rng.random((1, 1))
        features, _ = reference.run(np.float32(x))
        outputs = reference.readouts @ features
        if core.is_continuous:
            expected = outputs[1:] + np.exp(reference.log_std) * noise[0]
        else:
            expected = softmax_choice(outputs[1:], noise[0, 0])
        error, gradient = reference.live(np.float32(x), expected, reward, ended, after)
        sizes = (0.02, 0.05) if step else NOTHING
        given = outcome([reward], [ended], [after])
        action = core.step(np.float32(x)[None], noise, given, sizes)[0]
        assert_allclose(action, expected, rtol=1e-4, atol=1e-5)
        assert_allclose(core.errors[0], error, rtol=1e-4, atol=1e-5)
        traces = reference.flat(reference.z_hidden, reference.z_readouts, reference.z_log_std)
        assert_allclose(core.traces[0], traces, rtol=1e-3, atol=1e-4)
        yield gradient, sizes


@pytest.mark.parametrize(
    ("feedback", "hidden", "actions"),
    [
        ("random", (5,), DISCRETE), ("random", (4, 3), BOX), ("random", (4, 3, 5), DISCRETE),
        ("symmetric", (5,), BOX), ("symmetric", (4, 3), DISCRETE), ("symmetric", (4, 3, 5), BOX),
        ("none", (5,), DISCRETE), ("none", (4, 3), BOX),
    ],
)  # fmt: skip
def test_steps_equal_plain_python(feedback, hidden, actions):
    policy = make_policy(hidden, actions=actions)
    core = make_core(policy, feedback=feedback)
    reference = Reference(policy, 0.9, 0.5, feedback)
    for gradient, sizes in live_beside(core, reference, policy):
        reference.climb(gradient, *sizes)
        assert_allclose(core._theta, reference.flat(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("decoder", ["mean_rate", "last_voltage"])
def test_neuron_and_decoder_constants_are_used(decoder):
    constants = {"tau_mem_ms": 3.0, "v_threshold": 0.7, "v_reset": -0.3, "v_leak": 0.2}
    policy = make_policy((6, 5), neuron_parameters=constants, decoder=decoder, time_steps=7)
    core = make_core(policy, feedback="symmetric")
    reference = Reference(policy, 0.9, 0.5, "symmetric")
    for gradient, sizes in live_beside(core, reference, policy):
        reference.climb(gradient, *sizes)


def eligibilities_by_autograd(policy, observation):
    """Return eligibilities (D + 1, N): derivatives of margins, with spikes detached."""
    network, found = policy.controller, []
    weights = network.decoder.coefficients[0]
    signal = observation.expand(len(weights), -1)
    for layer in network.layers:
        linear, neuron = layer.linear, layer.neuron
        p = SimpleNamespace(**{name: float(np.float32(x)) for name, x in neuron.numbers.items()})
        parts = [x.detach().clone().requires_grad_() for x in (linear.weight, linear.bias)]
        state, total, spikes = [torch.full((layer.size,), x) for x in neuron.rest], 0.0, []
        for weight, inputs in zip(weights, signal, strict=True):
            s = SimpleNamespace(**dict(zip(neuron.text.state, state, strict=True)))
            moved = neuron.text.integrate(p, s, torch.nn.functional.linear(inputs, *parts))
            s = SimpleNamespace(**dict(zip(neuron.text.state, moved, strict=True)))
            margin = neuron.text.margin(p, s)
            derivative = SURROGATES[neuron.surrogate](margin.detach(), neuron.slope)
            total = total + (weight * derivative * margin).sum()
            spikes.append((margin.detach() > 0).float())
            state = neuron.text.after(p, s, spikes[-1])
        grads = torch.autograd.grad(total, parts)
        found.append(np.concatenate([grads[0].numpy().T, grads[1].numpy()[None]]))
        signal = torch.stack(spikes)
    return found


@pytest.mark.parametrize(
    ("neuron", "surrogate"),
    [
        # Every neuron and every surrogate; their pairs are compiled one by one, which takes longer.
        pytest.param(x, y, marks=[] if x == "lif_box" or y == "superspike" else pytest.mark.slow)
        for x in (*NEURONS, *OWN)
        for y in sorted(SURROGATES)
    ],
)
@pytest.mark.parametrize("hidden", [(6,), (6, 5, 4)])
@pytest.mark.usefixtures("own_neurons")
def test_eligibilities_of_every_neuron_and_surrogate_equal_autograd(neuron, surrogate, hidden):
    policy = make_policy(hidden, neuron=neuron, surrogate=surrogate, time_steps=7)
    for layer in policy.controller.layers:
        layer.linear.weight.mul_(3.0)
        layer.linear.bias.add_(0.5)
    core = make_core(policy, feedback="broadcast")
    seen = np.random.default_rng(0).uniform(-1, 1, (1, 3)).astype(np.float32)
    core.step(seen, np.array([[0.4]]), outcome(), NOTHING)
    expected = eligibilities_by_autograd(policy, torch.from_numpy(seen[0]))
    flat = np.concatenate([x.ravel() for x in expected])
    assert flat.any()
    assert_allclose(core.traces[0, : flat.size], flat, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e-8])  # the second is of Adam's epsilon
def test_adam_equals_plain_python(size):
    count, rng = 6, np.random.default_rng(0)
    moments, adam = Moments.none(count), Adam(count)
    theta, expected = np.zeros(count, np.float32), np.zeros(count)
    for update in range(1, 9):
        gradient = (size * rng.normal(size=count)).astype(np.float32)
        climb(
            (0.1, 0.2), 2, 1, update, gradient, moments.first, moments.second, theta,
            np.arange(count), np.zeros(count, np.float32),
        )  # fmt: skip
        expected += adam.step(gradient.astype(float), np.array([0.1] * 2 + [0.2] * 4))
        assert_allclose(theta, expected, rtol=1e-4)


def test_a_first_step_of_adam_has_the_step_sizes_of_hidden_synapses_and_readouts():
    core = make_core(tiny(), optimiser="adam")
    for rewards, sizes in (([0.0], NOTHING), ([2.0], (0.5, 0.25))):
        before = core._theta.copy()
        core.step(one(1.0), np.array([[0.1]]), outcome(rewards), sizes)
    # Only the action that was not taken has a negative gradient.
    expected = [0.5, 0.5, 0.25, 0.25, 0.25, 0.25, -0.25, -0.25]
    assert_allclose(core._theta - before, expected, rtol=1e-5)


def detached_log_odds(policy, x):
    """Return value and log-odds by autograd, with our surrogate and the reset detached."""
    parameters, config = policy.network.neuron_parameters, policy.network
    (hidden,), head, critic = policy.learned_parts()
    gain = config.dt_ms / parameters.tau_mem_ms
    current = hidden(x)
    v, spikes = torch.zeros_like(current), []
    for _ in range(config.time_steps):
        v = v + gain * (current - v)
        z = spike(v - parameters.v_threshold, config.surrogate, config.surrogate_slope)
        spikes.append(z)
        v = torch.where(z.detach() > 0, torch.zeros_like(v), v)
    rates = torch.stack(spikes).mean(0)
    return critic(rates), torch.log_softmax(head(rates), 1)


def own_layers_log_odds(policy, x):
    """Return value and log-odds by autograd through the network's own layers."""
    (layer,) = policy.controller.layers
    run = layer(x[None], layer.initial_state(len(x), x), policy.network.time_steps)
    rates = run.spikes.mean(0)
    return policy.critic(rates), torch.log_softmax(policy.head(rates), 1)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("time_steps", "by_autograd"), [(8, detached_log_odds), (1, own_layers_log_odds)]
)
def test_symmetric_feedback_of_one_layer_equals_the_surrogate_gradient_with_detached_reset(
    seed, time_steps, by_autograd
):
    # With one time step there is no reset that a gradient could pass.
    policy = make_policy((16,), 4, seed=seed, time_steps=time_steps)
    (hidden,), head, critic = policy.learned_parts()
    core = make_core(policy, feedback="symmetric")
    x = np.random.default_rng(seed).uniform(-1, 1, (1, 4)).astype(np.float32)
    (action,) = core.step(x, np.array([[0.4]]), outcome(), NOTHING)
    parts = [p for part in (hidden, head, critic) for p in (part.weight, part.bias)]
    for part in parts:
        part.requires_grad_(True)
    value, log_odds = by_autograd(policy, torch.from_numpy(x))
    assert_allclose(core.values(x), value.detach().numpy()[0], rtol=1e-5, atol=1e-6)
    found = torch.autograd.grad(value.sum() + log_odds[0, action], parts)
    flat = torch.cat([part.reshape(-1) for part in found]).numpy()
    trace = core.traces[0, core._order]
    assert np.abs(trace[: hidden.weight.numel()]).max() > 0.01
    assert_allclose(trace, flat, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("feedback", FEEDBACK)
def test_environments_are_independent_and_learn_from_the_mean(feedback):
    policies = [make_policy() for _ in range(3)]
    alone = [make_core(policies[k], feedback=feedback) for k in range(2)]
    together = make_core(policies[2], 2, feedback=feedback)
    rng = np.random.default_rng(0)
    for step in range(5):
        x = rng.uniform(-1, 1, (2, 3)).astype(np.float32)
        noise, rewards, ended = rng.random((2, 1)), rng.normal(size=2), [False, step == 3]
        given = outcome(rewards, ended, [0.0, 0.5])
        actions = together.step(x, noise, given, NOTHING).copy()
        for k, core in enumerate(alone):
            part = outcome(rewards[k : k + 1], ended[k : k + 1], [0.5 * k])
            assert core.step(x[k : k + 1], noise[k : k + 1], part, NOTHING)[0] == actions[k]
            assert np.array_equal(core.traces[0], together.traces[k])
    mean = (alone[0]._gradient + alone[1]._gradient) / 2
    before = together._theta.copy()
    given = outcome(rewards, [False, False])
    together.step(x, noise, given, (0.5, 0.25))
    for k, core in enumerate(alone):
        core.step(x[k : k + 1], noise[k : k + 1], outcome(rewards[k : k + 1]), NOTHING)
    mean = (alone[0]._gradient + alone[1]._gradient) / 2
    sizes = np.full(mean.size, 0.25)
    sizes[: 4 * 5] = 0.5
    assert_allclose(together._theta - before, sizes * mean, rtol=1e-4, atol=1e-6)


def test_tiny_traces_become_zero():
    # Numbers below 1e-38 would cost a hundred times as much.
    core = make_core(tiny(), gamma=0.1)
    for _ in range(60):
        core.step(one(-9.0), np.array([[0.1]]), outcome(), NOTHING)
    assert np.abs(core.traces[core.traces != 0]).min() > 1e-30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recurrent": True}, r"can't learn recurrent=True; use recurrent=False"),
        ({"encoder": "population"}, "can't learn encoder='population'; use encoder='constant'"),
        ({"learnable": ("tau_mem_ms",)}, "can't learn learnable="),
    ],
)
def test_networks_that_the_rule_cannot_learn_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make_core(make_policy(**change))
