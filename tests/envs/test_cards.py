"""Tests of cards: they agree with environments and files."""

import ast
import re

import gymnasium as gym
import numpy as np
import pytest

from snn_gym._base.folders import checkout_root, content_path
from snn_gym.envs.registry import load_environment_spec
from tests.docs.scripts import load_script
from tests.envs.variants import (
    ANALOGUE,
    NATIVE,
    every_game,
    every_id,
    every_native_id,
    every_plasticity_id,
    every_spiking_id,
)

SECTIONS = (
    "Action", "Observation", "Reward", "Start", "End", "Arguments", "Budget", "Reference scores",
    "Versions", "Source",
)  # fmt: skip
NATIVE_SECTIONS = (
    *SECTIONS[: SECTIONS.index("Budget")], "Levels", "Budget", "Reference scores",
    "Construct validity", "Versions", "Source",
)  # fmt: skip
write_cards = load_script("write_cards")
CARDS = sorted((checkout_root() / "envs").glob("*.md"))


def card_sections(spec):
    text = (content_path("envs") / f"{spec.name}.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return parts[0], dict(zip(parts[1::2], parts[2::2], strict=True))


def table_rows(section):
    """Return the cells of a section's table, without its head."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def number(text):
    return float(text.replace("−", "-").replace(",", ""))


def lowest_level(env_id):
    """Return the description of the first id that the card of an id describes."""
    return load_environment_spec(f"snn/{load_environment_spec(env_id).name}")


def shown_arguments(env_id):
    """Return the arguments of the call in a card."""
    spec = load_environment_spec(env_id)
    code = re.search(r"```python\n(.*?)```", card_sections(spec)[1]["Arguments"], re.S)
    call = ast.parse(code.group(1)).body[0].value
    assert [ast.literal_eval(argument) for argument in call.args] == [f"snn/{spec.name}"]
    return {word.arg: ast.literal_eval(word.value) for word in call.keywords}


@every_id
def test_sections_are_complete_and_in_order(env_id):
    head, sections = card_sections(load_environment_spec(env_id))
    assert tuple(sections) == (NATIVE_SECTIONS if env_id in NATIVE else SECTIONS)
    assert f"`{env_id}`" in head
    assert all(section.strip() for section in sections.values())


@every_spiking_id
def test_observation_table_agrees_with_spaces_and_file(env_id):
    spec = load_environment_spec(env_id)
    _, sections = card_sections(spec)
    env = gym.make(env_id)
    dimensions = env.unwrapped.base.observation_space.shape[0]
    rows = table_rows(sections["Observation"])
    assert [int(row[0]) for row in rows] == list(range(dimensions))
    assert all(row[1] and row[2] for row in rows)
    assert tuple(number(row[3]) for row in rows) == spec.spikes.low
    assert tuple(number(row[4]) for row in rows) == spec.spikes.high
    time_steps, channels = env.observation_space.shape
    per_value = channels // dimensions
    expected = [f"{i * per_value}–{(i + 1) * per_value - 1}" for i in range(dimensions)]
    assert [row[5] for row in rows] == expected
    assert f"`MultiBinary(({time_steps}, {channels}))`" in sections["Observation"]


@every_id
def test_action_line_agrees_with_the_space(env_id):
    _, sections = card_sections(load_environment_spec(env_id))
    space = gym.make(env_id).action_space
    if isinstance(space, gym.spaces.Discrete):
        expected = f"`Discrete({space.n})`"
    elif isinstance(space, gym.spaces.MultiDiscrete):
        assert set(space.nvec) == {3}
        expected = f"`MultiDiscrete([3] * {len(space.nvec)})`"
    else:
        expected = f"`Box({space.low[0]:g}, {space.high[0]:g}, {space.shape}, {space.dtype})`"
    assert sections["Action"].strip().startswith(expected)


@every_spiking_id
def test_shown_arguments_are_the_defaults(env_id):
    arguments = shown_arguments(env_id)
    shown, default = gym.make(env_id, **arguments), gym.make(env_id)
    assert np.array_equal(shown.reset(seed=0)[0], default.reset(seed=0)[0])
    shown.action_space.seed(0)
    for _ in range(30):
        action = shown.action_space.sample()
        step, same = shown.step(action), default.step(action)
        assert np.array_equal(step[0], same[0])
        if step[2]:
            break


@every_plasticity_id
def test_plasticity_cards_list_default_features_and_sizes(env_id):
    head, sections = card_sections(load_environment_spec(env_id))
    env = gym.make(env_id)
    core = env.unwrapped.core
    rows = table_rows(sections["Observation"])
    assert tuple(row[1] for row in rows) == core.features.names
    assert [int(row[0]) for row in rows] == list(range(len(rows)))
    assert f"`{env.observation_space}`" in sections["Observation"]
    assert f"of each of the {core.synapses:,} synapses" in sections["Observation"]
    inputs, neurons, outputs = core.population.sizes
    assert f"{inputs} inputs, {neurons} leaky integrate-and-fire neurons" in head
    assert f"and {outputs} outputs" in head
    assert "decides in 8 time" in head
    assert core.population.config.time_steps == 8


@every_native_id
def test_the_observation_of_a_native_card_is_the_space(env_id):
    section = card_sections(load_environment_spec(env_id))[1]["Observation"]
    env = gym.make(env_id)
    time_steps, channels = env.observation_space.shape
    assert f"`MultiBinary(({time_steps}, {channels}))`" in section
    assert [key for key in env.reset(seed=0)[1] if f"`{key}`" not in section] == []


@every_native_id
def test_the_channels_of_a_native_card_are_all_channels_in_order(env_id):
    section = card_sections(load_environment_spec(env_id))[1]["Observation"]
    channels = gym.make(env_id).observation_space.shape[1]
    ends = [re.fullmatch(r"(\d+)(?:–(\d+))?", row[0]) for row in table_rows(section)]
    shown = [range(int(end[1]), int(end[2] or end[1]) + 1) for end in ends if end]
    # A card whose levels differ in channels lists those of the widest.
    assert [channel for group in shown for channel in group][:channels] == list(range(channels))


@every_game
def test_a_game_s_card_names_its_planes_and_actions(env_id):
    section = card_sections(load_environment_spec(env_id))[1]["Observation"]
    env = gym.make(env_id)
    planes = len(env.unwrapped.batch.planes)
    assert f"`MultiBinary({env.observation_space.shape})`" in section
    assert [row[0] for row in table_rows(section)] == [str(k) for k in range(planes)]


@every_id
def test_the_pictures_of_a_card_exist(env_id):
    folder = content_path("envs")
    text = (folder / f"{load_environment_spec(env_id).name}.md").read_text(encoding="utf-8")
    missing = [x for x in re.findall(r"!\[[^\]]+\]\((.+?)\)", text) if not (folder / x).is_file()]
    assert missing == []


@every_id
def test_limit_and_version_agree_with_the_file(env_id):
    spec = load_environment_spec(env_id)
    _, sections = card_sections(spec)
    limit = lowest_level(env_id).max_episode_steps
    assert re.search(rf"truncated\s+after\s+{limit}\s", sections["End"])
    versions = [int(found) for found in re.findall(r"^- (\d+):", sections["Versions"], re.M)]
    assert max(versions) == spec.version


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_a_card_is_up_to_date(card):
    spec, text = load_environment_spec(f"snn/{card.stem}"), card.read_text(encoding="utf-8")
    assert write_cards.written(text, spec) == text, "run: python docs/write_cards.py"
    parts = {found[1] for found in write_cards.PART.findall(text)}
    own_arguments = spec.spikes is not None or spec.base_id not in ANALOGUE
    assert parts == {
        "budget",
        "scores",
        *(["arguments"] if own_arguments else []),
        *(["levels"] if spec.levels else []),
    }


def test_card_sections_by_hand():
    spec = load_environment_spec("snn/CueAccumulation-v0")
    assert write_cards.budget(load_environment_spec("CartPole-v1")).splitlines()[:3] == [
        "| Class | Environment steps |",
        "|---|---|",
        "| gradient | 100,000 |",
    ]
    assert write_cards.budget(spec).splitlines()[:3] == [
        "| Class | Environment steps | `snn/CueAccumulation-silent-v0` |",
        "|---|---|---|",
        "| gradient | 300,000 | 1,000,000 |",
    ]
    assert "| oracle | 1 | 0.995 | 0.902 | 1 |" in write_cards.scores(spec)
    (hard,) = [x for x in write_cards.levels(spec).splitlines() if "hard" in x]
    assert hard == "| `snn/CueAccumulation-hard-v0` | 7 | 20 | 10 | 80.0 | 25.0 | 45 |"
    assert "| `gap_steps` | Environment steps without a cue after each cue |" in (
        write_cards.arguments(spec)
    )
    assert "| random | −1203.32 |" in write_cards.scores(load_environment_spec("snn/Pendulum-v1"))
    assert write_cards.written("a\n<!-- generated: budget -->\nold\n<!-- end -->\nb", spec) == (
        f"a\n<!-- generated: budget -->\n{write_cards.budget(spec)}\n<!-- end -->\nb"
    )
