"""Neurons of one layer: one time step, and a stepped run of all time steps.

``run_stepped`` evaluates a neuron's text once per time step. It is the reference (any device and
dtype, differentiable twice) that the compiled kernels of the same text are tested against.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property, lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from snn_gym._base.names import check_new_name, check_subclass
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
    threshold,
)
from snn_gym.program.neurons import NEURONS
from snn_gym.spiking.learned import LearnedConstant
from snn_gym.spiking.norse import make_picklable, norse_integrate
from snn_gym.spiking.surrogates import spike

# ---- base ----------------------------------------------------------------------------------------
Array = NDArray[np.float32]
_LARGEST_CURRENT, _HALVINGS = 1e6, 60
"""Limits of the search for a rheobase."""

State = tuple[Tensor, ...]
"""State variables of a layer, each (B, N); the first is the membrane potential."""


@dataclass(frozen=True, eq=False)
class Breaks:
    """Environment steps of a sequence of L at which the state is reset or detached."""

    starts: Tensor
    """(L, B) bool: the sample's state is reset to rest before that environment step."""
    cuts: tuple[bool, ...]
    """L times: whether the state is detached before that environment step."""
    recurrent_gradient: bool = True
    """Whether gradients pass back through recurrent spikes."""

    @cached_property
    def blocked(self) -> Tensor:
        """(L, B) bool: whether the state's gradient stops before that environment step."""
        if not any(self.cuts):
            return self.starts
        return self.starts | torch.tensor(self.cuts, device=self.starts.device).unsqueeze(1)

    @cached_property
    def _resets(self) -> list[bool]:
        """L times: whether any sample is reset."""
        return cast(list[bool], self.starts.any(1).tolist())

    def enter(self, step: int, carried: State, rest: State) -> State:
        """Return the state in which environment step ``step`` begins.

        That is ``carried``, detached at a cut, and ``rest`` for samples that start an episode.
        """
        if self.cuts[step]:
            carried = tuple(x.detach() for x in carried)
        if not self._resets[step]:
            return carried
        starts = self.starts[step].unsqueeze(-1)
        return tuple(torch.where(starts, r, x) for x, r in zip(carried, rest, strict=True))


@lru_cache(maxsize=64)
def no_breaks(batch: int) -> Breaks:
    """Return breaks of a single decision that continues from the given state."""
    return Breaks(torch.zeros((1, batch), dtype=torch.bool), (False,))


class Run(NamedTuple):
    """A layer's run over L environment steps of T time steps; a single decision has L = 1."""

    spikes: Tensor
    """(L * T, B, N)."""
    voltages: Tensor
    """(L * T, B, N), before the reset; for Norse cells after it, or spikes if none is known."""
    final: State
    """State variables at the end, each (B, N)."""
    entered: State
    """State variables at the start of each environment step, each (L * B, N)."""


class Stepped(ABC):
    """The neurons of one layer, stepped one time step at a time."""

    v_threshold: float | None
    """Firing threshold, at rest where it adapts; None where the neuron states none."""

    has_potential: bool = True
    """Whether ``step`` returns a membrane potential."""

    @property
    @abstractmethod
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables."""

    def state_sizes(self, size: int) -> tuple[int, ...]:
        """Return the values per sample in each state variable of ``size`` neurons."""
        return (size,) * len(self.state_names)

    @abstractmethod
    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state at rest, variables (batch, values) of ``like``'s dtype and device."""

    @abstractmethod
    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step with input (B, N); return spikes, potential and new state."""

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
            breaks: Resets and cuts of the state; None for a single decision (L = 1).
        """
        batch, size = currents.shape[1:]
        rest = self.initial_state(batch, size, currents)
        if recurrent_weight is not None:
            rest = (*rest, torch.zeros_like(currents[0]))
        spikes, voltages, entered = [], [], []
        for k, inputs in enumerate(currents.chunk(1 if breaks is None else len(breaks.cuts))):
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

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor | float | None:
        """Return the thresholds (L * T, B, N) of a run, a number if constant, None if unknown."""
        del spikes, entered
        return self.v_threshold


def as_array(tensor: Tensor) -> Array:
    """Return a copy of a tensor's numbers on the CPU, float32."""
    return tensor.detach().cpu().float().numpy().copy()


