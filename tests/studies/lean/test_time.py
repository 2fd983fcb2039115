"""What a training with shedding costs in time, by hand."""

import dataclasses

from studies.lean.plan import TASKS
from studies.lean.report_shedding import time_cell
from tests.studies.lean.made import made_outcome


def test_the_time_of_a_branch_includes_its_trunk():
    task = dataclasses.replace(TASKS["CartPole-v1"], budget=1000)
    off = [made_outcome("off", seed, 500.0, seconds=40.0) for seed in range(3)]
    branched = [(9.0, 900), (24.0, 500), (1.0, 900)]
    lean = [
        made_outcome("lean", seed, 500.0, seconds=seconds, branched_at=steps)
        for seed, (seconds, steps) in enumerate(branched)
    ]
    # (9 + 36) / 40, (24 + 20) / 40, (1 + 36) / 40
    assert time_cell(list(zip(lean, off, strict=True)), task) == "1.10 (1.12)"
    # Of an off that was itself trained from a checkpoint not all of the time is known.
    late = [dataclasses.replace(x, branched_at=100) for x in off]
    assert time_cell(list(zip(lean, late, strict=True)), task) == ""
