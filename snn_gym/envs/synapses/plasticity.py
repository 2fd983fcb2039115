"""Rules of plasticity: what a hidden synapse makes of what it sees, as pure functions on arrays.

A rule is a function of what a synapse sees at a time step, of its state and of constants; it
returns the next state and how eligible the synapse is for change. The eligibility is summed over a
decision's time steps with the decoder's weights (``snn_gym.envs.synapses.local_measures``), and two
read it. ``LocalActorCritic`` learns by it: times the signal that the feedback brings to the neuron,
it follows a trace, and the weight follows the TD error times that trace. In the plasticity
environments and to ``SynapseAgents`` it is something that a synapse sees
(``snn_gym.envs.synapses.local_measures``).

The function works on arrays of any shape, so one text serves four ways: on whole layers by numpy
(stepped), compiled by numba, by numpy on many decisions of a layer at once, and on a single
synapse, by which ``check_locality`` knows that none sees another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
State = tuple[Any, ...]


class Seen(NamedTuple):
    """Inputs of a rule at a time step; float64, for a layer of shapes that fit (D + 1, N).

    Where M decisions stand side by side, arrays have an axis of them before these two. There is no
    more: not the weights of others, not the errors of neurons, not the reward.
    """

    pre: Any
    """(D + 1, 1), what comes in: the held input, or a spike (0 or 1) of the layer below; 1 of the
    bias."""
    post: Any
    """(1, N), spike of the synapse's neuron at this time step, 0 or 1."""
    potential: Any
    """(1, N), that neuron's potential before a spike resets it."""
    window: Any
    """(1, N), surrogate derivative as a share of its maximum, such as SuperSpike's
    ``1 / (1 + slope |potential - threshold|)^2``."""
    weight: Any
    """(D + 1, N), the synapse's weight."""
    gain: Any
    """(1, 1), ``dt / tau_mem``, the share of the input that reaches the potential; 1 if none leaks
    away."""


Step = Callable[[Seen, State, Any], tuple[State, Any]]


@dataclass(frozen=True)
class PlasticityRule:
    """A local rule of hidden synapses.

    Args:
        step: ``step(seen, state, constants) -> (state, eligibility)``, a pure function of the
            arrays in ``seen``, of the tuple ``state`` and of ``constants``, all of whose operations
            go element by element.
        state: Names of the numbers that a synapse keeps from time step to time step; 0 where a
            decision begins.
        constants: A ``NamedTuple`` of numbers.
        compiled: Whether numba compiles it for ``LocalActorCritic``, decision by decision; if not,
            numpy runs it, a few times as slow. What synapses see of it is always numpy's, over many
            decisions at once.
    """

    step: Step
    state: tuple[str, ...]
    constants: Any = ()
    compiled: bool = True


class Nothing(NamedTuple):
    """The constants of a rule that has none."""

    nothing: float = 0.0


def three_factor(seen: Seen, state: State, _: Any) -> tuple[State, Any]:
    """Return what the input has left in the potential since the last spike, times the window.

    ``c <- c + g (pre - c)``, e = ψ c, then c is 0 after a spike: e-prop's eligibility (Bellec et
    al. 2020, https://doi.org/10.1038/s41467-020-17236-y) without recurrence.
    """
    charged = state[0] + seen.gain * (seen.pre - state[0])
    return ((1.0 - seen.post) * charged,), seen.window * charged


class STDPConstants(NamedTuple):
    """Constants of ``r_stdp``."""

    kept: float = 0.8
    """Decay of a spike trace over one time step."""
    potentiation: float = 1.0
    """Weight of a spike that comes after the input."""
    depression: float = 0.5
    """Weight of input that comes after the spike."""


def r_stdp(seen: Seen, state: State, constants: Any) -> tuple[State, Any]:
    """Return pair-based spike-timing-dependent plasticity, to be modulated by reward.

    ``x <- k x + pre``, e = A+ x post - A- y pre, then ``y <- k y + post``: all pairs of an input
    and a spike count, simultaneous ones as potentiation. Florian 2007, Neural Computation 19,
    https://doi.org/10.1162/neco.2007.19.6.1468, equations of MSTDP; differences: held inputs are
    graded, and the TD error stands in the place of the reward.
    """
    before, after = state
    before = constants.kept * before + seen.pre
    eligible = constants.potentiation * before * seen.post
    eligible = eligible - constants.depression * after * seen.pre
    return (before, constants.kept * after + seen.post), eligible


RULES: dict[str, PlasticityRule] = {
    "three_factor": PlasticityRule(three_factor, ("charge",), Nothing()),
    "r_stdp": PlasticityRule(r_stdp, ("before", "after"), STDPConstants()),
}
"""Rules by name; ``register_rule`` adds to it."""


