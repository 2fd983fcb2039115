"""Compiled kernels of neurons (numba, CPU, float32), printed from their texts."""

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
from snn_gym.program.builtin_neurons import surrogate_expression
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
    Equations,
    Neuron,
    Trace,
    backward,
    equations,
    local_trace,
)


# ---- calls ---------------------------------------------------------------------------------------
def _parts(kind: Any) -> tuple[Any, ...]:
    """Return the types of a tuple, or the type alone."""
    return tuple(kind) if isinstance(kind, types.Tuple | types.UniTuple) else (kind,)


def _type_argument(place: int, kind: Any) -> Any:
    """Return the type of an argument in the call; TypingError if kernels take none such."""
    array = _parts(kind)[0]  # of an array with a flat place the first of two
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
    """Emit the call of a C function at an address, arrays as pointers."""
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
    """Return the signature of a call by address, and the function that emits it."""
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
"""Compare a number of bytes at two addresses; 0 if they are equal."""

call: Any = intrinsic(_type_call)
"""Call the kernel at an address with numbers and float32 arrays, or (array, flat place)."""


# ---- kernels -------------------------------------------------------------------------------------
# A kernel runs all ``T`` time steps of one layer in a single call. A layer of ``N`` neurons on a
# batch of ``B`` has ``M = B * N`` elements; arrays are rows of ``row >= M`` numbers, and the state
# has a row for each variable. Every kernel ends with the arguments T, M, N, row. The arithmetic of
# a time step is that of the text, operation by operation: no fused multiply-add, no reassociation,
# no branches, so that inner loops become vector instructions and spikes equal those of the text on
# the same currents bit for bit.
#
# Compiled code calls kernels by their address, so that the loops over layers, events and decisions
# are compiled once for all neurons.
Array = NDArray[np.float32]
_INT, _NUMBER = "int64", "float32"
_COUNTS = {"steps": _INT, "count": _INT, "size": _INT, "row": _INT}
_ROWS, _CURRENTS = "(steps, row)", "((steps - 1) * moving + 1, row)"

