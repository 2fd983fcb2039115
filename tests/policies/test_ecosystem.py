"""Tests of Stable-Baselines3's tools with spiking policies."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import CheckpointCallback, EvalCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv

from snn_gym.spiking.bookkeeping import full_state
from tests.policies.identity import CASES, EVERY, Identity, make, observations
from tests.policies.test_identity import assert_same

pytestmark = pytest.mark.check

OFF_POLICY = [x for x, case in CASES.items() if issubclass(case.algorithm, OffPolicyAlgorithm)]
GSDE = ["PPO", "SAC"]
STEPS = 96


def weights(model):
    return {name: value.clone() for name, value in full_state(model.policy).items()}


def environment(name, view="analogue"):
    return Identity(view, EVERY[name].actions[0])


def box(name):
    action = "Box" if "Box" in EVERY[name].actions else EVERY[name].actions[0]
    return DummyVecEnv([lambda: Identity("analogue", action)])


@pytest.mark.parametrize("name", ["PPO", "SAC", "StatefulPPO"])
def test_evaluation_and_checkpoints_do_not_change_training(name, tmp_path):
    plain = make(name).learn(STEPS)
    model = make(name)
    evaluation = EvalCallback(
        Monitor(environment(name)), eval_freq=40, n_eval_episodes=2, verbose=0,
        log_path=str(tmp_path), best_model_save_path=str(tmp_path),
    )  # fmt: skip
    at_80 = {}

    class Watch(CheckpointCallback):
        def _on_step(self):
            if self.num_timesteps == 80:
                at_80.update(weights(model))
            return super()._on_step()

    model.learn(STEPS, callback=[evaluation, Watch(40, str(tmp_path), "model")])
    assert_same(weights(model), weights(plain))
    assert np.load(tmp_path / "evaluations.npz")["timesteps"][:2].tolist() == [40, 80]
    loaded = EVERY[name].algorithm.load(tmp_path / "model_80_steps", device="cpu")
    assert_same(weights(loaded), at_80)
    best = EVERY[name].algorithm.load(tmp_path / "best_model", device="cpu")
    assert best.num_timesteps in (40, 80, 120)


@pytest.mark.parametrize("name", ["TRPO", "QRDQN", "TD3"])
def test_loaded_models_continue_like_the_original(name, tmp_path):
    model = make(name).learn(STEPS)
    model.save(tmp_path / "model")
    loaded = CASES[name].algorithm.load(tmp_path / "model", device="cpu")
    if name in OFF_POLICY:
        model.save_replay_buffer(tmp_path / "buffer")
        loaded.load_replay_buffer(tmp_path / "buffer")
    after = []
    for agent in (model, loaded):
        agent.set_env(DummyVecEnv([lambda: environment(name)]), force_reset=True)
        agent.set_random_seed(7)
        agent.learn(STEPS, reset_num_timesteps=False)
        assert agent.num_timesteps >= 2 * STEPS
        after.append(weights(agent))
    assert_same(*after)


@pytest.mark.parametrize("name", GSDE)
def test_gsde_draws_its_noise_from_the_spiking_networks_activity(name, tmp_path):
    def run():
        return make(name, box(name), use_sde=True, sde_sample_freq=4).learn(STEPS)

    model = run()
    assert_same(weights(model), weights(run()))
    seen, _ = model.policy.obs_to_tensor(observations("analogue", 1))
    with torch.no_grad():
        mean, variance = gsde_moments(model.policy, seen)
        draws = []
        for _ in range(200):
            model.policy.reset_noise()
            first = model.policy._predict(seen)
            # Until the noise is drawn anew, an observation has one action.
            assert torch.equal(model.policy._predict(seen), first)
            draws.append(first)
    drawn = torch.cat(draws)
    if name in ("SAC", "TQC"):
        drawn = torch.atanh(drawn)
    assert torch.allclose(drawn.mean(0), mean[0], atol=5 * (variance.max() / 200).sqrt().item())
    assert torch.allclose(drawn.var(0), variance[0], rtol=0.5)
    model.save(tmp_path / "model")
    model.policy.save(str(tmp_path / "policy"))
    loaded = CASES[name].algorithm.load(tmp_path / "model", device="cpu").policy
    policy = CASES[name].policy.load(str(tmp_path / "policy"), device="cpu")
    expected, _ = model.predict(observations("analogue", 8), deterministic=True)
    for other in (loaded, policy):
        actions, _ = other.predict(observations("analogue", 8), deterministic=True)
        assert np.array_equal(actions, expected)


def gsde_moments(policy, seen):
    """Return mean and variance of an action by Raffin et al. 2020 (arXiv 2005.05719), eq. 5.

    An action is mu(s) + theta z(s), theta ~ N(0, sigma²); hence its variance is sigma² z(s)²,
    where z is the activity that the network decodes.
    """
    latent = policy.acting_network()(policy.network_inputs(seen))[0]
    head, log_std = (
        (policy.actor.mu, policy.actor.log_std) if hasattr(policy, "actor")
        else (policy.action_net, policy.log_std)
    )  # fmt: skip
    return head(latent), latent.square() @ log_std.exp().square()
