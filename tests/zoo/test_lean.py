"""Tests of ``make_lean``: a trained agent teaches an agent that spikes less."""

import re

import gymnasium as gym
import numpy as np
import pytest
import torch

from snn_gym.envs.registry import load_environment_spec
from snn_gym.leaderboard.evaluation import evaluate
from snn_gym.learners.lean_algorithm import LeanAlgorithm
from snn_gym.spiking import SpikingNetwork
from snn_gym.spiking.bookkeeping import full_state
from snn_gym.zoo import (
    distil,
    load_agent,
    load_agent_spec,
    make_agent,
    make_lean,
    read_manifest,
    save_agent,
)
from snn_gym.zoo.build import identify
from snn_gym.zoo.files import extract_settings
from tests.learners.shed import synops
from tests.marked import slow
from tests.policies.identity import refused

pytestmark = pytest.mark.check
TINY = {"hidden_sizes": [12]}
QUICK = {
    "updates": 250, "batch_size": 64, "learning_rate": 0.01, "final_learning_rate": 0.001,
    "control_rate": 0.1, "bound": 0.05,
}  # fmt: skip
ANN = {**QUICK, "updates": 600}
ONCE = {**QUICK, "updates": 3}
# No neuron is folded, and no synapse is weak enough to be pruned.
IDLE = {"signals": "prune", "pruning": 1e-9}
OFF_POLICY = {"learning_starts": 50, "batch_size": 16}
SEQUENCES = {"n_envs": 4, "n_steps": 32, "batch_size": 64, "sequence_length": 16}
PLANES = {"n_envs": 4, "n_steps": 32, "batch_size": 64}
RANDOM = load_environment_spec("CartPole-v1").reference.random


@pytest.fixture(scope="module")
def agents():
    """Agents after a short training, trained on first use."""
    made = {}

    def get(name, env_id="CartPole-v1", steps=8192, **overrides):
        if name.startswith("ppo"):
            adam = {"learning_rate": 3e-3, "optimizer_kwargs": {"eps": 1e-5}}
            overrides = {**adam, **overrides}
        # Tests come in any order, so that one must not get what another asked for.
        key = name, env_id, steps, str(sorted(overrides.items()))
        if key not in made:
            made[key] = make_agent(name, env_id, seed=4, network=TINY, **overrides).learn(steps)
        return made[key]

    return get


def played(model, count=300):
    """Observations of CartPole from play."""
    model.env.seed(5)
    seen, found = model.env.reset(), []
    while len(found) * model.n_envs < count:
        found.append(seen)
        seen, *_ = model.env.step(model.predict(seen)[0])
    return np.concatenate(found)[:count]


def apart(trained, lean, seen):
    """Return the divergence of a new agent's actions from the trained agent's, by PyTorch."""
    with torch.no_grad():
        first, second = (
            x.policy.get_distribution(x.policy.obs_to_tensor(seen)[0]).distribution
            for x in (trained, lean)
        )
        return float(torch.distributions.kl_divergence(first, second).mean())


def test_the_trained_agent_is_not_changed_and_the_new_one_spikes_less(agents):
    trained = agents("ppo-lif")
    before = {name: x.clone() for name, x in full_state(trained.policy).items()}
    steps, settings = trained.num_timesteps, trained.policy.network
    lean = make_lean(trained, **QUICK)
    assert isinstance(lean, LeanAlgorithm)
    assert not isinstance(trained, LeanAlgorithm)
    assert (trained.num_timesteps, trained.policy.network) == (steps, settings)
    for name, x in full_state(trained.policy).items():
        assert torch.equal(x, before[name]), name
    assert lean.shedding.counters.updates == 250
    assert lean.num_timesteps == 1792  # whole rollouts for a fifth of 8,192 steps
    seen = played(trained)
    assert 0 < synops(lean.policy, seen) <= synops(trained.policy, seen) / 2
    assert apart(trained, lean, seen) < 2 * 0.05
    assert lean.shedding.bound.bound == 0.05
    assert lean.divergence < 2 * 0.05  # in the latest states


