import dataclasses
import sys

import gymnasium as gym
import pytest

import snn_gym
from snn_gym._base.config import from_mapping, to_mapping
from snn_gym._base.folders import CONTENT_FOLDERS, checkout_root, content_path
from snn_gym.envs import registry
from snn_gym.envs.registry import (
    BUDGET_CLASSES,
    EnvironmentSpec,
    ReferenceScores,
    flat_id,
    flat_ids,
    known_ids,
    load_environment_spec,
    make_task,
)
from tests.envs.variants import ANALOGUE, GAMES, NATIVE, NATIVE_BASES, PLASTICITY, SPIKING

TASKS = tuple(load_environment_spec(name).base_id for name in SPIKING)
OWN = (*ANALOGUE, *GAMES, *PLASTICITY)
LEVELS = tuple(name for name in NATIVE if name not in NATIVE_BASES)
SILENT_CUES = "snn/CueAccumulation-silent-v0"
CUES = "snn/CueAccumulation-v0"
HARD_CUES = "snn/CueAccumulation-hard-v0"


def specs():
    """Return the description in every file."""
    names = sorted(path.stem for path in content_path("envs").glob("*.toml"))
    return [load_environment_spec(f"snn/{name}") for name in names]


def cartpole(**changes):
    return {**to_mapping(load_environment_spec("CartPole-v1")), **changes}


def test_registered_ids_equal_the_registers_fields():
    registered = {name for name in gym.registry if name.startswith("snn/")}
    stated = [name for spec in specs() for name in spec.registers]
    assert len(stated) == len(set(stated))
    assert set(stated) == set(snn_gym.env_ids())
    # flat forms are derived from those that show spikes
    spiking = {
        name
        for name in stated
        if isinstance(gym.make(name).observation_space, gym.spaces.MultiBinary)
    }
    assert set(flat_ids()) == {flat_id(name) for name in spiking}
    assert registered == {*stated, *flat_ids()}


def test_files_and_cards_match():
    folder = content_path("envs")
    files = {path.stem for path in folder.glob("*.toml")}
    assert {path.stem for path in folder.glob("*.md")} == files == {spec.name for spec in specs()}


@pytest.mark.parametrize("task", TASKS)
def test_base_and_spiking_id_have_the_same_description(task):
    spec = load_environment_spec(task)
    assert spec == load_environment_spec(f"snn/{task}")
    assert spec.name == spec.base_id == task


@pytest.mark.parametrize("env_id", [*OWN, *NATIVE_BASES])
def test_native_tasks_have_no_base_and_no_spiking_form(env_id):
    spec = load_environment_spec(env_id)
    assert spec.base_id == env_id == f"snn/{spec.name}"
    assert gym.spec(env_id).kwargs == spec.task.arguments
    assert gym.spec(env_id).entry_point == spec.task.entry_point
    with pytest.raises(ValueError, match=f"{env_id} is no gymnasium task with a spiking form; "):
        registry.load_spike_settings(env_id)


@pytest.mark.parametrize("env_id", LEVELS)
def test_levels_inherit_from_the_lowest_level(env_id):
    spec = load_environment_spec(env_id)
    lowest = load_environment_spec(f"snn/{spec.name}")
    level = lowest.levels[env_id]
    assert spec == dataclasses.replace(
        lowest,
        base_id=env_id,
        registers=(env_id,),
        max_episode_steps=level.max_episode_steps,
        reference=level.reference,
        budget=lowest.budget if level.budget is None else level.budget,
        task=dataclasses.replace(
            lowest.task, arguments={**lowest.task.arguments, **level.arguments}
        ),
        levels={},
    )
    registered = gym.spec(env_id)
    assert registered.kwargs == spec.task.arguments
    assert registered.max_episode_steps == spec.max_episode_steps
    assert registered.vector_entry_point == spec.task.vector_entry_point


def test_a_level_keeps_unchanged_values():
    lowest, hard = load_environment_spec(CUES), load_environment_spec(HARD_CUES)
    # the number of cues differs, the gap does not
    assert (lowest.task.arguments["cues"], hard.task.arguments["cues"]) == (3, 7)
    assert lowest.task.arguments["gap_steps"] == hard.task.arguments["gap_steps"] == 1
    assert "gap_steps" not in lowest.levels[HARD_CUES].arguments
    assert (lowest.max_episode_steps, hard.max_episode_steps) == (9, 45)
    assert hard.reference != lowest.reference
    assert hard.budget == lowest.budget
    silent = load_environment_spec(SILENT_CUES)
    assert (silent.budget["gradient"], lowest.budget["gradient"]) == (1_000_000, 300_000)


def cues_with(registers, levels):
    table = {**to_mapping(load_environment_spec(CUES)), "registers": registers}
    table["levels"] = {
        name: to_mapping(load_environment_spec(CUES))["levels"][HARD_CUES] for name in levels
    }
    return from_mapping(EnvironmentSpec, table, "envs/X.toml")


