"""YAML as plain data with places, and files that nobody should have to wait for."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from testbed.errors import InputErrors
from testbed.scenario.source import MAX_BYTES, MAX_VALUES, Place, parse, read


def wrong(text):
    with pytest.raises(InputErrors) as caught:
        parse(text, "s.yaml", Path())
    return [str(problem) for problem in caught.value.problems]


def data(text):
    return parse(text, "s.yaml", Path()).data


def test_data_is_plain_and_every_key_has_its_line():
    source = parse("a: 1\nb:\n  - x: [1.5, true]\n    y: ~\n", "s.yaml", Path())

    assert source.data == {"a": 1, "b": [{"x": [1.5, True], "y": None}]}
    assert source.place(("b", 0, "y")) == Place("s.yaml", 4)
    assert source.place(("b", 0, "x", 1)) == Place("s.yaml", 3)
    assert source.place(("b", 0, "missing", "too")) == Place("s.yaml", 3)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", 5),
        ("1e3", 1000.0),
        ("1_000", 1000),
        ("0x10", 16),
        ("010", 10),
        ("yes", "yes"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("!!str 5", "5"),
        ('"5"', "5"),
        ("null", None),
        ("-.5", -0.5),
    ],
)
def test_scalars_mean_what_they_look_like(written, value):
    got = data(f"a: {written}")["a"]

    assert (got, type(got)) == (value, type(value))


def test_keys_are_text():
    assert data("{1: a, true: b, 0.25: c}") == {"1": "a", "true": "b", "0.25": "c"}


def test_aliases_and_merge_keys_are_followed():
    text = "base: &b {x: 1, y: 2}\nlist: [*b]\nmerged: {<<: *b, y: 3}\nboth: {<<: [*b, {z: 4}]}\n"

    assert data(text) == {
        "base": {"x": 1, "y": 2},
        "list": [{"x": 1, "y": 2}],
        "merged": {"x": 1, "y": 3},
        "both": {"x": 1, "y": 2, "z": 4},
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "s.yaml: is empty; a scenario begins with `schema: 1`"),
        ("# nothing\n", "s.yaml: is empty; a scenario begins with `schema: 1`"),
        ("- a\n", "s.yaml:1: must hold keys and values, such as `schema: 1`"),
        ("a: b: c\n", "s.yaml:1: not readable as YAML: mapping values are not allowed here"),
        (
            "a: 1\n\tb: 2\n",
            "s.yaml:2: not readable as YAML: found character '\\t' that",
        ),
        ("a: [1,\nb: 2\n", "s.yaml:"),
        ("a: *nobody\n", "s.yaml:1: not readable as YAML: found undefined alias 'nobody'"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2: not readable as YAML: but found another document"),
        ("a: 1\nb: \x07\n", "s.yaml:2: holds a character that YAML does not allow"),
        (
            "a: !!python/object:os.system x\n",
            "s.yaml:1: a: has the tag '!!python/object:",
        ),
        ("a: !mine {b: 1}\n", "s.yaml:1: a: has the tag '!mine'; tags are not allowed"),
        ("? [1, 2]\n: 3\n", "s.yaml:1: a key must be text"),
        ("a: {<<: 5}\n", "s.yaml:1: a: `<<` takes an alias of a mapping"),
        (f"a: {'9' * 5000}\n", "s.yaml:1: a: cannot be read as int: '99999"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(text, expected):
    (said,) = wrong(text)

    assert said.startswith(expected)


def test_every_duplicate_key_is_said():
    text = "a: 1\nb: {x: 1, x: 2}\na: 2\nc:\n- y: 1\n  y: 2\n"

    assert wrong(text) == [
        "s.yaml:2: b.x: stands twice, here and in line 2; keep one",
        "s.yaml:3: a: stands twice, here and in line 1; keep one",
        "s.yaml:6: c.0.y: stands twice, here and in line 5; keep one",
    ]


class TestHostileFiles:
    """None of these may take long, whoever wrote them."""

    @pytest.fixture(autouse=True)
    def quickly(self):
        begun = time.process_time()
        yield
        assert time.process_time() - begun < 10

    def test_aliases_of_aliases_do_not_grow_for_ever(self):
        lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
        lines += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12)]

        (said,) = wrong("\n".join(lines))

        assert f"holds more than {MAX_VALUES} values, aliases followed" in said

    def test_merge_keys_do_not_grow_for_ever(self):
        lines = ["l0: &l0 {a: 1, b: 2, c: 3}"]
        lines += [f"l{i}: &l{i} {{<<: [{', '.join([f'*l{i - 1}'] * 9)}]}}" for i in range(1, 12)]

        (said,) = wrong("\n".join(lines))

        assert f"holds more than {MAX_VALUES} values" in said

    @pytest.mark.parametrize(
        "text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "&a {b: {c: *a}}\n", "a: &a {<<: *a}\n"]
    )
    def test_what_holds_itself_is_refused(self, text):
        (said,) = wrong(text)

        assert "or holds itself" in said

    @pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
    def test_deep_nesting_is_refused(self, opening):
        (said,) = wrong("a: " + opening * 5000 if opening != "- " else opening * 5000)

        assert "nested" in said

    def test_a_huge_file_is_refused_unread(self, tmp_path):
        path = tmp_path / "s.yaml"
        path.write_bytes(b"a: 1\n" * (MAX_BYTES // 5 + 1))

        with pytest.raises(InputErrors, match="larger than a scenario may be"):
            read(path)

    def test_the_largest_file_is_read_in_time(self, tmp_path):
        path = tmp_path / "s.yaml"
        path.write_text("a: [" + "1, " * (MAX_BYTES // 3 - 10) + "]")

        (said,) = wrong(read(path))

        assert f"holds more than {MAX_VALUES} values" in said


class TestRead:
    def test_a_byte_order_mark_is_no_part_of_the_text(self, tmp_path):
        path = tmp_path / "s.yaml"
        path.write_bytes(b"\xef\xbb\xbfa: 1\n")

        assert read(path) == "a: 1\n"

    def test_what_is_not_text_is_said_with_its_line(self, tmp_path):
        path = tmp_path / "s.yaml"
        path.write_bytes(b"a: 1\nb: \xff\n")

        with pytest.raises(InputErrors, match=r"s\.yaml:2: is not UTF-8 text"):
            read(path)


def test_characters_that_json_escapes_as_two_halves_are_whole():
    """`json.dumps` writes an emoji as two escapes; half of one is told, not a traceback."""
    text = json.dumps({"name": "\N{GRINNING FACE}", "other": "\ud83d"})

    data = parse(text, "x.json", Path()).data

    assert data == {"name": "\N{GRINNING FACE}", "other": "\N{REPLACEMENT CHARACTER}"}
