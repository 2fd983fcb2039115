"""The part of docs/local-study.md on changes in mid-life: a table, a figure and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from snn_gym.plotting.style import agent_colours, new_figure, save, style, title
from studies.lean.tables import table, wrapped
from studies.local.adaptation import ARMS, CHANGES, SEEDS, STEP_SIZE, Life, read_lives
from studies.local.runs import EVALUATION_EPISODES, RESULTS, STEPS, WINDOW

FIGURE = "local-adaptation"
FIRST = 20
"""Episodes whose mean says what a change does."""
_FORMATS = ("png", "svg")
_DRAWN = ("learning", "new")
_COLOURS = agent_colours({"learning": True, "new": False})
Found = Mapping[tuple[str, str], Sequence[Life]]


def adaptation_section(images: Path, results: Path = RESULTS) -> str:
    """Write the figure and return the section; empty where nothing has run.

    Args:
        images: Folder of the figure.
        results: Folder of the runs.
    """
    found = {
        (change, arm): lives
        for change in CHANGES
        for arm in ARMS
        if (lives := read_lives(change, arm, results))
    }
    if not found:
        return ""
    images.mkdir(parents=True, exist_ok=True)
    with style():
        save(_draw(found), images / FIGURE, _FORMATS)
    return "\n".join(
        [
            _head(),
            _table(found),
            f"![Environment steps to recover from a change](images/{FIGURE}.png)\n",
            wrapped(
                "Environment steps to recover, a mark for each seed and a line at the median; at "
                f"the right end, {STEPS:,}, are those that did not."
            ),
            _answers(found),
        ]
    )


def _head() -> str:
    return wrapped(
        "## Changes in mid-life",
        "`python -m studies.local adapt` lets agents that have solved the task, by the criterion "
        f"above and on fresh seeds ({SEEDS[0]} to {SEEDS[-1]}), live on where something is another "
        f"than before. A deployed agent learns as `model.online(step_size={STEP_SIZE:g})` does, "
        "half the step size that training began with, which never falls, for nobody tells it when "
        "its life ends. It has recovered by the same criterion, counted from the change, so that "
        f"{WINDOW} episodes mean that there was nothing to recover from; after {STEPS:,} "
        "environment steps it has failed. Beside it stand the same agent with learning off, a new "
        "agent that learns the changed task from scratch as its file says, with as many neurons as "
        "are left, and the results table's `ppo-lif`, seeds 0 to 9, at rest and without "
        f"exploration. First is the mean return of the first {FIRST} episodes, final that of "
        f"{EVALUATION_EPISODES} fresh episodes where the life ends, without exploration.",
    )


def _table(found: Found) -> str:
    heading = (
        "change", "agent", "before", "first", "recovered", "episodes, median", "least to most",
        "steps, median", "final", "worst",
    )  # fmt: skip
    rows = [_row(change, arm, lives) for (change, arm), lives in found.items()]
    return table(heading, rows) + "\n"


def _row(change: str, arm: str, lives: Sequence[Life]) -> tuple[str, ...]:
    recovered = [life.recovered_after for life in lives]
    found = sorted(x for x in recovered if x is not None)
    episodes, steps = median(recovered), median([life.recovery_steps for life in lives])
    finals = [life.final for life in lives]
    return (
        CHANGES[change].says,
        ARMS[arm],
        f"{np.mean([life.before for life in lives]):.1f}",
        f"{np.mean([life.returns[:FIRST] for life in lives]):.1f}",
        f"{len(found)} of {len(lives)}",
        "–" if episodes is None else f"{episodes:.1f}",
        f"{found[0]} to {found[-1]}" if found else "–",
        "–" if steps is None else f"{steps:,.0f}",
        f"{np.mean(finals):.1f}",
        f"{min(finals):.1f}",
    )


def median(numbers: Sequence[int | None]) -> float | None:
    """Return the median where None is above all numbers; None if it is one of these.

    Args:
        numbers: Of each life, None of one that failed.
    """
    middle = float(np.median([np.inf if x is None else x for x in numbers]))
    return middle if np.isfinite(middle) else None


def _answers(found: Found) -> str:
    """Say of each change whether to adapt is quicker than to begin again."""
    lines, slower = [], []
    for change, given in CHANGES.items():
        if change == "none" or not {(change, "learning"), (change, "new")} <= found.keys():
            continue
        adapting, anew = (found[change, arm] for arm in ("learning", "new"))
        resting = found.get((change, "resting"), ())
        if resting and median([life.recovered_after for life in resting]) == WINDOW:
            lines.append(wrapped(f"**{given.says}**: with learning off nothing is lost by it."))
            continue
        lines.append(wrapped(f"**{given.says}**: {_verdict(adapting, anew)}"))
        if not _quicker([[life.recovery_steps for life in x] for x in (adapting, anew)]):
            slower.append(given.says)
    if slower:
        lines.append(
            wrapped(
                "**In environment steps, a new agent is as quick as one that adapts, or quicker, "
                f"after: {', '.join(slower)}.** The window alone, of a solved task, is 50,000 of "
                "them."
            )
        )
    return "\n".join(lines)


def _verdict(adapting: Sequence[Life], anew: Sequence[Life]) -> str:
    parts = []
    for unit, pair in (
        ("episodes", [[life.recovered_after for life in x] for x in (adapting, anew)]),
        ("environment steps", [[life.recovery_steps for life in x] for x in (adapting, anew)]),
    ):
        said = ["more than any did" if x is None else f"{x:,.0f}" for x in map(median, pair)]
        which = "quicker" if _quicker(pair) else "no quicker"
        parts.append(
            f"a median of {said[0]} {unit} to adapt, {said[1]} to begin again: to adapt is {which}"
        )
    return "; ".join(parts) + "."


def _quicker(pair: Sequence[Sequence[int | None]]) -> bool:
    adapting, anew = (median(numbers) or np.inf for numbers in pair)
    return bool(adapting < anew)


def _draw(found: Found) -> Figure:
    shown = [change for change in CHANGES if (change, "learning") in found and change != "none"]
    figure = new_figure(3.0 * max(1, len(shown)), 1.8)
    panels = list(
        figure.subplots(1, max(1, len(shown)), squeeze=False, sharex=True, sharey=True).flat
    )
    for axes, change in zip(panels, shown, strict=False):
        _panel(axes, change, found)
    return figure


def _panel(axes: Axes, change: str, found: Found) -> None:
    for place, arm in enumerate(_DRAWN):
        steps = [life.recovery_steps or STEPS for life in found.get((change, arm), ())]
        if not steps:
            continue
        spread = place + 0.06 * (np.arange(len(steps)) - (len(steps) - 1) / 2)
        axes.plot(steps, spread, "o", color=_COLOURS[arm], markersize=3.5, alpha=0.7)
        axes.plot([np.median(steps)] * 2, [place - 0.35, place + 0.35], color=_COLOURS[arm])
    axes.set_yticks(range(len(_DRAWN)), ["goes on learning", "new"])
    axes.set_ylim(len(_DRAWN) - 0.5, -0.5)
    axes.set_xlim(0, 1.04 * STEPS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1000:.0f}k"))
    title(axes, CHANGES[change].says)
    axes.set_xlabel("environment steps to recover")
