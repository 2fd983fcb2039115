"""Local rules of plasticity of hidden synapses, as pure functions on arrays.

A rule maps the inputs of a synapse at a time step, its state and constants to the next state and
the synapse's eligibility for change. The eligibility is summed over a decision's time steps with
the decoder's weights. ``LocalActorCritic`` multiplies it by the learning signal of the neuron and
by the TD error. The plasticity environments and ``SynapseAgents`` show it to synapses as a feature
(``snn_gym.envs.synapses.local_measures``).

The function works on arrays of any shape, so one text serves four uses: numpy on whole layers,
numba, numpy on many decisions of a layer at once, and single synapses in ``check_locality``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.names import check_new_name

Array = NDArray[np.float64]
State = tuple[Any, ...]


class Seen(NamedTuple):
    """Inputs of a rule at a time step, float64, that broadcast to a layer (D + 1, N).

    M decisions at once add an axis before these two. There are no other inputs: no weights of other
    synapses, no errors of neurons, no reward.
    """

    pre: Any
    """(D + 1, 1), the held input, or a spike (0 or 1) of the layer below; 1 of the bias."""
    post: Any
    """(1, N), spike of the synapse's neuron at this time step, 0 or 1."""
    potential: Any
    """(1, N), that neuron's potential before a spike resets it."""
    window: Any
    """(1, N), surrogate derivative as a share of its maximum, such as SuperSpike's
    ``1 / (1 + slope |potential - threshold|)^2``.
    """
    weight: Any
    """(D + 1, N)."""
    gain: Any
    """(1, 1), ``dt / tau_mem``, share of the input that reaches the potential; 1 without leak."""


Step = Callable[[Seen, State, Any], tuple[State, Any]]


@dataclass(frozen=True)
class PlasticityRule:
    """A local rule of hidden synapses.

    Args:
        step: ``step(seen, state, constants) -> (state, eligibility)``, a pure function of the
            arrays in ``seen``, of the tuple ``state`` and of ``constants``, with elementwise
            operations only.
        state: Names of a synapse's state variables, at least one; they start at 0 in each decision.
        constants: A ``NamedTuple`` of numbers.
        compiled: Whether numba compiles it for ``LocalActorCritic``, decision by decision; without
            numba, numpy runs it, a few times as slow. The feature of synapses always uses numpy,
            over many decisions at once.
    """

    step: Step
    state: tuple[str, ...]
    constants: Any = ()
    compiled: bool = True


class NoConstants(NamedTuple):
    """Constants of a rule without constants."""

    unused: float = 0.0


def three_factor(seen: Seen, state: State, _: Any) -> tuple[State, Any]:
    """Return the next state, and as eligibility the input since the last spike times the window.

    ``c <- c + g (pre - c)``, e = ψ c, then c is 0 after a spike: e-prop's eligibility (Bellec et
    al. 2020, https://doi.org/10.1038/s41467-020-17236-y) without recurrence.
    """
    charged = state[0] + seen.gain * (seen.pre - state[0])
    return ((1.0 - seen.post) * charged,), seen.window * charged


class STDPConstants(NamedTuple):
    """Constants of ``r_stdp``."""

    kept: float = 0.8  # Decay of a spike trace over one time step
    potentiation: float = 1.0  # Weight of a spike that comes after the input
    depression: float = 0.5  # Weight of input that comes after the spike


def r_stdp(seen: Seen, state: State, constants: Any) -> tuple[State, Any]:
    """Return the next state, and the eligibility by pair-based spike-timing-dependent plasticity.

    ``x <- k x + pre``, e = A+ x post - A- y pre, then ``y <- k y + post``: all pairs of an input
    and a spike count, simultaneous ones as potentiation. Florian 2007, Neural Computation 19,
    https://doi.org/10.1162/neco.2007.19.6.1468, equations of MSTDP; differences: held inputs are
    graded, and the TD error replaces the reward.
    """
    before, after = state
    before = constants.kept * before + seen.pre
    eligible = constants.potentiation * before * seen.post
    eligible = eligible - constants.depression * after * seen.pre
    return (before, constants.kept * after + seen.post), eligible


