"""Commands that draw: pictures of a run, and an agent at work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from snn_gym.cli_options import Run

if TYPE_CHECKING:
    from snn_gym.plotting import Film


def plot(
    run: Run,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures.", show_default="RUN/plots")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="Formats, with commas between.")
    ] = "png,svg",
) -> None:
    """Draw a run: spikes, membrane traces, the learning curve, dynamics over training."""
    from snn_gym.plotting import plot_run

    pictures = plot_run(run, out, [name.strip() for name in formats.split(",")])
    for line in (*pictures.paths, *pictures.notes):
        typer.echo(line)


def watch(
    agent: Annotated[
        str,
        typer.Argument(help="Folder of a run, or an agent that `snn-gym pretrained` lists."),
    ],
    env: Annotated[
        str | None, typer.Argument(help="Environment.", show_default="that of the run")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Film to write, .gif or .mp4.", show_default="a window")
    ] = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes, one seed each.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the first episode.")] = 0,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Decisions of an episode.", show_default="all")
    ] = None,
    fps: Annotated[int, typer.Option(help="Frames per second.")] = 25,
) -> None:
    """Show an agent at its task, and the spikes of its network: in a window, or as a film."""
    from snn_gym.plotting import FilmSettings, record_film, show_film
    from snn_gym.plotting.film_files import check_film_path
    from snn_gym.plotting.window import check_window

    settings = FilmSettings(episodes, seed, max_steps, fps)
    if save is None:
        check_window()
    else:
        check_film_path(save)
        # Tasks are drawn with pygame, which would look for a screen, and complain of having none.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    model, env_id, name, arguments = _load(agent, env)
    if save is None:
        film = show_film(model, env_id, settings, env_kwargs=arguments, name=name)
    else:
        film = record_film(model, env_id, save, settings, env_kwargs=arguments, name=name)
    _print_film(film, save)


def _print_film(film: Film, path: Path | None) -> None:
    from snn_gym.plotting.films import shown_return

    for played in film.episodes:
        spikes = played.spikes_per_decision
        each = "" if spikes is None else f", {spikes:,.1f} spikes each"
        typer.echo(
            f"seed {played.seed}: return {shown_return(played.episode_return)}, "
            f"{played.decisions:,} decisions{each}"
        )
    if path is not None:
        typer.echo(f"film: {path}, {film.frames} frames, {path.stat().st_size / 1000:,.0f} kB")


def _load(agent: str, env: str | None) -> tuple[Any, str, str, Mapping[str, Any]]:
    """Return model, environment, name and arguments of the environment."""
    from snn_gym.names import did_you_mean
    from snn_gym.scoring import load_pretrained
    from snn_gym.zoo import agent_ids, load_agent, read_manifest

    run = Path(agent)
    if agent in agent_ids() and not run.is_dir():
        if env is None:
            raise ValueError(f"watch {agent} on what? name an environment, such as CartPole-v1")
        return load_pretrained(agent, env), env, agent, {}
    if not run.is_dir():
        raise ValueError(
            f"{agent!r} is neither a folder of a run nor an agent of the zoo"
            f"{did_you_mean(agent, agent_ids())} `snn-gym pretrained` lists those to watch, and "
            "`snn-gym train` makes runs"
        )
    found = read_manifest(run)
    lean = "" if found.parent_sha256 is None else "lean "
    arguments = found.environment_kwargs if env in (None, found.environment) else {}
    name = f"{lean}{found.agent or found.policy}"
    return load_agent(run), env or found.environment, name, arguments
