"""Answers of the report on made-up runs: the claim that holds, and the one that fails."""

import re

import pytest

from studies.dynamics.plan import ablation_arms
from studies.dynamics.report import ablation, equal, missed, seen, size, transfer, watching
from studies.dynamics.report.document import read_study
from studies.dynamics.settings import (
    BEST_PRESET,
    HIDDEN_NEURONS,
    NULLS,
    PAPER_PRESET,
    SIZE_HIDDEN_NEURONS,
    SYNAPSE_AGENTS,
)
from tests.studies.dynamics.runs import write_runs

CARTPOLE, TEACHER = "CartPole-v1", "Teacher"
FAST = [10 + seed for seed in range(10)]
SLOW = [1000 + seed for seed in range(10)]


def solve(folder, part, labels, episodes):
    write_runs(folder, part, labels, [480.0] * len(episodes), episodes)


def corrected(text):
    """Return a section without the raw p-values, which stand in brackets."""
    return re.sub(r" \((?:< )?[\d.]+ of \d+\)", "", text)


@pytest.mark.parametrize(("paper", "rest", "claim"), [
    (FAST, SLOW, "needs 14 episodes in the median: fewer than every other mask."),
    (FAST, FAST, "It is significantly better than no other learner."),
    ([None] * 10, FAST, "needs > budget episodes in the median: more than `"),
])  # fmt: skip
def test_the_papers_mask(tmp_path, paper, rest, claim):
    solve(tmp_path, "presets", (CARTPOLE, PAPER_PRESET), paper)
    for name in seen.PLAIN_PRESETS:
        if name != PAPER_PRESET:
            solve(tmp_path, "presets", (CARTPOLE, name), rest)
    study = read_study(tmp_path)
    assert claim in seen.sentence(study, seen.judged(study))


def test_a_mask_differs_significantly_from_some_only(tmp_path):
    solve(tmp_path, "presets", (CARTPOLE, PAPER_PRESET), FAST)
    solve(tmp_path, "presets", (CARTPOLE, "history"), FAST)
    solve(tmp_path, "presets", (CARTPOLE, "es"), SLOW)
    study = read_study(tmp_path)
    found = seen.judged(study)
    # Two comparisons: the most extreme of 184,756 splits at either end, times two.
    assert found["es"].p == pytest.approx(2 * 2 / 184_756)
    assert "It is significantly better than only `es`." in seen.sentence(study, found)


def test_a_row_counts_failures_and_every_null_has_one(tmp_path):
    labels = (CARTPOLE, "history")
    write_runs(tmp_path, "presets", labels, [480.0, None, 480.0, 20.0], [1234, None, 7, None])
    text = seen.section(read_study(tmp_path))
    assert "| `history` | 2 of 3 | 1,234 (7 to > budget) | 12,340 | – | – |" in text
    for name in NULLS:
        assert f"| `{name}` | – | – | – | – | – |" in text


def test_dynamics_with_a_teacher_and_without(tmp_path):
    for name in ("history", "weight"):
        write_runs(tmp_path, "presets", (TEACHER, name), [-0.2, -0.3, -0.4])
        write_runs(tmp_path, "presets", (TEACHER, f"{name}+dynamics"), [-0.01, -0.02, -0.03])
        solve(tmp_path, "presets", (CARTPOLE, name), FAST)
        solve(tmp_path, "presets", (CARTPOLE, f"{name}+dynamics"), FAST)
    found = watching.judged(read_study(tmp_path))
    # Six comparisons; all masks together: 2 of 20 * 20; each alone: 2 of 20, five left.
    assert found[TEACHER, watching.POOLED].p == pytest.approx(6 * 2 / 400)
    assert found[TEACHER, "history"].p == pytest.approx(5 * 2 / 20)
    assert watching.sentence(found) == (
        "With a teacher the setting with dynamics is better (better in 100 % of pairs of runs, "
        "p = 0.030). Without one the difference is not significant (better in 50 % of pairs of "
        "runs, p = 1.00)."
    )
    text = watching.section(read_study(tmp_path))
    assert "| `weight` | 14 (10) | 14 (10) | 50 % | 1.00 | 0.3000 (3) | 0.0200 (3) |" in corrected(
        text
    )
    assert "**No pair here is equal**" in text


def test_dynamics_that_harm(tmp_path):
    solve(tmp_path, "presets", (CARTPOLE, "weight"), FAST)
    solve(tmp_path, "presets", (CARTPOLE, "weight+dynamics"), SLOW)
    assert watching.sentence(watching.judged(read_study(tmp_path))) == (
        "With a teacher runs are missing. Without one the setting with dynamics is worse "
        "(better in 0 % of pairs of runs, p < 0.001)."
    )


