"""Resources that trained agents need on chips."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from snn_gym import load_pretrained, make_lean
from snn_gym._base.config import Config
from snn_gym.leaderboard.pretrained import list_trained, twin_costs
from snn_gym.policies import program_of
from snn_gym.program import compact
from snn_gym.program.costs import (
    COMPETITIVE_RATE,
    COMPETITIVE_SPIKES,
    MAC_PJ,
    SYNOP_PJ,
    UPDATE_PJ,
    Costs,
    Regime,
    energy_nj,
    regimes,
)
from snn_gym.program.program import Program
from snn_gym_deploy import Visits, visit
from snn_gym_deploy.chips import CHIPS, Demand, demand_of, misfits
from studies.runs import Planned
from studies.tables import table, wrapped

EPISODES = 5
STORED, LEAN, BARE = "stored", "made lean", ", without silent"
MADE_LEAN = (("ppo-lif", "CartPole-v1"), ("ppo-lif", "Acrobot-v1"), ("ppo-lif", "Pendulum-v1"))

_INTRODUCTION = (
    "Each spiking agent of the results table that can be exported, with the seed of its median "
    "return, plays {episodes} episodes that no evaluation uses. `snn-gym export AGENT --hardware` "
    "prints the same for one agent. `python -m studies.deployed` writes this page from "
    "`studies/deployed/runs.jsonl`.",
    "Of {stored} stored agents {fitting}. Of {bare} lean ones without silent neurons "
    "{bare_fitting}. By spikes per synapse {spikes} of the stored agents are competitive, by "
    "firing rate {rates}; of the {lean} agents made lean, {lean_spikes} and {lean_rates}.",
    "*Made lean* agents are made by `make_lean` with `pruning=0.0` from the stored ones; agents "
    "`*-dynamics` are [lean](guide/lean.md) by their training. *Without silent* leaves out the "
    "neurons that fired in none of these episodes.",
    "Nothing here ran on a chip. The room that an agent needs is compared with the published size "
    "of a core. A network that fits may still have a neuron model, input currents or a readout "
    "that the chip lacks. An export of QR-DQN has the mean of its quantiles, so its room is less "
    "than the SynOps of its policy suggest.",
)
_ENERGY = (
    "A decision's energy is a range: the sum of SynOps, MACs and neuron updates, each times a low "
    "and a high price.",
    "| price of | low, pJ | high, pJ | source |\n| --- | --- | --- | --- |\n"
    "| a SynOp | {synop[0]}: addition of floats in 45 nm | {synop[1]}: Loihi, with memory and "
    "routing | [Horowitz 2014](https://doi.org/10.1109/ISSCC.2014.6757323), [Davies et al. "
    "2018](https://doi.org/10.1109/MM.2018.112130359) |\n"
    "| a MAC | {mac[0]}: product of 8-bit integers in 45 nm | {mac[1]}: product of floats | "
    "Horowitz 2014, without any memory |\n"
    "| a neuron update | {update[0]:g}: inactive neuron of Loihi | {update[1]:g}: active neuron | "
    "Davies et al. 2018 |",
    "[SANA-FE's model of Loihi](https://github.com/SLAM-Lab/SANA-FE) has 51.2 pJ for the access "
    "and 21.6 pJ for the update, [keras-spiking](https://github.com/nengo/keras-spiking) 81 pJ. "
    "Updates are time steps times neurons. The ANN twin has the same prices and no spiking "
    "neurons. Silent neurons cost updates until they are removed, as the forms without silent "
    "neurons show. The integrators of a readout and the power at rest are left out.",
    "Two published tests decide whether an SNN is competitive: below {spikes[0]} to {spikes[1]} "
    "spikes per synapse and decision, depending on the memory "
    "([Dampfhoffer et al. 2023](https://doi.org/10.1109/TETCI.2022.3214509)), and below {rate:.1%} "
    "spikes per neuron and time step, for 5 time steps "
    "([Yan et al.](https://arxiv.org/abs/2409.08290v4)). *Between* is between the two numbers of "
    "the first test.",
)


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


@dataclass(frozen=True)
class Measured(Config):
    """One agent."""

    agent: str
    """Agent of the zoo."""
    environment: str
    """Gymnasium id."""
    form: str
    """``stored`` or ``made lean``, and of lean ones each ``without silent``, too."""
    seed: int
    """Seed of its row."""
    time_steps: int
    """Time steps of a decision."""
    demand: Demand
    """Room that it takes."""
    activity: Activity
    """Neuron type and its state."""
    energy_nj: tuple[float, float]
    """Band of the energy of a decision's SynOps and MACs (nJ), without updates of neurons."""
    twin_nj: tuple[float, float] | None
    """That of its twin; None where none is stored."""

    @property
    def whole_nj(self) -> tuple[float, float]:
        """Band of a decision's energy (nJ), with the updates of the neurons that this form has."""
        updates = energy_nj(0.0, 0.0, self.time_steps * self.demand.neurons)
        low, high = (a + b for a, b in zip(self.energy_nj, updates, strict=True))
        return low, high


@dataclass(frozen=True)
class Room(Config):
    """All forms of an agent; none where it does not spike or cannot be exported."""

    forms: tuple[Measured, ...]