class LayerNeurons(Stepped):
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
        """Return a run's thresholds (L * T, B, N) or constant; None unless ``tells_threshold``."""
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
        if self.values is self._fixed:
            return tuple(like.new_full((batch, size), value) for value in self.rest)
        rest = (torch.as_tensor(x).detach().to(like) for x in self.text.rest(self.values))
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
        """Advance one time step, fire above the threshold and reset; as ``Stepped.step``."""
        moved, p = self.integrate(current, state), self.values
        s = SimpleNamespace(**dict(zip(self.text.state, moved, strict=True)))
        z = spike(self.text.margin(p, s), self.surrogate, self.slope)
        return z, moved[0], tuple(self.text.after(p, s, z))

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


# ---- registry ------------------------------------------------------------------------------------
def register_neuron(name: str, neuron: type[Neuron]) -> None:
    """Add a neuron that ``NetworkConfig.neuron`` can name.

    Its kernels, gradients, traces and exports are generated from its text. Configurations and files
    store the name and the parameters' numbers, never code: register the neuron before loading a
    model that uses it.

    Args:
        name: An unused identifier.
        neuron: The neuron. Its ``Parameters`` are a frozen dataclass derived from
            ``NeuronParameters``, all of whose fields are numbers with a default.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: The class is no neuron, its parameters are not of the kind above, or its text is
            not made of element-wise operations; the message names the problem.
    """
    check_new_name(name, "neuron", NEURONS)
    check_subclass("neuron", neuron, Neuron)
    for needed in ("Parameters", "state"):
        if not hasattr(neuron, needed):
            raise TypeError(f"{neuron.__name__} must have {needed}")
    if neuron.integrate is Neuron.integrate:
        raise TypeError(f"{neuron.__name__} must define integrate")
    _check_parameters_type(neuron.Parameters)
    equations(neuron)
    NEURONS[name] = neuron


def _check_parameters_type(parameters_type: type[NeuronParameters]) -> None:
    check_subclass("Parameters", parameters_type, NeuronParameters)
    name = parameters_type.__name__
    # is_dataclass would be true of an undecorated subclass, because the base is a dataclass
    if "__dataclass_fields__" not in vars(parameters_type):
        raise TypeError(f"{name} must be a dataclass: decorate it with @dataclass(frozen=True)")
    for field in fields(parameters_type):
        if type(field.default) not in (int, float):
            raise TypeError(
                f"{name}.{field.name} must be a number with a default, "
                f"got {'none' if field.default is MISSING else repr(field.default)}"
            )


def make_neurons(
    name: str,
    parameters: NeuronParameters,
    dt_ms: float,
    surrogate: str,
    slope: float,
    *,
    by_norse: bool = False,
) -> LayerNeurons:
    """Return a layer's neurons by their name in the registry ``NEURONS``."""
    return LayerNeurons(NEURONS[name], parameters, dt_ms, surrogate, slope, by_norse=by_norse)


# ---- norse cells ---------------------------------------------------------------------------------
CellFactory = Callable[[int], nn.Module]
"""Makes a spiking module, ``module(input, state) -> (spikes, state)``, for a number of neurons."""


