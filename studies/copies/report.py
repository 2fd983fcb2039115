"""Page of the study of near copies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from snn_gym._base.storage import write_text_atomic
from snn_gym.leaderboard.weights import NEAR
from studies.copies.measured import PLAYED_EPISODES, PLAYED_NOISES, Distances, Measured
from studies.rows import earlier_note
from studies.tables import table, wrapped


def write_report(measured: Measured, docs: Path) -> Path:
    """Write the report."""
    path = docs / "copies.md"
    write_text_atomic(path, render_report(measured))
    return path


def render_report(measured: Measured) -> str:
    """Return the report's text."""
    sections = (_head(), *(section(measured) for section in _SECTIONS))
    blocks = "\n".join(sections).rstrip().split("\n\n")
    return "\n\n".join(map(_wrapped, blocks)) + "\n"


def _wrapped(block: str) -> str:
    """Break the lines of a paragraph anew, as numbers have lengths of their own."""
    if block.startswith(("|", "#", "- ")):
        return block
    return wrapped(" ".join(block.split())).rstrip()


def _head() -> str:
    return f"""# Near copies of stored weights

{earlier_note("copies")}

`snn-gym verify` refuses weights with a distance of less than {NEAR:g} from a stored row
(`near-copy`). `python -m studies.copies` trains the networks of this page, measures distances and
writes it; numbers are in `studies/copies/results.json`.

The distance (`snn_gym.leaderboard.weights`) matches each unit of a layer with the most similar unit
of the other network, whatever their signs. It is the norm of the difference, divided by the root of
the sum of both squared norms, as a mean over layers. 0 is a copy, about 1 an unrelated network.
Readouts are compared without the part that all logits share, and at norm 1. The distance is
computed with and without equal observation statistics, and with and without scales of units. The
least of the four counts.
"""


def _independent(measured: Measured) -> str:
    pairs = measured.pairs
    return f"""## Independent trainings

The {measured.rows} rows of that time have {pairs.count:,} pairs of equal form, over all agents and
environments. There are {pairs.near} false alarms. The least distance is
{pairs.least / NEAR:.1f} times the threshold: `a2c-lif` and `ppo-lif` with the same seed, which
start from the same weights. Trainings of a few updates are far apart, too, because their initial
weights are (five seeds on CartPole-v1).

One later pair is a false alarm. `ppo-lif-dynamics` on CartPole-v1 prunes all but a dozen of its
4,096 synapses between hidden layers, and seeds 5 and 8 have a distance of 0.13. Such weights pass
if `snn-gym verify --retrain` trains their seed again to the same bits. A copy does not.

{_distances_table("trainings", _honest(measured))}
"""


def _copies(measured: Measured) -> str:
    return f"""## Copies

Each of these rows is copied in every way that leaves its behaviour unchanged, and with noise, which
leaves it nearly unchanged. Noise is normal, with a standard deviation relative to that of the
tensor's weights. Missed copies are at or above the threshold.

{_distances_table("copy", measured.copies, missed=True)}

Most agents bear more noise than 0.03. Interquartile mean returns of {PLAYED_EPISODES} episodes,
rows of seed 0:

{_played_table(measured)}
"""


def _branches(measured: Measured) -> str:
    return f"""## Trained on

Branches are a training of `ppo-lif` on CartPole-v1 and two trainings that leave it after a share of
the budget with other seeds. Their distances at the end are in the table. Further updates are copies
of the ten rows of that agent that learn on, at the first learning rate of a training. Late branches
and copies with few further updates are refused, because they are no independent trainings.
`ppo-lif-dynamics` of the same seed is the same training until it sheds spikes, and is far from it
afterwards.

{_distances_table("training", _trained_on(measured), missed=True)}
"""


def _singular(measured: Measured) -> str:
    pairs, singular = measured.pairs, measured.singular
    factors = [
        independent.least / copied["noise of 0.01"].largest
        for independent, copied in ((singular["pairs"], singular), (pairs, measured.copies))
    ]
    return f"""## Why not singular values

Singular values do not depend on order and signs either, and need no matching. But all orthogonal
initial weights have the same singular values, so trainings of a few updates would be copies of each
other. Those of large random matrices hardly differ. Largest relative distance over layers:

{_distances_table("by singular values", singular)}

The least distance of independent rows is {factors[0]:.1f} times the largest one that noise of 0.01
causes by singular values, and {factors[1]:.0f} times by matched units. By singular values, pairs of
trainings of one update of `ppo-mlp` are copies.
"""


def _passing(measured: Measured) -> str:
    return f"""## Copies that pass

- Noise of 0.1 passes for some rows and noise of 0.3 for all, and agents that bear it still score. A
  larger threshold would refuse more of them, with a smaller margin to honest rows.
- Any weights of units that never act hide a copy.
- Early branches and copies with many further updates pass.
- Two near copies that are verified at the same moment are not compared with each other. Equal
  weights are.

The check measures likeness. Only a second training shows that a row's recipe gives its weights
(`snn-gym verify --retrain`).

The check takes {measured.seconds:.1f} s of CPU time against the {measured.rows} rows: it reads all
weights and compares those of equal shapes.
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
    columns = [head, "pairs", "least", "median", "largest", *(["missed"] * missed)]
    return table(columns, cells).rstrip()


def _played_table(measured: Measured) -> str:
    sizes = [f"{size:g}" for size in PLAYED_NOISES]
    rows = [
        [
            x.agent,
            x.environment,
            f"{x.stored:.4g}",
            *(f"{x.noisy[size]:.4g}" for size in sizes),
        ]
        for x in measured.played
    ]
    return table(["agent", "task", "no noise", *sizes], rows).rstrip()
