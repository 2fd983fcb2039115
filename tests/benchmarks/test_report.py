"""The page holds what a file made up here says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.machine import Machine, this_machine
from benchmarks.measurement import Effort, Experiment, Readings, Result
from benchmarks.registry import MEASUREMENTS
from benchmarks.report import figure_line, write_report
from benchmarks.run import Record, Speed, read_speed, run_experiments, write_speed
from benchmarks.timing import Quartiles

MACHINE = Machine("CPU 9", ("avx2", "fma"), 2, "Linux x86_64", "3.11.4", {"torch": "2.13.0"})
EFFORT = Effort(0.1, True, Path("unused"))
RECORD = Record("2025-01-01T00:00:00+00:00", False, 0.5, 3.0, {}, {}, {}, (), {})


def a_record(**changes):
    return replace(RECORD, **changes)


@pytest.fixture
def speed():
    ppo = a_record(
        timings={"ppo-lif": Quartiles(1e-3, 2e-3, 3e-3), "ppo-mlp": Quartiles(1e-6, 1.5e-6, 2e-6)},
        notes=("A note.",),
        results={
            "ppo-twin": Result(Quartiles(0.7, 0.75, 0.76), ""),
            "ppo-stock": Result(Quartiles(0.7, 0.85, 0.9), ""),
            "ppo-lean": Result(Quartiles(0.9, 0.95, 1.1), ""),
        },
    )
    stateful = a_record(
        missing={"RecurrentPPO": "sb3-contrib is not installed"},
        results={"stateful-spiking": Result(None, "sb3-contrib is not installed")},
    )
    memory = a_record(results={"memory-held": Result(Quartiles(4.0, 4.0, 4.0), "")})
    return Speed(MACHINE, {"ppo": ppo, "stateful": stateful, "memory": memory})


@pytest.fixture
def page(speed, tmp_path):
    return write_report(speed, tmp_path).read_text(encoding="utf-8")


@pytest.mark.parametrize("line", [
    "| PPO environment steps/s, ppo-lif | ppo-mlp | 0.75 × (0.7 to 0.76) "
    "| ≥ 0.8 × | ≥ 1 × | **no** |",
    "| PPO environment steps/s, ppo-lif | MlpPolicy | 0.85 × (0.7 to 0.9) "
    "| ≥ 0.65 × | ≥ 0.8 × | stretch |",
    "| PPO environment steps/s, ppo-lif, lean | ppo-mlp | 0.95 × (0.9 to 1.1) "
    "| ≥ 0.9 × | ≥ 1 × | yes |",
    "| environment steps/s, StatefulPPO, spiking | RecurrentPPO "
    "| skipped: sb3-contrib is not installed | ≥ 2 × | ≥ 3 × | – |",
    "| ppo-lif | 2 ms | 1 ms to 3 ms |",
    "| ppo-mlp | 1.5 µs | 1 µs to 2 µs |",
    "A note.",
    "Left out: RecurrentPPO (sb3-contrib is not installed).",
    "CPU 9, 2 cores, avx2 fma; Linux x86_64, Python 3.11.4; torch 2.13.0.",
])  # fmt: skip
def test_the_page_has_every_figure_beside_its_bar(page, line):
    assert line in page.splitlines()


def test_missing_measurements_are_named(page):
    (line,) = [line for line in page.splitlines() if line.startswith("| DQN gradient steps/s")]
    assert line.endswith("| dqn-mlp | skipped: not measured | ≥ 0.6 × | ≥ 0.8 × | – |")


def test_a_largest_figure_is_met_from_below(page):
    (line,) = [line for line in page.splitlines() if "time step, held" in line]
    assert line.endswith("| 4 bytes | ≤ 5 bytes | ≤ 2 bytes | yes |")


def test_a_busy_machine_and_a_quick_run_are_confessed(speed, tmp_path):
    rough = replace(speed, records={"ppo": a_record(quick=True, load=3.2)})
    page = write_report(rough, tmp_path).read_text(encoding="utf-8")
    assert "the figures are rough" in page
    assert "The machine was busy (load 3.2)" in page


def test_a_figure_in_a_terminal():
    line = figure_line(MEASUREMENTS["dqn"], Result(Quartiles(0.5, 0.55, 0.6), "dqn-mlp"))
    assert line.endswith("0.55 × (0.5 to 0.6), dqn-mlp; bar ≥ 0.6 ×: **no**")


def an_experiment(name, value):
    return Experiment(name, name, lambda effort: Readings(values={"held": (value,)}))


def test_a_run_keeps_records_that_it_does_not_measure_again(tmp_path):
    path = tmp_path / "speed.json"
    shown = []

    def run(*experiments):
        run_experiments(experiments, (), EFFORT, path, lambda *x: shown.append(x))

    run(an_experiment("a", 1.0), an_experiment("b", 2.0))
    run(an_experiment("b", 3.0))
    found = read_speed(path)
    assert found.machine == this_machine()
    values = {name: record.values["held"].median for name, record in found.records.items()}
    assert values == {"a": 1.0, "b": 3.0}
    assert len(shown) == 3
    other = replace(found, machine=MACHINE)
    write_speed(path, other)
    with pytest.raises(ValueError, match=r"of another machine or of other packages \(a\)"):
        run(an_experiment("b", 3.0))


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "speed.json"
    with pytest.raises(ValueError, match="measure first"):
        read_speed(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        read_speed(path)
    path.write_text(json.dumps({"machine": {}}))
    with pytest.raises(ValueError, match="missing key"):
        read_speed(path)
