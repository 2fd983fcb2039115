"""Neurons of one layer: one time step, and a stepped run of all time steps.

``run_stepped`` evaluates a neuron's text once per time step. It is the reference (any device and
dtype, differentiable twice) that the compiled kernels of the same text are tested against.
"""

from __future__ import annotations

import copyreg
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib import import_module
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym._base.lazy import cached
from snn_gym.program.builtin_neurons import IAF, LIF, SURROGATES, LIFBox
from snn_gym.program.expressions import Expression, evaluate, names_in
from snn_gym.program.neuron import (
    MOVED,
    SPIKE,
    Equations,
    Neuron,
    NeuronParameters,
    autonomous,
    constant_of,
    equations,
    is_affine,
    is_time_constant,
    threshold,
)

# ---- base ----------------------------------------------------------------------------------------
Array = NDArray[np.float32]
_LARGEST_CURRENT, _HALVINGS = 1e6, 60
"""Limits of the search for a rheobase."""

State = tuple[Tensor, ...]
"""State variables of a layer, each (B, N); the first is the membrane potential."""


@dataclass(frozen=True, eq=False)
class Breaks:
    """Environment steps of a sequence of L at which the state is reset."""

    starts: Tensor
    """(L, B) bool: the sample's state is reset to rest before that environment step."""
    recurrent_gradient: bool = True
    """Whether gradients pass back through recurrent spikes."""

    @cached_property
    def _resets(self) -> list[bool]:
        """L times: whether any sample is reset."""
        return cast(list[bool], self.starts.any(1).tolist())

    def enter(self, step: int, carried: State, rest: State) -> State:
        """Return the state ``carried`` to a step, or ``rest`` for samples that start an episode."""
        if not self._resets[step]:
            return carried
        starts = self.starts[step].unsqueeze(-1)
        return tuple(torch.where(starts, r, x) for x, r in zip(carried, rest, strict=True))


@lru_cache(maxsize=64)
def no_breaks(batch: int) -> Breaks:
    """Return breaks of a single decision that continues from the given state."""
    return Breaks(torch.zeros((1, batch), dtype=torch.bool))


class Run(NamedTuple):
    """A layer's run over L environment steps of T time steps; a single decision has L = 1."""

    spikes: Tensor
    """(L * T, B, N)."""
    voltages: Tensor
    """(L * T, B, N), before the reset."""
    final: State
    """State variables at the end, each (B, N)."""
    entered: State
    """State variables at the start of each environment step, each (L * B, N)."""


def as_array(tensor: Tensor) -> Array:
    """Return a copy of a tensor's numbers on the CPU, float32."""
    return tensor.detach().cpu().float().numpy().copy()


