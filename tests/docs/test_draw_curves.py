"""Figures of learning curves, from runs made up here: what is drawn, how it is told apart."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread

from tests.docs.scripts import load_script

draw_curves = load_script("draw_curves")
TASK = "CartPole-v1"


@pytest.fixture
def runs(tmp_path):
    """Two seeds of each of two agents whose curves coincide; one seed was evaluated."""
    for agent in ("ppo-lif", "ppo-mlp"):
        for seed in (0, 1):
            folder = tmp_path / agent / TASK / str(seed)
            folder.mkdir(parents=True)
            (folder / "manifest.json").write_text("{}")
            rows = [f"{100 * k},{float(k + 2 * seed)},10" for k in range(1, 41)]
            (folder / "episodes.csv").write_text("\n".join(["timestep,return,length", *rows]))
    np.savez(folder / "evaluations.npz", timesteps=[4_000], results=[[50.0, 52.0]])
    return tmp_path


def test_an_unfinished_run_is_left_out(runs):
    (runs / "ppo-lif" / TASK / "1" / "manifest.json").unlink()
    found = draw_curves.finished_runs(runs, "ppo-lif", TASK)
    assert [path.name for path in found] == ["0"]


def test_curves_that_coincide_are_told_apart_by_colour_and_width(runs):
    axes = Figure().subplots()
    draw_curves.draw_task(axes, runs, TASK, ("ppo-lif", "ppo-mlp"))
    means = {line.get_label(): line for line in axes.lines if "seeds" in line.get_label()}
    lif, mlp = (means[f"{name} (mean of 2 seeds)"] for name in ("ppo-lif", "ppo-mlp"))
    assert np.array_equal(lif.get_ydata(), mlp.get_ydata())
    # Seeds end at the means of the last 20 returns: 30.5 and 32.5.
    assert lif.get_ydata()[-1] == pytest.approx(31.5)
    assert axes.lines.index(mlp) < axes.lines.index(lif)
    assert mlp.get_linewidth() > lif.get_linewidth() + 1
    (lif_red, _, lif_blue), (mlp_red, _, mlp_blue) = (to_rgb(x.get_color()) for x in (lif, mlp))
    assert lif_red > lif_blue
    assert mlp_blue > mlp_red
    (evaluated,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert evaluated.get_xydata().tolist() == [[4.0, 51.0]]
    assert evaluated.get_color() == mlp.get_color()


def test_a_figure_is_written_where_there_are_runs(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(draw_curves, "IMAGES", tmp_path)
    draw_curves.draw_figure(runs, "some", {TASK: ("ppo-lif", "ppo-mlp")})
    draw_curves.draw_figure(runs, "none", {"Pendulum-v1": ("sac-lif",)})
    assert imread(tmp_path / "some.png").std() > 0
    assert not (tmp_path / "none.png").exists()
