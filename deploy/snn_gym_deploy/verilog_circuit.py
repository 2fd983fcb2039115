"""Arithmetic as Verilog: wires as wide as their ranges, and registers where paths are long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snn_gym_deploy.fixed_point import GAIN_BITS, TANH, Range, Rescale, bits_of
from snn_gym_deploy.integer import Algebra

WIDE = -(2**15), 2**15 - 1
"""Limits of 16 bits, which potentials have."""
_ALWAYS = -1  # stage of constants


@dataclass(frozen=True)
class Signal:
    """A signed number of a circuit, within limits."""

    text: str
    low: int
    high: int
    stage: int = _ALWAYS
    """Clock cycles after which it is there; -1 for a constant."""
    level: int = 0
    """Operations since the last register."""

    @property
    def constant(self) -> int | None:
        """Its value, if it has only one."""
        return self.low if self.low == self.high else None


def literal(value: int) -> str:
    """Return a signed literal."""
    # A bit more than the number needs, as the sign is an operator.
    width = bits_of((value, value)) + 1
    return f"{'-' if value < 0 else ''}{width}'sd{abs(value)}"


def kind_of(limits: Range) -> str:
    """Return the type of signed numbers within limits."""
    return f"signed [{bits_of(limits) - 1}:0]"


def declared(kind: str, name: str, limits: Range) -> str:
    """Return the declaration of a signed ``wire`` or ``reg`` for numbers within limits."""
    return f"{kind} {kind_of(limits)} {name}"


class Circuit:
    """Wires and registers that compute what an `Algebra` does, as lines of Verilog.

    Args:
        name: Beginning of all names.
        depth: Operations between two registers; None for no registers.
    """

    def __init__(self, name: str, depth: int | None = None) -> None:
        self._name, self._depth, self._count = name, depth, 0
        self.lines: list[str] = []
        """Declarations, with the expressions of wires."""
        self.clocked: list[str] = []
        """Assignments at each rising edge of the clock."""
        self._later: dict[str, Signal] = {}
        self.algebra = Algebra(
            {
                "*": self.share, "+": self.add, "-": self.subtract, "-x": self.negative,
                ">": self.exceeds, ">=": lambda a, b: self.exceeds(a, b, ">="),
                "maximum": lambda a, b: self.where(self.exceeds(a, b), a, b),
                "minimum": lambda a, b: self.where(self.exceeds(a, b), b, a), "where": self.where,
            },
            self.number,
            self.saturated,
        )  # fmt: skip

    def number(self, value: int) -> Signal:
        """Return a constant."""
        return Signal(literal(int(value)), int(value), int(value))

    def chosen(self, selector: str, options: Mapping[int, Signal]) -> Signal:
        """Return one of some signals, each for a value of an unsigned signal that is held."""
        *others, (_, last) = options.items()
        if all(x.text == last.text for _, x in others):
            return last
        text = "".join(f"{selector} == {k} ? {{}} : " for k, _ in others) + "{}"
        signals = [x for _, x in others] + [last]
        low, high = min(x.low for x in signals), max(x.high for x in signals)
        return self._computed(text, signals, low, high)

    def delayed(self, signal: Signal, stage: int) -> Signal:
        """Return a signal as it is at a later stage."""
        while _ALWAYS < signal.stage < stage:
            if signal.text not in self._later:
                name = self._new()
                self.lines.append(f"{declared('reg', name, (signal.low, signal.high))};")
                self.clocked.append(f"{name} <= {signal.text};")
                later = Signal(name, signal.low, signal.high, signal.stage + 1)
                self._later[signal.text] = later
            signal = self._later[signal.text]
        return signal

    def add(self, a: Signal, b: Signal) -> Signal:
        """Return a sum."""
        if 0 in (a.constant, b.constant):
            return b if a.constant == 0 else a
        return self._computed("{} + {}", (a, b), a.low + b.low, a.high + b.high)

    def subtract(self, a: Signal, b: Signal) -> Signal:
        """Return a difference."""
        if b.constant == 0:
            return a
        return self._computed("{} - {}", (a, b), a.low - b.high, a.high - b.low)

    def negative(self, a: Signal) -> Signal:
        """Return a number with the other sign."""
        return self._computed("-{}", (a,), -a.high, -a.low)

    def multiply(self, a: Signal, b: Signal) -> Signal:
        """Return a product."""
        if 1 in (a.constant, b.constant):
            return b if a.constant == 1 else a
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        return self._computed("{} * {}", (a, b), min(corners), max(corners), 2)

    def shifted(self, a: Signal, bits: int) -> Signal:
        """Return a number times a power of two."""
        if bits == 0:
            return a
        return self._computed(f"{{}} <<< {bits}", (a,), a.low << bits, a.high << bits, 0)

    def scaled(self, a: Signal, bits: int) -> Signal:
        """Return a number divided by a power of two, rounded half up."""
        if bits == 0:
            return a
        near = self.add(a, self.number(1 << (bits - 1)))
        return self._computed(f"{{}} >>> {bits}", (near,), near.low >> bits, near.high >> bits, 0)

    def share(self, a: Signal, b: Signal) -> Signal:
        """Return the product with a number of 14 bits, rounded."""
        factor, rest = (b, a) if a.constant is None else (a, b)
        if factor.constant is None:
            return self.scaled(self.multiply(a, b), GAIN_BITS)
        # Powers of two in a constant are less to round: (2^k c x + 2^13) >> 14.
        size = factor.constant
        even = min(GAIN_BITS, (size & -size).bit_length() - 1) if size else 0
        product = self.multiply(self.number(size >> even), rest)
        return self.scaled(product, GAIN_BITS - even)

    def rescaled(self, a: Signal, change: Rescale) -> Signal:
        """Return a number in another unit."""
        whole = self.multiply(self.scaled(a, change.shift), self.number(change.factor))
        return self.scaled(whole, change.bits)

    def exceeds(self, a: Signal, b: Signal, comparison: str = ">") -> Signal:
        """Return whether a number exceeds another, as 0 or 1."""
        return self._computed(f"{{}} {comparison} {{}} ? 2'sd1 : 2'sd0", (a, b), 0, 1)

    def where(self, condition: Signal, a: Signal, b: Signal) -> Signal:
        """Return one of two numbers, the first where a condition is 1."""
        if a.text == b.text:
            return a
        low, high = min(a.low, b.low), max(a.high, b.high)
        return self._computed("{} != 0 ? {} : {}", (condition, a, b), low, high)

    def limited(self, a: Signal, low: int, high: int) -> Signal:
        """Return the nearest number within limits."""
        if low <= a.low and a.high <= high:
            return a
        least, most = literal(low), literal(high)
        text = f"{{0}} > {most} ? {most} : {{0}} < {least} ? {least} : {{0}}"
        return self._computed(text, (a,), max(a.low, low), min(a.high, high))

    def saturated(self, a: Signal) -> Signal:
        """Return the nearest number of 16 bits."""
        low, high = WIDE
        if a.constant is not None:
            return self.number(max(low, min(high, a.constant)))
        if low <= a.low and a.high <= high:
            return a
        # The bits above show whether it fits, without a comparison's row of carries.
        top = bits_of((a.low, a.high)) - 1
        sign, above = f"{{0}}[{top}]", f"{{0}}[{top}:15]"
        fits = f"&{above} || ~|{above}"
        text = f"{fits} ? {{0}}[15:0] : {{{{{sign}, {{{{15{{{{~{sign}}}}}}}}}}}}}"
        return self._computed(text, (a,), max(a.low, low), min(a.high, high))

    def tangent(self, a: Signal) -> Signal:
        """Return the hyperbolic tangent in 14 bits, for arguments in 12 bits."""
        negative = self.exceeds(self.number(0), a)
        away = self.limited(self.where(negative, self.negative(a), a), 0, WIDE[1])
        place = self._computed("{} >>> 8", (away,), 0, 127, 0)
        rest = self._computed("{} & 9'sd255", (away,), 0, 255, 0)
        table = TANH.astype(int)
        low, step = (self._table(place, x) for x in (table[:-1], np.diff(table)))
        value = self.add(low, self.scaled(self.multiply(step, rest), 8))
        return self.where(negative, self.negative(value), value)

    def _table(self, place: Signal, values: Iterable[int]) -> Signal:
        """Return an entry of a table, behind a register if there are any."""
        whole = [int(x) for x in values]
        name, limits = self._new(), (min(whole), max(whole))
        self.lines.append(f"{declared('reg', name, limits)};")
        given = "<=" if self._depth else "="
        entries = " ".join(f"{k}: {name} {given} {literal(x)};" for k, x in enumerate(whole))
        case = f"case ({place.text}) {entries} default: {name} {given} 0; endcase"
        if self._depth:
            self.clocked.append(case)
            return Signal(name, *limits, place.stage + 1)
        self.lines.append(f"always @* {case}")
        return Signal(name, *limits, place.stage)

    def _computed(
        self, text: str, inputs: Sequence[Signal], low: int, high: int, cost: int = 1
    ) -> Signal:
        """Return a wire with the value of an expression, in the first stage that has room."""
        if low == high:
            return self.number(low)
        stage = max(x.stage for x in inputs)
        inputs = [self.delayed(x, stage) for x in inputs]
        level = max(x.level for x in inputs) + cost
        if self._depth is not None and level > self._depth and stage > _ALWAYS:
            stage += 1
            inputs, level = [self.delayed(x, stage) for x in inputs], cost
        return self._wire(text.format(*(x.text for x in inputs)), low, high, stage, level)

    def _wire(self, text: str, low: int, high: int, stage: int, level: int) -> Signal:
        name = self._new()
        self.lines.append(f"{declared('wire', name, (low, high))} = {text};")
        return Signal(name, low, high, stage, level)

    def _new(self) -> str:
        self._count += 1
        return f"{self._name}_{self._count}"
