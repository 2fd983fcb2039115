"""What the study of exported agents says follows from its numbers; its programs act."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from snn_gym import load_pretrained
from snn_gym.envs.registry import load_environment_spec
from snn_gym_deploy import to_c
from snn_gym_deploy.chips import Demand
from studies.deployed.faults import AGENTS, CARRY_STATE, FORMS, SEEDS, TUNED, Played, fault_page
from studies.deployed.hardware import Activity, Measured, Room, chip_page
from studies.deployed.program import Player, seconds_per_decision
from studies.deployed.programs import Deployed, program_page


def test_cells_are_medians_with_the_smallest_and_the_largest():
    bytes_and_times = [(10, 3e-7), (30, 1e-7), (20, 2e-7)]
    found = tuple(
        Deployed("a", "float", seed, (2, 3), size, 500.0, 499.5, seconds, {"machine": "x"})
        for seed, (size, seconds) in enumerate(bytes_and_times)
    )
    line = (
        "| a | float | 3 | 5 (5 to 5) | 20 (10 to 30) | 500.0 (500.0 to 500.0) | "
        "499.5 (499.5 to 499.5) | 0.20 (0.10 to 0.30) |\n"
    )
    assert line in program_page(found)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler, cc, is installed")
def test_a_program_acts_as_the_agent_and_takes_time(tmp_path):
    model = load_pretrained("ppo-lif", "CartPole-v1")
    files = to_c(model, tmp_path)
    observations = np.random.default_rng(0).uniform(-0.2, 0.2, (20, 4)).astype(np.float32)
    with Player(files) as player:
        actions, _ = player.predict(observations)
    assert actions.tolist() == model.predict(observations, deterministic=True)[0].tolist()
    assert 0.0 < seconds_per_decision(files, observations) < 1.0


def test_retention_is_counted_from_random_play():
    played = []
    for agent, env_id in AGENTS:
        low = load_environment_spec(env_id).reference.random
        for form in (*FORMS, *TUNED):
            left = 400.0 if form == "none" else 100.0
            if form in FORMS or agent not in CARRY_STATE:
                played += [Played(agent, env_id, form, seed, low + left) for seed in SEEDS]
    lines = fault_page(played).splitlines()
    (four,) = [x for x in lines if x.startswith("| sac-lif | Pendulum-v1 | weights of 4 bits |")]
    assert four.endswith("| 0.25 |")
    assert "weights of 4 bits, fine-tuned | 5 |" in lines[lines.index(four) + 1]
    kept = "| weights of 2 bits | {} | 0.25 (0.25 to 0.25) | 0.25 (0.25 to 0.25) |"
    assert f"| trained as usual {kept.format(25)}" in lines
    assert f"| lean {kept.format(20)}" in lines


def test_a_line_names_the_fitting_chips_and_the_agents_rank():
    demand = Demand(4, 2, 128, 3, 64, 64, 64, 4480, 5000)
    did = Activity(9, 4.5, 0.035, 0.1)
    one = Measured("a", "E-v0", "stored", 3, 8, demand, did, (0.5, 9.0), None)
    left = replace(demand, neurons=10)
    bare = Measured("a", "E-v0", "stored, without silent", 3, 8, left, did, (0.5, 9.0), (1.0, 2.0))
    page = chip_page([Room((one, bare))])
    room = "| a | E-v0 | {} | 3 | 128 | 4,480 | 64 | 64 | 5,000 | fits | fits | fan in 64 of 63 |"
    assert room.format("stored") in page
    assert room.format("stored, without silent").replace("| 128 |", "| 10 |") in page
    # 1,024 updates at 52 to 81 pJ are 53.2 to 82.9 nJ, 80 of them 4.16 to 6.48.
    spent = "| 4.50 | 9 | 3.5% | 8 | 0.100 | {} | inside | inside |"
    assert page.count(spent.format("53.75 to 91.9 | –")) == 1
    assert page.count(spent.format("4.66 to 15.5 | 1.00 to 2.0")) == 1
