"""The commands ``snn-gym export`` and ``snn-gym submit-nir``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from snn_gym.cli import Shown, ShownEnvironment, load_shown, say, with_options


# ---- export --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ExportOptions:
    """Options of ``export``."""

    c: Annotated[
        Path | None, typer.Option("--c", help="Folder to write C files into.", show_default="none")
    ] = None
    verilog: Annotated[
        Path | None,
        typer.Option(
            "--verilog",
            help="Folder to write Verilog and a testbench into.",
            show_default="none",
        ),
    ] = None
    nir: Annotated[
        Path | None, typer.Option("--nir", help="NIR graph to write.", show_default="none")
    ] = None
    onnx: Annotated[
        Path | None, typer.Option("--onnx", help="ONNX model to write.", show_default="none")
    ] = None
    hardware: Annotated[
        bool,
        typer.Option("--hardware", help="Write nothing; print the resources that chips need."),
    ] = False
    fixed_point: Annotated[
        bool, typer.Option("--fixed-point", help="C with weights of 8 bits, potentials of 16.")
    ] = False
    straight_line: Annotated[
        bool,
        typer.Option("--straight-line", help="Fixed point without loops over neurons, synapses."),
    ] = False
    count: Annotated[
        str | None,
        typer.Option(
            "--count",
            metavar="TARGET",
            help="Write nothing; count a decision's instructions as C on host or cortex-m4.",
            show_default="none",
        ),
    ] = None
    drop_silent: Annotated[
        bool,
        typer.Option("--drop-silent", help="C or Verilog without neurons that never fire."),
    ] = False
    parallel: Annotated[
        bool,
        typer.Option(
            "--parallel/--serial",
            help="Verilog of a time step, or of a synapse, a clock cycle.",
            show_default="serial",
        ),
    ] = False
    episodes: Annotated[
        int, typer.Option(min=1, help="Episodes that show scales and silent neurons.")
    ] = 20
    name: Annotated[str, typer.Option(help="Name of the C functions, module, files.")] = "agent"


@with_options(ExportOptions)
def export(agent: Shown, env: ShownEnvironment = None, *, options: ExportOptions) -> None:
    """Write an agent as C source, Verilog, NIR graph or ONNX model, or count its cost."""
    _check_options(options)
    for target in (options.c, options.verilog, options.nir, options.onnx):
        if target is not None and target.exists() and (target.is_file() or any(target.iterdir())):
            raise ValueError(f"{target} exists already; name another place")
    from snn_gym.policies import program_of
    from snn_gym_deploy import describe, to_nir, to_onnx, visit

    model, env_id, name, arguments = load_shown("export", agent, env)
    title = f"{name} on {env_id}"
    if options.nir is not None:
        graph = to_nir(model, options.nir)
        say(f"written: {graph.graph}, and the part of the host: {graph.host}")
    if options.onnx is not None:
        say(f"written: {to_onnx(model, options.onnx)}")
    visited = functools.partial(visit, model, env_id, options.episodes, env_kwargs=arguments)
    if options.hardware:
        program = program_of(model)
        if not program.spiking:
            raise ValueError(f"{agent} has no spiking neurons; name a spiking agent")
        say(f"{title}, {options.episodes} episodes", *describe(program, visited()))
    if options.count is not None:
        say(f"{title}: {_instructions(model, env_id, visited, options.count, arguments)}")
    if options.c is not None:
        _export_c(model, options.c, visited, options, title)
    if options.verilog is not None:
        _export_verilog(model, env_id, arguments, visited, options, title)


def _check_options(options: ExportOptions) -> None:
    """Refuse an export to no or to several forms, and options of C for another form."""
    given = [
        f"--{name}"
        for name in ("c", "verilog", "nir", "onnx", "hardware", "count")
        if getattr(options, name) not in (None, False)
    ]
    if len(given) != 1:
        raise ValueError(
            "export needs one of --c FOLDER, --verilog FOLDER, --nir FILE, --onnx FILE, "
            f"--hardware and --count TARGET, got {' and '.join(given) or 'none'}"
        )
    forms = {
        "--c": ("fixed_point", "straight_line", "drop_silent"),
        "--verilog": ("drop_silent", "parallel"),
    }
    for name in ("fixed_point", "straight_line", "drop_silent", "parallel"):
        owners = [form for form, names in forms.items() if name in names]
        if getattr(options, name) and given[0] not in owners:
            why = "; --count chooses the cheapest form itself" if options.count is not None else ""
            option = f"--{name.replace('_', '-')}"
            allowed = " and ".join(owners)
            raise ValueError(
                f"{option} is an option of {allowed}, got {given[0]}{why}; leave it out"
            )


def _instructions(
    model: Any, env_id: str, visited: Callable[[], Any], target: str, arguments: Any
) -> str:
    """Return the instructions of an agent's decision in words."""
    from snn_gym_deploy.instructions import check_tools, count_instructions

    checked = check_tools(target)
    counted = count_instructions(model, env_id, checked, visits=visited(), env_kwargs=arguments)
    return (
        f"{counted.per_decision:,.1f} instructions of a decision on {counted.target} (mean of "
        f"{counted.decisions:,}), as {counted.form}, by {counted.compiler}"
    )