class LayerNeurons:
    """Neurons of one layer, defined by a ``Neuron`` class (``text``), with our surrogate gradients.

    With ``by_norse``, Norse's step function integrates the neurons that it has, in place of the
    text; spikes and potentials are the same bit for bit.
    """

    def __init__(
        self,
        text: type[Neuron],
        parameters: NeuronParameters,
        dt_ms: float,
        surrogate: str,
        slope: float,
        *,
        by_norse: bool = False,
    ) -> None:
        self.text = text
        self.parameters = parameters
        self.dt_ms = dt_ms
        self.surrogate = surrogate
        self.slope = slope
        self.by_norse = by_norse
        self.learned: dict[str, LearnedConstant] = {}
        """Learned constants by field of the parameters."""
        self.numbers = dict(text.constants(parameters, dt_ms))
        """Configured constants by name."""
        rounded = {x: float(np.float32(value)) for x, value in self.numbers.items()}
        self._fixed = SimpleNamespace(**rounded)
        self._given: SimpleNamespace | None = None
        rest = text.rest(SimpleNamespace(**self.numbers))
        self.rest = tuple(float(x) for x in rest)
        """Rest value of each state variable, for configured constants."""
        used = self.equations.constants
        self.constants: Array = np.array([[rounded[x]] for x in used], np.float32).reshape(-1, 1)
        """(P, 1) float32, constants in the order of the equations, for the kernels."""
        self.v_threshold = self._threshold_at_rest()
        # (S, 1), stored because acting reads it at every decision
        self.rest32: Array = np.array(self.rest, dtype=np.float32)[:, np.newaxis]

    @property
    def equations(self) -> Equations:
        """Equations of the neuron, as expressions."""
        return equations(self.text)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables, the recorded one first."""
        return self.text.state

    def learn(self, names: Iterable[str], size: int) -> None:
        """Make constants learned, one value per neuron; skip names that the neuron lacks."""
        for name in names:
            if name in self.parameters.learnable_fields:
                self.learned[name] = LearnedConstant(name, self.parameters, self.dt_ms, size)

    @property
    def values(self) -> SimpleNamespace:
        """Constants by name: numbers, or tensors (N,) where they are learned."""
        if self._given is not None or not self.learned:
            return self._given or self._fixed
        learned = {constant_of(x): constant.value for x, constant in self.learned.items()}
        return SimpleNamespace(**{**vars(self._fixed), **learned})

    def own_constants(self, size: int) -> Tensor:
        """Return the constants of each neuron, (P, size), in the order of the equations."""
        values = vars(self.values)
        rows = [torch.as_tensor(values[x]).expand(size) for x in self.equations.constants]
        return torch.stack(rows)

    def with_values(self, constants: Tensor) -> LayerNeurons:
        """Return a copy with the given constants (P, N), differentiable by them."""
        neurons = configured(self)
        by_name = dict(zip(self.equations.constants, constants, strict=True))
        neurons._given = SimpleNamespace(**{**vars(self._fixed), **by_name})
        return neurons

    def _threshold_at_rest(self) -> float | None:
        """Return the threshold of the recorded variable at rest, None if there is none."""
        expression = threshold(self.equations)
        if expression is None:
            return None
        state = dict(zip(self.equations.moved_names, self.rest, strict=True))
        return float(evaluate([expression], {**self.numbers, **state})[0])

    @property
    def tells_threshold(self) -> bool:
        """Whether there is a threshold that depends on spikes and time alone."""
        text, expression = self.equations, threshold(self.equations)
        if expression is None:
            return False
        moving = set(names_in(expression)).intersection(text.moved_names)
        return moving <= {MOVED + x for x in autonomous(text)}

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor | float | None:
        """Return a run's thresholds, or a constant one.

        They are (L * T, B, N). Return None unless ``tells_threshold``.
        """
        text, expression = self.equations, threshold(self.equations)
        if expression is None or not self.tells_threshold:
            return None
        if set(names_in(expression)).intersection(text.moved_names):
            return self._moving_thresholds(expression, spikes, entered)
        value = evaluate([expression], vars(self.values))[0]
        learned = isinstance(value, Tensor)
        return value.detach().expand_as(spikes) if learned else self.v_threshold

    def _moving_thresholds(self, expression: Expression, spikes: Tensor, entered: State) -> Tensor:
        """Return thresholds (L * T, B, N) that depend on spikes and time only."""
        text, values, names = self.equations, vars(self.values), autonomous(self.equations)
        places = [text.state.index(x) for x in names]
        state = [entered[s].view(-1, *spikes.shape[1:]) for s in places]
        thresholds = []
        # (L * T, B, N) -> (L, T, B, N): all environment steps at once, time step by time step
        for z in spikes.view(len(state[0]), -1, *spikes.shape[1:]).unbind(1):
            before = {**values, **dict(zip(names, state, strict=True))}
            moved = evaluate([text.moved[s] for s in places], before)
            moved_names = (MOVED + x for x in names)
            after = {**values, **dict(zip(moved_names, moved, strict=True)), SPIKE: z}
            value, *state = evaluate([expression, *(text.after[s] for s in places)], after)
            thresholds.append(value)
        return torch.stack(thresholds, dim=1).flatten(0, 1)

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state of ``size`` neurons at rest, each variable (batch, size)."""
        values = self.values  # learned constants are computed at each use
        if values is self._fixed:
            return tuple(like.new_full((batch, size), value) for value in self.rest)
        rest = (torch.as_tensor(x).detach().to(like) for x in self.text.rest(values))
        return tuple(x.expand(batch, size) for x in rest)

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step, without spike or reset."""
        if self.by_norse:
            by_norse = norse_integrate(self.text, self.parameters, self.dt_ms, self.learned)
            if by_norse is not None:
                return by_norse(current, state)
        s = SimpleNamespace(**dict(zip(self.text.state, state, strict=True)))
        return tuple(self.text.integrate(self.values, s, current))

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step with input (B, N); return spikes, potential and new state."""
        moved, p = self.integrate(current, state), self.values
        s = SimpleNamespace(**dict(zip(self.text.state, moved, strict=True)))
        z = spike(self.text.margin(p, s), self.surrogate, self.slope)
        return z, moved[0], tuple(self.text.after(p, s, z))

    def run_stepped(
        self,
        currents: Tensor,
        state: State,
        time_steps: int,
        recurrent_weight: Tensor | None = None,
        breaks: Breaks | None = None,
    ) -> Run:
        """Run all time steps of L environment steps, one at a time.

        Args:
            currents: Inputs (L * T, B, N), or (L, B, N) for inputs held over an environment step.
            state: State variables, each (B, N), from the previous environment step; with recurrent
                weights the last spikes come last.
            time_steps: T.
            recurrent_weight: (N, N), row i the synapses onto neuron i; None for no recurrence.
            breaks: Resets of the state; None for a single decision (L = 1).
        """
        batch, size = currents.shape[1:]
        rest = self.initial_state(batch, size, currents)
        if recurrent_weight is not None:
            rest = (*rest, torch.zeros_like(currents[0]))
        spikes, voltages, entered = [], [], []
        for k, inputs in enumerate(currents.chunk(1 if breaks is None else len(breaks.starts))):
            state = state if breaks is None else breaks.enter(k, state, rest)
            entered.append(state)
            for t in range(time_steps):
                current = inputs[min(t, len(inputs) - 1)]
                if recurrent_weight is None:
                    z, voltage, state = self.step(current, state)
                else:
                    *inner, z = state
                    if breaks is not None and not breaks.recurrent_gradient:
                        z = z.detach()
                    current = current + nn.functional.linear(z, recurrent_weight)
                    z, voltage, state = self.step(current, tuple(inner))
                    state = (*state, z)
                spikes.append(z)
                voltages.append(voltage)
        starts = tuple(torch.cat(variable) for variable in zip(*entered, strict=True))
        return Run(torch.stack(spikes), torch.stack(voltages), state, starts)

    def rheobase(self, time_steps: int) -> float:
        """Return the least constant current that fires a resting neuron within ``time_steps``.

        Learned constants count as configured. If input reaches the potential only later, the steps
        until then count as well. Infinity if no current fires the neuron.
        """
        if self.learned:  # the initial weights are scaled for the configured constants
            return configured(self).rheobase(time_steps)
        if self.v_threshold is None or not is_affine(self.equations):
            return self._sought_rheobase(time_steps)
        # Below its threshold the neuron is affine in the current: two integrations suffice.
        currents = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
        state, least = self.initial_state(1, 2, currents), math.inf
        # Inputs can reach the potential late, after more steps than a decision has.
        for t in range(time_steps + len(self.text.state)):
            if t >= time_steps and least < math.inf:
                break
            state = self.integrate(currents, state)
            at_rest, driven = state[0][0].tolist()
            if driven > at_rest:
                least = min(least, (self.v_threshold - at_rest) / (driven - at_rest))
        return least

    def _sought_rheobase(self, time_steps: int) -> float:
        """Return the least current that fires, by bisection; infinity if none up to 5e5 does."""

        def fires(current: float) -> bool:
            held = torch.full((1, 1), current, dtype=torch.float64)
            run = self.run_stepped(held[None], self.initial_state(1, 1, held), time_steps)
            return bool(run.spikes.any())

        low, high = 0.0, 1.0
        while not fires(high):
            low, high = high, 2.0 * high
            if high > _LARGEST_CURRENT:
                return math.inf
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            low, high = (low, middle) if fires(middle) else (middle, high)
        return high


