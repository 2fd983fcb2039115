"""Calls of compiled kernels by their address, from compiled code."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic


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
