"""The runner of the gradient learners' study."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snn_gym.zoo import load_agent_spec
from studies.dynamics.gradient import (
    BASE_AGENT,
    REGULATED_AGENT,
    THRESHOLDS,
    episodes_to_threshold,
    gradient_outcome,
    regulation_of,
    run_gradient_arm,
)


def test_episodes_to_threshold_by_hand() -> None:
    # Returns 0, 1, ..., 39: the last 20 average 24.5 first after return 34, the 35th episode.
    episodes = [(10 * (k + 1), float(k)) for k in range(40)]
    assert episodes_to_threshold(episodes, 24.5) == 35
    assert episodes_to_threshold(episodes, 29.6) is None
    assert episodes_to_threshold(episodes[:19], 0.0) is None
    assert episodes_to_threshold(episodes[:20], 0.0) == 20


def test_what_is_kept_of_a_run_by_hand() -> None:
    costs = {"spikes_per_decision": {"a": 1.5, "b": 2.0}, "synops_per_decision": {"a": 30.0}}
    run = {
        "environment": "CartPole-v1",
        "steps": 512,
        "threshold": 475.0,
        "steps_to_threshold": 250,
        "episodes": [[10 * k, 475.0 if k > 5 else 0.0] for k in range(1, 31)],
        "evaluation": {"returns": [1.0, 2.0], **costs},
    }
    outcome = gradient_outcome(run)
    assert (outcome.episodes, outcome.steps, outcome.scores) == (30, 512, (1.0, 2.0))
    # The last 20 of 25 episodes are 475.
    assert (outcome.solved_episodes, outcome.solved_steps) == (25, 250)
    assert (outcome.spikes_per_decision, outcome.synops_per_decision) == (3.5, 30.0)
    assert len(outcome.curve) == 30


def test_only_the_regulation_differs_between_the_agents() -> None:
    base, regulated = load_agent_spec(BASE_AGENT), load_agent_spec(REGULATED_AGENT)
    assert base.environments == regulated.environments
    assert base.policy_kwargs == regulated.policy_kwargs
    network = dict(regulated.network)
    assert network.pop("regulation")
    assert network == base.network
    assert set(THRESHOLDS) <= set(base.environments)


def test_the_arms() -> None:
    regulation = load_agent_spec(REGULATED_AGENT).network["regulation"]
    assert regulation_of("off", 3) is None
    assert regulation_of("dynamics", 3) == regulation
    assert regulation_of("shuffled", 3) == {**regulation, "shuffle_seed": 3}


def test_runs_are_plain_data_and_repeat() -> None:
    results = {arm: run_gradient_arm(arm, "CartPole-v1", 0, 512) for arm in ("off", "shuffled")}  # type: ignore[arg-type]
    again = run_gradient_arm("shuffled", "CartPole-v1", 0, 512)
    assert again == results["shuffled"] != results["off"]
    for arm, result in results.items():
        assert json.loads(json.dumps(result)) == result
        assert (result["arm"], result["steps"]) == (arm, 512)
        check_episodes(result)
        assert gradient_outcome(result).solved_steps is result["steps_to_threshold"] is None
    # Before the first update the arms see the same network in the same environments.
    first = [[row for row in result["episodes"] if row[0] <= 256] for result in results.values()]
    assert first[0] == first[1] != []


def check_episodes(result: dict[str, Any]) -> None:
    steps = [row[0] for row in result["episodes"]]
    assert steps == sorted(steps)
    assert sum(row[1] for row in result["episodes"]) <= 512
    assert len(result["evaluation"]["returns"]) == 100
    assert result["evaluation"]["spikes_per_decision"].keys() == {"hidden_1", "hidden_2"}


def test_bad_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"arm 'on' is unknown; known: off, dynamics, shuffled"):
        run_gradient_arm("on", "CartPole-v1", 0, 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'LunarLander-v3' is unknown; known: CartPole-v1"):
        run_gradient_arm("off", "LunarLander-v3", 0, 1)
