"""Tests in a kernel of Jupyter: displays, one line of progress, and code compiled there."""

import os
import subprocess
import sys

import nbclient
import nbformat
import pytest

CELLS = {
    "progress": "import snn_gym\n"
    "from snn_gym.training import ProgressCallback\n"
    "small = {'network': {'hidden_sizes': [4]}, 'n_steps': 8, 'batch_size': 8}\n"
    "model = snn_gym.make_agent('ppo-lif', 'CartPole-v1', **small)\n"
    "_ = model.learn(1024, callback=ProgressCallback(1024))",
    "film": "from snn_gym.plots import FilmSettings, record_film\n"
    "record_film(model, 'CartPole-v1', settings=FilmSettings(max_steps=20))",
}


@pytest.mark.slow
def test_progress_is_one_line_and_a_film_is_shown():
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(code) for code in CELLS.values()]
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    (line,), (film,) = (cell.outputs for cell in notebook.cells)
    assert line["output_type"] == "display_data"
    assert line["data"]["text/plain"].startswith("1,024 of 1,024 steps | return ")
    assert "data:image/gif;base64" in film["data"]["text/html"]


@pytest.mark.check
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