class NorseCell(nn.Module, Stepped):
    """A spiking module behind the interface of ``Stepped``, with the module's surrogate gradient.

    ``output, state = module(input, state)`` as in Norse, for example a cell, a recurrent cell or
    ``norse.torch.SequentialState``. Input and output are (B, N); the state is a nest of tensors (B,
    ...), named tuples, lists, mappings and None, which is carried flat. A module without
    ``state_fallback`` starts from ``None``, and one more state variable marks the samples that have
    begun.

    Raises:
        ValueError: The output is not spikes (B, size), or a state tensor is not (B, ...).
    """

    v_threshold = None

    def __init__(self, factory: CellFactory, size: int) -> None:
        super().__init__()
        make_picklable()  # not on import of this module, because few networks need Norse
        self.cell: Any = factory(size)
        with torch.no_grad():
            result = self.cell(torch.zeros(2, size), None)
        kind = type(self.cell).__name__
        if not isinstance(result, tuple) or len(result) != 2 or result[0].shape != (2, size):
            raise ValueError(
                f"cell_factory({size}) must make a module that returns spikes (batch, {size}) and "
                f"a state, module(input, state) -> (spikes, state), and {kind} does not"
            )
        self._check_spikes(result[0])
        self._template = result[1]
        variables = dict(_flatten(self._template))
        for name, variable in variables.items():
            if variable.ndim < 2 or len(variable) != 2:
                raise ValueError(
                    f"state {name!r} of {kind} must have the shape (batch, ...), got "
                    f"{tuple(variable.shape)} for a batch of 2"
                )
        self._tells_rest = hasattr(self.cell, "state_fallback")
        self._names = tuple(variables)
        self._sizes = tuple(variable[0].numel() for variable in variables.values())
        potentials = [
            place
            for place, name in enumerate(variables)
            if name.rsplit(".", 1)[-1] == "v" and self._sizes[place] == size
        ]
        # of several neurons in a row, the last one fires
        self._potential = potentials[-1] if potentials else None
        self.has_potential = bool(potentials)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Paths of variables in the module's state; also ``begun`` without ``state_fallback``."""
        return self._names if self._tells_rest else (*self._names, "begun")

    def state_sizes(self, size: int) -> tuple[int, ...]:
        """Return the values per sample in each state variable; ``size`` is ignored."""
        del size
        return self._sizes if self._tells_rest else (*self._sizes, 1)

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state at rest, each (batch, values); zeros without ``state_fallback``."""
        if not self._tells_rest:
            return tuple(like.new_zeros(batch, width) for width in self.state_sizes(size))
        state = self.cell.state_fallback(like.new_zeros(batch, size))
        return tuple(
            x.detach().to(like).expand(batch, *variable.shape[1:]).reshape(batch, -1)
            for (_, x), (_, variable) in zip(_flatten(state), _flatten(self._template), strict=True)
        )

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step; the potential is after the reset, or spikes if there is none."""
        if self._tells_rest:
            z, variables = self._run(current, state)
        else:
            *carried, begun = state
            z, variables = self._begin_or_go_on(current, tuple(carried), begun == 0)
            variables = (*variables, torch.ones_like(begun))
        self._check_spikes(z)
        voltage = z if self._potential is None else variables[self._potential]
        return z, voltage, variables

    def _run(self, current: Tensor, state: State | None) -> tuple[Tensor, State]:
        nested = None if state is None else _rebuild(self._template, iter(state))
        z, new = self.cell(current, nested)
        return z, tuple(x.reshape(len(current), -1) for _, x in _flatten(new))

    def _begin_or_go_on(self, current: Tensor, state: State, fresh: Tensor) -> tuple[Tensor, State]:
        """Run samples that are ``fresh`` (B, 1) from None, and all others from their state."""
        if fresh.all():
            return self._run(current, None)
        z, variables = self._run(current, state)
        if not fresh.any():
            return z, variables
        first_z, first_variables = self._run(current, None)
        pairs = zip(first_variables, variables, strict=True)
        return torch.where(fresh, first_z, z), tuple(torch.where(fresh, a, b) for a, b in pairs)

    def _check_spikes(self, output: Tensor) -> None:
        values = output.detach()
        wrong = values[(values != 0) & (values != 1)]
        if wrong.numel():
            raise ValueError(
                f"the output of {type(self.cell).__name__} must be spikes, 0 or 1, got "
                f"{wrong[0].item()}; end the module with a neuron that fires"
            )


def _flatten(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a nested state with their dotted paths; skip None."""
    if isinstance(state, Tensor):
        yield name or "state", state
    elif state is not None:
        for key, part in _parts(state):
            yield from _flatten(part, f"{name}.{key}" if name else str(key))


def _parts(state: Any) -> list[tuple[Any, Any]]:
    if isinstance(state, Mapping):
        return list(state.items())
    if isinstance(state, tuple | list):
        return list(zip(getattr(state, "_fields", range(len(state))), state, strict=True))
    raise ValueError(
        f"a state must be made of tensors, tuples, lists, mappings and None, got "
        f"{type(state).__name__}"
    )


def _rebuild(template: Any, variables: Iterator[Tensor]) -> Any:
    """Return flat variables (B, numbers) nested like the template."""
    if template is None:
        return None
    if isinstance(template, Tensor):
        flat = next(variables)
        return flat.reshape(len(flat), *template.shape[1:])
    parts = [(key, _rebuild(part, variables)) for key, part in _parts(template)]
    if isinstance(template, Mapping):
        return dict(parts)
    values = [value for _, value in parts]
    return type(template)(*values) if hasattr(template, "_fields") else type(template)(values)
