"""Tests that a space is trained, saved and played in the same way, or refused before step one."""

import itertools
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import snn_gym
from snn_gym.training import train
from snn_gym.zoo import read_manifest

VECTOR = spaces.Box(-1.0, 1.0, (3,))
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
PICTURE_AND_VECTOR = spaces.Dict({"image": IMAGE, "vector": VECTOR})
MIXED = spaces.Dict(
    {
        "count": spaces.Discrete(4),
        "counts": spaces.MultiDiscrete([2, 3]),
        "flags": spaces.MultiBinary(3),
        "matrix": spaces.Box(-1.0, 1.0, (2, 2), np.float64),
    }
)
TWO = spaces.Discrete(2)
FORCES = spaces.Box(-1.0, 1.0, (2,))
STEPS = 48
SMALL_ROLLOUT = {"n_steps": 12, "n_envs": 2, "n_epochs": 1}
SMALL_BUFFER = {"buffer_size": 200, "learning_starts": 32, "batch_size": 8}


class Sampled(gym.Env):
    """Episodes of ten random observations, seeded; the reward is the sum of the action."""

    def __init__(self, observed, chosen):
        self.observation_space, self.action_space = observed, chosen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.left = 10
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        self.left -= 1
        reward = float(np.sum(np.asarray(action, float)))
        return self.observation_space.sample(), reward, self.left == 0, False, {}


@pytest.fixture
def registered(own_names):
    """Give a function that registers an environment of two spaces, and returns its id."""
    ids = []

    def register(observed, chosen=TWO):
        ids.append(f"test_spaces/Sampled{len(ids)}-v0")
        gym.register(ids[-1], lambda: Sampled(observed, chosen), disable_env_checker=True)
        return ids[-1]

    return register


