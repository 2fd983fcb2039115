"""Columns of the results table: headings, definitions and marks."""

from __future__ import annotations

from collections.abc import Mapping

from snn_gym.envs.registry import ReferenceScores
from snn_gym.leaderboard.manifest import LEAST_WAY
from snn_gym.program.costs import COST_COLUMNS

# ---- headings ------------------------------------------------------------------------------------
FEWEST_SEEDS = 5
"""Smallest number of seeds for an interval or a comparison."""
STREAMS_MARK = "†"
"""Runs shared random streams."""
SHORT_MARK = "‡"
"""Runs used less than half of the budget."""
VOLTAGES_MARK = "¶"
"""Outputs of a spiking network read voltages, by MACs."""
LEAN_MARK = "◊"
"""Agents were made lean from rows of others."""
OLDER_MARK = "°"
"""An earlier evaluator counted costs in a part of the episodes."""

COLUMN_DEFINITIONS: dict[str, str] = {
    "Agent": "name of the agent",
    "Twin": "agent with the same algorithm and hidden sizes, with spikes or without",
    "Seeds": "number of training runs. The unit of all statistics is the mean return of a seed's "
    "episodes",
    "Mean": "mean return over seeds",
    "95 % interval": "confidence interval of the mean by Student's t over seeds, cut off at the "
    f'environment\'s maximum; "–" under {FEWEST_SEEDS} seeds',
    "IQM": "interquartile mean over seeds: the mean without the floor(n / 4) smallest and largest "
    "of n values",
    "Solved": "seeds whose mean return is at least the environment's `solved`",
    "Worst seed": "smallest mean return of a seed",
    "Worst 5 %": "mean of the worst 5 % of all episodes of all seeds ([expected shortfall]"
    "(https://doi.org/10.21314/JOR.2000.038))",
    "Normalised": "the mean on the scale from random play (0) to the oracle of the environment's "
    "file (1), or to `solved` without an oracle",
    "Mean of each seed": "mean return of each training run, in the order of the seeds",
    **{column.heading: column.definition for column in COST_COLUMNS.values()},
    "Parameters": "trained numbers that acting needs, without critics and observation statistics",
    "Steps": "environment steps of training; for imported agents as claimed",
    "Trained again": "seeds whose training was repeated by its recipe and gave the same weights, "
    "bit for bit ([how](RULES.md#a-row-is-a-recipe)); for other seeds training is a claim. A lean "
    "row counts if its parent's training was repeated, too. Costs are means over these seeds, or, "
    "in brackets, over all seeds if there are none",
}
COLUMNS = tuple(COLUMN_DEFINITIONS)
"""All columns of a line, in the order of `snn_gym.leaderboard.table.TableRow.cells`."""
MARKDOWN_COLUMNS = (
    "Agent",
    "Seeds",
    "Mean",
    "95 % interval",
    "Solved",
    "Operations",
    "Steps",
    "Trained again",
)
"""Columns of the Markdown table; the site has the others, too."""

UNPROVEN_NOTE = """Costs in brackets do not rank, because no seed of the line was trained again. \
Its weights may be hand-made, and a hand-made network costs next to nothing. Such a line is on no \
front and is never the cheapest. Imported agents cannot be trained again.
"""

UNRANKED_HEADING = "Other recipes"
UNRANKED_TEXT = """These rows were run again as all others, but their recipe is not that of [the \
rules](RULES.md#which-rows-rank). They count in no mean, comparison, profile or front, and \
`load_pretrained` loads them by their seed only.
"""
UNRANKED_COLUMNS = ("Environment", "Class", "Agent", "Seed", "Mean return", "Reason")

REFERENCES: Mapping[str, str] = {
    "random": "random play",
    "memoryless": "best without memory",
    "open_loop": "best without observations",
    "scripted": "script",
    "solved": "solved from here on",
    "oracle": "oracle",
}
"""Names of the fields of `ReferenceScores` that tables and drawings show."""


def references(reference: ReferenceScores | None) -> dict[str, float]:
    """Return the known reference scores by their keys in `REFERENCES`."""
    scores = {key: getattr(reference, key, None) for key in REFERENCES}
    return {key: score for key, score in scores.items() if score is not None}


"""Further columns for native tasks, after "Normalised"."""

FAULTS_HEADING = "With faults"
RETENTION_TEXT = f"""Fault retention: (mean with the fault - random play) / (mean without it - \
random play), for the same weights in the same episodes. 1 is no loss, 0 is random play. Cells are \
medians over seeds; seeds that come less than {100 * LEAST_WAY:g} % of the way from random play to \
`solved` do not count. "–" if fewer than half of the seeds count, or if the fault is not defined.
"""
FAULT_COLUMNS: dict[str, str] = {
    "Mean": COLUMN_DEFINITIONS["Mean"] + ", without faults",
    "Worst 5 %": COLUMN_DEFINITIONS["Worst 5 %"] + ", without faults",
    "Seeds": "training runs that were played with faults; random faults have the training seed",
    "Noise": "retention with Gaussian noise on every observed value in every decision. The noise "
    "is a tenth of the divisor of the last normaliser: the standard deviation in training, or half "
    "of the range for learners without gradients. Not defined for observed spikes, nor without a "
    "normaliser",
    "Spike loss": "retention if each hidden spike is lost with probability 0.1 on its way to the "
    "next layer or the readout; not defined for ANNs",
    "Dead neurons": "retention if each hidden neuron or unit has no effect with probability 0.1",
    "8 bits": "retention with weights of 8 bits, sign included; each matrix is scaled by its "
    "largest weight, and biases do not change",
    "4 bits": "the same with 4 bits",
}
"""Columns of fault retention; the last ones have the order of `manifest.FaultMeans`."""
STREAMS_NOTE = f"""{STREAMS_MARK} Environment k of a run had the run's seed plus k, so that runs \
with neighbouring seeds shared most random streams. The interval may be too narrow, and the \
p-value of a pair too small. Newer runs use disjoint streams.
"""
