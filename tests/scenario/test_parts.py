"""A part's constructor is its schema, ours or anybody's."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from testbed import catalog
from testbed.errors import TestbedError, UnknownName
from testbed.links import links
from testbed.model import Policy
from testbed.parts import CatalogFile, Nested, PartRefused, PartSpec, make, markers, spec_model
from testbed.policies import policies
from testbed.registry import Registry
from testbed.scenario import LinkSpec, dump, load_text
from testbed.scenario.json_schema import json_schema


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Pump:
    """Moves water."""

    litres: Annotated[float, Field(gt=0, description="How much.")]
    strokes: int = 3
    colour: Colour = Colour.RED
    sizes: tuple[float, ...] = (1.0,)
    names: Annotated[tuple[str, ...], Field(max_length=2)] = ()
    at: float | Literal["random"] = 0.0
    limits: dict[str, float] = field(default_factory=dict)
    dry: bool = False
    derived: int = field(init=False, default=7)

    def __post_init__(self) -> None:
        if self.strokes == 13:
            raise ValueError("strokes must not be 13")
        if self.strokes == 14:
            raise ValueError("nobody likes 14")


@dataclass(frozen=True)
class Handover:
    """Now one link, now the other."""

    first: Annotated[Any, Nested("link"), Field(description="Used first.")]
    second: Annotated[Any, Nested("link")]
    period_s: Annotated[float, Field(gt=0)] = 10.0

    def __post_init__(self) -> None:
        if self.period_s == 13:
            raise ValueError("period_s must not be 13")

    def medium(self, rng):
        return self.first.medium(rng)


@dataclass
class Oracle(Policy):
    """A policy of somebody else's that reads a trace."""

    trace: Annotated[str, CatalogFile("traces"), Field(description="What it knows.")]

    def choose(self, seen, ladder):
        return ladder[0].point


@dataclass
class Clash:
    """Wants a key that every link has."""

    delay_ms: float = 0.0


class NoDataclass:
    """Has no fields."""


@pytest.fixture
def pumps():
    registry = Registry("pump")
    registry.register("pump", f"{__name__}:Pump")
    registry.register("plain", f"{__name__}:NoDataclass")
    registry.register("absent", "no_such_module_anywhere:Part")
    return registry


@pytest.fixture
def handover(monkeypatch):
    monkeypatch.setitem(links._targets, "switchover", f"{__name__}:Handover")
    monkeypatch.setitem(links._targets, "clash", f"{__name__}:Clash")


class TestModel:
    def test_has_the_constructors_options_with_their_defaults(self, pumps):
        spec = spec_model(pumps, "pump").model_validate({"kind": "pump", "litres": 2})

        assert dict(spec) == {
            "kind": "pump",
            "litres": 2.0,
            "strokes": 3,
            "colour": Colour.RED,
            "sizes": (1.0,),
            "names": (),
            "at": 0.0,
            "limits": {},
            "dry": False,
        }

    @pytest.mark.parametrize(
        ("option", "given", "kept"),
        [
            ("litres", 2, 2.0),  # a whole number where any number will do
            ("sizes", [1, 2.5], (1.0, 2.5)),  # YAML has no tuples
            ("names", ["a", "b"], ("a", "b")),
            ("colour", "blue", Colour.BLUE),
            ("at", "random", "random"),
            ("at", 3, 3.0),
            ("limits", {"a": 1}, {"a": 1.0}),
        ],
    )
    def test_takes_what_yaml_has_for_a_type(self, pumps, option, given, kept):
        data = {"kind": "pump", "litres": 2, option: given}
        spec = spec_model(pumps, "pump").model_validate(data)

        value = getattr(spec, option)
        assert (value, type(value)) == (kept, type(kept))

    @pytest.mark.parametrize(
        ("option", "given"),
        [
            ("litres", "2"),
            ("litres", True),
            ("litres", float("nan")),
            ("litres", float("inf")),
            ("litres", 0),
            ("litres", None),
            ("strokes", 3.0),
            ("strokes", True),
            ("strokes", "3"),
            ("sizes", ["1"]),
            ("sizes", [True]),
            ("sizes", 1),
            ("names", [1]),
            ("names", ["a", "b", "c"]),
            ("colour", "green"),
            ("at", "sometimes"),
            ("limits", {"a": "1"}),
            ("dry", 1),
            ("dry", "true"),
            ("derived", 8),
            ("unheard_of", 1),
        ],
    )
    def test_takes_nothing_else(self, pumps, option, given):
        with pytest.raises(ValidationError):
            spec_model(pumps, "pump").model_validate({"kind": "pump", "litres": 2, option: given})

    def test_cannot_be_changed(self, pumps):
        spec = spec_model(pumps, "pump").model_validate({"kind": "pump", "litres": 2})

        with pytest.raises(ValidationError):
            spec.strokes = 4

    def test_of_an_unknown_part_suggests_the_nearest(self, pumps):
        with pytest.raises(UnknownName, match=r"no pump 'pmup'\. Did you mean 'pump'\?"):
            spec_model(pumps, "pmup")

    def test_of_what_is_no_part_says_so(self, pumps):
        with pytest.raises(TestbedError, match="pump 'plain' must be a dataclass"):
            spec_model(pumps, "plain")

    def test_of_a_part_that_wants_a_common_key_says_so(self, handover):
        with pytest.raises(TestbedError, match="link 'clash' may not call an option 'delay_ms'"):
            spec_model(links, "clash", LinkSpec)


