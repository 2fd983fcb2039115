"""C files against our networks: every potential and action, compiled with all warnings."""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.utils import ConstantSchedule

from compiled import COMPILER, SANITIZERS, WARNINGS, Compiled, needs_compiler
from snn_gym import load_pretrained
from snn_gym.leaderboard import evaluate
from snn_gym.policies import (
    SpikingActorCriticPolicy,
    SpikingControllerPolicy,
    SpikingDQNPolicy,
    SpikingSACPolicy,
    StatefulActorCriticPolicy,
    StockActorCriticPolicy,
    StockSACPolicy,
    program_of,
)
from snn_gym.program import compact, decide
from snn_gym_deploy import Visits, to_c, visit
from tests.made import (
    CHOSEN,
    DENSE,
    RARE,
    RARE_STATEFUL,
    SEEN,
    STATELESS,
    build,
    build_ann,
    observe,
    scattered,
    spiking,
)
from tests.program.own_neurons import registered

FILTERS = {"convolutions": [{"filters": 3}], "hidden_sizes": (9,)}
MORE_FILTERS = {
    "convolutions": [
        {"filters": 3, "kernel": 2, "padding": 1},
        {"filters": 4, "kernel": 2, "stride": 2, "pool": 2},
    ],
    "hidden_sizes": (9,),
}
KINDS = [
    *STATELESS,
    (SpikingActorCriticPolicy, "analogue", "discrete", {"recurrent": True}),
    (SpikingActorCriticPolicy, "ten rows", "discrete", {"rows_per_step": 2, "recurrent": True}),
    (SpikingActorCriticPolicy, "planes", "discrete", FILTERS),
    (SpikingActorCriticPolicy, "planes, channels last", "discrete", MORE_FILTERS),
]
STATEFUL = [
    (StatefulActorCriticPolicy, "analogue", {"neuron": "alif", "recurrent": True}),
    (StatefulActorCriticPolicy, "spikes", {"neuron": "alif", "recurrent": True}),
    (StatefulActorCriticPolicy, "analogue", {"neuron": "lif", "decoder": "last_voltage"}),
    (StatefulActorCriticPolicy, "analogue", {}),
    *((StatefulActorCriticPolicy, "analogue", network) for network in RARE_STATEFUL),
    # C's own exp may differ from the kernel's in the last place, so "exponential" is left out.
    *((StatefulActorCriticPolicy, "analogue", {"neuron": name})
      for name in ("iaf_soft", "lif_soft", "quadratic", "izhikevich", "resonator")),
]  # fmt: skip
VISITS = Visits((np.ones(12, bool), np.ones(9, bool)), (1.0, 1.0))


@pytest.fixture(scope="module", autouse=True)
def own():
    with registered():
        yield


@needs_compiler
@pytest.mark.parametrize(("kind", "seen", "chosen", "network"), KINDS)
def test_every_neuron_has_our_state_to_the_last_bit(kind, seen, chosen, network, tmp_path):
    policy = build(kind, seen, chosen, **network)
    agent = spiking(policy)
    compiled = Compiled(to_c(policy, tmp_path), agent)
    acting, met = policy.acting_network(), set()
    for observation in observe(seen, 60):
        expected = policy.predict(observation, deterministic=True)[0]
        np.testing.assert_allclose(compiled.step(observation), expected, rtol=1e-5, atol=1e-5)
        with torch.no_grad():
            inputs = policy.network_inputs(policy.obs_to_tensor(observation)[0])
            _, state = acting(inputs, acting.rest_state(1))
        met.add(compiled.neurons().tobytes())
        assert np.array_equal(compiled.neurons(), state[0, : len(compiled.neurons())].numpy())
    assert len(met) > 20


@needs_compiler
@pytest.mark.parametrize(("kind", "seen", "network"), STATEFUL)
def test_a_state_is_carried_and_reset_as_ours(kind, seen, network, tmp_path):
    policy = scattered(build(kind, seen, **network))
    compiled = Compiled(to_c(policy, tmp_path), spiking(policy))
    state, met = None, set()
    for k, observation in enumerate(observe(seen, 40)):
        if k == 25:
            compiled.reset()
            state = None
        action, state = policy.predict(observation, state, deterministic=True)
        assert compiled.step(observation) == action
        neurons = compiled.neurons()
        met.add(neurons.tobytes())
        assert np.array_equal(neurons, state[0][0, : len(neurons)])
    assert len(met) > 20


