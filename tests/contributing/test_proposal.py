"""Somebody else's result, from CONTRIBUTING's commands to the row, in a scratch repository.

The commands, the workflow's and the maintainer's run as they are printed; only training is cut to a
few steps, and `make` takes the virtual environment that is there.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snn_gym._base.folders import checkout_root
from snn_gym._base.storage import dump_tensors, load_tensors
from snn_gym.leaderboard.results import list_rows

yaml = pytest.importorskip("yaml", reason="PyYAML comes with pre-commit")

ROOT, EXAMPLE = checkout_root(), Path("tests/contributing/agent")
FOLDERS = ("snn_gym", "agents", "envs", "leaderboard", "docs", "studies", ".ci", ".github", EXAMPLE)
FILES = ("pyproject.toml", "Makefile", "README.md", ".gitignore")
PROPOSE, VERIFY = re.findall(
    r"```bash\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL
)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "submission.yml").read_text())
STEPS = WORKFLOW["jobs"]["verify"]["steps"]


def shell(script, repository):
    """Run a script as a person in the activated environment, or a workflow, does."""
    tools = Path(sys.executable).parent
    script = script.replace("--seed 7", "--seed 7 --steps 256")
    # The tools are installed already, and not beneath the scratch repository.
    made = f"make --assume-old=.venv/.installed BIN={tools} INSTALL=true "
    script = script.replace("make ", made)
    names = {
        f"GIT_{role}_{what}": "a@b"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environment = {
        **names,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(repository.parent),
        "PYTHONPATH": str(repository),
        "NUMBA_CACHE_DIR": str(repository.parent / "numba"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=repository, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def done(script, repository):
    result = shell(script, repository)
    assert result.returncode == 0, f"{script}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def run_workflow(repository):
    """Run what the workflow does of itself, and return the first step that fails and its output."""
    for step in STEPS:
        if "run" in step and "sudo" not in step["run"]:
            result = shell(step["run"], repository)
            if result.returncode != 0:
                return step["name"], result.stdout + result.stderr
    return None, result.stdout


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """A scratch repository with what the checkout has."""
    folder = tmp_path_factory.mktemp("proposal") / "repository"
    ignored = shutil.ignore_patterns("__pycache__", "*.nb?")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in FILES:
        shutil.copy2(ROOT / name, folder)
    done("git init -q -b main && git add . && git commit -qm start", folder)
    return folder


@pytest.fixture(scope="module")
def proposed(upstream):
    """The same with a proposal, merged as a pull request's checkout is."""
    done(PROPOSE, upstream)
    done("git switch -q main && git merge -q --no-ff -m merge wide", upstream)
    return upstream


@pytest.mark.slow
def test_an_honest_proposal_becomes_a_row(proposed):
    failed, said = run_workflow(proposed)
    assert failed is None, said
    assert "verified: ppo-lif-wide on CartPole-v1 with seed 7" in said
    # Of too few steps, it stands under other recipes.
    assert "| ppo-lif-wide | 7 |" in said
    assert "256 steps, expected 100,000" in said
    (row,) = [x for x in list_rows(proposed / "runs/proposed") if x.agent == "ppo-lif-wide"]
    assert (row.seed, row.trained_again.same) == (7, "weights")
    assert done("git status --porcelain", proposed) == ""  # no row stays

    done(f"git switch -q wide\n{VERIFY}", proposed)
    (kept,) = [x for x in list_rows(proposed / "leaderboard") if x.agent == "ppo-lif-wide"]
    assert (kept.score, kept.trained_again.same) == (row.score, "weights")
    assert done("git status --porcelain && git ls-files submissions", proposed) == ""
    done("snn-gym verify --check", proposed)
    done("git switch -q main", proposed)


@pytest.mark.slow
def test_edited_weights_and_a_changed_verifier_are_refused(proposed):
    weights = proposed / "submissions/wide/weights.safetensors"
    tensors, _ = load_tensors(weights, max_bytes=1 << 20)
    for name, tensor in tensors.items():
        if name.endswith(".weight"):
            tensor.neg_()
    weights.write_bytes(dump_tensors(tensors))
    failed, said = run_workflow(proposed)
    assert (failed, "[weights-sha256]" in said) == ("Verify", True), said

    manifest = weights.with_name("manifest.json")
    claim = json.loads(manifest.read_text())
    claim["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(claim))
    failed, said = run_workflow(proposed)
    assert (failed, "[score-mismatch]" in said) == ("Verify", True), said
    done("git checkout -q .", proposed)

    done("git switch -qc rewritten main && echo >> snn_gym/leaderboard/verification.py", proposed)
    done("git commit -qam rewritten && git switch -q main", proposed)
    done("git switch -qc merged && git merge -q --no-ff -m merge rewritten", proposed)
    failed, said = run_workflow(proposed)
    assert failed == "Only new files, under submissions/ and agents/"
    assert "verification.py" in said
    done("git switch -q main", proposed)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_only_reads_and_pins_its_actions_by_hash(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets" not in path.read_text().replace("without secrets", "")
    assert "pull_request_target" not in workflow[True]  # YAML 1.1 reads "on" as true
    makefile = (ROOT / "Makefile").read_text()
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] > 0
        for step in job["steps"]:
            assert ("uses" in step) is not ("run" in step)
            assert re.fullmatch(
                r"actions/[a-z-]+@[0-9a-f]{40}", step.get("uses", f"actions/x@{0:040}")
            )
            for target in re.findall(r"^make ([a-z-]+)", step.get("run", ""), re.MULTILINE):
                assert f"\n{target}: " in makefile
