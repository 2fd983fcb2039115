"""A neuron's compiled kernels (numba, CPU, float32), printed from its text."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types  # type: ignore[attr-defined]
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numpy.typing import NDArray

from snn_gym._base.compilation import compile_callback
from snn_gym._base.lazy import cached
from snn_gym.program.expressions import Expression, Style, names_in, own, print_lines, replace_names
from snn_gym.program.neuron import (
    DISTANCE,
    GRAD_RECORDED,
    GRAD_SPIKE,
    GRADIENT,
    INPUT,
    SLOPE,
    SOURCE,
    SPIKE,
    SURROGATE,
    THROUGH,
    TRACE,
    TRACE_MARGIN,
    Backward,
    Equations,
    Neuron,
    Trace,
    backward,
    equations,
    local_trace,
    trace,
)
from snn_gym.program.neurons import surrogate_expression


# ---- calls ---------------------------------------------------------------------------------------
def _parts(kind: Any) -> tuple[Any, ...]:
    """Return the types of a tuple, or the type alone."""
    return tuple(kind) if isinstance(kind, types.Tuple | types.UniTuple) else (kind,)


def _type_argument(place: int, kind: Any) -> Any:
    """Return the type that an argument is taken as."""
    array = _parts(kind)[0]
    if isinstance(array, types.Array) and array.dtype == types.float32:
        return kind
    if isinstance(kind, types.Integer):
        return types.int64
    if isinstance(kind, types.Float):
        return types.float32
    raise TypingError(
        f"argument {place} is {kind}; pass a float32 array, one with a flat place, or a number"
    )


def _generate_call(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    values = []
    for place, kind in enumerate(signature.args[1].types):
        value = builder.extract_value(args[1], place)
        if isinstance(kind, types.BaseTuple):
            array, offset = (builder.extract_value(value, k) for k in range(2))
            first = context.make_array(_parts(kind)[0])(context, builder, array).data
            value = builder.gep(first, [offset])
        elif isinstance(kind, types.Array):
            value = context.make_array(kind)(context, builder, value).data
        values.append(value)
    function = ir.FunctionType(ir.VoidType(), [x.type for x in values])
    builder.call(builder.inttoptr(args[0], function.as_pointer()), values)
    return context.get_dummy_value()


def _type_call(typingctx: Any, address: Any, *given: Any) -> Any:
    del typingctx
    if not isinstance(address, types.Integer):
        raise TypingError(f"address is of type {address}; pass an integer")
    # Numba hands the rest as one tuple.
    kinds = given[0] if len(given) == 1 and isinstance(given[0], tuple) else given
    wanted = [_type_argument(place, kind) for place, kind in enumerate(kinds)]
    rest = types.StarArgTuple(wanted)  # type: ignore[no-untyped-call]
    return types.void(types.int64, rest), _generate_call


_int = types.intp
compare_memory: Any = types.ExternalFunction("memcmp", types.int32(_int, _int, _int))
"""Compare memory at two addresses, so many bytes; 0 if they are equal."""

call: Any = intrinsic(_type_call)
"""Call the kernel at an address.

Args:
    address: As ``Kernel`` has it.
    *given: What the kernel takes: numbers, and float32 arrays as pointers to their first number, or
        to the one at a flat place, as (array, place).
"""


# ---- kernels -------------------------------------------------------------------------------------
# A kernel runs all ``T`` time steps of one layer in a single call. A layer of ``N`` neurons on a
# batch of ``B`` is seen as ``M = B * N`` elements; arrays are rows of ``row >= M`` numbers, and the
# state has a row for each variable. The arithmetic of a time step is that of the text, operation by
# operation: no fused multiply-add, no reassociation, no branches, so that inner loops become vector
# instructions and spikes equal those of the text on the same currents bit for bit.
#
# Other kernels call these by their address (``snn_gym.program.kernels``), so that the loops over
# layers, events and decisions are compiled once and know no neuron.
Array = NDArray[np.float32]
_POINTER, _INT, _NUMBER = "CPointer(float32)", "int64", "float32"
_ORDERS = ("steps", "count", "size", "row")

_EXP_OF_NEGATIVE = (
    "{r} = max({x}, np.float32(-40.0)) * np.float32(1.0 / 64.0)",
    # A Taylor polynomial of 1/64 of the argument, squared six times, because a call would not
    # become vector instructions.
    "{e} = one + {r} * (one + {r} * (F2 + {r} * (F3 + {r} * (F4 + {r} * (F5 + {r} * "
    "(F7 * {r} + F6))))))",
    *(("{e} = {e} * {e}",) * 6),
)
_SCOPE = {
    "np": np,
    "carray": carray,
    "one": np.float32(1.0),
    # Reciprocal factorials 1/2! to 1/7!
    **{f"F{k}": np.float32(1.0 / n) for k, n in enumerate((2, 6, 24, 120, 720, 5040), start=2)},
}
_STYLE = Style(
    constant=lambda number: f"np.float32({number!r})",
    assignment="{name} = {value}",
    where="({1} if {0} else {2})",
    functions={
        "abs": "abs",
        **{x: f"np.{x}" for x in ("exp", "log", "sqrt", "tanh")},
        "maximum": "max",
        "minimum": "min",
    },
    lines={"exp_of_negative": _EXP_OF_NEGATIVE},
)


def _lines(targets: Mapping[str, Expression], spare: str = "t") -> Iterator[str]:
    return print_lines(targets, _STYLE, spare)


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel."""

    address: int
    """Where it begins in memory, for as long as the process lives."""
    source: str
    """The text that it was compiled from."""


