"""Two operations that numba has no words for, as LLVM instructions: a bit's place, rows added up.

A loop over the columns of a row becomes vector instructions in numba, too, but its sums are read
from memory and written back for every few rows, and each time it is asked whether they overlap.
Here the sums of ``COLUMNS`` columns stay in registers while any number of rows is added to them.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

COLUMNS = 32
"""Columns of a strip: 1,024 rows of them are 128 KiB, 256 rows fit the nearest cache of a core."""
_LANES = 16
"""Numbers of one vector; a processor with shorter ones gets several in its place."""

_INT = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_FIRST_LANE = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
_NO_VECTOR = ir.Constant(_VECTOR, ir.Undefined)


def _type_lowest_bit(_: Any, word: Any) -> Any:
    if word != types.uint64:
        raise TypingError(f"word is of type {word}; pass a uint64")

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


lowest_bit: Any = intrinsic(_type_lowest_bit)
"""Return the place (int64) of the lowest bit that is set in a uint64, which must have one."""


def _type_add_rows(
    _: Any, total: Any, at: Any, strip: Any, above: Any, places: Any, values: Any, a: Any, z: Any
) -> Any:
    arrays = {"total": total, "strip": strip, "places": places, "values": values}
    for name, kind in arrays.items():
        if kind.layout != "C":
            raise TypingError(f"{name} is an array of layout {kind.layout}; pass one in order, C")
    for name, kind in {"at": at, "above": above, "a": a, "z": z}.items():
        if not isinstance(kind, types.Integer):
            raise TypingError(f"{name} is of type {kind}; pass an integer")
    place = types.int64
    signature = types.void(total, place, strip, place, places, values, place, place)
    return signature, _generate_add_rows


add_rows: Any = intrinsic(_type_add_rows)
"""Add ``values[k]`` times row ``places[k]`` of a strip, for k from a to z - 1, to a total.

The sum is ``((v w + v w) + (v w + v w))`` of four rows each, then that of single ones, in
order and without fused multiply-adds, so that it has the same bits on every processor.

Args:
    total: float32 array, of which the ``COLUMNS`` numbers from flat place ``at`` on are added
        to.
    at: int64.
    strip: float32 array, with rows of ``COLUMNS`` numbers from flat place ``above`` on.
    above: int64.
    places: (K,) int32.
    values: (K,) float32.
    a: int64.
    z: int64.
"""


def _generate_add_rows(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    total, at, strip, above, places, values, a, z = (
        context.make_array(kind)(context, builder, arg).data if hasattr(kind, "layout") else arg
        for kind, arg in zip(signature.args, args, strict=True)
    )
    start, top = builder.gep(total, [at]), builder.gep(strip, [above])
    sums = [
        cgutils.alloca_once(builder, _VECTOR)  # type: ignore[no-untyped-call]
        for _ in range(COLUMNS // _LANES)
    ]
    for j, room in enumerate(sums):
        builder.store(_load(builder, start, j), room)
    fours = builder.add(a, builder.and_(builder.sub(z, a), ir.Constant(_INT, -4)))
    for first, last, step in ((a, fours, 4), (fours, z, 1)):
        with cgutils.for_range_slice(builder, first, last, ir.Constant(_INT, step)) as (k, _):
            met = [builder.add(k, ir.Constant(_INT, i)) for i in range(step)]
            rows = [_row(builder, top, places, i) for i in met]
            factors = [_spread(builder, values, i) for i in met]
            for j, room in enumerate(sums):
                terms = [
                    builder.fmul(factor, _load(builder, row, j))
                    for factor, row in zip(factors, rows, strict=True)
                ]
                while len(terms) > 1:
                    pairs = zip(terms[::2], terms[1::2], strict=True)
                    terms = [builder.fadd(x, y) for x, y in pairs]
                builder.store(builder.fadd(builder.load(room), terms[0]), room)
    for j, room in enumerate(sums):
        builder.store(builder.load(room), _lanes(builder, start, j)).align = 4
    return context.get_dummy_value()


def _lanes(builder: Any, pointer: Any, j: int) -> Any:
    """Return a pointer to the j-th vector from a number on."""
    number = builder.gep(pointer, [ir.Constant(_INT, j * _LANES)])
    return builder.bitcast(number, _VECTOR.as_pointer())


def _load(builder: Any, pointer: Any, j: int) -> Any:
    loaded = builder.load(_lanes(builder, pointer, j))
    loaded.align = 4
    return loaded


def _row(builder: Any, top: Any, places: Any, k: Any) -> Any:
    """Return a pointer to the strip's row that place k names."""
    place = builder.sext(builder.load(builder.gep(places, [k])), _INT)
    return builder.gep(top, [builder.mul(place, ir.Constant(_INT, COLUMNS))])


def _spread(builder: Any, values: Any, k: Any) -> Any:
    """Return a vector of value k."""
    value = builder.load(builder.gep(values, [k]))
    one = builder.insert_element(_NO_VECTOR, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, _NO_VECTOR, _FIRST_LANE)
