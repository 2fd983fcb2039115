"""Changes in mid-life: what changes, what is left of a brain, and what the page says of it."""

import gymnasium as gym
import numpy as np
import pytest

from snn_gym.zoo import make_agent
from studies.changed import make_changed
from studies.local import adaptation, report_adaptation
from studies.local.adaptation import CHANGES, Life, live, read_lives, run_missing
from studies.local.report import write_report


def life(change="motor", arm="learning", seed=200, returns=(500.0,) * 120, final=500.0):
    return Life(change, arm, seed, 500.0, returns, (final,) * 2)


def test_a_reversed_motor_pushes_the_other_way():
    usual, reversed_ = gym.make("CartPole-v1"), make_changed(
        "CartPole-v1", CHANGES["motor"].attributes
    )  # fmt: skip
    for env in (usual, reversed_):
        env.reset(seed=3)
    assert np.array_equal(usual.step(1)[0], reversed_.step(0)[0])


def test_a_longer_pole_keeps_its_mass():
    task = make_changed("CartPole-v1", CHANGES["pole"].attributes).unwrapped
    usual = gym.make("CartPole-v1").unwrapped
    assert task.length == 2 * usual.length
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
    made = []
    deploy = adaptation.deploy

    def watched(model, *arguments):
        before = model.policy.critic.weight.clone()
        returns = deploy(model, *arguments)
        made.append(not np.array_equal(before, model.policy.critic.weight))
        return returns

    monkeypatch.setattr(adaptation, "deploy", watched)
    lived = live("motor", arm, 1000, steps=40)
    assert made == [arm == "learning"]
    assert 40 <= sum(lived.returns) < 40 + lived.returns[-1]
    assert lived == live("motor", arm, 1000, steps=40)


def test_a_new_agent_has_the_remaining_neurons_and_steps(monkeypatch):
    monkeypatch.setattr(adaptation, "EVALUATION_EPISODES", 2)
    lived = live("neurons", "new", 1000, steps=40)
    assert len(lived.evaluation) == 2
    assert sum(lived.returns) <= 40


def test_a_gradient_agent_at_rest_falls_where_its_motor_is_reversed(monkeypatch):
    monkeypatch.setattr(adaptation, "EVALUATION_EPISODES", 4)
    lived = live("motor", "gradient", 200)
    assert lived.before > 400
    assert lived.final < 50
    assert lived.recovered_after is None


def test_stored_lives_are_skipped(tmp_path, monkeypatch):
    asked = []

    def fake(change, arm, seed):
        asked.append((arm, seed))
        return life(change, arm, seed)

    monkeypatch.setattr(adaptation, "live", fake)
    for seeds in ((200,), (200, 201)):
        run_missing("motor", tmp_path, lambda line: None, seeds)
    assert len(asked) == len(set(asked)) == 8
    assert [x.seed for x in read_lives("motor", "new", tmp_path)] == [200, 201]


def test_the_page_compares_learning_on_with_starting_anew(tmp_path, monkeypatch):
    bad = (20.0,) * 40
    returns = {"learning": bad + (500.0,) * 300, "new": (500.0,) * 340, "resting": bad}
    monkeypatch.setattr(
        adaptation, "live", lambda change, arm, seed: life(
            change, arm, seed, returns.get(arm, bad), 500.0 if arm != "resting" else 20.0
        ),
    )  # fmt: skip
    run_missing("motor", tmp_path, lambda line: None, (200, 201))
    returns["resting"] = (500.0,) * 100
    run_missing("pole", tmp_path, lambda line: None, (200,))
    page = write_report(tmp_path, tmp_path).read_text()
    text = " ".join(page.split())
    row = next(line for line in page.splitlines() if "motor reversed | `local" in line)
    assert [x.strip() for x in row.strip("|").split("|")][2:] == [
        "500.0", "20.0", "2 of 2", "135.0", "135 to 135", "48,300", "500.0", "500.0",
    ]  # fmt: skip
    # Two lives against two: twice one of 6 splits; three tests, all alike.
    open_ = "not significantly different (p = 1.00)."
    assert f"a median of 135 episodes, learning from scratch 100: {open_}" in text
    assert f"a median of 48,300 environment steps, learning from scratch 50,000: {open_}" in text
    assert f"Against learning off, adapting is {open_}" in text
    assert "scratch after these changes: motor reversed.**" in text
    assert "corrected by Holm for all 3 tests" in text
    assert "**pole of twice the length**: nothing is lost, even with learning off." in text
    assert (tmp_path / "images" / "local-adaptation.png").exists()


def test_lives_are_compared_by_exact_tests():
    bad, quick = (20.0,) * 40, (500.0,) * 100
    found = {
        ("motor", "learning"): [life("motor", "learning", s, bad + quick, 500.0) for s in range(5)],
        ("motor", "resting"): [life("motor", "resting", s, bad, 20.0) for s in range(5)],
        ("motor", "new"): [life("motor", "new", s, quick, 500.0) for s in range(5)],
    }
    p_values = report_adaptation.corrected(found)
    # Five against five: twice one of 252 splits, times the three tests.
    assert list(p_values.values()) == pytest.approx([3 * 2 / 252] * 3)
    said = " ".join(report_adaptation.answers(found).split())
    assert "episodes, learning from scratch 100: slower (p = 0.024)." in said
    assert "Against learning off, adapting is quicker (p = 0.024)." in said


def test_a_life_that_failed_took_longer_than_all_others():
    assert report_adaptation.median([100, 300, None]) == 300
    assert report_adaptation.median([100, None]) is None
