"""Every tutorial runs from top to bottom and makes the pictures that it shows."""

import os
import re
import subprocess
import sys

import pytest

from tests.docs.scripts import DOCS, load_pages

tutorials = load_pages("tutorials")
PAGES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted((DOCS / "tutorials").glob("*.md"))
    if path.stem != "index"
}
QUICK = {"spikes"}
PAGE = """```python
x = 1
```

```{code-block} python
:caption: mine.py

VALUE = 2
```

```bash
ls  # not ours
snn-gym evaluate \\
  runs/a
```

```python
from mine import VALUE
open("out.txt", "w").write(str(x + VALUE))
```
![it](../images/tutorials/out.png) ![other](../images/other.png)
"""


def test_blocks_and_pictures_of_a_page_are_found():
    found = tutorials.blocks(PAGE)
    assert [block.language for block in found] == ["python", "python", "bash", "python"]
    assert [block.file for block in found] == [None, "mine.py", None, None]
    assert found[1].text == "VALUE = 2\n"
    assert tutorials.commands(found[2].text) == [["evaluate", "runs/a"]]
    assert tutorials.pictures(PAGE) == ["out.png"]


def test_blocks_share_names_and_import_files_of_the_page(tmp_path):
    tutorials.run(PAGE.replace("snn-gym evaluate", "echo"), tmp_path)
    assert (tmp_path / "out.txt").read_text() == "3"


def test_a_command_that_fails_stops_the_page(tmp_path, capsys):
    with pytest.raises(RuntimeError, match="snn-gym evaluate runs/a did not end well"):
        tutorials.run(PAGE, tmp_path)
    assert "runs/a" in capsys.readouterr().err


def test_the_index_names_every_tutorial():
    index = (DOCS / "tutorials" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| \[[^\]]+\]\((\w+)\.md\) \|", index, re.M))
    assert listed == set(PAGES) == set(re.findall(r"^(\w+)$", index, re.M))


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in PAGES],
)
def test_a_tutorial_runs_and_makes_its_pictures(name, tmp_path):
    shown = tutorials.pictures(PAGES[name])
    assert shown
    # In a process of its own, because pages register names.
    command = [sys.executable, str(DOCS / "run_tutorials.py"), name, "--to", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for picture in shown:
        assert (tmp_path / picture).stat().st_size > 0
        assert (DOCS / "images" / "tutorials" / picture).stat().st_size <= 300_000
