"""Agents as gates: ``python -m studies.gates run``, then ``report``.

Stored agents are exported as Verilog, serial and parallel, compared with their integer programs on
2,000 observations by Verilator, and synthesised by yosys and nextpnr for two FPGAs.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from snn_gym import load_pretrained
from snn_gym._base.config import Config
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.policies import program_of
from snn_gym_deploy import VerilogFiles, count_instructions, seen_and_noisy, to_verilog, visit
from studies.runs import Planned, Runs, Study, command_line
from studies.tables import table, wrapped

ROOT = Path(__file__).parents[2]
SEEN = 1000  # observations, and as many with noise
SHAPES: tuple[Literal["serial", "parallel"], ...] = ("serial", "parallel")
AGENTS = (
    ("CartPole-v1", "ppo-linear"),
    ("CartPole-v1", "ppo-mlp-8"),
    ("CartPole-v1", "ppo-lif-lean"),
    ("Acrobot-v1", "ppo-linear"),
    ("Acrobot-v1", "ppo-lif-lean"),
    ("MountainCar-v0", "ppo-relu-8"),
    ("MountainCar-v0", "ppo-lif-lean"),
    ("Pendulum-v1", "ppo-relu-8"),
    ("Pendulum-v1", "ppo-lif-lean"),
    ("LunarLanderContinuous-v3", "ppo-linear"),
    ("LunarLanderContinuous-v3", "ppo-lif-lean"),
    ("snn/CueAccumulation-v0", "recurrent-ppo-leaky-small"),
    ("snn/CueAccumulation-v0", "recurrent-ppo-lsnn-lean"),
    ("snn/CueAccumulation-silent-v0", "recurrent-ppo-leaky-small"),
    ("snn/CueAccumulation-silent-v0", "recurrent-ppo-lsnn-lean"),
    ("snn/DelayedMatchToSample-v0", "recurrent-ppo-lsnn-lean"),
)
MOST_SYNAPSES = 1000
TARGET: Literal["cortex-m4"] = "cortex-m4"
TOOLS = ("yosys", "nextpnr-ice40", "nextpnr-ecp5", "verilator")


@dataclass(frozen=True)
class Part(Config):
    """What a form takes of an FPGA, and its clock."""

    luts: int
    """Logic cells of iCE40, lookup tables of ECP5."""
    memories: int
    multipliers: int
    clock_mhz: float
    """0 where it does not fit."""


_NONE = Part(0, 0, 0, 0.0)


@dataclass(frozen=True)
class Built(Config):
    """A form of an agent."""

    environment: str
    agent: str
    shape: str
    sizes: tuple[int, ...]
    decisions: int
    """Decisions that equal those of the integer program, of as many."""
    cycles: int
    gates: int
    """Gates of two inputs at most and flip-flops, memories included."""
    ice40: Part
    ecp5: Part
    tools: str


def plan() -> Iterator[Planned]:
    """Yield the forms of all agents, and their instructions as C."""
    for env_id, agent in AGENTS:
        for shape in SHAPES:
            name = f"forms/{agent}/{env_id}/{shape}"
            yield Planned(name, partial(_build, env_id, agent, shape))
        yield Planned(f"instructions/{agent}/{env_id}", partial(_counted, env_id, agent))


def _build(env_id: str, agent: str, shape: Literal["serial", "parallel"]) -> Built:
    model = load_pretrained(agent, env_id)
    observations = seen_and_noisy(model, env_id, SEEN)
    with tempfile.TemporaryDirectory() as name:
        files = to_verilog(model, name, observations, visits=visit(model, env_id), shape=shape)
        decisions, cycles = _simulated(files)
        gates, parts = 0, (_NONE, _NONE)
        large = files.synapses > MOST_SYNAPSES or program_of(model).stateful
        if shape == "serial" or not large:
            gates, parts = _gates(files.source), (_ice40(files.source), _ecp5(files.source))
        return Built(
            env_id, agent, shape, files.sizes, decisions, cycles, gates, *parts, _versions()
        )


def _tool(*words: str, folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"{words[0]}: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout


def _simulated(files: VerilogFiles) -> tuple[int, int]:
    """Return the number of equal decisions, and the most cycles of a decision."""
    folder, top = files.source.parent, files.testbench.stem
    sources = files.testbench.name, files.source.name
    _tool("verilator", "--binary", "-Wno-fatal", "-O3", "--top-module", top, *sources,
          folder=folder)  # fmt: skip
    shown = _tool(f"./obj_dir/V{top}", folder=folder)
    found = re.search(r"most (\d+)\nPASS: (\d+) decisions", shown)
    if found is None:
        raise ValueError(f"the testbench does not pass: {shown}")
    return int(found[2]), int(found[1])


def _gates(source: Path) -> int:
    script = f"read_verilog {source}; synth -flatten -top agent; abc -g simple; opt_clean"
    _tool("yosys", "-q", "-p", f"{script}; tee -q -o g.json stat -json", folder=source.parent)
    content = json.loads((source.parent / "g.json").read_text())
    return int(content["design"]["num_cells"])


# The outputs of continuous actions are more than the part has pins: they leave bit by bit.
_BIT_BY_BIT = """\
module top(input clk, input rst, input valid, input signed [15:0] data, output out);
    wire done;
    wire [{top}:0] outputs;
    reg [{top}:0] left;
    agent own(.clk(clk), .rst(rst), .valid(valid), .data(data), .done(done), .outputs(outputs));
    always @(posedge clk) left <= done ? outputs : left >> 1;
    assign out = left[0];
