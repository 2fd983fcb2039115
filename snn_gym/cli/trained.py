"""The commands ``pretrained``, ``compare``, ``export``, ``plot`` and ``watch``."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_gym._base.names import shown_seeds
from snn_gym.cli.options import (
    MOST_EPISODES,
    Cost,
    Run,
    Shown,
    ShownEnvironment,
    check_out,
    complete_agents,
    complete_environments,
    complete_shown,
    load_shown,
    with_options,
)
from snn_gym.cli.printing import print_columns, print_lines, say

if TYPE_CHECKING:
    from snn_gym.leaderboard.comparison import Side


# ---- pretrained and compare ----------------------------------------------------------------------
Trained = Annotated[
    Path | None,
    typer.Option(
        "--leaderboard",
        help="Folder of the results table.",
        show_default="that of the checkout, or the part of it in the wheel",
    ),
]


def pretrained(
    env: Annotated[
        str | None,
        typer.Option(
            help="Only on this environment.",
            show_default="all",
            autocompletion=complete_environments,
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option(help="Only this agent.", show_default="all", autocompletion=complete_agents),
    ] = None,
    leaderboard: Trained = None,
) -> None:
    """List the trained agents that `snn_gym.load_pretrained` loads."""
    from snn_gym.leaderboard.pretrained import leaderboard_path, list_trained
    from snn_gym.leaderboard.results import batch_of, rows_by_weights
    from snn_gym.leaderboard.table import summarise

    board, lines, absent = leaderboard_path(leaderboard), [], 0
    for trained in list_trained(agent, env, leaderboard):
        row = trained.row()
        if batch_of(board, row) is None:
            absent += 1
            continue
        line = summarise([row], rows_by_weights(trained.parents))
        lines.append(
            (
                trained.agent,
                trained.environment,
                shown_seeds(x.seed for x in trained.rows),
                str(row.seed),
                line.score(line.mean),
                line.cost(line.operations_per_decision),
                line.cost(line.synops_per_decision),
                f"{row.parameters:,}",
            )
        )
    costs = ("operations per decision", "SynOps per decision")
    print_columns(
        ("agent", "environment", "seeds", "median", "return", *costs, "parameters"), lines
    )
    say(
        "\nReturn, costs and parameters are those of the seed of the median return; costs are in "
        "brackets where that seed was not trained again."
    )
    if absent:
        say(
            f"The weights of {absent} more pairs of agent and environment are in a checkout of "
            "snn_gym, under leaderboard/weights."
        )


def compare(
    one: Annotated[
        str,
        typer.Argument(
            help="Agent of the table, or folder of a run or of runs.",
            autocompletion=complete_shown,
        ),
    ],
    other: Annotated[
        str | None,
        typer.Argument(
            help="Second agent of the table, or folder of a run or of runs.",
            show_default="the second agent in the first folder",
            autocompletion=complete_shown,
        ),
    ] = None,
    env: Annotated[
        str | None,
        typer.Option(
            help="Environment, such as CartPole-v1.",
            show_default="that of the runs",
            autocompletion=complete_environments,
        ),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Picture to write, PNG or SVG.", show_default="none")
    ] = None,
    episodes: Annotated[
        int, typer.Option(min=1, max=MOST_EPISODES, help="Episodes that each run plays.")
    ] = 100,
    leaderboard: Trained = None,
    cost: Cost = "operations",
) -> None:
    """Compare two agents, or runs: returns, costs, learning curves."""
    from snn_gym.leaderboard.comparison import describe_difference, find_sides
    from snn_gym.plots.run import check_picture, save_comparison
    from snn_gym.program.prices import MEASURED

    if save is not None:
        check_picture(save)
    sides = find_sides(
        (one,) if other is None else (one, other), env,
        episodes=episodes, leaderboard=leaderboard, cost=cost,
    )  # fmt: skip
    one_cells, other_cells = (side.cells() for side in sides)
    cells = [(heading, text, other_cells[heading]) for heading, text in one_cells.items()]
    lines = [*cells, *_curve_lines(sides)]
    print_columns((sides[0].line.environment, *(side.name for side in sides)), lines)
    say()
    print_lines(describe_difference(*sides))
    if cost in MEASURED:
        say(f'"–": not measured; `snn-gym export RUN --count {cost}` measures a run')
    if save is not None:
        say(f"picture: {save_comparison(sides, save)}")


def _curve_lines(sides: tuple[Side, Side]) -> list[tuple[str, str, str]]:
    """Return table lines of training returns at quarters of the longer training; none for rows."""
    from snn_gym.plots.run import QUARTERS, at_quarters

    if not any(side.runs for side in sides):
        return []
    steps = max(step for side in sides for step in side.line.steps)
    columns = (
        [side.shown(values, side.line.score) for values in at_quarters(side, steps)]
        for side in sides
    )
    names = [f"training return at {round(share * steps):,}" for share in QUARTERS]
    return list(zip(names, *columns, strict=True))


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
    zip: Annotated[
        Path | None,
        typer.Option(
            "--zip",
            help="Folder to write a zip of Stable-Baselines3 into, for RL Zoo's tools.",
            show_default="none",
        ),
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
    events: Annotated[
        bool, typer.Option("--events", help="C that updates neurons only when they receive.")
    ] = False
    episodes: Annotated[
        int, typer.Option(min=1, help="Episodes that show scales and silent neurons.")
    ] = 20
    name: Annotated[str, typer.Option(help="Name of the C functions, module, files.")] = "agent"


@with_options(ExportOptions)
def export(agent: Shown, env: ShownEnvironment = None, *, options: ExportOptions) -> None:
    """Write an agent as C source, Verilog, NIR graph, ONNX model or zip, or count its cost."""
    _check_options(options)
    for target in (options.c, options.verilog, options.nir, options.onnx, options.zip):
        if target is not None and target.exists() and (target.is_file() or any(target.iterdir())):
            raise ValueError(f"{target} exists already; name another place")
    from snn_gym.export import to_nir, to_onnx, to_zip, visit

    model, env_id, name, arguments = load_shown("export", agent, env)
    title = f"{name} on {env_id}"
    if options.nir is not None:
        graph = to_nir(model, options.nir)
        say(f"written: {graph.graph}, and the part of the host: {graph.host}")
    if options.onnx is not None:
        say(f"written: {to_onnx(model, options.onnx)}")
    if options.zip is not None:
        say(f"written: {to_zip(model, options.zip)}")
    visited = functools.partial(visit, model, env_id, options.episodes, env_kwargs=arguments)
    if options.hardware:
        lines = _hardware_lines(model, visited, agent, env_id)
        say(f"{title}, {options.episodes} episodes", *lines)
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
        for name in ("c", "verilog", "nir", "onnx", "zip", "hardware", "count")
        if getattr(options, name) not in (None, False)
    ]
    if len(given) != 1:
        raise ValueError(
            "export needs one of --c FOLDER, --verilog FOLDER, --nir FILE, --onnx FILE, --zip "
            f"FOLDER, --hardware and --count TARGET, got {' and '.join(given) or 'none'}"
        )
    forms = {
        "--c": ("fixed_point", "straight_line", "drop_silent", "events"),
        "--verilog": ("drop_silent", "parallel"),
    }
    for name in ("fixed_point", "straight_line", "drop_silent", "events", "parallel"):
        owners = [form for form, names in forms.items() if name in names]
        if getattr(options, name) and given[0] not in owners:
            why = "; --count chooses the cheapest form itself" if options.count is not None else ""
            option = f"--{name.replace('_', '-')}"
            allowed = " and ".join(owners)
            raise ValueError(
                f"{option} is an option of {allowed}, got {given[0]}{why}; leave it out"
            )


def _hardware_lines(
    model: Any, visited: Callable[[], Any], agent: str, env_id: str
) -> Iterator[str]:
    """Return the resources that chips need for an agent, beside its twin of the results table."""
    from snn_gym.export import program_of
    from snn_gym.export.hardware import describe
    from snn_gym.leaderboard.pretrained import twin_costs
    from snn_gym.zoo import agent_ids, read_manifest

    program = program_of(model)
    if not program.spiking:
        raise ValueError(f"{agent} has no spiking neurons; name a spiking agent")
    name = agent if agent in agent_ids() else read_manifest(Path(agent)).agent
    return describe(program, visited(), None if name is None else twin_costs(name, env_id))


def _instructions(
    model: Any, env_id: str, visited: Callable[[], Any], target: str, arguments: Any
) -> str:
    """Return the instructions of an agent's decision in words."""
    from snn_gym.export.instructions import check_tools, count_instructions

    checked = check_tools(target)
    counted = count_instructions(model, env_id, checked, visits=visited(), env_kwargs=arguments)
    return (
        f"{counted.per_decision:,.1f} instructions of a decision on {counted.target} (mean of "
        f"{counted.decisions:,}), as {counted.form}, by {counted.compiler}"
    )


