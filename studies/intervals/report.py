"""Page of the study of intervals."""

from __future__ import annotations

import textwrap
from pathlib import Path

from snn_gym._base.storage import write_text_atomic
from studies.intervals.coverage import BCA, BOUNDED, EPISODE, METHODS, PERCENTILE, SEEDS, Results, T
from studies.intervals.populations import CEILING, FAILED_SHARES, NORMAL, failed
from studies.rows import earlier_note
from studies.tables import table

_HEADINGS = {
    T: "t",
    PERCENTILE: "percentile bootstrap",
    BCA: "BCa bootstrap",
    BOUNDED: "bounded",
    EPISODE: "bootstrap of runs with their episodes",
}
AIMED_AT = (0.93, 0.97)


def write_report(results: Results, docs: Path) -> Path:
    """Write docs/intervals.md."""
    path = docs / "intervals.md"
    parts = [_head(), _choice(results), *(_coverages(results, seeds) for seeds in SEEDS)]
    write_text_atomic(path, "\n".join([*parts, _verdicts(results)]))
    return path


def held(results: Results, population: str, seeds: int, statistic: str, method: str) -> float:
    """Return how often intervals held their statistic, in percent."""
    case = (population, seeds, statistic, method)
    return 100 * next(
        row.coverage
        for row in results.coverage
        if (row.population, row.seeds, row.statistic, row.method) == case
    )


def held_between(results: Results, seeds: int) -> tuple[float, float]:
    """Return how often t held the mean in the worst and in the best case, in percent."""
    case = (seeds, "mean", T)
    shares = [
        100 * row.coverage
        for row in results.coverage
        if (row.seeds, row.statistic, row.method) == case
    ]
    return min(shares), max(shares)


_DRAWN = (
    ("normal", "0.7, standard deviation 0.05"),
    ("skewed", "0.9 less an exponential variable of 0.05"),
    ("half at the ceiling", "normal with mean 1, standard deviation 0.1, cut off at 1"),
    ("failing", "0.95 ± 0.02; a share of the seeds 0.2 ± 0.05"),
    (
        "trained groups",
        "ten seeds of 100 episodes, of the results table (unless all are alike) and of the `off` "
        "of the [lean study](lean-study.md); a further seed is one of the ten",
    ),
)
_INTERVALS = (
    (
        "t",
        "Student's t over seeds; of the IQM with winsorised seeds (Tukey and McLaughlin 1963), as "
        "in Yuen's test",
    ),
    ("percentile and BCa bootstrap", "scipy's bootstrap of seeds, 2,000 resamples"),
    (
        "bounded",
        "assumes only that seeds are between random play and the maximum (Anderson 1969; see [Phan "
        "et al. 2021](https://arxiv.org/abs/2106.03163))",
    ),
    (
        "bootstrap of runs with their episodes",
        "the results table's earlier method: a percentile bootstrap of the IQM of all episodes, "
        "here with 500 resamples",
    ),
)


def _head() -> str:
    text = _wrapped(
        "# How far intervals over few seeds hold",
        earlier_note("intervals"),
        "A 95 % interval over few seeds should hold the population's mean, or interquartile mean "
        "(IQM), in 95 % of repetitions. `python -m studies.intervals` draws seeds from known "
        "populations and counts. Cells are percent of the repetitions (2,000; the last method "
        "1,000), bold from 93 to 97. In brackets stands the mean width in standard deviations "
        "between seeds. An episode is its seed's mean with a spread of 0.1; a seed has 20.",
    )
    return "\n".join(
        (
            text,
            table(("population", "seeds' means, from random play (0) to the maximum (1)"), _DRAWN),
            table(("interval", "method"), _INTERVALS),
        )
    )


