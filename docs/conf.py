"""How the documentation is built: `make docs`, or ``sphinx-build docs docs/_build/html``."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent))

from pages import GENERATED, write_pages  # noqa: E402 - found by the path above
from pages.accessible import make_accessible  # noqa: E402
from pages.copied import relinked, sources  # noqa: E402
from pages.drawn import RESULTS_FOLDER, take_shells  # noqa: E402
from pages.excerpts import add_scripts, write_texts  # noqa: E402
from pages.films import documentation  # noqa: E402
from pages.inventories import inventories  # noqa: E402
from pages.notebooks import with_download, write_notebooks  # noqa: E402
from pages.plain import use_plain_types  # noqa: E402
from pages.smaller import remove_maps, shrink_films, shrink_pages, shrink_pictures  # noqa: E402

import snn_gym  # noqa: E402
from snn_gym.leaderboard import write_site  # noqa: E402

project = "snn_gym"
author = "snn_gym contributors"
project_copyright = author
release = version = snn_gym.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
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
autosummary_generate = False
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries = False

# No request leaves this machine: the inventories are written from a file of this folder.
intersphinx_mapping = inventories(HERE / "inventories.toml", HERE / "_build" / "inventories")
intersphinx_disabled_reftypes = ["std:doc"]

html_theme = "furo"
html_title = f"snn_gym {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_logo = html_favicon = "_static/logo.svg"
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
# A page that is opened as a file may not read other files, from where Sphinx's summaries would
# come; `pages.excerpts` adds them.
html_show_search_summary = False
html_search_scorer = str(HERE / "scorer.js")
html_theme_options = {"top_of_page_buttons": []}
# Words of docstrings that say an array's shape are taken for types, and found in several classes.
# Pages beside the main ones are linked from these, and in no table of contents.
suppress_warnings = ["config.cache", "ref.python", "toc.not_included"]


def finish(app: Sphinx, error: Exception | None) -> None:
    """Add to the built pages what the theme lacks, and the results in the theme's look."""
    if error is None and app.builder.format == "html":
        write_texts(app.env, Path(app.outdir) / "_static")
        make_accessible(Path(app.outdir))
        remove_maps(Path(app.outdir))
        shrink_pages(Path(app.outdir))
        shrink_pictures(Path(app.outdir) / "_images")
        shrink_films(Path(app.outdir) / "_images")
        write_notebooks(HERE / "tutorials", Path(app.outdir) / "tutorials")
        results = Path(app.outdir) / RESULTS_FOLDER
        beside = documentation("../", take_shells(results))
        write_site(HERE.parent / "leaderboard", results, documentation=beside)


def relink(_app: Sphinx, docname: str, content: list[str]) -> None:
    """Make links to files that the site holds elsewhere, or not, right before a page is read."""
    source = f"docs/{docname}.md"
    if docname.split("/", maxsplit=1)[0] not in GENERATED and (HERE.parent / source).exists():
        content[0] = relinked(content[0], source, sources(HERE.parent))
    folder, _, name = docname.partition("/")
    if folder == "tutorials" and name != "index":
        content[0] = with_download(content[0], name)


def setup(app: Sphinx) -> None:
    """Write the pages that are made from cards, rows and docstrings before any is read."""
    app.connect("config-inited", lambda *_: write_pages(HERE, GENERATED))
    app.connect("source-read", relink)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", finish)
    use_plain_types(app)
