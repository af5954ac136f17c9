"""What commands share that emulate: from options of the command line to those of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from testbed.emulate.engine import Options


def options(
    backend: str, server: str | None, packets: Path | None, trust: dict[str, str | None]
) -> Options:
    """Return the options of the engine. Raise a `BadParameter` for what is no address."""
    from testbed.emulate.certificates import Trust
    from testbed.emulate.engine import Options

    believed = Trust(**trust)
    if server is None and believed != Trust():
        raise typer.BadParameter("--token-file and --tls-… go with --server")
    believed.open()  # what is wrong with the files is said before anything begins
    place = None if server is None else address(server)
    return Options(backend=backend, server=place, trust=believed, log=packets)


def address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`. Raise a `BadParameter` for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise typer.BadParameter(f"'{text}' is no HOST:PORT, such as 192.168.1.20:7070")
    return host.strip("[]"), int(port)
