"""Commands that draw: pictures of a run, and an agent at work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from snn_gym.cli_options import Run, Shown, ShownEnvironment, load_shown
from snn_gym.cli_printing import say

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
    model, env_id, name, arguments = load_shown("watch", agent, env)
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
        say(
            f"seed {played.seed}: return {shown_return(played.episode_return)}, "
            f"{played.decisions:,} decisions{each}"
        )
    if path is not None:
        say(f"film: {path}, {film.frames} frames, {path.stat().st_size / 1000:,.0f} kB")
