"""Tests of hyper-parameters of the learners."""

import pytest

from snn_gym.learners.settings import WinStaySettings
from snn_gym.zoo.algorithms import make_settings
from tests.learners.cases import SMALL, make


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("AcceptReject", {"step_size": 0.0}, "step_size must be above 0, got 0.0"),
        ("AcceptReject", {"step_size": float("inf")}, "step_size must be finite, got inf"),
        ("AcceptReject", {"moved_share": 1.5}, "moved_share must be above 0 and at most 1"),
        ("AcceptReject", {"comparison": "paired"}, "comparison: got 'paired'.*'kept_score'"),
        ("WinStay", {"moved_share": 0.0}, "moved_share must be above 0 and at most 1, got 0.0"),
        ("RandomSearch", {"candidates": 0}, "candidates must be at least 1, got 0"),
        ("EvolutionStrategies", {"pairs": 0}, "pairs must be at least 1, got 0"),
        ("EvolutionStrategies", {"noise_std": 0.0}, "noise_std must be above 0"),
        ("EvolutionStrategies", {"learning_rate": 0.0}, "learning_rate must be above 0"),
        ("EvolutionStrategies", {"weight_decay": -0.1}, "weight_decay must be at least 0"),
        ("CMAES", {"population_size": 1}, "population_size must be at least 2, got 1"),
        ("CMAES", {"initial_std": 0.0}, "initial_std must be above 0"),
        ("CMAES", {"probe_episodes": 1.5}, "probe_episodes: expected int, got 1.5"),
        ("SynapseAgents", {"probe_episodes": 0}, "probe_episodes must be at least 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused_by_name(name, values, message):
    with pytest.raises(ValueError, match=f"^{name}: {message}"):
        make(name, network=SMALL, **values)


def test_unknown_arguments_are_refused_like_python_does():
    with pytest.raises(TypeError, match=r"^AcceptReject\(\) got an unexpected keyword argument 's"):
        make("AcceptReject", network=SMALL, stepsize=0.5)
    with pytest.raises(TypeError, match="'n_envs'; hyper-parameters: probe_episodes, observation"):
        make("CMAES", network=SMALL, n_envs=2)


def test_hyper_parameters_are_attributes_that_are_checked_when_set():
    model = make("AcceptReject", network=SMALL, step_size=0.5)
    model.step_size = 0.25
    assert model.step_size == model.settings.step_size == 0.25
    with pytest.raises(ValueError, match="step_size must be above 0"):
        model.step_size = 0.0
    assert model.step_size == 0.25


def test_a_zip_is_loaded_with_changed_hyper_parameters(tmp_path):
    model = make("EvolutionStrategies", network=SMALL, pairs=3)
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip", noise_std=0.125, learning_rate=0.75)
    assert (loaded.settings.pairs, loaded.settings.noise_std) == (3, 0.125)
    assert loaded.learning_rate == loaded.settings.learning_rate == 0.75
    assert loaded.lr_schedule(1.0) == 0.75


def test_settings_that_have_gone_are_read_at_the_value_of_older_rows():
    read = make_settings("WinStay", {"lose": "redraw", "early_rejection": False}, "row")
    assert read == WinStaySettings()
    with pytest.raises(ValueError, match=r"^row: unknown key lose"):
        make_settings("WinStay", {"lose": "reverse"}, "row")
