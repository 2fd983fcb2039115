"""Parallel Verilog of integer programs: all neurons of a layer at once, a time step a clock cycle.

Products of values are sums over their bits (distributed arithmetic; Peled and Liu 1974, A
new hardware realization of digital filters): a clock cycle adds the weights of the senders whose
next bit is 1, the lowest first. A layer of neurons works one cycle behind the layer before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from snn_gym_deploy.fixed_point import Range, bits_of
from snn_gym_deploy.integer import IntegerNeurons, IntegerProgram, IntegerUnits, fire
from snn_gym_deploy.verilog_base import LEAKY_LIMITS, Form, width_of
from snn_gym_deploy.verilog_circuit import WIDE, Circuit, Signal, declared, literal


class Parallel(Form):
    """Parallel form of an integer program."""

    shape = "all neurons at once, a time step a clock cycle"

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        super().__init__(integer, name, title)
        self._circuit = Circuit("n")
        self._clocked: list[str] = []
        self._begins: list[str] = []  # at the first cycle of a decision
        self._rests: list[str] = []  # there, where it begins from rest

    def body(self) -> Iterator[str]:
        """Yield the lines of the module."""
        taken = list(self._taken())
        outputs, end = self._spiking() if self.integer.neurons else self._ann()
        yield from self._load(end)
        yield from self._circuit.lines
        rests = "starts && fresh" if self.stateful else "starts"
        yield "always @(posedge clk) begin"
        for condition, assignments in (
            ("valid", taken), ("busy", self._clocked), ("starts", self._begins),
            (rests, self._rests),
        ):  # fmt: skip
            yield f"    if ({condition}) begin"
            yield from (f"        {x}" for x in assignments)
            yield "    end"
        yield "end"
        yield from self._output(outputs)

    # ---- layers ----------------------------------------------------------------------------------
    def _ann(self) -> tuple[list[Signal], int]:
        """Add the layers of an ANN; return its outputs and the cycle in which they are there."""
        circuit, integer, start = self._circuit, self.integer, 0
        values = [f"x_{d}" for d in range(self.inputs)]
        limits = integer.ranges["values"]
        for k, layer in enumerate(integer.units, start=1):
            sums = self._products(f"{k}", layer.weights, values, limits, start)
            start += bits_of(limits)
            limits, values = integer.ranges[f"units_{k}"], [f"y_{k}_{n}" for n in range(layer.size)]
            biases = [circuit.number(int(x)) for x in layer.biases]
            whole = list(map(circuit.add, sums, biases))
            if layer.kind == "relu":
                for value, total in zip(values, whole, strict=True):
                    result = self.unit(circuit, layer, total)
                    self._register(value, limits, start, result.text)
                start += 1
            else:
                start += self._in_turn(k, layer, whole, values, start)
        sums = self._products("head", integer.head_weights.T, values, limits, start)
        biases = [circuit.number(int(x)) for x in integer.head_biases]
        return list(map(circuit.add, sums, biases)), start + bits_of(limits)

    def _in_turn(
        self, k: int, layer: IntegerUnits, sums: list[Signal], values: list[str], start: int
    ) -> int:
        """Add units that share a table or a multiplier, a unit a cycle; return the cycles."""
        circuit, size = self._circuit, layer.size
        limits = min(x.low for x in sums), max(x.high for x in sums)
        total, new = Signal(f"c_{k}_0", *limits, 0), None
        if layer.decays is None:
            result = self.unit(circuit, layer, total)
        else:
            numbers = {start + 1 + n: circuit.number(int(x)) for n, x in enumerate(layer.decays)}
            state = Signal(f"h_{k}_0", *LEAKY_LIMITS, 0)
            new, result = self.leaky(circuit, layer, total, state, circuit.chosen("t", numbers))
        moves = f"t > {start} && t <= {start + size}"
        for n in range(size):
            self._register(f"c_{k}_{n}", limits, start, sums[n].text)
            self._declare(values[n], (result.low, result.high))
            last = n + 1 == size
            moved = [f"{values[n]} <= {result.text if last else values[n + 1]};"]
            if not last:
                moved.append(f"c_{k}_{n} <= c_{k}_{n + 1};")
            if new is not None:
                self._declare(f"h_{k}_{n}", LEAKY_LIMITS)
                self._rests.append(f"h_{k}_{n} <= 0;")
                moved.append(f"h_{k}_{n} <= {new.text if last else f'h_{k}_{n + 1}'};")
            self._clocked.append(f"if ({moves}) begin {' '.join(moved)} end")
        return 1 + size

    def _spiking(self) -> tuple[list[Signal], int]:
        """Add the layers of neurons; return the outputs and the cycle in which they are there."""
        circuit, integer, start = self._circuit, self.integer, 0
        fed = [f"seen[{d}]" for d in range(self.inputs)]
        held: list[Signal] = []
        if self.held:
            limits, first = integer.ranges["values"], integer.neurons[0]
            values = [f"x_{d}" for d in range(self.inputs)]
            sums = self._products("1", first.weights, values, limits, 0)
            start = bits_of(limits)
            for n, total in enumerate(sums):
                shift = first.input_bits - first.bits
                whole = circuit.scaled(total, shift)
                whole = circuit.add(whole, circuit.number(int(first.biases[n])))
                self._register(f"c_{n}", (whole.low, whole.high), start, whole.text)
                held.append(Signal(f"c_{n}", whole.low, whole.high, 0))
            start += 1
        else:
            self._clocked.append(f"if (t < {self.time_steps}) seen <= seen >> {self.inputs};")
        for k, layer in enumerate(integer.neurons, start=1):
            self._layer(
                k, layer, [] if k == 1 and self.held else fed, held if k == 1 else [], start
            )
            fed = [f"z_{k}_{n}" for n in range(layer.size)]
            start += 1
        return self._head(fed, start), start + self.time_steps

    def _layer(
        self, k: int, layer: IntegerNeurons, fed: Sequence[str], held: Sequence[Signal], start: int
    ) -> None:
        """Add a layer of neurons, whose first time step is in a cycle."""
        circuit, size = self._circuit, layer.size
        senders = [*fed, *(f"z_{k}_{n}" for n in range(size) if layer.recurrent is not None)]
        none = np.zeros((0, size), np.int8)
        own = none if layer.recurrent is None else layer.recurrent
        both = np.concatenate([layer.weights if fed else none, own])
        constants = [circuit.number(int(x)) for x in layer.constants]
        while_ = f"t >= {start} && t < {start + self.time_steps}"
        for n in range(size):
            base = held[n] if held else circuit.number(int(layer.biases[n]))
            entered = self._added(f"r_{k}_{n}", both[:, n], senders)
            current = circuit.add(circuit.shifted(entered, layer.bits), base)
            names = [f"v_{k}_{s}_{n}" for s in range(len(layer.rest))]
            state = [Signal(x, *WIDE, 0) for x in names]
            new, fired = fire(layer.neuron, constants, state, current, circuit.algebra)
            for name, value, rest in zip(names, new, layer.rest[:, n], strict=True):
                self._declare(name, WIDE)
                self._clocked.append(f"if ({while_}) {name} <= {value.text};")
                self._rests.append(f"{name} <= {literal(int(rest))};")
            circuit.lines.append(f"reg z_{k}_{n};")
            self._clocked.append(f"if ({while_}) z_{k}_{n} <= {fired.text} != 0;")
            self._rests.append(f"z_{k}_{n} <= 0;")

    def _head(self, fed: Sequence[str], start: int) -> list[Signal]:
        """Add the sums of the outputs, over the spikes of the last layer, and return them."""
        circuit, integer, outputs = self._circuit, self.integer, []
        limits = integer.ranges["outputs"]
        steps = {start + t: circuit.number(int(x)) for t, x in enumerate(integer.coefficients[0])}
        weight = circuit.chosen("t", steps)
        for o, (row, bias) in enumerate(
            zip(integer.head_weights, integer.head_biases, strict=True)
        ):
            added = circuit.multiply(weight, self._added(f"s_{o}", row, fed))
            self._declare(f"out_{o}", limits)
            while_ = f"t >= {start} && t < {start + self.time_steps}"
            self._clocked.append(f"if ({while_}) out_{o} <= out_{o} + {added.text};")
            self._begins.append(f"out_{o} <= {literal(int(bias))};")
            outputs.append(Signal(f"out_{o}", *limits, 0))
        return outputs

    # ---- parts -----------------------------------------------------------------------------------
    def _added(self, name: str, weights: NDArray[np.integer], senders: Sequence[str]) -> Signal:
        """Return the sum of the weights whose sender is 1."""
        whole = weights.astype(np.int64)
        low, high = int(whole[whole < 0].sum()), int(whole[whole > 0].sum())
        if low == high:
            return self._circuit.number(0)
        terms = [
            f"({sender} ? {literal(w)} : {literal(0)})"
            for sender, w in zip(senders, whole.tolist(), strict=True)
            if w != 0
        ]
        while len(terms) > 1:  # a tree is as deep as the logarithm of a chain
            pairs = zip(terms[::2], terms[1::2], strict=False)
            terms = [f"({a} + {b})" for a, b in pairs] + terms[len(terms) & ~1 :]
        self._circuit.lines.append(f"{declared('wire', name, (low, high))} = {terms[0]};")
        return Signal(name, low, high, 0)

    def _products(
        self, key: str, weights: NDArray[np.int8], values: Sequence[str], limits: Range, start: int
    ) -> list[Signal]:
        """Return the products of values within limits, bit by bit from a cycle on."""
        circuit, bits = self._circuit, bits_of(limits)
        while_ = f"t >= {start} && t < {start + bits}"
        self._clocked += [f"if ({while_}) {x} <= {x} >>> 1;" for x in values]
        sums = []
        for n in range(weights.shape[1]):
            column = weights[:, n].astype(np.int64)
            part = self._added(f"p_{key}_{n}", column, [f"{x}[0]" for x in values])
            if part.constant == 0:
                sums.append(part)
                continue
            # The last bit is the sign.
            most = max(-part.low, part.high)
            name, low_name = f"a_{key}_{n}", f"l_{key}_{n}"
            self._declare(name, (-most, most))
            step = f"q_{key}_{n}"
            signs = f"t == {start + bits - 1} ? {name} - {part.text} : {name} + {part.text}"
            circuit.lines += [
                f"{declared('wire', step, (-2 * most, 2 * most))} = {signs};",
                f"reg [{bits - 1}:0] {low_name};",
            ]
            self._begins.append(f"{name} <= 0;")
            self._clocked.append(
                f"if ({while_}) begin {name} <= {step} >>> 1; "
                f"{low_name} <= {{{step}[0], {low_name}}} >> 1; end"
            )
            ends = np.multiply.outer(column, limits)
            whole = int(ends.min(1).sum()), int(ends.max(1).sum())
            total = f"m_{key}_{n}"
            circuit.lines.append(f"{declared('wire', total, whole)} = {{{name}, {low_name}}};")
            sums.append(Signal(total, *whole, 0))
        return sums

    def _declare(self, name: str, limits: Range) -> None:
        self._circuit.lines.append(f"{declared('reg', name, limits)};")

    def _register(self, name: str, limits: Range, at: int, value: str) -> None:
        """Add a register that takes a value in a cycle."""
        self._declare(name, limits)
        self._clocked.append(f"if (t == {at}) {name} <= {value};")

    # ---- text ------------------------------------------------------------------------------------
    def _load(self, end: int) -> Iterator[str]:
        """Yield the counts of an observation's numbers, and of cycles up to the last one."""
        yield f"reg busy; reg [{width_of(end + 2) - 1}:0] t;"
        yield f"reg [{width_of(self.count) - 1}:0] got;"
        yield f"wire starts = valid && got == {self.count - 1} && !rst;"
        yield f"wire ends = busy && t == {end};"
        yield from """\
always @(posedge clk) begin
    done <= ends && !rst;
    if (busy) t <= t + 1;
    if (valid) got <= starts ? 0 : got + 1;
    if (starts) begin busy <= 1; t <= 0; end
    if (rst) begin got <= 0; busy <= 0; end else if (ends) busy <= 0;
end""".splitlines()
        yield from self.freshness

    def _taken(self) -> Iterator[str]:
        """Yield the assignments that take a number; the last one comes in at the top."""
        if not self.held and self.integer.neurons:
            self._circuit.lines.append(f"reg [{self.count - 1}:0] seen;")
            yield "seen <= {data, seen} >> 1;"
            return
        data = "data" if self.held else "{1'b0, data}"
        for d in range(self.inputs):
            self._declare(f"x_{d}", self.integer.ranges["values"])
            yield f"x_{d} <= {f'x_{d + 1}' if d + 1 < self.inputs else data};"

    def _output(self, outputs: Sequence[Signal]) -> Iterator[str]:
        """Yield the choice of the action, or all outputs."""
        if not self.discrete:
            wires = [f"shown_{o}" for o in range(len(outputs))]
            for wire, output in zip(wires, outputs, strict=True):
                yield f"wire signed [{self.output_bits - 1}:0] {wire} = {output.text};"
            whole = f"{{{', '.join(wires[::-1])}}}"
            yield f"always @(posedge clk) if (ends) outputs <= {whole};"
            return
        limits = min(x.low for x in outputs), max(x.high for x in outputs)
        yield f"reg [{self.result_bits - 1}:0] best; {declared('reg', 'top', limits)};"
        yield "always @* begin"
        yield f"    best = 0; top = {outputs[0].text};"
        for o, output in enumerate(outputs[1:], start=1):
            yield f"    if ({output.text} > top) begin best = {o}; top = {output.text}; end"
        yield "end"
        yield "always @(posedge clk) if (ends) action <= best;"