def configured(neurons: LayerNeurons) -> LayerNeurons:
    """Return a copy of neurons with all constants as configured, none learned."""
    return LayerNeurons(
        neurons.text, neurons.parameters, neurons.dt_ms, neurons.surrogate, neurons.slope
    )


# ---- surrogates ----------------------------------------------------------------------------------
def is_traced() -> bool:
    """Return whether PyTorch is tracing, so that only PyTorch operations may be used.

    True under ``torch.jit.trace``, ``torch.export``, ``torch.compile``, ``make_fx`` and both ONNX
    exports. The results of numpy or of a compiled kernel would be frozen into the trace.
    """
    # A dispatch mode is how PyTorch records, and runs without numbers (fake tensors).
    traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return traced or torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def surrogate_half_width(surrogate: str, slope: float) -> float:
    """Return the half-width at half maximum of a surrogate gradient, in voltage units.

    superspike ``(sqrt(2) - 1) / k``, arctan ``2 / (pi k)``, sigmoid ``2 ln(1 + sqrt(2)) / k``;
    triangle 1/2, because its slope k scales the height and not the width.
    """
    widths = {
        "superspike": (math.sqrt(2.0) - 1.0) / slope,
        "arctan": 2.0 / (math.pi * slope),
        "triangle": 0.5,
        "sigmoid": 2.0 * math.log(1.0 + math.sqrt(2.0)) / slope,
    }
    if surrogate not in widths:
        raise ValueError(f"surrogate {surrogate!r} is unknown; known: {', '.join(widths)}")
    return widths[surrogate]


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: str, slope: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate, ctx.slope = surrogate, slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        # Plain differentiable operations, so that a second derivative sees the surrogate's own.
        return grads[0] * SURROGATES[ctx.surrogate](x, ctx.slope), None, None


