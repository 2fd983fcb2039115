"""The trials that decide which agents have an observation normaliser."""

from pathlib import Path

import pytest

from snn_gym.zoo import load_agent_spec
from studies.files import write_run
from studies.normaliser.__main__ import RESULTS, Outcome, choice, page, trials

PAGE = Path(__file__).parents[3] / "docs" / "normaliser-study.md"


def test_both_agents_of_a_pair_have_the_same_trials():
    planned = {}
    for trial in trials():
        planned.setdefault(trial.agent, set()).add((trial.environment, trial.setting, trial.seed))
        assert trial.seed >= 1000
    for agent, own in planned.items():
        assert planned[load_agent_spec(agent).twin or ""] == own


@pytest.mark.parametrize(("with_it", "without", "chosen"), [
    # CartPole-v1: 1 % of the range from about 22 to 475 is about 4.5.
    (400.0, 406.0, "without"),
    (400.0, 403.0, "with"),
    (406.0, 400.0, "with"),
    (float("nan"), 400.0, None),
])  # fmt: skip
def test_the_normaliser_goes_only_for_a_gain(with_it, without, chosen):
    assert choice("CartPole-v1", with_it, without) == chosen


def test_a_page_shows_every_seed_and_the_missing_ones(tmp_path):
    for trial in trials():
        if trial.environment == "Pendulum-v1" and trial.agent == "ppo-mlp":
            gain = 0 if trial.setting == "with" else 100
            write_run(tmp_path / trial.path, Outcome(-300.0 + gain + trial.seed - 1000, 20))
    lines = page(tmp_path).splitlines()
    (own,) = [x for x in lines if "| Pendulum-v1 " in x and "ppo-mlp" in x]
    assert "-297.5" in own
    assert "-197.5" in own
    assert "-300.0, -299.0, -298.0" in own
    assert own.endswith("| without |")
    (twin,) = [x for x in lines if "| Pendulum-v1 " in x and "ppo-lif" in x]
    assert twin.endswith("| not finished |")


def test_the_page_is_that_of_the_trials():
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS)


def test_agents_have_the_normaliser_that_their_trials_chose():
    """Of pairs whose trials are finished on both sides and whose rows followed."""
    text = page(RESULTS)
    for trial in trials():
        line = next(
            x for x in text.splitlines() if x.startswith(f"| {trial.environment} | {trial.agent} |")
        )
        spec = load_agent_spec(trial.agent)
        keeps = spec.policy_settings(trial.environment).get("normalise_observations", True)
        if not keeps:
            assert line.endswith("| without |")