def _export_c(
    model: Any, folder: Path, visited: Callable[[], Any], options: ExportOptions, title: str
) -> None:
    from snn_gym_deploy import to_c

    fixed_point = options.fixed_point or options.straight_line
    files = to_c(
        model,
        folder,
        visits=visited() if fixed_point or options.drop_silent else None,
        fixed_point=fixed_point,
        drop_silent=options.drop_silent,
        straight_line=options.straight_line,
        name=options.name,
        title=title,
    )
    sizes = ", ".join(map(str, files.sizes))
    say(f"{title}: layers of {sizes}" if sizes else f"{title}: no hidden layers")
    say(f"{files.constant_bytes:,} bytes of constants, {files.state_bytes:,} of state")
    say(f"written: {files.header}, {files.source}, {files.program}")
    say(
        f"next: cc -std=c99 -O3 -o {folder / options.name} {files.source} {files.program} -lm, and "
        "send it observations, a line for each"
    )


def _export_verilog(
    model: Any,
    env_id: str,
    arguments: Any,
    visited: Callable[[], Any],
    options: ExportOptions,
    title: str,
) -> None:
    from snn_gym_deploy import seen_and_noisy, to_verilog

    folder = options.verilog
    assert folder is not None  # as the caller has checked
    files = to_verilog(
        model,
        folder,
        seen_and_noisy(model, env_id, env_kwargs=arguments),
        visits=visited(),
        shape="parallel" if options.parallel else "serial",
        drop_silent=options.drop_silent,
        name=options.name,
        title=title,
    )
    sizes = ", ".join(map(str, files.sizes))
    say(f"{title}: layers of {sizes}" if sizes else f"{title}: no hidden layers")
    say(f"written: {files.source}, {files.testbench} with {files.decisions} decisions")
    test, source = files.testbench.name, files.source.name
    say(
        f"next: cd {folder} && iverilog -g2005 -o test {test} {source} && ./test, which "
        f"compares {files.decisions} decisions, in seconds to minutes, and ends in PASS or FAIL"
    )


# ---- submit-nir ----------------------------------------------------------------------------------
def submit_nir(
    graph: Annotated[Path, typer.Argument(help="NIR graph to submit.")],
    env: Annotated[str, typer.Option(help="Environment that the graph acts on.")],
    agent: Annotated[str, typer.Option(help="Imported agent, with a folder in agents/.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write.", show_default="GRAPH-submission")
    ] = None,
    host: Annotated[
        Path | None,
        typer.Option(
            help="JSON file of the graph's host, as `snn-gym export --nir` writes it.",
            show_default="that beside the graph",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the graph's training.")] = 0,
    steps: Annotated[
        int, typer.Option(min=0, help="Environment steps of its training, 0 if unknown.")
    ] = 0,
) -> None:
    """Evaluate a NIR graph that was trained elsewhere, and write its submission."""
    from snn_gym_deploy import submit_nir as submit

    folder = out or graph.with_name(f"{graph.stem}-submission")
    say(f"submission: {submit(graph, env, agent, folder, host=host, seed=seed, steps=steps)}")
