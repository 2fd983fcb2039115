"""Agents as their files describe them."""

import tomllib

import pytest

from snn_gym.content import content_path
from snn_gym.registry import env_ids, load_environment_spec
from snn_gym.zoo import (
    AgentSpec,
    agent_ids,
    load_agent_spec,
    make_agent,
)

PAIRS = [(name, env_id) for name in agent_ids() for env_id in load_agent_spec(name).environments]


def test_the_zoo_holds_the_agents_and_their_twins():
    assert agent_ids() == (
        "a2c-lif",
        "a2c-mlp",
        "accept-reject",
        "cma-es",
        "dqn-mlp",
        "dqsn",
        "dqsn-dynamics",
        "es",
        "ppo-lif",
        "ppo-lif-dynamics",
        "ppo-mlp",
        "qrdqn-lif",
        "qrdqn-mlp",
        "random-search",
        "recurrent-dqn-gru",
        "recurrent-dqsn",
        "recurrent-ppo-gru",
        "recurrent-ppo-lsnn",
        "sac-lif",
        "sac-mlp",
        "synapse-agents",
        "win-stay",
    )
    for name in agent_ids():
        spec = load_agent_spec(name)
        if spec.policy == "SpikingControllerPolicy":
            assert spec.twin is None
            continue
        twin = load_agent_spec(spec.twin)
        # A regulated agent has the twin of the agent that it regulates.
        assert twin.twin == name.removesuffix("-dynamics")
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


def test_an_unknown_agent_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'ppo-lfi' is unknown; did you mean 'ppo-lif'\?.*dqsn"):
        load_agent_spec("ppo-lfi")


@pytest.mark.parametrize("name", ["../agents/ppo-lif", "/etc/passwd", "", "ppo-lif/"])
def test_a_name_reaches_no_other_file(name):
    with pytest.raises(ValueError, match="is unknown"):
        load_agent_spec(name)


def test_an_environment_without_hyper_parameters_is_named_with_those_that_have():
    with pytest.raises(ValueError, match=r"'Pendulum-v1'; it has them for: CartPole-v1"):
        make_agent("dqsn", "Pendulum-v1")


def spec_table(**changes):
    path = content_path("agents") / "ppo-lif" / "agent.toml"
    return {**tomllib.loads(path.read_text()), **changes}


def test_same_as_inherits_and_overrides():
    spec = AgentSpec(
        **spec_table(
            environments={
                "A": {"n_steps": 5, "gamma": 0.5, "network": {"time_steps": 4}},
                "B": {"same_as": "A", "gamma": 0.6, "network": {"hidden_sizes": [3]}},
            }
        )
    )
    assert (spec.settings("B").n_steps, spec.settings("B").gamma) == (5, 0.6)
    assert spec.settings("A").gamma == 0.5
    assert spec.network_settings("B") == {**spec.network, "hidden_sizes": [3], "time_steps": 4}
    assert spec.network_settings("A")["hidden_sizes"] == [64, 64]


@pytest.mark.parametrize(
    ("environments", "message"),
    [
        ({"A": {"n_step": 5}}, "unknown key n_step; allowed keys: n_envs"),
        ({"A": {"n_steps": "5"}}, "n_steps: expected int, got '5'"),
        ({"A": {"n_envs": 0}}, "n_envs must be at least 1, got 0"),
        ({"A": {"learning_rate": "lin"}}, "learning_rate: got 'lin'; expected a number"),
        ({"A": {"same_as": "B"}}, "same_as is 'B'; expected one of the agent's environments"),
        ({"A": {"same_as": "A"}}, "same_as is 'A'; expected"),
    ],
)
def test_a_bad_environment_table_is_refused(environments, message):
    with pytest.raises(ValueError, match=message):
        AgentSpec(**spec_table(environments=environments))


def test_a_policy_that_does_not_fit_the_algorithm_is_refused():
    with pytest.raises(ValueError, match="PPO needs the policy SpikingActorCriticPolicy"):
        AgentSpec(**spec_table(policy="SpikingDQNPolicy"))
