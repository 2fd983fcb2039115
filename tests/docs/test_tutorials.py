"""Tests of tutorials: every page runs and makes its pictures."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.docs.scripts import DOCS, load_script

tutorials = load_script("run_tutorials")
FOLDER = DOCS / "tutorials"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}
INDEX = PAGES.pop("index")
PAGE = """```python
x = 1
```

```{code-block} python
:caption: mine.py

VALUE = 2
```

```bash
ls  # no command of snn-gym
snn-gym evaluate \\
  runs/a
```

```python
from mine import VALUE
open("out.txt", "w").write(str(x + VALUE))
```
![it](../images/tutorials/out.png) ![other](../images/other.png)
"""


def test_blocks_and_pictures_of_a_page():
    blocks = tutorials.blocks(PAGE)
    assert [block.language for block in blocks] == ["python", "python", "bash", "python"]
    assert [block.file for block in blocks] == [None, "mine.py", None, None]
    assert blocks[1].text == "VALUE = 2\n"
    assert tutorials.commands(blocks[2].text) == [["evaluate", "runs/a"]]
    assert tutorials.pictures(PAGE) == ["out.png"]


def test_blocks_share_names_and_import_files_of_the_page(tmp_path):
    tutorials.run(PAGE.replace("snn-gym evaluate", "echo"), tmp_path)
    assert (tmp_path / "out.txt").read_text() == "3"


def test_a_failing_command_stops_the_page(tmp_path, capsys):
    with pytest.raises(RuntimeError, match="snn-gym evaluate runs/a did not end well"):
        tutorials.run(PAGE, tmp_path)
    assert "runs/a" in capsys.readouterr().err


def test_the_index_lists_every_tutorial():
    listed = set(re.findall(r"^\| \[[^\]]+\]\(([\w-]+)\.md\) \|", INDEX, re.M))
    assert listed == set(PAGES) == set(re.findall(r"^([\w-]+)$", INDEX, re.M))


def test_a_tutorial_runs_and_makes_its_pictures(tmp_path):
    tutorials.run(PAGES["spikes"], tmp_path)
    for picture in tutorials.pictures(PAGES["spikes"]):
        assert (tmp_path / picture).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_tutorials_run_and_make_their_pictures(name, tmp_path):
    if re.search("snn_gym_deploy|snn-gym export", PAGES[name]):
        pytest.importorskip("snn_gym_deploy")
    for packages in re.findall(r"needs\s+Debian's packages\s+([^.]+)\.", PAGES[name]):
        missing = [x for x in re.findall(r"`([\w-]+)`", packages) if shutil.which(x) is None]
        if missing:
            pytest.skip(f"the tutorial needs {', '.join(missing)}, which is not installed")
    shown = tutorials.pictures(PAGES[name])
    # In a separate process, because pages register names.
    command = [sys.executable, str(DOCS / "run_tutorials.py"), name, "--to", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for picture in shown:
        assert (tmp_path / picture).stat().st_size > 0
        assert (DOCS / "images" / "tutorials" / picture).stat().st_size <= 300_000
