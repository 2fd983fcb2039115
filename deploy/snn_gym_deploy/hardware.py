"""Requirements of an agent on a neuromorphic chip: memory, peak spikes, and a band of energy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snn_gym.program.costs import (
    COMPETITIVE_RATE,
    COMPETITIVE_SPIKES,
    NOT_COUNTED,
    OPERATIONS,
    Costs,
    Regime,
    energy_nj,
    regimes,
)
from snn_gym.program.program import Program
from snn_gym_deploy.chips import CHIPS, demand_of, misfits
from snn_gym_deploy.visits import Visits


@dataclass(frozen=True)
class Activity:
    """Activity of a network's neurons in the states that it visits, by ``activity_of``."""

    peak_spikes: int
    """Most spikes of all neurons in one time step."""
    mean_spikes: float
    """Spikes of all neurons per time step."""
    rate: float
    """Spikes per neuron and time step."""
    spikes_per_synapse: float
    """Spikes per synapse and decision."""

    @property
    def regimes(self) -> tuple[Regime, Regime]:
        """Regimes by spikes per synapse and by rate."""
        return regimes(self.spikes_per_synapse, self.rate)


def activity_of(program: Program, visits: Visits) -> Activity:
    """Return the activity of a spiking program in recorded visits."""
    costs = visits.costs
    mean = costs.hidden_spikes / program.time_steps
    per_synapse = costs.spikes_per_synapse or 0.0
    return Activity(visits.peak_spikes, mean, mean / sum(program.sizes), per_synapse)


def energy_of(costs: Costs, removed: float = 0.0) -> tuple[float, float] | None:
    """Return a decision's energy band (nJ), less ``removed`` updates; None if one is uncounted."""
    if costs.uncounted:
        return None
    synops, macs, updates = (costs.total(name) or 0.0 for name in OPERATIONS)
    return energy_nj(synops, macs, updates - removed if costs.spiking_layers else 0.0)


def _in_words(band: tuple[float, float] | None) -> str:
    return NOT_COUNTED if band is None else "{:.3f} to {:.3f}".format(*band)


def describe(program: Program, visits: Visits, twin: Costs | None) -> Iterator[str]:
    """Yield an agent's requirements as lines of text; ``twin`` has the costs of its ANN twin."""
    demand, activity = demand_of(program), activity_of(program, visits)
    yield (
        f"{demand.neurons:,} neurons, {demand.synapses:,} synapses, fan-in {demand.fan_in:,} and "
        f"fan-out {demand.fan_out:,} at most"
    )
    yield f"{demand.memory_bytes:,} bytes: weights of 8 bits, biases and states of 16"
    yield (
        f"spikes per time step: {activity.peak_spikes:,} at most, {activity.mean_spikes:.2f} on "
        f"average, {activity.rate:.1%} of the neurons"
    )
    for name, chip in CHIPS.items():
        missing = ", ".join(misfits(demand, chip))
        yield f"{name}, {chip.core}: {f'no room: {missing}' if missing else 'fits'}"
    silent = sum(int((~fired).sum()) for fired in visits.fired)
    bare = _in_words(energy_of(visits.costs, program.time_steps * silent))
    own = _in_words(energy_of(visits.costs))
    of_twin = "not known" if twin is None else _in_words(energy_of(twin))
    yield (
        f"energy of a decision, by assumed costs of operations (nJ): {own}; without the {silent:,} "
        f"silent neurons {bare}; ANN twin {of_twin}"
    )
    first, second = activity.regimes
    low, high = COMPETITIVE_SPIKES
    yield (
        f"{activity.spikes_per_synapse:.3f} spikes per synapse and decision, competitive below "
        f"{low} to {high}: {first}"
    )
    yield (
        f"{activity.rate:.1%} spikes per neuron and time step, competitive below "
        f"{COMPETITIVE_RATE:.1%}: {second}"
    )
