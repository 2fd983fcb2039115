"""The command ``new``: files to start from."""

from __future__ import annotations

import importlib.resources
import importlib.util
import keyword
import re
from pathlib import Path
from string import Template
from typing import Annotated, Literal

import typer

from snn_gym.cli_printing import say
from snn_gym.names import AGENT_NAME, AGENT_NAME_RULE

Kind = Literal["agent", "env", "neuron"]
_NAMES = {
    "agent": (AGENT_NAME, f"{AGENT_NAME_RULE}, such as my-agent"),
    "env": (r"[A-Z][A-Za-z0-9]*(-v[0-9]+)?", "a word with a capital, such as Corridor"),
    "neuron": (r"[a-z][a-z0-9_]*", "small letters, digits and underscores, such as my_neuron"),
}


def new(
    kind: Annotated[Kind, typer.Argument(help="What to begin: agent, env or neuron.")],
    name: Annotated[str, typer.Argument(help="Its name.")],
) -> None:
    """Write a working file to start from, for an agent, an environment or a neuron of your own."""
    values = _values(kind, name)
    file = Path(f"{values['module']}.py")
    if file.exists():
        raise ValueError(f"{file} is there already; take another name, or move it away")
    if importlib.util.find_spec(values["module"]) is not None:
        raise ValueError(
            f"a module {values['module']!r} is installed already, which {file} would hide; take "
            "another name"
        )
    template = importlib.resources.files("snn_gym") / "templates" / f"{kind}.txt"
    text = Template(template.read_text(encoding="utf-8")).substitute(values)
    file.write_text(text, encoding="utf-8")
    say(f"written: {file}")
    (command,) = re.findall(r"^    (snn-gym .*)$", text, re.MULTILINE)
    say(f"next: {command}")


def _values(kind: Kind, name: str) -> dict[str, str]:
    """Return what stands for each name in the template.

    Raises:
        ValueError: The name does not fit the kind, or is taken.
    """
    from snn_gym.zoo import agent_ids

    pattern, expected = _NAMES[kind]
    if re.fullmatch(pattern, name) is None:
        raise ValueError(f"the name of {_article(kind)} is {expected}; got {name!r}")
    if kind == "agent" and name in agent_ids():
        raise ValueError(f"the zoo has an agent {name!r} already; take another name")
    word = re.sub(r"-v[0-9]+$", "", name)
    parts = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", word)
    module = "_".join(part.lower() for part in parts)
    if not module.isidentifier() or keyword.iskeyword(module):
        raise ValueError(f"{module!r} can't be imported as a module; take another name")
    class_name = word if kind == "env" else "".join(part.capitalize() for part in parts)
    return {
        "name": name,
        "module": module,
        "id": name if name != word else f"{word}-v0",
        "class_name": class_name,
        "parameters_name": f"{class_name}Parameters",
    }


def _article(kind: Kind) -> str:
    return {"agent": "an agent", "env": "an environment", "neuron": "a neuron"}[kind]
