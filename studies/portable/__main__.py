"""Compare rows of portable numerics with stored ones: ``python -m studies.portable``.

It writes the marked part of docs/processors.md. The rows are made by ``python -m snn_gym.sweeps
studies/portable/plan.toml --leaderboard studies/portable/board --workers 1``. What is tested stands
in ``studies/registered.toml``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.efficiency import mean_over_steps
from snn_gym.leaderboard.results import Row, is_reproduced, list_rows
from studies.rows import LEADERBOARD, ROOT
from studies.tables import table, wrapped

BOARD = Path(__file__).parent / "board"
PAGE = ROOT / "docs" / "processors.md"
_PART = re.compile(r"(<!-- generated: portable -->\n).*?(<!-- end -->)", re.DOTALL)
WITHOUT = "ppo-lif-dynamics"
"""Agent whose stored rows shed by an earlier rule."""
DRAWS = 100_000
SIGNIFICANCE = 0.025
"""Two tests are made."""

Number = Callable[[Row], float]


class Test(NamedTuple):
    """Mean place of new rows among stored ones, and how probable one as far from the middle is."""

    place: float
    p: float

    def __str__(self) -> str:
        return f"{self.place:.2f} (p = {self.p:.2f})"


def mean_return(row: Row) -> float:
    """Return the mean return of a row's evaluation."""
    return row.score.mean


def learning(row: Row) -> float:
    """Return the mean of a row's learning curve over environment steps."""
    curve = row.learning_curve
    assert curve is not None  # every run of `snn-gym train` has one
    return mean_over_steps(curve.steps, curve.returns)


def places(values: Sequence[float]) -> list[float]:
    """Return the share of the other values that each value exceeds, ties counting one half."""
    array = np.asarray(values)
    wins = (array[:, None] > array).sum(1) + 0.5 * ((array[:, None] == array).sum(1) - 1)
    shares: list[float] = (wins / (len(array) - 1)).tolist()
    return shares


def compare(pairs: Sequence[Sequence[float]], draws: int = DRAWS) -> Test:
    """Test whether the first value of each pair is drawn as the others are, by their mean place."""
    each = [places(values) for values in pairs]
    place = float(np.mean([x[0] for x in each]))
    rng = np.random.default_rng(0)
    drawn = np.mean([rng.choice(x, draws) for x in each], axis=0)
    return Test(place, float(np.mean(np.abs(drawn - 0.5) >= abs(place - 0.5) - 1e-12)))


def page(board: Path = BOARD, leaderboard: Path = LEADERBOARD) -> str:
    """Return the rows, and the tests, as Markdown."""
    new = list_rows(board)
    stored = [x for x in list_rows(leaderboard) if x.numerics == "native" and x.parent is None]
    groups = [
        [x, *(y for y in stored if (y.agent, y.environment) == (x.agent, x.environment))]
        for x in new
    ]
    others = [group for group in groups if group[0].agent != WITHOUT]
    returns, returns_without, learned, learned_without = (
        compare([[number(x) for x in group] for group in kept])
        for number in (mean_return, learning)
        for kept in (groups, others)
    )
    differs = min(returns.p, learned.p) <= SIGNIFICANCE
    proven = sum(map(is_reproduced, new))
    head = ("Task", "Agent", "Portable", "Native: mean (range; seeds)", "Place", "Place, learning")
    return wrapped(
        table(head, list(map(_cells, groups))).rstrip(),
        f"A second training gave the same weights for {proven} of {len(new)} rows. The mean place "
        f"is {returns} by returns and {learned} by learning; without `{WITHOUT}`, whose stored "
        f"rows shed by an earlier rule, {returns_without} and {learned_without}. So portable and "
        f"native numerics {'differ' if differs else 'are not shown to differ'} in what they learn. "
        f"With {len(new)} pairs, a shift of the mean place by about 0.2 would be found.",
    )


def _cells(group: Sequence[Row]) -> tuple[str, ...]:
    """Return the line of a new row, which stands before the stored ones."""
    row, *stored = group
    means = [x.score.mean for x in stored]
    return (
        row.environment,
        f"`{row.agent}`",
        f"{row.score.mean:.1f}",
        f"{np.mean(means):.1f} ({min(means):.1f} to {max(means):.1f}; {len(means)})",
        *(f"{places([number(x) for x in group])[0]:.2f}" for number in (mean_return, learning)),
    )


def written(text: str, found: str) -> str:
    """Return the page's text with its marked part replaced."""
    return _PART.sub(lambda part: f"{part[1]}{found}{part[2]}", text)


if __name__ == "__main__":
    write_text_atomic(PAGE, written(PAGE.read_text(encoding="utf-8"), page()))
