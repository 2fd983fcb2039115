"""How the documentation is built: `make docs`, or ``sphinx-build docs docs/_build/html``."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "deploy")]

from pages import GENERATED, write_pages  # noqa: E402 - found by the path above
from pages.accessible import make_accessible  # noqa: E402
from pages.copied import relinked, sources  # noqa: E402

import snn_gym  # noqa: E402

project = "snn_gym"
author = "snn_gym contributors"
project_copyright = author
release = version = snn_gym.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries = False

html_theme = "furo"
html_title = f"snn_gym {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["sort.js"]
html_logo = html_favicon = "_static/logo.svg"
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
# A page that is opened as a file may not read other files, from where summaries come.
html_show_search_summary = False
html_search_scorer = str(HERE / "scorer.js")
html_theme_options = {"top_of_page_buttons": []}
# Words of docstrings that say an array's shape are taken for types, and found in several classes.
# Pages beside the main ones are linked from these, and in no table of contents.
suppress_warnings = ["config.cache", "ref.python", "toc.not_included"]


def relink(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Make links to files that the site holds elsewhere, or not, right before a page is read."""
    source = f"docs/{docname}.md"
    if docname.split("/", maxsplit=1)[0] not in GENERATED and (HERE.parent / source).exists():
        content[0] = relinked(content[0], source, sources(HERE.parent))


def finish(app: Sphinx, error: Exception | None) -> None:
    """Add to the built pages what the theme lacks for readers without eyes or mouse."""
    if error is None and app.builder.format == "html":
        make_accessible(Path(app.outdir))


def setup(app: Sphinx) -> None:
    """Write the pages that are made from cards, rows and docstrings before any is read."""
    app.connect("config-inited", lambda *_: write_pages(HERE))
    app.connect("source-read", relink)
    app.connect("build-finished", finish)
