"""`testbed transfer`: what payloads would take over a trace, without a scenario."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from testbed.links.transport import Delivery, Transport
    from testbed.traces.trace import Trace

EXAMPLES = """
[bold]Examples[/bold]

  testbed transfer lte/drive-a.up --payload-bytes 73728 --fps 5 --delay-ms 25

  testbed transfer measured.up --payload-bytes 73744 --at sends.csv --delay-ms 25 --csv out.csv

  testbed transfer lte/drive-a.up --payload-bytes 73728 --fps 1 --connection per-frame --json

  testbed transfer wifi/walk-a.up --payload-bytes 73728 --fps 10 --transport datagram --deadline-ms 200
"""  # noqa: E501

MAX_TRANSFERS = 10_000_000


class TransportName(StrEnum):
    """What `--transport` accepts."""

    TCP = "tcp"
    IDEAL = "ideal"
    DATAGRAM = "datagram"


class ConnectionKind(StrEnum):
    """What `--connection` accepts."""

    LONG = "long"
    PER_FRAME = "per-frame"


class Switch(StrEnum):
    """What a switch accepts."""

    ON = "on"
    OFF = "off"


class ModelName(StrEnum):
    """What `--model` accepts."""

    PACKETS = "packets"
    ROUNDS = "rounds"
    AUTO = "auto"


class Control(StrEnum):
    """What `--congestion-control` accepts."""

    CUBIC = "cubic"
    RENO = "reno"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("transfer", epilog=EXAMPLES)(transfer)


def transfer(
    trace: Annotated[str, typer.Argument(help="A trace: a name in the catalogue, or a path.")],
    payload_bytes: Annotated[int, typer.Option(min=1, max=10**10, help="Of every payload.")],
    fps: Annotated[float | None, typer.Option(help="Payloads sent per second.")] = None,
    at: Annotated[
        Path | None, typer.Option(help="CSV with a column send_ns: when each payload is sent.")
    ] = None,
    duration_s: Annotated[
        float | None,
        typer.Option(help="With --fps: for how long payloads are sent; by default one period."),
    ] = None,
    delay_ms: Annotated[
        float, typer.Option(help="Propagation one way; acknowledgements take as long back.")
    ] = 0.0,
    transport: Annotated[TransportName, typer.Option()] = TransportName.TCP,
    connection: Annotated[
        ConnectionKind, typer.Option(help="TCP: one connection for all, or one for each payload.")
    ] = ConnectionKind.LONG,
    initial_window: Annotated[
        int, typer.Option(min=1, max=1000, help="TCP: segments a new connection may send at once.")
    ] = 10,
    idle_restart: Annotated[
        Switch, typer.Option(help="TCP: slow start again after a timeout of idle time.")
    ] = Switch.ON,
    congestion_control: Annotated[Control, typer.Option(help="TCP.")] = Control.CUBIC,
    host_ms: Annotated[
        float, typer.Option(help="TCP: from application to link and from link to application.")
    ] = 0.15,
    model: Annotated[
        ModelName,
        typer.Option(help="TCP: every packet; a few look-ups per payload; or what is enough."),
    ] = ModelName.PACKETS,
    deadline_ms: Annotated[
        float | None, typer.Option(help="Datagrams: what has not left by then is given up.")
    ] = None,
    queue_bytes: Annotated[
        int | None, typer.Option(min=1, help="Drop-tail limit on what waits; none by default.")
    ] = None,
    offset_s: Annotated[float, typer.Option(help="Where in the trace time zero is.")] = 0.0,
    format_: Annotated[
        str | None, typer.Option("--format", help="Format of the trace; told by its content.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write frame, send_ns and delivered_ns of each to this.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, units in the keys.")] = False,
) -> None:
    """Say what payloads would take over a trace.

    Each is sent at its time, whatever became of those before. A latency runs from the send time to
    the arrival of the last byte.
    """
    from testbed.links.capacity import of_trace
    from testbed.links.fifo import FifoLink
    from testbed.links.transfer import transfer as play

    for option, value in (
        ("--delay-ms", delay_ms),
        ("--host-ms", host_ms),
        ("--offset-s", offset_s),
    ):
        if not 0 <= value < 1e9:
            raise _mistake(f"{option} is {value:g}; allowed: 0 and above")
    if deadline_ms is not None and not deadline_ms > 0:
        raise _mistake(f"--deadline-ms is {deadline_ms:g}; allowed: above 0")
    if deadline_ms is not None and transport is not TransportName.DATAGRAM:
        raise _mistake(
            "--deadline-ms is for --transport datagram; others deliver late all the same"
        )
    content, path = _read(trace, format_)
    sends_ns = _sends(at, fps, duration_s, content)
    try:
        capacity = of_trace(content, round(offset_s * 1e9))
        link = FifoLink(capacity, round(delay_ms * 1e6), queue_bytes)
        chosen = _transport(
            transport, connection, initial_window, idle_restart, congestion_control, host_ms, model
        )
        carrier = chosen.connect(link, link.delay_ns)
    except ValueError as error:
        raise _mistake(f"{trace}: {error}") from None
    until_ns = None if deadline_ms is None else round(deadline_ms * 1e6)
    deliveries = play(carrier, sends_ns, payload_bytes, until_ns)
    if csv is not None:
        _write_csv(csv, sends_ns, deliveries)
    facts: dict[str, Any] = {
        "trace": str(path),
        "transport": transport.value,
        "payload_bytes": payload_bytes,
        **_figures(sends_ns, deliveries, payload_bytes),
    }
    if csv is not None:
        facts["csv"] = str(csv)
    _print(facts, sends_ns, deliveries, as_json=as_json)


def _mistake(message: str) -> Exception:
    from testbed.errors import TestbedError

    return TestbedError(message)


def _read(name: str, format_: str | None) -> tuple[Trace, Path]:
    from testbed import catalog, traces

    path = Path(name)
    if not path.exists():
        path = catalog.find("traces", name)
    return traces.read(path, format=format_), path


def _sends(at: Path | None, fps: float | None, duration_s: float | None, trace: Trace) -> list[int]:
    from testbed.links.transfer import read_sends

    if (at is None) == (fps is None):
        raise _mistake("when are payloads sent? Give either --fps or --at")
    if at is not None:
        return read_sends(at)
    assert fps is not None
    if not 0 < fps <= 1e6:
        raise _mistake(f"--fps is {fps:g}; allowed: above 0, up to a million")
    lasts_s = trace.period_ns / 1e9 if duration_s is None else duration_s
    if not 0 < lasts_s < 1e9:
        raise _mistake(f"--duration-s is {lasts_s:g}; allowed: above 0")
    count = math.ceil(lasts_s * fps)
    if count > MAX_TRANSFERS:
        raise _mistake(f"{count:,} payloads are too many; shorten --duration-s")
    return [round(i * 1e9 / fps) for i in range(max(1, count))]


def _transport(
    name: TransportName,
    connection: ConnectionKind,
    initial_window: int,
    idle_restart: Switch,
    congestion_control: Control,
    host_ms: float,
    model: ModelName,
) -> Transport:
    from testbed.links.datagram import Datagram
    from testbed.links.tcp.transport import Tcp
    from testbed.links.transport import Ideal

    if name is TransportName.IDEAL:
        return Ideal()
    if name is TransportName.DATAGRAM:
        return Datagram()
    return Tcp(
        connection="long" if connection is ConnectionKind.LONG else "per_frame",
        initial_window=initial_window,
        idle_restart=idle_restart is Switch.ON,
        congestion_control=congestion_control.value,
        host_ms=host_ms,
        model=model.value,
    )


def _figures(
    sends_ns: Sequence[int], deliveries: Sequence[Delivery], payload_bytes: int
) -> dict[str, Any]:
    """Return counts, quantiles of latency over all payloads (what is lost took for ever), bytes."""
    arrived = [d.arrived_ns for d in deliveries if d.arrived_ns is not None]
    latencies_ms = sorted(
        (d.arrived_ns - at) / 1e6 if d.arrived_ns is not None else math.inf
        for d, at in zip(deliveries, sends_ns, strict=True)
    )

    def quantile(q: float) -> float | None:
        value = latencies_ms[max(0, math.ceil(q * len(latencies_ms)) - 1)]
        return None if value == math.inf else round(value, 6)

    lost: dict[str, int] = {}
    for delivery in deliveries:
        if delivery.loss is not None:
            lost[delivery.loss.value] = lost.get(delivery.loss.value, 0) + 1
    span_ns = max(arrived, default=0) - min(sends_ns)
    return {
        "payloads": len(deliveries),
        "delivered": len(arrived),
        **{f"lost_{reason}": count for reason, count in sorted(lost.items())},
        **{f"latency_p{round(100 * q)}_ms": quantile(q) for q in (0.5, 0.9, 0.95, 0.99)},
        "latency_max_ms": quantile(1.0),
        "wire_bytes": sum(d.wire_bytes for d in deliveries),
        "goodput_mbps": (
            round(len(arrived) * payload_bytes * 8e3 / span_ns, 6) if arrived and span_ns else None
        ),
    }


def _write_csv(path: Path, sends_ns: Sequence[int], deliveries: Sequence[Delivery]) -> None:
    from testbed.errors import EnvironmentLacks

    lines = ["frame,send_ns,delivered_ns"]
    for frame, (at_ns, delivery) in enumerate(zip(sends_ns, deliveries, strict=True)):
        arrived = "" if delivery.arrived_ns is None else delivery.arrived_ns
        lines.append(f"{frame},{at_ns},{arrived}")
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    except OSError as error:
        raise EnvironmentLacks(f"{path}: cannot be written: {error.strerror}") from None


def _print(
    facts: dict[str, Any],
    sends_ns: Sequence[int],
    deliveries: Sequence[Delivery],
    *,
    as_json: bool,
) -> None:
    from testbed.cli.page import Page, Table

    tables = []
    if as_json:
        table = Table("transfers", ("frame", "send_ns", "delivered_ns", "wire_bytes", "loss"))
        table.rows = [
            (frame, at_ns, d.arrived_ns, d.wire_bytes, d.loss)
            for frame, (at_ns, d) in enumerate(zip(sends_ns, deliveries, strict=True))
        ]
        tables.append(table)
    Page(facts=facts, tables=tables).print(as_json=as_json)
