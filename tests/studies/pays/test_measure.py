"""Measured numbers are added line by line, and lines that exist are passed over."""

from studies.pays.measure import fill

COLUMNS = ("weights_sha256", "target", "instructions")
KEYS = [("b", "host"), ("a", "host"), ("c", "host")]


def test_a_file_is_filled_and_sorted(tmp_path):
    path = tmp_path / "numbers.csv"
    numbers = {"a": 1234.5, "b": 2.0, "c": 3.0}
    said = list(fill(path, COLUMNS, KEYS, lambda key: [numbers[key[0]]]))
    assert said == ["b host: 2", "a host: 1234.5", "c host: 3"]
    assert path.read_text().splitlines() == [
        "weights_sha256,target,instructions",
        "a,host,1234.5",
        "b,host,2",
        "c,host,3",
    ]
