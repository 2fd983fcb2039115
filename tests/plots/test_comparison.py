"""Tests of the picture that compares two agents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.image import imread

from snn_gym.leaderboard.comparison import find_sides
from snn_gym.plots.run import at_quarters, draw_comparison, learning_curves, save_comparison
from snn_gym.plots.style import agent_colours
from snn_gym.training.run import EPISODES_FILE
from tests.leaderboard.test_table import fill, make_row
from tests.plots.test_run import ink


@pytest.fixture
def sides(tmp_path):
    """Give five seeds of ppo-lif and two of ppo-mlp."""
    board = tmp_path / "board"
    fill(board, *(make_row("ppo-lif", seed, returns=(400.0 + 10 * seed,)) for seed in range(5)))
    fill(board, *(make_row("ppo-mlp", seed, returns=(300.0 + seed,)) for seed in range(2)))
    return find_sides(("ppo-lif", "ppo-mlp"), "CartPole-v1", leaderboard=board)


def logged(folder, side, *episodes):
    """Add a run with a log of training episodes to the first seed of an agent."""
    folder.mkdir()
    lines = [f"{steps},{value},1" for steps, value in episodes]
    (folder / EPISODES_FILE).write_text("\n".join(["timestep,return,length", *lines]) + "\n")
    return replace(side, runs=(folder,), line=replace(side.line, steps=(40,), seeds=(0,)))


EPISODES = ((10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0))


def test_curves_are_read_at_quarters_by_hand(sides, tmp_path):
    side = logged(tmp_path / "run", sides[0], *EPISODES)
    assert at_quarters(side, 40) == [[1.0], [1.5], [2.0], [2.5]]
    assert at_quarters(side, 80) == [[1.5], [2.5], [None], [None]]  # it had ended
    assert at_quarters(side, 32) == [[None], [1.0], [1.5], [2.0]]  # no episode until step 8
    assert at_quarters(sides[0], 40) == [[], [], [], []]


def test_a_run_without_a_log_has_no_curve(sides, tmp_path):
    side = logged(tmp_path / "run", sides[0])
    assert at_quarters(side, 40) == [[None]] * 4
    (tmp_path / "run" / EPISODES_FILE).unlink()
    assert at_quarters(side, 40) == [[None]] * 4
    assert len(draw_comparison(sides, [learning_curves(side), ()]).axes) == 2


def test_seeds_are_dots_and_the_mean_needs_enough_seeds(sides):
    returns, operations = draw_comparison(sides, [(), ()]).axes
    dots = [line.get_ydata() for line in returns.lines if line.get_marker() == "o"]
    assert [list(x) for x in dots] == [[400.0, 410.0, 420.0, 430.0, 440.0], [300.0, 301.0]]
    (bar,) = returns.containers
    assert bar.lines[0].get_ydata().tolist() == [420.0]
    (ends,) = bar.lines[2]
    interval = sides[0].line.interval
    assert interval is not None
    assert ends.get_segments()[0][:, 1] == pytest.approx(interval)
    # Of ppo-lif all operations, SynOps, MACs and updates; ppo-mlp has no SynOps.
    drawn = [(round(float(np.mean(x.get_xdata()))), list(x.get_ydata())) for x in operations.lines]
    assert drawn == [
        (0, [1034.0] * 5), (1, [650.0] * 5), (2, [256.0] * 5), (3, [128.0] * 5),
        (0, [384.0] * 2), (2, [256.0] * 2), (3, [128.0] * 2),
    ]  # fmt: skip
    assert operations.get_yscale() == "log"


def test_learning_curves_have_a_panel_if_available(sides, tmp_path):
    side = logged(tmp_path / "run", sides[0], *EPISODES)
    _, _, panel = draw_comparison(sides, [learning_curves(side), ()]).axes
    (line,) = panel.lines
    assert line.get_xydata().tolist() == [[10.0, 1.0], [20.0, 1.5], [30.0, 2.0], [40.0, 2.5]]


@pytest.mark.check
def test_the_picture_has_both_colours_and_equal_bytes(sides, tmp_path):
    one, two = (save_comparison(sides, tmp_path / "new" / name) for name in ("a.png", "b.png"))
    assert one.read_bytes() == two.read_bytes()
    pixels = imread(one)
    assert all(
        ink(pixels, colour).sum() > 20
        for colour in agent_colours({"ppo-lif": True, "ppo-mlp": False}).values()
    )
    border = np.concatenate([pixels[:2].reshape(-1, 4), pixels[-2:].reshape(-1, 4)])
    assert (border == 1.0).all()  # nothing is cut off


def test_another_format_is_refused(sides, tmp_path):
    with pytest.raises(ValueError, match=r"b\.gif is no picture's file; .* \.png or \.svg"):
        save_comparison(sides, tmp_path / "b.gif")
    assert not (tmp_path / "b.gif").exists()


def test_a_price_is_not_on_an_axis_of_operations(sides, tmp_path):
    names = ("ppo-lif", "ppo-mlp")
    board = tmp_path / "board"
    priced = find_sides(names, "CartPole-v1", leaderboard=board, cost="cmos45")
    labels = [draw_comparison(x, [(), ()]).axes[1].get_ylabel() for x in (sides, priced)]
    assert labels == ["operations per decision", "per decision"]
