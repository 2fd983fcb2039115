"""Tests of StatefulPPO with e-prop: gradients and error messages."""

from dataclasses import replace

import pytest
import torch

from snn_gym import load_agent, save_agent
from snn_gym.learners import StatefulPPO
from snn_gym.spiking.bookkeeping import full_state
from tests.learners.test_stateful_ppo import model, play, rolled_out


def gradients(made, batch, sequences):
    """Gradients of a minibatch's log-probabilities and values, by parameter."""
    made.policy.zero_grad()
    values, log_prob, _ = made.policy.evaluate_actions(sequences, batch.actions.long().flatten())
    (log_prob.sum() + values.square().sum()).backward()
    return values, {name: x.grad.clone() for name, x in made.policy.named_parameters()}


@pytest.mark.parametrize("spiking_critic", [False, True])
def test_eprop_only_stops_gradients_at_recurrent_spikes(spiking_critic):
    made = rolled_out(model(credit="eprop", others={"spiking_critic": spiking_critic}))
    made.policy.set_training_mode(True)
    batch = next(iter(made.rollout_buffer.get(made.batch_size)))
    assert not batch.observations.recurrent_gradient
    values, local = gradients(made, batch, batch.observations)
    through_time = replace(batch.observations, recurrent_gradient=True)
    same_values, full = gradients(made, batch, through_time)
    assert torch.equal(values, same_values)
    changed = {name for name in local if not torch.allclose(local[name], full[name], rtol=1e-3)}
    networks = ("actor", "critic") if spiking_critic else ("actor",)
    assert changed == {
        f"mlp_extractor.{network}.layers.0.{name}"
        for network in networks
        for name in ("linear.weight", "linear.bias", "recurrent.weight")
    }


@pytest.mark.parametrize(
    "arguments", [{"credit": "eprop"}, {"burn_in_steps": 5, "sequence_length": 10}]
)
def test_training_twice_and_loading_from_a_file_give_the_same_weights(arguments, tmp_path):
    states = []
    for k in range(2):
        made = model(n_epochs=2, **arguments)
        made.learn(160)
        made.save(tmp_path / f"{k}.zip")
        states.append(full_state(made.policy))
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    save_agent(made, tmp_path / "agent")
    env = made.get_env()
    for other in (StatefulPPO.load(tmp_path / "1.zip", env=env), load_agent(tmp_path / "agent")):
        assert other.credit == made.credit
        assert other.rollout_buffer.recurrent_gradient == (made.credit == "bptt")
        again = full_state(other.policy)
        assert again.keys() == states[1].keys()
        assert all(torch.equal(again[name], states[1][name]) for name in again)
        for one, same in zip(play(made, env), play(other, env), strict=True):
            assert (one == same).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"credit": "rtrl"}, "credit must be one of 'bptt', 'eprop', got 'rtrl'"),
        ({"kind": "gru", "credit": "eprop"}, "credit='eprop' is about recurrent spikes"),
        ({"kind": "delta", "credit": "eprop"}, "credit='eprop' is about recurrent spikes"),
    ],
)
def test_invalid_credit_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        model(**arguments)