RULES: dict[str, PlasticityRule] = {
    "three_factor": PlasticityRule(three_factor, ("charge",), NoConstants()),
    "r_stdp": PlasticityRule(r_stdp, ("before", "after"), STDPConstants()),
}
"""Rules by name; ``register_rule`` adds one."""


def register_rule(name: str, rule: PlasticityRule) -> None:
    """Register a rule under a name for learners and the plasticity environments.

    ``LocalActorCritic(rule=...)`` learns by it; synapses observe it in the plasticity environments,
    ``features=("weight", "eligibility"), rule=...``, and in ``SynapseAgents(plasticity_rule=...)``.
    Files hold the name, never code: register the rule before you load an agent that uses it.

    Args:
        name: An identifier that no rule has yet.
        rule: The rule.

    Raises:
        ValueError: The name is no identifier or is taken, or the rule is not local or has no state.

    Example:
        >>> from snn_gym.envs.synapses import PlasticityRule, register_rule
        >>> def hebb(seen, state, constants):
        ...     trace = 0.8 * state[0] + seen.pre
        ...     return (trace,), trace * seen.post
        >>> register_rule("hebb", PlasticityRule(hebb, state=("trace",)))
    """
    check_new_name(name, "rule", RULES)
    if not rule.state:
        raise ValueError(f"rule {name!r} names no state; name at least one number, used or not")
    check_locality(name, rule)
    RULES[name] = rule


def check_rule(name: str, where: str) -> None:
    """Raise ValueError if no rule has this name; ``where`` is the setting in the message."""
    if name not in RULES:
        raise ValueError(
            f"{where} {name!r} is unknown; allowed: {', '.join(RULES)}; one of your own is "
            "registered first, by snn_gym.envs.synapses.register_rule"
        )


def check_locality(name: str, rule: PlasticityRule) -> None:
    """Raise ValueError for a rule that mixes synapses, changes its arguments or reads other inputs.

    The rule runs on layers of random numbers, also for two decisions at once, and then on each
    synapse alone, which must give the same.
    """
    rng = np.random.default_rng(0)
    # Three random layers, then two decisions at once.
    for shape in ((3, 4), (3, 4), (3, 4), (2, 3, 4)):
        seen = _random_inputs(rng, shape)
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
    """Raise ValueError if a function of arrays mixes synapses of a layer or changes its arguments.

    ``parts`` broadcast to ``shape``, (D + 1, N) or (M, D + 1, N).
    """
    before = [part.copy() for part in parts]
    whole = function(*parts)
    if not all(map(np.array_equal, before, parts)):
        raise ValueError(f"{name} changes its arguments; return new arrays")
    for place in np.ndindex(shape):
        only = tuple(slice(k, k + 1) for k in place)
        alone = function(*(np.broadcast_to(part, shape)[only].copy() for part in parts))
        is_same = [
            np.allclose(np.broadcast_to(result, shape)[place], single, equal_nan=True)
            for result, single in zip(whole, alone, strict=True)
        ]
        if not all(is_same):
            raise ValueError(
                f"{name} is not local: what synapse {place} becomes depends on others; use "
                "operations that go element by element"
            )


def _random_inputs(rng: np.random.Generator, shape: tuple[int, ...]) -> Seen:
    *decisions, inputs, neurons = shape
    by_neuron = (*decisions, 1, neurons)
    return Seen(
        pre=rng.normal(size=(*decisions, inputs, 1)),
        post=(rng.random(by_neuron) < 0.5).astype(np.float64),
        potential=rng.normal(size=by_neuron),
        window=rng.random(by_neuron),
        weight=rng.normal(size=(inputs, neurons)),
        gain=np.full((1, 1), 0.5),
    )


def _run(name: str, rule: PlasticityRule, parts: tuple[Array, ...]) -> tuple[Any, ...]:
    """Return state and eligibility after a time step; ``parts`` are inputs, then state.

    A rule that reads another input or returns another number of states raises ValueError.
    """
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
