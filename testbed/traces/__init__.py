"""Readers of trace formats. One file each; `testbed.traces.read` picks by content."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.errors import TraceError
from testbed.registry import Registry

if TYPE_CHECKING:
    from testbed.traces.source import Source
    from testbed.traces.trace import Trace

formats = Registry("trace format")

formats.register("mahimahi", "testbed.traces.mahimahi:Mahimahi")
formats.register("rate-csv", "testbed.traces.rate_csv:RateCsv")
formats.register("tc-schedule", "testbed.traces.tc_schedule:TcSchedule")
formats.register("stamped-csv", "testbed.traces.stamped_csv:StampedCsv")
formats.register("iperf3-json", "testbed.traces.iperf3_json:Iperf3Json")
formats.register("iperf3-text", "testbed.traces.iperf3_text:Iperf3Text")
formats.register("ghent-log", "testbed.traces.ghent_log:GhentLog")
formats.register("sabre-json", "testbed.traces.sabre_json:SabreJson")
formats.register("pensieve", "testbed.traces.pensieve:Pensieve")
formats.register("ucc", "testbed.traces.ucc:Ucc")
formats.register("nyu", "testbed.traces.nyu:Nyu")
formats.register("nyu-multivariate", "testbed.traces.nyu_multivariate:NyuMultivariate")
formats.register("lumos5g", "testbed.traces.lumos5g:Lumos5g")
formats.register("5g-wild", "testbed.traces.wild5g:Wild5g")
formats.register("5gophers", "testbed.traces.gophers5g:Gophers5g")
formats.register("5gophers-ping", "testbed.traces.gophers_ping:GophersPing")
formats.register("solis", "testbed.traces.solis:Solis")
formats.register("wifi-cellular", "testbed.traces.wifi_cellular:WifiCellular")
formats.register("oboe", "testbed.traces.oboe:Oboe")
formats.register("cicv5g", "testbed.traces.cicv5g:Cicv5g")
formats.register("rrc-probe", "testbed.traces.rrc_probe:RrcProbe")


def read(path: Path | str, *, format: str | None = None, **options: Any) -> Trace:  # noqa: A002
    """Read a trace in any format.

    Args:
        path: The file.
        format: Name of the reader; None to tell it from the content.
        options: Passed to the reader, such as `column="uplink_mbps"`.

    Raises:
        TraceError: The file cannot be read, no format fits, or lines break the format: each is
            named by its number.
        UnknownName: There is no such format.
    """
    from testbed.traces.source import Source

    return read_source(Source.open(path), format=format, **options)


def read_source(source: Source, *, format: str | None = None, **options: Any) -> Trace:  # noqa: A002
    """Read a trace that is in memory already; otherwise like `read`."""
    from testbed.traces.detect import format_of

    name = format or format_of(source)
    reader = formats.load(name)
    try:
        chosen = reader(**options)
    except TypeError:
        import inspect

        known = ", ".join(inspect.signature(reader).parameters) or "none"
        given = ", ".join(options)
        message = f"{name} has no option {given}; it has: {known}"
        raise TraceError(source.path, None, message) from None
    except ValueError as error:
        raise TraceError(source.path, None, str(error)) from None
    trace: Trace = chosen.read(source)
    return trace


@lru_cache(maxsize=64)
def _read_unchanged(path: Path, _size: int, _mtime_ns: int, format: str | None) -> Trace:  # noqa: A002
    return read(path, format=format)


def read_cached(path: Path | str, *, format: str | None = None) -> Trace:  # noqa: A002
    """Return what `read` returns, reading a file again only after it has changed.

    A scenario with a hundred clients names one trace a hundred times.
    """
    path = Path(path)
    try:
        state = path.stat()
    except OSError:
        return read(path, format=format)  # says what is wrong
    return _read_unchanged(path.resolve(), state.st_size, state.st_mtime_ns, format)
