"""docs/serve.md says what the code does: every layout, limit, status and fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testbed.emulate import bodies, fragments, protocol
from testbed.emulate.bodies import CODECS, FATE_OF, MODES, Kind, Status
from testbed.emulate.protocol import Fault, Type
from testbed.emulate.serving_peer import Limits

TEXT = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
LAYOUTS = {
    "HELLO": bodies._HELLO,
    "CHALLENGE": bodies._CHALLENGE,
    "WELCOME": bodies._WELCOME,
    "FRAME": bodies._FRAME,
    "ANSWER": bodies._ANSWER,
    "CANCEL": bodies._CANCEL,
    "PONG": bodies._PONG,
    "PING": bodies._PING,
    "FAREWELL": bodies._FAREWELL,
    "DATAGRAMS": fragments._TERMS,
    "Datagrams": fragments.HEAD,
}
SIZES = {"B": 1, "H": 2, "I": 4, "q": 8, "Q": 8, "d": 8}


def section(title):
    return TEXT.split(f"\n### {title}", 1)[1].split("\n### ")[0].split("\n## ")[0]


def sizes(title):
    """The sizes of the fields in the first table of a section, the open end left out."""
    table = section(title).split("\n\n")
    rows = next(part for part in table if part.startswith("| bytes"))
    found = [row.split("|")[1].strip() for row in rows.splitlines()[2:]]
    return [int(size) for size in found if size != "…"]


def fields(layout):
    """The sizes of the fields of a struct."""
    found = []
    for count, kind in re.findall(r"(\d*)([a-zA-Z])", layout.format.lstrip("<")):
        found += [int(count)] if kind == "s" else [SIZES[kind]] * int(count or 1)
    return found


def test_the_header_is_laid_out_as_written():
    assert sizes("Header") == fields(protocol.HEADER)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_body_is_laid_out_as_written(name):
    assert sizes(name) == fields(LAYOUTS[name])


def test_types_have_the_numbers_that_are_written():
    found = re.findall(r"\n### ([A-Z]+) \((\d+)\)", TEXT)
    assert {name: int(number) for name, number in found} == {t.name: int(t) for t in Type}


def test_the_limits_are_those_that_are_written():
    found = dict(re.findall(r"\n\| `(\w+)`[^|]*\| ([\d.]+) \|", TEXT))
    limits = vars(Limits())
    assert {name: float(value) for name, value in found.items()} == limits


def test_statuses_and_fates_are_those_that_are_written():
    found = re.findall(r"\n\| (\d) \| `(\w+)`[^|]*\| `?([\w ]+)`? \|", TEXT)
    assert [(int(n), name) for n, name, _ in found] == [(int(s), s.name) for s in Status]
    fates = {name: fate for _, name, fate in found[1:]}
    assert fates == {status.name: str(fate) for status, fate in FATE_OF.items()}


def test_faults_are_listed_in_their_order():
    listed = re.search(r"Faults:\n([^\n]+)\n", TEXT)[1]
    assert re.findall(r"`(\w+)`", listed) == [str(fault) for fault in Fault]


def test_codes_are_those_that_are_written():
    rows = section("FRAME")
    codec = re.search(r"codec: ([^|]+) \|", rows)[1]
    assert re.findall(r"(\d) `([\w-]+)`", codec) == [(str(n), c) for n, c in enumerate(CODECS)]
    mode = re.search(r"mode: ([^|]+) \|", rows)[1]
    assert re.findall(r"(\d) `(\w+)`", mode) == [(str(n), str(m)) for n, m in enumerate(MODES)]
    assert [int(kind) for kind in Kind] == [0, 1, 2]


def test_other_numbers_are_those_that_are_written():
    assert f"up to {bodies.MOST_BOXES} |" in section("FRAME")
    assert f"up to {bodies.MOST_ANSWER_BYTES} |" in section("FRAME")
    assert f"up to {bodies.MOST_TEXT_BYTES} ASCII" in section("FAREWELL")
    assert f"1 to {bodies.MOST_NAME_BYTES} |" in section("HELLO")