def _export_c(
    model: Any, folder: Path, visited: Callable[[], Any], options: ExportOptions, title: str
) -> None:
    from snn_gym.export import to_c

    fixed_point = options.fixed_point or options.straight_line
    files = to_c(
        model,
        folder,
        visits=visited() if fixed_point or options.drop_silent else None,
        fixed_point=fixed_point,
        drop_silent=options.drop_silent,
        straight_line=options.straight_line,
        execution="events" if options.events else None,
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
    from snn_gym.export import seen_and_noisy, to_verilog

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


# ---- plot and watch ------------------------------------------------------------------------------
def plot(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures.", show_default="RUN/plots")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Formats: png, svg or both, with a comma between.")
    ] = "png,svg",
) -> None:
    """Draw a run: spikes, membrane traces, the learning curve, dynamics over training."""
    from snn_gym.plots import plot_run

    check_out(run, out)
    pictures = plot_run(run, out, [name.strip() for name in formats.split(",")])
    for line in (*pictures.paths, *pictures.notes):
        say(line)


def watch(
    agent: Shown,
    env: ShownEnvironment = None,
    save: Annotated[
        Path | None, typer.Option(help="Film to write, .gif or .mp4.", show_default="a window")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes, one seed each.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the first episode.")] = 0,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Most decisions of an episode.", show_default="all")
    ] = None,
    fps: Annotated[int, typer.Option(help="Frames per second.")] = 25,
) -> None:
    """Show an agent's episodes and the spikes of its network: in a window, or as a film."""
    from snn_gym.plots import FilmSettings, record_film, show_film
    from snn_gym.plots.films import check_film_path, check_window, shown_return

    settings = FilmSettings(episodes, seed, max_steps, fps)
    if save is not None:
        check_film_path(save)
        # Tasks are drawn with pygame, which would warn that there is no screen.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    model, env_id, name, arguments = load_shown("watch", agent, env)
    options: dict[str, Any] = {"settings": settings, "env_kwargs": arguments, "name": name}
    if save is None:
        check_window()
        film = show_film(model, env_id, **options)
    else:
        film = record_film(model, env_id, save, **options)
    for played in film.episodes:
        spikes = played.spikes_per_decision
        each = "" if spikes is None else f", {spikes:,.1f} spikes each"
        say(
            f"seed {played.seed}: return {shown_return(played.episode_return)}, "
            f"{played.decisions:,} decisions{each}"
        )
    if save is not None:
        say(f"film: {save}, {film.frames} frames, {save.stat().st_size / 1000:,.0f} kB")
