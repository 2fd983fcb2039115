"""Prices of a decision: one number from its costs.

A price is a sum over the counts of ``Costs``, each times a published number. It is no measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from snn_gym._base.names import did_you_mean
from snn_gym.program.costs import COST_COLUMNS, NOT_COUNTED, OPERATIONS

DEFAULT = "operations"
"""Price of tables, fronts and commands that name none."""


class Counted(Protocol):
    """Costs of a decision, or a line of the results table."""

    def total(self, name: str) -> float | None:
        """Return a cost summed over layers; None if no layer has it or a module is uncounted."""


@dataclass(frozen=True, kw_only=True)
class Price:
    """Weights of the counts of ``Costs``."""

    name: str
    unit: str
    source: str
    """Origin of the numbers, and what they leave out."""
    each: Mapping[str, float]
    """Price of one of each count in ``unit``, by its name in ``Costs``; others cost nothing."""

    @property
    def heading(self) -> str:
        """Heading of a column."""
        return "Operations" if self.name == DEFAULT else f"{self.name} ({self.unit})"

    @property
    def axis(self) -> str:
        """Name of an axis or line."""
        return f"{self.unit} of a decision" + (f" by {self.name}" if self.name != DEFAULT else "")

    def of(self, costs: Counted) -> float | None:
        """Return the price of a decision; None if it has no operations or a module is uncounted."""
        totals = {name: costs.total(name) for name in self.each}
        if all(totals[name] is None for name in OPERATIONS):
            return None
        return sum(each * (totals[name] or 0.0) for name, each in self.each.items())

    def in_words(self, costs: Counted) -> str:
        """Return the price of a decision as a phrase."""
        price = self.of(costs)
        return f"{self.axis} {NOT_COUNTED}" if price is None else f"{price:,.0f} {self.axis}"


_FLOAT_ADD_PJ, _FLOAT_MULTIPLY_PJ = 0.9, 3.7
_SRAM_PJ = 10.0 / 8  # a byte, of 64 bits that are read together
_ACCESS_PJ, _UPDATE_PJ = 51.2, 21.6
_SYNAPSE_PJ = 35.5

PRICES: Mapping[str, Price] = {
    price.name: price
    for price in (
        Price(
            name=DEFAULT,
            unit="operations",
            source=COST_COLUMNS["operations_per_decision"].definition,
            each=dict.fromkeys(OPERATIONS, 1.0),
        ),
        Price(
            name="cmos45",
            unit="pJ",
            source="[Horowitz 2014](https://doi.org/10.1109/ISSCC.2014.6757323), 45 nm: 0.9 pJ for "
            "an addition of 32-bit floats (a SynOp), 3.7 for a multiplication (a MAC has both, and "
            "so has an update: of a leak, or of an activation) and 10 for 64 bits of an 8 KB SRAM, "
            "1.25 a byte. A parameter is read at every use, which adds 5 pJ to a SynOp or MAC; "
            "state is read and written. Control, transport and idle power are left out",
            each={
                "synops_per_decision": _FLOAT_ADD_PJ,
                "macs_per_decision": _FLOAT_MULTIPLY_PJ + _FLOAT_ADD_PJ,
                "neuron_updates_per_decision": _FLOAT_MULTIPLY_PJ + _FLOAT_ADD_PJ,
                "parameter_bytes_per_decision": _SRAM_PJ,
                "state_bytes_per_decision": 2 * _SRAM_PJ,
            },
        ),
        Price(
            name="loihi",
            unit="pJ",
            source="Loihi's table of [SANA-FE](https://github.com/SLAM-Lab/SANA-FE), from [Davies "
            "et al. 2018](https://doi.org/10.1109/MM.2018.112130359): 35.5 pJ a synapse, 69.3 a "
            "spike, 111 a message (of a spike to the core of each layer that receives it), 51.2 an "
            "access to a neuron and 21.6 its update. Memory is included, idle power and hops "
            "between cores are not. Loihi has no ANNs: a MAC is priced as a synapse with a graded "
            "spike, and a unit's update as access and update. This favours ANNs, whose messages "
            "are free",
            each={
                "synops_per_decision": _SYNAPSE_PJ,
                "macs_per_decision": _SYNAPSE_PJ,
                "neuron_updates_per_decision": _ACCESS_PJ + _UPDATE_PJ,
                "spikes_per_decision": 69.3,
                "messages_per_decision": 111.0,
            },
        ),
    )
}
"""Prices that follow from costs, by name."""


def known_price(name: str) -> Price:
    """Return the price that has a name; raise ValueError if there is none."""
    if name not in PRICES:
        raise ValueError(
            f"the cost {name!r} is unknown{did_you_mean(name, PRICES)} known: {', '.join(PRICES)}"
        )
    return PRICES[name]