def chip_runs() -> Iterator[Planned]:
    """Yield every stored agent, with the seed of its median return."""
    for trained in list_trained():
        where, seed = (trained.agent, trained.environment), trained.row().seed
        yield Planned(f"chips/{'/'.join(where)}/{seed}", partial(measure, *where, seed))


def measure(agent: str, env_id: str, seed: int) -> Room:
    """Count and play an agent."""
    model = load_pretrained(agent, env_id, seed)
    if not _is_exported(model):
        return Room(())
    forms = list(_measured(model, agent, env_id, seed, STORED))
    if (agent, env_id) in MADE_LEAN:
        forms += _measured(make_lean(model, pruning=0.0), agent, env_id, seed, LEAN)
    return Room(tuple(forms))


def _is_exported(model: Any) -> bool:
    try:
        return program_of(model).spiking
    except ValueError:  # it has no program
        return False


def _measured(model: Any, agent: str, env_id: str, seed: int, form: str) -> Iterator[Measured]:
    program, visits = program_of(model), visit(model, env_id, EPISODES)
    twin = twin_costs(agent, env_id)
    forms = {form: program}
    if form == LEAN or _sheds(model):
        forms[form + BARE] = compact(program, visits.fired)
    for name, x in forms.items():
        yield Measured(
            agent, env_id, name, seed, x.time_steps, demand_of(x), activity_of(x, visits),
            _without_updates(visits.costs), None if twin is None else _without_updates(twin),
        )  # fmt: skip


def _without_updates(costs: Costs) -> tuple[float, float]:
    synops, macs = (costs.total(f"{name}_per_decision") or 0.0 for name in ("synops", "macs"))
    return energy_nj(synops, macs, 0.0)


def _sheds(model: Any) -> bool:
    """Say whether an agent sheds spikes in training."""
    regulation = model.policy.network.regulation
    return regulation is not None and regulation.lean is not None


def chip_page(rooms: Sequence[Room]) -> str:
    """Return the page."""
    agents = sorted(
        (x for room in rooms for x in room.forms),
        key=lambda x: f"{x.agent}/{x.environment.replace('/', '__')}",
    )
    energy = [
        x.format(
            synop=SYNOP_PJ,
            mac=MAC_PJ,
            update=UPDATE_PJ,
            spikes=COMPETITIVE_SPIKES,
            rate=COMPETITIVE_RATE,
        )
        for x in _ENERGY
    ]
    limits = [(name, chip.core, f"{chip.source}.") for name, chip in CHIPS.items()]
    return "\n".join(
        (
            "# Agents and chips\n",
            wrapped(*(x.format(episodes=EPISODES, **_counted(agents)) for x in _INTRODUCTION)),
            "## Room\n",
            table((*_HEAD, *_ROOM), [_named(x) + _room(x) for x in agents]),
            table(("chip", "what has to hold it", "limits"), limits),
            "## Spikes and energy\n",
            wrapped(*energy),
            table((*_HEAD, *_SPENT), [_named(x) + _spent(x) for x in agents]),
        )
    )


def _counted(agents: Sequence[Measured]) -> dict[str, object]:
    """Return how many agents fit, and how many are inside of each test."""
    stored, lean = ([x for x in agents if x.form == form] for form in (STORED, LEAN))
    bare = [x for x in agents if x.form.endswith(BARE)]
    spikes, rates, lean_spikes, lean_rates = (
        sum(x.activity.regimes[test] == "inside" for x in some)
        for some in (stored, lean)
        for test in (0, 1)
    )
    return {
        "stored": len(stored), "fitting": _fitting(stored), "spikes": spikes, "rates": rates,
        "bare": len(bare), "bare_fitting": _fitting(bare),
        "lean": len(lean), "lean_spikes": lean_spikes, "lean_rates": lean_rates,
    }  # fmt: skip


def _fitting(some: list[Measured]) -> str:
    return ", ".join(
        f"{sum(not misfits(x.demand, chip) for x in some)} fit {name}"
        for name, chip in CHIPS.items()
    )


_HEAD = ("agent", "environment", "form", "seed")
_ROOM = ("neurons", "synapses", "fan-in", "fan-out", "bytes at 8 bits", *CHIPS)
_SPENT = (
    "spikes per time step", "at most", "per neuron and time step", "time steps",
    "spikes per synapse", "energy (nJ)", "twin's (nJ)", "by spikes per synapse", "by rate",
)  # fmt: skip


def _named(x: Measured) -> tuple[str, ...]:
    return x.agent, x.environment, x.form, str(x.seed)


def _room(x: Measured) -> tuple[str, ...]:
    counts = (
        x.demand.neurons, x.demand.synapses, x.demand.fan_in, x.demand.fan_out,
        x.demand.memory_bytes,
    )  # fmt: skip
    chips = (", ".join(misfits(x.demand, chip)) or "fits" for chip in CHIPS.values())
    return (*(f"{count:,}" for count in counts), *chips)


def _spent(x: Measured) -> tuple[str, ...]:
    did = x.activity
    return (
        f"{did.mean_spikes:.2f}", f"{did.peak_spikes:,}", f"{did.rate:.1%}", str(x.time_steps),
        f"{did.spikes_per_synapse:.3f}", _band(x.whole_nj), _band(x.twin_nj), *did.regimes,
    )  # fmt: skip


def _band(ends: tuple[float, float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:.2f} to {ends[1]:.1f}"