@needs_compiler
@pytest.mark.parametrize(("kind", "network"), [
    ((SpikingActorCriticPolicy, SpikingDQNPolicy)[k % 2], x) for k, x in enumerate(RARE)
])  # fmt: skip
def test_encoders_and_own_constants_equal_ours(kind, network, tmp_path):
    policy = scattered(build(kind, **network))
    compiled, met = Compiled(to_c(policy, tmp_path), spiking(policy)), set()
    acting, observations = policy.acting_network(), observe("analogue", 60)
    with torch.no_grad():
        inputs = policy.network_inputs(policy.obs_to_tensor(observations)[0])
        _, states = acting(inputs, acting.rest_state(60))
    same = []
    for observation, state in zip(observations, states.numpy(), strict=True):
        action = compiled.step(observation)
        neurons = compiled.neurons()
        same.append(np.array_equal(neurons, state[: len(neurons)]))
        if same[-1]:
            assert action == policy.predict(observation, deterministic=True)[0]
        met.add(neurons.tobytes())
    # C rounds the exponential differently: an input spike may come a time step later.
    assert np.mean(same) >= (0.95 if "population" in str(network) else 1.0)
    assert len(met) > 20


@needs_compiler
def test_a_mean_of_gsde_is_clipped(tmp_path):
    policy = SpikingSACPolicy(
        SEEN["analogue"], CHOSEN["continuous"], ConstantSchedule(0.1), use_sde=True
    )
    with torch.no_grad():
        policy.actor.mu[0].bias.fill_(3.0)
    compiled = Compiled(to_c(policy, tmp_path), spiking(policy))
    found = compiled.step(observe("analogue", 1)[0])
    np.testing.assert_allclose(found, 2 * np.tanh([2.0, 2.0]), rtol=1e-6)