def spike(x: Tensor, surrogate: str, slope: float) -> Tensor:
    """Return spikes, 1 where ``x = v - v_threshold`` is above 0, with a surrogate gradient."""
    if surrogate not in SURROGATES:
        raise ValueError(f"surrogate {surrogate!r} is unknown; known: {', '.join(SURROGATES)}")
    result: Tensor = _Spike.apply(x, surrogate, slope)
    return result


# ---- learned constants ---------------------------------------------------------------------------
class LearnedConstant(nn.Module):
    """A learned constant of a layer's neurons; ``name`` is one of ``learnable_fields``."""

    def __init__(self, name: str, parameters: NeuronParameters, dt_ms: float, size: int) -> None:
        super().__init__()
        value = float(getattr(parameters, name))
        self._is_time_constant = is_time_constant(name)
        self._floor = 0.0
        if self._is_time_constant:
            gain = dt_ms / value
            start = math.log(gain / (1.0 - gain))
        else:
            if name == "v_threshold":
                self._floor = max(parameters.v_reset, getattr(parameters, "v_leak", -math.inf))
            start = math.log(math.expm1(value - self._floor))
        self.raw = nn.Parameter(torch.full((size,), start))
        """(N,), the unbounded numbers w."""

    @property
    def value(self) -> Tensor:
        """Constant of every neuron (N,); ``dt / tau`` for a time constant."""
        if self._is_time_constant:
            return torch.sigmoid(self.raw)
        return self._floor + nn.functional.softplus(self.raw)