endmodule
"""


def _top(source: Path) -> str:
    """Return the module that is placed; write it if it is not the agent's own."""
    wide = re.search(r"output reg \[(\d+):0\] outputs", source.read_text())
    if wide is None:
        return "agent"
    with source.open("a") as file:
        file.write(_BIT_BY_BIT.format(top=wide[1]))
    return "top"


def _ice40(source: Path) -> Part:
    script = f"read_verilog {source}; synth_ice40 -dsp -top {_top(source)} -json ice40.json"
    _tool("yosys", "-q", "-p", script, folder=source.parent)
    return _placed(source.parent, "nextpnr-ice40", ("--up5k", "--package", "sg48", "--freq", "40",
                   "--pcf-allow-unconstrained", "--json", "ice40.json"),
                   ("ICESTORM_LC", "ICESTORM_RAM", "ICESTORM_DSP"))  # fmt: skip


def _ecp5(source: Path) -> Part:
    script = f"read_verilog {source}; synth_ecp5 -top agent -json ecp5.json"
    _tool("yosys", "-q", "-p", script, folder=source.parent)
    return _placed(source.parent, "nextpnr-ecp5", ("--25k", "--freq", "60",
                   "--lpf-allow-unconstrained", "--json", "ecp5.json"),
                   ("TRELLIS_COMB", "DP16KD", "MULT18X18D"))  # fmt: skip


def _placed(folder: Path, tool: str, options: Sequence[str], names: tuple[str, str, str]) -> Part:
    words = (tool, *options, "--seed", "1", "-q", "--timing-allow-fail", "--report", "report.json")
    try:
        _tool(*words, folder=folder)
    except ValueError:
        return _NONE
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    used = [int(report["utilization"].get(x, {"used": 0})["used"]) for x in names]
    clock = min(x["achieved"] for x in report["fmax"].values())
    return Part(used[0], used[1], used[2], clock)


def _versions() -> str:
    """Return the versions of the tools, in words."""
    texts = []
    for tool in TOOLS:
        done = subprocess.run((tool, "--version"), capture_output=True, text=True, check=False)
        version = re.search(r"\d+\.\d+[\w.+-]*", done.stdout + done.stderr)
        texts.append(f"{tool} {version[0] if version else 'of unknown version'}")
    return ", ".join(texts)


@dataclass(frozen=True)
class Counted(Config):
    """Instructions of a decision on a Cortex-M4."""

    environment: str
    agent: str
    form: str
    instructions: float


def _counted(env_id: str, agent: str) -> Counted:
    model = load_pretrained(agent, env_id)
    made = count_instructions(model, env_id, TARGET, visits=visit(model, env_id))
    return Counted(env_id, agent, made.form, made.per_decision)


