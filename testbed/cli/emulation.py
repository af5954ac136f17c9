"""What commands share that emulate: from options of the command line to those of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from testbed.emulate.decoding_live import Network
    from testbed.emulate.engine import Options


def options(
    backend: str,
    trust: dict[str, str | None] | None = None,
    *,
    server: str | None = None,
    packets: Path | None = None,
    weights: Path | None = None,
    network: str | None = None,
    teacher: Path | None = None,
    tries: int = 3,
) -> Options:
    """Return the options of the engine.

    Raise a `TestbedError` for what is no address, a `BadParameter` for options that do not go
    together or a file that is not there.
    """
    from testbed.emulate import address
    from testbed.emulate.certificates import Trust
    from testbed.emulate.engine import Options

    believed = Trust(**(trust or {}))
    if server is None and believed != Trust():
        raise typer.BadParameter("--token-file and --tls-… go with --server")
    believed.open()  # what is wrong with the files is said before anything begins
    if weights is None and (network is not None or teacher is not None):
        raise typer.BadParameter("--network and --teacher go with --weights")
    return Options(
        backend=backend,
        server=None if server is None else address.parse(server),
        trust=believed,
        log=packets,
        network=None if weights is None else _network(weights, network, teacher),
        tries=tries,
    )


def _network(weights: Path, network: str | None, teacher: Path | None) -> Network:
    from testbed.detectors.shipped import locate
    from testbed.emulate.decoding_live import Network

    whole = None if teacher is None else str(locate(teacher).resolve())
    return Network(str(locate(weights).resolve()), network, threads=1, teacher=whole)
