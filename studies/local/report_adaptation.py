"""The part of docs/local-study.md on changes in mid-life: a table, a figure and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snn_gym.plotting.style import agent_colours, new_figure, save, style, title
from studies.lean.tables import table
from studies.local.adaptation import ARMS, CHANGES, EPISODES, SEEDS, STEP_SIZE, Life, read_lives
from studies.local.runs import EVALUATION_EPISODES, RESULTS, SOLVED, WINDOW
from studies.local.text import wrapped

FIGURE = "local-adaptation"
FIRST = 20
"""Episodes whose mean says what a change does."""
_FORMATS = ("png", "svg")
_DRAWN = ("learning", "resting", "new")
_COLOURS = agent_colours({"learning": True, "resting": False, "new": True})
_SMOOTHING = 10
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
            f"![Return of every episode after a change](images/{FIGURE}.png)\n",
            wrapped(
                f"Mean return of episodes after the change, exploration included, over {_SMOOTHING}"
                " episodes and all seeds; shades reach from the worst seed to the best."
            ),
            _answers(found),
        ]
    )


def _head() -> str:
    return wrapped(
        "## Changes in mid-life",
        "`python -m studies.local adapt` lets agents that have solved the task, by the criterion "
        f"above and on fresh seeds ({SEEDS[0]} to {SEEDS[-1]}), live on for {EPISODES} episodes in "
        "which something is another than before. A deployed agent learns as "
        f"`model.online(step_size={STEP_SIZE:g})` does, half the step size that training began "
        "with, which never falls, for nobody tells it when its life ends. It has recovered after "
        f"the first {WINDOW} episodes in a row whose mean is at least {SOLVED:.0f}, counted from "
        f"the change, so that {WINDOW} means that there was nothing to recover from. Beside it "
        "stand the same agent with learning off, a new agent that learns the changed task from "
        "scratch as its file says, with as many neurons as are left, and the results table's "
        "`ppo-lif`, seeds 0 to 9, at rest, without exploration. Episodes are those of one "
        f"environment. First is the mean return of the first {FIRST} episodes, final that of "
        f"{EVALUATION_EPISODES} fresh episodes at the end, without exploration.",
    )


def _table(found: Found) -> str:
    heading = (
        "change", "agent", "before", "first", "recovered", "episodes, median", "least to most",
        "final", "worst",
    )  # fmt: skip
    rows = [_row(change, arm, lives) for (change, arm), lives in found.items()]
    return table(heading, rows) + "\n"


def _row(change: str, arm: str, lives: Sequence[Life]) -> tuple[str, ...]:
    recovered = [life.recovered_after for life in lives]
    found = sorted(x for x in recovered if x is not None)
    middle = median_recovery(lives)
    rests = arm == "gradient"
    finals = [life.final for life in lives]
    return (
        CHANGES[change].says,
        ARMS[arm],
        f"{np.mean([life.before for life in lives]):.1f}",
        f"{np.mean([life.returns[:FIRST] for life in lives]):.1f}",
        f"{len(found)} of {len(lives)}",
        "–" if rests or middle is None else f"{middle:.1f}",
        f"{found[0]} to {found[-1]}" if found and not rests else "–",
        f"{np.mean(finals):.1f}",
        f"{min(finals):.1f}",
    )


def median_recovery(lives: Sequence[Life]) -> float | None:
    """Return the median of episodes to recover, where the failed took longest; None if it failed.

    Args:
        lives: Lives after one change.
    """
    middle = float(np.median([life.recovered_after or np.inf for life in lives]))
    return middle if np.isfinite(middle) else None


def _answers(found: Found) -> str:
    """Say of each change whether to adapt is quicker than to start anew."""
    lines = []
    for change, given in CHANGES.items():
        if change == "none" or not {(change, "learning"), (change, "new")} <= found.keys():
            continue
        adapted, anew = (median_recovery(found[change, x]) for x in ("learning", "new"))
        lines.append(f"- **{given.says}**: {_verdict(adapted, anew)}")
    return "\n".join(lines) + "\n"


def _verdict(adapted: float | None, anew: float | None) -> str:
    if adapted is None:
        return "most agents that go on learning do not recover; a new one is better."
    if anew is None:
        return f"adapting takes a median of {adapted:.1f} episodes; most new agents fail."
    which = "quicker" if adapted < anew else "no quicker"
    return (
        f"adapting takes a median of {adapted:.1f} episodes, starting anew {anew:.1f}: to go on "
        f"learning is {which} than to begin again."
    )


def _draw(found: Found) -> Figure:
    figure = new_figure(8.0, 2.6)
    shown = [change for change in CHANGES if (change, "learning") in found and change != "none"]
    panels = list(figure.subplots(1, max(1, len(shown)), squeeze=False, sharey=True).flat)
    for axes, change in zip(panels, shown, strict=False):
        _panel(axes, change, found)
    panels[0].set_ylabel("return")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels) or 1)
    return figure


def _panel(axes: Axes, change: str, found: Found) -> None:
    for arm in _DRAWN:
        lives = found.get((change, arm), ())
        if not lives:
            continue
        curves = smoothed(lives)
        middle = (np.arange(curves.shape[1]) + 0.5) * _SMOOTHING
        axes.fill_between(
            middle, curves.min(0), curves.max(0), color=_COLOURS[arm], alpha=0.18, linewidth=0
        )
        axes.plot(middle, curves.mean(0), color=_COLOURS[arm], label=ARMS[arm].replace("`", ""))
    title(axes, CHANGES[change].says)
    axes.set_xlabel("episodes after the change")


def smoothed(lives: Sequence[Life]) -> NDArray[np.float64]:
    """Return means (seeds, episodes / 10) of ten episodes each, as far as all lives reach.

    Args:
        lives: Lives after one change.
    """
    blocks = min(len(life.returns) for life in lives) // _SMOOTHING
    cut = np.array([life.returns[: blocks * _SMOOTHING] for life in lives])
    means: NDArray[np.float64] = cut.reshape(len(lives), blocks, _SMOOTHING).mean(2)
    return means
