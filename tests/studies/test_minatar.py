"""The gate before MinAtar's rows, and lean agents."""

import pytest

from studies.minatar.report import (
    KIND_SEEDS,
    KINDS,
    RUNS,
    Played,
    page,
    passes,
    read_gate,
    read_lean,
    upper_end,
)
from studies.runs import DOCS, Runs


def test_an_upper_end_and_the_gate_by_hand():
    # Of 1, 2, 3: the mean is 2, the standard error 1 / sqrt(3), and t(0.975, 2) is 4.3027.
    assert upper_end([1.0, 2.0, 3.0]) == pytest.approx(2.0 + 4.30265 / 3**0.5, rel=1e-5)
    assert passes(26.0, (10.0, 23.3))
    assert not passes(26.0, (10.0, 23.5))
    assert not passes(25.0, (1.0, 2.0))


def test_the_page_is_of_todays_results_and_rows():
    table = Runs(RUNS)
    text = page(read_gate(table), read_lean(table))
    assert (DOCS / "minatar.md").read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("returns", "operations", "expected"),
    [
        # The margin is 2.3: 5 % of the way from random play, 0.4, to `solved`, 47.
        ((39.0, 41.0), 3999, "keeps the return, at 0.20 of the operations"),
        ((36.0, 38.0), 4000, "does not keep the return, at 0.20 of the operations"),
    ],
)
def test_lean_by_hand(tmp_path, returns, operations, expected):
    table = Runs(tmp_path / "runs.jsonl")
    table.add("lean/ppo-conv-lif/0", Played("ppo-conv-lif", 0, 1, 40.0, 2e4, 9e4))
    *measured, last = KINDS
    for seed in KIND_SEEDS:
        for place, kind in enumerate(measured):
            student = Played(kind, seed, 1, returns[seed % 2], operations + place)
            table.add(f"lean/{kind}/{seed}", student)
    text = " ".join(page(read_gate(table), read_lean(table)).split())
    assert f"`ppo-conv-lif-lean` {expected}" in text
    rival = "The cheapest ANN that keeps it is the CNN, 4 filters, 32 units."
    assert (rival in text) == expected.startswith("keeps")
    assert ("No ANN of these keeps it." in text) != expected.startswith("keeps")
    assert f"Registered and not measured yet: {last}." in text
    assert "| `ppo-conv-lif`, the teacher | 40.0 | – | 20,000 | 90,000 |" in text