@pytest.mark.parametrize(("on", "off", "shuffled", "claim"), [
    (FAST, SLOW, SLOW, "the dynamics help, and it matters whose they are"),
    (FAST, SLOW, FAST, "the dynamics have no significant effect"),
    (SLOW, FAST, SLOW, "the dynamics do harm"),
])  # fmt: skip
def test_dynamics_on_and_off(tmp_path, on, off, shuffled, claim):
    for arm, episodes in (("dynamics", on), ("off", off), ("shuffled", shuffled)):
        solve(tmp_path, "ablation", (CARTPOLE, arm), episodes * 3)
    study = read_study(tmp_path)
    said = ablation.sentence(ablation.judged(study))
    assert said.startswith(f"On CartPole-v1 {claim}. Runs with dynamics are better than `off` in")
    assert "teacher" not in said
    text = ablation.section(study)
    assert "Planned and not run: CartPole-v1/features, Teacher/dynamics" in text
    assert "| `shuffled` | local | 0.5 | 30 of 30 |" in text
    assert "| `features` | global | 0.5 | – | – | – | – | – | – | – |" in text
    for name in NULLS:
        assert f"| `{name}` | – | – |" in text


def test_ablation_of_reward_and_observation_with_a_teacher(tmp_path):
    losses = [0.1 + 0.001 * seed for seed in range(10)]
    for arm, factor in (("dynamics", 1), ("off", 3), ("features", 5), ("shuffled", 7)):
        found = [-factor * x for x in losses]
        write_runs(tmp_path, "ablation", (TEACHER, arm), found)
    study = read_study(tmp_path)
    # Four comparisons, all as far apart as ten and ten runs can be: 4 * 2 / 184,756.
    assert ablation.sentence(ablation.judged(study)) == (
        "With a teacher the dynamics help, and it matters whose they are. Runs with dynamics are "
        "better than `off` in 100 % of pairs of runs, p < 0.001 and than `shuffled` in 100 % of "
        "pairs of runs, p < 0.001. Runs of `features` are better than `off` in 0 % of pairs of "
        "runs, p < 0.001."
    )
    row = "| `off` | global | 0.5 | – | – | – | – | 0.3135 (0.3000 to 0.3270) | 100 % | < 0.001 |"
    assert row in corrected(ablation.section(study))


def test_the_arms_of_both_tasks_have_one_line_of_the_table():
    tasks = [ablation_arms(SYNAPSE_AGENTS[task][BEST_PRESET]) for task in (CARTPOLE, TEACHER)]
    control, teacher = (
        {arm: (x.reward, x.exploration) for arm, x in arms.items()} for arms in tasks
    )
    assert control == teacher


def test_exploration_alone(tmp_path):
    solve(tmp_path, "ablation", (CARTPOLE, "off"), SLOW)
    solve(tmp_path, "presets", (CARTPOLE, PAPER_PRESET), FAST)
    text = ablation.section(read_study(tmp_path))
    less = f"`{PAPER_PRESET}` is `off` with less exploration; it needs fewer episodes than `off`"
    assert f"{less} in 100 % of pairs of runs, p < 0.001." in text
    assert "**Not known: runs are missing.**" in text


def test_sizes(tmp_path):
    for place, count in enumerate(SIZE_HIDDEN_NEURONS):
        grown = [(place + 1) * 10 + seed for seed in range(5)]
        solve(tmp_path, "size", (BEST_PRESET, str(count)), grown)
        solve(tmp_path, "size", ("es", str(count)), [1] * 5)
    for count in HIDDEN_NEURONS:
        write_runs(tmp_path, "hidden", (str(count),), [count + 0.1 * seed for seed in range(5)])
    study = read_study(tmp_path)
    found, against = size.trends(study), size.judged(study)
    # Three trends; of 40 or 30 runs none of the drawn orders is as strong.
    assert found[BEST_PRESET][1] == pytest.approx(3 / 20_000)
    assert found[size.DQSN][1] == pytest.approx(3 / 20_000)
    assert found["es"] == (0.0, 1.0)
    assert against["es"].share == 0.0
    assert size.sentence(found, against) == (
        f"With more synapses `{BEST_PRESET}` needs more episodes. Over all sizes it needs more "
        "than `es`. No trend is significant for `es`. The return of `dqsn` rises with its hidden "
        "neurons, as in the founding paper."
    )
    text = size.section(study)
    assert f"| `{BEST_PRESET}` | 12 | 22 | 32 | 42 | 52 | 62 | 72 | 82 |" in text
    assert "| `es` | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 1 | 0.00 | 1.00 | 0 % | < 0.001 |" in corrected(
        text
    )
    assert re.search(r"0 % \| < 0\.001 \(< 0\.001 of \d+\) \|", text)
    assert "| 8 | 8 |\n| 16 | 16 |" in text