def pages(runs: Runs) -> dict[str, str]:
    """Return the page from the results that there are."""
    built, counted = runs.read(Built, "forms/"), runs.read(Counted, "instructions/")
    measured = {(x.environment, x.agent): f"{x.instructions:,.0f}" for x in counted}
    agents = list[tuple[str, ...]]()
    forms: dict[str, list[tuple[str, ...]]] = {shape: [] for shape in SHAPES}
    for env_id, agent in AGENTS:
        stored = find_trained(agent, env_id, ROOT / "leaderboard").row()
        own = {x.shape: x for x in built if (x.environment, x.agent) == (env_id, agent)}
        if not own:
            continue
        sizes = "-".join(map(str, next(iter(own.values())).sizes)) or "none"
        rates = [_a_second(own[shape]) if shape in own else "–" for shape in SHAPES]
        instructions_ = measured.get((env_id, agent), "–")
        score = f"{stored.score.mean:,.1f}"
        agents.append((env_id, f"`{agent}`", score, sizes, *rates, instructions_))
        for shape, x in own.items():
            forms[shape].append((env_id, f"`{agent}`", *_cells(x)))
    equal = sum(x.decisions for x in built)
    tools = sorted({x.tools for x in built})
    text = wrapped(
        *_INTRO,
        f"{len(built)} forms of {len({(x.environment, x.agent) for x in built})} agents decided as "
        f"their integer programs on {equal:,} of {equal:,} observations.",
        table(_AGENTS_HEAD, agents),
        *_NOTES,
        "## Serial",
        table(_HEAD, forms["serial"]),
        "## Parallel",
        table(_HEAD, forms["parallel"]),
        _LARGE,
        f"Tools: {'; '.join(tools)}. `python -m studies.gates` with `run` "
        "and `report` writes this page.",
    )
    return {"gates.md": text}


def _cells(x: Built) -> tuple[str, ...]:
    """Return the cells of a form: cycles, gates and both parts."""
    parts = [
        f"{y.luts:,}; {y.memories}; {y.multipliers}; {y.clock_mhz:.0f} MHz"
        if y.clock_mhz
        else ("too large" if x.gates else "–")
        for y in (x.ice40, x.ecp5)
    ]
    return f"{x.cycles:,}", f"{x.gates:,}" if x.gates else "–", *parts


def _a_second(x: Built) -> str:
    """Return the decisions a second at the faster clock."""
    fastest = max(x.ice40.clock_mhz, x.ecp5.clock_mhz)
    return f"{1e6 * fastest / x.cycles:,.0f}" if fastest else "–"


_INTRO = (
    "# Agents as gates",
    "Where a linear policy keeps the return, it is the smallest and the fastest circuit: on "
    "CartPole, Acrobot and LunarLanderContinuous no spiking agent comes near it. On MountainCar "
    "and Pendulum 8-8 rectified units take fewer gates than the lean spiking agent; all neurons at "
    "once, the spiking agent of MountainCar decides more often.",
    "Stored agents, exported by `snn-gym export AGENT ENV --verilog FOLDER`, on two small FPGAs: "
    "Lattice iCE40 UP5K and ECP5-25. Of an FPGA the tables have lookup tables, block memories, "
    "multipliers, and the clock that the tools reach. Gates are those of yosys `abc -g simple` "
    "with flip-flops, memories included. Decisions a second are at the faster clock. Instructions "
    "are those of the cheapest C.",
)
_AGENTS_HEAD = (
    "Task", "Agent", "Return", "Units", "Decisions a second, serial", "parallel",
    "Instructions, Cortex-M4",
)  # fmt: skip
_HEAD = "Task", "Agent", "Cycles", "Gates", "iCE40 UP5K", "ECP5-25"
_NOTES = (
    "The host standardises observations; it is in the instructions, and not in the gates. Cycles "
    "include those in which an observation comes in, a number a cycle.",
)
_LARGE = (
    f"Parallel forms of more than {MOST_SYNAPSES:,} synapses, and of agents with a state, are "
    "simulated and not synthesised: the one of LunarLanderContinuous, with 1,759, is larger than "
    "both parts."
)
STUDY = Study(Path(__file__).parent, lambda _: plan(), pages)

if __name__ == "__main__":
    command_line(STUDY)