@pytest.mark.parametrize(("kind", "network", "message"), [
    (SpikingActorCriticPolicy, {"encoder": "rate"}, "'rate' of Poisson timing is not"),
    (StatefulActorCriticPolicy, {"encoder": "delta"}, "encoder 'delta' is not exported; train"),
])  # fmt: skip
def test_an_encoder_that_needs_a_host_is_refused(kind, network, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_c(build(kind, **network), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kind", "seen", "network", "message"), [
    (SpikingActorCriticPolicy, "analogue", {"encoder": "latency"},
     "this encoder is not written in fixed point"),
    (SpikingActorCriticPolicy, "flags", {}, "no scale in fixed point"),
    (StatefulActorCriticPolicy, "analogue", {"decoder": "last_voltage"},
     "a decoder that carries a state"),
])  # fmt: skip
def test_parts_without_fixed_point_are_named(kind, seen, network, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_c(build(kind, seen, **network), tmp_path, visits=VISITS, fixed_point=True)
    assert not list(tmp_path.iterdir())


@needs_compiler
@pytest.mark.parametrize(("neuron", "fixed"), [("lif", False), ("alif", True)])
def test_the_program_reads_lines_without_undefined_behaviour(neuron, fixed, tmp_path):
    policy = build(StatefulActorCriticPolicy, neuron=neuron, recurrent=True)
    visits = replace(VISITS, peaks=(0.1, 0.1))  # so small that all numbers saturate
    files = to_c(policy, tmp_path, visits=visits, fixed_point=fixed, title="a */ title")
    program = tmp_path / "program"
    words = (str(COMPILER), *WARNINGS, *SANITIZERS, "-o", str(program))
    subprocess.run([*words, str(files.source), str(files.program), "-lm"], check=True)
    lines = "1 -2 0.5\n1e30 -1e30 0\nreset\n1 -2 0.5\n"
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    first, _, again = done.stdout.split()
    assert first == again
    done = subprocess.run([program], input="1 2\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "expected 3 values in a line, got 2\n")


@needs_compiler
@pytest.mark.parametrize(
    ("env_id", "margin", "drop"), [("CartPole-v1", 0.0, True), ("Pendulum-v1", 20.0, False)]
)
def test_fixed_point_keeps_the_return_of_float(env_id, margin, drop, tmp_path):
    model = load_pretrained("ppo-lif", env_id)
    visits = visit(model, env_id, 2)
    files = to_c(model, tmp_path, visits=visits, fixed_point=True, drop_silent=drop)
    agent = spiking(model)
    assert files.constant_bytes < 6_000
    if drop:
        assert files.sizes == tuple(int(x.sum()) for x in visits.fired)
        agent = compact(agent, visits.fired)
    compiled = Compiled(files, agent, fixed=True)

    class Policy:
        def predict(self, observations, *_, **__):
            return np.stack([compiled.step(x) for x in observations]), None

    seeds = range(5)
    own = evaluate(model, env_id, seeds=seeds).mean
    assert evaluate(Policy(), env_id, seeds=seeds).mean >= own - margin


@needs_compiler
def test_visited_states_are_decided_alike_without_silent_neurons(tmp_path):
    policy = build(SpikingActorCriticPolicy)
    observations = observe("analogue", 30)
    layers = policy.record(observations).layers
    fired = tuple((layer.spikes != 0).flatten(0, 1).any(0).numpy() for layer in layers)
    assert not all(x.all() for x in fired)
    files = to_c(policy, tmp_path, visits=replace(VISITS, fired=fired), drop_silent=True)
    compiled = Compiled(files, compact(spiking(policy), fired))
    taken = [compiled.step(x) for x in observations]
    assert taken == policy.predict(observations, deterministic=True)[0].tolist()


def test_bad_arguments_are_refused_with_a_fix(tmp_path):
    policy = build(SpikingActorCriticPolicy)
    for name in ("Agent", "main", "a b", "1a", "a" * 33):
        with pytest.raises(ValueError, match="such as 'agent'"):
            to_c(policy, tmp_path, name=name)
    for fixed, drop in ((True, False), (False, True)):
        with pytest.raises(ValueError, match=r"pass visits=visit\(model, env_id\)"):
            to_c(policy, tmp_path, fixed_point=fixed, drop_silent=drop)
    assert not list(tmp_path.iterdir())


@needs_compiler
def test_a_controller_of_evolution_acts_as_ours(tmp_path):
    torch.manual_seed(0)
    policy = SpikingControllerPolicy(
        SEEN["analogue"], CHOSEN["discrete"], network={"hidden_sizes": [16]}
    )
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(3.0)
    policy.set_observation_limits([-4.0] * 3, [2.0] * 3)
    compiled = Compiled(to_c(policy, tmp_path), spiking(policy))
    for observation in observe("analogue", 30):
        assert compiled.step(observation) == policy.predict(observation)[0]


@needs_compiler
@pytest.mark.parametrize(("chosen", "arguments"), [
    (("discrete", "continuous")[k % 2], x) for k, x in enumerate(DENSE.values())
])  # fmt: skip
def test_a_twin_acts_as_ours(arguments, chosen, tmp_path):
    policy = build_ann("analogue", chosen, **arguments)
    compiled = Compiled(to_c(policy, tmp_path), program_of(policy))
    for observation in observe("analogue", 30):
        expected = policy.predict(observation, deterministic=True)[0]
        np.testing.assert_allclose(compiled.step(observation), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="this is an ANN; leave it out"):
        to_c(policy, tmp_path, visits=VISITS, drop_silent=True)


@needs_compiler
def test_convolutions_of_an_ann_act_as_ours(tmp_path):
    policy = build_ann("planes, channels last", network=MORE_FILTERS)
    files = to_c(policy, tmp_path)
    compiled = Compiled(files, program_of(policy))
    for observation in observe("planes, channels last", 60):
        expected = policy.predict(observation, deterministic=True)[0]
        assert compiled.step(observation.reshape(-1)) == expected
    # 3 filters of 2 x 2 x 2 and 4 of 3 x 2 x 2 numbers, and not one for each place.
    written = files.source.read_text()
    assert "float filters_1[8][3] =" in written
    assert "float filters_2[12][4] =" in written
    assert "weights_1" not in written


@needs_compiler
@pytest.mark.parametrize(("algorithm", "policy", "env_id"), [
    (PPO, StockActorCriticPolicy, "CartPole-v1"), (SAC, StockSACPolicy, "Pendulum-v1"),
])  # fmt: skip
def test_policies_of_stable_baselines3_act_as_theirs(algorithm, policy, env_id, tmp_path):
    model = algorithm(policy, env_id, seed=0, policy_kwargs={"network": {"hidden_sizes": [9, 5]}})
    space = model.observation_space
    space.seed(0)
    observations = np.stack([np.clip(space.sample(), -3, 3) for _ in range(20)])
    expected = model.predict(observations, deterministic=True)[0]
    compiled = Compiled(to_c(model, tmp_path), program_of(model))
    steps = np.stack([compiled.step(x) for x in observations])
    np.testing.assert_allclose(steps.reshape(expected.shape), expected, rtol=1e-5, atol=1e-6)


@needs_compiler
@pytest.mark.parametrize(("gates", "seen"), [
    ("gru", "analogue"), ("lstm", "spikes"), ("rnn", "spikes"), ("leaky", "analogue"),
    ("rnn_relu", "rows"), (("rectified_leaky", "relu"), "spikes"),
    (("threshold", "lstm"), "analogue"),
])  # fmt: skip
def test_gated_units_carry_and_reset_their_state(gates, seen, tmp_path):
    torch.manual_seed(0)
    rows, seen = (5, "spikes") if seen == "rows" else (1, seen)
    policy = StatefulActorCriticPolicy(
        SEEN[seen], CHOSEN["discrete"], ConstantSchedule(0.1), gated=gates,
        network={"hidden_sizes": [7, 5], "rows_per_step": rows}, spiking_actor=False,
    )  # fmt: skip
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(3.0)
    program = policy.program()
    compiled, state, met = Compiled(to_c(policy, tmp_path), program), None, set()
    for observation in observe(seen, 40):
        rows = observation.reshape(1, -1).astype(np.float32)
        made = decide(program, rows, state)
        state = made.state
        assert made.actions[0] == compiled.step(observation)
        met.add(made.outputs.tobytes())
    assert len(met) > 20
    compiled.reset()
    assert compiled.step(observation) == decide(program, rows).actions[0]
