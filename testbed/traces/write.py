"""Writing traces in the formats that other tools read."""

from __future__ import annotations

from testbed.traces.trace import Trace


def mahimahi(trace: Trace) -> str:
    """Return a trace of opportunities as Mahimahi text, stamps rounded down to milliseconds.

    Raise a `ValueError` for another kind, or if its period is not its last stamp: in this format
    nothing else can say when the trace begins again.
    """
    if trace.kind != "opportunities":
        raise ValueError(f"a trace of kind '{trace.kind}' must be converted first")
    stamps_ms = trace.stamps_ns // 1_000_000
    if int(stamps_ms[-1]) * 1_000_000 != trace.period_ns:
        raise ValueError("the period of the trace is not its last stamp")
    return "\n".join(map(str, stamps_ms.tolist())) + "\n"


def rate_csv(trace: Trace) -> str:
    """Return a trace of rates as CSV that `rate-csv` reads back without loss.

    Raise a `ValueError` for another kind.
    """
    if trace.rates_bps is None:
        raise ValueError(f"a trace of kind '{trace.kind}' must be converted first")
    lines = ["# holds: after", f"# measures: {trace.measures}"]
    lines += [f"# direction: {trace.direction}"] if trace.direction else []
    lines += [f"# technology: {trace.technology}"] if trace.technology else []
    lines += [f"# note: {note}" for note in trace.notes]
    lines += [f"# period_s: {_decimal(trace.period_ns, 9)}", "time_s,rate_mbps"]
    pairs = zip(trace.stamps_ns.tolist(), trace.rates_bps.tolist(), strict=True)
    lines += [f"{_decimal(stamp, 9)},{_decimal(rate, 6)}" for stamp, rate in pairs]
    return "\n".join(lines) + "\n"


def _decimal(value: int, places: int) -> str:
    """Return value / 10^places exactly, without needless zeros."""
    whole, rest = divmod(int(value), 10**places)
    return f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")


def tc_schedule(trace: Trace) -> str:
    """Return a trace of rates as a shell script of `tc` commands, which `tc-schedule` reads back.

    Raise a `ValueError` for another kind.
    """
    from testbed.traces.tc_schedule import BODY, HEAD

    if trace.rates_bps is None:
        raise ValueError(f"a trace of kind '{trace.kind}' must be converted first")
    facts = [f"# measures: {trace.measures}"]
    facts += [f"# direction: {trace.direction}"] if trace.direction else []
    facts += [f"# technology: {trace.technology}"] if trace.technology else []
    facts += [f"# period_s: {_decimal(trace.period_ns, 9)}"]
    pairs = zip(trace.stamps_ns.tolist(), trace.rates_bps.tolist(), strict=True)
    settings = [f"at {_decimal(stamp, 9)} {rate}" for stamp, rate in pairs]
    return HEAD + "\n".join(facts) + "\n" + BODY + "\n".join(settings) + "\n"
