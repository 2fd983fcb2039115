"""Tests of ``distil``: any agent teaches any other, in the states that the student visits."""

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from snn_gym.envs.stable_baselines import make_vec_env
from snn_gym.learners.lean_algorithm import LeanAlgorithm
from snn_gym.zoo import distil, load_agent, make_agent, save_agent
from snn_gym.zoo.build import identify
from snn_gym.zoo.files import extract_settings
from tests.marked import checked
from tests.policies.identity import refused

TINY = {"hidden_sizes": [8]}
TEACH = {"updates": 300, "batch_size": 64, "learning_rate": 0.02, "final_learning_rate": 0.002}
ONCE = {**TEACH, "updates": 3}
OFF_POLICY = {"learning_starts": 50, "batch_size": 16, "buffer_size": 2000}
SEQUENCES = {"n_envs": 4, "n_steps": 32, "batch_size": 64, "sequence_length": 16}
PUSH = np.array([0.1, 0.3, 5.0, 1.0], np.float32)
"""Weights of a controller that balances the pole: push to the side to which it falls."""


LAYERS = {
    "ppo-mlp": ("mlp_extractor.actor.0", "action_net"),
    "sb3-ppo": ("mlp_extractor.policy_net.0", "action_net"),
    "dqn-mlp": ("q_net.q_net.0", "q_net.q_net.2"),
    "sb3-dqn": ("q_net.q_net.0", "q_net.q_net.2"),
}
"""Hidden layer and head that act."""


def balancing(name="ppo-mlp", **overrides):
    """Return an untrained agent on CartPole whose weights are set by hand to balance the pole."""
    model = make_agent(name, "CartPole-v1", seed=4, network={"hidden_sizes": [1]}, **overrides)
    parameters = dict(model.policy.named_parameters())
    hidden, head = LAYERS[name]
    # A ReLU says nothing of a pole that falls to the left: the head's bias does.
    left = 0.5 if "dqn" in name else 0.0
    with torch.no_grad():
        parameters[f"{hidden}.weight"].copy_(torch.from_numpy(PUSH)[None])
        parameters[f"{hidden}.bias"].zero_()
        parameters[f"{head}.weight"].copy_(torch.tensor([[-4.0], [4.0]]))
        parameters[f"{head}.bias"].copy_(torch.tensor([left, 0.0]))
    return model


def seen_by(model, steps=40):
    """Return observations of play of eight environments with a model's best actions."""
    env = make_vec_env("CartPole-v1", 8, 3)
    observation, seen = env.reset(), []
    for _ in range(steps):
        seen.append(observation)
        observation, *_ = env.step(model.predict(observation, deterministic=True)[0])
    return np.concatenate(seen)


def agreement(teacher, student, seen):
    """Return the share of equal best actions."""
    one, two = (x.predict(seen, deterministic=True)[0] for x in (teacher, student))
    return float(np.mean(one == two))


@pytest.mark.parametrize("student", ["ppo-mlp", "ppo-linear", checked("ppo-lif")])
def test_a_hand_made_teacher_is_followed_in_the_states_of_the_student(student):
    teacher = balancing()
    network = {} if student == "ppo-linear" else TINY
    taught = distil(teacher, student, 2048, network=network, seed=7, **TEACH)
    assert isinstance(taught, LeanAlgorithm)
    assert (identify(taught).agent, taught.seed) == (student, 7)
    assert agreement(teacher, taught, seen_by(taught)) > 0.9
    fresh = make_agent(student, "CartPole-v1", seed=7, network=network)
    assert agreement(teacher, fresh, seen_by(fresh)) < 0.9
    first = distil(teacher, student, 2048, network=network, seed=7, **ONCE)
    assert 0 < taught.divergence < first.divergence / 2


def test_a_linear_student_finds_the_direction_of_its_teachers_weights():
    taught = distil(balancing(), "ppo-linear", 2048, seed=7, **{**TEACH, "updates": 900})
    (weights,) = (x for name, x in taught.policy.named_parameters() if name == "action_net.weight")
    own = (weights[1] - weights[0]).detach().numpy()
    cosine = own @ PUSH / np.linalg.norm(own) / np.linalg.norm(PUSH)
    assert cosine > 0.9


def test_the_student_acts_and_the_teacher_labels():
    teacher = balancing()
    taught = distil(teacher, "ppo-mlp", 512, network=TINY, seed=7, **ONCE)
    # The last rollout was played by the final weights.
    buffer, visited = taught.rollout_buffer, taught.shedding._visited.arrays()
    seen = buffer.observations.reshape(-1, 4)
    assert np.array_equal(taught.predict(seen, deterministic=True)[0], buffer.actions.ravel())
    with torch.no_grad():
        expected = teacher.policy.watched(torch.from_numpy(visited["kept."]))[0].numpy()
    np.testing.assert_allclose(visited["targets"], expected, atol=1e-5)
    assert agreement(teacher, taught, seen) < 1.0