@pytest.mark.parametrize(
    ("registers", "levels", "message"),
    [
        ([CUES, HARD_CUES], [], f"which are {HARD_CUES}; got none$"),
        ([CUES], [HARD_CUES], f"which are none; got {HARD_CUES}$"),
        ([CUES, HARD_CUES], [CUES, HARD_CUES], f"which are {HARD_CUES}; got {CUES}, {HARD_CUES}$"),
    ],
)
def test_levels_must_match_the_registered_ids(registers, levels, message):
    with pytest.raises(ValueError, match=f"levels must describe the ids beside {CUES}, {message}"):
        cues_with(registers, levels)


def test_scores_are_normalised_from_random_to_the_reference():
    reference = ReferenceScores(
        random=0.5,
        random_standard_error=0.01,
        random_episodes=100,
        solved=0.8,
        maximum=1.0,
        oracle=0.9,
    )
    scores = [reference.normalise(score) for score in (0.5, 0.7, 0.9, 1.0, 0.1)]
    assert scores == pytest.approx([0.0, 0.5, 1.0, 1.25, -1.0])
    without = dataclasses.replace(reference, oracle=None)
    assert [without.normalise(score) for score in (0.5, 0.8, 1.1)] == pytest.approx([0.0, 1.0, 2.0])
    assert reference.loss(0.05) == without.loss(0.05) == pytest.approx(0.015)


def test_a_task_is_learned_from_its_own_return_or_solved():
    own = load_environment_spec("Swimmer-v5").reference
    assert (own.solved, own.threshold) == (360.0, 200.0)
    assert dataclasses.replace(own, learned=None).threshold == 360.0
    # A level without the entry has its own `solved`.
    assert load_environment_spec("snn/IntervalTiming-hard-v0").reference.threshold == 0.67
    for learned in (-1.26, 1750.5):
        with pytest.raises(ValueError, match=rf"learned is {learned}; .* above random \(-1.26\)"):
            dataclasses.replace(own, learned=learned)


def test_files_describe_a_spiking_form_or_a_native_task():
    own = to_mapping(load_environment_spec(OWN[0]))
    for changes in ({"spikes": None}, {"task": own["task"]}):
        with pytest.raises(ValueError, match=r"needs one of the tables \[spikes\]"):
            from_mapping(EnvironmentSpec, cartpole(**changes), "envs/X.toml")


@pytest.mark.parametrize("task", TASKS)
def test_limits_and_threshold_equal_gymnasium(task):
    spec, base, spiking = load_environment_spec(task), gym.spec(task), gym.spec(f"snn/{task}")
    assert spec.max_episode_steps == base.max_episode_steps == spiking.max_episode_steps
    assert spec.reward_threshold == base.reward_threshold == spiking.reward_threshold
    if base.reward_threshold is not None:
        assert spec.reference.solved == base.reward_threshold


@pytest.mark.parametrize("env_id", ["CartPole-v2", "snn/CartPol-v1", "LunarLander-v2", ""])
def test_unknown_ids_point_to_the_known_ids(env_id):
    with pytest.raises(ValueError, match="is unknown") as caught:
        load_environment_spec(env_id)
    message = str(caught.value)
    assert message.startswith(f"environment {env_id!r} is unknown")
    known = {*TASKS, *(f"snn/{task}" for task in TASKS), *OWN, *NATIVE}
    assert known_ids() == {*known, *flat_ids()}
    assert message.endswith(f"`snn-gym envs` lists the {len(known)} known ones")
    assert "\n" not in message


def test_the_closest_id_is_suggested_for_a_typo():
    with pytest.raises(ValueError, match=r"; did you mean 'snn/CartPole-v1'\? `snn-gym envs`"):
        load_environment_spec("snn/CartPol-v1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"registers": ["CartPole-v9"]}, "registers must name ids that start with snn/"),
        ({"registers": []}, "registers must name ids that start with snn/"),
        ({"version": 0}, "version must be at least 1, got 0"),
        ({"budget": {"gradient": 1}}, "budget must give steps for each of"),
        ({"budget": dict.fromkeys(BUDGET_CLASSES, 0)}, "budget.gradient must be at least 1, got 0"),
        ({"speed": 1}, "unknown key speed; allowed keys: name, base_id, registers"),
        ({"max_episode_steps": "500"}, "max_episode_steps: expected int, got '500'"),
    ],
)
def test_descriptions_are_checked(changes, message):
    with pytest.raises(ValueError, match=message):
        from_mapping(EnvironmentSpec, cartpole(**changes), "envs/X.toml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time_steps": 0}, "time_steps must be at least 1, got 0"),
        ({"low": [0.0]}, "low has 1 values and high 4"),
        ({"low": [5.0, 5.0, 5.0, 5.0]}, "every low must be below its high"),
    ],
)
def test_spike_settings_are_checked(changes, message):
    settings = {**cartpole()["spikes"], **changes}
    with pytest.raises(ValueError, match=message):
        from_mapping(EnvironmentSpec, cartpole(spikes=settings), "envs/X.toml")


