"""What commands share about the terminal: colour only where there is one, progress on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """Return the console for results: plain and as wide as needed where stdout is no terminal."""
    import sys

    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty(), width=None if sys.stdout.isatty() else 200)


def write_junit(path: Path, summaries: Mapping[str, Mapping[str, Any]]) -> bool:
    """Write the claims of runs as JUnit XML and return whether all of them hold.

    Raises:
        EnvironmentLacks: The file cannot be written.
    """
    from testbed.compare import junit
    from testbed.records import write_text

    write_text(path, junit(summaries))
    return all(claim["holds"] for summary in summaries.values() for claim in summary["claims"])


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr while the block runs; nothing where stderr is no terminal.

    Yields a function to call with the number of steps done and their total.
    """
    import sys

    from rich.console import Console
    from rich.progress import Progress

    err = Console(stderr=True)
    with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)

        def step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield step
