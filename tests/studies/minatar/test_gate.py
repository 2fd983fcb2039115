"""Tests of the gate before MinAtar's rows, and of its lean agents."""

import pytest
from typer.testing import CliRunner

from studies.files import write_run
from studies.minatar.__main__ import PAGE, app
from studies.minatar.report import (
    KIND_SEEDS,
    KINDS,
    STUDENT_SEEDS,
    Played,
    lean_path,
    page,
    passes,
    read_gate,
    read_lean,
    upper_end,
)


def test_an_upper_end_by_hand():
    """Of 1, 2, 3: the mean is 2, the standard error 1 / sqrt(3), and t(0.975, 2) is 4.3027."""
    assert upper_end([1.0, 2.0, 3.0]) == pytest.approx(2.0 + 4.30265 / 3**0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("best", "ends", "expected"),
    [(26.0, (10.0, 23.3), True), (26.0, (10.0, 23.5), False), (25.0, (1.0, 2.0), False)],
)
def test_the_gate_by_hand(best, ends, expected):
    assert passes(best, ends) is expected


def test_the_page_is_of_todays_results_and_rows():
    assert PAGE.read_text(encoding="utf-8") == page(read_gate(), read_lean())


def test_the_page_says_what_is_missing_and_then_the_finding(tmp_path):
    def written():
        words = ["report", "--folder", str(tmp_path / "results"), "--page", str(tmp_path / "p.md")]
        assert CliRunner().invoke(app, words).exit_code == 0
        return (tmp_path / "p.md").read_text()

    agent = Played("ppo-conv", 1000, 10_000_000, 30.0, 5000.0)
    write_run(tmp_path / "results" / "agents" / "ppo-conv.json", agent)
    assert "The gate is open: runs are missing." in written()
    for units, mean in ((16, 10.0), (64, 20.0)):
        for seed in STUDENT_SEEDS:
            student = Played(f"{units}-{units}", seed, 2_000_000, mean, 100.0)
            write_run(tmp_path / "results" / "students" / f"{units}-{seed}.json", student)
    text = " ".join(written().split())
    assert "The gate is passed: the best agent, `ppo-conv`, earns 30.0" in text
    assert "0.33 and 0.67 of that" in text
    assert "| 16-16, taught | 10.0 | 10.0 | 100 |" in text


@pytest.mark.parametrize(
    ("returns", "operations", "expected"),
    [
        # The margin is 2.3: 5 % of the way from random play, 0.4, to `solved`, 47.
        ((39.0, 41.0), 3999, "keeps the return, at 0.20 of the operations"),
        ((36.0, 38.0), 4000, "does not keep the return, at 0.20 of the operations"),
    ],
)
def test_lean_by_hand(tmp_path, returns, operations, expected):
    write_run(lean_path(tmp_path, "ppo-conv-lif", 0), Played("ppo-conv-lif", 0, 1, 40.0, 2e4, 9e4))
    *measured, last = KINDS
    for seed in KIND_SEEDS:
        for place, kind in enumerate(measured):
            student = Played(kind, seed, 1, returns[seed % 2], operations + place)
            write_run(lean_path(tmp_path, kind, seed), student)
    text = " ".join(page(read_gate(tmp_path), read_lean(tmp_path)).split())
    assert f"`ppo-conv-lif-lean` {expected}" in text
    rival = "The cheapest ANN that keeps it is the CNN, 4 filters, 32 units."
    assert (rival in text) == expected.startswith("keeps")
    assert ("No ANN of these keeps it." in text) != expected.startswith("keeps")
    assert f"Registered and not measured yet: {last}." in text
    assert "| `ppo-conv-lif`, the teacher | 40.0 | – | 20,000 | 90,000 |" in text
