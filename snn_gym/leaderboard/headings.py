"""Columns of the results table: their names, meanings and marks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from snn_gym.leaderboard.manifest import LEAST_WAY
from snn_gym.program.costs import COST_COLUMNS
from snn_gym.zoo import agent_ids, load_agent_spec

if TYPE_CHECKING:
    from snn_gym.leaderboard.chips import Demand


# ---- headings ------------------------------------------------------------------------------------
FEWEST_SEEDS = 5
"""Seeds from which on an interval is given, and agents are compared."""
HELD_PERCENT = {5: (39, 95), 10: (64, 95)}
"""How often the interval held the mean: in the worst and in the best case, from so many seeds on.

As `python -m studies.intervals` measured it for docs/intervals.md.
"""
MARK = "†"
"""Of what rests on runs that shared streams of random numbers."""
SHORT = "‡"
"""Of runs that used less than half of the budget."""
VOLTAGES = "¶"
"""Of spiking networks whose outputs read voltages, by MACs."""

COLUMN_DEFINITIONS: dict[str, str] = {
    "Agent": "the agent",
    "Twin": "the agent to compare it with: the same algorithm and hidden sizes with spikes or "
    "without",
    "Seeds": "training runs behind the line; the unit of all statistics is the mean return of a "
    "seed's episodes",
    "Mean": "mean over seeds",
    "95 % interval": "of the mean, by Student's t over seeds, cut off at the environment's "
    f'maximum; "–" under {FEWEST_SEEDS} seeds',
    "Held": "how often such an interval of so many seeds, 95 % aimed at, held the mean when it was "
    "measured: from where one seed in ten fails, which most intervals then know nothing of, to "
    "where the spread is normal ([all cases](../docs/intervals.md))",
    "IQM": "interquartile mean over seeds: the mean of the middle half; floor(n / 4) of n are left "
    "out at each end",
    "Solved": "seeds whose mean return is at least the environment's `solved`",
    "Worst seed": "smallest mean return of a seed",
    "Worst 5 %": "mean of the worst 5 % of all episodes of all seeds ([expected shortfall]"
    "(https://doi.org/10.21314/JOR.2000.038)): what the unlucky ones earn",
    "Normalised": "the mean on the scale from random play (0) to the oracle of the environment's "
    "file (1), or to `solved` where it has none",
    "Mean of each seed": "mean return of each training run, in the order of the seeds",
    **{column.heading: column.definition for column in COST_COLUMNS.values()},
    "Parameters": "trained numbers that acting needs; critics and observation statistics do not "
    "count",
    "Steps": "environment steps of training; of imported agents as their submitters say",
    "Trained again": "seeds whose training was repeated by its recipe and gave the same weights, "
    "bit for bit ([how](RULES.md#a-row-is-a-recipe)); the training of the others is a claim. A row "
    "that was made lean counts if its parent's training was repeated, too",
}
DERIVED = "◊"
"""Of agents that were made lean from the rows of others."""
COLUMNS = tuple(COLUMN_DEFINITIONS)
"""Headings of the table, in the order of `snn_gym.leaderboard.table.TableRow.cells`."""

UNPROVEN = """Costs in brackets do not rank: no seed of the line was trained again, so its weights \
may have been made by hand, and such a network costs next to nothing. They are on no front and \
count in no choice of the cheapest. Imported agents can't be trained again.
"""
"""Note on brackets around costs."""

UNRANKED_HEADING = "Other recipes"
"""Heading above the rows that do not rank."""
UNRANKED_TEXT = """Each of these rows was run again as all others, but its recipe is not the one \
that [the rules](RULES.md#which-rows-rank) fix. They count in no mean, comparison, profile or \
front, and `load_pretrained` takes one only if its seed is named.
"""
UNRANKED_COLUMNS: dict[str, str] = {
    "Environment": "gymnasium id",
    "Class": "class whose budget binds the agent",
    "Agent": "the agent",
    "Seed": "training seed",
    "Mean return": "mean return of its episodes",
    "Reason": "what differs in its recipe",
}
"""Columns of the table of rows that do not rank, and what they mean."""

REFERENCE_COLUMNS: dict[str, str] = {
    "Memoryless": "mean return of the best policy known that sees the present observation alone; "
    "the card says which that is, and how it was measured",
    "Twin's mean": 'mean over the twin\'s seeds; "–" where it has no row here',
    "Oracle": "mean return of the ideal observer, or of a policy that knows more than an agent can "
    "see, from the card",
}
"""Further columns of tables of native tasks, after "Normalised", and what they mean."""

HIDDEN_MARK = "§"
"""Of agents whose public score is higher than that on hidden seeds by more than chance."""
HIDDEN_COLUMN = {
    "Hidden seeds": "mean of the returns on 100 seeds that nobody could train on, drawn with a "
    'secret, over the training runs that played them; "–" where none did'
}
"""Further column of a table whose rows played hidden seeds, and what it means."""

FAULTS_HEADING = "With faults"
"""Heading above tables of fault retention."""
KEPT = f"""The columns of faults say what is *kept*: (mean with the fault - random play) / (mean \
without it - random play), of the same weights in the same episodes: 1 is all, 0 is random play. \
Cells are medians over seeds; those that come less than {100 * LEAST_WAY:g} % of the way from \
random play to `solved` do not count. "–" where fewer than half of them count, or where the fault \
is not defined.
"""
FAULT_COLUMNS: dict[str, str] = {
    "Mean": COLUMN_DEFINITIONS["Mean"] + ", without faults",
    "Worst 5 %": COLUMN_DEFINITIONS["Worst 5 %"] + ", without faults",
    "Seeds": "training runs that were played with faults; what a fault draws has the training seed",
    "Noise": "kept where every value that the agent observes has Gaussian noise, drawn anew in "
    "every decision, of a tenth of what its last normaliser divides the value by: the standard "
    "deviation in training, or half of its range where a learner without gradients scales it by "
    "limits; not defined for observed spikes, nor without a normaliser",
    "Spike loss": "kept where every hidden spike is lost with a probability of a tenth on its way "
    "to the next layer or the readout; not defined for ANNs",
    "Dead neurons": "kept where every hidden neuron or unit is heard by none, its own layer "
    "included, with a probability of a tenth",
    "8 bits": "kept with weights of 8 bits, the sign among them: each matrix has a scale of its "
    "own, by its largest weight, and biases stay",
    "4 bits": "the same with 4 bits",
}
"""Columns of the table of faults, the last ones in the order of `manifest.FaultMeans`, and their
meanings."""
STREAMS_NOTE = f"""{MARK} Environment k of a run had the seed of the run plus k, so that runs with \
neighbouring seeds shared most of their environments' random streams, and the interval between \
them may be too narrow, the p-value of a pair too small. Runs since then draw disjoint streams.
"""


# ---- room ----------------------------------------------------------------------------------------
ROOM_COLUMNS: dict[str, str] = {
    "Neurons": "neurons of the network that acts, of all layers; as the next three, of the "
    'registered architecture if it spikes and can be exported, else "–"',
    "Synapses": "weights between inputs, neurons and outputs, recurrent ones included; analogue "
    "inputs are currents, whose weights count",
    "Memory at 8 bits": "bytes of the weights at 8 bits, and of biases and state variables at 16",
    "Fits": "whose room is enough by published limits: a core of Loihi, a core of SpiNNaker2, the "
    "chip Xylo Audio 2, Speck with a core for each layer ([limits and what is missing]"
    "(../docs/hardware.md)). Neuron models are not compared, and nothing ran on a chip",
}
"""Columns of `room_cells`, and what they mean."""


@lru_cache(maxsize=1024)
def registered_demand(agent: str, env_id: str) -> Demand | None:
    """Return the room that an agent's registered network takes on an environment.

    Args:
        agent: Name of an agent.
        env_id: Gymnasium id that is known.

    Returns:
        None for an agent that has left the zoo or is not registered for the environment, and for a
        network that does not spike or can't be exported.

    Raises:
        gymnasium.error.Error: The environment needs a package that is absent.
    """
    from snn_gym.leaderboard.chips import demand_of
    from snn_gym.zoo import build_policy

    if agent not in agent_ids() or env_id not in load_agent_spec(agent).environments:
        return None
    policy = build_policy(agent, env_id)
    try:
        program = policy.program()
    except ValueError:  # what can't be exported, which docs/graphs.md and the exporters say
        return None
    return demand_of(program) if program.spiking else None


def room_cells(demand: Demand | None) -> dict[str, str]:
    """Return the texts under `ROOM_COLUMNS`.

    Args:
        demand: What a network takes; None where that is not known.
    """
    if demand is None:
        return dict.fromkeys(ROOM_COLUMNS, "–")

    from snn_gym.leaderboard.chips import CHIPS, misfits

    fitting = [name for name, chip in CHIPS.items() if not misfits(demand, chip)]
    counts = (demand.neurons, demand.synapses, demand.memory_bytes)
    texts = (*(f"{count:,}" for count in counts), ", ".join(fitting) or "none")
    return dict(zip(ROOM_COLUMNS, texts, strict=True))