def trained(agent, env_id, out, **settings):
    if agent.startswith(("sac", "dqn", "dqsn")):
        settings.setdefault("hyperparameters", SMALL_BUFFER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # agents are not tuned for these environments
        train(
            agent, env_id, out=out, steps=STEPS, tensorboard=False,
            checkpoint_interval=STEPS // 2, **settings,
        )  # fmt: skip
    return snn_gym.load_agent(out)


@pytest.mark.parametrize(
    ("agent", "chosen", "observed"),
    [
        ("ppo-lif", TWO, MIXED),
        ("ppo-mlp", TWO, PICTURE_AND_VECTOR),
        ("sac-lif", FORCES, MIXED),
        ("dqsn", TWO, PICTURE_AND_VECTOR),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_agents_of_dict_observations_are_saved_and_act_the_same(
    registered, tmp_path, agent, chosen, observed
):
    env_id = registered(observed, chosen)
    settings = SMALL_ROLLOUT if agent.startswith("ppo") else SMALL_BUFFER
    model = trained(agent, env_id, tmp_path / "run", hyperparameters=settings)
    assert read_manifest(tmp_path / "run").observation_space["type"] == "Dict"
    again = snn_gym.load_agent(snn_gym.save_agent(model, tmp_path / "again"))
    seen = model.env.reset()
    for one, other in zip(
        model.predict(seen, deterministic=True),
        again.predict(seen, deterministic=True),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    # One at a time, as an environment gives them, the bare policy takes images as they are stored.
    results = [snn_gym.evaluate(x, env_id, seeds=range(3)) for x in (model, again, model.policy)]
    assert len({result.returns for result in results}) == 1
    assert results[0].uncounted == ()
    assert results[0].operations_per_decision > 0
    assert model.policy.record(seen).costs.operations_per_decision > 0


@pytest.mark.parametrize(("agent", "chosen"), [("ppo-lif", TWO), ("dqn-mlp", TWO)])
def test_a_run_of_dict_observations_is_resumed_bit_equal(registered, tmp_path, agent, chosen):
    env_id = registered(MIXED, chosen)
    settings = SMALL_ROLLOUT if agent == "ppo-lif" else SMALL_BUFFER
    whole = trained(agent, env_id, tmp_path / "whole", hyperparameters=settings)
    cut = tmp_path / "cut"

    class Killed(BaseException):
        pass

    class Cut(Sampled):
        steps = 0

        def step(self, action):
            type(self).steps += 1
            if type(self).steps == STEPS * 3 // 4:
                raise Killed
            return super().step(action)

    entry = gym.registry[env_id]
    sound, entry.entry_point = entry.entry_point, lambda: Cut(MIXED, chosen)
    with pytest.raises(Killed):
        trained(agent, env_id, cut, hyperparameters=settings)
    entry.entry_point = sound
    assert not (cut / "manifest.json").exists()
    resumed = trained(agent, env_id, cut, hyperparameters=settings, resume=True)
    for (name, one), other in zip(
        whole.policy.state_dict().items(), resumed.policy.state_dict().values(), strict=True
    ):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=name)


def nested(part):
    return spaces.Dict({"part": part, "vector": VECTOR})


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (spaces.Text(5), r"observation space Text\(.* arrays, or a Dict of arrays; use Flatten"),
        (spaces.Graph(VECTOR, None), r"observation space Graph\(.* is not supported"),
        (spaces.Sequence(VECTOR), r"observation space Sequence\(.* is not supported"),
        (spaces.OneOf([VECTOR, TWO]), r"observation space OneOf\(.* is not supported"),
        (spaces.Tuple([VECTOR, TWO]), r"PPO can't be built: Tuple\(.* is not supported; .*Flatten"),
        (nested(spaces.Dict({"a": TWO})), r"observation space Dict\(.* is not supported"),
        (nested(spaces.Tuple([TWO])), r"observation space Dict\(.* is not supported"),
        (nested(spaces.Text(3)), r"observation space Dict\(.* is not supported"),
        (nested(spaces.Box(-1, 1, (0,))), r"'part' of the Dict Box\(.* not supported; supported"),
        (nested(spaces.Box(-1, 1, ())), r"'part' of the Dict Box\(.* not supported; supported"),
        (nested(spaces.Discrete(2, start=1)), "'part' of the Dict .* starts at 1"),
        (spaces.Dict({}), r"the keys \[\] of the Dict .* rename them by gymnasium.wrappers"),
        (spaces.Dict({"values": VECTOR}), r"the keys \['values'\] .* attribute 'values'.*rename"),
        (spaces.Dict({"a.b": VECTOR}), r"the keys \['a.b'\] .* can't contain"),
        (spaces.Box(-1, 1, (0,)), r"space Box\(.* is not supported; supported: Box with an axis"),
        (spaces.Box(-1, 1, (2, 0)), r"space Box\(.* is not supported; supported: Box with an axis"),
        (spaces.Box(-1, 1, ()), r"space Box\(.* is not supported; supported: Box with an axis"),
        (spaces.MultiDiscrete([[2, 3], [2, 2]]), r"MultiDiscrete\(.* is not supported; supported"),
        (spaces.MultiBinary((2, 2, 2, 2)), r"MultiBinary\(.* is not supported; supported"),
    ],
    ids=str,
)
def test_other_observations_are_refused_in_one_line_before_step_one(
    registered, tmp_path, observed, words
):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=words) as refusal:
        trained("ppo-lif", registered(observed), out)
    assert "\n" not in str(refusal.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("chosen", "agent"),
    list(zip([
        spaces.Dict({"a": TWO}), spaces.Tuple([TWO]), spaces.Text(3), spaces.Sequence(TWO),
        spaces.Graph(VECTOR, None), spaces.OneOf([TWO]), spaces.Box(-1, 1, (0,)),
        spaces.Box(-3, 3, (2,), np.int32), spaces.MultiDiscrete([[2, 2], [2, 2]]),
        spaces.MultiBinary((2, 3)),
    ], itertools.cycle(["ppo-lif", "sac-mlp", "dqsn", "es"]), strict=False)),
    ids=str,
)  # fmt: skip
def test_other_actions_are_refused_in_one_line_before_step_one(registered, tmp_path, agent, chosen):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match=r"has the actions .*, which no agent chooses; exp.*"
                       "use gymnasium.wrappers.TransformAction$") as refusal:  # fmt: skip
        trained(agent, registered(VECTOR, chosen), out)
    assert "\n" not in str(refusal.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("observed", "chosen"),
    [
        (spaces.Discrete(4), spaces.MultiDiscrete([3, 2])),
        (spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)),
        (spaces.MultiBinary(5), spaces.Box(-1, 1, ())),
    ],
    ids=str,
)
def test_discrete_spaces_are_saved_and_act_the_same(registered, tmp_path, observed, chosen):
    env_id = registered(observed, chosen)
    model = trained("ppo-lif", env_id, tmp_path / "run", hyperparameters=SMALL_ROLLOUT)
    again = snn_gym.load_agent(tmp_path / "run")
    seen = model.env.reset()
    np.testing.assert_array_equal(
        model.predict(seen, deterministic=True)[0], again.predict(seen, deterministic=True)[0]
    )
