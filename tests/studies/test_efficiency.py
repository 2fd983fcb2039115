"""Steps until spiking agents and twins have learned, counted from the files of the rows alone."""

import dataclasses
import json

import numpy as np

from studies.claims import ROOT, read_evidence
from studies.efficiency import Pair, main_lines, pair


def _median(agent, threshold):
    lines = (ROOT / "leaderboard/results/snn__IntervalTiming-v0.jsonl").read_text().splitlines()
    curves = [x["curve"] for x in map(json.loads, lines) if x["agent"] == agent]
    assert min(min(x["episodes"]) for x in curves) >= 20  # so no points are averaged
    return np.median([x["steps"][np.argmax(np.array(x["returns"]) >= threshold)] for x in curves])


def test_ratios_by_hand():
    rows = read_evidence()
    (line,) = (x for x in main_lines(rows) if x.environment == "snn/IntervalTiming-v0")
    one, other = (_median(f"recurrent-ppo-{x}", 0.85) for x in ("lsnn", "gru"))
    assert str(line.against_twin.ratio) == f"{one / other:.2f}"
    row = rows["recurrent-ppo-lsnn", line.environment]
    never = dataclasses.replace(row, threshold=1.1, steps=(300_000,) * 5)
    assert str(Pair(never, row).ratio) == f"> {300_000 / one:.2f}"
    assert str(Pair(row, never).ratio) == f"< {one / 300_000:.2f}"
    assert Pair(never, never).ratio is None
    assert [Pair(x, x).is_one_training for x in (row, never)] == [True, False]
    assert pair(row, dataclasses.replace(row, curves=row.curves[:4])) is None
