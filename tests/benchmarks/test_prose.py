"""The figures of the English, on pages small enough to count by hand."""

import subprocess

import pytest

from benchmarks import prose

PAGE = """# What a heading says

What is kept stands in `a file`. What is it? Whatever comes is [read](what.md).

| what | a cell |
| --- | --- |

```python
what = 1
```

- one item of three words
- another, which somebody has to hear what is in
"""


def test_code_tables_headings_and_addresses_are_no_prose():
    text = prose.prose(PAGE)
    assert "heading" not in text
    assert "cell" not in text
    assert "what = 1" not in text
    assert "what.md" not in text
    assert "stands in Code." in text


def test_questions_do_not_count_as_nouns():
    assert prose.whats(prose.prose(PAGE)) == 3


@pytest.mark.parametrize(("text", "lengths"), [
    ("One two. Three four five! Six?", [2, 3, 1]),
    ("One two\nthree.\n\nFour", [3, 1]),
    ("- one item\n- two items here", [2, 3]),
    ("At 3.5 ms a step e.g. this", [7]),
])  # fmt: skip
def test_a_sentence_ends_at_its_sign_at_a_blank_line_and_at_an_item(text, lengths):
    assert [len(sentence.split()) for sentence in prose.sentences(text)] == lengths


def test_before_and_after_stand_side_by_side(tmp_path, monkeypatch, capsys):
    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True)

    git("init", "-q")
    (tmp_path / "snn_gym").mkdir()
    module = tmp_path / "snn_gym" / "a.py"
    module.write_text('"""What is here."""\nX = 1\n"""What\nit is."""\n')
    (tmp_path / "README.md").write_text(PAGE)
    git("add", "-A")
    git("commit", "-qm", "first")
    module.write_text('"""Numbers."""\nX = 1\n')
    (tmp_path / "README.md").write_text("The cat sat on the mat. " + "Word " * 41 + ".\n")
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    prose.main(["--before", "HEAD"])
    printed = [line.rsplit(maxsplit=2) for line in capsys.readouterr().out.splitlines()]
    table = {name: (before, now) for name, before, now in (p for p in printed if len(p) == 3)}
    assert table["docstrings: lines"] == ("3", "1")
    assert table['docstrings: that begin with "What"'] == ("2", "0")
    assert table['docstrings: "what" as a noun'] == ("2", "0")
    assert table['README: "what" as a noun'] == ("3", "0")
    assert table["README: sentences over 35 words"] == ("0", "1")
    prose.main(["--long"])
    assert capsys.readouterr().out.startswith("README.md: 42 words: Word Word")
