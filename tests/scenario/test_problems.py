"""Every mistake is said once, where it is, with what is allowed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from testbed.errors import InputErrors
from testbed.scenario import load, load_text

CLIENT = """\
clients:
  - name: camera
    device: raspberry-pi-5
    radio: lte-2021
    detector: published/efficientdet-d2-bw
    source: {fps: 5}
"""

ONE_MISTAKE = {
    # Keys.
    "unknown key": (
        "name: small", "nmae: small",
        ["2: nmae: no such key. Did you mean 'name'? Known: "],
    ),
    "missing key": (
        "deadline_ms: 300\n", "",
        ["deadline_ms: required: from capture to answer, ms; an answer after that is late "
         "(a number above 0)"],
    ),
    "missing key of a group": (
        "    radio: lte-2021\n", "",
        ["14: clients.0.radio: required: radio profile"],
    ),
    "missing group": (
        "server:\n  profile: t4-trt-int8\n", "",
        ["server: required: who decodes (a group of keys (profile, workers, batch"],
    ),
    "missing option of a part": (
        "{kind: constant, mbps: 20}", "{kind: constant}",
        ["12: network.downlink.mbps: required: rate, Mbit/s (10⁶ bit/s) (a number above 0 and up "
         "to 1000000)"],
    ),
    "unknown option of a part": (
        "kind: goodput", "kind: goodput\n    safty: 0.8",
        ["23: policies.adaptive.safty: goodput has no such option. Did you mean 'safety'? Known: "
         "estimator, kind, probe_every, pruned, safety"],
    ),
    "group of keys where a value is wanted": (
        "duration_s: 10", "duration_s: {s: 10}",
        ["4: duration_s: must be a number above 0, not a group of keys"],
    ),
    "value where a group of keys is wanted": (
        "source: {fps: 5}", "source: 5",
        ["18: clients.0.source: must be a group of keys (dataset, fps, phase), not 5"],
    ),
    "clients that are no list": (
        CLIENT, "clients: camera\n",
        ["13: clients: must be a list of groups of keys (name, count, "],
    ),
    "policies that are a list": (
        "  narrow: {kind: fixed, width: 0.25}\n  adaptive:\n    kind: goodput\n", "  [narrow]\n",
        ["19: policies: must be a group of names, each with a value, not a list"],
    ),
    # Units.
    "another unit": (
        "deadline_ms: 300", "deadline_s: 0.3",
        ["5: deadline_s: no such key; write `deadline_ms: 300`"],
    ),
    "no unit in the key": (
        "duration_s: 10", "duration: 10",
        ["4: duration: no such key; write `duration_s: 10`"],
    ),
    "the unit at the value": (
        "{kind: constant, mbps: 20}", "{kind: constant, mbps: 20, delay: 25ms}",
        ["12: network.downlink.delay: no such key; write `delay_ms: 25`"],
    ),
    "another rate": (
        "{kind: constant, mbps: 20}", "{kind: constant, kbps: 20000}",
        ["12: network.downlink.kbps: no such key; write `mbps: 20`"],
    ),
    "a number in quotes": (
        "{kind: constant, mbps: 20}", '{kind: constant, mbps: "20"}',
        ["12: network.downlink.mbps: must be a number above 0 and up to 1000000, "
         "not the text '20'; write 20"],
    ),
    "another unit at the value": (
        "deadline_ms: 300", "deadline_ms: 0.3s",
        ["5: deadline_ms: must be a number above 0, not the text '0.3s'; write 300"],
    ),
    # Values.
    "zero duration": (
        "duration_s: 10", "duration_s: 0",
        ["4: duration_s: must be a number above 0, not 0"],
    ),
    "a duration that is nothing": (
        "deadline_ms: 300", "deadline_ms: 1e-9",
        ["5: deadline_ms: is less than a nanosecond"],
    ),
    "not a number": (
        "duration_s: 10", "duration_s: .nan",
        ["4: duration_s: must be a number above 0, not nan"],
    ),
    "infinite": (
        "duration_s: 10", "duration_s: .inf",
        ["4: duration_s: must be a number above 0, not inf"],
    ),
    "true is no number": (
        "duration_s: 10", "duration_s: true",
        ["4: duration_s: must be a number above 0, not true"],
    ),
    "null": (
        "duration_s: 10", "duration_s:",
        ["4: duration_s: must be a number above 0, not null"],
    ),
    "half a worker": (
        "profile: t4-trt-int8", "profile: t4-trt-int8\n  workers: 1.5",
        ["8: server.workers: must be a whole number from 1 up, not 1.5"],
    ),
    "negative rate": (
        "mbps: 20", "mbps: -20",
        ["12: network.downlink.mbps: must be a number above 0 and up to 1000000, not -20"],
    ),
    "zero clients": (
        "name: camera", "name: camera\n    count: 0",
        ["15: clients.0.count: must be a whole number from 1 to 10000, not 0"],
    ),
    "no clients": (
        CLIENT, "clients: []\n",
        ["13: clients: must be a list of groups of keys (name, count, device, mode, "
         "radio, detector, source, ladder, queue, drop_expired, battery, ambient_c, weights, "
         "answer_bytes), not an empty list"],
    ),
    "no policies": (
        "  narrow: {kind: fixed, width: 0.25}\n  adaptive:\n    kind: goodput\n", "  {}\n",
        ["19: policies: must be "],
    ),
    "no seeds": (
        "[1, 2]", "[]",
        ["3: seeds: must be a list of whole numbers from 0 to 2147483647, not an empty list"],
    ),
    "a negative seed": (
        "[1, 2]", "[1, -2]",
        ["3: seeds.1: must be a whole number from 0 to 2147483647, not -2"],
    ),
    "the same seed again": (
        "[1, 2]", "[1, 2, 1]",
        ["3: seeds: 1: there more than once; keep one"],
    ),
    "a choice that is none": (
        "source: {fps: 5}", "source: {fps: 5}\n    queue: {drop: latest}",
        ["19: clients.0.queue.drop: must be 'newest' or 'oldest', not the text 'latest'"],
    ),
    "one of two types": (
        "source: {fps: 5}", "source: {fps: 5, phase: randm}",
        ["18: clients.0.source.phase: must be a number from 0 up or 'random', not the text "
         "'randm'"],
    ),
    "a name with a space": (
        "name: camera", "name: my camera",
        ["14: clients.0.name: must be made of letters, digits, '-', '_' and '.'"],
    ),
    "a name that is a folder": (
        "name: small", "name: ..",
        ["2: name: must be made of letters, digits, '-', '_' and '.'"],
    ),
    "a later version of the format": (
        "schema: 1", "schema: 2",
        ["1: schema: must be 1, not 2"],
    ),
    # Names.
    "unknown device": (
        "raspberry-pi-5", "raspbery-pi-5",
        ["15: clients.0.device: no device 'raspbery-pi-5'. Did you mean 'raspberry-pi-5'? Known: "],
    ),
    "unknown radio": (
        "lte-2021", "lte-2020",
        ["16: clients.0.radio: no radio 'lte-2020'. Did you mean 'lte-20"],
    ),
    "unknown server": (
        "t4-trt-int8", "t4-int8",
        ["7: server.profile: no server 't4-int8'. Did you mean 't4-trt-int8'? Known: "],
    ),
    "unknown detector": (
        "efficientdet-d2-bw", "efficientdet-d3-bw",
        ["17: clients.0.detector: no detector 'published/efficientdet-d3-bw'. Did you mean "],
    ),
    "missing trace": (
        "lte/drive-a.up", "lte/drive-z.up",
        ["11: network.uplink.trace: no trace 'lte/drive-z.up'. Did you mean 'lte/drive-a.up'?"],
    ),
    "missing trace of the user's own": (
        "lte/drive-a.up", "./mine.up",
        ["11: network.uplink.trace: no such file: './mine.up'"],
    ),
    "unknown kind of link": (
        "kind: constant", "kind: constnat",
        ["12: network.downlink.kind: no link 'constnat'. Did you mean 'constant'? Known: "],
    ),
    "unknown kind of policy": (
        "kind: goodput", "kind: godput",
        ["22: policies.adaptive.kind: no policy 'godput'. Did you mean 'goodput'? Known: "],
    ),
    "no kind": (
        "{kind: fixed, width: 0.25}", "{width: 0.25}",
        ["20: policies.narrow.kind: required: which policy; known: awstream, "],
    ),
    "a part that is none": (
        "{kind: fixed, width: 0.25}", "0.25",
        ["20: policies.narrow: must be a policy, such as {kind: awstream}"],
    ),
    # What the detector, the ladder and the policies can do.
    "a width that the detector does not have": (
        "source: {fps: 5}", "source: {fps: 5}\n    ladder: {widths: [0.25, 0.42]}",
        ["19: clients.0.ladder.widths.1: published/efficientdet-d2-bw has no α 0.42; it has "
         "0.167, 0.25, 0.33, 0.416, 0.5, 0.58, 0.66, 0.75, 0.83, 0.916, 1"],
    ),
    "bits that nobody measured": (
        "source: {fps: 5}", "source: {fps: 5}\n    ladder: {bits: [8, 4]}",
        ["19: clients.0.ladder.bits.1: nobody has published, for published/efficientdet-d2-bw, "
         "the accuracy at 4 bits, only at 8"],
    ),
    "a codec that nobody measured": (
        "source: {fps: 5}", "source: {fps: 5}\n    ladder: {codecs: [zstd]}",
        ["19: clients.0.ladder.codecs.0: nobody has published, for "
         "published/efficientdet-d2-bw, payloads under 'zstd', only without a codec: 'raw'"],
    ),
    "pictures that nobody measured": (
        "source: {fps: 5}", "source: {fps: 5}\n    ladder: {modes: [split, offload]}",
        ["19: clients.0.ladder.modes.1: nobody has published, for published/efficientdet-d2-bw, "
         "the accuracy on compressed pictures; modes it can do: split, local, skip"],
    ),
    "a teacher that nobody counted": (
        "efficientdet-d2-bw\n    source: {fps: 5}",
        "faster-rcnn-bw\n    source: {fps: 5}\n    ladder: {widths: [0.25], modes: [split, local]}",
        ["19: clients.0.ladder.modes.1: nobody has published, for published/faster-rcnn-bw, how "
         "much the whole network computes; modes it can do: split, skip"],
    ),
    "only skipping": (
        "source: {fps: 5}", "source: {fps: 5}\n    ladder: {modes: [skip]}",
        ["19: clients.0.ladder.modes: must hold more than 'skip', which processes no frame"],
    ),
    "a policy that wants what is not on the ladder": (
        "width: 0.25", "width: 0.3",
        ["20: policies.narrow: α=0.3 8 bit is not on the ladder, which has α=0.167 8 bit; "],
    ),
    # What devices are, besides encoders.
    "a mode of a device that has others": (
        "device: raspberry-pi-5", "device: jetson-tx2\n    mode: maxx",
        ["16: clients.0.mode: no mode of jetson-tx2 'maxx'. Did you mean 'maxq'? Known: maxn, "],
    ),
    "a mode of a device without modes": (
        "source: {fps: 5}", "source: {fps: 5}\n    mode: maxn",
        ["19: clients.0.mode: raspberry-pi-5 has no modes; leave the key out"],
    ),
    "the own battery of a device without one": (
        "source: {fps: 5}", "source: {fps: 5}\n    battery: {charge: 0.5}",
        ["19: clients.0.battery: raspberry-pi-5 has no battery of its own; give one a "
         "capacity_wh"],
    ),
    "a battery that is more than full": (
        "source: {fps: 5}", "source: {fps: 5}\n    battery: {capacity_wh: 20, charge: 50}",
        ["19: clients.0.battery.charge: must be a number from 0 to 1, not 50"],
    ),
    "heat of a device of which nothing is known": (
        "device: raspberry-pi-5", "device: jetson-tx2\n    ambient_c: 25",
        ["16: clients.0.ambient_c: the file of jetson-tx2 says nothing of heat: it has no key "
         "'thermal'"],
    ),
    "weights of a slimmable detector": (
        "source: {fps: 5}", "source: {fps: 5}\n    weights: {residency: dram, set_mb: 10}",
        ["19: clients.0.weights: published/efficientdet-d2-bw has one set of weights for all "
         "widths: nothing is loaded"],
    ),
    "weights where the device has no place for them": (
        "efficientdet-d2-bw\n    source: {fps: 5}",
        "efficientdet-d2-fixed\n    source: {fps: 5}\n"
        "    weights: {residency: sram, set_mb: 10}",
        ["19: clients.0.weights: raspberry-pi-5: the device's weights lack 'sram_mb'"],
    ),
    "weights that lie nowhere": (
        "efficientdet-d2-bw\n    source: {fps: 5}",
        "efficientdet-d2-fixed\n    source: {fps: 5}\n    weights: {set_mb: 10}",
        ["19: clients.0.weights.residency: required: where the weights of the other widths lie: "
         "in the `sram` of an accelerator as far as they fit, in `dram`, or in `storage` ('sram', "
         "'dram' or 'storage')"],
    ),
    # Between keys.
    "two groups of one name": (
        "policies:", "  - {name: camera, device: raspberry-pi-5, radio: lte-2021, detector: "
        "published/efficientdet-d2-bw, source: {fps: 5}}\npolicies:",
        ["19: clients.1.name: there is a client 'camera' already, of group 'camera'"],
    ),
    "a group with the name of another's member": (
        "name: camera\n    device: raspberry-pi-5\n    radio: lte-2021\n    detector: "
        "published/efficientdet-d2-bw\n    source: {fps: 5}\n",
        "name: camera\n    device: raspberry-pi-5\n    radio: lte-2021\n    detector: "
        "published/efficientdet-d2-bw\n    source: {fps: 5}\n    count: 2\n"
        "  - {name: camera-2, device: raspberry-pi-5, radio: lte-2021, detector: "
        "published/efficientdet-d2-bw, source: {fps: 5}}\n",
        ["20: clients.1.name: there is a client 'camera-2' already, of group 'camera'"],
    ),
    "no frame in a run": (
        "fps: 5", "fps: 0.05",
        ["18: clients.0.source.fps: captures less than one frame in the 10 s of a run"],
    ),
    "the first frame after the end": (
        "fps: 5", "fps: 5, phase: 10000",
        ["18: clients.0.source.phase: the first capture would be after the end of the run, 10 s"],
    ),
    "a claim about nobody": (
        "policies:", "claims: [{metric: on_time_map, better: adaptiv, than: narow}]\npolicies:",
        ["19: claims.0.better: no policy 'adaptiv'. Did you mean 'adaptive'? Known: adaptive, ",
         "19: claims.0.than: no policy 'narow'. Did you mean 'narrow'? Known: adaptive, "],
    ),
    "a claim about nothing": (
        "policies:", "claims: [{metric: on_time_mpa, better: adaptive, than: narrow}]\npolicies:",
        ["19: claims.0.metric: no metric 'on_time_mpa' in which a policy can be better. Did you "
         "mean 'on_time_map'? Known: "],
    ),
    "a claim in which nothing is better": (
        "policies:", "claims: [{metric: width_mean, better: adaptive, than: narrow}]\npolicies:",
        ["19: claims.0.metric: no metric 'width_mean' in which a policy can be better. Known: "],
    ),
    "a claim against itself": (
        "policies:", "claims: [{metric: energy_j, better: narrow, than: narrow}]\npolicies:",
        ["19: claims.0.than: is the same policy; name another one"],
    ),
    "a claim against fixed policies that are not there": (
        "policies:\n  narrow: {kind: fixed, width: 0.25}",
        "claims: [{metric: energy_j, better: adaptive, than: best-fixed}]\npolicies:",
        ["19: claims.0.than: there is no policy of kind 'fixed' to be better than"],
    ),
    "a policy with a name that means something": (
        "  narrow:", "  best-fixed:",
        ["20: policies.best-fixed: is what claims call the best policy of kind 'fixed'; choose"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_a_mistake_is_said_where_it_is(text, problems, old, new, expected):
    said = problems(text(old, new))

    assert len(said) == len(expected), said
    for line in said:
        assert any(part in line for part in expected), line


def test_all_mistakes_are_said_at_once(text, problems):
    wrong = text(
        "duration_s: 10", "duration_s: 0",
        "t4-trt-int8", "t5",
        "drive-a.up", "drive-z.up",
        "mbps: 20", "mbps: -1",
        "raspberry-pi-5", "raspberry-pi-6",
        "fps: 5", "fps: -5",
        "kind: goodput", "kind: goodput\n    safety: 2",
    )  # fmt: skip

    keys = [line.split(": ")[1] for line in problems(wrong)]

    assert keys == [
        "duration_s",
        "server.profile",
        "network.uplink.trace",
        "network.downlink.mbps",
        "clients.0.device",
        "clients.0.source.fps",
        "policies.adaptive.safety",
    ]


def test_a_wrong_key_hides_nothing_else_in_its_group(text, problems):
    wrong = text(
        "raspberry-pi-5", "raspberry-pi-6\n    cuont: 3", "lte/drive-a.up", "no.up\n    x: 1"
    )

    keys = {line.split(": ")[1] for line in problems(wrong)}

    assert keys == {
        "clients.0.device",
        "clients.0.cuont",
        "network.uplink.trace",
        "network.uplink.x",
    }


class TestTraceFile:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("", "is empty; a trace needs at least one sample"),
            ("1\nx\n3\n", "a.up:2: "),
            ("5\n4\n", "a.up:2: "),
            ("0\n0\n", "a.up"),
            ("time_s,rate_mbps\n0,1\n1,-2\n", "a.up:3: rate '-2' is negative; allowed: 0 or more"),
            ("time_s,rate_mbps\n0,0\n1,0\n", "a.up"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_in_it_is_said_with_its_line(
        self, text, problems, tmp_path, content, expected
    ):
        (tmp_path / "a.up").write_text(content)

        (said,) = problems(text("lte/drive-a.up", "a.up"))

        assert said.startswith("11: network.uplink.trace: ")
        assert expected in said

    def test_a_folder_in_its_place_is_said(self, text, problems, tmp_path):
        (tmp_path / "a.up").mkdir()

        (said,) = problems(text("lte/drive-a.up", "a.up"))

        assert said == "11: network.uplink.trace: 'a.up' is a folder; a file is needed"


def test_what_is_wrong_in_a_profile_is_said_in_its_own_place(text, problems, tmp_path):
    (tmp_path / "mine.yaml").write_text("title: mine\n")

    said = problems(text("raspberry-pi-5", "mine.yaml"))

    assert said
    assert all(line.startswith(str(tmp_path / "mine.yaml")) for line in said)


def test_a_policy_that_does_not_fit_one_of_two_clients_names_it(text, problems):
    second = (
        "  - {name: other, device: raspberry-pi-5, radio: lte-2021, source: {fps: 5}, "
        "detector: published/efficientdet-d2-bw, ladder: {widths: [0.5]}}\npolicies:"
    )

    (said,) = problems(text("policies:", second))

    assert said.startswith("21: policies.narrow: for other: α=0.25 8 bit is not on the ladder")


class TestLinkOfOneSender:
    CODEL = "network.uplink={kind: codel, link: {kind: constant, mbps: 1}}"
    SLEEPS = "network.uplink={kind: after-idle, link: {kind: constant, mbps: 1}, table: [[1, 50]]}"

    @pytest.mark.parametrize(
        ("link", "what"), [(CODEL, "manages its queue"), (SLEEPS, "sleeps")], ids=["codel", "sleep"]
    )
    def test_cannot_be_shared_as_a_cell(self, text, problems, link, what):
        (said,) = problems(text(), link, "clients.0.count=2")

        assert said == (
            f"--set: network.uplink.sharing: a link that {what} is one sender's, so 2 clients "
            "cannot share it by processor-sharing; allowed: none, fifo"
        )

    @pytest.mark.parametrize("sharing", ["none", "fifo"])
    def test_can_be_had_by_each_or_by_all_in_turn(self, text, sharing):
        shared = [self.CODEL, "clients.0.count=2", f"network.uplink.sharing={sharing}"]

        assert load_text(text(), overrides=shared).spec.network.uplink.sharing == sharing
        assert load_text(text(), overrides=[self.CODEL]).spec.clients[0].count == 1

    def test_what_a_link_refuses_when_it_is_opened_is_said(self, text, problems):
        inner = "{kind: after-idle, link: {kind: constant, mbps: 1}, table: [[1, 50]]}"
        twice = f"network.uplink={{kind: after-idle, link: {inner}, table: [[1, 50]]}}"

        (said,) = problems(text(), twice)

        assert "network.uplink" in said
        assert "sleeps already" in said


class TestFramesOfARun:
    def test_more_than_memory_holds_are_refused_with_their_number(self, text, problems):
        (said,) = problems(text("duration_s: 10", "duration_s: 1e6"), "clients.0.count=20")

        assert said == (
            "4: duration_s: 100,000,000 frames would be captured for each policy and seed "
            "(duration_s × fps × count); at most 50,000,000 fit, which is 500000 s here"
        )

    def test_a_duration_beyond_all_bounds_is_refused(self, text, problems):
        (said,) = problems(text("duration_s: 10", "duration_s: 1.0e+12"))

        assert said.startswith("4: duration_s: 5,000,000,000,000 frames")

    def test_fifty_million_are_accepted(self, text):
        assert load_text(text("duration_s: 10", "duration_s: 10000000")).spec.duration_s == 1e7


class TestFileThatCannotBeReached:
    def test_a_folder_that_may_not_be_entered_is_said(self, monkeypatch):
        def exists(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(Path, "exists", exists)

        with pytest.raises(InputErrors) as caught:
            load("locked/s.yaml")

        assert str(caught.value) == "locked/s.yaml: cannot be read: Permission denied"

    def test_a_name_too_long_for_the_file_system_is_one_line(self):
        with pytest.raises(InputErrors) as caught:
            load("x" * 5000)

        assert len(caught.value.problems) == 1
