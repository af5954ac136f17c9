"""Where the output goes is not always able to take it; that is a line, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTBED = f"{sys.executable} -m testbed"
FULL = Path("/dev/full")


def shell(line, **environment):
    """Run a line of shell; return exit code, output and errors."""
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, env=os.environ | environment, timeout=60
    )
    return done.returncode, done.stdout.decode("ascii", "replace"), done.stderr.decode()


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", ["ls", "ls policy", "--help"])
def test_a_full_disk_is_said_in_one_line(words):
    code, _, err = shell(f"{TESTBED} {words} > {FULL}")

    assert (code, err) == (3, "cannot write: No space left on device\n")


def test_a_closed_output_is_said_in_one_line():
    code, _, err = shell(f"{TESTBED} ls >&-")

    assert (code, err) == (3, "standard output is closed; there is nowhere to write to\n")


def test_errors_that_nobody_can_read_do_not_change_the_exit_code():
    assert shell(f"{TESTBED} run nosuch 2>&-")[:2] == (2, "")


def test_a_reader_who_has_seen_enough_is_no_error():
    _, out, err = shell(f"{TESTBED} ls --json | head -n 1")

    assert (out, err) == ("[\n", "")


def test_what_the_locale_lacks_is_replaced():
    code, out, err = shell(
        f"{TESTBED} show policy fixed",
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii:strict",
    )

    assert (code, err) == (0, "")
    assert "? of the encoder" in out