class TestNested:
    def test_imports_only_the_part_that_is_named(self, pumps):
        spec = Nested(pumps).validate({"kind": "pump", "litres": 2})

        assert spec.kind == "pump"  # although another one cannot be imported

    def test_says_why_a_part_cannot_be_imported(self, pumps):
        with pytest.raises(ValidationError, match="pump 'absent' cannot be loaded here: No module"):
            Nested(pumps).validate({"kind": "absent"})


class TestMake:
    def test_gives_the_part(self, pumps):
        spec = spec_model(pumps, "pump").model_validate({"kind": "pump", "litres": 2})

        assert make(pumps, spec) == Pump(litres=2.0)

    def test_leaves_the_keys_of_the_place_to_whoever_asked_for_them(self):
        spec = spec_model(links, "constant", LinkSpec)(kind="constant", mbps=5.0, delay_ms=20.0)

        assert make(links, spec).mbps == 5.0

    @pytest.mark.parametrize(
        ("strokes", "path", "message"),
        [(13, ("strokes",), "strokes must not be 13"), (14, (), "nobody likes 14")],
    )
    def test_says_which_option_a_part_refuses(self, pumps, strokes, path, message):
        given = {"kind": "pump", "litres": 2, "strokes": strokes}
        spec = spec_model(pumps, "pump").model_validate(given)

        with pytest.raises(PartRefused) as caught:
            make(pumps, spec)

        assert (caught.value.path, caught.value.message) == (path, message)

    def test_gives_a_file_as_its_path(self):
        spec = spec_model(links, "replay")(kind="replay", trace="lte/drive-a.up")

        assert make(links, spec).trace == str(catalog.find("traces", "lte/drive-a.up"))


def test_markers_say_what_a_type_cannot():
    found = dict(markers(spec_model(links, "replay")))

    assert found == {"trace": CatalogFile("traces")}


class TestPartInAPart:
    """The third party's link of the documentation: a handover between two links."""

    UPLINK = """\
    kind: switchover
    period_s: 5
    delay_ms: 7
    first: {kind: replay, trace: lte/drive-a.up}
    second: {kind: switchover, first: {kind: constant, mbps: 1}, second: {kind: constant, mbps: 2}}
"""

    @pytest.fixture
    def nested(self, text, handover):
        return text("    kind: replay\n    trace: lte/drive-a.up\n", self.UPLINK)

    def test_is_loaded_made_and_dumped(self, nested):
        scenario = load_text(nested)

        link = make(links, scenario.spec.network.uplink)
        assert isinstance(link, Handover)
        assert isinstance(link.second, Handover)
        assert link.second.second.mbps == 2.0
        assert link.first.trace == str(catalog.find("traces", "lte/drive-a.up"))
        assert scenario.spec.network.uplink.delay_ns == 7_000_000
        assert scenario.spec.network.uplink.first.sha256 == scenario.files["traces/lte/drive-a.up"]
        assert load_text(dump(scenario)) == scenario
        assert pickle.loads(pickle.dumps(scenario)) == scenario

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("mbps: 2", "mbps: -2", "14: second.second.mbps: must be a number above 0"),
            ("mbps: 2", "mpbs: 2", "14: second.second.mpbs: constant has no such option"),
            ("{kind: constant, mbps: 1}", "{kind: constnt}", "14: second.first.kind: no link"),
            ("{kind: constant, mbps: 1}", "5", "14: second.first: must be a link"),
            ("drive-a.up", "drive-z.up", "13: first.trace: no trace 'lte/drive-z.up'"),
            ("period_s: 5", "period_s: 13", "11: period_s: period_s must not be 13"),
            ("mbps: 2}}", "mbps: 2}, period_s: 13}", "14: second.period_s: period_s must not"),
            ("mbps: 2", "mbps: 2, delay_ms: 1", "14: second.second.delay_ms: constant has no"),
        ],
    )
    def test_a_mistake_inside_is_said_where_it_is(self, nested, problems, old, new, expected):
        assert old in nested

        said = problems(nested.replace(old, new))

        assert said[0].replace("network.uplink.", "").startswith(expected)

    def test_stands_in_the_json_schema(self, nested):
        import jsonschema
        from ruamel.yaml import YAML

        schema = json_schema()

        assert {"$ref": "#/$defs/link-switchover"} in schema["$defs"]["link"]["oneOf"]
        data = YAML(typ="safe").load(nested)
        jsonschema.Draft202012Validator(schema).validate(data)
        data["network"]["uplink"]["second"]["first"]["mbps"] = -1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(data)


def test_a_policy_may_name_a_trace_too(text, problems, tmp_path, monkeypatch):
    monkeypatch.setitem(policies._targets, "oracle", f"{__name__}:Oracle")
    (tmp_path / "a.down").write_text("1\n20000\n")
    known = text("kind: goodput", "kind: oracle\n    trace: a.down")

    scenario = load_text(known, folder=tmp_path)

    oracle = make(policies, scenario.spec.policies["adaptive"])
    assert oracle.trace == str(tmp_path / "a.down")
    assert str(tmp_path / "a.down") in scenario.files
    assert scenario.warnings == ()
    assert load_text(dump(scenario)) == scenario
    (said,) = problems(known.replace("a.down", "b.down"))
    assert said.startswith("23: policies.adaptive.trace: no trace 'b.down'")


def test_a_spec_of_a_place_keeps_to_its_type():
    assert issubclass(spec_model(links, "constant", LinkSpec), LinkSpec)
    assert issubclass(spec_model(links, "constant"), PartSpec)
