"""Fetching recordings from a server of our own that is good, cuts off, lies, or has nothing."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from testbed.errors import EnvironmentLacks, TestbedError, UnknownName
from testbed.traces import fetch as fetching
from testbed.traces import published
from testbed.traces.published import PUBLISHED, Published

CONTENT = b"0\n5\n9\n" * 1000
NAME = "family/good (1).up"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.path)
        if self.path != "/family/good%20%281%29.up" or self.server.mode == "missing":
            self.send_error(404)
            return
        body = {"wrong": b"1\n2\n"}.get(self.server.mode, CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.server.mode == "truncated" else body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server on this machine; its `mode` says how it behaves."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.mode, running.seen = "good", []
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        entry = Published(
            NAME,
            hashlib.sha256(CONTENT).hexdigest(),
            "https://example.org",
            "MIT",
            f"{running.url}/family/good%20%281%29.up",
        )
        monkeypatch.setitem(PUBLISHED, NAME, entry)
        monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
        yield running
        running.shutdown()
        thread.join()


def test_a_good_file_is_kept_and_not_fetched_again(server, tmp_path):
    assert fetching.cached(NAME) is None

    path = fetching.fetch(NAME)

    assert path == tmp_path / "cache" / "traces" / NAME
    assert path.read_bytes() == CONTENT
    assert fetching.fetch(NAME) == fetching.cached(NAME) == path
    assert len(server.seen) == 1


def test_a_mirror_stands_in_for_the_origin(server, monkeypatch):
    entry = PUBLISHED[NAME]
    gone = Published(NAME, entry.sha256, entry.page, entry.licence, "http://127.0.0.1:9/gone")
    monkeypatch.setitem(PUBLISHED, NAME, gone)

    assert fetching.fetch(NAME, mirror=server.url + "/").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("truncated", "the transfer broke off"),
        ("wrong", "is not family/good .* as published"),
        ("missing", "the server answers 404; see https://example.org"),
    ],
)
def test_a_bad_answer_is_refused_and_nothing_is_kept(server, mode, message):
    server.mode = mode

    with pytest.raises(TestbedError, match=message) as caught:
        fetching.fetch(NAME)

    assert server.url in str(caught.value)
    assert fetching.cached(NAME) is None
    folder = fetching.cache_folder()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_server_that_is_not_there_is_the_environment(server, monkeypatch):
    entry = PUBLISHED[NAME]
    gone = Published(NAME, entry.sha256, entry.page, entry.licence, "http://127.0.0.1:9/gone")
    monkeypatch.setitem(PUBLISHED, NAME, gone)

    with pytest.raises(EnvironmentLacks, match="cannot be reached"):
        fetching.fetch(NAME)


def test_a_changed_file_in_the_cache_is_not_used(server):
    path = fetching.fetch(NAME)
    path.write_bytes(b"changed")

    assert fetching.cached(NAME) is None
    with pytest.raises(TestbedError, match="another sha256"):
        fetching.fetch(NAME)


def test_a_recording_without_an_address_says_where_to_look_and_where_to_put_it(server):
    name = "oboe/trace_0.txt"

    with pytest.raises(TestbedError) as caught:
        fetching.fetch(name)

    assert "https://github.com/USC-NSL/Oboe" in str(caught.value)
    assert str(fetching.cache_folder() / name) in str(caught.value)


def test_an_unknown_name_is_told_its_nearest():
    with pytest.raises(UnknownName, match=r"Did you mean 'mahimahi/Verizon-LTE-short\.up'"):
        fetching.fetch("mahimahi/Verizon-LTE-shrt.up")


MEASURED = Path(__file__).resolve().parents[3] / "shared" / "traces"


@pytest.mark.skipif(not MEASURED.is_dir(), reason="the recordings are not here")
def test_checksums_are_those_of_the_recordings():
    for name, entry in published.PUBLISHED.items():
        assert hashlib.sha256((MEASURED / name).read_bytes()).hexdigest() == entry.sha256, name
    missing = {f"{path.parent.name}/{path.name}" for path in MEASURED.glob("*/*")} - set(PUBLISHED)
    assert missing == {"nyu_mets/BB61.first1200s.txt"}  # cut from its original; no published file


def test_every_recording_has_a_licence_and_a_page():
    for entry in published.PUBLISHED.values():
        assert entry.licence
        assert entry.page.startswith("https://")
        assert len(entry.sha256) == 64
        assert entry.url is None or " " not in entry.url
        assert (entry.url is None) == bool(entry.hint)