@pytest.mark.check
@pytest.mark.parametrize(
    ("teacher", "student", "overrides"),
    [
        ("dqn-mlp", "ppo-mlp", OFF_POLICY),
        ("ppo-mlp", "dqn-mlp", {}),
        ("sb3-ppo", "ppo-mlp", {}),
        ("sb3-dqn", "ppo-mlp", OFF_POLICY),
    ],
)
def test_agents_of_other_algorithms_teach(teacher, student, overrides):
    trained = balancing(teacher, **overrides)
    taught = distil(trained, student, 2048, network=TINY, seed=7, **TEACH)
    assert agreement(trained, taught, seen_by(taught)) > 0.75
    # A teacher of values is followed on a scale on which the mean best value is 1 above the mean.
    heat = taught.shedding.counters.temperature
    assert (heat != 1.0) == ("dqn" in teacher)


@pytest.mark.check
@pytest.mark.parametrize(
    ("teacher", "student"), [("sac-mlp", "ppo-mlp"), ("ppo-mlp", "sac-mlp"), ("sb3-sac", "ppo-lif")]
)
def test_continuous_actions_are_compared_by_the_best_one(teacher, student):
    overrides = OFF_POLICY if "sac" in teacher else {}
    trained = make_agent(teacher, "Pendulum-v1", seed=4, network=TINY, **overrides)
    few, many = (
        distil(trained, student, 600, network=TINY, seed=7, **{**TEACH, "updates": updates})
        for updates in (2, 60)
    )
    assert many.divergence < few.divergence


def test_a_teacher_with_memory_carries_its_state_along_the_students_episodes():
    env_id = "snn/MaskedCartPole-v1"
    teacher = make_agent("recurrent-ppo-gru", env_id, seed=4, network=TINY, **SEQUENCES)
    taught = distil(teacher, "ppo-mlp", 600, network=TINY, seed=7, **ONCE)
    buffer, visited = taught.rollout_buffer, taught.shedding._visited
    state, starts = None, buffer.episode_starts
    # All rollouts but the last are not in the buffer any more, so a whole episode is looked at.
    step, lane = next((t, b) for t, b in np.argwhere(starts == 1) if t + 3 <= len(starts) and t > 0)
    targets = visited.arrays()["targets"][-starts.size :].reshape(*starts.shape, -1)
    for t in range(step, len(starts)):
        if t > step and starts[t, lane]:
            break
        observation = buffer.observations[t, lane]
        action, state = teacher.policy.predict(observation, state, deterministic=True)
        assert int(action) == targets[t, lane].argmax()


@pytest.mark.check
def test_a_teacher_without_memory_teaches_a_student_with_memory():
    teacher = balancing()
    settings = {**TEACH, "updates": 120, "batch_size": 256}
    taught = distil(teacher, "recurrent-ppo-leaky-small", 4096, seed=7, **settings)
    seen = seen_by(taught, 1)  # states at rest
    assert agreement(teacher, taught, seen) > 0.7
    visited = taught.shedding._visited
    batch, targets = visited.sample(64, newest=True)
    with torch.no_grad():
        expected = teacher.policy.watched(batch.observations.flatten(0, 1))[0]
    torch.testing.assert_close(targets, expected, atol=1e-5, rtol=1e-4)


def test_a_student_without_statistics_gets_those_of_visited_states():
    teacher = make_agent(
        "ppo-mlp", "Acrobot-v1", seed=4, network=TINY, normalise_observations=False
    )
    taught = distil(teacher, "ppo-relu-8", 4096, seed=7, **ONCE)
    normaliser = taught.policy.normaliser
    seen = taught.rollout_buffer.observations.reshape(-1, 6)
    assert float(normaliser.count) >= 1000
    np.testing.assert_allclose(normaliser.std, seen.std(0), rtol=0.5)


def test_a_taught_agent_is_saved_and_learns_by_its_algorithm(tmp_path):
    taught = distil(balancing(), "ppo-relu-8", 512, seed=7, **ONCE)
    again = distil(balancing(), "ppo-relu-8", 512, seed=7, **ONCE)
    save_agent(taught, tmp_path)
    loaded = load_agent(tmp_path)
    seen = seen_by(taught)
    for other in (loaded, again):
        assert agreement(taught, other, seen) == 1.0
        for name, x in taught.policy.acting_state_dict().items():
            assert torch.equal(x, other.policy.acting_state_dict()[name]), name
    assert extract_settings(loaded) == extract_settings(taught)
    loaded.learn(512)
    assert loaded.shedding is None  # nothing sheds, so nothing ends its learning


@pytest.mark.parametrize(
    ("teacher", "student", "message"),
    [
        ("recurrent-ppo-gru", "dqn-mlp", "carries a state, which the single observations"),
        ("ppo-mlp", "cma-es", "CMAES learns without gradients, which lean needs"),
        ("ppo-mlp", "sac-mlp", "Discrete"),
    ],
)
def test_pairs_that_cannot_be_are_refused_in_one_line(teacher, student, message):
    overrides = SEQUENCES if "recurrent" in teacher else {}
    env_id = "snn/MaskedCartPole-v1" if "recurrent" in teacher else "CartPole-v1"
    trained = make_agent(teacher, env_id, seed=4, network=TINY, **overrides)
    with refused(message):
        distil(trained, student, 300, network=TINY, **ONCE)


def test_policies_of_stable_baselines_that_are_not_of_the_zoo_are_refused():
    with refused("ActorCriticPolicy of PPO does not teach; train the same algorithm with a policy"):
        distil(PPO("MlpPolicy", "CartPole-v1", device="cpu"), "ppo-mlp", 64, **ONCE)
