"""Submissions with single changes, and fingerprints of folders."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import stat
import threading
from dataclasses import dataclass, replace
from typing import Any

import torch

from snn_gym._base.folders import checkout_root
from snn_gym._base.storage import dump_tensors, parse_tensors
from snn_gym.leaderboard import SubmissionError, verify
from snn_gym.leaderboard.evaluation import evaluation_seeds
from snn_gym.leaderboard.limited_process import VerificationSettings, rerun_here
from snn_gym.leaderboard.manifest import MANIFEST_NAME, WEIGHTS_NAME

BOARD = checkout_root() / "leaderboard"
"""The committed leaderboard."""
SETTINGS = VerificationSettings(seeds=evaluation_seeds(3))
_MAX_HASHED_BYTES = 1 << 28


def limited(wall_seconds=60.0, **limits):
    """Return settings of three episodes with other limits."""
    own = replace(SETTINGS.limits, **limits)
    return replace(SETTINGS, wall_seconds=wall_seconds, limits=own)


@dataclass(frozen=True)
class Template:
    """Honest submission as data."""

    manifest: dict[str, Any]
    weights: bytes

    def tensors(self):
        """Return a copy of the tensors."""
        return parse_tensors(self.weights, where="template")[0]

    def with_manifest(self, **changes):
        """Return the submission with other values of top-level keys."""
        return Template({**copy.deepcopy(self.manifest), **changes}, self.weights)

    def with_weights(self, weights, **changes):
        """Return the submission with another weights file and the correct hash."""
        digest = hashlib.sha256(weights).hexdigest()
        return Template(
            {**copy.deepcopy(self.manifest), "weights_sha256": digest, **changes}, weights
        )

    def with_tensors(self, change):
        """Return the submission with its tensors changed in place by a function."""
        tensors = self.tensors()
        change(tensors)
        return self.with_weights(dump_tensors(tensors))

    def unrelated(self, seed):
        """Return the submission with unrelated weights of the same sizes and the old claim."""
        generator = torch.Generator().manual_seed(seed)

        def draw(tensors):
            for name, tensor in tensors.items():
                if name.endswith((".weight", ".bias")):
                    size = tensor.square().mean().sqrt()
                    tensor.copy_(size * torch.randn(tensor.shape, generator=generator))

        return self.with_tensors(draw)

    def write(self, folder):
        """Write the two files to a new folder."""
        folder.mkdir(parents=True)
        (folder / MANIFEST_NAME).write_text(json.dumps(self.manifest))
        (folder / WEIGHTS_NAME).write_bytes(self.weights)
        return folder


def covering(rows):
    """Return few rows, or trained agents, in which every agent and every environment occurs."""
    agents, environments, chosen = set(), set(), []
    for row in rows:
        if row.agent not in agents or row.environment not in environments:
            chosen.append(row)
            agents.add(row.agent)
            environments.add(row.environment)
    return chosen


def row_file(board):
    """Return the one file of rows of a leaderboard."""
    (path,) = board.glob("results/*.jsonl")
    return path


def weights_file(board):
    """Return the one batch of weights of a leaderboard."""
    (path,) = board.glob("weights/*/*/*.safetensors")
    return path


def line_of(content):
    """Return JSON text as a line whose digest fits."""
    text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{text[:-1]},"sha256":"{digest}"}}\n'


def stored_row(board):
    """Return the content of the first row of a leaderboard, without its digest."""
    content = json.loads(row_file(board).read_text().splitlines()[0])
    del content["sha256"]
    return content


def edit_row(board, *, sealed=True, **changes):
    """Change fields of the one row of a leaderboard; its digest fits if ``sealed``."""
    path = row_file(board)
    line = line_of(stored_row(board) | changes)
    path.write_text(line if sealed else line[:-67] + path.read_text()[-67:])


def rerun_in_process(request, weights, settings):
    """Re-run in this process instead of a limited process."""
    return rerun_here(request, weights)


def fingerprint(folder):
    """Hash names, kinds, modes and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        head = f"{path.relative_to(folder)}|{status.st_mode}|{status.st_mtime_ns}|{status.st_size}|"
        digest.update(os.fsencode(head))
        # Larger ones are sparse, made to be refused for their size.
        if stat.S_ISREG(status.st_mode) and status.st_size <= _MAX_HASHED_BYTES:
            digest.update(path.read_bytes())
        elif path.is_symlink():
            digest.update(os.readlink(path).encode())
    return digest.hexdigest()


def raw_safetensors(header, data=b""):
    """Build a safetensors file from its header, without any library's checks."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def verify_at_once(folders, leaderboard):
    """Verify submissions at the same time; return "row" or the refusal's code for each, as it ends.

    Args:
        folders: Submissions.
        leaderboard: Folder that takes their rows.
    """
    outcomes = []

    def attempt(folder):
        try:
            verify(folder, leaderboard, SETTINGS)
            outcomes.append("row")
        except SubmissionError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=attempt, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
