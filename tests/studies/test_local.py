"""The study of local learning: criterion, trainings, changes in mid-life, ablation, page."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from snn_gym import evaluate
from snn_gym.zoo import load_agent_spec, make_agent
from studies.changed import make_changed
from studies.local import adaptation, dynamics, learning, report_adaptation
from studies.local.adaptation import CHANGES, Life, live
from studies.local.dynamics import STARTS, STRENGTHS, DynamicsRun, regulation_of
from studies.local.learning import ARMS, play_without_exploration, solved_after
from studies.local.report_dynamics import corrected, verdict
from studies.runs import Runs
from studies.statistics import holm_by_name, rank_sum_p


def cells(page, first):
    """Return the cells of the first row that begins so."""
    row = next(line for line in page.splitlines() if line.startswith(first))
    return [cell.strip() for cell in row.strip("|").split("|")]


def table(tmp_path, *named_runs):
    runs = Runs(tmp_path / "runs.jsonl")
    for name, run in named_runs:
        runs.add(f"{name}/{run.seed}", run)
    return runs


# ---- learning -----------------------------------------------------------------------------------


def test_a_run_is_solved_at_the_end_of_the_first_good_window():
    good, bad = [500.0], [0.0]
    assert solved_after(good * 99) is None
    assert solved_after(good * 100) == 100
    assert solved_after(bad * 7 + good * 200) == 7 + 95  # five of the bad ones in the window
    assert solved_after([475.0] * 100) == 100
    assert solved_after([474.9] * 300) is None


def test_a_run_ends_when_solved_or_out_of_steps(monkeypatch):
    monkeypatch.setattr(learning, "EVALUATION_EPISODES", 3)
    monkeypatch.setattr(learning, "SOLVED", 5.0)
    made = learning.train("random", 5, steps=40_000)
    assert made.solved_after == 100
    assert 500 < made.steps < 40_000
    monkeypatch.setattr(learning, "SOLVED", 501.0)
    failed = learning.train("random", 5, steps=300)
    assert (failed.steps, failed.solved_after) == (300, None)


def test_an_evaluation_is_that_of_the_package():
    model = make_agent("local-actor-critic", "CartPole-v1", 3).learn(2_000)
    scores = evaluate(model, "CartPole-v1", episodes=6)
    assert play_without_exploration(model, 6) == tuple(scores.returns)


# Compiling a rule takes numba some seconds.
SLOW = {"r-stdp": pytest.mark.slow}


@pytest.mark.parametrize("arm", [pytest.param(x, marks=SLOW.get(x, ())) for x in ARMS])
def test_every_arm_can_be_made(arm, monkeypatch):
    monkeypatch.setattr(learning, "EVALUATION_EPISODES", 2)
    assert learning.train(arm, 1000, steps=40).steps >= 40


# ---- changes ------------------------------------------------------------------------------------


def test_a_reversed_motor_pushes_the_other_way_and_a_longer_pole_keeps_its_mass():
    usual, reversed_ = gym.make("CartPole-v1"), make_changed(
        "CartPole-v1", CHANGES["motor"].attributes
    )  # fmt: skip
    for env in (usual, reversed_):
        env.reset(seed=3)
    assert np.array_equal(usual.step(1)[0], reversed_.step(0)[0])
    task = make_changed("CartPole-v1", CHANGES["pole"].attributes).unwrapped
    assert task.length == 2 * usual.unwrapped.length
    assert task.polemass_length == task.masspole * task.length


@pytest.mark.slow
def test_a_damaged_brain_acts_like_one_with_disconnected_neurons():
    model = make_agent("local-actor-critic", "CartPole-v1", 3, hidden_rate=1.0).learn(600)
    model.moments.first[:] = np.arange(model.moments.first.size)
    left = adaptation.damaged(model, CHANGES["neurons"], 3)
    gone = adaptation.deleted_neurons(64, CHANGES["neurons"], 3)
    kept = np.setdiff1d(np.arange(64), gone)
    assert (len(gone), left.policy.network.hidden_sizes) == (32, (32,))
    assert np.array_equal(left.policy.feedback, model.policy.feedback[:, kept])
    # The moments of a synapse are where the kernels look for them.
    places = left.online(0.0).core._order
    named = left.moments.first[places][: 4 * 32].reshape(32, 4)
    before = model.moments.first[model.online(0.0).core._order][: 4 * 64].reshape(64, 4)
    assert np.array_equal(named, before[kept])
    readout = left.moments.first[places][5 * 32 : 5 * 32 + 64].reshape(2, 32)
    whole = model.moments.first[model.online(0.0).core._order][5 * 64 : 5 * 64 + 128]
    assert np.array_equal(readout, whole.reshape(2, 64)[:, kept])
    for readout in (model.policy.head, model.policy.critic):
        readout.weight.data[:, gone] = 0.0
    seen = np.random.default_rng(0).normal(0, 0.1, (40, 4)).astype(np.float32)
    observed = model.policy.obs_to_tensor(seen)[0]
    assert np.allclose(left.policy(observed), model.policy(observed), atol=1e-6)


@pytest.mark.parametrize("arm", ["learning", "resting"])
def test_only_the_learning_arm_changes_weights(arm, monkeypatch):
    monkeypatch.setattr(adaptation, "STEPS", 300)
    monkeypatch.setattr(adaptation, "WINDOW", 3)
    monkeypatch.setattr(adaptation, "EVALUATION_EPISODES", 2)
    changed, deploy = [], adaptation.deploy

    def watched(model, *arguments):
        before = model.policy.critic.weight.clone()
        returns = deploy(model, *arguments)
        changed.append(not np.array_equal(before, model.policy.critic.weight))
        return returns

    monkeypatch.setattr(adaptation, "deploy", watched)
    lived = live("motor", arm, 1000, steps=40)
    assert changed == [arm == "learning"]
    assert lived == live("motor", arm, 1000, steps=40)


def test_a_gradient_agent_at_rest_falls_where_its_motor_is_reversed(monkeypatch):
    monkeypatch.setattr(adaptation, "EVALUATION_EPISODES", 4)
    lived = live("motor", "gradient", 200)
    assert lived.before > 400
    assert lived.final < 50
    assert lived.solved_after is None


def life(arm, seed, solved_after, final=500.0, change="motor"):
    steps = None if solved_after is None else 480 * solved_after
    return Life(change, arm, seed, 500.0, 20.0, solved_after, steps, final)


def test_lives_are_compared_by_exact_tests():
    found = {
        ("motor", "learning"): [life("learning", s, 135) for s in range(5)],
        ("motor", "resting"): [life("resting", s, None, 20.0) for s in range(5)],
        ("motor", "new"): [life("new", s, 100) for s in range(5)],
    }
    p_values = report_adaptation.corrected(found)
    # Five against five: twice one of 252 splits, times the three tests.
    assert list(p_values.values()) == pytest.approx([3 * 2 / 252] * 3)
    said = " ".join(report_adaptation.answers(found).split())
    assert "a median of 135 episodes, learning from scratch 100: slower (p = 0.024)." in said
    assert "Against learning off, adapting is quicker (p = 0.024)." in said
    assert "scratch after these changes: motor reversed.**" in said
    found = {key: runs[:2] for key, runs in found.items()}
    assert "not significantly different (p = 1.00)." in report_adaptation.answers(found)


def test_a_life_that_failed_took_longer_than_all_others():
    assert report_adaptation.median([100, 300, None]) == 300
    assert report_adaptation.median([100, None]) is None


# ---- regulation ---------------------------------------------------------------------------------


def test_arms_switch_on_their_terms_at_the_strengths_of_the_agents_file():
    filed = load_agent_spec(dynamics.AGENT).settings("CartPole-v1").regulation
    assert all(getattr(filed, field) > 0 for field in STRENGTHS.values())
    assert regulation_of("off") is None
    assert regulation_of("all") == filed
    for term, field in STRENGTHS.items():
        only = {other: 0.0 for other in STRENGTHS.values() if other != field}
        assert regulation_of(term) == replace(filed, **only)
    for arm in ("lean", "revival"):
        assert regulation_of(f"{arm}-shuffled") == replace(regulation_of(arm), shuffle_seed=0)


@pytest.mark.slow
def test_a_run_begins_at_its_start(monkeypatch):
    monkeypatch.setattr(learning, "EVALUATION_EPISODES", 3)
    usual = dynamics.train("usual", "off", 1000, steps=400)
    small = dynamics.train("small", "all", 1000, steps=400)
    assert 0 < small.silent < 1
    assert small.rate_hz < usual.rate_hz
    # 64 neurons of 8 time steps of 1 ms, two outputs; readouts start at 0, and a weight that stayed
    # there is no synapse
    whole = usual.rate_hz / 1000 * 8 * 64 * 2
    assert 0.99 * whole < usual.synops <= whole * (1 + 1e-6)


@pytest.mark.parametrize(("start", "factor"), [("small", 0.25), ("large", 4.0), ("silent", 1.0)])
def test_a_start_damages_weights_or_biases(start, factor):
    model = make_agent(dynamics.AGENT, "CartPole-v1", 1000)
    (layer,) = model.policy.learned_parts()[0]
    seen = np.random.default_rng(0).normal(0, 0.5, (200, 4)).astype(np.float32)
    before, spikes = layer.weight.clone(), model.policy.record(seen).layers[0].spikes
    STARTS[start].damage(model.policy)
    assert np.array_equal(before * factor, layer.weight)
    if start == "silent":
        assert layer.bias.unique().tolist() == pytest.approx([-5 * 1.00392], rel=1e-4)
        assert model.policy.record(seen).layers[0].spikes.mean() < 0.1 * spikes.mean()


def samples():
    """Eight runs of each arm: lean has fewer operations, and scaling fails."""

    def made(arm, seed, synops=400.0, solved=100, start="usual", final=500.0):
        return DynamicsRun(start, arm, seed, solved, final, synops, 390.0, 0.5)

    seeds = range(700, 708)
    found = {
        ("usual", "off"): [made("off", x, 400.0 + x) for x in seeds],
        ("usual", "scaling"): [made("scaling", x, solved=None) for x in seeds],
        ("usual", "lean"): [made("lean", x, 200.0 + x) for x in seeds],
        ("usual", "lean-shuffled"): [made("lean-shuffled", x, 210.5 + x) for x in seeds],
    }
    for arm, synops in (("off", 600.0), ("all", 300.0)):
        found["Acrobot-v1", arm] = [
            made(arm, x, synops + x, None, "Acrobot-v1", -90.0) for x in seeds
        ]
    return found


def test_p_values_are_of_ranks_and_corrected_for_all_of_them():
    found = {key: runs for key, runs in samples().items() if key[0] == "usual"}
    p_values = corrected(found)
    # Three arms beside off, and lean beside its control, in four measures each.
    assert len(p_values) == 16
    alone = rank_sum_p([[[x.synops for x in found["usual", y]] for y in ("lean", "off")]])
    expected = holm_by_name({k: 1.0 if k else alone for k in range(16)})[0]
    assert alone == pytest.approx(2 / 12870)  # of all splits of 16 in two halves
    assert p_values["usual", "lean", "off", "synops"] >= expected
    told = {x[1:]: verdict(x, found, p_values) for x in p_values if verdict(x, found, p_values)}
    assert told["lean", "off", "synops"] == "fewer operations"
    assert told["scaling", "off", "episodes"] == "slower"
    assert ("lean", "off", "return") not in told