def _choice(results: Results) -> str:
    def cases(statistic: str, method: str, population: str) -> list[str]:
        return [f"{held(results, population, seeds, statistic, method):.0f}" for seeds in (5, 10)]

    populations = {
        "seeds are normal": NORMAL,
        "seeds are skewed": "skewed",
        "half of the seeds are at the ceiling": CEILING,
        **{f"{100 * share:.0f} % of the seeds fail": failed(share) for share in FAILED_SHARES},
    }
    rows = [
        (where, *cases("mean", T, population), *cases("IQM", T, population))
        for where, population in populations.items()
    ]
    head = ("where", "mean, 5 seeds", "mean, 10 seeds", "IQM, 5 seeds", "IQM, 10 seeds")
    least, most = held_between(results, 2)
    none = 100 * (1 - FAILED_SHARES[0]) ** 5
    old = " and ".join(cases("IQM", EPISODE, NORMAL))
    return "\n".join(
        (
            _wrapped(
                "## The interval of the results table",
                "The results table has Student's t of the mean over seeds. Percent of repetitions "
                "in which it held the mean, and its IQM form the IQM:",
            ),
            table(head, rows),
            _wrapped(
                "In none of these populations did a bootstrap hold the mean more often by one "
                "percent. Of the trained groups BCa did in two with many seeds at the ceiling. "
                "With fewer than 5 seeds the table lists them and gives no interval. With 2 seeds "
                "the bootstraps held the mean in at most half of the repetitions. Student's t held "
                f"it in {least:.0f} to {most:.0f} %, with intervals 7 to 15 standard deviations "
                "wide.",
                "No such interval is right where seeds fail. Where one seed in ten fails, "
                f"{none:.0f} % of all samples of 5 have no failed seed and look like those of an "
                "agent that never fails. To hold the mean, the interval of every agent whose seeds "
                "agree would have to reach as far down. `bounded` does, and is as wide as the "
                "task. So the site of the results shows the measured coverage of each interval "
                "(*Coverage*), all seeds, the worst seed, and the number of seeds that solved the "
                "task.",
                "The IQM leaves out one or two failing seeds in ten, so its interval holds it "
                "there. It does not where three fail, where half are at the ceiling, or in the "
                "trained groups with half of their seeds at the ceiling. The table therefore gives "
                "the IQM without an interval. The earlier bootstrap held its IQM in "
                f"{old} % of the normal repetitions, and in "
                f"{held(results, NORMAL, 2, 'IQM', EPISODE):.0f} % with 2 seeds.",
            ),
        )
    )


def _coverages(results: Results, seeds: int) -> str:
    cells: dict[str, list[str]] = {}
    for row in results.coverage:
        if row.seeds == seeds:
            share = f"{100 * row.coverage:.1f}"
            if AIMED_AT[0] <= row.coverage <= AIMED_AT[1]:
                share = f"**{share}**"
            cells.setdefault(row.population, []).append(f"{share} ({row.width:.2f})")
    head = [f"{of}: {_HEADINGS[method]}" for of, methods in METHODS.items() for method in methods]
    rows = [[name, *shares] for name, shares in cells.items()]
    return f"## {seeds} seeds\n\n{table(['population', *head], rows)}"


def _verdicts(results: Results) -> str:
    rows = [
        [row.case, f"{row.difference:.2f}", str(row.seeds), f"{100 * row.not_inferior:.1f}"]
        for row in results.verdicts
    ]
    head = ["case", "true difference", "seeds of each", "not inferior (%)"]
    text = _wrapped(
        '## How often "not inferior" is wrong',
        'The results table says "not inferior" if the lower one-sided 95 % bound of the difference '
        "of means (Welch's t) is above minus the margin, here 0.05. For an agent that loses "
        "exactly the margin this is wrong, and should happen in 5 % of repetitions. Where seeds "
        "fail it happens more often, most often where only the agent's seeds fail, because few "
        "seeds show no failure.",
    )
    return text + "\n" + table(head, rows)


def _wrapped(*paragraphs: str) -> str:
    return (
        "\n\n".join(textwrap.fill(text, 100, break_on_hyphens=False) for text in paragraphs) + "\n"
    )
