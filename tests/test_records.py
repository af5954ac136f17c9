"""Run folders: complete or refused by name."""

from __future__ import annotations

import errno

import pyarrow as pa
import pytest

from testbed import records
from testbed.errors import EnvironmentLacks, RunError


def test_a_folder_is_incomplete_until_its_last_byte_is_written(tmp_path):
    folder = tmp_path / "run"

    with records.writing(folder) as put:
        put("a.txt", "text")
        with pytest.raises(RunError, match=r"run: incomplete: the run was interrupted"):
            records.read(folder)

    assert not (folder / records.INCOMPLETE).exists()


def test_a_run_that_dies_leaves_its_mark(tmp_path):
    folder = tmp_path / "run"

    with pytest.raises(ZeroDivisionError), records.writing(folder):
        1 / 0  # noqa: B018

    with pytest.raises(RunError, match="incomplete"):
        records.read(folder)


def test_a_complete_folder_that_is_written_again_and_dies_is_incomplete(tmp_path):
    folder = tmp_path / "run"
    with records.writing(folder) as put:
        put("a.txt", "first")

    with pytest.raises(KeyboardInterrupt), records.writing(folder):
        raise KeyboardInterrupt

    with pytest.raises(RunError, match="incomplete"):
        records.read(folder)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "no space left on the disk; free some or name another folder with --out"),
        (errno.EACCES, "no permission to write there; name another folder with --out"),
        (errno.EROFS, "read-only"),
    ],
)
def test_a_file_system_that_refuses_is_named_with_advice(tmp_path, monkeypatch, number, advice):
    folder = tmp_path / "run"

    def refuse(*args, **kwargs):
        raise OSError(number, "refused")

    monkeypatch.setattr("pyarrow.parquet.write_table", refuse)

    with pytest.raises(EnvironmentLacks, match=advice) as caught, records.writing(folder) as put:
        put("frames.parquet", pa.table({}))

    assert str(folder) in str(caught.value)
    assert caught.value.exit_code == 3
    with pytest.raises(RunError, match="incomplete"):
        records.read(folder)


def test_a_file_in_the_way_is_an_error_about_the_file(tmp_path):
    (tmp_path / "file").write_text("")

    folder = tmp_path / "file" / "run"

    with pytest.raises(EnvironmentLacks, match="cannot write"), records.writing(folder):
        pass


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda path: None, "no such run folder"),
        (lambda path: path.write_text(""), "a file, not a run folder"),
        (lambda path: path.mkdir(), "not a run folder: provenance.json is missing"),
        (
            lambda path: (path.mkdir(), (path / "provenance.json").write_text('{"schema": 99}')),
            "schema 99, this version reads 1",
        ),
        (
            lambda path: (path.mkdir(), (path / "provenance.json").write_text("{")),
            "cannot be read",
        ),
    ],
)
def test_what_is_no_run_folder_is_refused_with_the_reason(tmp_path, make, complaint):
    path = tmp_path / "run"
    make(path)

    with pytest.raises(RunError, match=complaint):
        records.read(path)
