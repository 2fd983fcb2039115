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


def test_an_interrupted_run_continues_where_it_stopped(tmp_path):
    path = tmp_path / "numbers.csv"
    first = fill(path, COLUMNS, KEYS, lambda _: [1.0])
    next(first)
    del first
    measured = []
    for _ in fill(path, COLUMNS, KEYS, lambda key: measured.append(key) or [2.0]):
        pass
    assert measured == KEYS[1:]
    assert "b,host,1" in path.read_text().splitlines()


def test_a_row_that_cannot_be_measured_is_left_out_and_tried_again(tmp_path):
    path = tmp_path / "numbers.csv"

    def refuse(key):
        if key[0] == "b":
            raise ValueError("no form in C")
        return [1.0]

    assert next(fill(path, COLUMNS, KEYS, refuse)) == "b host: left out, no form in C"
    assert len(list(fill(path, COLUMNS, KEYS, refuse))) == 3
    assert len(path.read_text().splitlines()) == 3
    assert list(fill(path, COLUMNS, KEYS[:1], lambda _: [1.0])) == ["b host: 1"]
