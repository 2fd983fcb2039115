"""The package uses snn_gym by public names alone, and snn_gym does without the package."""

import ast
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import snn_gym_deploy

FILES = sorted(Path(snn_gym_deploy.__file__).parent.glob("*.py"))


def test_what_is_imported_of_the_core_is_in_an_all():
    found = set()
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "snn_gym":
                public = import_module(node.module).__all__
                private = [x.name for x in node.names if x.name not in public]
                assert private == [], (file.name, node.module)
                found.add(node.module)
    assert "snn_gym.program" in found


def test_public_names_load():
    for name in snn_gym_deploy.__all__:
        assert getattr(snn_gym_deploy, name) is not None


def test_the_core_finds_commands():
    commands = {x.name: x.load() for x in entry_points(group="snn_gym.commands")}
    assert {"export", "submit-nir"} <= set(commands)
