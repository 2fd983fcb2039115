"""Runs of all parts, and the form of an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studies.dynamics.groups import Groups, Values
from studies.dynamics.plan import TEACHER
from studies.tables import table

Study = Mapping[str, Groups]
"""Groups of every part, by its name."""


def costs(study: Study, task: str, name: str) -> Values:
    """Return the costs of a learner's runs: episodes to solve CartPole, or cross-entropy in nat."""
    group = study["presets"][task, name]
    return -group.means if task == TEACHER else group.episodes


def answer(
    heading: str,
    sentence: str,
    figure: tuple[str, str],
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *more: str,
) -> str:
    """Return an answer: sentence, figure, explanation, table."""
    name, alternative = figure
    return "\n\n".join(
        [
            f"## {heading}",
            f"**{sentence}**",
            f"![{alternative}](images/study-{name}.png)",
            *more,
            table(head, rows).rstrip(),
        ]
    )
