"""Tests of the card of a model: drawings counted by hand, costs, and texts that are escaped."""

import re
from collections import deque

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

import snn_gym
from snn_gym.plots import model_card
from snn_gym.policies import SpikingActorCriticPolicy
from snn_gym.spiking import NetworkConfig
from snn_gym.training.logs import present_costs
from snn_gym.zoo.identity import Identity, remember_identity
from tests.parsed import Parsed

SMALL = {"n_steps": 32, "n_envs": 2, "batch_size": 64}
HOSTILE = '<script>alert("x")</script>'


def make(agent="ppo-lif", **options):
    return snn_gym.make_agent(agent, "CartPole-v1", seed=0, **{**SMALL, **options})


def drawn(card, name):
    """Return the parsed drawing whose label begins with a name."""
    (drawing,) = re.findall(rf'<svg[^>]*aria-label="{name}.*?</svg>', card)
    return Parsed(drawing)


def points(card):
    (line,) = drawn(card, "Mean return").attributes("polyline")
    return [tuple(map(float, point.split(","))) for point in line["points"].split()]


def test_the_network_has_a_dot_for_each_neuron_and_a_line_for_each_synapse():
    network = drawn(model_card(make(network={"hidden_sizes": [5, 3]})), "Network, 8 time steps")
    assert len(network.attributes("circle")) == 4 + 5 + 3 + 2
    (synapses,) = network.attributes("path")
    assert synapses["d"].count("M") == 4 * 5 + 5 * 3 + 3 * 2
    assert network.said == ["4", "observations", "5", "LIFBox", "3", "LIFBox", "2", "actions"]
    fills = [circle["fill"] for circle in network.attributes("circle")]
    assert fills == ["currentColor"] * 4 + ["#D55E00"] * 8 + ["currentColor"] * 2


def test_a_large_layer_has_six_dots_and_recurrence_a_mark():
    model = snn_gym.make_agent("recurrent-ppo-gru", "snn/CueAccumulation-v0", seed=0)
    network = drawn(model_card(model), "Network")
    assert len(network.attributes("circle")) == 6 + 6 + 2
    assert "gru ↻" in network.said
    assert {"#0072B2"} == {x["fill"] for x in network.attributes("circle")} - {"currentColor"}


def test_a_policy_without_a_program_has_no_drawing():
    class Several(gym.Env):
        observation_space = gym.spaces.Dict({"a": gym.spaces.Box(-1, 1, (2,))})
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return self.observation_space.sample(), {}

        def step(self, action):
            return self.observation_space.sample(), 0.0, False, False, {}

    network = {"network": NetworkConfig(hidden_sizes=(4,))}
    model = PPO(SpikingActorCriticPolicy, Several(), policy_kwargs=network, n_steps=8, batch_size=8)
    with pytest.raises(ValueError, match="Dict"):
        model.policy.program()
    card = model_card(model)
    assert "<svg" not in card
    assert "<b>PPO</b> on unregistered/Several" in card


def test_other_policies_have_no_card():
    assert model_card(PPO("MlpPolicy", "CartPole-v1", n_steps=8, batch_size=8)) is None


def test_costs_are_of_the_latest_evaluation_of_these_weights():
    model = make(network={"hidden_sizes": [5]})
    assert "Costs: not counted yet" in model_card(model)
    model.learn(64)
    present = present_costs(model).in_words()
    assert f"In the present states of its environments, {present}." in model_card(model)
    evaluation = snn_gym.evaluate(model, "CartPole-v1", episodes=3)
    played = f"Mean return {evaluation.mean:,.2f} in 3 episodes of CartPole-v1"
    assert f"{played}, {evaluation.in_words()}." in model_card(model)
    assert evaluation._repr_html_() in model_card(model)
    with torch.no_grad():
        model.policy.action_net.weight.mul_(2.0)
    assert "present states" in model_card(model)
    snn_gym.evaluate(model, "CartPole-v1", episodes=3)
    model.learn(64)
    assert "present states" in model_card(model)


def test_the_learning_curve_has_the_last_episodes():
    model = make()
    model.ep_info_buffer = deque({"r": r, "l": 1, "t": 0.0} for r in (0.0, 10.0, 20.0))
    card = model_card(model)
    # Running means 0, 5 and 10 of episodes 1, 2 and 3 of 3: 260 pixels wide, from 120 up to 10.
    assert points(card) == [(86.7, 120.0), (173.3, 65.0), (260.0, 10.0)]
    assert "Mean return over the last 3 episodes" in card
    assert drawn(card, "Mean return").said == ["10", "0"]


def test_the_learning_curve_of_a_run_is_that_of_its_folder(tmp_path):
    model = make()
    snn_gym.save_agent(model, tmp_path)
    assert "Mean return" not in model_card(snn_gym.load_agent(tmp_path))
    (tmp_path / "episodes.csv").write_text("timestep,return,length\n100,-4,1\n400,8,1\n")
    loaded = snn_gym.load_agent(tmp_path)
    assert points(model_card(loaded)) == [(65.0, 120.0), (260.0, 10.0)]
    assert "Mean return over 400 environment steps" in model_card(loaded)


def test_a_pretrained_agent_has_the_curve_and_the_evaluation_of_its_row():
    from snn_gym.leaderboard.pretrained import find_trained

    row = find_trained("ppo-lif", "CartPole-v1").row()
    card = model_card(snn_gym.load_pretrained("ppo-lif", "CartPole-v1"))
    assert f"Mean return {row.score.mean:,.2f} in 100 episodes" in card
    assert row.costs.in_words() in card
    curve = row.learning_curve
    low, high = min(curve.returns), max(curve.returns)
    height = [120 - 110 * (x - low) / (high - low) for x in curve.returns]
    assert np.allclose([y for _, y in points(card)], height, atol=0.051)
    assert points(card)[-1][0] == 260.0


def test_a_card_changes_nothing_that_learns():
    weights = []
    for shown in (False, True):
        model = make(network={"hidden_sizes": [5], "encoder": "rate"})
        for _ in range(2):
            model.learn(64, reset_num_timesteps=False)
            if shown:
                assert "present states" in model_card(model)
        weights.append(torch.cat([x.detach().flatten() for x in model.policy.parameters()]))
    assert torch.equal(*weights)


def test_hostile_names_are_escaped():
    model = make()
    remember_identity(model, Identity(HOSTILE, f'"{HOSTILE}', {HOSTILE: HOSTILE}))
    parsed = Parsed(model_card(model))
    assert "script" not in {tag for tag, _ in parsed.elements}
    assert HOSTILE in parsed.said
    assert f' on "{HOSTILE}, {HOSTILE}={HOSTILE!r}' in "".join(parsed.said)


def test_a_card_fits_any_theme_and_loads_nothing():
    model = make()
    model.learn(64)
    parsed = Parsed(model_card(model))
    names = {name for _, attributes in parsed.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"href", "src"}
    assert not {"script", "link", "style"} & {tag for tag, _ in parsed.elements}
    colours = {attributes.get(x) for _, attributes in parsed.elements for x in ("fill", "stroke")}
    assert colours <= {None, "none", "currentColor", "#D55E00", "#0072B2"}
    # Circles and texts that name no colour would be black on any theme.
    shapes = [x for tag, x in parsed.elements if tag in ("circle", "text")]
    assert all("fill" in x for x in shapes)