_KERNELS: dict[int, Kernel] = {}


def kernel_at(address: int) -> Kernel:
    """Return the kernel that begins at an address."""
    return _KERNELS[address]


@cached
def kept_names(neuron: type[Neuron], *, each: bool = False) -> tuple[str, ...]:
    """Return what of a time step the backward pass reads again, the recorded variable first."""
    text = equations(neuron)
    return _kept(text, *_gradients(text, backward(text), each).values())


@cached
def traced_names(neuron: type[Neuron]) -> tuple[str, ...]:
    """Return what of a time step eligibility traces read, the recorded variable first."""
    text = equations(neuron)
    found = trace(text)
    return _kept(text, *found.moved, found.margin, *found.after)


def _kept(text: Equations, *expressions: Expression) -> tuple[str, ...]:
    """Return the names of a time step's values that are in expressions or in the margin."""
    values, first = {*text.state, *text.moved_names, INPUT}, text.moved_names[0]
    found = names_in(*expressions, text.margin)
    return (first, *(x for x in found if x in values and x != first))


def _gradients(text: Equations, found: Backward, each: bool) -> dict[str, Expression]:
    """Return what a backward step computes, by name, in order."""
    targets = {THROUGH: found.through}
    targets |= zip([GRADIENT + x for x in text.moved_names], found.before, strict=True)
    targets |= zip(["new_" + x for x in text.state], found.state, strict=True)
    targets["new_input"] = found.input
    if each:
        targets |= zip(["own_" + x for x in text.constants], found.constants, strict=True)
    return targets


@cached
def forward_kernel(
    neuron: type[Neuron], keep: tuple[str, ...] = (), *, each: bool = False
) -> Kernel:
    """Return the kernel that runs all time steps of a layer.

    It takes constants (P,), or (P, N) if ``each``; currents, 0 to read one row of them at every
    time step or 1 for a row each; the state (S, row), which it updates; where to keep what ``keep``
    names, each (T, row), ``gap`` numbers from one to the next; spikes (T, row); and T, M, N, row.
    """
    text = equations(neuron)
    arguments = ["constants_at", "currents_at", "moving", "state_at", "kept_at", "gap", "spikes_at"]
    lines = [
        *_constants(text, each),
        "currents = carray(currents_at, ((steps - 1) * moving + 1, row))",
        f"state = carray(state_at, ({len(text.state)}, row))",
        "spikes = carray(spikes_at, (steps, row))",
        *_walk("range(steps)", keep),
    ]
    lines += _over_elements(text, list(_step(text, keep)), each)
    kinds = [_POINTER, _POINTER, _INT, _POINTER, _POINTER, _INT, _POINTER]
    return _compiled(f"{neuron.__name__}_forward", arguments, kinds, lines)


