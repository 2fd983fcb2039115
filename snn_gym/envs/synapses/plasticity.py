"""Local rules of plasticity, and the features of a synapse that agents observe.

A rule maps the inputs of a synapse at a time step, its state and constants to the next state and
the synapse's eligibility for change. The eligibility is summed over a decision's time steps with
the decoder's weights. ``LocalActorCritic`` multiplies it by the learning signal of the neuron and
by the TD error. The plasticity environments and ``SynapseAgents`` show it to synapses as a feature
(``snn_gym.envs.synapses.local_measures``).

The function works on arrays of any shape, so one text serves four uses: numpy on whole layers,
numba, numpy on many decisions of a layer at once, and single synapses in ``check_locality``.

The founding paper (Zheng et al. 2026, https://www.mdpi.com/2313-7673/11/1/47) builds the state of a
synapse from its past actions, past rewards, present weight and place in the network; its exact
definitions are not public. These definitions are ours, and so are the blocks of local dynamics and
of the eligibility by a rule of plasticity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snn_gym._base.names import check_new_name
from snn_gym.envs.batch import few

if TYPE_CHECKING:  # names of features and rules must not load torch
    from snn_gym.spiking.population import SynapseTable

# ---- rules ---------------------------------------------------------------------------------------
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
    """Run a rule for one time step, and return its new state variables and the eligibility.

    ``parts`` are the fields of ``Seen``, followed by the state variables before the step.

    Raises:
        ValueError: The rule, which is called ``name``, reads an input that ``Seen`` does not have,
            or returns another number of state variables.
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


# ---- features ------------------------------------------------------------------------------------
FEATURES = ("action_history", "reward_history", "weight", "topology", "dynamics", "eligibility")
"""Blocks of features, in the order of observations."""

MEASURED = ("dynamics", "eligibility")
"""Blocks that are measured while the network is judged."""

_BASE_PRESETS: dict[str, tuple[str, ...]] = {
    "history": ("action_history", "reward_history"),
    "weight": ("weight",),
    "weight+topology": ("weight", "topology"),
    "history+weight": ("action_history", "reward_history", "weight"),
    "history+topology": ("action_history", "reward_history", "topology"),
    "all": ("action_history", "reward_history", "weight", "topology"),
}
PRESETS: dict[str, tuple[str, ...]] = {
    **_BASE_PRESETS,
    **{f"{name}+dynamics": (*mask, "dynamics") for name, mask in _BASE_PRESETS.items()},
}
"""Presets by name; ``weight+topology`` is the founding paper's best."""

LOCAL_MEASURES = ("pre_rate", "post_rate", "coincidence", "window", "drive", "eligibility")
"""Names of the six measures, in their order."""

RULE_ELIGIBILITY = "rule_eligibility"
"""Name of the seventh measure, of a rule."""

TOPOLOGY = ("layer", "pre_index", "post_index", "fan_in", "fan_out")
"""Names of the columns of the block ``topology``."""

_MEASURES = len(LOCAL_MEASURES)


def check_features(features: Sequence[str]) -> tuple[str, ...]:
    """Return names in the order of ``FEATURES``; ValueError if none, unknown or repeated."""
    unknown = sorted(set(features) - set(FEATURES))
    if unknown or len(set(features)) != len(features):
        raise ValueError(
            f"features {list(features)} are unknown or repeated; allowed, each once: "
            f"{', '.join(FEATURES)}"
        )
    if not features:
        raise ValueError(
            f"features are empty, so that synapses see nothing; name at least one of "
            f"{', '.join(FEATURES)}"
        )
    return tuple(name for name in FEATURES if name in features)


def check_seen_rule(features: Sequence[str], rule: str | None) -> None:
    """Raise ValueError if only one of rule of plasticity and feature ``eligibility`` is given."""
    if "eligibility" in features and rule is None:
        raise ValueError(
            "the feature 'eligibility' is what a rule of plasticity makes of the decisions, got no "
            f"rule; give rule=..., one of {', '.join(RULES)}"
        )
    if rule is not None and "eligibility" not in features:
        raise ValueError(
            f"synapses do not see what rule={rule!r} makes of the decisions; add its feature: "
            f"features={(*features, 'eligibility')}"
        )


