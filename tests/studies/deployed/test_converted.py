"""What the page of converted ANNs says follows from its numbers."""

from studies.deployed.converted import PAIRS, Played, Results, report


def test_cells_are_medians_over_seeds():
    ann, direct, env_id = PAIRS[0]
    played = [
        Played(x, agent, steps, seed, 100.0 * seed, 10.0, 1.0, share)
        for agent, x in ((a, e) for one, two, e in PAIRS for a in (one, two))
        for steps in (0, 8, 16, 32)
        for seed in range(3)
        for share in ((None, seed / 2) if steps else (None,))
    ]
    page = report(Results(tuple(played)))
    earned = "100.0 (0.0 to 200.0) | 10 (10 to 10) | 1 (1 to 1) |"
    assert f"| {env_id} | {ann}, converted, T = 8 | 3 | – | {earned}" in page
    assert f"| {env_id} | {ann}, converted, T = 8 | 3 | 0, 0.5, 1 | {earned}" in page
    assert f"| {env_id} | {direct} | 3 | – | {earned}" in page
