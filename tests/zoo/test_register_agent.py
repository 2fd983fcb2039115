"""Tests of registered agents: they equal agents of a file with the same content."""

import pytest

import snn_gym
from snn_gym.zoo import agent_ids, load_agent_spec, policy_arguments, read_manifest
from tests.registries import restored

pytestmark = pytest.mark.usefixtures("own_names")


def test_agents_override_their_parent():
    parent = load_agent_spec("ppo-lif")
    network = {"hidden_sizes": [16], "time_steps": 4}
    snn_gym.register_agent(
        "small", parent="ppo-lif", description="Small.", network=network,
        environments={"CartPole-v1": {"gamma": 0.5}},
    )  # fmt: skip
    network["hidden_sizes"] = [1]  # the registered agent is kept
    assert "small" in agent_ids()
    spec = load_agent_spec("small")
    assert (spec.twin, spec.algorithm, spec.parent) == (parent.twin, parent.algorithm, "ppo-lif")
    assert spec.settings("CartPole-v1").gamma == 0.5
    assert spec.settings("CartPole-v1").n_steps == parent.settings("CartPole-v1").n_steps
    model = snn_gym.make_agent("small", "CartPole-v1")
    assert (model.policy.network.hidden_sizes, model.policy.network.time_steps) == ((16,), 4)
    assert model.policy.network.surrogate_slope == 5.0


def test_registered_agents_can_be_parents(tmp_path):
    few, small = {"time_steps": 2}, {"hidden_sizes": [4]}
    with restored():
        snn_gym.register_agent("small", parent="ppo-lif", description="S.", network=few)
        snn_gym.register_agent("smaller", parent="small", description="s.", network=small)
        model = snn_gym.make_agent("smaller", "CartPole-v1", n_envs=1)
        snn_gym.save_agent(model, tmp_path / "run")
    loaded = snn_gym.load_agent(tmp_path / "run").policy.network
    assert (loaded.hidden_sizes, loaded.time_steps) == ((4,), 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"net_arch": {"pi": [6], "vf": [5, 4]}},
        {"net_arch": [{"pi": [6], "vf": [5, 4]}]},
        {"critic_hidden_sizes": [5, 4]},
    ],
)
def test_files_can_set_critic_sizes(arguments, tmp_path):
    snn_gym.register_agent(
        "apart", parent="ppo-lif", description="A.", policy_kwargs=arguments,
        network={"hidden_sizes": [6]},
    )  # fmt: skip
    model = snn_gym.make_agent("apart", "CartPole-v1", n_envs=1)
    snn_gym.save_agent(model, tmp_path / "run")
    loaded = snn_gym.load_agent(tmp_path / "run")
    assert [x.out_features for x in loaded.policy.mlp_extractor.critic if hasattr(x, "weight")] == [
        5, 4,
    ]  # fmt: skip
    saved = read_manifest(tmp_path / "run").policy_kwargs
    assert saved["critic_hidden_sizes"] == [5, 4]
    # As a submission compares them.
    expected = policy_arguments(load_agent_spec("apart"), "CartPole-v1")
    assert expected.pop("network").to_dict() == saved.pop("network")
    assert expected == saved


def test_net_arch_takes_the_place_of_a_parents_sizes_but_of_no_own_ones():
    for name, network in (("narrow", {}), ("torn", {"hidden_sizes": [8]})):
        snn_gym.register_agent(
            name, parent="es", description="A.", policy_kwargs={"net_arch": [6]}, network=network
        )
    assert "hidden_sizes" in load_agent_spec("es").network
    made = policy_arguments(load_agent_spec("narrow"), "CartPole-v1")["network"]
    assert made.hidden_sizes == (6,)
    with pytest.raises(ValueError, match="both say what the actor has"):
        policy_arguments(load_agent_spec("torn"), "CartPole-v1")


@pytest.mark.parametrize("arguments", [{"net_arch": [6]}, {"critic_hidden_sizes": [6]}])
def test_equal_critic_sizes_are_not_recorded(arguments, tmp_path):
    snn_gym.register_agent(
        "alike", parent="ppo-lif", description="A.", policy_kwargs=arguments,
        network={"hidden_sizes": [6]},
    )  # fmt: skip
    model = snn_gym.make_agent("alike", "CartPole-v1", n_envs=1)
    snn_gym.save_agent(model, tmp_path / "run")
    saved = read_manifest(tmp_path / "run").policy_kwargs
    assert saved["network"]["hidden_sizes"] == [6]
    assert not saved.keys() & {"net_arch", "critic_hidden_sizes"}


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("ppo-lif", {"parent": "ppo-lif"}, "agent 'ppo-lif' is there already; take another name"),
        ("../x", {"parent": "ppo-lif"}, "is small letters, digits and hyphens, got '../x'"),
        ("mine", {}, r"register_agent\('mine'\): missing key description, algorithm"),
        ("mine", {"parent": "ppo-lfi"}, "'ppo-lfi' is unknown; did you mean 'ppo-lif'"),
        ("mine", {"parent": "mine"}, "'mine' is its own ancestor"),
        ("mine", {"parent": "ppo-lif", "netwrk": {}}, "unknown key netwrk; did you mean 'network'"),
        (
            "mine", {"parent": "ppo-lif", "environments": {"A-v0": {"gama": 1}}},
            "unknown key gama; did you mean 'gamma'",
        ),
    ],
)  # fmt: skip
def test_invalid_agents_are_refused_and_forgotten(name, table, message):
    before = agent_ids()
    with pytest.raises(ValueError, match=message):
        snn_gym.register_agent(name, **table)
    assert agent_ids() == before