@cached
def backward_kernel(
    neuron: type[Neuron], surrogate: str, *, recorded: bool = False, each: bool = False
) -> Kernel:
    """Return the kernel that back-propagates through ``forward_kernel``.

    It walks the time steps in reverse, and reads what the forward pass kept of ``kept_names``.
    ``grad_state`` holds the gradient of the final state on entry and of the first one on return;
    ``grad_currents`` is written, or added to where one input is held.
    """
    text = equations(neuron)
    kept = kept_names(neuron, each=each)
    arguments = [
        "constants_at", own(SLOPE), "moving", "kept_at", "gap", "grad_spikes_at",
        "grad_recorded_at", "grad_state_at", "grad_currents_at", "grad_constants_at",
    ]  # fmt: skip
    lines = [
        *_constants(text, each),
        "grad_spikes = carray(grad_spikes_at, (steps, row))",
        "grad_recorded = carray(grad_recorded_at, (steps, row))",
        f"grad_state = carray(grad_state_at, ({len(text.state)}, row))",
        "grad_currents = carray(grad_currents_at, ((steps - 1) * moving + 1, row))",
        f"grad_constants = carray(grad_constants_at, ({len(text.constants)}, size))",
        *_walk("range(steps - 1, -1, -1)", kept),
        "    if moving:",
    ]
    body = list(_backward_body(text, kept, surrogate, recorded, each))
    for sign in ("=", "+="):
        lines += ["    else:"] if sign == "+=" else []
        whole = [*body, f"grad_currents[at, m] {sign} {own('new_input')}"]
        lines += [f"    {line}" for line in _over_elements(text, whole, each)]
    kinds = [_POINTER, _NUMBER, _INT, _POINTER, _INT, *[_POINTER] * 5]
    return _compiled(f"{neuron.__name__}_backward", arguments, kinds, lines)


def _walk(steps: str, kept: Sequence[str]) -> Iterator[str]:
    """Yield the head of a loop over time steps, with the rows of what is kept of each."""
    yield f"kept = carray(kept_at, ({max(len(kept), 1)}, gap))"
    yield f"for t in {steps}:"
    yield "    at = t * moving"
    for k in range(len(kept)):
        # A row, for LLVM does not see that a flat place is not negative, and makes no vectors.
        yield f"    kept_{k} = kept[{k}, t * row : t * row + row]"


def _backward_body(
    text: Equations, kept: Sequence[str], surrogate: str, recorded: bool, each: bool
) -> Iterator[str]:
    found = _gradients(text, backward(text), each)
    if not recorded:
        found = {x: replace_names(e, {GRAD_RECORDED: 0.0}) for x, e in found.items()}
    for k, x in enumerate(kept):
        yield f"{own(x)} = kept_{k}[m]"
    slope = surrogate_expression(surrogate)
    yield from _lines({DISTANCE: text.margin, SURROGATE: slope}, "u")
    yield f"{own(SPIKE)} = np.float32({own(DISTANCE)} > np.float32(0.0))"
    yield f"{own(GRAD_SPIKE)} = grad_spikes[t, m]"
    if recorded:
        yield f"{own(GRAD_RECORDED)} = grad_recorded[t, m]"
    for s, x in enumerate(text.state):
        yield f"{own(GRADIENT + x)} = grad_state[{s}, m]"
    yield from _lines(found)
    for s, x in enumerate(text.state):
        yield f"grad_state[{s}, m] = {own('new_' + x)}"
    if each:
        for k, x in enumerate(text.constants):
            yield f"grad_constants[{k}, n] += {own('own_' + x)}"


@cached
def trace_kernel(neuron: type[Neuron], surrogate: str) -> Kernel:
    """Return the kernel that follows the eligibility traces of one neuron's synapses.

    It takes constants (P,); sources, what the C = M synapses bring, a row for each time step; what
    the forward pass kept of ``traced_names``, each (T,), ``gap`` numbers from one to the next; the
    traces (S, row), which it updates; and fills (T, row) with the traces of the margin times the
    surrogate's derivative there: what the weights did to the spikes.
    """
    text = equations(neuron)
    found, kept = trace(text), traced_names(neuron)
    arguments = [
        "constants_at", own(SLOPE), "sources_at", "stride", "kept_at", "gap", "traces_at",
        "margins_at", "derivatives_at",
    ]  # fmt: skip
    lines = [
        *_constants(text, each=False),
        "sources = carray(sources_at, (steps, stride))",
        f"kept = carray(kept_at, ({len(kept)}, gap))",
        f"traces = carray(traces_at, ({len(text.state)}, row))",
        "margins = carray(margins_at, (steps, row))",
        "derivatives = carray(derivatives_at, (steps,))",
        "for t in range(steps):",
        *(f"    {own(x)} = kept[{k}, t]" for k, x in enumerate(kept)),
    ]
    head = {DISTANCE: text.margin, SURROGATE: surrogate_expression(surrogate)}
    lines += [f"    {line}" for line in _lines(head, "u")]
    lines += [
        f"    {own(SPIKE)} = np.float32({own(DISTANCE)} > np.float32(0.0))",
        f"    derivatives[t] = {own(SURROGATE)}",
        "    for m in range(count):",
    ]
    body = [
        *(f"{own(TRACE + x)} = traces[{s}, m]" for s, x in enumerate(text.state)),
        f"{own(SOURCE)} = sources[t, m]",
        *_lines(_trace_targets(text, found)),
        *(f"traces[{s}, m] = {own('new_' + x)}" for s, x in enumerate(text.state)),
        f"margins[t, m] = {own(TRACE_MARGIN)}",
    ]
    lines += [f"        {line}" for line in body]
    kinds = [_POINTER, _NUMBER, _POINTER, _INT, _POINTER, _INT, *[_POINTER] * 3]
    return _compiled(f"{neuron.__name__}_trace", arguments, kinds, lines)


