"""Tests of the front's configurations and of their training."""

import numpy as np
import pytest
import torch

from snn_gym.leaderboard import evaluate
from snn_gym.zoo import load_agent_spec, make_agent
from studies.lean import runner
from studies.lean.front import (
    EVENTS,
    FRONT_TASKS,
    GRU,
    RELU,
    TANH,
    Configuration,
    configurations,
    labels,
    make_ann,
    planned,
    run_configuration,
)
from studies.lean.outcome import outcome_path, write_outcome
from studies.lean.plan import ARMS, TASKS
from studies.lean.zeros import ZeroCounting
from tests.studies.lean.made import ShortTask, made_outcome

_CARTPOLE = ShortTask("CartPole-v1")


def test_a_task_has_every_size_with_every_number_of_time_steps_and_its_anns():
    names = [x.name for x in configurations("CartPole-v1")]
    widths = ("64-64", "32-32", "16-16", "8-8")
    assert sorted(names) == sorted(
        [f"{width}-{kind}" for width in widths for kind in ("T8", "T4", "T2", "tanh", "relu")]
        + ["4-4-tanh", "4-4-relu"]
    )
    assert names[:3] == ["64-64-T4", "16-16-T8", "16-16-T4"]


def test_event_tracking_keeps_the_time_steps_of_its_observations_and_has_gated_anns():
    names = [x.name for x in configurations(EVENTS)]
    assert [x for x in names if "-T" in x] == ["64-64-T4", "16-16-T4", "32-32-T4", "8-8-T4"]
    assert "4-4-gru" in names
    model = make_agent(FRONT_TASKS[EVENTS].agent, EVENTS)
    assert model.observation_space.shape == (4, 512)
    # An agent without memory gets the settings of the one with memory.
    dense = make_ann(FRONT_TASKS[EVENTS], Configuration(8, None, TANH), 0)
    gated = make_ann(FRONT_TASKS[EVENTS], Configuration(8, None, GRU), 0)
    shared = ("n_envs", "n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "ent_coef")
    assert [getattr(dense, x) for x in shared] == [getattr(gated, x) for x in shared]


def test_arms_of_the_study_are_reused_for_the_agents_network():
    for task in (TASKS["CartPole-v1"], TASKS["Acrobot-v1"]):
        assert labels(task, Configuration(64, 8)) == {"off": "off", "lean": "lean"}
        assert labels(task, Configuration(64, None, TANH)) == {"ann": "twin"}
        assert labels(task, Configuration(64, None, RELU)) == {"ann": "front-64-64-relu"}
        assert labels(task, Configuration(16, 8))["lean"] == "front-16-16-T8-lean"
    own = load_agent_spec("ppo-lif").network_settings("CartPole-v1")
    assert (own["hidden_sizes"], own["time_steps"]) == ([64, 64], 8)


def test_the_first_configurations_of_all_tasks_come_first_and_unknown_ones_are_refused():
    order = [(task.env_id, x.name) for task, x in planned(list(FRONT_TASKS.values()))]
    assert [name for _, name in order[: len(FRONT_TASKS)]] == ["64-64-T4"] * len(FRONT_TASKS)
    assert len(set(order)) == len(order) == 4 * 22 + 19
    only = planned([FRONT_TASKS[EVENTS]], ["8-8-T4", "4-4-gru"])
    assert [x.name for _, x in only] == ["4-4-gru", "8-8-T4"]
    with pytest.raises(ValueError, match="configuration '8-8-T3' is unknown; known: 64-64-T4"):
        planned([FRONT_TASKS["CartPole-v1"]], ["8-8-T3"])


def test_finished_arms_are_not_trained_again(tmp_path):
    for arm in ("off", "lean", "twin", "front-8-8-relu"):
        write_outcome(tmp_path, made_outcome(arm, 100, 500.0))
    for configuration in (Configuration(64, 8), Configuration(64), Configuration(8, None, RELU)):
        run_configuration(_CARTPOLE, configuration, 100, tmp_path, tmp_path / "s", _refuse)


def _refuse(outcome):
    raise AssertionError(f"{outcome.arm} was trained")


@pytest.fixture
def _few_updates(monkeypatch):
    monkeypatch.setattr(runner, "CHECKPOINT_INTERVAL", 512)
    arms = {**ARMS, "lean": {"updates": 20}}
    monkeypatch.setattr(runner, "settings_of", lambda arm, *_: arms[arm])


@pytest.mark.usefixtures("_few_updates")
def test_lean_branches_from_the_same_small_network_that_goes_on_as_off(tmp_path):
    seen = []
    arguments = (_CARTPOLE, Configuration(8, 2), 1000, tmp_path / "r", tmp_path / "s", seen.append)
    run_configuration(*arguments)
    assert [x.arm for x in seen] == ["front-8-8-T2-off", "front-8-8-T2-lean"]
    off, shed = seen
    for outcome in seen:
        assert outcome.network == {"hidden_sizes": [8, 8], "time_steps": 2}
        assert outcome.neuron_updates == 2 * 16
        assert outcome_path(tmp_path / "r", "CartPole-v1", outcome.arm, 1000).exists()
    assert (off.branched_at, off.steps) == (0, 2048)
    assert shed.begun_at is not None
    assert 0 < shed.branched_at <= shed.begun_at * 2048
    model = make_agent("ppo-lif", "CartPole-v1", 1000, network=off.network)
    runner.learn_arm(model, _CARTPOLE, 1000, tmp_path / "again")
    assert evaluate(model, "CartPole-v1").returns == off.returns
    # Nothing is left to train, and no checkpoint lies about.
    run_configuration(*arguments)
    assert len(seen) == 2
    assert not list((tmp_path / "s").rglob("*.safetensors"))


@pytest.mark.usefixtures("_few_updates")
def test_an_ann_is_trained_once_and_its_zeros_are_left_out(tmp_path):
    seen = []
    for _ in range(2):
        run_configuration(
            _CARTPOLE, Configuration(4, None, RELU), 1000, tmp_path / "r", tmp_path / "s",
            seen.append,
        )  # fmt: skip
    (outcome,) = seen
    assert (outcome.arm, outcome.agent) == ("front-4-4-relu", "ppo-mlp")
    assert outcome.zero_share is not None
    assert 0 < outcome.zero_share < 1
    # 4 inputs of any value; of 4 * 4 + 4 * 2 products with activations some have zeros.
    assert 16 < outcome.macs < 16 + 16 + 8


def test_the_tanh_ann_is_the_twin_with_other_sizes():
    made = make_ann(_CARTPOLE, Configuration(4, None, TANH), 3)
    twin = make_agent("ppo-mlp", "CartPole-v1", 3, network={"hidden_sizes": [4, 4]})
    for one, two in zip(made.policy.parameters(), twin.policy.parameters(), strict=True):
        assert torch.equal(one, two)
    assert np.array_equal(made.env.reset(), twin.env.reset())


def test_products_with_zeros_are_counted_by_hand():
    own = make_ann(_CARTPOLE, Configuration(4, None, RELU), 0).policy
    first, _, second, _ = own.mlp_extractor.actor
    with torch.no_grad():
        for linear, biases in ((first, [1.0, 1.0, 1.0, -1.0]), (second, [1.0, -1.0, -1.0, -1.0])):
            linear.weight.fill_(1e-9)
            linear.bias.copy_(torch.tensor(biases))
    policy = ZeroCounting(own)
    with pytest.raises(ValueError, match="evaluate the policy first"):
        _ = policy.zero_share
    observations = np.full((5, 4), 0.1, np.float32)
    # Of 4 units 3 drive the second layer's 4, of which 1 drives the 2 outputs.
    macs = policy.record(observations).macs_per_decision()
    assert macs == {"dense_1": 16.0, "dense_2": 12.0, "readout": 2.0}
    assert policy.zero_share == 0.5
    assert own.record(observations).macs_per_decision() == macs
