"""Counts of instructions, where valgrind, QEMU and a compiler for a Cortex-M4F are installed."""

import shutil

import numpy as np
import pytest

from snn_gym.policies import SpikingActorCriticPolicy, StatefulActorCriticPolicy
from snn_gym.zoo import make_agent
from snn_gym_deploy import Visits, count_instructions, count_program
from tests.made import build, build_ann, observe

TOOLS = {"host": ("cc", "valgrind"), "cortex-m4": ("arm-none-eabi-gcc", "qemu-system-arm")}


def counted_on(target):
    missing = [x for x in TOOLS[target] if shutil.which(x) is None]
    return pytest.param(
        target,
        marks=pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    )


TARGETS = [counted_on(target) for target in TOOLS]
LINEAR = {"network": {"hidden_sizes": ()}}


@pytest.mark.parametrize("target", TARGETS)
def test_a_count_is_a_mean_over_decisions(target):
    program, seen = build_ann(**LINEAR).program(), observe("analogue", 50)
    once, twice = (count_program(program, [seen] * k, target) for k in (1, 2))
    assert (once.decisions, twice.decisions) == (50, 100)
    assert once.form == "fixed point in straight lines"
    # Ticks of QEMU's timer are 1.25 instructions.
    assert once.per_decision == pytest.approx(twice.per_decision, abs=0.1)
    # Three inputs: a subtraction, a division and two comparisons each, and two differences of rows.
    assert 3 * 4 + 2 * 3 < once.per_decision < 200


@pytest.mark.parametrize("target", TARGETS)
def test_straight_lines_take_fewer_instructions_than_loops_and_float(target):
    policy, seen = build(SpikingActorCriticPolicy), observe("analogue", 20)
    visits = Visits((), (1.0, 1.0))
    straight = count_program(policy.program(), [seen], target, visits=visits)
    plain = count_program(policy.program(), [seen], target)
    assert (straight.form, plain.form) == ("fixed point in straight lines", "float")
    assert straight.per_decision < plain.per_decision
    assert straight.compiler == plain.compiler
    assert straight.compiler.startswith(f"{TOOLS[target][0]} -std=c99 -O2")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("units", "form"), [(4, "fixed point in straight lines"), (80, "fixed point")]
)
def test_silent_inputs_of_an_ann_take_no_products(units, form, target):
    """C of spiking agents passes over silent inputs, so that of their rivals has to."""
    policy = build_ann(
        "spikes", kind=StatefulActorCriticPolicy, gated="rnn", network={"hidden_sizes": (units,)}
    )
    silent, full = (
        count_program(policy.program(), [np.full((20, 5, 6), x, np.float32)], target,
                      visits=Visits((), (1.0,)))
        for x in (0.0, 1.0)
    )  # fmt: skip
    assert silent.form == full.form == form
    # About one addition for each of the 5 * 6 inputs to each unit; skipped branches save some.
    assert full.per_decision - silent.per_decision > 5 * 6 * units / 2


@pytest.mark.parametrize("target", TARGETS)
def test_an_agent_is_counted_in_its_own_episodes(target):
    model = make_agent("ppo-linear", "CartPole-v1")
    visits = Visits((), (), inputs=(1.0, 1.0, 1.0, 1.0))
    counted = count_instructions(model, "CartPole-v1", target, decisions=40, visits=visits)
    assert (counted.target, counted.decisions) == (target, 40)
    assert 4 * 4 < counted.per_decision < 250


@pytest.mark.parametrize(("target", "message"), [
    ("host", "cc is not installed, and counting .* on host needs it; .* apt-get install gcc$"),
    ("cortex-m4", "arm-none-eabi-gcc is not installed, .* apt-get install gcc-arm-none-eabi"),
    ("z80", "target 'z80' is unknown; known: host, cortex-m4"),
])  # fmt: skip
def test_a_missing_tool_is_named_with_its_package(target, message, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match=message):
        count_program(build_ann(**LINEAR).program(), [np.zeros((1, 3), np.float32)], target)
