"""Write the tables of the environments' cards.

    python docs/write_cards.py

The marked parts of a card (arguments, levels, budget, reference scores) come from the
environment's file and the docstrings of its settings' fields. The text around them is by hand. A
test fails when a card is not up to date.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pages.markdown import number, table

from snn_gym.envs.registry import EnvironmentSpec, load_environment_spec
from snn_gym.envs.synapses.environments import BatchedPlasticityEnv
from snn_gym.program.encoders import make_encoder, spike_encoders

ROOT = Path(__file__).resolve().parents[1]
SCORES = (
    "random",
    "open_loop",
    "scripted",
    "memoryless",
    "rate_only",
    "oracle",
    "solved",
    "learned",
    "maximum",
)
END = "<!-- end -->"
PART = re.compile(rf"(<!-- generated: (\w+) -->\n).*?({END})", re.DOTALL)
_LONGEST = 80
_UNITS = {"width": "spacings of centres", "threshold": "of the range between the limits"}


def field_docstrings(owner: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass or its base, without its full stop."""
    texts = {}
    for base in filter(dataclasses.is_dataclass, reversed(owner.__mro__)):
        tree = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(tree, ast.ClassDef)
        for field, after in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
                text = " ".join(ast.literal_eval(after.value).split())
                texts[ast.unparse(field.target)] = text.removesuffix(".").replace("``", "`")
    return texts


def call(env_id: str, arguments: dict[str, Any]) -> str:
    """Return the Python call that makes an environment."""
    words = [f"    {name}={literal(value)},\n" for name, value in arguments.items()]
    return (
        f'```python\ngym.make(\n    "{env_id}",\n{"".join(words)})\n```\n\nThese are the defaults.'
    )


def literal(value: Any) -> str:
    """Return a Python literal with double quotes, and long lists over several lines."""
    if isinstance(value, str | dict):
        return json.dumps(value)
    text = repr(value)
    if len(text) > _LONGEST:
        text = text.replace("[", "[\n        ").replace(", ", ",\n        ")
        text = text.replace("]", ",\n    ]")
    return text


def arguments(spec: EnvironmentSpec) -> str:
    """Return the call with the defaults, and the meaning of each argument."""
    if spec.spikes is not None:
        return spiking_arguments(spec)
    assert spec.task is not None
    if "job" in spec.task.arguments:
        core = BatchedPlasticityEnv(spec.task.arguments["job"])
        settings: Any = core.settings
        meanings = {"network": "A `NetworkConfig` or its fields"}
        config = core.population.config
        values = {
            "network": {"hidden_sizes": list(config.hidden_sizes), "time_steps": config.time_steps},
            **dataclasses.asdict(settings),
            "features": "weight+topology",
        }
    else:
        settings = default_settings(spec)
        # In the order of the signature, with shared settings last.
        names = inspect.signature(type(settings)).parameters
        meanings, values = {}, {name: getattr(settings, name) for name in names}
    meanings |= field_docstrings(type(settings))
    rows = [(f"`{name}`", meanings[name]) for name in values]
    return f"{call(spec.base_id, values)}\n\n{table(('Argument', 'Meaning'), rows)}"


def default_settings(spec: EnvironmentSpec) -> Any:
    """Return the settings of a native task's lowest level."""
    assert spec.task is not None
    assert spec.task.vector_entry_point is not None  # all native tasks have it
    module, name = spec.task.vector_entry_point.split(":")
    return getattr(importlib.import_module(module), name).settings_class()


def spiking_arguments(spec: EnvironmentSpec) -> str:
    """Return the call of a gymnasium task in spikes, and its encoders."""
    assert spec.spikes is not None
    (env_id,) = spec.registers
    values = {
        "encoder": spec.spikes.encoder,
        "encoder_parameters": {"width": 1.0},
        "time_steps": spec.spikes.time_steps,
        "low": list(spec.spikes.low),
        "high": list(spec.spikes.high),
        "render_mode": None,
    }
    rows = []
    for name in spike_encoders():
        encoder: Any = make_encoder(name, spec.spikes.encoder_parameters.get(name))
        texts = [
            f"`{key}` {value}" + (f" ({_UNITS[key]})" if key in _UNITS else "")
            for key, value in dataclasses.asdict(encoder).items()
        ]
        channels = str(encoder.channels(len(spec.spikes.low)))
        rows.append((f"`{name}`", channels, ", ".join(texts) or "none"))
    headings = ("Encoder", "Channels", "Parameters and their values here")
    return f"{call(env_id, values)}\n\n{table(headings, rows)}"


def levels(spec: EnvironmentSpec) -> str:
    """Return the differences between the levels of a task."""
    specs = [load_environment_spec(env_id) for env_id in spec.registers]
    tasks = [level.task.arguments for level in specs if level.task is not None]
    names = [
        name
        for name in dict.fromkeys(itertools.chain(*tasks))
        if len({str(task.get(name)) for task in tasks}) > 1
    ]
    defaults = default_settings(spec)
    rows = [
        (
            f"`{level.base_id}`",
            *(str(task.get(name, getattr(defaults, name))) for name in names),
            f"{level.max_episode_steps:,}",
        )
        for level, task in zip(specs, tasks, strict=True)
    ]
    return table(("Id", *(f"`{name}`" for name in names), "Environment steps, at most"), rows)


def budget(spec: EnvironmentSpec) -> str:
    """Return the environment steps of the budget, and of levels with another one."""
    others = {env_id: level.budget for env_id, level in spec.levels.items() if level.budget}
    budgets = [spec.budget, *others.values()]
    rows = [(name, *(f"{steps[name]:,}" for steps in budgets)) for name in spec.budget]
    return table(("Class", "Environment steps", *(f"`{env_id}`" for env_id in others)), rows)


def scores(spec: EnvironmentSpec) -> str:
    """Return the reference scores of every level."""
    references = [load_environment_spec(env_id).reference for env_id in spec.registers]
    # snn/X-hard-v0 -> hard
    names = [env_id.removeprefix(spec.base_id[:-3]).strip("-")[:-3] for env_id in spec.registers]
    headings = [name or "lowest" for name in names] if spec.levels else ["Return"]
    rows = []
    for name in SCORES:
        values = [getattr(reference, name) for reference in references]
        if values[0] is not None:
            if name == "learned":  # other levels may leave it out
                values = [reference.threshold for reference in references]
            rows.append((name.replace("_", " "), *map(number, values)))
    return table(("Score", *headings), rows)


PARTS: dict[str, Callable[[EnvironmentSpec], str]] = {
    "arguments": arguments,
    "levels": levels,
    "budget": budget,
    "scores": scores,
}
"""Writer of each marked part."""


def written(card: str, spec: EnvironmentSpec) -> str:
    """Return a card's text with new marked parts."""
    return PART.sub(lambda part: f"{part[1]}{PARTS[part[2]](spec)}\n{part[3]}", card)


def main() -> None:
    """Write every card."""
    for card in sorted((ROOT / "envs").glob("*.md")):
        text = written(card.read_text(encoding="utf-8"), load_environment_spec(f"snn/{card.stem}"))
        card.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
