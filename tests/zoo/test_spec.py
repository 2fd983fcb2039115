"""Tests of agents described by files."""

import dataclasses
import tomllib

import gymnasium as gym
import pytest

import snn_gym
from snn_gym._base.folders import content_path
from snn_gym.envs.registry import env_ids, load_environment_spec
from snn_gym.envs.stable_baselines import make_vec_env
from snn_gym.training.record import make_training
from snn_gym.zoo import AgentSpec, agent_ids, load_agent_spec, make_agent
from snn_gym.zoo import spec as spec_module
from snn_gym.zoo.build import resolve_settings
from snn_gym.zoo.files import extract_settings
from snn_gym.zoo.recipe import extract_vec_normalize

PAIRS = [(name, env_id) for name in agent_ids() for env_id in load_agent_spec(name).environments]


# Further agents may be anybody's.
OURS = (
    "accept-reject", "cma-es", "dqn-mlp", "dqsn", "es", "local-actor-critic",
    "local-actor-critic-dynamics", "ppo-lif", "ppo-lif-dynamics", "ppo-mlp", "random-search",
    "recurrent-ppo-gru", "recurrent-ppo-lsnn", "recurrent-ppo-lsnn-dynamics",
    "recurrent-ppo-lsnn-eprop", "sac-lif", "sac-mlp", "synapse-agents", "td3-mlp", "win-stay",
)  # fmt: skip


def test_the_zoo_holds_the_agents_and_their_twins():
    assert set(OURS) <= set(agent_ids())
    for name in OURS:
        spec = load_agent_spec(name)
        if spec.budget_class != "gradient":
            assert spec.twin is None
            continue
        twin = load_agent_spec(spec.twin)
        # One that is regulated or learns by e-prop has the twin of the agent that it differs from.
        assert twin.twin == name.removesuffix("-dynamics").removesuffix("-eprop")
        assert (twin.algorithm, twin.budget_class) == (spec.algorithm, spec.budget_class)
        assert twin.network["hidden_sizes"] == spec.network["hidden_sizes"]
        assert set(twin.environments) == set(spec.environments)


def test_every_agent_has_a_card_that_names_it_and_its_twin():
    for name in agent_ids():
        card = (content_path("agents") / name / "README.md").read_text()
        assert card.startswith(f"# {name}\n")
        twin = load_agent_spec(name).twin
        assert "| ANN twin | none" in card if twin is None else f"../{twin}/README.md" in card


def test_every_pair_is_a_known_environment():
    known = {*env_ids(), *(load_environment_spec(env_id).base_id for env_id in env_ids())}
    assert {env_id for _, env_id in PAIRS} <= known


def test_unknown_agents_are_named_with_suggestions():
    with pytest.raises(ValueError, match="'ppo-lfi' is unknown; did you mean 'ppo-lif'") as caught:
        load_agent_spec("ppo-lfi")
    assert str(caught.value).endswith(f"? `snn-gym agents` lists the {len(agent_ids())} known ones")
    assert "dqsn" not in str(caught.value)


@pytest.mark.parametrize("name", ["../agents/ppo-lif", "/etc/passwd", "", "ppo-lif/"])
def test_names_cannot_be_paths(name):
    with pytest.raises(ValueError, match="is unknown"):
        load_agent_spec(name)


def test_untuned_environments_give_a_warning():
    with pytest.warns(UserWarning, match=r"^agent 'dqsn' was not tuned for MountainCar-v0: it"):
        model = make_agent("dqsn", "MountainCar-v0", buffer_size=100)
    assert (model.learning_rate, model.batch_size) == (6.3e-4, 128)  # those of Acrobot-v1


class Arm(gym.Env):
    observation_space = gym.spaces.Box(-1.0, 1.0, (3,))
    action_space = gym.spaces.Box(-1.0, 1.0, (2,))


