"""The commands. Each module registers its own; nothing heavy is imported before one runs."""

from __future__ import annotations

import sys

import typer

from testbed.cli import check, evaluate, look, report, run, sweep, train
from testbed.errors import TestbedError

app = typer.Typer(
    name="testbed",
    help="Compare policies for adaptive split object detection over real radio links.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (run, sweep, check, report, look, train, evaluate):
    module.register(app)


def main() -> None:
    """Run the command line and leave with its exit code.

    0 success, 1 a claim or check failed, 2 bad input, 3 the machine lacks something,
    130 interrupted. Somebody's mistake is a line on standard error, never a traceback.
    """
    try:
        code = app(standalone_mode=False)
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
        code = 130
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stderr.close()
        code = 0
    sys.exit(code)
