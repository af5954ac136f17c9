"""A run folder becomes a page: `report.html` for people, `report.md` for the place it is cited."""

from __future__ import annotations

from pathlib import Path

from testbed.report.markdown import markdown
from testbed.report.page import page
from testbed.report.view import View

__all__ = ["write"]


def write(run_folder: Path) -> Path:
    """Write `report.html` and `report.md` into a run folder and return the path of the page.

    Identical folders give identical bytes. Everything is computed from the rows, so that a report
    can be made again by a later version.

    Raises:
        RunError: The folder is missing or incomplete.
        EnvironmentLacks: It cannot be written.
    """
    from testbed import records

    view = View(records.read(run_folder))
    path = run_folder / "report.html"
    try:
        (run_folder / "report.md").write_text(markdown(view), encoding="utf-8", newline="\n")
        path.write_text(page(view), encoding="utf-8", newline="\n")
    except OSError as error:
        from testbed.errors import EnvironmentLacks

        raise EnvironmentLacks(f"cannot write {error.filename or path}: {error.strerror}") from None
    return path