def register_rule(name: str, rule: PlasticityRule) -> None:
    """Add a rule to those that learners and the plasticity environments can name.

    ``LocalActorCritic(rule=...)`` learns by it; synapses see it in the plasticity environments,
    ``features=("weight", "eligibility"), rule=...``, and in ``SynapseAgents(plasticity_rule=...)``.
    Files hold the name, never code: who loads an agent of this rule registers it first.

    Args:
        name: An identifier that no rule has yet.
        rule: The rule.

    Raises:
        ValueError: The name is no identifier or is taken, or the rule is not local.

    Example:
        >>> from snn_gym.envs.synapses import PlasticityRule, register_rule
        >>> def hebb(seen, state, constants):
        ...     trace = 0.8 * state[0] + seen.pre
        ...     return (trace,), trace * seen.post
        >>> register_rule("hebb", PlasticityRule(hebb, state=("trace",)))
    """
    if not name.isidentifier():
        raise ValueError(f"the name of a rule must be an identifier, got {name!r}")
    if name in RULES:
        raise ValueError(f"rule {name!r} is registered already: {', '.join(RULES)}")
    if not rule.state:
        raise ValueError(f"rule {name!r} names no state; name at least one number, used or not")
    check_locality(name, rule)
    RULES[name] = rule


def check_rule(name: str, where: str) -> None:
    """Refuse the name of no rule, for settings that name one.

    Args:
        name: A key of ``RULES``.
        where: What names it, for the message.

    Raises:
        ValueError: There is no such rule.
    """
    if name not in RULES:
        raise ValueError(
            f"{where} {name!r} is unknown; allowed: {', '.join(RULES)}; one of your own is "
            "registered first, by snn_gym.envs.synapses.register_rule"
        )


def check_locality(name: str, rule: PlasticityRule) -> None:
    """Refuse a rule by which a synapse sees what is not at the synapse.

    It is run on a layer of chance numbers, also in two decisions side by side, and then on each
    synapse alone, which has to give the same.

    Args:
        name: Its name, for the message.
        rule: The rule.

    Raises:
        ValueError: It reads what ``Seen`` does not have, mixes synapses, or changes its arguments.
    """
    rng = np.random.default_rng(0)
    for shape in ((3, 4), (3, 4), (3, 4), (2, 3, 4)):
        seen = _chance(rng, shape)
        state = tuple(rng.normal(size=shape) for _ in rule.state)
        check_elementwise(
            f"rule {name!r}", lambda *parts: _run(name, rule, parts), (*seen, *state), shape
        )


def check_elementwise(
    name: str,
    function: Callable[..., tuple[Any, ...]],
    parts: tuple[Array, ...],
    shape: tuple[int, ...],
) -> None:
    """Refuse a function of a layer's arrays by which one synapse gets to know of another.

    Args:
        name: What it is, for the message.
        function: Takes the arrays, and returns others.
        parts: Arrays of shapes that fit ``shape``, of chance numbers.
        shape: Of the layer's synapses, (D + 1, N) or (M, D + 1, N).

    Raises:
        ValueError: It mixes synapses, or changes its arguments.
    """
    before = [x.copy() for x in parts]
    whole = function(*parts)
    if not all(map(np.array_equal, before, parts)):
        raise ValueError(f"{name} changes its arguments; return new arrays")
    for place in np.ndindex(shape):
        only = tuple(slice(k, k + 1) for k in place)
        at = (np.broadcast_to(x, shape)[only].copy() for x in parts)
        same = [
            np.allclose(np.broadcast_to(x, shape)[place], y, equal_nan=True)
            for x, y in zip(whole, function(*at), strict=True)
        ]
        if not all(same):
            raise ValueError(
                f"{name} is not local: what synapse {place} becomes depends on others; use "
                "operations that go element by element"
            )


def _chance(rng: np.random.Generator, shape: tuple[int, ...]) -> Seen:
    *decisions, inputs, neurons = shape
    across = (*decisions, 1, neurons)
    return Seen(
        pre=rng.normal(size=(*decisions, inputs, 1)),
        post=(rng.random(across) < 0.5).astype(np.float64),
        potential=rng.normal(size=across),
        window=rng.random(across),
        weight=rng.normal(size=(inputs, neurons)),
        gain=np.full((1, 1), 0.5),
    )


def _run(name: str, rule: PlasticityRule, parts: tuple[Array, ...]) -> tuple[Any, ...]:
    """Return state and eligibility after a time step, from what is seen and the state."""
    seen, state = Seen(*parts[: len(Seen._fields)]), parts[len(Seen._fields) :]
    try:
        new, eligible = rule.step(seen, state, rule.constants)
    except AttributeError as error:
        if error.obj is not seen:
            raise
        raise ValueError(
            f"rule {name!r} reads {error.name!r}, which no synapse sees; it sees "
            f"{', '.join(Seen._fields)}"
        ) from error
    if len(new) != len(state):
        raise ValueError(
            f"rule {name!r} has {len(state)} numbers of state ({', '.join(rule.state)}) and "
            f"returns {len(new)}"
        )
    return (*new, eligible)