class SynapseFeatures:
    """Observations of the synapses of N networks.

    ``features`` are blocks of ``FEATURES``, ``table`` holds the places of the synapses,
    ``weight_limit`` becomes 1, and ``history`` is the number h of past actions and rewards.
    """

    def __init__(
        self, features: Sequence[str], table: SynapseTable, weight_limit: float, history: int = 2
    ) -> None:
        self.features = check_features(features)
        self.history = history
        self._weight_limit = weight_limit
        self._topology = topology(table)
        columns = {
            "action_history": tuple(f"action_{k + 1}_ago" for k in range(history)),
            "reward_history": tuple(f"reward_{k + 1}_ago" for k in range(history)),
            "weight": ("weight",),
            "topology": TOPOLOGY,
            "dynamics": LOCAL_MEASURES,
            "eligibility": (RULE_ELIGIBILITY,),
        }
        # Names of the F columns.
        self.names = tuple(name for block in self.features for name in columns[block])

    def observe(
        self,
        weights: NDArray[np.float32],
        actions: NDArray[np.int8],
        rewards: NDArray[np.floating],
        dynamics: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the features of every synapse (N, W, F), float32 in [-1, 1].

        ``weights`` are (N, W); past moves (N, h, W) and rewards (N, h) have the latest first, and
        rewards are clipped to [-1, 1]. ``dynamics`` (N, W, K) are needed for ``dynamics`` (the
        first six) and ``eligibility`` (the seventh). Missing measures and rewards that are not
        finite raise ValueError.
        """
        if not np.isfinite(rewards).all():
            wrong = rewards[~np.isfinite(rewards)]
            raise ValueError(
                f"rewards {few(wrong)} ({wrong.size} of {rewards.size}) are not finite; give the "
                "job finite scores"
            )
        measured = [name for name in MEASURED if name in self.features]
        if dynamics is None and measured:
            raise ValueError(
                f"the feature {measured[0]!r} needs measured local dynamics, got none; judge the "
                f"networks with a job that measures, or leave {measured[0]!r} out"
            )
        measures: Any = dynamics
        # Functions, so that only the chosen blocks are computed.
        blocks: dict[str, Callable[[], Any]] = {
            "action_history": lambda: actions.transpose(0, 2, 1),
            "reward_history": lambda: np.clip(rewards, -1.0, 1.0)[:, np.newaxis],
            "weight": lambda: np.clip(weights / self._weight_limit, -1.0, 1.0)[..., np.newaxis],
            "topology": lambda: self._topology[np.newaxis],
            "dynamics": lambda: measures[..., :_MEASURES],
            "eligibility": lambda: measures[..., _MEASURES, np.newaxis],
        }
        observed = np.empty((*weights.shape, len(self.names)), np.float32)
        start = 0
        for name in self.features:
            block = blocks[name]()
            observed[..., start : start + block.shape[-1]] = block
            start += block.shape[-1]
        return observed


def topology(table: SynapseTable) -> NDArray[np.float32]:
    """Return the places of synapses (W, 5), float32 in [-1, 1], columns as in ``TOPOLOGY``.

    Layer and indices run evenly from -1 to 1 (a single one is 0; a bias's index is the last one),
    fan-in and fan-out are shares of the network's largest, from -1 (none) to 1.
    """
    last = np.maximum(
        np.stack([np.full(len(table), table.layer.max()), table.fan_in - 1, table.fan_out - 1]), 1
    )
    places = np.stack([table.layer, table.pre, table.post])
    is_single = np.stack(
        [np.full(len(table), table.layer.max() == 0), table.fan_in == 1, table.fan_out == 1]
    )
    spread = np.where(is_single, 0.0, 2.0 * places / last - 1.0)
    fans = np.stack([table.fan_in / table.fan_in.max(), table.fan_out / table.fan_out.max()])
    columns: NDArray[np.float32] = np.concatenate([spread, 2.0 * fans - 1.0]).T.astype(np.float32)
    return columns