# ---- norse modules -------------------------------------------------------------------------------
def norse_functional(name: str) -> ModuleType:
    """Return the module ``norse.torch.functional.<name>``, imported without its warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        return import_module(f"norse.torch.functional.{name}")


# ---- norse neurons -------------------------------------------------------------------------------
# Norse's step function is called with an infinite threshold, which leaves the membrane potential
# before the reset. The spike and the reset are then those of the text, which are Norse's own
# formulas with a surrogate gradient whose slope works. Norse's LSNN is not here: its threshold is
# state and can't be put out of reach.
_NAMES: dict[type[Neuron], tuple[str, str]] = {
    LIFBox: ("lif_box", "LIFBox"),
    IAF: ("iaf", "IAF"),
    LIF: ("lif", "LIF"),
}
"""Norse's module of a neuron, and the prefix of its names."""
# At an infinite threshold Norse's neuron never fires, and its step is the bare integration.
_NEVER = torch.tensor(math.inf)


class _Norse(NamedTuple):
    """Step function, state type and parameter type of Norse for a neuron."""

    step: Callable[..., Any]
    state: type[Any]
    parameters: type[Any]


@cache
def make_picklable() -> None:
    """Make Norse's parameters picklable."""
    for module, name in _NAMES.values():
        kind = getattr(norse_functional(module), f"{name}Parameters")
        copyreg.pickle(kind, _reduce)


def _reduce(parameters: Any) -> tuple[Callable[..., Any], tuple[str, tuple[Any, ...]]]:
    return _make, (type(parameters).__name__, tuple(parameters))


def _make(name: str, values: tuple[Any, ...]) -> Any:
    """Make Norse's parameters from a pickle; users' files contain the name of this function."""
    (module,) = (x for x, prefix in _NAMES.values() if name == f"{prefix}Parameters")
    return getattr(norse_functional(module), name)(*values)


@cache
def _norse(module: str, name: str) -> _Norse:
    """Return Norse's functions and types of a neuron, imported if need be."""
    functional = norse_functional(module)
    make_picklable()
    return _Norse(
        getattr(functional, f"{module}_feed_forward_step"),
        getattr(functional, f"{name}FeedForwardState"),
        getattr(functional, f"{name}Parameters"),
    )


def norse_integrate(
    text: type[Neuron],
    parameters: NeuronParameters,
    dt_ms: float,
    learned: Mapping[str, LearnedConstant],
) -> Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]] | None:
    """Return Norse's integration ``(current, state) -> state``, or None if it lacks the neuron."""
    if text not in _NAMES:
        return None
    # Tensors made in a trace belong to it, and learned constants change: neither is cached.
    norse = _norse(*_NAMES[text])
    if learned or is_traced():
        made = _constants(text, parameters, dt_ms, learned)
    else:
        made = _fixed_constants(text, parameters, dt_ms)

    def integrate(current: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        _, new = norse.step(current, norse.state(*state), made, dt_ms / 1000.0)
        return tuple(new)

    return integrate


def _constants(
    text: type[Neuron],
    parameters: NeuronParameters,
    dt_ms: float,
    learned: Mapping[str, LearnedConstant] = MappingProxyType({}),
) -> Any:
    """Return Norse's parameters of a neuron, with an infinite threshold."""
    given: dict[str, Any] = {}
    for field, value in vars(parameters).items():
        rate = f"{field.removesuffix('_ms')}_inv"
        if is_time_constant(field) and field in learned:
            given[rate] = learned[field].value / (dt_ms / 1000.0)
        elif is_time_constant(field):
            given[rate] = torch.tensor(1000.0 / value)
    if hasattr(parameters, "v_leak"):
        given["v_leak"] = torch.tensor(parameters.v_leak)
    reset = torch.tensor(parameters.v_reset)
    norse = _norse(*_NAMES[text])
    return norse.parameters(v_th=_NEVER, v_reset=reset, method="heaviside", **given)


_fixed_constants = cached(_constants)
