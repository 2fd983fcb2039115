"""Hidden evaluation seeds, which nobody could train on.

Seed k of a submission follows from HMAC-SHA256 (RFC 2104, https://www.rfc-editor.org/rfc/rfc2104)
of its digest and k, under the maintainer's secret salt. Another byte in the submission gives other
seeds.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from pathlib import Path

from snn_gym._base.storage import StorageError, read_regular_file
from snn_gym.leaderboard.manifest import HiddenScore, Manifest, utc_now
from snn_gym.leaderboard.results import Row
from snn_gym.leaderboard.statistics import higher_mean_p
from snn_gym.leaderboard.worker import Request, Rerun

FEWEST_SALT_BYTES = 32
"""As many as the hash has, as RFC 2104 asks of a key."""

FIRST_HIDDEN_SEED = 1 << 30
"""Least hidden seed; all lie within 2**29 from it."""

CHANCE = 1e-3
"""p-value below which a public score is flagged: of 200 honest rows, 0.2 are."""

_SEED_BITS = 29
_MAX_SALT_BYTES = 4096
_MAKE_ONE = f"make one with `head -c {FEWEST_SALT_BYTES} /dev/urandom > FILE`, and keep it secret"


def read_salt(path: str | os.PathLike[str], leaderboard: str | os.PathLike[str]) -> bytes:
    """Return a maintainer's salt, 32 to 4096 bytes, from a file.

    ValueError for another length, or a file inside the leaderboard or the checkout around it.
    """
    board = Path(leaderboard).resolve()
    public = next((x for x in (board, *board.parents) if (x / ".git").exists()), board)
    if Path(path).resolve().is_relative_to(public):
        raise ValueError(f"the salt {path} lies in {public}, which is public; move it elsewhere")
    try:
        salt = read_regular_file(path, max_bytes=_MAX_SALT_BYTES)
    except StorageError as error:
        raise ValueError(f"the salt {error}; {_MAKE_ONE}") from error
    _check_length(salt)
    return salt


def submission_digest(text: bytes, weights: bytes) -> str:
    """Return the SHA-256, as hexadecimal text, of a manifest or row with its weights."""
    parts = (hashlib.sha256(data).digest() for data in (text, weights))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def hidden_seeds(salt: bytes, digest: str, number: int) -> tuple[int, ...]:
    """Return ``number`` distinct seeds in [2**30, 2**30 + 2**29), fixed by salt and digest."""
    # The range is apart from training seeds, public seeds and the disjoint streams of a run's
    # environments (from 2**31). The zoo draws seeds below 2**31 after a checkpoint of a
    # consecutively seeded run and for learners without gradients: one of those is one of 100
    # hidden seeds with a probability of 5e-8.
    _check_length(salt)
    seeds: dict[int, None] = {}  # in the order drawn
    counter = 0
    while len(seeds) < number:
        message = bytes.fromhex(digest) + counter.to_bytes(8, "big")
        word = int.from_bytes(hmac.digest(salt, message, "sha256")[:4], "big")
        seeds[FIRST_HIDDEN_SEED + word % (1 << _SEED_BITS)] = None
        counter += 1
    return tuple(seeds)


def play_hidden(
    claim: Manifest, digest: str, salt: bytes, play: Callable[[Request], Rerun]
) -> HiddenScore:
    """Play as many hidden episodes as a submission or row has public ones; return the score."""
    seeds = hidden_seeds(salt, digest, len(claim.score.returns))
    result = play(Request(agent=claim.agent, environment=claim.environment, seeds=seeds))
    return HiddenScore(score=result.score, digest=digest, date=utc_now())


def chance(row: Row) -> float | None:
    """Return the one-sided p-value of the claim that a row earns more on public seeds than hidden.

    None without a hidden score.
    """
    hidden = row.hidden
    return None if hidden is None else higher_mean_p(row.score.returns, hidden.score.returns)


def is_flagged(row: Row) -> bool:
    """Return whether a row's public score is significantly higher than its hidden score."""
    probability = chance(row)
    return probability is not None and probability < CHANCE


def describe(row: Row) -> str:
    """Return public and hidden mean, p-value and flag in words; the row has a hidden score."""
    assert row.hidden is not None
    scores = f"mean {row.score.mean:.6g} on public seeds, {row.hidden.score.mean:.6g} on hidden"
    flag = ": significantly higher on public seeds" if is_flagged(row) else ""
    return f"{scores} (p = {chance(row):.2g}){flag}"


def _check_length(salt: bytes) -> None:
    if len(salt) < FEWEST_SALT_BYTES:
        raise ValueError(
            f"the salt has {len(salt)} bytes; expected at least {FEWEST_SALT_BYTES}; {_MAKE_ONE}"
        )