@cached
def local_kernel(neuron: type[Neuron], surrogate: str) -> Kernel:
    """Return the kernel that runs a layer and follows what a local rule sees of its synapses.

    It takes constants (P,); the surrogate's slope; the decoder's coefficients (T,); currents, 0 to
    read one row of them at every time step or 1 for a row each; the state (S, row), which it
    updates; sources (T, R), what the synapses of R inputs bring; and adds to (R, row) what each
    synapse has left in the margin, times the surrogate's derivative there and the coefficient. It
    fills (T, row) with spikes, with the recorded variable and with the surrogate's derivative.
    ``traces`` (S, R, row) start at 0; ``left`` (1 + K, row) is scratch, K of ``local_names``.
    """
    text = equations(neuron)
    found, kept = local_trace(text), local_names(neuron)
    arguments = [
        "constants_at", own(SLOPE), "coefficients_at", "currents_at", "moving", "state_at",
        "sources_at", "inputs", "local_at", "spikes_at", "recorded_at", "derivatives_at",
        "traces_at", "left_at",
    ]  # fmt: skip
    lines = [
        *_constants(text, each=False),
        "coefficients = carray(coefficients_at, (steps,))",
        "currents = carray(currents_at, ((steps - 1) * moving + 1, row))",
        f"state = carray(state_at, ({len(text.state)}, row))",
        "sources = carray(sources_at, (steps, inputs))",
        "local = carray(local_at, (inputs, row))",
        *(f"{x} = carray({x}_at, (steps, row))" for x in ("spikes", "recorded", "derivatives")),
        f"traces = carray(traces_at, ({len(text.state)} * inputs, row))",
        f"left = carray(left_at, ({1 + len(kept)}, row))",
        "weighted = left[0]",
        *(f"kept_{k} = left[{1 + k}]" for k in range(len(kept))),
        "for t in range(steps):",
        "    at, coefficient = t * moving, coefficients[t]",
        "    for m in range(count):",
        *(f"        {x}" for x in _step(text, kept, _local_writes(text, surrogate))),
        "    for i in range(inputs):",
        f"        {own(SOURCE)} = sources[t, i]",
        "        eligible = local[i]",
        *(f"        traces_{s} = traces[{s} * inputs + i]" for s in range(len(text.state))),
        "        for m in range(count):",
        *(f"            {x}" for x in _local_trace_step(text, found, kept)),
    ]
    kinds = [_POINTER, _NUMBER, _POINTER, _POINTER, _INT, _POINTER, _POINTER, _INT, *[_POINTER] * 6]
    return _compiled(f"{neuron.__name__}_local", arguments, kinds, lines)


def local_names(neuron: type[Neuron]) -> tuple[str, ...]:
    """Return what of a time step the traces of ``local_kernel`` read."""
    text = equations(neuron)
    found = local_trace(text)
    values = {*text.state, *text.moved_names, INPUT}
    return tuple(x for x in names_in(*found.moved, found.margin, *found.after) if x in values)


def _step(text: Equations, keep: Sequence[str], writes: Iterable[str] = ()) -> Iterator[str]:
    """Yield lines that advance a neuron, keep values by name, and write more of them."""
    for s, x in enumerate(text.state):
        yield f"{own(x)} = state[{s}, m]"
    yield f"{own(INPUT)} = currents[at, m]"
    step = dict(zip(text.moved_names, text.moved, strict=True)) | {DISTANCE: text.margin}
    yield from _lines(step)
    yield f"{own(SPIKE)} = np.float32({own(DISTANCE)} > np.float32(0.0))"
    for k, x in enumerate(keep):
        yield f"kept_{k}[m] = {own(x)}"
    yield f"spikes[t, m] = {own(SPIKE)}"
    yield from writes
    yield from _lines({f"new_{x}": e for x, e in zip(text.state, text.after, strict=True)}, "u")
    for s, x in enumerate(text.state):
        yield f"state[{s}, m] = {own('new_' + x)}"


