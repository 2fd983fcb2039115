"""``LayerNeurons``, the neurons of one layer: their step, and the stepped run of all time steps.

``run_stepped`` evaluates a neuron's text once per time step. It is the reference (any device and
dtype, differentiable twice) that the compiled kernels of the same text are tested against.
"""

from __future__ import annotations

import keyword
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
_LARGEST, _HALVINGS = 1e6, 60
"""Currents up to here are tried for the least one that makes a neuron fire, and how often an
interval is halved."""

State = tuple[Tensor, ...]
"""State variables of a layer, each (B, N); the first is the membrane potential."""


@dataclass(frozen=True, eq=False)
class Breaks:
    """Where, in a sequence of L environment steps, the state is not carried on as it is."""

    starts: Tensor
    """(L, B) bool: the sample's state is reset to rest before that environment step."""
    cuts: tuple[bool, ...]
    """L times: whether no gradient passes into that environment step through the state."""
    recurrent_gradient: bool = True
    """Whether gradients pass back through recurrent spikes."""

    @cached_property
    def blocked(self) -> Tensor:
        """(L, B) bool: whether no gradient passes into that environment step."""
        if not any(self.cuts):
            return self.starts
        return self.starts | torch.tensor(self.cuts, device=self.starts.device).unsqueeze(1)

    @cached_property
    def _resets(self) -> list[bool]:
        """L times: whether any sample is reset there."""
        return cast(list[bool], self.starts.any(1).tolist())

    def enter(self, step: int, carried: State, rest: State) -> State:
        """Return the state in which an environment step begins.

        Args:
            step: The environment step, 0 to L - 1.
            carried: State variables, each (..., B, N), that the one before left.
            rest: State variables at rest, each of that shape.
        """
        if self.cuts[step]:
            carried = tuple(x.detach() for x in carried)
        if not self._resets[step]:
            return carried
        starts = self.starts[step].unsqueeze(-1)
        return tuple(torch.where(starts, r, x) for x, r in zip(carried, rest, strict=True))


@lru_cache(maxsize=64)
def no_breaks(batch: int) -> Breaks:
    """Return those of a single decision, which goes on from the state that it is given.

    Args:
        batch: Samples B.
    """
    return Breaks(torch.zeros((1, batch), dtype=torch.bool), (False,))


class Run(NamedTuple):
    """A layer's run over L environment steps of T time steps; a single decision has L = 1."""

    spikes: Tensor
    """(L * T, B, N)."""
    voltages: Tensor
    """(L * T, B, N), before the reset."""
    final: State
    """State variables at the end, each (B, N)."""
    entered: State
    """State variables in which each environment step began, each (L * B, N)."""


