"""`--set` changes any key, and says what is wrong with a change as it does for a file."""

from __future__ import annotations

import pytest

from testbed.scenario import dump, load_text


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("duration_s=20", "duration_s", 20),
        ("seeds=[5, 6, 7]", "seeds", (5, 6, 7)),
        ("clients.0.count=3", "clients.0.count", 3),
        ("network.uplink.delay_ms=2.5", "network.uplink.delay_ms", 2.5),
        ("server.batch.max=8", "server.batch.max", 8),  # a group that the file leaves out
        ("server.batch={max: 4, wait_ms: 1}", "server.batch.max", 4),
        ("network.uplink.queue_bytes=null", "network.uplink.queue_bytes", None),
        ("network.uplink.start_s=random", "network.uplink.start_s", "random"),
        ("clients.0.drop_expired=true", "clients.0.drop_expired", True),
        ("name=a=b", None, None),
        (" duration_s = 20", "duration_s", 20),
    ],
)
def test_a_value_is_yaml(text, problems, override, path, value):
    if path is None:
        assert problems(text(), override) == [
            "--set: name: must be made of letters, digits, '-', '_' and '.'"
        ]
        return
    found = load_text(text(), overrides=[override]).spec
    for key in path.split("."):
        found = found[int(key)] if key.isdecimal() else getattr(found, key)

    assert found == value


def test_the_last_of_two_changes_stays(text):
    spec = load_text(text(), overrides=["duration_s=20", "duration_s=30"]).spec

    assert spec.duration_s == 30


def test_names_with_dots_are_found(text):
    named = text("narrow:", "narrow-0.25:")

    spec = load_text(named, overrides=["policies.narrow-0.25.width=0.5"]).spec

    assert spec.policies["narrow-0.25"].width == 0.5


def test_a_policy_can_be_added(text):
    spec = load_text(text(), overrides=["policies.other={kind: random}"]).spec

    assert list(spec.policies) == ["narrow", "adaptive", "other"]


class TestKind:
    def test_another_kind_forgets_the_options_of_the_old_part(self, text):
        before = text("lte/drive-a.up", "lte/drive-a.up\n    start_s: 5\n    delay_ms: 7")
        changes = ["network.uplink.mbps=5", "network.uplink.kind=constant"]

        link = load_text(before, overrides=changes).spec.network.uplink

        assert (link.kind, link.mbps) == ("constant", 5)
        assert link.delay_ms == 7  # of every link

    def test_the_same_kind_forgets_nothing(self, text):
        spec = load_text(text(), overrides=["policies.narrow.kind=fixed"]).spec

        assert spec.policies["narrow"].width == 0.25

    def test_a_part_that_the_file_leaves_out_can_be_chosen(self, text):
        spec = load_text(text(), overrides=["network.transport.kind=ideal"]).spec

        assert spec.network.transport.kind == "ideal"


class TestTrace:
    def test_a_path_begins_where_the_user_is(self, text, tmp_path, monkeypatch):
        (tmp_path / "a.up").write_text("1\n20\n40\n")
        monkeypatch.chdir(tmp_path)

        spec = load_text(text(), overrides=["network.uplink.trace=a.up"]).spec

        assert spec.network.uplink.trace == str(tmp_path / "a.up")

    def test_another_trace_may_take_the_place_of_one_with_a_checksum(self, text):
        resolved = dump(load_text(text()))

        other = load_text(resolved, overrides=["network.uplink.trace=wifi/walk-a.up"])

        assert other.files.keys() >= {"traces/wifi/walk-a.up"}
        assert "traces/lte/drive-a.up" not in other.files


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("duration_s", "--set: 'duration_s' is not an override; write KEY=VALUE, such as"),
        ("=5", "--set: '=5' is not an override; write KEY=VALUE, such as"),
        ("duration=5", "--set: duration: no such key. Did you mean 'duration_s'?"),
        ("network.uplnk.delay_ms=5", "--set: network.uplnk: no such key. Did you mean 'uplink'?"),
        (
            "policies.adaptive.safty=0.5",
            "--set: policies.adaptive.safty: goodput has no",
        ),
        ("clients.1.count=3", "--set: clients.1.count: no entry '1': clients has entries 0 to 0"),
        ("clients.x.count=3", "--set: clients.x.count: no entry 'x': clients has entries 0 to 0"),
        ("name.first=3", "--set: name.first: name is not a group of keys"),
        (
            "clients.0.count=0",
            "--set: clients.0.count: must be a whole number from 1 to 10000",
        ),
        ("duration_s=[1", "--set: duration_s: not readable as YAML: "),
        (
            "duration_s=5 s",
            "--set: duration_s: must be a number above 0, not the text '5 s'",
        ),
        ("network.downlink.kind=none", "--set: network.downlink.kind: no link 'none'. Known: "),
        ("network.downlink.kind=replay", "12: network.downlink.trace: required: "),
        ("network.uplink.trace=no.up", "--set: network.uplink.trace: no trace 'no.up'"),
        ("server.batch.size=8", "--set: server.batch.size: no such key. Known: max, wait_ms"),
        (
            "clients.0.ladder.widths=[0.3]",
            "--set: clients.0.ladder.widths.0: published/",
        ),
    ],
)
def test_what_is_wrong_with_a_change_is_said(text, problems, override, expected):
    said = problems(text(), override)

    assert said[0].startswith(expected), said


def test_what_is_wrong_in_file_and_changes_is_said_together(text, problems):
    said = problems(text("fps: 5", "fps: 0"), "duration_s=0", "nonsense")

    assert [line.split(": ")[0] for line in said] == ["--set", "--set", "18"]
