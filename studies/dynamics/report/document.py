"""Page of the study of dynamics."""

from __future__ import annotations

from pathlib import Path

import snn_gym
from snn_gym._base.storage import write_text_atomic
from snn_gym.plots.style import save, style
from studies.dynamics.groups import read_groups
from studies.dynamics.plan import PARTS
from studies.dynamics.report import (
    ablation,
    equal,
    figures,
    missed,
    seen,
    size,
    transfer,
    watching,
    withdrawn,
)
from studies.dynamics.report.log import log
from studies.dynamics.report.parts import Study
from studies.dynamics.settings import PRESETS_BUDGET

ANSWERS = (seen.section, watching.section, ablation.section, size.section, transfer.section)
"""Sections, one for each question."""

REPORT = "dynamics-study.md"
LOG = "results.csv"
FORMATS = ("png", "svg")


def read_study(results: Path) -> Study:
    """Read the runs of all parts."""
    return {part: read_groups(part, results) for part in PARTS}


def write_report(results: Path, docs: Path) -> list[Path]:
    """Write the report, its figures and the log, from whatever runs there are."""
    study = read_study(results)
    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    report, lines = docs / REPORT, results.parent / LOG
    write_text_atomic(report, document(study))
    write_text_atomic(lines, log(study))
    paths = [report, lines]
    with style():
        for name, draw in figures.FIGURES.items():
            paths += save(draw(study), images / f"study-{name}", FORMATS)
    return paths


def document(study: Study) -> str:
    """Return the report's text."""
    answers = [write(study) for write in ANSWERS]
    rest = [missed.section(study), equal.section(), withdrawn.section()]
    return "\n\n".join([_introduction(study), *answers, *rest]) + "\n"


def _introduction(study: Study) -> str:
    entries = [group for part in study.values() for group in part.values()]
    have, planned = sum(len(x.results) for x in entries), sum(x.planned for x in entries)
    versions = sorted({result.version for group in entries for result in group.results})
    outdated = [
        f"{part}/{'/'.join(group.labels)}"
        for part, named in study.items()
        for group in named.values()
        if group.is_outdated
    ]
    lines = [
        "# Learning that watches the dynamics: the study",
        "Every synapse can be a small learner that moves its own weight. Which signals should it "
        "see, and does it help to see the activity around it, the dynamics? Five questions follow. "
        "Each answer begins with a sentence that fixed rules derive from the numbers.",
        f"`make study` writes this page from {have:,} of {planned:,} planned runs (version "
        f"{', '.join(versions) or snn_gym.__version__}). `studies/dynamics/results.csv` lists "
        "every run. Seeds are 0, 1, …; hyper-parameters were chosen on seeds from 1000 on.",
        "Every episode that judges old or new weights counts. A task is solved when the deployed "
        "weights earn a mean of at least 475 over 100 fresh episodes, which do not count. A run "
        f"that is not solved within {PRESETS_BUDGET.episodes:,} episodes and "
        f"{PRESETS_BUDGET.steps:,} environment steps has failed (`> budget`). A failure ranks "
        "below every number.",
        "Tests are two-sided exact permutation tests of the ranks of runs, over all splits of the "
        "runs between two learners (rank correlations: 19,999 random orders). P-values are "
        "corrected by Holm for all tests of a question; brackets hold the uncorrected p-value and "
        "the number of tests. A difference is significant up to 0.05. Three runs against three "
        "cannot come below 0.1.",
    ]
    if outdated:
        lines.append(
            "**These runs have other settings than the present ones** and must run again: "
            f"{', '.join(outdated)}."
        )
    return "\n\n".join(lines)
