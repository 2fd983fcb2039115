"""Tutorials as notebooks, made from the Markdown of their pages by jupytext."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jupytext

from pages.tutorials import PICTURE

SETUP = """*Made from a tutorial of snn_gym. The kernel's environment needs snn_gym, and the path
`snn-gym`. Run the cells from top to bottom.*

```python
import matplotlib

matplotlib.use("agg")  # pictures are shown from the files that cells save
```
"""
_HEADER = """---
jupyter:
  kernelspec:
    name: python3
    display_name: Python 3
    language: python
---

"""
"""Without a kernel jupytext takes the language of most blocks, which may be bash."""
_FILE = re.compile(
    r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:)([^)]+)\)")
_TERM = re.compile(r"^(\S[^\n]*)\n: ", re.MULTILINE)
_TUTORIAL = re.compile(r"(\w+)\.md(?:#[\w-]+)?")


def as_notebook(page: str, name: str) -> Any:
    """Return a tutorial as a notebook.

    Blocks of Python are cells, and blocks of commands cells of bash. Cells write the files that the
    page shows, and show the pictures that it makes. Links to other tutorials lead to their
    notebooks; of other links within the site only the text stays.

    Args:
        page: Markdown of the page.
        name: Name of the page, from which the cells have their ids.

    Returns:
        A ``NotebookNode`` of nbformat, version 4.5.
    """
    heading, _, rest = page.partition("\n")
    text = _TERM.sub(r"**\1**: ", _LINK.sub(_relinked, rest))
    text = PICTURE.sub(_shown, _FILE.sub(_written, text))
    notebook: Any = jupytext.reads(f"{_HEADER}{heading}\n\n{SETUP}{text}", fmt="md")
    notebook.metadata = type(notebook)(kernelspec=notebook.metadata["kernelspec"])
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{name}-{number}"
        # A command that fails ends its cell.
        cell.source = re.sub(r"\A%%bash$", "%%bash -e", cell.source, flags=re.MULTILINE)
    return notebook


def write_notebooks(tutorials: Path, folder: Path) -> list[Path]:
    """Write every tutorial of a folder as a notebook into another; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for page in sorted(tutorials.glob("*.md")):
        if page.stem != "index":
            files.append(folder / f"{page.stem}.ipynb")
            notebook = as_notebook(page.read_text(encoding="utf-8"), page.stem)
            jupytext.write(notebook, files[-1], fmt="ipynb")
    return files


def with_download(page: str, name: str) -> str:
    """Return a tutorial's Markdown with a link to its notebook below the heading."""
    heading, _, rest = page.partition("\n")
    link = f'<a href="{name}.ipynb" download>Download this page as a notebook</a>'
    return f"{heading}\n\n{link}\n{rest}"


def _relinked(link: re.Match[str]) -> str:
    """Return a link to another tutorial's notebook, or the text of another link."""
    tutorial = _TUTORIAL.fullmatch(link[2])
    return link[1] if tutorial is None else f"[{link[1]}]({tutorial[1]}.ipynb)"


def _written(block: re.Match[str]) -> str:
    """Return a cell that writes the file of a block, after one that makes its folder."""
    folder = Path(block[1]).parent
    make = f'```python\nimport os\n\nos.makedirs("{folder}", exist_ok=True)\n```\n\n'
    cell = f"```python\n%%writefile {block[1]}\n{block[2]}```"
    return cell if folder == Path() else make + cell


def _shown(picture: re.Match[str]) -> str:
    """Return a cell that shows a picture of the page."""
    words, file = picture[1], picture[2]
    return f"```python\nfrom IPython.display import Image\n\nImage({file!r}, alt={words!r})\n```"
