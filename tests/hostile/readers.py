"""What reads files that others may have written, and what it may make of changed ones."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import safetensors.torch
import torch

from snn_gym._base.config import to_mapping
from snn_gym._base.storage import load_tensors
from snn_gym.leaderboard import check_board, reevaluate, retrain_rows, table_rows, verify
from snn_gym.leaderboard.batches import file_of_seed
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME, SubmissionError
from snn_gym.leaderboard.plan import read_plan, split_rows
from snn_gym.leaderboard.results import list_rows, shown_rows, sound_rows, verified_weights
from snn_gym.leaderboard.weights import hash_tensors
from snn_gym.training import train
from snn_gym.training.checkpoint import save_checkpoint
from snn_gym.zoo import load_agent, read_manifest
from snn_gym.zoo.files import dump_weights
from tests.hostile.structured import resealed, without_seal
from tests.leaderboard.helpers import SETTINGS, line_of
from tests.training._runs import Killed

if TYPE_CHECKING:
    from pathlib import Path

RUN = {"steps": 900, "checkpoint_interval": 256, "seed": 7, "dynamics": True, "tensorboard": False}
"""Four rollouts, before three of which the run is saved."""


ROWS = "results/CartPole-v1.jsonl"


@dataclass
class Reader:
    """A reader, a folder that it accepts, and what changed copies of that may give."""

    control: Path
    """Folder that is accepted; files are changed in copies of it."""
    other: Path
    """Folder with files of the same names that are somebody else's."""

    name: ClassVar[str]
    files: ClassVar[tuple[str, ...]]
    """Files that are changed, from inside the folder."""

    def read(self, work):
        """Read a copy; return what was accepted.

        Raises:
            ValueError: It is refused.
        """
        raise NotImplementedError

    def repair(self, work, path):
        """Make digests fit a changed file, as who knows how they are made can."""

    def check(self, work, accepted, repaired):
        assert repaired or accepted == self.honest

    def words(self, work):
        """Return the arguments of the command that reads a copy; None without one."""

    def __post_init__(self):
        self.honest = None


