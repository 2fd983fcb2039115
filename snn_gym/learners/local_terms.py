"""Terms of local regulation: what a hidden synapse does for its neuron, pure functions on arrays.

A term is a function of what a synapse sees of a whole decision, and of constants; it returns the
change of the synapse's weight. ``LocalActorCritic(regulation=...)`` adds the terms to whatever its
rule of plasticity does, at every environment step. With r the slow trace of the neuron's firing
rate and ``d`` the distance (Hz) of r from its range, 0 inside, positive above, negative below:

- ``homeostasis``: the bias falls by ``d``, which is the threshold rising as far;
- ``scaling``: all incoming weights shrink by a share ``d``;
- ``revival``: the bias of a neuron that has been silent for long enough rises;
- ``lean``: weights fall by what the neuron's spikes cost, times how much they raise its rate.

As rules of plasticity (``snn_gym.synapses.plasticity``), the functions work on arrays of any shape:
on whole layers by numpy (stepped), compiled by numba, and on a single synapse, by which it is known
that none sees another. What a neuron tells its synapses and what is told to all of them is in
``Lived``; nothing else is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from snn_gym.compilation import njit


class Lived(NamedTuple):
    """What a synapse sees of a decision; float64, for a layer of shapes that fit (D + 1, N)."""

    weight: Any
    """(D + 1, N), the synapse's weight."""
    is_bias: Any
    """(D + 1, 1), 1 for the bias, the synapse of an input that is always 1; else 0."""
    eligibility: Any
    """(D + 1, N), what the rule of plasticity made of the decision, before any error: how much a
    larger weight would have raised the neuron's rate, in spikes per time step."""
    beyond_hz: Any
    """(1, N), distance of the slow trace of the neuron's firing rate from its range: 0 inside,
    positive above, negative below."""
    rate: Any
    """(1, N), that trace in spikes per time step, 0 to 1."""
    silent_for: Any
    """(1, N), decisions in a row for which that trace has been below that of a silent neuron."""
    price: Any
    """(1, N), synapses that leave the neuron."""
    permission: Any
    """(1, 1), broadcast: 1 where the return neither rises nor falls any more, else 0."""


class TermConstants(NamedTuple):
    """Constants of the terms; see ``LocalRegulation``."""

    homeostasis_step: float
    """Change of the bias for each Hz, in units of the input current."""
    scaling_step: float
    """Change of the weights for each Hz, as a share of them."""
    revival_step: float
    """Change of the bias, in units of the input current."""
    silent_decisions: float
    """Silent decisions from one revival to the next."""
    lean_step: float
    """Change of a weight for a price of 1."""


Term = Callable[[Lived, TermConstants], Any]


def homeostasis(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that brings a neuron's rate into its range by its threshold.

    ``b <- b - step d``: intrinsic plasticity (Triesch 2005, https://doi.org/10.1007/11550822_11).
    His rule shapes the distribution of outputs by gain and offset, this one moves the offset alone.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    return -constants.homeostasis_step * lived.beyond_hz * lived.is_bias


def scaling(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that brings a neuron's rate into its range by all of its weights alike.

    ``w <- w - step d w``: synaptic scaling (Turrigiano 2008,
    https://doi.org/10.1016/j.cell.2008.10.008) in the form of van Rossum, Bi and Turrigiano (2000,
    https://doi.org/10.1523/JNEUROSCI.20-23-08812.2000), ``dw/dt = beta w (a_goal - a)``.
    Differences: a range in the place of ``a_goal``, no integral term, and weights of both signs,
    the bias included, are scaled alike.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    return -constants.scaling_step * lived.beyond_hz * lived.weight


def revival(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that wakes a neuron which has been silent for long.

    ``b <- b + step`` after each ``silent_decisions`` silent decisions in a row. Ours:
    deterministic, and unlike homeostasis nothing to a neuron that fires however little.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    due = (lived.silent_for > 0.0) & (lived.silent_for % constants.silent_decisions == 0.0)
    return constants.revival_step * due * lived.is_bias


def lean(lived: Lived, constants: TermConstants) -> Any:
    """Return the change that takes spikes from a neuron, by what they cost.

    ``w <- w - step p (1/2 + 2 f) e`` where performance permits it, with the price p, the rate f and
    the eligibility e: downhill on the cost ``p (f / 2 + f^2)`` of
    ``snn_gym.spiking.regulation.shedding``, as the rate regulariser of e-prop is (Bellec et al.
    2020, https://doi.org/10.1038/s41467-020-17236-y), with the slow trace in the place of the mean
    over a batch.

    Args:
        lived: What the synapses see.
        constants: Of the terms.
    """
    cost = lived.price * (0.5 + 2.0 * lived.rate)
    return -constants.lean_step * lived.permission * cost * lived.eligibility


TERMS: dict[str, Term] = {
    "homeostasis": homeostasis,
    "scaling": scaling,
    "revival": revival,
    "lean": lean,
}
"""Terms by name."""

_homeostasis, _scaling, _revival, _lean = (
    njit(cache=True, error_model="numpy")(term) for term in TERMS.values()
)


@njit(cache=True, error_model="numpy")
def changes(lived: Lived, constants: TermConstants) -> Any:
    """Return the sum (D + 1, N) of all terms that are on, compiled.

    Args:
        lived: What the synapses of a layer see.
        constants: Of the terms.
    """
    total = np.zeros(lived.weight.shape)
    if constants.homeostasis_step:
        total += _homeostasis(lived, constants)
    if constants.scaling_step:
        total += _scaling(lived, constants)
    if constants.revival_step:
        total += _revival(lived, constants)
    if constants.lean_step:
        total += _lean(lived, constants)
    return total
