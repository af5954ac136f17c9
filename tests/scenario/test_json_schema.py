"""The JSON Schema accepts what loading accepts, and editors can use it."""

from __future__ import annotations

import json

import jsonschema
import pytest
from ruamel.yaml import YAML

from testbed import catalog
from testbed.links import links
from testbed.policies import policies
from testbed.scenario import dump, load, load_text
from testbed.scenario.json_schema import json_schema

SHIPPED = [name for name, _ in catalog.entries("scenarios")]


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(json_schema())


def data_of(text):
    return YAML(typ="safe").load(text)


def test_it_is_a_schema_and_plain_json():
    schema = json_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema


def test_it_is_the_same_every_time():
    assert json.dumps(json_schema()) == json.dumps(json_schema())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_is_valid_and_without_warnings(validator, name):
    path = catalog.find("scenarios", name)

    validator.validate(data_of(path.read_text(encoding="utf-8")))

    assert load(path).warnings == ()
    assert load(path).spec.name == name.rpartition("/")[2]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_resolved_scenario_is_valid_and_loads_to_the_same(validator, name):
    scenario = load(name)
    dumped = dump(scenario)

    validator.validate(data_of(dumped))

    assert load_text(dumped) == scenario


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("duration_s: 10", "duration_s: 0"),
        ("duration_s: 10", 'duration_s: "10"'),
        ("name: small", "name: my world"),
        ("name: small", "nmae: small"),
        ("[1, 2]", "[1, 1]"),
        ("[1, 2]", "[]"),
        ("kind: constant", "kind: constnat"),
        ("mbps: 20", "mbps: -1"),
        ("kind: goodput", "kind: goodput\n    safety: 2"),
        ("kind: goodput", "kind: goodput\n    safty: 0.5"),
        ("  narrow:", "  my narrow:"),
        ("fps: 5", "fps: 5, phase: sometimes"),
        ("policies:", "claims: [{metric: width_mean, better: a, than: b}]\npolicies:"),
    ],
)
def test_what_loading_refuses_it_refuses(validator, text, problems, old, new):
    wrong = text(old, new)

    assert problems(wrong)
    assert not validator.is_valid(data_of(wrong))


def test_every_part_is_in_it_and_every_option_is_explained():
    definitions = json_schema()["$defs"]

    for registry, base in ((links, "LinkSpec"), (policies, "PolicySpec")):
        for name in registry:
            part = definitions[f"{base}-{name}"]
            assert {"$ref": f"#/$defs/{base}-{name}"} in definitions[base]["oneOf"]
            assert all("description" in option for option in part["properties"].values()), name


def test_every_key_is_explained():
    schema = json_schema()
    groups = {"the file": schema} | {
        name: group for name, group in schema["$defs"].items() if "properties" in group
    }

    for name, group in groups.items():
        for key, value in group["properties"].items():
            assert "description" in value or "$ref" in value, f"{name}: {key}"