@pytest.mark.filterwarnings("ignore:.*was not tuned for")
@pytest.mark.parametrize("agent", ["ppo-lif", "ppo-mlp", "ppo-lif-2-steps", "sb3-ppo"])
def test_untuned_environments_with_box_actions_have_settings_for_them(agent, own_names):
    spec = load_agent_spec(agent)
    tuned = spec.settings("HalfCheetah-v5")
    gym.register("Arm-v0", entry_point=Arm, max_episode_steps=9)
    for env in ("Arm-v0", Arm, make_vec_env("Arm-v0", tuned.n_envs)):
        model = make_agent(agent, env)
        assert extract_settings(model) == tuned
        assert extract_vec_normalize(model) == spec.vec_normalize("HalfCheetah-v5")
        assert model.get_vec_normalize_env().norm_reward
    resolved = make_training(agent, "Arm-v0", steps=1).settings
    assert resolved == resolve_settings(spec, "HalfCheetah-v5")


def test_a_default_of_a_child_is_for_all_actions(own_names):
    changes = {"default": {"n_steps": 5}, "continuous": {"gamma": 0.5}}
    snn_gym.register_agent("child", parent="ppo-lif", description="Differs.", **changes)
    spec, parent = load_agent_spec("child"), load_agent_spec("ppo-lif")
    box = dataclasses.replace(parent.settings("Hopper-v5"), n_steps=5, gamma=0.5)
    assert spec.fitted(Arm.action_space).settings("Mine-v0") == box
    assert spec.settings("Mine-v0") == dataclasses.replace(parent.settings("Acrobot-v1"), n_steps=5)


def test_untuned_environments_with_discrete_actions_have_the_default_settings():
    spec = load_agent_spec("ppo-mlp")
    assert spec.settings("Taxi-v3") == spec.settings("Acrobot-v1")
    assert spec.fitted(gym.spaces.Discrete(2)) is spec
    assert load_agent_spec("sac-mlp").fitted(Arm.action_space) is load_agent_spec("sac-mlp")


@pytest.mark.parametrize(
    ("agent", "env_id", "message", "fitting"),
    [
        ("sac-lif", "CartPole-v1", r"SAC takes Box actions, .* has Discrete\(2\)", "ppo-lif"),
        ("dqsn", "Pendulum-v1", r"DQN takes Discrete actions, .* has Box\(-2.0", "sac-lif"),
    ],
)
def test_agents_for_other_actions_name_agents_that_fit(agent, env_id, message, fitting):
    with pytest.raises(ValueError, match=f"^{message}.*; agents that fit: ") as caught:
        make_agent(agent, env_id)
    names = str(caught.value).partition("agents that fit: ")[2].split(", ")
    assert agent not in names
    assert fitting in names
    assert 3 <= len(names) <= 6
    for name in names:  # each can be built and is tuned for the task
        assert env_id in load_agent_spec(name).environments
        assert make_agent(name, env_id).action_space == gym.make(env_id).action_space


