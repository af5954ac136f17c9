"""What `ls`, `show` and `doctor` say, to people and to programs."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from importlib import metadata

import pytest

from testbed import catalog, cli
from testbed.cli.kinds import KINDS
from testbed.detectors import published
from testbed.detectors.configurations import CONFIGURATIONS
from testbed.policies import policies


@pytest.fixture
def testbed(monkeypatch, capsys):
    """Run the command line in this process; return exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["testbed", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        printed = capsys.readouterr()
        return left.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture
def look(testbed):
    """Run a command that must succeed with --json; return what it printed."""

    def run(*arguments):
        code, out, err = testbed(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


@pytest.fixture
def own_catalogue(monkeypatch, tmp_path):
    """A catalogue in a folder of the user's."""
    monkeypatch.setenv("TESTBED_CATALOG", str(tmp_path))
    for shelf in ("traces", "devices/devices", "devices/radios", "devices/servers", "scenarios"):
        (tmp_path / shelf).mkdir(parents=True)
    return tmp_path


def test_everything_there_is_to_choose_from_is_listed_with_a_line_about_it(look):
    entries = look("ls")

    assert [e["kind"] for e in entries] == [
        kind.name for kind in KINDS.values() for _ in kind.names()
    ]
    assert {e["kind"] for e in entries} == set(KINDS)
    for entry in entries:
        assert entry["description"], entry
        assert "cannot be read" not in entry["description"], entry


@pytest.mark.parametrize("kind", ["policy", "policies"])
def test_one_kind_is_listed_by_its_name_in_the_singular_or_the_plural(look, kind):
    assert [entry["name"] for entry in look("ls", kind)] == list(policies)


def test_every_detector_table_is_listed_with_its_title(look):
    listed = {entry["name"]: entry["description"] for entry in look("ls", "detectors")}

    assert list(listed) == ["scenes", *published.names(), *CONFIGURATIONS]
    assert listed["scenes"] == "Recording of scenes-d0-bw on video: 35 points, 1800 frames"
    assert listed["published/efficientdet-d2-bw"] == (
        "EfficientDet-D2, bandwidth-configurable, C = 48; 11 points, published"
    )


def test_a_scenario_is_described_by_the_comment_that_opens_it(look, own_catalogue):
    text = "# Two cameras in a train.\n# They share a cell. And more.\nschema: 1\n"
    (own_catalogue / "scenarios" / "train.yaml").write_text(text)

    assert look("ls", "scenarios") == [
        {"kind": "scenario", "name": "train", "description": "Two cameras in a train."}
    ]


def test_a_broken_file_is_listed_with_what_is_wrong_and_hides_nothing(look, own_catalogue):
    (own_catalogue / "traces" / "bad.up").write_text("1\nfive\n")
    (own_catalogue / "traces" / "good.up").write_text("1\n2\n")
    bad, good = look("ls", "traces")

    assert bad["description"].startswith("cannot be read: ")
    assert "bad.up:2" in bad["description"]
    assert good["description"] == "up, 12.00 Mbit/s on average, 0.002 s"


def test_a_part_is_shown_with_type_default_and_meaning_of_each_option(look):
    page = look("show", "policy", "goodput")

    assert page["made_by"] == "testbed.policies.goodput:Goodput"
    assert {
        "option": "safety",
        "type": "number > 0, <= 1",
        "required": False,
        "default": 0.9,
        "description": "Share of the estimate to count on.",
    } in page["options"]


def test_an_option_without_default_is_marked_required(look):
    options = {option["option"]: option for option in look("show", "link", "replay")["options"]}

    assert options["trace"]["required"]
    assert options["start_s"] | {"description": ""} == {
        "option": "start_s",
        "type": "number >= 0 or random",
        "required": False,
        "default": 0.0,
        "description": "",
    }


@pytest.mark.parametrize("kind", ["policy", "link", "transport", "format"])
def test_every_part_can_be_shown(look, kind):
    for name in KINDS[kind].names():
        assert look("show", kind, name)["name"] == name


@pytest.mark.parametrize("kind", ["device", "radio", "server"])
def test_every_figure_of_a_profile_comes_with_kind_and_source(look, kind):
    names = KINDS[kind].names()
    assert names

    for name in names:
        figures = look("show", kind, name)["figures"]
        assert len(figures) >= 3
        for figure in figures:
            assert figure["kind"] in ("measured", "published", "assumed")
            assert len(figure["source"]) > 3


def test_the_audit_names_the_dominated_widths_of_d2(look):
    page = look("show", "detector", "published/efficientdet-d2-bw")
    dominated = {p["width"]: p["dominated_by"] for p in page["points"] if p["dominated_by"]}

    assert dominated == {0.5: 0.416, 0.75: 0.66, 0.83: 0.66, 1.0: 0.916}
    assert page["jpeg95_bytes"] == 404_049
    assert page["other_counts"][-1]["compressor_mac_clean"] == 332_667_948
    assert {source["kind"] for source in page["sources"]} == {"published", "computed"}


def test_the_audit_says_where_a_whole_jpeg_is_smaller(testbed):
    out = " ".join(testbed("show", "detector", "published/efficientdet-d2-bw")[1].split())

    assert "Dominated: α = 0.5, 0.75, 0.83, 1." in out
    assert "404,049 bytes at quality 95, less than α = 0.916, 1 sends" in out


def test_a_table_without_dominated_points_says_so(testbed):
    out = testbed("show", "detector", "published/efficientdet-d2-fixed")[1]

    assert "No point is dominated by another." in out


@pytest.mark.parametrize("name", published.names())
def test_every_detector_table_can_be_shown(look, name):
    assert look("show", "detector", name)["name"] == name


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_network_can_be_shown_without_torch(look, name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    shown = look("show", "detector", name)

    assert shown["name"] == name
    assert shown["widths"] == list(CONFIGURATIONS[name].widths)
    assert ("points" in shown) == (shown["kind"] != "teacher")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("efficientdet-d2-bw", "published/efficientdet-d2-bw"),
        ("efficientdet-d1-c30", "published/efficientdet-d1-fixed"),
        ("mask-rcnn-b9ch", "published/mask-rcnn-ghnd"),
        ("faster-rcnn-cp", "published/faster-rcnn-cp"),
    ],
)
def test_a_network_names_its_table_and_sends_the_bytes_that_stand_there(look, name, table):
    shown = look("show", "detector", name)
    published_bytes = {
        (point.channels, published.load(table).payload_bytes_at(point.width, bits), bits)
        for point in published.load(table).points
        for bits in (8, 4, 2)
    }

    assert shown["published_table"] == table
    for point in shown["points"]:
        for bits in (8, 4, 2):
            found = (point["channels"], point[f"payload_{bits}bit_bytes"], bits)
            assert found in published_bytes


def test_a_network_of_no_table_names_none(look):
    assert look("show", "detector", "tiny-d0-cp")["published_table"] is None


def test_what_each_part_of_a_network_costs_is_counted_on_request(look):
    pytest.importorskip("effdet", reason="needs the extra `detect`")
    shown = look("show", "detector", "efficientdet-d2-c12", "--macs")
    parts = {part["part"]: part for part in shown["parts"]}

    assert parts["encoder"]["mac"] == 2_272_760_954
    assert parts["compressor"]["mac"] == parts["compressor"]["mac_published"] == 236_452_908
    assert parts["compressor"]["output"] == [12, 96, 96]
    assert shown["sides"] == [
        {
            "width": 1.0,
            "device_mac": 2_272_760_954 + 236_452_908,
            "device_mac_published": 2_272_760_954 + 236_452_908,
            "device_parameters": 133_546 + 32_868,
            "server_mac": 8_928_321_226,
            "server_mac_published": 8_928_321_226,
            "server_parameters": 7_970_504,
        }
    ]


def test_counting_without_torch_says_what_to_install(testbed, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("testbed.detectors.macs")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, err = testbed("show", "detector", "tiny-d0", "--macs")

    assert (code, out) == (3, "")
    assert err == "counting needs torch: install the extra `detect`\n"


def test_a_trace_is_shown_with_units_in_the_keys(look, own_catalogue):
    path = own_catalogue / "traces" / "lte-walk.up"
    path.write_text("1\n2\n2\n4\n")
    page = look("show", "trace", "lte-walk.up")

    assert page["path"] == str(path)
    assert (page["period_s"], page["samples"], page["mean_mbps"]) == (0.004, 4, 12.0)
    assert (page["technology"], page["direction"]) == ("lte", "up")


def test_a_scenario_is_printed_as_it_stands(testbed, look, own_catalogue):
    text = "# Short.\nschema: 1\nname: short  # α\n"
    (own_catalogue / "scenarios" / "short.yaml").write_text(text)

    assert testbed("show", "scenario", "short") == (0, text, "")
    assert look("show", "scenario", "short")["content"] == text


def test_every_shipped_scenario_opens_with_a_comment_that_describes_it(look):
    for entry in look("ls", "scenarios"):
        assert entry["description"].endswith((".", "?")), entry


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("ls", "polices"), "no kind 'polices'. Did you mean 'policies'?"),
        (("show", "polcy", "fixed"), "no kind 'polcy'. Did you mean 'policy'?"),
        (("show", "policy", "goodputt"), "no policy 'goodputt'. Did you mean 'goodput'?"),
        (("show", "link", "replai"), "no link 'replai'. Did you mean 'replay'?"),
        (("show", "device", "no-such-thing"), "no device 'no-such-thing'"),
        (("show", "trace", "/no/such.up"), "no such file: '/no/such.up'"),
        (
            ("show", "detector", "efficientdet-d2-bv"),
            "no detector 'efficientdet-d2-bv'. Did you mean 'efficientdet-d2-bw'?",
        ),
        (("show", "policy", "fixed", "--macs"), "--macs is for detectors, and fixed is a policy"),
        (
            ("show", "detector", "published/efficientdet-d2-bw", "--macs"),
            "--macs counts a network, and published/efficientdet-d2-bw is a table",
        ),
    ],
)
def test_an_unknown_name_is_one_line_that_suggests_the_nearest(testbed, arguments, expected):
    code, out, err = testbed(*arguments)

    assert (code, out) == (2, "")
    assert err.startswith(expected)
    assert err.count("\n") == 1


