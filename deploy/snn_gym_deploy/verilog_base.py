"""Verilog of integer programs: ports, memories, units of an ANN, and the testbench."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from snn_gym_deploy.fixed_point import GAIN_BITS
from snn_gym_deploy.integer import IntegerProgram, IntegerUnits
from snn_gym_deploy.verilog_circuit import Circuit, Signal

HEADER = """\
// {title}: {shape}.
// A clock cycle with `valid` takes one of {count} numbers: {meaning}.
// `done` is 1 for one cycle, in which {action} there.{restart}{values}
module {name} (
    input clk, input rst, input valid,{ports}
    input {signed}[{width}:0] data,
    output reg done,
    output reg {kind} {result}
);
"""

TESTBENCH = """\
// Gives {name} {count} observations, and compares its decisions with those of the interpreter.
`timescale 1ns / 1ps
module {name}_tb;
    reg clk = 0, rst = 1, valid = 0{restart_reg};
    reg [{width}:0] data = 0;
    wire done;
    wire {kind} {result};
    reg [{width}:0] given [0:{last_given}];
    reg {kind} expected [0:{last}];{restarts}
    integer i, d, cycles, total, most, wrong;
    {name} agent (.clk(clk), .rst(rst), .valid(valid),{restart_port} .data(data), .done(done),
        .{result}({result}));
    always #5 clk = ~clk;
    initial begin
        $readmemh("{name}_given.hex", given);
        $readmemh("{name}_expected.hex", expected);{read_restarts}
        total = 0; most = 0; wrong = 0;
        $display("{count} decisions are compared, which takes seconds to minutes");
        repeat (4) @(negedge clk);
        rst = 0;
        for (i = 0; i < {count}; i = i + 1) begin
            cycles = 0;
            for (d = 0; d < {inputs}; d = d + 1) begin
                @(negedge clk);
                valid = 1; data = given[i * {inputs} + d];{set_restart}
                cycles = cycles + 1;
            end
            @(negedge clk);
            valid = 0; cycles = cycles + 1;
            while (!done && cycles < {limit}) begin
                @(negedge clk);
                cycles = cycles + 1;
            end
            if (!done || {result} !== expected[i]) begin
                wrong = wrong + 1;
                if (wrong < 6)
                    $display("decision %0d: %h, expected %h", i, {result}, expected[i]);
            end
            total = total + cycles;
            if (cycles > most) most = cycles;
        end
        $display("cycles of a decision: mean %0.1f, most %0d", total * 1.0 / {count}, most);
        if (wrong == 0) $display("PASS: {count} decisions");
        else $display("FAIL: %0d of {count} decisions", wrong);
        $finish;
    end
endmodule
"""


LEAKY_LIMITS = -(2**30), 2**30 - 1
"""Limits of the state of leaky integrators."""


def width_of(count: int) -> int:
    """Return the bits of unsigned numbers below ``count``."""
    return max(1, (count - 1).bit_length())


def memory(
    name: str, kind: str, depth: int, enable: str, at: str, value: str, read: str
) -> list[str]:
    """Return a memory that is written where ``enable`` is 1 and read into a register ``name``."""
    return [
        f"reg {kind} {name}_memory [0:{depth - 1}];",
        f"reg {kind} {name};",
        "always @(posedge clk) begin",
        f"    if ({enable}) {name}_memory[{at}] <= {value};",
        f"    {name} <= {name}_memory[{read}];",
        "end",
    ]


def table(name: str, kind: str, entries: Sequence[str], read: str) -> list[str]:
    """Return a memory of constants that is read into a register ``name``."""
    return [
        f"reg {kind} {name}_memory [0:{len(entries) - 1}];",
        f"reg {kind} {name};",
        "initial begin",
        *(f"    {name}_memory[{k}] = {entry};" for k, entry in enumerate(entries)),
        "end",
        f"always @(posedge clk) {name} <= {name}_memory[{read}];",
    ]


def hexadecimal(values: NDArray[np.int64], width: int) -> str:
    """Return a file for ``$readmemh``: a number of ``width`` bits on each line."""
    digits = -(-width // 4)
    mask = (1 << width) - 1
    return "".join(f"{int(x) & mask:0{digits}x}\n" for x in values.ravel())


class Form(ABC):
    """Verilog of an integer program in one form, named after ``name``."""

    shape: str

    def __init__(self, integer: IntegerProgram, name: str, title: str) -> None:
        program = integer.program
        self.integer, self.program, self.name = integer, program, name
        self.title = title or "An agent"
        self.inputs, self.outputs = program.inputs, program.outputs
        self.time_steps = len(integer.coefficients[0])
        self.held, self.discrete = not program.spike_input, program.choice.discrete
        self.stateful = program.stateful

    @property
    def count(self) -> int:
        """Numbers of an observation."""
        return self.inputs * (1 if self.held else self.time_steps)

    @property
    def data_bits(self) -> int:
        """Bits of one of them."""
        return self.integer.widths["values"] if self.held else 1

    @property
    def output_bits(self) -> int:
        """Bits of an output."""
        return self.integer.widths["outputs"]

    @property
    def result_bits(self) -> int:
        """Bits of an action's number, or of all outputs."""
        return width_of(self.outputs) if self.discrete else self.outputs * self.output_bits

    @property
    def freshness(self) -> Sequence[str]:
        """Lines of the register that says whether a decision begins an episode."""
        if not self.stateful:
            return ()
        return (
            "reg fresh;",
            "always @(posedge clk) if (rst || restart) fresh <= 1; else if (ends) fresh <= 0;",
        )

    @abstractmethod
    def body(self) -> Iterable[str]:
        """Yield the lines of the module."""

    def source(self) -> str:
        """Return the text of the module."""
        unit = 2**self.integer.input_bits
        meaning = (
            f"standardised values in units of 1/{unit}, rounded half to even"
            if self.held
            else f"spikes, 0 or 1, of {self.inputs} channels at {self.time_steps} time steps"
        )
        action = "`action` is"
        if not self.discrete:
            action = (
                f"`outputs`, {self.outputs} signed numbers of {self.output_bits} bits, the first "
                f"lowest, in units of {self.integer.output_unit!r}, for the host to "
                f"{self.program.choice.rule}, is"
            )
        header = HEADER.format(
            title=self.title, shape=self.shape, name=self.name, count=self.count, meaning=meaning,
            action=action, width=self.data_bits - 1, kind=f"[{self.result_bits - 1}:0]",
            signed="signed " if self.held else "",
            result=self._result, ports=" input restart," if self.stateful else "",
            restart=" `restart` or `rst` begins an episode." if self.stateful else "",
            values="".join(self._standardisation()),
        )  # fmt: skip
        return header + "".join(f"    {x}\n" if x else "\n" for x in self.body()) + "endmodule\n"

    def _standardisation(self) -> Iterable[str]:
        """Yield lines that say how the host standardises an observation."""
        for x in self.program.normalisers if self.held else ():
            yield f"\n// A value is (observation - mean) / deviation, at most {x.clip} in size."
            for name, numbers in (("means", x.mean), ("deviations", x.std)):
                yield f"\n// {name}: {', '.join(map(str, numbers.tolist()))}"

    @property
    def _result(self) -> str:
        return "action" if self.discrete else "outputs"

    def vectors(self, observations: NDArray[np.float32], starts: Sequence[bool]) -> dict[str, str]:
        """Return the testbench and the files that it reads, by name.

        Args:
            observations: (K, ...) of K decisions in a row.
            starts: Whether an episode begins at each decision.
        """
        given, expected = [], []
        state = None
        for row, begins in zip(observations, starts, strict=True):
            made = self.integer.decide(row[np.newaxis], None if begins else state)
            state = made.state if self.stateful else None
            given.append(self.integer.enter(row[np.newaxis])[:, 0].ravel())
            expected.append(self._packed(made.outputs[0], made.actions))
        files = {
            f"{self.name}_tb.v": self._testbench(len(given)),
            f"{self.name}_given.hex": hexadecimal(np.array(given), self.data_bits),
            f"{self.name}_expected.hex": hexadecimal(np.array(expected, object), self.result_bits),
        }
        if self.stateful:
            files[f"{self.name}_starts.hex"] = hexadecimal(np.array(starts, np.int64), 1)
        return files

    def _packed(self, outputs: NDArray[np.int64], actions: NDArray[np.int64]) -> int:
        if self.discrete:
            return int(actions[0])
        mask = (1 << self.output_bits) - 1
        return sum((int(x) & mask) << (o * self.output_bits) for o, x in enumerate(outputs))

    def _testbench(self, count: int) -> str:
        stateful = self.stateful
        return TESTBENCH.format(
            name=self.name, count=count, inputs=self.count, width=self.data_bits - 1,
            last_given=count * self.count - 1, last=count - 1, result=self._result,
            kind=f"[{self.result_bits - 1}:0]", limit=10_000_000,
            restart_reg=", restart = 0" if stateful else "",
            restart_port=" .restart(restart)," if stateful else "",
            restarts=f"\n    reg starts [0:{count - 1}];" if stateful else "",
            read_restarts=f'\n        $readmemh("{self.name}_starts.hex", starts);'
            if stateful
            else "",
            set_restart=" restart = starts[i] && d == 0;" if stateful else "",
        )  # fmt: skip

    @staticmethod
    def unit(circuit: Circuit, layer: IntegerUnits, total: Signal) -> Signal:
        """Return the result of a unit for the sum of its inputs."""
        if layer.kind == "relu":
            above = circuit.where(
                circuit.exceeds(total, circuit.number(0)), total, circuit.number(0)
            )
            result = circuit.rescaled(above, layer.scale)
            return result if layer.levels is None else circuit.limited(result, 0, layer.levels)
        result = circuit.tangent(circuit.rescaled(total, layer.scale))
        if layer.levels is None:
            return result
        return circuit.scaled(circuit.multiply(result, circuit.number(layer.levels)), GAIN_BITS)

    @staticmethod
    def leaky(
        circuit: Circuit, layer: IntegerUnits, total: Signal, state: Signal, decay: Signal
    ) -> tuple[Signal, Signal]:
        """Return state and result of a leaky integrator for the sum of its inputs."""
        kept = circuit.scaled(circuit.multiply(decay, state), GAIN_BITS)
        new = circuit.add(kept, circuit.rescaled(total, layer.scale))
        return new, circuit.saturated(circuit.rescaled(new, layer.loop))
