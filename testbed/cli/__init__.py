"""The commands. Each module registers its own; nothing heavy is imported before one runs."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

import typer

from testbed.cli import (
    check,
    compare,
    data,
    energy,
    estimate,
    evaluate,
    look,
    profile,
    record,
    report,
    run,
    serve,
    sweep,
    trace,
    train,
    train_policy,
    transfer,
    validate,
)
from testbed.errors import EnvironmentLacks, TestbedError

INTERRUPTED = 130

app = typer.Typer(
    name="testbed",
    help="Compare policies for adaptive split object detection over real radio links.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    run,
    serve,
    sweep,
    energy,
    check,
    report,
    compare,
    look,
    trace,
    transfer,
    estimate,
    profile,
    train,
    train_policy,
    evaluate,
    record,
    data,
    validate,
):
    module.register(app)


def main() -> None:
    """Run the command line and leave with its exit code.

    0 success, 1 a claim or check failed, 2 bad input, 3 the machine lacks something,
    130 interrupted. Somebody's mistake is a line on standard error, never a traceback.
    """
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stdout is None:
        print("standard output is closed; there is nowhere to write to", file=sys.stderr)  # noqa: T201
        sys.exit(EnvironmentLacks.exit_code)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a locale may lack what we print, such as α
            stream.reconfigure(errors="replace")
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()  # while somebody can still be told that it does not work
        if code == INTERRUPTED:  # Typer takes Ctrl-C for itself, and says nothing
            print("interrupted", file=sys.stderr)  # noqa: T201
    except TestbedError as error:
        print(error, file=sys.stderr)  # noqa: T201
        code = error.exit_code
    except typer.TyperException as error:
        if hasattr(error, "show"):  # a slip on the command line: the usage, and what is wrong
            error.show()
        else:
            print(error, file=sys.stderr)  # noqa: T201
        code = error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)  # noqa: T201
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        _discard_output()
        code = 0
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _discard_output()
        print(f"cannot write: {error.strerror}", file=sys.stderr)  # noqa: T201
        code = EnvironmentLacks.exit_code
    sys.exit(code)


def _discard_output() -> None:
    """Let what standard output still holds go nowhere, so that leaving does not fail on it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
