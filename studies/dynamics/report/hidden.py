"""Section on DQSN with more hidden neurons."""

from __future__ import annotations

from itertools import pairwise

from studies.dynamics.groups import Groups
from studies.dynamics.report import markdown, verdicts
from studies.dynamics.settings import HIDDEN_NEURONS, HIDDEN_STEPS
from studies.dynamics.statistics import iqm, iqm_difference, rank_correlation


def section(groups: Groups) -> str:
    """Return the section on hidden neurons."""
    rows = [_row(groups, hidden) for hidden in HIDDEN_NEURONS]
    return "\n\n".join(
        [
            "## 2. DQSN and its hidden neurons",
            f"`dqsn` on CartPole-v1, {HIDDEN_STEPS:,} environment steps; everything else is the "
            "zoo's. Returns of the 100 public episodes. With 128 this is the zoo's `dqsn` itself: "
            "its rows of the results table are other runs on the same seeds, and the rows count.",
            markdown.table(["hidden neurons", "IQM (95 % interval)", "mean by seed"], rows),
            markdown.bullets(sentences(groups)),
            "![Return by hidden neurons](images/study-hidden.png)",
        ]
    )


def sentences(groups: Groups) -> list[str]:
    """Return what the runs say on the claim that more hidden neurons are better."""
    have = [hidden for hidden in HIDDEN_NEURONS if groups[(str(hidden),)].results]
    if len(have) < 2:
        return ["Runs are missing."]
    means = [groups[(str(hidden),)].means for hidden in have]
    correlation = rank_correlation(have, means)
    said = [verdicts.trend("The mean return of a run", "the number of hidden neurons", correlation)]
    sides = []
    for (less, few), (more, many) in pairwise(zip(have, means, strict=True)):
        change = iqm_difference(many, few)
        sides.append(change.against(0.0))
        what = f"From {less} to {more} hidden neurons, change of the IQM over seeds"
        said.append(verdicts.difference(what, change, 0, higher_is_better=True))
    if correlation.against(0.0) != "above" or "below" in sides:
        judgement = "**not in these data**"
    elif set(sides) == {"above"}:
        judgement = "**yes in these data**, at every step"
    else:
        judgement = "**on the whole, but not at every step**, in these data"
    return [f"The founding paper's claim that more hidden neurons are better: {judgement}.", *said]


def _row(groups: Groups, hidden: int) -> list[str]:
    group = groups[(str(hidden),)]
    if not group.results:
        return [str(hidden), markdown.MISSING, "no runs yet"]
    shown = f"{markdown.with_interval(iqm(group.scores))}, {markdown.count(group)}"
    return [str(hidden), shown, markdown.by_seed(group, group.means)]
