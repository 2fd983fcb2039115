"""Whole episodes that a simulated circuit plays, beside the integer program."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from snn_gym import load_pretrained
from snn_gym._base.config import Config
from snn_gym.policies import program_of
from snn_gym.program import compact
from snn_gym_deploy import to_integer, visit
from snn_gym_deploy.verilog import verilog_form

_BENCH = """\
module bench;
    reg clk = 0, rst = 1, valid = 0;{restart}
    reg signed [31:0] number;
    wire done;
    wire {kind} action;
    integer d, read, begins;
    agent own(.clk(clk), .rst(rst), .valid(valid),{port} .data(number[{top}:0]), .done(done),
        .action(action));
    always #5 clk = ~clk;
    initial begin
        repeat (4) @(negedge clk);
        rst = 0;
        while ($fscanf(32'h8000_0000, "%d", begins) == 1) begin
            for (d = 0; d < {count}; d = d + 1) begin
                read = $fscanf(32'h8000_0000, "%d", number);
                valid = 1;{begin_restart}
                @(negedge clk);
                valid = 0;
            end
            while (!done) @(negedge clk);
            $display("%0d", action);
            $fflush;
        end
        $finish;
    end
endmodule
"""


@dataclass(frozen=True)
class Played(Config):
    """Episodes of a circuit."""

    environment: str
    agent: str
    shape: str
    episodes: int
    decisions: int
    equal: int
    """Decisions that are those of the integer program."""
    mean: float
    """Mean return of the circuit."""


def play(env_id: str, agent: str, shape: Literal["serial", "parallel"], seeds: range) -> Played:
    """Let a circuit of discrete actions play an episode for each seed, by Icarus Verilog."""
    model, env = load_pretrained(agent, env_id), gym.make(env_id)
    visits, decisions, equal, returns = visit(model, env_id), 0, 0, []
    integer = to_integer(compact(program_of(model)), visits.peaks, visits.inputs)
    with _circuit(integer, shape) as ask:
        for seed in seeds:
            observation, _ = env.reset(seed=seed)
            state, over, total = None, False, 0.0
            while not over:
                row = np.asarray(observation)[np.newaxis]
                made = integer.decide(row, state)
                action = ask(integer.enter(row).ravel().tolist(), state is None)
                decisions, equal = decisions + 1, equal + (action == int(made.actions[0]))
                state = made.state if integer.program.stateful else None
                observation, reward, ended, late, _ = env.step(action)
                total, over = total + float(reward), ended or late
            returns.append(total)
    env.close()
    mean = float(np.mean(returns))
    return Played(env_id, agent, shape, len(returns), decisions, equal, mean)


@contextmanager
def _circuit(integer: Any, shape: Literal["serial", "parallel"]) -> Iterator[Any]:
    """Give a function that asks the simulated circuit for an action."""
    form = verilog_form(integer, shape)
    stateful = integer.program.stateful
    bench = _BENCH.format(
        kind=f"[{form.result_bits - 1}:0]", top=form.data_bits - 1, count=form.count,
        restart=" reg restart = 0;" if stateful else "",
        port=" .restart(restart)," if stateful else "",
        begin_restart=" restart = begins == 1 && d == 0;" if stateful else "",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "agent.v").write_text(form.source())
        (folder / "bench.v").write_text(bench)
        words = ["iverilog", "-g2005", "-o", "bench", "bench.v", "agent.v"]
        subprocess.run(words, cwd=folder, check=True)
        with subprocess.Popen(
            ["vvp", "-n", "bench"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        ) as process:  # fmt: skip
            given, made = process.stdin, process.stdout
            assert given is not None
            assert made is not None

            def ask(numbers: list[int], begins: bool) -> int:
                given.write(" ".join(map(str, [int(begins), *numbers])) + "\n")
                given.flush()
                return int(made.readline())

            yield ask
            given.close()