def test_a_return_that_falls_is_no_claim_of_the_papers(tmp_path):
    for count in HIDDEN_NEURONS:
        write_runs(tmp_path, "hidden", (str(count),), [-count + 0.1 * seed for seed in range(5)])
    found = size.trends(read_study(tmp_path))
    assert size.sentence(found, {}) == "The return of `dqsn` falls with its hidden neurons."


def test_transfer(tmp_path):
    values = [-0.1 - 0.001 * seed for seed in range(10)]
    write_runs(tmp_path, "transfer", ("same", BEST_PRESET, "pretrained"), values)
    write_runs(tmp_path, "transfer", ("same", BEST_PRESET, "scratch"), [2 * x for x in values])
    solve(tmp_path, "transfer", (CARTPOLE, PAPER_PRESET, "pretrained"), SLOW)
    solve(tmp_path, "transfer", (CARTPOLE, "accept-reject"), FAST)
    study = read_study(tmp_path)
    groups = study["transfer"]
    assert transfer.sentence(groups, transfer.judged(groups)) == (
        f"The learned rule of `{BEST_PRESET}` is better than `scratch` (Teacher). "
        f"The learned rule of `{PAPER_PRESET}` is worse than `accept-reject` ({CARTPOLE})."
    )
    text = transfer.section(study)
    row = f"| `{PAPER_PRESET}, pretrained` | – | – | – | 1,004 (1,000 to 1,009) | – |"
    assert row in text
    assert "| `random-search`, `win-stay`, `es` and `cma-es`: not run |" in text


@pytest.mark.parametrize(("runs", "said"), [
    (1, "Not known: there is one run of each, too few for any test."),
    (3, "Not known: there are 3 runs of each, too few for any test."),
    (4, f"The learned rule of `{BEST_PRESET}` is better than `scratch` (CartPole-v1)."),
])  # fmt: skip
def test_few_runs_of_transfer_are_no_evidence(tmp_path, runs, said):
    solve(tmp_path, "transfer", (CARTPOLE, BEST_PRESET, "pretrained"), FAST[:runs])
    solve(tmp_path, "transfer", (CARTPOLE, BEST_PRESET, "scratch"), SLOW[:runs])
    groups = read_study(tmp_path)["transfer"]
    assert transfer.sentence(groups, transfer.judged(groups)).startswith(said)


def test_rules_that_are_alike(tmp_path):
    solve(tmp_path, "transfer", (CARTPOLE, BEST_PRESET, "pretrained"), FAST)
    solve(tmp_path, "transfer", (CARTPOLE, BEST_PRESET, "scratch"), FAST)
    groups = read_study(tmp_path)["transfer"]
    said = transfer.sentence(groups, transfer.judged(groups))
    assert said == "None of 1 comparisons of a learned rule is significant."


@pytest.mark.parametrize(("null", "verdict"), [(SLOW, "met"), ([9] * 10, "missed")])
def test_the_target(tmp_path, null, verdict):
    solve(tmp_path, "presets", (CARTPOLE, BEST_PRESET), FAST)
    solve(tmp_path, "presets", (CARTPOLE, PAPER_PRESET), FAST)
    solve(tmp_path, "ablation", (CARTPOLE, "dynamics"), FAST * 3)
    assert missed.paragraphs(read_study(tmp_path)) == ["Runs are missing."]
    solve(tmp_path, "presets", (CARTPOLE, "accept-reject"), null)
    said, other, tried = missed.paragraphs(read_study(tmp_path))
    assert f"It needs 14 in the median against {null[4] if null[0] < 10 else '1,004'}" in said
    assert f": **{verdict}** (fewer in" in said
    second = f"that `{PAPER_PRESET}` solve it on at least 9 of 10 seeds, is met: 10 of 10."
    assert second in other
    assert "Tried on tuning seeds" in tried


@pytest.mark.parametrize(("solved", "said"), [(9, "met: 9 of 10."), (8, "missed: 8 of 10.")])
def test_the_second_target(tmp_path, solved, said):
    for name in (BEST_PRESET, "accept-reject"):
        solve(tmp_path, "presets", (CARTPOLE, name), FAST)
    solve(tmp_path, "ablation", (CARTPOLE, "dynamics"), FAST)
    paper = [*FAST[:solved], *[None] * (10 - solved)]
    solve(tmp_path, "presets", (CARTPOLE, PAPER_PRESET), paper)
    assert f"at least 9 of 10 seeds, is {said}" in missed.paragraphs(read_study(tmp_path))[1]


def test_pairs_are_equal_where_only_the_dynamics_differ():
    differ = list(equal.pairs().values())
    assert differ == [[], ["exploration", "reward"], ["reward"], [], [], ["exploration"]]
