"""Every card says what its environment and its file say."""

import ast
import re

import gymnasium as gym
import numpy as np
import pytest

import snn_gym
from snn_gym.content import content_path
from snn_gym.registry import load_environment_spec

SECTIONS = (
    "Action",
    "Observation",
    "Reward",
    "Start",
    "End",
    "Arguments",
    "Budget",
    "Reference scores",
    "Versions",
    "Source",
)

every_id = pytest.mark.parametrize("env_id", snn_gym.env_ids())


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


@every_id
def test_sections_are_complete_and_in_order(env_id):
    head, sections = card_sections(load_environment_spec(env_id))
    assert tuple(sections) == SECTIONS
    assert f"`{env_id}`" in head
    assert all(section.strip() for section in sections.values())


@every_id
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
def test_channels_in_the_table_are_those_that_move_with_the_value(env_id):
    env = gym.make(env_id).unwrapped
    coder = env._coder._batch
    middle = (np.array(coder._scaling._low) + coder._scaling._span / 2).astype(np.float64)
    for value, row in enumerate(
        table_rows(card_sections(load_environment_spec(env_id))[1]["Observation"])
    ):
        moved = middle.copy()
        moved[value] += 0.3 * coder._scaling._span[value]
        before, after = coder.start(middle[np.newaxis]), coder.start(moved[np.newaxis])
        changed = np.flatnonzero((before != after).any(axis=(0, 1)))
        first, last = map(int, row[5].split("–"))
        assert len(changed) > 0
        assert first <= changed.min()
        assert changed.max() <= last


@every_id
def test_action_line_agrees_with_the_space(env_id):
    _, sections = card_sections(load_environment_spec(env_id))
    space = gym.make(env_id).action_space
    if isinstance(space, gym.spaces.Discrete):
        expected = f"`Discrete({space.n})`"
    else:
        expected = f"`Box({space.low[0]:g}, {space.high[0]:g}, {space.shape}, {space.dtype})`"
    assert sections["Action"].strip().startswith(expected)


@every_id
def test_encoder_table_agrees_with_the_environments(env_id):
    spec = load_environment_spec(env_id)
    rows = table_rows(card_sections(spec)[1]["Arguments"])
    for name, channels, _ in rows:
        env = gym.make(env_id, encoder=name.strip("`"))
        assert env.observation_space.shape == (spec.spikes.time_steps, int(channels))
    parameters = {name.strip("`"): text for name, _, text in rows}
    assert (
        f"`threshold` {spec.spikes.encoder_parameters['delta']['threshold']} "
        in (parameters["delta"])
    )
    population = spec.spikes.encoder_parameters["population"]
    assert parameters["population"].startswith(
        f"`neurons_per_dimension` {population['neurons_per_dimension']}, "
        f"`width` {population['width']} (spacings of centres), `timing` {population['timing']}"
    )


@every_id
def test_the_arguments_shown_are_the_defaults(env_id):
    code = re.search(
        r"```python\n(.*?)```", card_sections(load_environment_spec(env_id))[1]["Arguments"], re.S
    )
    call = ast.parse(code.group(1)).body[0].value
    assert [ast.literal_eval(argument) for argument in call.args] == [env_id]
    arguments = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    shown, default = gym.make(env_id, **arguments), gym.make(env_id)
    assert np.array_equal(shown.reset(seed=0)[0], default.reset(seed=0)[0])
    shown.action_space.seed(0)
    for _ in range(30):
        action = shown.action_space.sample()
        step, same = shown.step(action), default.step(action)
        assert np.array_equal(step[0], same[0])
        if step[2]:
            break


@every_id
def test_budget_and_reference_scores_agree_with_the_file(env_id):
    spec = load_environment_spec(env_id)
    _, sections = card_sections(spec)
    budget = {name: int(number(steps)) for name, steps in table_rows(sections["Budget"])}
    assert budget == spec.budget
    scores = {name: number(score) for name, score in table_rows(sections["Reference scores"])}
    reference = spec.reference
    assert scores == {
        "random": reference.random,
        "solved": reference.solved,
        "maximum": reference.maximum,
    }
    assert f"mean of {reference.random_episodes} episodes" in sections["Reference scores"]
    assert f"standard error {reference.random_standard_error:.2f}." in sections["Reference scores"]


@every_id
def test_limit_and_version_agree_with_the_file(env_id):
    spec = load_environment_spec(env_id)
    _, sections = card_sections(spec)
    assert re.search(rf"truncated after {spec.max_episode_steps}\s", sections["End"])
    versions = [int(found) for found in re.findall(r"^- (\d+):", sections["Versions"], re.M)]
    assert max(versions) == spec.version
