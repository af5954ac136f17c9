"""What loading gives: a frozen scenario with every default filled in."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import FrozenInstanceError

import pytest
from pydantic import ValidationError

from testbed import catalog
from testbed.errors import InputErrors
from testbed.links.replay import Replay
from testbed.model import LOCAL, SKIP, OperatingPoint
from testbed.parts import make, table
from testbed.scenario import dump, load, load_text
from testbed.scenario.schema import to_ns


def test_every_default_is_filled_in(text):
    spec = load_text(text()).spec

    assert spec.server.batch.max == 1
    assert spec.server.queue.limit == 64
    assert spec.network.transport.kind == "ideal"
    assert spec.network.uplink.sharing == "processor-sharing"
    assert spec.network.uplink.queue_bytes is None
    (client,) = spec.clients
    assert (client.count, client.queue.limit, client.queue.drop) == (1, 4, "oldest")
    assert (client.drop_expired, client.answer_bytes, client.source.phase) == (False, 400, "random")
    assert spec.policies["adaptive"].safety == 0.9


def test_profiles_and_detector_come_with_the_scenario(text):
    scenario = load_text(text())

    (client,) = scenario.clients
    assert scenario.server.name == "t4-trt-int8"
    assert client.device.name == "raspberry-pi-5"
    assert client.radio.name == "lte-2021"
    assert client.detector.name == "published/efficientdet-d2-bw"


@pytest.mark.parametrize(
    ("value", "ns_per_unit", "expected"),
    [
        (0.1, 1_000_000, 100_000),
        (0.0000005, 1_000_000, 0),  # half to even
        (0.0000015, 1_000_000, 2),
        (60, 10**9, 60 * 10**9),
        (8.1, 1_000_000, 8_100_000),
        (1e-7, 10**9, 100),
    ],
)
def test_durations_become_nanoseconds_exactly(value, ns_per_unit, expected):
    assert to_ns(value, ns_per_unit) == expected


def test_a_scenario_cannot_be_changed(text):
    scenario = load_text(text())

    with pytest.raises(FrozenInstanceError):
        scenario.digest = "x"
    with pytest.raises(ValidationError):
        scenario.spec.duration_s = 5


def test_json_is_a_scenario_too(text):
    import json

    from ruamel.yaml import YAML

    data = YAML(typ="safe").load(text())

    assert load_text(json.dumps(data)) == load_text(text())


class TestLadder:
    def test_has_every_width_of_the_table_with_its_cost_on_this_device(self, text):
        scenario = load_text(text())
        (client,) = scenario.clients

        assert len(client.ladder) == 11
        rung = client.ladder.at(OperatingPoint(0.25))
        assert rung.payload_bytes == 110592
        assert rung.accuracy == 0.3845
        assert rung.device_mac == 2272760954 + 239217708
        assert rung.encode_ns == client.device.encode_ns(rung.device_mac)
        assert rung.encode_j == client.device.encode_j(rung.device_mac)
        assert rung.decode_ns == scenario.server.decode_ns(rung.server_mac)

    def test_has_only_the_widths_asked_for(self, text):
        scenario = load_text(text("{fps: 5}", "{fps: 5}\n    ladder: {widths: [1, 0.25]}"))

        (client,) = scenario.clients
        assert [rung.point.width for rung in client.ladder] == [0.25, 1.0]

    def test_skipping_costs_nothing_and_local_is_the_whole_detector_on_the_device(self, text):
        modes = "{fps: 5}\n    ladder: {widths: [0.25], modes: [split, local, skip]}"
        (client,) = load_text(text("{fps: 5}", modes)).clients

        skip, local = client.ladder.at(SKIP), client.ladder.at(LOCAL)
        assert (skip.payload_bytes, skip.encode_ns, skip.encode_j, skip.accuracy) == (0, 0, 0, 0)
        assert (local.payload_bytes, local.decode_ns, local.accuracy) == (0, 0, 0.4216)
        assert local.encode_ns == client.device.encode_ns(11141140809)

    def test_without_split_has_no_widths(self, text):
        (client,) = load_text(text("{fps: 5}", "{fps: 5}\n    ladder: {modes: [local]}",
                                   "narrow: {kind: fixed, width: 0.25}",
                                   "narrow: {kind: fixed, mode: local}")).clients  # fmt: skip

        assert [rung.point for rung in client.ladder] == [LOCAL]


class TestDump:
    def test_loading_the_dump_gives_an_equal_scenario(self, text):
        scenario = load_text(text())

        assert load_text(dump(scenario)) == scenario

    def test_a_dump_of_a_dump_is_the_same_text(self, text):
        dumped = dump(load_text(text()))

        assert dump(load_text(dumped)) == dumped

    def test_files_of_the_users_own_are_found_from_anywhere(self, text, tmp_path, monkeypatch):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "a.up").write_text("1\n20\n40\n")
        scenario = load_text(text("lte/drive-a.up", "mine/a.up"), folder=tmp_path)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)

        again = load_text(dump(scenario))

        assert again == scenario
        assert again.spec.network.uplink.trace == str(tmp_path / "mine" / "a.up")

    def test_a_trace_that_changed_since_is_refused(self, text, tmp_path, problems):
        trace = tmp_path / "a.up"
        trace.write_text("1\n20\n40\n")
        dumped = dump(load_text(text("lte/drive-a.up", "a.up"), folder=tmp_path))
        trace.write_text("1\n20\n41\n")

        (problem,) = problems(dumped)

        assert "network.uplink.sha256: " in problem
        assert "has changed since this was written" in problem

    def test_a_profile_that_changed_since_is_refused(self, text, tmp_path, problems):
        profile = tmp_path / "mine.yaml"
        shipped = catalog.find("devices/devices", "raspberry-pi-5").read_text()
        profile.write_text(shipped)
        dumped = dump(load_text(text("raspberry-pi-5", "mine.yaml"), folder=tmp_path))
        profile.write_text(shipped + "# later\n")

        (problem,) = problems(dumped)

        assert f"sha256.{profile}: " in problem
        assert "has changed since this was written" in problem


class TestDigest:
    def test_is_the_same_wherever_a_file_of_the_users_own_lies(self, text, tmp_path):
        digests = set()
        for folder in ("here", "there"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / f"{folder}.up").write_text("1\n20\n40\n")
            scenario = load_text(text("lte/drive-a.up", f"{folder}.up"), folder=tmp_path / folder)
            digests.add(scenario.digest)

        assert len(digests) == 1

    def test_changes_with_the_content_of_a_file(self, text, tmp_path):
        digests = set()
        for content in ("1\n20\n40\n", "1\n20\n41\n"):
            (tmp_path / "a.up").write_text(content)
            digests.add(load_text(text("lte/drive-a.up", "a.up"), folder=tmp_path).digest)

        assert len(digests) == 2

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("fps: 5", "fps: 6"),
            ("seeds: [1, 2]", "seeds: [1, 3]"),
            ("name: small", "name: other"),
            ("goodput", "goodput\n    safety: 0.8"),
        ],
    )
    def test_changes_with_every_key(self, text, old, new):
        assert load_text(text()).digest != load_text(text(old, new)).digest

    def test_does_not_change_when_a_default_is_written_down(self, text):
        explicit = text("profile: t4-trt-int8", "profile: t4-trt-int8\n  workers: 1")

        assert load_text(text()).digest == load_text(explicit).digest


class TestFiles:
    def test_every_file_is_listed_with_its_checksum(self, text):
        files = load_text(text()).files

        trace = catalog.find("traces", "lte/drive-a.up").read_bytes()
        assert files["traces/lte/drive-a.up"] == hashlib.sha256(trace).hexdigest()
        assert set(files) == {
            "traces/lte/drive-a.up",
            "devices/servers/t4-trt-int8",
            "devices/devices/raspberry-pi-5",
            "devices/radios/lte-2021",
            "published/efficientdet-d2-bw",
        }

    def test_a_path_into_the_catalogue_is_the_name_there(self, text):
        path = str(catalog.find("traces", "lte/drive-a.up"))

        assert load_text(text("lte/drive-a.up", path)) == load_text(text())

    def test_a_part_gets_the_path_of_its_file(self, text):
        link = make(table("link"), load_text(text()).spec.network.uplink)

        assert isinstance(link, Replay)
        assert link.read().mean_bps == pytest.approx(6e6, rel=1e-3)


def test_a_scenario_can_go_to_another_process(text):
    scenario = load_text(text())

    assert pickle.loads(pickle.dumps(scenario)) == scenario


def test_clients_of_a_group_have_names_that_a_larger_group_keeps(text):
    three = load_text(text("name: camera", "name: camera\n    count: 3")).spec.clients[0]
    four = load_text(text("name: camera", "name: camera\n    count: 4")).spec.clients[0]

    assert three.names == ("camera", "camera-2", "camera-3")
    assert four.names[:3] == three.names


class TestPath:
    def test_a_scenario_of_the_catalogue_has_a_name(self):
        assert load("quickstart") == load(catalog.find("scenarios", "quickstart"))

    def test_relative_paths_begin_where_the_scenario_is(self, text, tmp_path, monkeypatch):
        (tmp_path / "a.up").write_text("1\n20\n40\n")
        (tmp_path / "s.yaml").write_text(text("lte/drive-a.up", "a.up"))
        monkeypatch.chdir("/")

        scenario = load(tmp_path / "s.yaml")

        assert scenario.spec.network.uplink.trace == str(tmp_path / "a.up")

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("quikstart", "no such file or scenario. Did you mean 'quickstart'?"),
            ("quikstart.yaml", "no such file or scenario. Did you mean 'quickstart'?"),
            (".", "is a folder; a scenario is a YAML file"),
        ],
    )
    def test_what_is_no_scenario_is_said(self, name, message):
        with pytest.raises(InputErrors, match=message):
            load(name)

    def test_a_file_that_may_not_be_read_is_said(self, tmp_path, monkeypatch):
        path = tmp_path / "s.yaml"
        path.write_text("schema: 1")

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(type(path), "open", refuse)

        with pytest.raises(InputErrors, match=r"s\.yaml: cannot be read: Permission denied"):
            load(path)


class TestWarnings:
    def test_a_sound_scenario_has_none(self, text):
        assert load_text(text()).warnings == ()

    @pytest.mark.parametrize(
        ("old", "new", "warning"),
        [
            ("[1, 2]", "[1]", "seeds: one seed gives no confidence intervals"),
            ("duration_s: 10", "duration_s: 150", "network.uplink.trace: lasts 120 s and repeats"),
            ("drive-a.up", "drive-a.down", "a trace of the direction 'down' is used as uplink"),
            ("fps: 5", "fps: 100", "clients.0.source.fps: the encoder needs 28 ms for a frame"),
            ("deadline_ms: 300", "deadline_ms: 20", "no answer can meet the deadline of 20 ms"),
            (
                "d2-bw",
                "d2-fixed",
                "clients.0.weights: each width of published/efficientdet-d2-fixed has weights of",
            ),
            ("{fps: 5}", "{fps: 5, dataset: scenes}", "clients.0.source.dataset: has no effect"),
        ],
    )
    def test_what_a_reader_should_know_is_said(self, text, old, new, warning):
        (said,) = load_text(text(old, new)).warnings

        assert warning in said

    @pytest.mark.parametrize("transport", ["tcp", "datagram"])
    @pytest.mark.parametrize("sharing", ["processor-sharing", "round-robin", "proportional-fair"])
    def test_a_transport_in_a_shared_cell_is_said_to_be_counted_only(
        self, text, transport, sharing
    ):
        overrides = [
            f"network.transport={{kind: {transport}}}",
            f"network.uplink.sharing={sharing}",
            "network.downlink.sharing=none",
            "clients.0.count=2",
        ]

        (said,) = load_text(text(), overrides=overrides).warnings

        assert said.startswith(f"network.uplink.sharing: with {sharing} only the bytes on the wire")
        assert f"of {transport} are counted" in said
        assert "Use `sharing: none` or `sharing: fifo`" in said

    @pytest.mark.parametrize(
        "overrides",
        [
            ["network.transport={kind: tcp}"],
            ["network.transport={kind: ideal}", "clients.0.count=2"],
            [
                "network.transport={kind: tcp}",
                "clients.0.count=2",
                "network.uplink.sharing=fifo",
                "network.downlink.sharing=none",
            ],
        ],
        ids=["alone", "ideal", "every packet is there"],
    )
    def test_nothing_is_said_of_a_transport_that_is_simulated(self, text, overrides):
        assert load_text(text(), overrides=overrides).warnings == ()

    @pytest.mark.parametrize(
        "override",
        [
            "policies.adaptive={kind: fixed, width: 0.5}",
            "clients.0.weights={residency: dram, set_mb: 3}",
            "clients.0.ladder.widths=[0.25]",
        ],
        ids=["nobody switches", "it has its price", "nothing to switch to"],
    )
    def test_nothing_is_said_of_separate_networks_that_are_accounted_for(self, text, override):
        scenario = load_text(text("d2-bw", "d2-fixed"), overrides=[override])

        assert scenario.warnings == ()