def test_module_that_registers_an_environment_can_be_given(own_names, tmp_path, monkeypatch):
    (tmp_path / "my_tasks.py").write_text(
        "import gymnasium as gym\n"
        "from gymnasium.envs.classic_control import CartPoleEnv\n"
        "gym.register('MyCartPole-v0', entry_point=CartPoleEnv, max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(UserWarning, match="not tuned for MyCartPole-v0"):
        make_agent("ppo-lif", "my_tasks:MyCartPole-v0", n_envs=1)
    with pytest.raises(ValueError, match="'no_such:A-v0': No module named 'no_such'"):
        make_agent("ppo-lif", "no_such:A-v0")


def raw(name):
    return tomllib.loads((content_path("agents") / name / "agent.toml").read_text())


def repeated(own, theirs):
    return [key for key in own if key in theirs and own[key] == theirs[key]]


def test_child_files_repeat_no_setting_of_the_parent():
    children = [name for name in agent_ids() if load_agent_spec(name).parent is not None]
    assert len(children) >= 11
    for name in children:
        own, parent = raw(name), load_agent_spec(load_agent_spec(name).parent)
        for key in ("algorithm", "budget_class", "default", "twin"):
            assert own.get(key, object()) != getattr(parent, key)
        assert not repeated(own.get("policy_kwargs", {}), parent.policy_kwargs)
        assert not repeated(own.get("network", {}), parent.network)
        for env_id, table in own.get("environments", {}).items():
            theirs = parent.environments.get(env_id, {})
            assert not repeated(table, theirs)
            assert not repeated(table.get("network", {}), theirs.get("network", {}))


def test_child_files_override_single_keys():
    parent, child = load_agent_spec("recurrent-ppo-gru"), load_agent_spec("recurrent-ppo-lsnn")
    assert child.parent == "recurrent-ppo-gru"
    assert (child.algorithm, child.budget_class) == (parent.algorithm, parent.budget_class)
    assert child.policy_kwargs == {**parent.policy_kwargs, "spiking_actor": True}
    assert child.settings("snn/WaterMaze-hard-v0") == dataclasses.replace(
        parent.settings("snn/WaterMaze-hard-v0"), learning_rate="lin_0.005"
    )
    masked = child.network_settings("snn/MaskedCartPole-v1")
    assert (masked["hidden_sizes"], masked["encoder"]) == ([128], "population")
    # A grandchild: what the child changed is changed for it too.
    grandchild = load_agent_spec("ppo-lif-dynamics")
    assert grandchild.settings("snn/CartPole-v1").learning_rate == "lin_0.001"
    assert load_agent_spec("ppo-mlp").settings("snn/CartPole-v1").learning_rate == "lin_0.0005"


def spec_table(**changes):
    return {**raw("ppo-mlp"), **changes}


def test_same_as_inherits_and_overrides():
    spec = AgentSpec(
        **spec_table(
            default={},
            continuous={},
            environments={
                "A": {"n_steps": 5, "gamma": 0.5, "network": {"time_steps": 4}},
                "B": {"same_as": "A", "gamma": 0.6, "network": {"hidden_sizes": [3]}},
            },
        )
    )
    assert (spec.settings("B").n_steps, spec.settings("B").gamma) == (5, 0.6)
    assert spec.settings("A").gamma == 0.5
    assert spec.network_settings("B") == {**spec.network, "hidden_sizes": [3], "time_steps": 4}
    assert spec.network_settings("A")["hidden_sizes"] == [64, 64]


@pytest.mark.parametrize(
    ("environments", "message"),
    [
        (
            {"A": {"n_step": 5}},
            r"unknown key n_step; did you mean 'n_steps'\? allowed keys: n_envs",
        ),
        ({"A": {"n_steps": "5"}}, "n_steps: expected int, got '5'"),
        ({"A": {"n_envs": 0}}, "n_envs must be at least 1 and at most 8192, got 0"),
        ({"A": {"learning_rate": "lin"}}, "learning_rate: got 'lin'; expected a number"),
        ({"A": {"same_as": "B"}}, "same_as is 'B'; expected one of the agent's environments"),
        ({"A": {"same_as": "A"}}, "same_as is 'A'; expected"),
    ],
)
def test_a_bad_environment_table_is_refused(environments, message):
    with pytest.raises(ValueError, match=message):
        AgentSpec(**spec_table(environments=environments, default={}, continuous={}))


@pytest.mark.parametrize(
    ("algorithm", "wrong", "right"),
    [
        ("PPO", "local", "gradient"),
        ("PPO", "evolutionary", "gradient"),
        ("LocalActorCritic", "gradient", "local"),
        ("SynapseAgents", "evolutionary", "local"),
        ("CMAES", "local", "evolutionary"),
    ],
)
def test_the_budget_class_is_that_of_the_algorithm(algorithm, wrong, right):
    """PPO that calls itself local would have 3,000,000 steps for 100,000 on CartPole-v1."""

    def agent(budget_class):
        table = {"description": "", "algorithm": algorithm, "environments": {}}
        return AgentSpec(name="mine", budget_class=budget_class, **table)

    assert agent(right).budget_class == right
    assert agent("imported").is_imported
    message = f"budget_class is '{wrong}', but that of {algorithm} is '{right}'; write '{right}'"
    with pytest.raises(ValueError, match=message):
        agent(wrong)


def test_a_parent_must_be_an_agent_and_no_descendant(tmp_path, monkeypatch):
    for name, parent in (("a", "b"), ("b", "a"), ("c", "d")):
        folder = tmp_path / "agents" / name
        folder.mkdir(parents=True)
        (folder / "agent.toml").write_text(f'name = "{name}"\nparent = "{parent}"\n')
    monkeypatch.setattr(spec_module, "content_path", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match="'a' is its own ancestor"):
        load_agent_spec("a")
    with pytest.raises(ValueError, match=r"agents/c/agent\.toml: parent 'd' is unknown; `snn-gym"):
        load_agent_spec("c")
