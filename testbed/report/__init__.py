"""A run folder becomes a page: `report.html` for people, `report.md` for the place it is cited."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed.report.markdown import markdown
from testbed.report.page import page
from testbed.report.view import View

if TYPE_CHECKING:
    from testbed.records import Run

__all__ = ["render", "write"]


def render(run: Run) -> dict[str, str]:
    """Return the report of a run: the text of each of its files, by name.

    Identical folders give identical bytes. Everything is computed from the rows, so that a report
    can be made again by a later version.
    """
    view = View(run)
    return {"report.md": markdown(view), "report.html": page(view)}


def write(run_folder: Path) -> Path:
    """Write the report into a run folder and return the path of the page.

    Raises:
        RunError: The folder is missing or incomplete.
        EnvironmentLacks: It cannot be written.
    """
    from testbed import records

    for name, text in render(records.read(run_folder)).items():
        records.write_text(run_folder / name, text)
    return run_folder / "report.html"