def test_trained_return_is_measured_first_and_losses_are_reverted(agents):
    trained = agents("ppo-lif")
    earned = np.mean(evaluate(trained, "CartPole-v1", episodes=20).returns)
    kept, silenced = (
        make_lean(trained, 16_384, **{**ONCE, **settings})
        for settings in (
            {"learning_rate": 1e-9, "final_learning_rate": 0.0, **IDLE},
            {"updates": 60, "bound": 1e3, "max_bound": 1e3, "first_strength": 1e3},
        )
    )
    for lean in (kept, silenced):
        bound = lean.shedding.bound
        assert abs(bound.reference - earned) < 0.5 * earned
        assert bound.gained == pytest.approx(bound.reference - RANDOM)
        assert lean.teacher_first_return is None
    # The trained agent's weights came back. Training may end some updates later, which move it
    # little beside what an agent has learned.
    seen = played(trained)
    fresh = make_agent("ppo-lif", "CartPole-v1", network=TINY)
    assert apart(trained, silenced, seen) < 0.1 * apart(trained, fresh, seen)
    assert synops(silenced.policy, seen) > 0.9 * synops(trained.policy, seen)


def test_lean_of_another_network_and_of_an_unknown_task(agents, own_names):
    trained = agents("ppo-lif")
    shorter = make_lean(trained, 2048, network={"time_steps": 4}, **ONCE)
    assert not shorter.shedding.bound.is_followed
    assert np.isnan(shorter.shedding.bound.reference)
    assert shorter.shedding.bound.bound == 0.05
    gym.register("Pole-v0", "gymnasium.envs.classic_control:CartPoleEnv", max_episode_steps=200)
    elsewhere = make_lean(make_agent("ppo-lif", "Pole-v0", network=TINY), 8192, **ONCE)
    bound = elsewhere.shedding.bound
    assert (bound.is_followed, bound.gained) == (True, 0.0)