_EXP_OF_NEGATIVE = (
    "{r} = max({x}, np.float32(-40.0)) * np.float32(1.0 / 64.0)",
    # A Taylor polynomial of 1/64 of the argument, squared six times: a call would not become vector
    # instructions.
    "{e} = one + {r} * (one + {r} * (F2 + {r} * (F3 + {r} * (F4 + {r} * (F5 + {r} * "
    "(F7 * {r} + F6))))))",
    *(("{e} = {e} * {e}",) * 6),
)
_SCOPE = {
    # Else `exec` adds this process's own, which the cache would pickle; Jupyter replaces some.
    "__builtins__": {},
    # The cache imports the module of a function when it reads its code.
    "__name__": __name__,
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
    """A compiled kernel and its Python source."""

    address: int
    """Address in memory, valid in this process."""
    source: str


_KERNELS: dict[int, Kernel] = {}


def kernel_at(address: int) -> Kernel:
    """Return the kernel that was compiled to an address in this process; else KeyError."""
    return _KERNELS[address]


@cached
def kept_names(neuron: type[Neuron], *, each: bool = False) -> tuple[str, ...]:
    """Return the names of values that the backward pass reads, the recorded variable first."""
    text = equations(neuron)
    return _kept(text, *_gradients(text, each).values())


def _kept(text: Equations, *expressions: Expression) -> tuple[str, ...]:
    """Return the recorded variable and the values in expressions or in the margin, by name."""
    first = text.moved_names[0]
    return (first, *(x for x in _values_in(text, *expressions, text.margin) if x != first))


def _values_in(text: Equations, *expressions: Expression) -> tuple[str, ...]:
    """Return the names in expressions of the input and of state variables, moved or not."""
    values = {*text.state, *text.moved_names, INPUT}
    return tuple(x for x in names_in(*expressions) if x in values)


def _gradients(text: Equations, each: bool) -> dict[str, Expression]:
    """Return the results of a backward step by name, in order."""
    gradients = backward(text)
    own_names = ["own_" + x for x in text.constants]
    return {
        THROUGH: gradients.through,
        **dict(zip([GRADIENT + x for x in text.moved_names], gradients.before, strict=True)),
        **dict(zip(["new_" + x for x in text.state], gradients.state, strict=True)),
        "new_input": gradients.input,
        **(dict(zip(own_names, gradients.constants, strict=True)) if each else {}),
    }


@cached
def forward_kernel(
    neuron: type[Neuron], keep: tuple[str, ...] = (), *, each: bool = False
) -> Kernel:
    """Return the kernel that runs a layer's time steps: advances ``state``, fills ``spikes``.

    ``moving`` is 1 if every time step has a row of currents, 0 if all read one row. The values
    ``keep`` are stored in ``kept``, ``gap`` numbers from one (T, row) to the next. ``each``:
    whether every neuron has its own constants.
    """
    text = equations(neuron)
    arguments = {
        "constants": _shape_of_constants(text, each),
        "currents": _CURRENTS,
        "moving": _INT,
        "state": f"({len(text.state)}, row)",
        "kept": f"({max(len(keep), 1)}, gap)",
        "gap": _INT,
        "spikes": _ROWS,
    }
    lines = [
        *_constants(text, each),
        *_walk("range(steps)", keep),
        *_over_elements(text, list(_step(text, keep)), each),
    ]
    return _compiled(f"{neuron.__name__}_forward", arguments, lines)


@cached
def backward_kernel(
    neuron: type[Neuron], surrogate: str, *, recorded: bool = False, each: bool = False
) -> Kernel:
    """Return the kernel that back-propagates through ``forward_kernel``, with ``kept_names`` kept.

    ``grad_state`` has the gradient of the final state at the call and of the first one on return.
    ``grad_currents`` is written, or added to if all time steps share a row. ``recorded``: whether
    the recorded variable has a gradient. Neurons with own constants add to ``grad_constants``.
    """
    text = equations(neuron)
    kept = kept_names(neuron, each=each)
    arguments = {
        "constants": _shape_of_constants(text, each),
        own(SLOPE): _NUMBER,
        "moving": _INT,
        "kept": f"({len(kept)}, gap)",
        "gap": _INT,
        "grad_spikes": _ROWS,
        "grad_recorded": _ROWS,
        "grad_state": f"({len(text.state)}, row)",
        "grad_currents": _CURRENTS,
        "grad_constants": f"({len(text.constants)}, size)",
    }
    lines = [*_constants(text, each), *_walk("range(steps - 1, -1, -1)", kept)]
    body = list(_backward_body(text, kept, surrogate, recorded, each))
    for head, sign in (("if moving:", "="), ("else:", "+=")):
        whole = [*body, f"grad_currents[at, m] {sign} {own('new_input')}"]
        lines.append(f"    {head}")
        lines += [f"    {line}" for line in _over_elements(text, whole, each)]
    return _compiled(f"{neuron.__name__}_backward", arguments, lines)


def _walk(steps: str, kept: Sequence[str]) -> Iterator[str]:
    """Yield the head of a loop over time steps, with a row of each kept value."""
    yield f"for t in {steps}:"
    yield "    at = t * moving"
    for k in range(len(kept)):
        # With a flat place in the inner loop, LLVM makes no vectors: it might be negative.
        yield f"    kept_{k} = kept[{k}, t * row : t * row + row]"


def _backward_body(
    text: Equations, kept: Sequence[str], surrogate: str, recorded: bool, each: bool
) -> Iterator[str]:
    """Yield lines that back-propagate an element through a time step, but for the last line."""
    gradients = _gradients(text, each)
    if not recorded:
        gradients = {x: replace_names(e, {GRAD_RECORDED: 0.0}) for x, e in gradients.items()}
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
    yield from _lines(gradients)
    for s, x in enumerate(text.state):
        yield f"grad_state[{s}, m] = {own('new_' + x)}"
    if each:
        for k, x in enumerate(text.constants):
            yield f"grad_constants[{k}, n] += {own('own_' + x)}"


@cached
def local_kernel(neuron: type[Neuron], surrogate: str) -> Kernel:
    """Return the kernel that runs a layer and computes the local term of each synapse.

    ``local`` (R, row), of R inputs, adds up the local trace of the margin times the surrogate's
    derivative and the decoder's coefficient. ``sources`` has the inputs of the synapses; ``traces``
    (S, R, row) start at 0; ``left`` (1 + K, row) is scratch, K the number of ``local_names``.
    """
    text = equations(neuron)
    targets, kept = _trace_targets(text, local_trace(text)), local_names(neuron)
    arguments = {
        "constants": _shape_of_constants(text, each=False),
        own(SLOPE): _NUMBER,
        "coefficients": "(steps,)",
        "currents": _CURRENTS,
        "moving": _INT,
        "state": f"({len(text.state)}, row)",
        "sources": "(steps, inputs)",
        "inputs": _INT,
        "local": "(inputs, row)",
        "spikes": _ROWS,
        "recorded": _ROWS,
        "derivatives": _ROWS,
        "traces": f"({len(text.state)} * inputs, row)",
        "left": f"({1 + len(kept)}, row)",
    }
    lines = [
        *_constants(text, each=False),
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
        *(f"            {x}" for x in _local_trace_step(text, targets, kept)),
    ]
    return _compiled(f"{neuron.__name__}_local", arguments, lines)


def local_names(neuron: type[Neuron]) -> tuple[str, ...]:
    """Return the names of values that the traces of ``local_kernel`` read."""
    text = equations(neuron)
    return _values_in(text, *_trace_targets(text, local_trace(text)).values())


def _step(text: Equations, keep: Sequence[str], writes: Iterable[str] = ()) -> Iterator[str]:
    """Yield lines that advance a neuron, and ``writes`` before its state after the spike."""
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
    """Yield lines that store a neuron's values for a local rule."""
    yield from _lines({SURROGATE: surrogate_expression(surrogate)}, "d")
    yield f"recorded[t, m] = {own(text.moved_names[0])}"
    yield f"derivatives[t, m] = {own(SURROGATE)}"
    yield f"weighted[m] = coefficient * {own(SURROGATE)}"


def _trace_targets(text: Equations, traces: Trace) -> dict[str, Expression]:
    """Return the results of a time step of a synapse's trace by name, in order."""
    return {
        **dict(zip([TRACE + x for x in text.moved_names], traces.moved, strict=True)),
        TRACE_MARGIN: traces.margin,
        **dict(zip(["new_" + x for x in text.state], traces.after, strict=True)),
    }


def _local_trace_step(
    text: Equations, targets: Mapping[str, Expression], kept: Sequence[str]
) -> Iterator[str]:
    """Yield lines of code that advance the traces of a synapse by one time step.

    They also add the step's part of the local term to ``eligible``. ``targets`` are those of
    ``_trace_targets``, and ``kept`` names the values of the neuron that they read.
    """
    for k, x in enumerate(kept):
        yield f"{own(x)} = kept_{k}[m]"
    for s, x in enumerate(text.state):
        yield f"{own(TRACE + x)} = traces_{s}[m]"
    yield f"{own(SPIKE)} = spikes[t, m]"
    yield from _lines(targets)
    yield f"eligible[m] += weighted[m] * {own(TRACE_MARGIN)}"
    for s, x in enumerate(text.state):
        yield f"traces_{s}[m] = {own('new_' + x)}"


@cached
def surrogate_kernel(surrogate: str) -> Kernel:
    """Return the kernel that fills (M,) with a surrogate's derivative at distances (M,)."""
    lines = [
        "for m in range(count):",
        f"    {own(DISTANCE)} = distances[m]",
        *(f"    {x}" for x in _lines({SURROGATE: surrogate_expression(surrogate)})),
        f"    derivatives[m] = {own(SURROGATE)}",
    ]
    arguments = {own(SLOPE): _NUMBER, "distances": "(count,)", "derivatives": "(count,)"}
    return _compiled(f"{surrogate}_derivative", arguments, lines)


def _shape_of_constants(text: Equations, each: bool) -> str:
    return f"({len(text.constants)}, {'size' if each else 1})"


def _constants(text: Equations, each: bool) -> Iterator[str]:
    """Yield lines that read the constants of a layer, before its loops."""
    if not each:
        for k, x in enumerate(text.constants):
            yield f"{own(x)} = constants[{k}, 0]"


def _over_elements(text: Equations, body: Sequence[str], each: bool) -> Iterator[str]:
    """Yield a loop over elements, which reads the constants of each neuron if it has its own."""
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


def _compiled(label: str, arguments: Mapping[str, str], lines: Sequence[str]) -> Kernel:
    """Compile ``lines`` as a function; ``arguments`` have a number's type or an array's shape."""
    kinds = {**arguments, **_COUNTS}
    arrays = {name: shape for name, shape in kinds.items() if shape.startswith("(")}
    names = [f"{name}_at" if name in arrays else name for name in kinds]
    heads = [f"{name} = carray({name}_at, {shape})" for name, shape in arrays.items()]
    body = "\n".join(f"    {line}" for line in (*heads, *lines))
    # The cache finds code by the name of its function, so that the name has to tell its text.
    digest = hashlib.sha256(f"{names}\n{body}".encode()).hexdigest()[:16]
    function = f"{label}_{digest}"
    source = f"def {function}({', '.join(names)}):\n{body}\n"
    scope: dict[str, Any] = dict(_SCOPE)
    exec(compile(source, __file__, "exec"), scope)  # noqa: S102
    pointers = ["CPointer(float32)" if name in arrays else kind for name, kind in kinds.items()]
    kernel = Kernel(compile_callback(scope[function], f"void({', '.join(pointers)})"), source)
    _KERNELS[kernel.address] = kernel
    return kernel
