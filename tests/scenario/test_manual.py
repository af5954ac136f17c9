"""The manual's page on scenarios agrees with the schema, key by key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from testbed.errors import InputErrors
from testbed.links import links
from testbed.parts import PartSpec, spec_model
from testbed.scenario import load_text, schema
from testbed.scenario.explain import allowed, fields_of, fragment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"

TABLES = {
    "The file": schema.ScenarioSpec,
    "`server`": schema.ServerSpec,
    "`server.batch`": schema.BatchSpec,
    "`server.queue`": schema.ServerQueueSpec,
    "`network`": schema.NetworkSpec,
    "`network.uplink` and `network.downlink`": schema.LinkSpec,
    "A link of kind `constant`": spec_model(links, "constant"),
    "A link of kind `replay`": spec_model(links, "replay"),
    "`clients`": schema.ClientSpec,
    "`clients.N.source`": schema.SourceSpec,
    "`clients.N.ladder`": schema.LadderSpec,
    "`clients.N.queue`": schema.ClientQueueSpec,
    "`clients.N.battery`": schema.BatterySpec,
    "`clients.N.weights`": schema.WeightsSpec,
    "`utility`": schema.UtilitySpec,
    "`claims`": schema.ClaimSpec,
}


def table_of(model):
    """Return the table of a model's keys as Markdown."""
    rows = ["| key | allowed | default | what |", "|---|---|---|---|"]
    own = model is schema.LinkSpec or not issubclass(model, PartSpec)
    for key, field in fields_of(model).items():
        if key == "kind" and not own:
            continue
        takes = re.sub(r" \((\w+, )+\w+\)", "", allowed(fragment(field)))
        if key == "metric":
            takes = "a metric"  # all forty are in the page on metrics
        rows.append(f"| `{key}` | {takes} | {default_of(field)} | {field.description} |")
    return "\n".join(rows)


def default_of(field):
    if field.is_required():
        return "required"
    value = field.default
    if value is PydanticUndefined or value == ():
        return "–"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    if value is None or isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def sections():
    """Return heading -> text of the page."""
    parts = re.split(r"^#+ (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("heading", "model"), TABLES.items(), ids=TABLES)
def test_every_key_stands_in_the_manual_as_in_the_schema(heading, model):
    assert table_of(model) in sections()[heading]


def test_every_model_of_the_schema_has_a_table():
    models = {
        value
        for value in vars(schema).values()
        if isinstance(value, type) and issubclass(value, schema.Keys) and value is not schema.Keys
    }

    assert models <= set(TABLES.values())


def blocks():
    """Return the example of the manual, and the mistakes that it shows."""
    page = PAGE.read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(schema: 1\n.*?)```", page, re.DOTALL)
    mistakes = re.search(r"```\n(mine.yaml:.*?)```", page, re.DOTALL)
    return example[1], mistakes[1]


def test_the_example_of_the_manual_is_a_scenario():
    example, _ = blocks()

    assert load_text(example).warnings == ()


def test_the_mistakes_of_the_manual_are_said_in_its_words():
    example, mistakes = blocks()
    for right, wrong in (
        ("duration_s", "duration"),
        ("deadline_ms: 300", "deadline_ms: 0.3s"),
        ("mbps: 20", "mbps: -20"),
        ("{fps: 5}", "{fps: 5}\n    ladder: {widths: [0.167, 0.42]}"),
        ("{kind: goodput}", "{kind: goodput, safty: 0.8}"),
    ):
        assert right in example
        example = example.replace(right, wrong)

    with pytest.raises(InputErrors) as caught:
        load_text(example, file="mine.yaml")

    assert f"{caught.value}\n" == mistakes
