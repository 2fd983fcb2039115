"""Tests of searches: values for an agent and its twin, and error messages."""

from __future__ import annotations

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym.sweeps.tuning import Search, Values, read_search, split

HEAD = {"agent": "ppo-lif", "environment": "CartPole-v1", "seeds": "1000-1002", "trials": 20}
SPACE = (
    "learning_rate = { low = 1e-4, high = 3e-3, log = true }\n"
    "n_steps = { choices = [32, 64] }\n"
    "network.surrogate_slope = { low = 1.0, high = 10 }\n"
)


def written(folder, head=None, space=SPACE):
    path = folder / "search.toml"
    lines = [
        f"{key} = {value!r}".replace("'", '"') for key, value in {**HEAD, **(head or {})}.items()
    ]
    path.write_text("\n".join([*lines, "", "[space]", space]))
    return path


def test_budget_is_trials_times_seeds_times_steps_for_agent_and_twin(tmp_path):
    search = read_search(written(tmp_path))
    assert search.agents == ("ppo-lif", "ppo-mlp")
    # The budget of gradient learners on CartPole is 100,000 steps.
    assert search.steps == 100_000
    assert search.budget == 20 * 3 * 100_000
    assert list(search.training_seeds) == [1000, 1001, 1002]
    twin = read_search(written(tmp_path, {"agent": "ppo-mlp"}))
    assert twin.agents == ("ppo-mlp", "ppo-lif")
    assert twin.budget == search.budget


def test_a_learner_without_gradients_has_no_twin(tmp_path):
    space = "population_size = { choices = [8, 16] }"
    assert read_search(written(tmp_path, {"agent": "cma-es"}, space)).agents == ("cma-es",)


def test_spiking_settings_are_not_searched_for_the_ann_twin(tmp_path):
    space = SPACE + '"network.hidden_sizes" = { choices = [[32, 32], [64, 64]] }\n'
    search = read_search(written(tmp_path, space=space))
    # With and without quotes a key is the same.
    assert set(search.space_of("ppo-lif")) == {
        "learning_rate", "n_steps", "network.surrogate_slope", "network.hidden_sizes",
    }  # fmt: skip
    assert set(search.space_of("ppo-mlp")) == {"learning_rate", "n_steps", "network.hidden_sizes"}


def test_integer_bounds_give_integer_settings(tmp_path):
    space = "n_epochs = { low = 4, high = 20 }\nnetwork.time_steps = { low = 4, high = 16 }"
    found = read_search(written(tmp_path, space=space)).space
    assert [type(values.low) for values in found.values()] == [int, int]


def test_values_have_the_form_of_the_agent_file():
    assert Values(low=1, high=2, schedule="lin").value(1.5) == "lin_1.5"
    assert Values(choices=([32, 32], [64])).value("[32, 32]") == [32, 32]
    assert split({"gamma": 0.9, "network.time_steps": 4}) == ({"gamma": 0.9}, {"time_steps": 4})


@pytest.mark.parametrize(
    ("head", "space", "named"),
    [
        ({"seeds": "999-1002"}, SPACE, "begin below 1000: results are reported on those"),
        ({"seeds": "0"}, SPACE, "seeds tuned on are not reported; use seeds such as 1000-1002"),
        ({"seeds": "1000000000"}, SPACE, "seed must be at least 0 and below 1000000000"),
        ({"agent": "ppo-liff"}, SPACE, "agent 'ppo-liff' is unknown; did you mean 'ppo-lif'"),
        ({"environment": "CartPole-v9"}, SPACE, "CartPole-v9"),
        ({"environment": "payload:CartPole-v1"}, SPACE, "payload:CartPole-v1"),
        ({"trials": 0}, SPACE, "trials must be at least 1, got 0"),
        ({"pruner": "none"}, SPACE, "unknown key pruner"),
        ({}, "", "space must have 1 to 100 entries"),
        ({}, "learnin_rate = { low = 0.1, high = 1 }", "did you mean 'learning_rate'?"),
        ({}, "network.surogate_slope = { low = 1.0, high = 2 }", "'network.surrogate_slope'?"),
        ({}, "tau = { low = 0.1, high = 1 }", "'tau' is no hyper-parameter of ppo-lif"),
        ({}, "network.time_steps = { choices = [4, 8] }", "ppo-mlp can be tuned in"),
        ({}, "gamma = { low = 0.9, high = 1.1 }", "at least 0 and at most 1, got 1.1"),
        ({}, "gamma = { low = 0.9, high = 0.1 }", "expected low < high, got low 0.9 and high 0.1"),
        ({}, "gamma = { low = 0.0, high = 1, log = true }", "expected 0 < low < high"),
        ({}, "gamma = { low = 0, high = 1 }", "'gamma' may be any number, but from low 0"),
        ({}, "gamma = { low = 0.9 }", "expected low and high, or choices"),
        ({}, "gamma = { low = 0.9, choices = [0.9, 1.0] }", "choices stand alone"),
        ({}, "gamma = { choices = [0.9] }", "choices must have 2 to 1000 entries"),
        ({}, "gamma = { low = 0.1, high = 0.9, schedule = 'lin' }", "gamma: expected float"),
        ({}, "gamma = { lo = 0.1, high = 0.9 }", "unknown key lo"),
        ({}, "n_steps = { low = 16.5, high = 32 }", "n_steps: expected int, got 16.5"),
        ({}, "gamma = 0.9", "space.gamma"),
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(head, space, named, tmp_path):
    with pytest.raises(ValueError, match=r"search\.toml: ") as caught:
        read_search(written(tmp_path, head, space))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_example_of_the_docs_is_a_search():
    root = checkout_root()
    assert root is not None
    assert read_search(root / "docs" / "search.toml").budget == 30 * 3 * 100_000


def test_a_search_made_in_python_is_checked_too():
    with pytest.raises(ValueError, match="begin below 1000"):
        Search("ppo-lif", "CartPole-v1", "0-2", 5, {"gamma": Values(low=0.9, high=0.99)})
