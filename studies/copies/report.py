"""Write docs/copies.md from what was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.weights import NEAR
from studies.copies.measured import PLAYED_EPISODES, PLAYED_NOISES, Distances, Measured
from studies.rows import earlier_note


def write_report(measured: Measured, docs: Path) -> Path:
    """Write the report.

    Args:
        measured: What it shows.
        docs: Folder of the report.

    Returns:
        Its file.
    """
    path = docs / "copies.md"
    write_text_atomic(path, render_report(measured))
    return path


def render_report(measured: Measured) -> str:
    """Return the report's text.

    Args:
        measured: What it shows.
    """
    sections = (_head(), *(section(measured) for section in _SECTIONS))
    blocks = "\n".join(sections).rstrip().split("\n\n")
    return "\n\n".join(map(_wrapped, blocks)) + "\n"


def _wrapped(block: str) -> str:
    """Break the lines of a paragraph anew, as numbers have lengths of their own."""
    return block if block.startswith(("|", "#")) else textwrap.fill(" ".join(block.split()), 100)


def _head() -> str:
    return f"""# Near copies of stored weights

{earlier_note("copies")}

Written by `python -m studies.copies`, which trains what is missing, measures and writes this page;
numbers in `studies/copies/results.json`. `snn-gym verify` refuses weights that are less than
{NEAR:g} from those of a stored row (`near-copy`). The distance, of `snn_gym.leaderboard.weights`,
lays one network on the other: layer by layer it matches each unit with the most similar one, signs
aside, and takes the norm of what is left over the root of the sum of both squared norms; the mean
over layers counts. Readouts are compared without what their logits have in common and at norm 1. It
is computed as is and with equal observation statistics, and with and without scales of units; the
least of the four counts. 0 is a copy, about 1 an unrelated network.
"""


def _independent(measured: Measured) -> str:
    pairs = measured.pairs
    return f"""## Independent trainings

The {measured.rows} rows that were stored then have {pairs.count:,} pairs of equal form, whatever
their agents and environments. False alarms are {pairs.near} of {pairs.count:,}; the least distance
is {pairs.least / NEAR:.1f} times the threshold. It is one of `a2c-lif` and `ppo-lif` with the same
seed, which start from the same weights. Trainings that were given up early are far apart, too,
because starting weights are: five seeds on CartPole-v1.

There is one false alarm since, of agents that were not stored yet: `ppo-lif-dynamics` on
CartPole-v1 keeps a dozen of its 4,096 synapses between hidden layers once they are pruned, and
seeds 5 and 8 are 0.13 apart. Such weights pass where `snn-gym verify --retrain` finds the same
ones, bit for bit, by training their seed again, which a copy's does not give.

{_distances_table("trainings", _honest(measured))}
"""


def _copies(measured: Measured) -> str:
    return f"""## Copies

All these rows, each copied in every way that leaves it acting as before (or, with noise, nearly
so). Noise is normal, with a standard deviation relative to that of the weights of its tensor.
Missed: at or above the threshold.

{_distances_table("copy", measured.copies, missed=True)}

Most agents bear more noise than 0.03: interquartile mean returns of {PLAYED_EPISODES} episodes, of
the rows of seed 0.

{_played_table(measured)}
"""


def _branches(measured: Measured) -> str:
    return f"""## Trained on

Branches: a training of `ppo-lif` on CartPole-v1 and two that leave it after that share of the
budget with other seeds, all from each other at the end. Trained on: the ten rows of that agent and
copies with as many updates more, at the learning rate that training begins with. A branch that
leaves late and a copy that was trained on for little are refused: they are no trainings of their
own. `ppo-lif-dynamics` of the same seed is the same training until it sheds spikes, and is far
from it afterwards.

{_distances_table("training", _trained_on(measured), missed=True)}
"""


def _singular(measured: Measured) -> str:
    pairs, singular = measured.pairs, measured.singular
    factors = [
        independent.least / copied["noise of 0.01"].largest
        for independent, copied in ((singular["pairs"], singular), (pairs, measured.copies))
    ]
    return f"""## Why not singular values

They do not change with order and signs either, and need no matching. But orthogonal starting
weights all have the same, so that trainings given up early would be copies of each other, and
those of large random matrices hardly differ. Largest relative distance over layers:

{_distances_table("by singular values", singular)}

Between the most that noise of 0.01 does and independent rows lies a factor of {factors[0]:.1f} by
singular values, and one of {factors[1]:.0f} by matched units. Pairs of short trainings, of one
update of `ppo-mlp`, are copies by singular values.
"""


def _passing(measured: Measured) -> str:
    return f"""## What passes

Noise of 0.1 passes for some rows and noise of 0.3 for all, and agents that bear it still score. A
larger threshold would find more of that at a smaller margin, and honest rows come first. Units that
never act can be given any weights, which hides what is copied. A branch that leaves early and an
agent trained on for long enough are others. Two copies that are verified at the same moment are
not compared with each other, as equal weights are. The check is one of likeness: only a second
training tells that a row's recipe gives its weights (`snn-gym verify --retrain`).

It takes {measured.seconds:.1f} s of CPU time against the {measured.rows} rows: all weights
are read, and those of equal shapes laid on the new ones.
"""


_SECTIONS = (_independent, _copies, _branches, _singular, _passing)


def _honest(measured: Measured) -> dict[str, Distances]:
    return {
        "all pairs of rows": measured.pairs,
        "pairs of one agent and environment": measured.pairs_within,
        **{f"updates of {name}": x for name, x in measured.short.items()},
    }


def _trained_on(measured: Measured) -> dict[str, Distances]:
    return {
        **{f"branches after {share}": x for share, x in measured.branches.items()},
        **{f"updates more: {updates}": x for updates, x in measured.further.items()},
        "ppo-lif and ppo-lif-dynamics of one seed": measured.paired,
    }


def _distances_table(head: str, rows: Mapping[str, Distances], missed: bool = False) -> str:
    cells = [
        [
            name,
            f"{x.count:,}",
            *(f"{value:.2g}" for value in (x.least, x.median, x.largest)),
            *([f"{100 * (1 - x.near / x.count):.0f} %"] if missed else []),
        ]
        for name, x in rows.items()
    ]
    return _table([head, "pairs", "least", "median", "largest", *(["missed"] * missed)], cells)


def _played_table(measured: Measured) -> str:
    sizes = [f"{size:g}" for size in PLAYED_NOISES]
    return _table(
        ["agent", "task", "no noise", *sizes],
        (
            [
                x.agent,
                x.environment,
                *(f"{y:.4g}" for y in (x.stored, *(x.noisy[z] for z in sizes))),
            ]
            for x in measured.played
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