class Verify(Reader):
    """``verify`` of a submission."""

    name = "verify"
    files = (f"submission/{MANIFEST_NAME}", f"submission/{WEIGHTS_NAME}")

    def read(self, work):
        return verify(work / "submission", work / "board", SETTINGS)

    def repair(self, work, path):
        if path.name == WEIGHTS_NAME:
            manifest = work / "submission" / MANIFEST_NAME
            content = json.loads(manifest.read_text())
            content["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            manifest.write_text(json.dumps(content))

    def check(self, work, accepted, repaired):
        """A row says what the submission does, but for what the re-run gave, of its weights."""
        row = to_mapping(accepted)
        claimed = json.loads((work / "submission" / MANIFEST_NAME).read_text())
        honest = json.loads((self.control / "submission" / MANIFEST_NAME).read_text())
        for key in claimed.keys() - {"score", "packages", "weights_sha256"}:
            assert row[key] == claimed[key]
        for key in ("agent", "environment", "environment_version", "evaluator_version", "score"):
            assert row[key] == honest[key]
        stored = verified_weights(work / "board", accepted)
        honest_weights = (self.control / "submission" / WEIGHTS_NAME).read_bytes()
        one, other = map(safetensors.torch.load, (stored, honest_weights))
        assert hash_tensors(one) == hash_tensors(other)
        assert len(list_rows(work / "board")) == 1 + len(list_rows(self.control / "board"))

    def words(self, work):
        return ["verify", str(work / "submission"), "--leaderboard", str(work / "board")]


class _Board(Reader):
    """A reader of a leaderboard."""

    files = (
        ROWS,
        "weights/ppo-lif/CartPole-v1/0.safetensors",
        "weights/ppo-lif/CartPole-v1/1.safetensors",
        "README.md",
    )

    def repair(self, work, path):
        lines = (work / ROWS).read_text().splitlines()
        if path.suffix == ".safetensors":
            seed = int(path.stem)
            digest = hashlib.sha256(file_of_seed(path.read_bytes(), seed)).hexdigest()
            content = json.loads(lines[seed]) | {"weights_sha256": digest}
            del content["sha256"]
            lines[seed] = json.dumps(content)
        texts = (line.partition(',"sha256":')[0].removesuffix("}") + "}" for line in lines)
        (work / ROWS).write_text("".join(map(line_of, texts)))

    def words(self, work):
        return [*self.name.split(), "--leaderboard", str(work)]

    def lines(self, path):
        """Return the lines of a file of rows; none for what is no file of readable size."""
        readable = path.is_file() and path.stat().st_size < 1 << 24
        return {*path.read_bytes().splitlines()} if readable else set()


def one_line(problem):
    assert problem
    assert "\n" not in problem, problem
    problem.encode()  # without what no terminal takes


class Check(_Board):
    """``verify --check``: whatever it finds is a refusal."""

    name = "verify --check"

    def read(self, work):
        problems = check_board(work)
        for problem in problems:
            one_line(problem)
        if problems:
            raise SubmissionError("check", f"{len(problems)} problems")
        return [to_mapping(row) for row in list_rows(work)]


class Table(_Board):
    """``table``: no row is lost but the one that was changed."""

    name = "table"

    def read(self, work):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            rows = table_rows(work)
            others = split_rows(work, shown_rows(work))[1]
        said = [str(warning.message) for warning in caught]
        for line in said:
            one_line(line)
        return rows, said, {other.row.seed for other in others}

    def check(self, work, accepted, repaired):
        rows, said, unranked = accepted
        if not (repaired or said or rows == self.honest[0]):
            # Git alone names a line that was taken out.
            known = self.lines(self.control / ROWS) | self.lines(self.other / "CartPole-v1.jsonl")
            assert self.lines(work / ROWS) <= known
        seeds = {seed for row in rows for seed in row.seeds} | unranked
        if not repaired and self.lines(work / ROWS) == self.lines(self.control / ROWS):
            # A row in a place that is not its own is set aside by name.
            assert all(any(f"seed {x}," in line for line in said) for x in {0, 1, 2} - seeds)


class Again(_Board):
    """``verify --again``: a row that was changed is not written as if it had been verified."""

    name = "verify --again"

    def read(self, work):
        before = sound_rows(work)[1]
        results = list(self.play(work))
        for result in results:
            one_line(str(result))
        assert not before or sound_rows(work)[1], before
        return sorted((result.name, result.problem is None) for result in results)

    def play(self, work):
        return reevaluate(work, seeds=SETTINGS.seeds)

    def check(self, work, accepted, repaired):
        """Rows are written, named or left out; a table was written of those that there are."""
        if not repaired:
            assert set(accepted) <= {*self.honest, *((name, False) for name, _ in self.honest)}


class Retrain(Again):
    """``verify --retrain`` of rows."""

    name = "verify --retrain"

    def play(self, work):
        return retrain_rows(work)


class LoadAgent(Reader):
    """``load_agent``."""

    name = "load_agent"
    files = ("manifest.json", "weights.safetensors")

    def read(self, work):
        model = load_agent(work)
        tensors = safetensors.torch.load(dump_weights(model))
        stored = safetensors.torch.load_file(work / "weights.safetensors")
        assert all(torch.equal(tensors[name], tensor) for name, tensor in stored.items())
        model.env.close()
        return hash_tensors(tensors), to_mapping(read_manifest(work))

    def repair(self, work, path):
        manifest = work / "manifest.json"
        if path.suffix == ".safetensors":
            content = json.loads(manifest.read_text())
            content["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            manifest.write_text(json.dumps(content))
        manifest.write_bytes(without_seal(manifest.read_bytes()))

    def words(self, work):
        return ["evaluate", str(work), "--episodes", "1"]


class Resume(Reader):
    """``train --resume`` of a killed run, until it would go on training."""

    name = "train --resume"
    files = (
        "run.json",
        "checkpoint.safetensors",
        "checkpoint.safetensors",
        "dynamics.csv",
        "episodes.csv",
    )

    def read(self, work):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return self.resume(work)

    def resume(self, work):
        try:
            train("ppo-lif", "CartPole-v1", out=work, resume=True, **RUN)
        except Restored as restored:
            return restored.args[0]
        raise AssertionError("it trained")

    def repair(self, work, path):
        path.write_bytes(resealed(path.read_bytes()))

    def check(self, work, accepted, repaired):
        """What is restored is the checkpoint, or, without it, a fresh start."""
        fresh = not os.path.exists(work / "checkpoint.safetensors")
        assert repaired or accepted == ("fresh" if fresh else self.honest)

    def words(self, work):
        return [
            "train", "ppo-lif", "CartPole-v1", "--out", str(work), "--resume", "--steps", "900",
            "--checkpoint-interval", "256", "--seed", "7", "--dynamics",
        ]  # fmt: skip


class Restored(Killed):
    """What a run had restored when it was about to go on; nothing under test catches it."""


def stop_when_restored(monkeypatch, scratch):
    """Have training stop dead where files have been read, and say what they gave."""
    from snn_gym.training import run

    original = run.resume_checkpoint

    def resume_checkpoint(path, model, **kept):
        episodes = original(path, model, **kept)
        if episodes is None:
            raise Restored("fresh")
        save_checkpoint(scratch / "state", model, episodes, logs=kept["logs"])
        tensors, said = load_tensors(scratch / "state", max_bytes=1 << 30)
        raise Restored((hash_tensors(tensors), said["state"]))

    monkeypatch.setattr(run, "resume_checkpoint", resume_checkpoint)


class ResumeFinished(Resume):
    """``train --resume`` of a finished run, which has nothing to do but to look."""

    name = "train --resume, finished"
    files = ("run.json", "manifest.json", "weights.safetensors", "episodes.csv", "dynamics.csv")

    def resume(self, work):
        try:
            return train("ppo-lif", "CartPole-v1", out=work, resume=True, **RUN).steps
        except Restored as restored:  # its manifest was deleted: it is trained to the end again
            return restored.args[0]

    def check(self, work, accepted, repaired):
        unfinished = not os.path.exists(work / "manifest.json")
        assert repaired or accepted == ("fresh" if unfinished else self.honest)

    def repair(self, work, path):
        if path.suffix == ".json":
            path.write_bytes(resealed(path.read_bytes()))


class Plan(Reader):
    """The plan of a sweep, which has no digest: what is read is what it says."""

    name = "sweep"
    files = ("plan.toml",)

    def read(self, work):
        plan = read_plan(work / "plan.toml")
        assert len(plan.runs()) <= 1_000_000
        return to_mapping(plan)

    def check(self, work, accepted, repaired):
        said = tomllib.loads((work / "plan.toml").read_text())
        for group in said["groups"]:
            for key, default in (("steps", None), ("teacher", None)):
                group.setdefault(key, default)
        assert accepted == said
