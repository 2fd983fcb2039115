"""Tests in a kernel of Jupyter: displays, one line of progress, and code compiled there."""

import os
import subprocess
import sys

import nbclient
import nbformat
import pytest

CELLS = {
    "made": "import snn_gym\n"
    "small = {'network': {'hidden_sizes': [4]}, 'n_steps': 8, 'batch_size': 8}\n"
    "model = snn_gym.make_agent('ppo-lif', 'CartPole-v1', **small)\n"
    "model",
    "progress": "from snn_gym.training import ProgressCallback\n"
    "model.learn(1024, callback=ProgressCallback(1024, interval_s=0.0))\n"
    "model",
    "evaluation": "snn_gym.evaluate(model, 'CartPole-v1', episodes=2)",
    "recording": "model.policy.record(model.env.reset())",
    "stock": "from stable_baselines3 import A2C\nA2C('MlpPolicy', 'CartPole-v1')",
}


@pytest.fixture(scope="module")
def outputs():
    """Return the outputs of each cell, run in a kernel."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in CELLS.values()]
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells), strict=True))


def test_a_model_alone_in_a_cell_shows_its_card(outputs):
    (made,) = outputs["made"]
    assert made["data"]["text/html"].count("<circle") == 4 + 4 + 2
    assert "<b>ppo-lif</b> on CartPole-v1" in made["data"]["text/html"]
    assert made["data"]["text/plain"].startswith("<snn_gym.learners.ppo.PPO at 0x")


def test_progress_is_one_line_that_ends_at_the_last_step(outputs):
    line, shown = outputs["progress"]
    assert line["output_type"] == "display_data"
    assert line["data"]["text/plain"].startswith("1,024 of 1,024 steps | return ")
    assert "Mean return over the last" in shown["data"]["text/html"]


@pytest.mark.parametrize(
    ("cell", "part"),
    [("evaluation", "95 % interval"), ("recording", 'aria-label="Raster of hidden_1')],
)
def test_results_are_shown_as_html(outputs, cell, part):
    (shown,) = outputs[cell]
    assert part in shown["data"]["text/html"]


def test_models_with_other_policies_stay_text(outputs):
    (shown,) = outputs["stock"]
    assert list(shown["data"]) == ["text/plain"]


def test_kernels_compile_where_a_builtin_was_replaced(tmp_path):
    # Jupyter replaces `input`, by a function that no cache can store.
    code = (
        "import builtins; from snn_gym.program.neuron_kernels import surrogate_kernel\n"
        "builtins.input = lambda: ''\n"
        "surrogate_kernel('superspike')"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*superspike*.nbc"))


def test_without_ipython_nothing_is_imported_or_shown():
    code = "import sys, snn_gym; assert 'IPython' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
