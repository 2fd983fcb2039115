"""Serial Verilog of integer programs: one synapse a clock cycle, through one datapath.

A decision is a row of passes: currents of held observations, each layer, the head. A pass reads the
synapses of its rows (neurons, units or outputs) one after the other, a layer of neurons once for
each time step. Registers lie between the memory of synapses, that of their senders, the product,
the sum, and the parts of a neuron's update. A pass begins when all results of the last one are
stored, and a time step waits for the results that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snn_gym_deploy.fixed_point import GAIN_BITS, Range, reach
from snn_gym_deploy.integer import IntegerNeurons, IntegerProgram, IntegerUnits, fire
from snn_gym_deploy.verilog_base import LEAKY_LIMITS, Form, memory, table, width_of
from snn_gym_deploy.verilog_circuit import WIDE, Circuit, Signal, declared, kind_of

_DEPTH = 2  # operations between two registers
_FETCH = 4  # clock cycles from the place of a synapse to its share in a sum
Row = list[tuple[bool, int, int]]
"""Synapses of a row: whether they are recurrent, the address of the sender, and the weight."""

# ``place`` is that of a synapse, ``row`` that of the neuron, unit or output whose sum is complete
# next, and ``stored_row`` that whose results are there. ``slot`` is the place of the first time
# step in the memory of spikes, which is a ring.
CONTROL = """\
reg running, waiting, drains, advances;
reg [1:0] ended;
reg [{pass_top}:0] pass;
reg [{place_top}:0] place;
reg [{step_top}:0] t, step, step_0;
reg [{wait_top}:0] waits;
reg [{slot_top}:0] slot, slot_1, stored_slot;
reg [{row_top}:0] row, stored_row;
wire [{place_top}:0] first_place = {first_place};
wire [{place_top}:0] last_place = {last_place};
wire [{step_top}:0] last_t = {last_t};
wire [{wait_top}:0] pause = {pause};
wire [{row_top}:0] first_row = {first_row};
wire [{row_top}:0] last_row = {last_row};
wire [{row_top}:0] next_row = {next_row};
wire issues = running && !waiting;
wire ends = advances && pass == {last_pass};
{load}
always @(posedge clk) begin
    ended <= {{ended, ends && !rst}}; done <= ended[1] && !rst;
    advances <= running && drains && waits == 2 && !rst;
    if (ends) slot <= slot + {time_steps};
    if (rst) begin
        running <= 0; slot <= 0;
    end else if (starts) begin
        running <= 1; waiting <= 0; drains <= 0; pass <= 0; place <= 0; t <= 0;
    end else if (running && waiting) begin
        waits <= waits - 1; waiting <= waits != 1;
        if (advances) begin
            running <= !ends; drains <= 0; pass <= pass + 1; place <= place + 1; t <= 0;
        end
    end else if (place != last_place) begin
        place <= place + 1;
    end else if (t == last_t) begin
        drains <= 1; waiting <= 1; waits <= {drain};
    end else begin
        t <= t + 1; place <= first_place; waiting <= pause != 0; waits <= pause;
    end
end
"""

FETCH = """\
wire signed [7:0] weight = word[7:0];
wire [{address_top}:0] sender = word[{address_top} + 8:8];
wire loop = word[{address_top} + 9];
wire ends_row = word[{address_top} + 10];
reg signed [7:0] weight_2;
reg valid_1, first_1, valid_2, last_2, silent_2, valid_3, last_3, joins, anew, first;
reg [{stage}:0] complete;
wire stored = complete[{stage}];
{product};
{sum};
always @(posedge clk) begin
    valid_1 <= issues && !rst; slot_1 <= slot + t; first_1 <= t == 0;
    valid_2 <= valid_1 && !rst; weight_2 <= weight; last_2 <= ends_row;
    silent_2 <= loop && first_1 && {fresh};
    valid_3 <= valid_2 && !rst; last_3 <= last_2;
    product <= {multiplied};
    if (valid_3) sum <= joins ? sum + product : product;
    if (valid_3) joins <= !last_3;
    if (rst) joins <= 0;
    complete <= {{complete, valid_3 && last_3 && !rst}};
    first <= step == 0; anew <= step == 0 && {fresh}; step_0 <= step;
    if (valid_3 && last_3) begin
        row <= row == last_row ? first_row : row + 1;
        if (row == last_row) step <= step + 1;
    end
    if (stored) begin
        stored_row <= stored_row == last_row ? first_row : stored_row + 1;
        if (stored_row == last_row) stored_slot <= stored_slot + 1;
    end
    if (advances) begin
        row <= next_row; step <= 0; stored_row <= next_row; stored_slot <= slot;
    end
    if (starts) begin
        row <= 0; step <= 0; stored_row <= 0; stored_slot <= slot;
    end
