"""Tests of features extractors of one's own in saved agents and agents' files."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from torch import nn

import snn_gym
from snn_gym.policies import SpikingActorCriticPolicy, SpikingSACPolicy
from snn_gym.policies.observations import EXTRACTORS
from snn_gym.zoo import read_manifest


class Doubled(BaseFeaturesExtractor):
    def __init__(self, observation_space, features_dim=6, gain=2.0):
        super().__init__(observation_space, features_dim)
        self.linear, self.gain = nn.Linear(*observation_space.shape, features_dim), gain

    def forward(self, observations):
        return self.gain * torch.tanh(self.linear(observations))


@pytest.fixture
def registered(own_names):
    snn_gym.register_extractor("Doubled", Doubled)
    return "Doubled"


def model_of(extractor, kind=PPO, **arguments):
    policy, env_id, few = (
        (SpikingActorCriticPolicy, "CartPole-v1", {"n_steps": 64})
        if kind is PPO
        else (SpikingSACPolicy, "Pendulum-v1", {"learning_starts": 8})
    )
    own = {
        "features_extractor_class": extractor,
        "network": {"hidden_sizes": [8], "time_steps": 2},
        **arguments,
    }
    return kind(policy, env_id, policy_kwargs=own, seed=0, device="cpu", **few)


@pytest.mark.parametrize("kind", [PPO, SAC])
@pytest.mark.parametrize("by_name", [True, False])
def test_registered_extractors_are_saved_and_loaded(kind, by_name, registered, tmp_path):
    arguments = {"features_extractor_kwargs": {"features_dim": 5, "gain": 3.0}}
    model = model_of(registered if by_name else Doubled, kind, **arguments).learn(64)
    folder = snn_gym.save_agent(model, tmp_path / "saved")
    saved = read_manifest(folder).policy_kwargs
    assert saved["features_extractor_class"] == "Doubled"
    assert saved["features_extractor_kwargs"] == arguments["features_extractor_kwargs"]
    loaded = snn_gym.load_agent(folder)
    assert loaded.policy.features_extractor_class is Doubled
    extractor = loaded.policy.acting_extractor()
    assert (extractor.linear.out_features, extractor.gain) == (5, 3.0)
    seen = np.array([model.observation_space.sample() for _ in range(16)])
    expected, _ = model.predict(seen, deterministic=True)
    assert np.array_equal(loaded.predict(seen, deterministic=True)[0], expected)
    again = read_manifest(snn_gym.save_agent(loaded, tmp_path / "again"))
    assert again.weights_sha256 == read_manifest(folder).weights_sha256
    loaded.learn(64)


def test_stable_baselines3s_extractors_need_no_registration(tmp_path):
    folder = snn_gym.save_agent(model_of(FlattenExtractor), tmp_path / "saved")
    assert read_manifest(folder).policy_kwargs["features_extractor_class"] == "FlattenExtractor"
    assert snn_gym.load_agent(folder).policy.normaliser is not None


def test_others_are_refused_when_saved_and_when_loaded(registered, tmp_path):
    folder = snn_gym.save_agent(model_of(Doubled), tmp_path / "saved")
    del EXTRACTORS["Doubled"]
    fix = r"snn_gym\.register_extractor\('Doubled', Doubled\), or save its code too, by model\.save"
    with pytest.raises(ValueError, match=fix) as caught:
        snn_gym.save_agent(model_of(Doubled), tmp_path / "other")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "other").exists()
    with pytest.raises(ValueError, match=r"got 'Doubled'.* by snn_gym\.register_extractor"):
        snn_gym.load_agent(folder)


@pytest.mark.parametrize(
    "arguments", [{"activation_fn": nn.ELU}, {"features_extractor_kwargs": {"gain": torch.ones(1)}}]
)
def test_other_code_in_arguments_names_model_save(arguments, registered, tmp_path):
    with pytest.raises(ValueError, match=r"more than plain data.*save code too, by model\.save"):
        snn_gym.save_agent(model_of(Doubled, **arguments), tmp_path / "saved")


@pytest.mark.parametrize(
    ("name", "extractor", "error", "message"),
    [
        ("my-cnn", Doubled, ValueError, "must be an identifier"),
        ("NatureCNN", Doubled, ValueError, "registered already"),
        ("Linear", nn.Linear, TypeError, "must be a subclass of BaseFeaturesExtractor"),
        ("Instance", Doubled.forward, TypeError, "must be a subclass of BaseFeaturesExtractor"),
    ],
)
def test_registrations_are_checked(name, extractor, error, message):
    with pytest.raises(error, match=message):
        snn_gym.register_extractor(name, extractor)