def _local_writes(text: Equations, surrogate: str) -> Iterator[str]:
    """Yield lines that write what a local rule sees of a neuron."""
    yield from _lines({SURROGATE: surrogate_expression(surrogate)}, "d")
    yield f"recorded[t, m] = {own(text.moved_names[0])}"
    yield f"derivatives[t, m] = {own(SURROGATE)}"
    yield f"weighted[m] = coefficient * {own(SURROGATE)}"


def _trace_targets(text: Equations, found: Trace) -> dict[str, Expression]:
    """Return what a time step of a synapse's trace computes, by name, in order."""
    targets = dict(zip([TRACE + x for x in text.moved_names], found.moved, strict=True))
    targets[TRACE_MARGIN] = found.margin
    targets |= zip(["new_" + x for x in text.state], found.after, strict=True)
    return targets


def _local_trace_step(text: Equations, found: Trace, kept: Sequence[str]) -> Iterator[str]:
    """Yield lines that advance the traces of a synapse."""
    for k, x in enumerate(kept):
        yield f"{own(x)} = kept_{k}[m]"
    for s, x in enumerate(text.state):
        yield f"{own(TRACE + x)} = traces_{s}[m]"
    yield f"{own(SPIKE)} = spikes[t, m]"
    yield from _lines(_trace_targets(text, found))
    yield f"eligible[m] += weighted[m] * {own(TRACE_MARGIN)}"
    for s, x in enumerate(text.state):
        yield f"traces_{s}[m] = {own('new_' + x)}"


@cached
def surrogate_kernel(surrogate: str) -> Kernel:
    """Return the kernel that fills (M,) with a surrogate's derivative at distances (M,)."""
    lines = [
        "distances = carray(distances_at, (count,))",
        "derivatives = carray(derivatives_at, (count,))",
        "for m in range(count):",
        f"    {own(DISTANCE)} = distances[m]",
        *(f"    {x}" for x in _lines({SURROGATE: surrogate_expression(surrogate)})),
        f"    derivatives[m] = {own(SURROGATE)}",
    ]
    arguments = [own(SLOPE), "distances_at", "derivatives_at"]
    return _compiled(f"{surrogate}_derivative", arguments, [_NUMBER, _POINTER, _POINTER], lines)


def _constants(text: Equations, each: bool) -> Iterator[str]:
    """Yield lines that read constants, which stay over a layer unless each neuron has its own."""
    count = len(text.constants)
    yield f"constants = carray(constants_at, ({count}, {'size' if each else 1}))"
    if not each:
        for k, x in enumerate(text.constants):
            yield f"{own(x)} = constants[{k}, 0]"


def _over_elements(text: Equations, body: Sequence[str], each: bool) -> Iterator[str]:
    """Yield a loop over elements, in which ``n`` is the neuron if it has constants of its own."""
    if not each:
        yield "    for m in range(count):"
        yield from (f"        {line}" for line in body)
        return
    yield "    for first in range(0, count, size):"
    yield "        for n in range(size):"
    yield "            m = first + n"
    for k, x in enumerate(text.constants):
        yield f"            {own(x)} = constants[{k}, n]"
    yield from (f"            {line}" for line in body)


def _compiled(
    label: str, arguments: Sequence[str], kinds: Sequence[str], lines: Sequence[str]
) -> Kernel:
    """Compile a function, under a name that tells its text, so that its code can be kept."""
    taken = [*arguments, *_ORDERS]
    body = "\n".join(f"    {line}" for line in lines)
    digest = hashlib.sha256(f"{taken}\n{body}".encode()).hexdigest()[:16]
    name = f"{label}_{digest}"
    source = f"def {name}({', '.join(taken)}):\n{body}\n"
    scope: dict[str, Any] = dict(_SCOPE)
    exec(compile(source, __file__, "exec"), scope)  # noqa: S102
    signature = f"void({', '.join([*kinds, *[_INT] * len(_ORDERS)])})"
    made = Kernel(compile_callback(scope[name], signature), source)
    _KERNELS[made.address] = made
    return made
