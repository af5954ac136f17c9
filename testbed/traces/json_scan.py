"""Walks JSON without building it: scalars with their path and line, in bounded memory.

`json.loads` takes fifty times the size of a file of small lists, and overflows the stack on deep
ones. A trace needs a few numbers out of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from testbed.traces.source import Source

MAX_DEPTH = 32
_TOKEN = re.compile(
    r"""[ \t\r\n]*+(?:
    (?P<mark>[{}\[\],:])
    | (?P<text>"(?:[^"\\\x00-\x1f]++|\\.)*+")
    | (?P<number>-?\d++(?:\.\d++)?+(?:[eE][+-]?\d++)?+)
    | (?P<word>true|false|null)
    )""",
    re.VERBOSE | re.ASCII,
)
_BLANKS = re.compile(r"[ \t\r\n]*+")
_WORDS = {"true": True, "false": False, "null": None}
_MAX_TEXT = 200


class Scalar(NamedTuple):
    """One number, text, truth or null.

    Args:
        path: Keys and indices that lead to it.
        line: Its line in the file.
        value: Numbers stay text, so that the reader converts them with its own checks; other
            text longer than 200 characters is cut.
        is_number: Whether `value` is the text of a number.
    """

    path: tuple[str | int, ...]
    line: int
    value: Any
    is_number: bool


def scan(source: Source) -> Iterator[Scalar]:
    """Yield the scalars of a JSON file in order. Raise a `TraceError` where it is not JSON."""
    try:
        text = source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = source.data.count(b"\n", 0, error.start) + 1
        raise source.error(f"byte 0x{source.data[error.start]:02x} is not UTF-8", line) from None
    path: list[str | int] = []  # one entry for each open container: its current key or index
    at, line, counted = 0, 1, 0
    expect = "value"  # or: key, colon, comma, "key or end", "value or end", end
    while True:
        token = _TOKEN.match(text, at)
        if token is None:
            blank = _BLANKS.match(text, at)
            at = blank.end() if blank else at
            line += text.count("\n", counted, at)
            if at == len(text) and expect == "end":
                return
            found = repr(text[at : at + 20]) if at < len(text) else "the end of the file"
            raise source.error(f"is not JSON: {found} where a {expect} is due", line)
        at = token.end()
        line += text.count("\n", counted, at)
        counted = at
        kind, word = token.lastgroup, token.group().lstrip(" \t\r\n")
        opens = kind == "mark" and word in "{["
        if opens and expect in ("value", "value or end"):
            if len(path) == MAX_DEPTH:
                raise source.error(f"is nested more than {MAX_DEPTH} deep", line)
            path.append("" if word == "{" else 0)
            expect = "key or end" if word == "{" else "value or end"
        elif kind != "mark" and expect in ("value", "value or end"):
            yield Scalar(tuple(path), line, _value(kind, word), kind == "number")
            expect = "comma" if path else "end"
        elif kind == "text" and expect in ("key", "key or end"):
            path[-1] = str(_value(kind, word))
            expect = "colon"
        elif word == ":" and expect == "colon":
            expect = "value"
        elif word == "," and expect == "comma":
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
            expect = "value" if isinstance(last, int) else "key"
        elif _closes(word, path, expect):
            path.pop()
            expect = "comma" if path else "end"
        else:
            raise source.error(f"is not JSON: {word[:20]!r} where a {expect} is due", line)


def _closes(word: str, path: list[str | int], expect: str) -> bool:
    if not path or expect not in ("comma", "key or end", "value or end"):
        return False
    return word == ("]" if isinstance(path[-1], int) else "}")


def _value(kind: str | None, word: str) -> Any:
    if kind == "number":
        return word
    if kind == "word":
        return _WORDS[word]
    if len(word) > _MAX_TEXT:
        return word[1:_MAX_TEXT]
    try:
        return json.loads(word)
    except ValueError:
        return word[1:-1]
