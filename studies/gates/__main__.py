"""Agents as gates: ``python -m studies.gates run``, then ``report``.

Stored agents are exported as Verilog, serial and parallel, compared with their integer programs on
2,000 observations by Verilator, and synthesised by yosys and nextpnr for two FPGAs. A part whose
file exists is passed over.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from snn_gym import load_pretrained
from snn_gym._base.config import Config
from snn_gym._base.numerics import one_thread
from snn_gym._base.storage import write_text_atomic
from snn_gym.export import VerilogFiles, seen_and_noisy, to_verilog, visit
from snn_gym.leaderboard.pretrained import find_trained
from snn_gym.leaderboard.table import read_instructions
from studies.files import read_run, write_run
from studies.tables import table, wrapped

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gates.md"
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
TOOLS = ("yosys", "nextpnr-ice40", "nextpnr-ecp5", "verilator")
app = typer.Typer(add_completion=False, no_args_is_help=True)


@dataclass(frozen=True)
class Part(Config):
    """What a form takes of an FPGA, and its clock."""

    luts: int
    """Logic cells of iCE40, lookup tables of ECP5."""
    memories: int
    multipliers: int
    clock_mhz: float
    """0 where it does not fit."""


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


@app.command()
def run(
    folder: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
) -> None:
    """Export, simulate and synthesise every agent in both forms."""
    missing = [x for x in TOOLS if shutil.which(x) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; install Debian's packages of them")
    with one_thread():
        for env_id, agent in AGENTS:
            for shape in SHAPES:
                path = folder / f"{agent}-{env_id.replace('/', '-')}-{shape}.json"
                if not path.exists():
                    built = _build(env_id, agent, shape)
                    write_run(path, built)
                    typer.echo(f"{path.stem}: {built.cycles} cycles, {built.ice40}, {built.ecp5}")


def _build(env_id: str, agent: str, shape: Literal["serial", "parallel"]) -> Built:
    model = load_pretrained(agent, env_id)
    observations = seen_and_noisy(model, env_id, SEEN)
    with tempfile.TemporaryDirectory() as name:
        files = to_verilog(model, name, observations, visits=visit(model, env_id), shape=shape)
        decisions, cycles = _simulated(files)
        return Built(
            env_id, agent, shape, files.sizes, decisions, cycles, _gates(files.source),
            _ice40(files.source), _ecp5(files.source), _versions(),
        )  # fmt: skip


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


def _ice40(source: Path) -> Part:
    script = f"read_verilog {source}; synth_ice40 -dsp -top agent -json ice40.json"
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
        return Part(0, 0, 0, 0.0)
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


@app.command()
def report(
    folder: Annotated[Path, typer.Option(help="Folder of the results.")] = RESULTS,
    page: Annotated[Path, typer.Option(help="Page to write.")] = PAGE,
) -> None:
    """Write the page from the results that there are."""
    built = [read_run(Built, path) for path in sorted(folder.glob("*.json"))]
    measured, rows = read_instructions(ROOT / "leaderboard"), []
    for env_id, agent in AGENTS:
        stored = find_trained(agent, env_id, ROOT / "leaderboard").row()
        instructions = measured.get((stored.weights_sha256, "cortex-m4"))
        own = [x for x in built if (x.environment, x.agent) == (env_id, agent)]
        for x in sorted(own, key=lambda x: x.shape, reverse=True):
            sizes = "-".join(map(str, x.sizes)) or "none"
            first = (env_id, f"`{agent}`", f"{stored.mean:,.1f}", sizes)
            last = "–" if instructions is None else f"{instructions:,.0f}"
            head = first if x.shape == "serial" else ("", "", "", "")
            rows.append((*head, x.shape, *_cells(x), last if x.shape == "serial" else ""))
    equal = sum(x.decisions for x in built)
    tools = sorted({x.tools for x in built})
    text = wrapped(
        *_INTRO,
        f"{len(built)} forms of {len({(x.environment, x.agent) for x in built})} agents decided as "
        f"their integer programs on {equal:,} of {equal:,} observations.",
        table(_HEAD, rows),
        *_NOTES,
        f"Tools: {'; '.join(tools)}. `python -m studies.gates run` and `report` write this page.",
    )
    write_text_atomic(page, text)
    typer.echo(f"wrote {page}")


def _cells(x: Built) -> tuple[str, ...]:
    """Return the cells of a form: cycles, gates, both parts and decisions a second."""
    parts = [
        f"{y.luts:,} / {y.memories} / {y.multipliers}; {y.clock_mhz:.0f} MHz"
        if y.clock_mhz
        else "too large"
        for y in (x.ice40, x.ecp5)
    ]
    fastest = max(x.ice40.clock_mhz, x.ecp5.clock_mhz)
    a_second = f"{1e6 * fastest / x.cycles:,.0f}" if fastest else "–"
    return f"{x.cycles:,}", f"{x.gates:,}", *parts, a_second


_INTRO = (
    "# Agents as gates",
    "Where a linear policy keeps the return, it is the smallest and the fastest circuit: on "
    "CartPole, Acrobot and LunarLanderContinuous no spiking agent comes near it.",
    "Stored agents, exported by `snn-gym export AGENT ENV --verilog FOLDER`, on two small FPGAs: "
    "Lattice iCE40 UP5K and ECP5-25. Of an FPGA the table has lookup tables, block memories and "
    "multipliers, and the clock that the tools reach. Gates are those of yosys `abc -g simple` "
    "with flip-flops, memories included. Decisions a second are at the faster clock. Instructions "
    "are those of a Cortex-M4, in the cheapest C.",
)
_HEAD = (
    "Task", "Agent", "Return", "Units", "Form", "Cycles", "Gates", "iCE40 UP5K", "ECP5-25",
    "Decisions a second", "Cortex-M4",
)  # fmt: skip
_NOTES = (
    "The host standardises observations; it is in the instructions, and not in the gates. Cycles "
    "include those in which an observation comes in, a number a cycle.",
)

if __name__ == "__main__":
    app()