def test_a_pipe_gets_plain_lines_that_are_neither_coloured_nor_cut_off(testbed):
    code, out, _ = testbed("show", "detector", "published/faster-rcnn-cp")

    assert code == 0
    assert "\x1b" not in out
    assert published.load("published/faster-rcnn-cp").columns["map"].text in out


def test_a_terminal_gets_a_table_that_fits(testbed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, _ = testbed("ls", "policies")

    assert code == 0
    assert "─" in out
    shown = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, shown.splitlines())) <= 90
    assert "to beat." in shown  # wrapped, not cut off


def test_the_doctor_finds_the_core_and_says_what_the_rest_is_for(look):
    report = look("doctor")
    found = {finding["what"]: finding for finding in report["findings"]}

    assert report["can_run"] is True
    assert {
        "Python",
        "numpy",
        "catalogue",
        "runs folder",
        "chromium",
        "emulation: tun",
        "root",
    } <= set(found)
    assert found["numpy"] == {
        "status": "ok",
        "what": "numpy",
        "detail": metadata.version("numpy"),
        "needed_for": "everything",
    }
    assert all(finding["needed_for"] for finding in report["findings"])


def test_a_missing_core_library_is_named_and_the_exit_code_is_3(testbed, monkeypatch):
    real = metadata.version

    def version(name):
        if name == "numpy":
            raise metadata.PackageNotFoundError(name)
        return "0.0.1" if name == "pandas" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    code, out, _ = testbed("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(out)["findings"]}

    assert code == 3
    assert (findings["numpy"]["status"], findings["numpy"]["detail"]) == (
        "missing",
        "not installed",
    )
    assert findings["pandas"]["detail"].startswith("0.0.1; 2.2 or later")
    assert json.loads(out)["notes"] == ["Nothing runs without: numpy, pandas."]


def test_a_missing_extra_is_absent_and_no_failure(testbed, monkeypatch):
    real = metadata.version

    def version(name):
        if name == "ruff":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    code, out, _ = testbed("doctor", "--json")
    (ruff,) = [f for f in json.loads(out)["findings"] if f["what"] == "ruff"]

    assert code == 0
    assert (ruff["status"], ruff["needed_for"]) == (
        "absent",
        "developing: tests, linting, building",
    )


def test_an_empty_catalogue_is_missing(testbed, own_catalogue):
    code, out, _ = testbed("doctor")

    assert code == 3
    assert f"{own_catalogue}: 0 traces, 0 devices/devices, 0 scenarios" in out
    assert "Nothing runs without: catalogue." in out


def test_a_folder_without_permission_to_write_is_named_with_the_way_out(testbed, monkeypatch):
    elsewhere = tempfile.TemporaryFile

    def refuse(**options):
        if "dir" not in options:  # what probes a backend, unless one has been probed before
            return elsewhere(**options)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    code, out, _ = testbed("doctor")

    assert code == 3
    assert "Permission denied; `testbed run --out DIR` names another" in out


def test_looking_around_needs_no_scenario_folder_of_the_checkout(look, own_catalogue):
    assert look("ls", "scenarios") == []
    assert [name for name, _ in catalog.entries("scenarios")] == []
