"""Tests of SHA-256 digests in JSON files."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snn_gym._base.storage import (
    SEAL,
    UNSEALED,
    check_seal,
    dump_sealed,
    dump_tensors,
    parse_sealed,
    parse_tensors,
    seal,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text().filter(lambda key: key != SEAL), VALUES, max_size=5))
def test_sealed_mappings_are_read_back_with_the_digest_of_the_file(
    mapping: dict[str, object],
) -> None:
    data = dump_sealed(mapping)
    assert parse_sealed(data, "file") == mapping
    digest = json.loads(data)[SEAL]
    assert hashlib.sha256(data.replace(digest.encode(), b"0" * 64, 1)).hexdigest() == digest


def test_any_flipped_bit_breaks_a_seal() -> None:
    data = seal(dump_tensors({"x": [1.0, 2.0]}, {SEAL: UNSEALED, "text": "words"}))  # type: ignore[dict-item]
    check_seal(data, "file")
    assert parse_tensors(data, where="file")[1]["text"] == "words"
    for bit in range(8 * len(data)):
        place = bit // 8
        flipped = data[:place] + bytes([data[place] ^ (1 << bit % 8)]) + data[place + 1 :]
        with pytest.raises(ValueError, match=r"^file (was changed|holds no SHA-256)"):
            check_seal(flipped, "file")


def test_files_without_a_digest_are_read() -> None:
    assert parse_sealed(b'{"a": 1}', "file") == {"a": 1}