class Stepped(ABC):
    """One layer's neurons, one time step at a time."""

    v_threshold: float | None
    """Firing threshold, at rest where it adapts; None where there is none to tell."""

    has_potential: bool = True
    """Whether ``step`` tells a membrane potential."""

    @property
    @abstractmethod
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables."""

    def state_sizes(self, size: int) -> tuple[int, ...]:
        """Return the numbers of one sample in each state variable of ``size`` neurons."""
        return (size,) * len(self.state_names)

    @abstractmethod
    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state of ``size`` neurons at rest, each variable (batch, size)."""

    @abstractmethod
    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step.

        Args:
            current: Input (B, N).
            state: State variables, each (B, N).

        Returns:
            Spikes (B, N), membrane potential before the reset (B, N), and the new state.
        """

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
            currents: Inputs (L * T, B, N), or (L, B, N) for inputs held over the time steps of an
                environment step.
            state: State variables, each (B, N), left by the environment step before the first;
                with recurrent weights the spikes of the time step before come last.
            time_steps: T.
            recurrent_weight: (N, N), row i the synapses onto neuron i: the spikes of the step
                before add ``recurrent_weight @ z`` to the input. None for no recurrence.
            breaks: Where the state is reset and where its gradient is cut; None for one
                environment step (L = 1) that goes on from ``state``.
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
                detach = breaks is not None and not breaks.recurrent_gradient
                if detach and recurrent_weight is not None:
                    state = (*state[:-1], state[-1].detach())
                z, voltage, state = self._recurrent_step(current, state, recurrent_weight)
                spikes.append(z)
                voltages.append(voltage)
        began = tuple(torch.cat(variable) for variable in zip(*entered, strict=True))
        return Run(torch.stack(spikes), torch.stack(voltages), state, began)

    def _recurrent_step(
        self, current: Tensor, state: State, weight: Tensor | None
    ) -> tuple[Tensor, Tensor, State]:
        if weight is None:
            return self.step(current, state)
        *inner, z = state
        z, voltage, new = self.step(current + nn.functional.linear(z, weight), tuple(inner))
        return z, voltage, (*new, z)

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor | float | None:
        """Return what the potentials of a run were compared with.

        Args:
            spikes: Spikes (L * T, B, N) of the run.
            entered: State variables in which each environment step began, each (L * B, N).

        Returns:
            The threshold, or (L * T, B, N) where it adapts, or None where there is none to tell.
        """
        del spikes, entered
        return self.v_threshold


def as_array(tensor: Tensor) -> Array:
    """Return a copy of a tensor's numbers, float32.

    Args:
        tensor: On any device.
    """
    found: Array = tensor.detach().cpu().float().numpy().copy()
    return found


class LayerNeurons(Stepped):
    """The neurons of one layer, with our surrogate gradients.

    Args:
        text: The neuron.
        parameters: Parameters of the neuron.
        dt_ms: Length of a time step (ms).
        surrogate: Name of the surrogate gradient.
        slope: Slope of the surrogate gradient.
        by_norse: Whether Norse's step function integrates, for the neurons that it has, in place
            of the text; spikes and potentials are the same bit for bit.
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
        """Constants that are learned, by the parameters' field."""
        self.numbers = dict(text.constants(parameters, dt_ms))
        """The configured constants by name."""
        rounded = {x: float(np.float32(value)) for x, value in self.numbers.items()}
        self._fixed = SimpleNamespace(**rounded)
        self._given: SimpleNamespace | None = None
        rest = text.rest(SimpleNamespace(**self.numbers))
        self.rest: tuple[float, ...] = tuple(float(x) for x in rest)
        """Each state variable at the start of an episode, for configured constants."""
        used = self.equations.constants
        self.constants: Array = np.array([[rounded[x]] for x in used], np.float32).reshape(-1, 1)
        """(P, 1) float32, what the kernels read, in the order of the equations."""
        self.v_threshold = self._threshold_at_rest()
        # (S, 1), for acting, where every microsecond counts
        self.rest32: Array = np.array(self.rest, dtype=np.float32)[:, np.newaxis]

    @property
    def equations(self) -> Equations:
        """The neuron as expressions."""
        return equations(self.text)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables, the recorded one first."""
        return self.text.state

    def learn(self, names: Iterable[str], size: int) -> None:
        """Let constants be learned, with a value for each neuron, from the configured one.

        Args:
            names: Fields of the parameters; those that the neuron can't learn are left out.
            size: Neurons of the layer.
        """
        for name in names:
            if name in self.parameters.learnable_fields:
                self.learned[name] = LearnedConstant(name, self.parameters, self.dt_ms, size)

    @property
    def values(self) -> SimpleNamespace:
        """The constants by name: numbers, or tensors (N,) where they are learned."""
        if self._given is not None or not self.learned:
            return self._given or self._fixed
        learned = {constant_of(x): constant.value for x, constant in self.learned.items()}
        return SimpleNamespace(**{**vars(self._fixed), **learned})

    def own_constants(self, size: int) -> Tensor:
        """Return the constants of neurons that learn some, (P, N), in the order of the equations.

        Args:
            size: Neurons N of the layer.
        """
        values = self.values
        found = (torch.as_tensor(getattr(values, x)) for x in self.equations.constants)
        return torch.stack([x.expand(size) for x in found])

    def with_values(self, constants: Tensor) -> LayerNeurons:
        """Return neurons with given constants, from which a gradient leads to them.

        Args:
            constants: (P, N), as ``own_constants`` returns them.
        """
        made = configured(self)
        by_name = dict(zip(self.equations.constants, constants, strict=True))
        made._given = SimpleNamespace(**{**vars(self._fixed), **by_name})
        return made

    def _threshold_at_rest(self) -> float | None:
        """Return what the recorded variable is compared with at rest, None if with nothing."""
        compared = threshold(self.equations)
        if compared is None:
            return None
        given = dict(zip(self.equations.moved_names, self.rest, strict=True))
        return float(evaluate([compared], {**self.numbers, **given})[0])

    @property
    def tells_threshold(self) -> bool:
        """Whether spikes and time alone tell what potentials were compared with."""
        compared, text = threshold(self.equations), self.equations
        known = {MOVED + x for x in autonomous(text)}
        moving = set(() if compared is None else names_in(compared)).intersection(text.moved_names)
        return compared is not None and moving <= known

    def thresholds(self, spikes: Tensor, entered: State) -> Tensor | float | None:
        """Return what the potentials of a run were compared with; as ``Stepped.thresholds``."""
        compared, text = threshold(self.equations), self.equations
        if compared is None:
            return None
        values = vars(self.values)
        found = set(names_in(compared))
        if not found.intersection(text.moved_names):
            value = evaluate([compared], values)[0]
            learned = isinstance(value, Tensor)
            return value.detach().expand_as(spikes) if learned else self.v_threshold
        following = autonomous(text)
        if not self.tells_threshold:
            return None
        return self._followed(compared, following, spikes, entered)

    def _followed(
        self, compared: Expression, following: tuple[str, ...], spikes: Tensor, entered: State
    ) -> Tensor:
        """Return thresholds (L * T, B, N) that only spikes and time move."""
        text, values = self.equations, vars(self.values)
        places = [text.state.index(x) for x in following]
        state = [entered[s].view(-1, *spikes.shape[1:]) for s in places]
        met = []
        # (L * T, B, N) -> (L, T, B, N): all environment steps at once, time step by time step
        for z in spikes.view(len(state[0]), -1, *spikes.shape[1:]).unbind(1):
            before = {**values, **dict(zip(following, state, strict=True))}
            moved = evaluate([text.moved[s] for s in places], before)
            names = (MOVED + x for x in following)
            after = {**values, **dict(zip(names, moved, strict=True)), SPIKE: z}
            threshold_now, *state = evaluate([compared, *(text.after[s] for s in places)], after)
            met.append(threshold_now)
        return torch.stack(met, dim=1).flatten(0, 1)

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the state of ``size`` neurons at rest, each variable (batch, size)."""
        if self.values is self._fixed:
            return tuple(like.new_full((batch, size), value) for value in self.rest)
        rest = (torch.as_tensor(x).detach().to(like) for x in self.text.rest(self.values))
        return tuple(x.expand(batch, size) for x in rest)

    def integrate(self, current: Tensor, state: State) -> State:
        """Return the state after one time step without spike or reset.

        Args:
            current: Input (B, N).
            state: State variables, each (B, N).
        """
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

        The initial weights are scaled by it. Of neurons that are affine below their threshold, two
        integrations tell it; for others currents are tried.

        Args:
            time_steps: T.
        """
        if self.learned:  # for the configured constants
            return configured(self).rheobase(time_steps)
        if self.v_threshold is None or not is_affine(self.equations):
            return self._sought_rheobase(time_steps)
        currents = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
        state, least = self.initial_state(1, 2, currents), math.inf
        # An input may be felt late, and so a neuron that none has reached is run on.
        for t in range(time_steps + len(self.text.state)):
            if t >= time_steps and least < math.inf:
                break
            state = self.integrate(currents, state)
            at_rest, driven = state[0][0].tolist()
            if driven > at_rest:
                least = min(least, (self.v_threshold - at_rest) / (driven - at_rest))
        return least

    def _sought_rheobase(self, time_steps: int) -> float:
        """Return the least current that fires, by halving, infinity if none does."""
        low, high = 0.0, 1.0
        while not self._fires(high, time_steps):
            low, high = high, 2.0 * high
            if high > _LARGEST:
                return math.inf
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            low, high = (low, middle) if self._fires(middle, time_steps) else (middle, high)
        return high

    def _fires(self, current: float, time_steps: int) -> bool:
        held = torch.full((1, 1), current, dtype=torch.float64)
        run = self.run_stepped(held[None], self.initial_state(1, 1, held), time_steps)
        return bool(run.spikes.any())


def configured(neurons: LayerNeurons) -> LayerNeurons:
    """Return neurons whose constants are all the configured ones.

    Args:
        neurons: Neurons that may have learned some.
    """
    return LayerNeurons(
        neurons.text, neurons.parameters, neurons.dt_ms, neurons.surrogate, neurons.slope
    )


# ---- registered ----------------------------------------------------------------------------------
def register_neuron(name: str, neuron: type[Neuron]) -> None:
    """Add a neuron to those that ``NetworkConfig.neuron`` can name.

    Its kernels, gradients, traces and exports are made from its text. Configurations and files hold
    the name and the parameters' numbers, never code: who loads a model with this neuron registers
    it first.

    Args:
        name: An identifier that no neuron has yet.
        neuron: The neuron. Its ``Parameters`` are a frozen dataclass derived from
            ``NeuronParameters``, all of whose fields are numbers with a default.

    Raises:
        ValueError: The name is no identifier or is taken.
        TypeError: The class is no neuron, its parameters are not of the kind above, or its text is
            not made of element-wise operations; the message names what is wrong.
    """
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"the name of a neuron must be an identifier, got {name!r}")
    if name in NEURONS:
        raise ValueError(f"neuron {name!r} is registered already; registered: {', '.join(NEURONS)}")
    _check_subclass("neuron", neuron, Neuron)
    for needed in ("Parameters", "state"):
        if not hasattr(neuron, needed):
            raise TypeError(f"{neuron.__name__} must have {needed}")
    if neuron.integrate is Neuron.integrate:
        raise TypeError(f"{neuron.__name__} must define integrate")
    _check_parameters_type(neuron.Parameters)
    equations(neuron)
    NEURONS[name] = neuron


def _check_subclass(argument: str, given: object, base: type) -> None:
    if not (isinstance(given, type) and issubclass(given, base)):
        raise TypeError(f"{argument} must be a subclass of {base.__name__}, got {given!r}")


def _check_parameters_type(parameters_type: type[NeuronParameters]) -> None:
    _check_subclass("Parameters", parameters_type, NeuronParameters)
    name = parameters_type.__name__
    # The base is a dataclass, so only the class's own mark tells whether it is one itself.
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
    """Return the neurons of a layer.

    Args:
        name: One of ``NEURONS``.
        parameters: Its parameters, of the type of that neuron.
        dt_ms: Length of a time step (ms).
        surrogate: Name of the surrogate gradient.
        slope: Slope of the surrogate gradient.
        by_norse: Whether Norse's step function integrates, where it has one.
    """
    return LayerNeurons(NEURONS[name], parameters, dt_ms, surrogate, slope, by_norse=by_norse)


# ---- norse cells ---------------------------------------------------------------------------------
CellFactory = Callable[[int], nn.Module]
"""Makes a spiking module, ``module(input, state) -> (spikes, state)``, for a layer of that size."""


class NorseCell(nn.Module, Stepped):
    """A spiking module behind the interface of ``Neuron``; its own surrogate gradient applies.

    ``output, state = module(input, state)`` as in Norse, with cells, recurrent cells and
    ``norse.torch.SequentialState`` among them: input and output (B, N), and the state a nest of
    tensors (B, ...), named tuples, lists, mappings and None, whose tensors are carried flat. Where
    the module can't tell its state at rest (``state_fallback``), it starts from ``None``, and one
    more state variable says which samples have begun.

    Args:
        factory: Makes the module.
        size: Neurons of the layer.

    Raises:
        ValueError: The module does not follow the protocol, or its output is no spikes.
    """

    v_threshold = None

    def __init__(self, factory: CellFactory, size: int) -> None:
        super().__init__()
        # Makes Norse's parameters picklable; here, because few networks need Norse.
        make_picklable()
        self.cell: Any = factory(size)
        with torch.no_grad():
            found = self.cell(torch.zeros(2, size), None)
        kind = type(self.cell).__name__
        if not isinstance(found, tuple) or len(found) != 2 or found[0].shape != (2, size):
            raise ValueError(
                f"cell_factory({size}) must make a module that returns spikes (batch, {size}) and "
                f"a state, module(input, state) -> (spikes, state), and {kind} does not"
            )
        self._check_spikes(found[0])
        self._template = found[1]
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
        self._potential = potentials[-1] if potentials else None
        self.has_potential = bool(potentials)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the state variables: where they are in the module's state."""
        return self._names if self._tells_rest else (*self._names, "begun")

    def state_sizes(self, size: int) -> tuple[int, ...]:
        """Return the numbers of one sample in each state variable."""
        del size
        return self._sizes if self._tells_rest else (*self._sizes, 1)

    def initial_state(self, batch: int, size: int, like: Tensor) -> State:
        """Return the module's own state at rest, each variable (batch, numbers)."""
        if not self._tells_rest:
            return tuple(like.new_zeros(batch, width) for width in self.state_sizes(size))
        state = self.cell.state_fallback(like.new_zeros(batch, size))
        return tuple(
            x.detach().to(like).expand(batch, *variable.shape[1:]).reshape(batch, -1)
            for (_, x), (_, variable) in zip(_flatten(state), _flatten(self._template), strict=True)
        )

    def step(self, current: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Advance one time step; as ``Stepped.step``, but the potential is after the reset.

        Without a potential the spikes stand in its place.

        Raises:
            ValueError: The output is no spikes.
        """
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
        """Run samples that are ``fresh`` (B, 1) from None, and the others from their state."""
        if fresh.all():
            return self._run(current, None)
        z, variables = self._run(current, state)
        if not fresh.any():
            return z, variables
        first, begun = self._run(current, None)
        pairs = zip(begun, variables, strict=True)
        return torch.where(fresh, first, z), tuple(torch.where(fresh, a, b) for a, b in pairs)

    def _check_spikes(self, output: Tensor) -> None:
        values = output.detach()
        wrong = values[(values != 0) & (values != 1)]
        if wrong.numel():
            raise ValueError(
                f"the output of {type(self.cell).__name__} must be spikes, 0 or 1, got "
                f"{wrong[0].item()}; end the module with a neuron that fires"
            )


def _flatten(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Find the tensors of a nested state, by where they are."""
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
    """Return a state nested as the template is, of flat variables (B, numbers)."""
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
