"""Write what was measured."""

from __future__ import annotations

import textwrap
from pathlib import Path

from snn_gym._base.storage import write_text_atomic
from studies.intervals.coverage import BCA, BOUNDED, EPISODE, METHODS, PERCENTILE, SEEDS, Results, T
from studies.intervals.populations import CEILING, FAILED_SHARES, NORMAL, failed
from studies.lean.tables import table
from studies.rows import earlier_note

_HEADINGS = {
    T: "t",
    PERCENTILE: "percentile bootstrap",
    BCA: "BCa bootstrap",
    BOUNDED: "bounded",
    EPISODE: "bootstrap of runs with their episodes",
}
AIMED_AT = (0.93, 0.97)


def write_report(results: Results, docs: Path) -> Path:
    """Write docs/intervals.md.

    Args:
        results: What was measured.
        docs: Folder to write into.

    Returns:
        The document.
    """
    path = docs / "intervals.md"
    parts = [_head(), _choice(results), *(_coverages(results, seeds) for seeds in SEEDS)]
    write_text_atomic(path, "\n".join([*parts, _verdicts(results)]))
    return path


def held(results: Results, population: str, seeds: int, statistic: str, method: str) -> float:
    """Return how often intervals held what they are of, in percent.

    Raises:
        StopIteration: That was not measured.
    """
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


def _head() -> str:
    return _wrapped(
        "# How far intervals over few seeds hold",
        earlier_note("intervals"),
        "Written by `python -m studies.intervals`, which draws seeds from known populations and "
        "counts how often a 95 % interval holds the population's mean, or interquartile mean "
        "(IQM), over seeds. Numbers are percent of the repeats (2,000; of the last method 1,000), "
        "in bold within 93 to 97, and in brackets the mean width in standard deviations between "
        "seeds.",
        "Populations, on a scale from random play (0) to the maximum (1): normal (0.7, standard "
        "deviation 0.05); skewed (0.9 less an exponential of 0.05); half at the ceiling (normal "
        "about 1, 0.1, cut off at 1); and 0.95 ± 0.02, of which a share fails at 0.2 ± 0.05. An "
        "episode is its seed's mean with a spread of 0.1, 20 a seed. The others are groups of ten "
        "seeds that were trained, 100 episodes each, of the results table, where they are not "
        "all alike, and of the `off` of the [lean study](lean-study.md): a further seed is one of "
        "the ten.",
        "Methods: Student's t (of the IQM with winsorised seeds, Tukey and McLaughlin 1963, as in "
        "Yuen's test); scipy's percentile and BCa bootstrap of seeds, 2,000 resamples; `bounded`, "
        "which takes nothing but that seeds are between random play and the maximum (Anderson "
        "1969; see [Phan et al. 2021](https://arxiv.org/abs/2106.03163)); and what the results "
        "table had before, a percentile bootstrap over runs with all their episodes, of the IQM "
        "of these, here with 500 resamples.",
    )


def _choice(results: Results) -> str:
    def cases(statistic: str, method: str, population: str) -> str:
        five, ten = (held(results, population, seeds, statistic, method) for seeds in (5, 10))
        return f"{five:.0f} and {ten:.0f}"

    failing = ", ".join(
        f"{cases('mean', T, failed(share))} where {100 * share:.0f} % of the seeds fail"
        for share in FAILED_SHARES
    )
    least, most = held_between(results, 2)
    none = 100 * (1 - FAILED_SHARES[0]) ** 5
    return _wrapped(
        "## What the results table has, and why",
        f"Student's t of the mean over seeds. With 5 and 10 seeds it held the mean in "
        f"{cases('mean', T, NORMAL)} % of the repeats where seeds are normal, in "
        f"{cases('mean', T, 'skewed')} where they are skewed, {cases('mean', T, CEILING)} where "
        f"half are at the ceiling, {failing}. In none of these a bootstrap held it more often by "
        "one percent; of the trained groups BCa did in two with many seeds at the ceiling. Under 5 "
        "seeds the table lists them and gives no interval: with 2 the bootstraps held the mean in "
        f"half of the repeats at most, and t in {least:.0f} to {most:.0f} %, 7 to 15 standard "
        "deviations wide.",
        f"Failed seeds are what no such interval mends. Where one seed in ten fails, {none:.0f} % "
        "of all samples of 5 have no failed seed and look like those of an agent that never fails; "
        "to hold the mean, an interval would have to reach as far down for every agent whose seeds "
        "agree. `bounded` does, and is as wide as the task. So the site of the results shows the "
        "measured coverage of each interval (*Coverage*), all seeds, the worst seed, and the "
        "number of seeds that solved the task.",
        f"The interval of the IQM held it where one or two seeds in ten fail "
        f"({cases('IQM', T, failed(0.1))}, {cases('IQM', T, failed(0.2))}), because it leaves them "
        f"out, but not where three do ({cases('IQM', T, failed(0.3))}) or half are at the ceiling "
        f"({cases('IQM', T, CEILING)}), nor in the trained groups with half of their seeds there. "
        "The table gives the IQM without one. The bootstrap that it had held its IQM in "
        f"{cases('IQM', EPISODE, NORMAL)} % of the normal repeats, in "
        f"{held(results, NORMAL, 2, 'IQM', EPISODE):.0f} with 2 seeds.",
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
        '## What "not inferior" is worth',
        'The results table says "not inferior" if the lower one-sided 95 % bound of the difference '
        "of means (Welch's t) is above the loss that is none, here 0.05. Said of an agent that "
        "loses just that it is wrong, and should be so in 5 %. Where seeds fail it is wrong more "
        "often, most of all where they do of the agent alone, because few seeds show no failure.",
    )
    return text + "\n" + table(head, rows)


def _wrapped(*paragraphs: str) -> str:
    return (
        "\n\n".join(textwrap.fill(text, 100, break_on_hyphens=False) for text in paragraphs) + "\n"
    )
