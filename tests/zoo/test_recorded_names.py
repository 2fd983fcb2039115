"""Tests of names in files that nothing registered: environments and neurons."""

import gymnasium as gym

import snn_gym
from snn_gym.program.builtin_neurons import NEURONS, LIFBox, LIFBoxParameters
from tests.edits import edit_json
from tests.policies.identity import refused
from tests.registries import restored


def test_loading_an_unregistered_environment_names_the_fix(tmp_path):
    trained = snn_gym.make_agent("ppo-lif", "CartPole-v1")
    folder = snn_gym.save_agent(trained, tmp_path)
    edit_json(folder / "manifest.json", environment="Qxqxqxqxqxqxqx-v0")
    message = "'Qxqxqxqxqxqxqx-v0' is not registered: import the package that registers it first"
    with refused(message, gym.error.NameNotFound):
        snn_gym.load_agent(folder)
    # The caller's own environments need no id.
    env = trained.get_env()
    assert snn_gym.load_agent(folder, env=env).get_env() is env


def test_loading_an_unregistered_neuron_names_the_fix(tmp_path):
    class OwnParameters(LIFBoxParameters):
        pass

    class Own(LIFBox):
        Parameters = OwnParameters

    with restored():
        NEURONS["own"] = Own
        model = snn_gym.make_agent("ppo-lif", "CartPole-v1", network={"neuron": "own"})
        folder = snn_gym.save_agent(model, tmp_path)
    message = "neuron 'own' is unknown; .*: import the package that registers it first"
    with refused(message):
        snn_gym.load_agent(folder)