@pytest.fixture
def other_content(tmp_path, monkeypatch):
    """Read environments from an empty folder."""
    registry._read_toml.cache_clear()
    registry._files_by_id.cache_clear()
    monkeypatch.setattr(registry, "content_path", lambda folder: tmp_path)
    yield tmp_path
    registry._read_toml.cache_clear()
    registry._files_by_id.cache_clear()


MINIMAL = 'base_id = "{base}"\nregisters = ["snn/{spiking}"]\nmax_episode_steps = 5\n'


def test_two_files_with_one_id_are_refused(other_content):
    (other_content / "A-v0.toml").write_text(MINIMAL.format(base="A-v0", spiking="X-v0"))
    (other_content / "B-v0.toml").write_text(MINIMAL.format(base="B-v0", spiking="X-v0"))
    with pytest.raises(ValueError, match=r"^envs/B-v0\.toml: snn/X-v0 is in envs/A-v0\.toml too$"):
        registry.known_ids()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base_id = ", "not valid TOML: "),
        ('registers = "snn/A-v0"', "registers must be a list of ids"),
        ('registers = ["snn/A-v0"]', "missing key base_id"),
        (
            MINIMAL.format(base="snn/A-v0", spiking="A-v0") + '[task]\nentry_pont = "a:B"\n',
            r"task: unknown key entry_pont; did you mean 'entry_point'\? allow",
        ),
    ],
    ids=["broken", "registers no list", "key missing", "key of the task's class unknown"],
)
def test_a_bad_file_is_named(other_content, text, message):
    (other_content / "A-v0.toml").write_text(text)
    with pytest.raises(ValueError, match=rf"^envs/A-v0\.toml: {message}"):
        registry.register_environments()


def test_name_must_equal_the_file_name(other_content):
    table = (content_path("envs") / "CartPole-v1.toml").read_text()
    (other_content / "Pole-v1.toml").write_text(table)
    with pytest.raises(ValueError, match=r"name is 'CartPole-v1', expected 'Pole-v1'"):
        load_environment_spec("CartPole-v1")


def test_content_folders_are_in_the_checkout():
    root = checkout_root()
    assert root is not None
    assert (root / "snn_gym").is_dir()
    assert [content_path(folder) for folder in CONTENT_FOLDERS] == [
        root / folder for folder in CONTENT_FOLDERS
    ]


def test_content_of_a_wheel_lies_in_the_package(tmp_path, monkeypatch):
    package = tmp_path / "snn_gym"
    (package / "_content").mkdir(parents=True)
    # a user's own project around an installation must not be taken for ours
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "envs").mkdir()
    monkeypatch.setattr("snn_gym._base.folders._PACKAGE", package)
    assert checkout_root() is None
    assert content_path("envs") == package / "_content" / "envs"


def test_an_unknown_content_folder_is_named():
    with pytest.raises(ValueError, match="'env' is unknown; known folders: envs, agents, leader"):
        content_path("env")


@pytest.mark.parametrize(
    ("env_id", "is_installed", "expected"),
    [
        ("CartPole-v2", True, r"; did you mean 'CartPole-v1'\? If not, import the package"),
        ("FrozenLake-v9", True, r"; did you mean 'FrozenLake-v1'\?"),
        (
            "Qxqxqxqxqxqxqx-v0", True,
            ": import the package that registers it first .*--module PACKAGE",
        ),
        ("ALE/Pong-v5", True, r": import ale_py first \(on the command line, --module ale_py\)$"),
        ("Atari/Pong-v5", True, r": import snn_gym.envs.atari first .*--module snn_gym.envs.atari"),
        ("ALE/Pong-v5", False, r'run pip install -e "\.\[atari\]", then import ale_py first'),
    ],
)  # fmt: skip
def test_unregistered_ids_are_answered_with_the_likeliest_fix(
    env_id, is_installed, expected, monkeypatch
):
    for name in [name for name in gym.registry if name.startswith(("ALE/", "Atari/"))]:
        monkeypatch.delitem(gym.registry, name)
    if not is_installed:
        monkeypatch.setitem(sys.modules, "ale_py", None)
    for make in (make_task, snn_gym.make_vec_env):
        with pytest.raises(gym.error.UnregisteredEnv, match=expected) as caught:
            make(env_id)
        message = str(caught.value)
        assert message.startswith(f"environment {env_id!r} is not registered")
        assert "\n" not in message
