"""The page of faults follows from its numbers."""

from snn_gym.envs.registry import load_environment_spec
from studies.faults.page import AGENTS, CARRY_STATE, FORMS, SEEDS, TUNED, Played, fault_page


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
