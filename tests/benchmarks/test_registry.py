"""Everything that was promised is measured, and every figure is well described."""

import pytest

from benchmarks.measurement import Readings, costs, faster, measured
from benchmarks.registry import EXPERIMENTS, MEASUREMENTS, chosen

PROMISED = {
    "acting-64-batch-1-predict-eager": (9, 20), "acting-64-batch-1-forward-eager": (9, 20),
    "acting-64-batch-8-predict-eager": (9, 20), "acting-64-batch-8-forward-eager": (9, 20),
    "acting-64-batch-256-floor": (1.5, 1), "acting-256-batch-256-floor": (1.5, 1),
    "acting-lean-64-batch-1-pytorch": (1, 2), "acting-lean-64-batch-8-pytorch": (1, 2),
    "acting-lean-256-batch-1-predict-compiled-mlp": (1, 2), "training-64-T8-eager": (4, 8),
    "training-256-T16-eager": (2, 4), "training-2%-256-T16-eager": (6, 15),
    "training-256-T8-floor": (1.5, 1), "training-lean-256-T8-floor": (0.6, 0.2),
    "memory-held": (5, 2), "ppo-twin": (0.8, 1), "ppo-stock": (0.65, 0.8), "ppo-lean": (0.9, 1),
    "ppo-zoo": (1.5, 3), "dqn": (0.6, 0.8), "sac": (0.7, 0.9), "stateful-spiking": (2, 3),
    "populations-CartPole-v1-rate": (3.5, 7), "start-up-help": (0.5, None),
    "start-up-first": (0.5, 0.2),
}  # fmt: skip
"""Bar and stretch by name, as they were set before anything was measured."""
AT_MOST = ("floor", "memory", "start-up")


@pytest.mark.parametrize("name", PROMISED)
def test_every_target_has_its_bar(name):
    measurement = MEASUREMENTS[name]
    assert (measurement.bar, measurement.stretch) == PROMISED[name]
    assert measurement.at_least != any(word in name for word in AT_MOST)
    bar = measurement.bar
    better = 1.01 * bar if measurement.at_least else 0.99 * bar
    worse = 0.99 * bar if measurement.at_least else 1.01 * bar
    assert measurement.met(bar, bar)
    assert measurement.met(better, bar)
    assert not measurement.met(worse, bar)


def test_every_figure_has_an_experiment_and_a_label():
    assert {x.experiment for x in MEASUREMENTS.values()} == set(EXPERIMENTS)
    for name, measurement in MEASUREMENTS.items():
        assert measurement.name == name
        assert measurement.timed
        assert measurement.unit
        if measurement.bar is not None and measurement.stretch is not None:
            assert measurement.met(measurement.stretch, measurement.bar)


def test_experiments_are_chosen_by_family_or_name():
    assert chosen(None) == tuple(EXPERIMENTS.values())
    assert [x.name for x in chosen("memory,dqn,off-policy")] == ["memory", "dqn", "sac"]
    with pytest.raises(ValueError, match="'speed' is neither a family nor an experiment"):
        chosen("speed")


def test_our_ratio_is_against_the_best_available_library():
    found = Readings(
        {"ours": (1.0, 1.0), "slow": (9.0, 9.0), "quick": (3.0, 3.0)},
        missing={"absent": "absent is not installed"},
    )
    result = faster("ours", "slow", "quick", "absent")(found)
    assert (result.value.median, result.beside) == (3.0, "quick")
    result = faster("ours", "absent")(found)
    assert (result.value, result.beside) == (None, "absent is not installed")


def test_a_cost_is_in_units_of_the_floor():
    found = Readings({"ours": (3.0, 6.0), "floor": (2.0, 4.0)}, {"bytes": (8.0,)})
    assert costs("ours", "floor")(found).value.median == 1.5
    assert costs("ours", "other")(found).beside == "not measured"
    assert measured("bytes")(found).value.high == 8.0
