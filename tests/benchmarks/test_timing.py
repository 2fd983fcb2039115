"""Contenders are called in turn, and ratios are those of rounds."""

import pytest

from benchmarks import timing
from benchmarks.timing import Quartiles, per_step, race, ratio


@pytest.fixture
def clock(monkeypatch):
    """Time that passes where a contender says so."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now[0])

    def spend(seconds):
        def run():
            now[0] += seconds

        return run

    return spend


def test_every_contender_is_timed_in_every_round(clock):
    samples = race({"a": clock(0.01), "b": clock(0.03)}, seconds=0.8)
    assert {name: len(times) for name, times in samples.items()} == {"a": 20, "b": 20}
    assert samples["a"] == pytest.approx([0.01] * 20)
    assert samples["b"] == pytest.approx([0.03] * 20)


def test_quick_functions_are_called_often_and_slow_ones_a_few_times(clock):
    calls = []
    tick = clock(1e-5)

    def quick():
        calls.append(1)
        tick()

    samples = race({"quick": quick, "slow": clock(5.0)}, seconds=1.0, least_rounds=2)
    assert len(samples["slow"]) == 2
    assert samples["quick"] == pytest.approx([1e-5, 1e-5])
    assert len(calls) == 3 + 2 * 500


def test_another_clock_may_tell_the_time(clock):
    ticks = iter(range(1000))
    run = clock(1.0)
    samples = race({"a": run}, seconds=0.0, least_rounds=2, clock=lambda: float(next(ticks)))
    assert samples["a"] == (1.0, 1.0)


def test_a_ratio_is_that_of_rounds_and_not_of_medians():
    samples = {"a": (1.0, 10.0, 100.0), "b": (2.0, 40.0, 200.0)}
    assert ratio(samples, "b", "a") == Quartiles(2.0, 2.0, 3.0)
    assert ratio(samples, "a", "b").median == 0.5


def test_steps_are_shared_out():
    assert per_step({"a": (4.0, 8.0)}, {"a": 4}) == {"a": (1.0, 2.0)}
