"""Tests of tutorials as notebooks: valid, the code of their pages, and run by Jupyter."""

import json
import os
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

from tests.docs.scripts import DOCS, load_pages

notebooks, tutorials = load_pages("notebooks"), load_pages("tutorials")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in (DOCS / "tutorials").glob("*.md")}
del PAGES["index"]
PAGE = """# Title

A [tutorial](spikes.md#glossary), [guide](../guide/lean.md), [part](#part), [site](https://a.org).

```{code-block} toml
:caption: board/plan.toml

seeds = "0-7"
```

```bash
snn-gym train \\
  ppo-lif
```

word
: Its meaning
  goes on.

```text
shown only
```

![It's "quoted"](../images/tutorials/out.png)
"""


def test_a_page_becomes_cells():
    notebook = notebooks.as_notebook(PAGE, "page")
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == [f"page-{k}" for k in range(len(notebook.cells))]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert code[1:] == [
        'import os\n\nos.makedirs("board", exist_ok=True)',
        '%%writefile board/plan.toml\nseeds = "0-7"',
        "%%bash -e\nsnn-gym train \\\n  ppo-lif",
        "from IPython.display import Image\n\nImage('out.png', alt='It\\'s \"quoted\"')",
    ]
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "A [tutorial](spikes.ipynb), guide, part, [site](https://a.org)." in text
    assert "**word**: Its meaning\n  goes on." in text
    assert "```text\nshown only\n```" in text


@pytest.mark.parametrize("name", PAGES)
def test_a_notebook_has_all_code_of_its_page_in_order(name):
    notebook = notebooks.as_notebook(PAGES[name], name)
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    # Setting up, pictures and folders come to the page's own.
    ours = (
        'import matplotlib\n\nmatplotlib.use("agg")',
        "from IPython.display import Image",
        "import os\n\nos.makedirs",
    )
    expected = []
    for block in tutorials.blocks(PAGES[name]):
        head = "%%bash -e\n" if block.language == "bash" else ""
        head = head if block.file is None else f"%%writefile {block.file}\n"
        expected += [] if block.language == "text" else [head + block.text.rstrip()]
    assert [x for x in code if not x.startswith(ours)] == expected
    assert sum(x.startswith(ours[1]) for x in code) == len(tutorials.pictures(PAGES[name]))


def test_every_tutorial_is_written(tmp_path):
    files = notebooks.write_notebooks(DOCS / "tutorials", tmp_path)
    assert sorted(file.stem for file in files) == sorted(PAGES)
    again = notebooks.write_notebooks(DOCS / "tutorials", tmp_path / "again")
    assert [x.read_bytes() for x in files] == [x.read_bytes() for x in again]
    assert all(json.loads(file.read_text())["nbformat"] == 4 for file in files)


def test_a_page_links_to_its_notebook():
    page = notebooks.with_download("# Title\n\nText.\n", "name")
    link = '<a href="name.ipynb" download>Download this page as a notebook</a>'
    assert page == f"# Title\n\n{link}\n\nText.\n"


@pytest.mark.slow
def test_the_site_has_every_notebook_beside_its_page(site):
    for name in PAGES:
        assert f'href="{name}.ipynb"' in (site / "tutorials" / f"{name}.html").read_text()
        nbformat.validate(nbformat.read(site / "tutorials" / f"{name}.ipynb", as_version=4))


@pytest.mark.parametrize(
    "name", [x if x == "spikes" else pytest.param(x, marks=pytest.mark.slow) for x in PAGES]
)
def test_notebooks_run_and_show_their_pictures(name, tmp_path, monkeypatch):
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", commands)
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    notebook = notebooks.as_notebook(PAGES[name], name)
    run = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=600, resources=run).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [x for x in outputs if "image/png" in x.get("data", {})]
    assert len(shown) == len(tutorials.pictures(PAGES[name])) > 0
