"""A scenario in plain words, whatever parts and options it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = {
    "_ms": "ms",
    "_s": "s",
    "_bytes": "B",
    "_bits": "bit",
    "_mbps": "Mbit/s",
    "_j": "J",
    "_w": "W",
    "_c": "°C",
    "_wh": "Wh",
    "_mb": "MB",
}

_SILENT = {"sha256"}  # stands under Provenance


def scenario_in_words(scenario: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what was run as pairs of a term and its description."""
    seeds, policies = scenario["seeds"], scenario["policies"]
    facts = [
        (
            "Compared",
            f"{_count(len(policies), 'policy', 'policies')} on {_count(len(seeds), 'seed')} "
            f"({_few(seeds)}), {scenario['duration_s']:g} s each; an answer is due "
            f"{scenario['deadline_ms']:g} ms after its frame was captured",
        )
    ]
    facts += [(f"Policy {name}", part(options)) for name, options in policies.items()]
    for group in scenario.get("clients", []):
        count = group.get("count", 1)
        term = f"Client {group['name']}" if count == 1 else f"{count} clients {group['name']}"
        facts.append((term, _options(group, {"name", "count"})))
    network = scenario.get("network", {})
    facts += [
        (f"{key.capitalize()}", part(network[key]))
        for key in ("uplink", "downlink", "transport")
        if key in network
    ]
    if "server" in scenario:
        facts.append(("Server", _options(scenario["server"], set())))
    return facts


def part(options: Mapping[str, Any]) -> str:
    """Return a part, such as a policy or a link, as its kind and its options."""
    rest = _options(options, {"kind"})
    return f"{options['kind']}: {rest}" if rest else str(options["kind"])


def _options(options: Mapping[str, Any], leave_out: set[str]) -> str:
    shown = (
        _option(key, value)
        for key, value in options.items()
        if key not in leave_out | _SILENT and value is not None and value is not False
    )
    return ", ".join(text for text in shown if text)


def _option(key: str, value: Any) -> str:
    suffix = "_mbps" if key == "mbps" else next((s for s in _UNITS if key.endswith(s)), "")
    word = key.removesuffix(suffix).replace("_", " ")
    if key == "fps":
        return f"{value:g} frames/s"
    if isinstance(value, bool):
        return word
    if isinstance(value, Mapping):
        inner = part(value) if "kind" in value else _options(value, set())
        return f"{word} ({inner})" if inner else ""
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping) for item in value):
            return f"{word} ({'; '.join(_options(item, set()) for item in value)})"
        return f"{word} {_few(value, most=12)}"
    text = f"{value:g}" if isinstance(value, float) else f"{value}"
    if suffix == "_bytes" and isinstance(value, int | float) and value >= 10_000:
        text, unit = f"{value / 1000:g}", "kB"
    else:
        unit = _UNITS.get(suffix, "")
    if isinstance(value, str):
        return f"{word} {text}"
    return f"{text} {unit}" if key == "mbps" else f"{word} {text} {unit}".strip()


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _few(values: Any, most: int = 6) -> str:
    texts = [f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    return ", ".join(texts if len(texts) <= most else [*texts[: most - 2], "…", texts[-1]])
