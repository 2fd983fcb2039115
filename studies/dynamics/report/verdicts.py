"""Sentences of the report, each chosen by where an interval lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from studies.dynamics.groups import Group, Values
from studies.dynamics.report.markdown import number, percent, with_interval
from studies.dynamics.statistics import Estimate, superiority


@dataclass(frozen=True)
class Measure:
    """Something of which less is better, and how one says so."""

    better: str
    """Such as "needs fewer episodes than"."""
    worse: str
    """The opposite."""


EPISODES = Measure("needs fewer episodes than", "needs more episodes than")
CROSS_ENTROPY = Measure("ends at a lower cross-entropy than", "ends at a higher cross-entropy than")


def pairwise(name: str, values: Values, other: str, others: Values, measure: Measure) -> str:
    """Compare two samples by their pairs of runs.

    Args:
        name: Name of the first.
        values: (runs,), lower is better.
        other: Name of the second.
        others: (other runs,).
        measure: What is compared.
    """
    if not len(values) or not len(others):
        return f"`{name}` and `{other}` can't be compared yet: runs are missing."
    share = superiority(values, others)
    side = share.against(0.5)
    if side == "open":
        return (
            f"`{name}` and `{other}`: the data show no difference; the former {measure.better} "
            f"the latter in {percent(share)} of pairs of runs."
        )
    if side == "above":
        return f"`{name}` {measure.better} `{other}`: in {percent(share)} of pairs of runs."
    return (
        f"`{name}` {measure.worse} `{other}`: it is the better one in only {percent(share)} of "
        "pairs of runs."
    )


def best_of(
    name: str, values: Values, others: Mapping[str, Values], measure: Measure, claim: str
) -> str:
    """Judge the claim that one of several is the best, by its pairs with each of the others.

    Args:
        name: Name of what is claimed to be the best.
        values: (runs,), lower is better.
        others: (runs,) of each of the others.
        measure: What is compared.
        claim: The claim, as the beginning of a sentence.
    """
    present = {other: sample for other, sample in others.items() if len(sample)}
    if not len(values) or not present:
        return f"{claim}: runs are missing."
    sides = {other: superiority(values, sample).against(0.5) for other, sample in present.items()}
    lost, won, level = (_names(sides, side) for side in ("below", "above", "open"))
    if lost:
        return f"{claim}: **not in these data.** `{name}` {measure.worse} {lost}."
    if not level:
        return f"{claim}: **yes in these data.** `{name}` {measure.better} {won}."
    ahead = f"It {measure.better} {won}, but no" if won else "No"
    return f"{claim}: **the data do not show it.** {ahead} difference is seen to {level}."


def _names(sides: Mapping[str, str], side: str) -> str:
    names = [f"`{name}`" for name, found in sides.items() if found == side]
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def difference(what: str, change: Estimate, digits: int, *, higher_is_better: bool) -> str:
    """Say whether a difference can be told from 0.

    Args:
        what: Name of the difference.
        change: Its estimate.
        digits: Decimals to show.
        higher_is_better: Whether a positive difference is an improvement.
    """
    side = change.against(0.0)
    if change.interval is None:
        return f"{what}: {number(change.value, digits)}, of one seed only."
    low, high = (number(bound, digits) for bound in change.interval)
    shown = f"{what}: {number(change.value, digits)} (95 % interval {low} to {high})"
    if side == "open":
        return f"{shown}, no difference that these data show."
    better = (side == "above") == higher_is_better
    return f"{shown}, **{'better' if better else 'worse'}**."


def trend(what: str, level: str, correlation: Estimate) -> str:
    """Say whether something rises or falls with a level.

    Args:
        what: What is measured.
        level: What it may depend on.
        correlation: Their rank correlation.
    """
    turns = {"above": "rises with", "below": "falls with", "open": "shows no trend over"}
    side = correlation.against(0.0)
    return f"{what} {turns[side]} {level}: rank correlation {with_interval(correlation, 2)}."


def target(what: str, is_met: bool, group: Group) -> str:
    """Say whether a target is met, of as many seeds as there are.

    Args:
        what: The target and what was found, as a clause.
        is_met: Whether it is met.
        group: The runs it is about.
    """
    have = len(group.results)
    so_far = "" if have == group.planned else f" (so far: {have} of {group.planned} seeds)"
    return f"{what}: **{'met' if is_met else 'missed'}**{so_far}."