end
"""


@dataclass(frozen=True)
class _Pass:
    """Rows that are read in turn, ``repeats`` times."""

    rows: list[Row]
    first_row: int
    biases: NDArray[np.integer]
    sums: Range
    """Limits of the products of a row, without its bias."""
    layer: IntegerNeurons | IntegerUnits | None = None
    """None for the currents that are held, and for the head."""
    repeats: int = 1
    of_values: bool = True
    """Whether senders are values, not spikes."""

    @property
    def last_row(self) -> int:
        return self.first_row + len(self.rows) - 1

    @property
    def words(self) -> int:
        """Number of synapses; each row has one at least."""
        return sum(map(len, self.rows))

    @property
    def recurrent(self) -> bool:
        """Whether rows read their own spikes."""
        return self.layer is not None and self.layer.recurrent is not None


def _rows(size: int, *fed: tuple[NDArray[np.int8] | None, int], least: int = 1) -> list[Row]:
    """Return the synapses of ``size`` rows, of matrices (D, size) of senders from addresses on.

    Synapses of weight 0 fill a row of less than ``least``.
    """
    rows: list[Row] = [[] for _ in range(size)]
    for loop, (weights, first) in enumerate(fed):
        if weights is not None:
            for n, d in np.argwhere(weights.T != 0).tolist():
                rows[n].append((bool(loop), first + d, int(weights[d, n])))
    nothing = (False, fed[0][1], 0)
    return [row + [nothing] * (least - len(row)) for row in rows]


def _limits(*parts: tuple[NDArray[np.int8] | None, int, int]) -> Range:
    """Return the limits of sums of senders within limits by matrices of weights."""
    ends = [reach(w, low, high) for w, low, high in parts if w is not None]
    low, high = (sum(x[k] for x in ends) for k in (0, 1))
    return int(np.min(low, initial=0)), int(np.max(high, initial=0))


def _union(limits: Sequence[Range]) -> Range:
    """Return limits that hold all limits."""
    return min(x[0] for x in limits), max(x[1] for x in limits)


def _by_pass(values: Sequence[int]) -> str:
    """Return the expression of a number that each pass has."""
    return "".join(f"pass == {p} ? {x} : " for p, x in enumerate(values[:-1])) + str(values[-1])


def _in(passes: Sequence[int]) -> str:
    """Return the expression of being in one of some passes."""
    return f"({' || '.join(f'pass == {p}' for p in passes)})"


class Serial(Form):
    """Serial form of an integer program."""

    shape = "one synapse a clock cycle"

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        super().__init__(integer, name, title)
        self._results = sum(x.size for x in integer.layers)  # rows whose results are stored
        self._passes = list(self._make_passes())
        self._last = len(self._passes) - 1
        self._circuit = Circuit("n", _DEPTH)
        self._address_bits = width_of(self._results + self.inputs)
        self._row_bits = width_of(self._results + self.outputs)
        self._slot_bits = width_of(self.time_steps + 1)

    def _make_passes(self) -> Iterator[_Pass]:
        integer, first, before = self.integer, 0, self._results
        low, high = integer.ranges.get("values", (0, 1))
        for k, layer in enumerate(integer.layers, start=1):
            weights, of_values = layer.weights, isinstance(layer, IntegerUnits)
            if of_values or (k == 1 and self.held):
                rows, sums = _rows(layer.size, (weights, before)), _limits((weights, low, high))
                yield _Pass(rows, first, layer.biases, sums, layer if of_values else None)
            if isinstance(layer, IntegerNeurons):
                fed = None if k == 1 and self.held else weights
                rows = _rows(layer.size, (fed, before), (layer.recurrent, first))
                sums = _limits((fed, 0, 1), (layer.recurrent, 0, 1))
                yield _Pass(rows, first, layer.biases, sums, layer, self.time_steps, False)
            low, high = integer.ranges.get(f"units_{k}", (low, high))
            before, first = first, first + layer.size
        if integer.neurons:
            low, high = _limits((integer.coefficients.T, 0, 1))
        weights = np.ascontiguousarray(integer.head_weights.T)
        rows = _rows(self.outputs, (weights, before), least=2)
        yield _Pass(rows, self._results, integer.head_biases, _limits((weights, low, high)))

    # ---- arithmetic ------------------------------------------------------------------------------
    def _updates(self) -> dict[str, dict[int, Signal]]:
        """Return what is stored at the end of a row, by memory and by number of the pass."""
        circuit, stored = self._circuit, dict[str, dict[int, Signal]]()
        kinds = dict[type, list[int]]()
        for p, own in enumerate(self._passes):
            entered, bias = self._sum([p]), self._bias([p])
            if isinstance(own.layer, IntegerNeurons):
                kinds.setdefault(own.layer.neuron, []).append(p)
            elif own.layer is not None:
                for name, signal in self._units(own.layer, circuit.add(entered, bias)):
                    stored.setdefault(name, {})[p] = signal
            elif p == self._last:
                stored["result"] = {p: circuit.add(entered, bias)}
            else:
                first = self.integer.neurons[0]
                held = circuit.scaled(entered, first.input_bits - first.bits)
                stored["held"] = {p: circuit.add(held, bias)}
        for passes in kinds.values():
            for name, signal in self._neurons(passes, stored.get("held", {})):
                stored.setdefault(name, {}).update(dict.fromkeys(passes, signal))
        if self.integer.neurons:
            last = self._last - 1
            stored["value"] = {last: self._counted(stored["spike"][last])}
        return stored

    def _units(self, layer: IntegerUnits, total: Signal) -> Iterator[tuple[str, Signal]]:
        """Yield the result of a unit, and its new state if it has one, by memory."""
        if layer.decays is None:
            yield "value", self.unit(self._circuit, layer, total)
            return
        before = Signal("state_0", *LEAKY_LIMITS, 0)
        before = self._circuit.where(Signal("anew", 0, 1, 0), self._circuit.number(0), before)
        decay = Signal("decay", 0, 1 << GAIN_BITS, 0)
        state, result = self.leaky(self._circuit, layer, total, before, decay)
        yield from (("state_0", state), ("value", result))

    def _neurons(
        self, passes: list[int], held: Mapping[int, Signal]
    ) -> Iterator[tuple[str, Signal]]:
        """Yield the new state and the spike of a kind of neurons, by memory."""
        circuit = self._circuit
        layers = [x for p in passes if isinstance(x := self._passes[p].layer, IntegerNeurons)]
        groups: dict[tuple[int, bool], list[int]] = {}
        for p, layer in zip(passes, layers, strict=True):
            groups.setdefault((layer.bits, p - 1 in held), []).append(p)
        currents: dict[int, Signal] = {}
        for (bits, of_held), group in groups.items():
            base = self._bias(group)
            if of_held:
                base = Signal("held", held[0].low, held[0].high, 0)
            current = circuit.add(circuit.shifted(self._sum(group), bits), base)
            currents |= dict.fromkeys(group, current)
        current = circuit.chosen("pass", {p: currents[p] for p in passes})
        rest = [self._chosen(passes, x) for x in zip(*(x.rest[:, 0] for x in layers), strict=True)]
        numbers = [
            self._chosen(passes, x) for x in zip(*(x.constants for x in layers), strict=True)
        ]
        anew = Signal("anew", 0, 1, 0)
        state = [circuit.where(anew, x, Signal(f"state_{s}", *WIDE, 0)) for s, x in enumerate(rest)]
        new, fired = fire(layers[0].neuron, numbers, state, current, circuit.algebra)
        yield from ((f"state_{s}", x) for s, x in enumerate(new))
        yield "spike", fired

    def _sum(self, passes: Sequence[int]) -> Signal:
        return Signal("sum", *_union([self._passes[p].sums for p in passes]), 0)

    def _bias(self, passes: Sequence[int]) -> Signal:
        biases = np.concatenate([self._passes[p].biases for p in passes])
        return Signal("bias", int(biases.min()), int(biases.max()), 0)

    def _chosen(self, passes: Sequence[int], numbers: Sequence[int]) -> Signal:
        """Return one of some constants, by pass."""
        each = [self._circuit.number(int(x)) for x in numbers]
        return self._circuit.chosen("pass", dict(zip(passes, each, strict=True)))

    def _counted(self, fired: Signal) -> Signal:
        """Return the sum of the coefficients of a neuron's spikes."""
        circuit, zero = self._circuit, self._circuit.number(0)
        numbers = {t: circuit.number(int(x)) for t, x in enumerate(self.integer.coefficients[0])}
        coefficient = circuit.chosen("step_0", numbers)
        if coefficient.constant is None:
            coefficient = replace(coefficient, stage=0)
        low, high = _limits((self.integer.coefficients.T, 0, 1))
        before = circuit.where(Signal("first", 0, 1, 0), zero, Signal("count", low, high, 0))
        counted = circuit.add(before, circuit.where(fired, coefficient, zero))
        return replace(counted, low=low, high=high)  # of all time steps together

    # ---- text ------------------------------------------------------------------------------------
    def body(self) -> Iterator[str]:
        """Yield the lines of the module."""
        circuit, updates = self._circuit, self._updates()
        results = {name: circuit.chosen("pass", each) for name, each in updates.items()}
        stage = max(x.stage for x in results.values())
        results = {name: circuit.delayed(x, stage) for name, x in results.items()}
        yield from CONTROL.format(**self._counters(stage)).splitlines()
        yield from self._synapses()
        yield from FETCH.format(stage=stage, **self._senders()).splitlines()
        yield from self._memories(updates, results)
        yield from circuit.lines
        yield from ("always @(posedge clk) begin", *(f"    {x}" for x in circuit.clocked), "end")
        yield from self._output(results["result"])

    def _counters(self, stage: int) -> dict[str, object]:
        """Return the fields of ``CONTROL``, with results in so many cycles behind a sum."""
        passes, drain = self._passes, stage + _FETCH
        ends = np.cumsum([x.words for x in passes]).tolist()
        # A row's state is stored before it is read again, and spikes before rows that they enter.
        pauses = [max(drain - 1 if x.recurrent else 0, stage + 2 - x.words, 0) for x in passes]
        first_rows = [x.first_row for x in passes]
        return {
            "pass_top": width_of(len(passes)) - 1, "place_top": width_of(ends[-1] + 1) - 1,
            "step_top": width_of(self.time_steps) - 1, "wait_top": width_of(drain + 1) - 1,
            "slot_top": self._slot_bits - 1, "row_top": self._row_bits - 1,
            "first_place": _by_pass([end - x.words for end, x in zip(ends, passes, strict=True)]),
            "last_place": _by_pass([x - 1 for x in ends]),
            "last_t": _by_pass([x.repeats - 1 for x in passes]), "pause": _by_pass(pauses),
            "first_row": _by_pass(first_rows), "last_row": _by_pass([x.last_row for x in passes]),
            "next_row": _by_pass([*first_rows[1:], 0]), "last_pass": self._last,
            "load": "\n".join(self._load()), "time_steps": self.time_steps, "drain": drain,
        }  # fmt: skip

    def _load(self) -> Iterator[str]:
        """Yield the lines that count the numbers of an observation, and begin a decision."""
        yield f"reg [{width_of(self.inputs) - 1}:0] got;"
        last = f"got == {self.inputs - 1}"
        if self.held or not self.integer.neurons:
            whole = last
        else:
            yield f"reg [{width_of(self.time_steps) - 1}:0] got_steps;"
            whole = f"{last} && got_steps == {self.time_steps - 1}"
        yield "reg starts;"
        yield "always @(posedge clk) begin"
        yield f"    starts <= valid && {whole} && !rst;"
        yield f"    if (rst) got <= 0; else if (valid) got <= {last} ? 0 : got + 1;"
        if not self.held and self.integer.neurons:
            yield "    if (rst || starts) got_steps <= 0;"
            yield f"    else if (valid && {last}) got_steps <= got_steps + 1;"
        yield "end"
        yield from self.freshness

    def _synapses(self) -> Iterator[str]:
        """Yield the memory of synapses."""
        bits, words = self._address_bits, []
        for row in (row for own in self._passes for row in own.rows):
            for k, (loop, sender, weight) in enumerate(row):
                flags = (k == len(row) - 1) << 1 | loop
                words.append(f"{bits + 10}'d{(flags << bits | sender) << 8 | weight & 255}")
        yield from table("word", f"[{bits + 9}:0]", words, "place")

    def _senders(self) -> dict[str, object]:
        """Return the fields of ``FETCH`` but for ``stage``."""
        passes, spike = self._passes, "(silent_2 || !spike ? 8'sd0 : weight_2)"
        of_values = [p for p, x in enumerate(passes) if x.of_values]
        products = _union([x.sums for x in passes])
        multiplied = "weight_2 * value"
        if self.integer.neurons:
            multiplied = f"{_in(of_values)} ? weight_2 * value : {spike}"
        return {
            "address_top": self._address_bits - 1, "multiplied": multiplied,
            "product": declared("reg", "product", products),
            "sum": declared("reg", "sum", products), "fresh": "fresh" if self.stateful else "1'b1",
        }  # fmt: skip

    def _memories(
        self, updates: Mapping[str, dict[int, Signal]], results: Mapping[str, Signal]
    ) -> Iterator[str]:
        """Yield the memories of constants and results."""
        yield from self._constants("bias", [x.biases for x in self._passes])
        if "state_0" in results and not self.integer.neurons:
            layers = [x.layer for x in self._passes]
            decays = [x.decays if isinstance(x, IntegerUnits) else None for x in layers]
            yield from self._constants("decay", decays, 1 << GAIN_BITS)
        if "value" not in results:  # of a linear policy
            yield from self._values((0, 0), "1'b0", "got", "data")
        for name, result in results.items():
            limits, write = (result.low, result.high), f"stored && {_in([*updates[name]])}"
            stored = write, "stored_row", result.text
            if name == "value":
                yield from self._values(limits, *stored)
            if name == "value" and self.integer.neurons:
                yield from memory("count", kind_of(limits), self._results, *stored, "row")
            elif name == "spike":
                yield from self._spikes(*stored)
            elif name not in ("value", "result"):
                yield from memory(name, kind_of(limits), self._results, *stored, "row")

    def _constants(
        self, name: str, each: Sequence[NDArray[np.integer] | None], most: int = 0
    ) -> Iterator[str]:
        """Yield a memory of constants by row; those of each pass, up to ``most`` at least."""
        whole = np.zeros(self._results + self.outputs, np.int64)
        for own, numbers in zip(self._passes, each, strict=True):
            if numbers is not None:
                whole[own.first_row : own.last_row + 1] = numbers
        limits = int(whole.min(initial=0)), int(whole.max(initial=most))
        yield from table(name, kind_of(limits), [str(x) for x in whole.tolist()], "row")

    def _values(self, limits: Range, write: str, at: str, value: str) -> Iterator[str]:
        """Yield the memory of values: of observations, units, and of neurons as the head reads."""
        if not self.held and self.integer.neurons:
            yield from memory("value", kind_of(limits), self._results, write, at, value, "sender")
            return
        limits = _union([limits, self.integer.ranges["values"]])
        first, data = self._results, "data" if self.held else "{1'b0, data}"
        own = f"valid || {write}", f"valid ? {first} + got : {at}", f"valid ? {data} : {value}"
        size = self._results + self.inputs
        yield from memory("value", kind_of(limits), size, *own, "sender")

    def _spikes(self, write: str, at: str, value: str) -> Iterator[str]:
        """Yield the memory of spikes, by slot and address."""
        bits, slots = self._address_bits, self._slot_bits
        yield f"wire [{bits - 1}:0] stored_at = {at};"
        yield f"wire [{slots - 1}:0] sender_slot = loop ? slot_1 - 1 : slot_1;"
        own = write, "{stored_slot, stored_at}", f"{value} != 0"
        if not self.held:
            yield f"wire [{bits - 1}:0] got_at = {self._results} + got;"
            yield f"wire [{slots - 1}:0] got_slot = slot + got_steps;"
            write, place, value = own
            own = (
                f"valid || {write}",
                f"valid ? {{got_slot, got_at}} : {place}",
                f"valid ? data : {value}",
            )
        yield from memory("spike", "", 1 << (bits + slots), *own, "{sender_slot, sender}")

    def _output(self, result: Signal) -> Iterator[str]:
        """Yield the choice of the action, or the register of all outputs."""
        first, bits = self._results, self.output_bits
        if not self.discrete:
            yield f"wire signed [{bits - 1}:0] shown = {result.text};"
            left = f"{{shown, outputs}} >> {bits}" if self.outputs > 1 else "shown"
            yield f"always @(posedge clk) if (stored && pass == {self._last}) outputs <= {left};"
            return
        # An output is compared in one cycle and taken in the next; a row of the head has two.
        yield f"reg shows, better; reg signed [{bits - 1}:0] shown, top;"
        yield f"reg [{self._row_bits - 1}:0] shown_row;"
        yield "always @(posedge clk) begin"
        yield f"    shows <= stored && pass == {self._last};"
        yield f"    if (stored) begin shown <= {result.text}; shown_row <= stored_row; end"
        yield f"    better <= shows && (shown_row == {first} || shown > top);"
        yield f"    if (better) begin top <= shown; action <= shown_row - {first}; end"
        yield "end"
