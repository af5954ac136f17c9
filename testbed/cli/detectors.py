"""Detectors by name: recordings, tables of published operating points, networks to be built."""

from __future__ import annotations

from typing import Any

from testbed.cli.page import Page, Table
from testbed.errors import EnvironmentLacks, TestbedError, UnknownName

_NOTES = (
    "mac is in ptflops' convention: a bias costs an output, a normalisation two per element, an "
    "activation nothing but ReLU.",
    "mac_published is as the counter released with the paper counts, which charges slimmable "
    "convolutions of an EfficientDet a bias that they do not have.",
    "The device runs encoder and compressor, the server decompressor and decoder; the parameters "
    "of a side are those in use at the width.",
)


def names() -> list[str]:
    """Return every name: what a scenario can name first, each once."""
    from testbed.detectors import published, recording
    from testbed.detectors.configurations import CONFIGURATIONS

    return list(dict.fromkeys([*recording.names(), *published.names(), *CONFIGURATIONS]))


def line(name: str) -> str:
    """Return one line about a name."""
    from testbed.detectors import published, recording
    from testbed.detectors.configurations import CONFIGURATIONS
    from testbed.detectors.shown import title

    if (folder := recording.find(name)) is not None:
        from testbed.cli.recordings import line as recording_line

        return recording_line(recording.load(folder))
    if name in CONFIGURATIONS:
        return title(CONFIGURATIONS[name])
    table = published.load(name)
    return f"{table.title}; {len(table.points)} points, published"


def page(name: str) -> Page:
    """Return the figures of a recording or a table with its audit, or the shape of a network."""
    from testbed.cli.audit import audit
    from testbed.detectors import published, recording
    from testbed.detectors.configurations import CONFIGURATIONS
    from testbed.detectors.shown import facts, points, title

    if (folder := recording.find(name)) is not None:
        from testbed.cli.recordings import page as recording_page

        return recording_page(recording.load(folder))
    if name in published.names():
        return audit(published.load(name))
    if name not in CONFIGURATIONS:
        raise UnknownName("detector", name, names())
    config = CONFIGURATIONS[name]
    shown = Page(f"detector {name}: {title(config)}", facts(config))
    if rows := points(config):
        shown.tables = [_table("points", rows)]
        shown.notes = ["Payloads are for a square picture, without header and scales."]
    shown.notes.append("--macs counts what every part costs at every width; it needs torch.")
    return shown


def counted(name: str) -> Page:
    """Return a network with what every part of it costs at every width."""
    from testbed.detectors.configurations import CONFIGURATIONS
    from testbed.detectors.shown import counts

    shown = page(name)
    if name not in CONFIGURATIONS:
        raise TestbedError(
            f"--macs counts a network, and {name} is a table, which has its MACs already"
        )
    try:
        parts, sides = counts(CONFIGURATIONS[name])
    except ModuleNotFoundError as error:
        raise EnvironmentLacks(
            f"counting needs {error.name}: install the extra `detect`"
        ) from error
    shown.tables += [_table("parts", parts), _table("sides", sides)]
    shown.notes = [*shown.notes[:-1], *_NOTES]
    return shown


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    return Table(name, tuple(rows[0]), [tuple(row.values()) for row in rows])