def test_lean_agents_start_from_the_trained_weights(agents):
    still = {**ONCE, "learning_rate": 1e-9, "final_learning_rate": 0.0, **IDLE}
    lean = make_lean(agents("ppo-lif"), 256, **still)
    ours, theirs = (x.policy.acting_state_dict() for x in (lean, agents("ppo-lif")))
    assert ours.keys() == theirs.keys()
    for name, x in theirs.items():
        torch.testing.assert_close(ours[name], x, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ppo-conv-lif", "ppo-conv"])
def test_convolutions_are_made_dense_to_shed_neurons(agents, name):
    trained = agents(name, "snn/MinAtar-Breakout-v0", 300, **PLANES)
    lean = make_lean(trained, 8, **{**ONCE, "learning_rate": 1e-9, "final_learning_rate": 1e-9})
    assert trained.policy.network.convolutions
    assert lean.policy.network.hidden_sizes == (16 * 8 * 8, 12)
    observed = np.stack([trained.env.observation_space.sample() for _ in range(100)])
    assert np.array_equal(*(x.predict(observed, deterministic=True)[0] for x in (trained, lean)))


@pytest.mark.slow
@pytest.mark.parametrize("cost", ["synops", "operations"])
def test_no_synapse_grows_that_a_filter_lacks(agents, cost):
    trained = agents("ppo-conv-lif", "snn/MinAtar-Breakout-v0", 300, **PLANES)
    lean = make_lean(trained, 300, cost=cost, **{**ONCE, "updates": 20, "pruning": 0.0})
    weight = lean.policy.acting_network().layers[0].linear.weight
    # 16 x 8 x 8 neurons read 3 x 3 places of four planes each.
    assert weight.shape == (1024, 400)
    assert 0 < int((weight != 0).sum()) <= 1024 * 36


@pytest.mark.slow
def test_a_student_keeps_its_convolutions_where_nothing_is_shed(agents):
    trained = agents("ppo-conv-lif", "snn/MinAtar-Breakout-v0", 300, **PLANES)
    smaller = {"convolutions": [{"filters": 2}]}
    student = distil(trained, "ppo-conv", 8, network=smaller, updates=3)
    assert student.policy.network.convolutions[0].filters == 2


def test_results_depend_on_the_seed(agents):
    first, same, other = (
        make_lean(agents("ppo-lif"), 256, seed=seed, **ONCE).policy.state_dict()
        for seed in (None, 4, 5)
    )
    assert all(torch.equal(x, same[name]) for name, x in first.items())
    assert any(not torch.equal(x, other[name]) for name, x in first.items())


@pytest.mark.parametrize("network", [{"time_steps": 4}, slow({"hidden_sizes": [6]})], ids=str)
def test_smaller_networks_are_allowed(agents, network):
    trained = agents("ppo-lif")
    lean = make_lean(trained, network=network, **{**QUICK, "updates": 400})
    for key, value in network.items():
        assert getattr(lean.policy.network, key) == (value if key == "time_steps" else tuple(value))
    seen = played(trained)
    assert synops(lean.policy, seen) < synops(trained.policy, seen)
    assert apart(trained, lean, seen) < 2 * 0.05


def test_synops_may_be_limited(agents):
    trained = agents("ppo-lif")
    seen = played(trained)
    limit = 0.5 * synops(trained.policy, seen)
    lean = make_lean(trained, max_synops=limit, **QUICK)
    assert 0 < lean.divergence < 1  # in nats, and not the operations that are limited
    assert synops(lean.policy, seen) <= limit


def test_ann_twins_can_be_teachers(agents):
    twin = agents("ppo-mlp")
    lean = make_lean(twin, student="ppo-lif", network=TINY, **{**QUICK, "updates": 400})
    assert isinstance(lean.policy.mlp_extractor.actor, SpikingNetwork)
    assert not isinstance(twin.policy.mlp_extractor.actor, SpikingNetwork)
    assert identify(lean).agent == "ppo-lif"
    # The result is an agent of the zoo, independent of the teacher's settings (rate 0.003 here).
    assert extract_settings(lean) == load_agent_spec("ppo-lif").settings("CartPole-v1")
    seen = played(twin)
    assert apart(twin, lean, seen) < 0.05
    # Whatever is seen, a fresh student does about the same.
    fresh = make_agent("ppo-lif", "CartPole-v1", seed=3, network=TINY)
    assert apart(twin, fresh, seen) > 2 * apart(twin, lean, seen)


@pytest.mark.parametrize(
    ("name", "env_id", "overrides"),
    [
        ("dqsn", "CartPole-v1", OFF_POLICY),
        ("sac-lif", "Pendulum-v1", {**OFF_POLICY, "train_freq": 8}),
        slow("recurrent-ppo-lsnn", "snn/MaskedCartPole-v1", SEQUENCES),
        slow("ppo-conv-lif", "snn/MinAtar-Breakout-v0", PLANES),
    ],
)
def test_every_agent_can_be_made_lean_saved_and_loaded(agents, name, env_id, overrides, tmp_path):
    trained = agents(name, env_id, 300, **overrides)
    lean = make_lean(trained, 300, **ONCE)
    assert lean.shedding.counters.updates == 3
    if hasattr(lean, "exploration_initial_eps"):  # states are those of play
        assert lean.learning_starts == 0
        assert lean.exploration_initial_eps == lean.exploration_final_eps
        assert lean.exploration_final_eps == trained.exploration_final_eps
    parent = read_manifest(save_agent(trained, tmp_path / "trained"))
    manifest = read_manifest(save_agent(lean, tmp_path / "lean"))
    assert (manifest.agent, manifest.environment) == (name, env_id)
    assert manifest.parent_sha256 == parent.weights_sha256
    assert parent.parent_sha256 is None
    loaded = load_agent(tmp_path / "lean")
    ours, theirs = full_state(lean.policy), full_state(loaded.policy)
    assert all(torch.equal(x, theirs[key]) for key, x in ours.items())
    assert isinstance(loaded, LeanAlgorithm)
    assert loaded.lean_parameters == lean.lean_parameters


def test_a_stateful_student_may_be_of_another_size(agents):
    trained = agents("recurrent-ppo-lsnn", "snn/MaskedCartPole-v1", 300, **SEQUENCES)
    other = {"hidden_sizes": [6, 6], "time_steps": 2}
    assert make_lean(trained, 256, network=other, **ONCE).shedding.counters.updates == 3


@pytest.mark.slow
def test_a_gated_twin_teaches_a_stateful_student(agents):
    twin = agents("recurrent-ppo-gru", "snn/MaskedCartPole-v1", 300, **SEQUENCES)
    lean = make_lean(twin, 256, student="recurrent-ppo-lsnn", network=TINY, **ONCE)
    assert isinstance(lean.policy.mlp_extractor.actor, SpikingNetwork)


@pytest.mark.slow
def test_an_ann_is_taught_alone_or_sheds_weights(agents):
    trained = agents("ppo-lif")
    seen, sizes = played(trained), {"hidden_sizes": [6]}
    taught, same = (
        distil(trained, "ppo-mlp", 8192, network=sizes, **{**ANN, "control_rate": 0.0})
        for _ in range(2)
    )
    settings = {**ANN, "bound": 0.2, "max_bound": 0.2}
    shed = make_lean(trained, 8192, student="ppo-mlp", network=TINY, **settings)
    assert taught.policy.network.hidden_sizes == (6,)
    assert apart(trained, taught, seen) < 0.06
    assert apart(trained, shed, seen) < 0.4
    for name, x in taught.policy.acting_state_dict().items():
        assert torch.equal(x, same.policy.acting_state_dict()[name])
    none, some = (
        sum(int((x == 0).sum()) for x in model.shedding._weights.values() if x.dim() > 1)
        for model in (taught, shed)
    )
    assert none == 0
    assert some > 0.3 * (4 * 12 + 12 * 2)


def test_lean_agents_continue_learning(agents, tmp_path):
    lean = make_lean(agents("ppo-lif"), 256, **ONCE, latest_start=0.6, largest_rise=None)
    save_agent(lean, tmp_path)
    for model in (lean, load_agent(tmp_path)):
        begun = []
        model.learn(2048, callback=lambda *_, m=model, b=begun: b.append(m.shedding) or True)
        assert begun[0] is None  # it learns
        assert begun[-1] is not None
        assert begun[-1].counters.begun_at == pytest.approx(0.6, abs=0.15)


def test_a_lean_agent_can_be_made_leaner(agents):
    first = make_lean(agents("ppo-lif"), 256, **ONCE)
    second = make_lean(first, 256, **{**ONCE, "bound": 0.5})
    assert (first.lean_parameters.bound, second.lean_parameters.bound) == (0.05, 0.5)


def test_rescue_settings_are_kept(agents):
    trained = make_agent(
        "ppo-lif", "CartPole-v1", network={**TINY, "regulation": {"rescue_strength": 2.0}}
    )
    lean = make_lean(trained, 256, **ONCE)
    assert lean.policy.network.regulation.rescue_strength == 2.0
    assert lean.policy.network.regulation.lean.updates == 3


@pytest.mark.parametrize(
    ("agent", "arguments", "message"),
    [
        (
            "ppo-lif", {"bund": 0.1},
            "make_lean: unknown key bund; did you mean 'bound'? allowed keys",
        ),
        ("ppo-lif", {"steps": 0}, "steps must be at least 1, got 0"),
        (
            "ppo-lif", {"network": {"time_step": 4}},
            "unknown key time_step; did you mean 'time_steps'?",
        ),
        ("ppo-lif", {"student": "ppo-lfi"}, "'ppo-lfi' is unknown; did you mean 'ppo-lif'?"),
        ("cma-es", {}, "CMAES learns without gradients, which lean needs"),
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(agents, agent, arguments, message):
    trained = agents(agent, steps=8)
    with refused(re.escape(message)):
        make_lean(trained, **arguments)
