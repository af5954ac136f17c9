"""`testbed run` as a user meets it: exit codes, messages, interruption."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testbed.cli import main

LONG = ["--set", "duration_s=3000000", "--set", "seeds=[1]"]


def invoke(*words, monkeypatch, capsys):
    """Run a command in this process; return its exit code, output and errors."""
    monkeypatch.setattr(sys, "argv", ["testbed", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return ended.value.code or 0, captured.out, captured.err


@pytest.fixture
def command(monkeypatch, capsys):
    return lambda *words: invoke(*words, monkeypatch=monkeypatch, capsys=capsys)


def test_a_run_prints_a_table_the_verdict_and_the_report(command, tmp_path):
    code, out, err = command("run", "quickstart", "--out", tmp_path, "--set", "duration_s=5")

    assert (code, err) == (0, "")
    assert "on-time mAP" in out
    assert "the best static policy in hindsight" in out
    report = Path(out.rsplit("report: ", 1)[1].strip())
    assert report.is_file()
    assert report.parent.parent == tmp_path


def test_json_is_nothing_but_json(command, tmp_path):
    code, out, _ = command(
        "run", "quickstart", "--json", "--out", tmp_path, "--set", "duration_s=5"
    )

    summary = json.loads(out)
    assert code == 0
    assert summary["policies"]["narrow"]["captured"]["value"] == 10
    assert Path(summary["folder"]).is_dir()


def test_a_claim_that_fails_is_exit_code_1(command, tmp_path):
    claim = "claims=[{metric: payload_bytes_mean, better: widest, than: narrow}]"

    code, out, _ = command(
        "run", "quickstart", "--out", tmp_path, "--set", "duration_s=5", "--set", claim
    )

    assert code == 1
    assert "claim fails: widest better than narrow" in out


def test_an_unknown_scenario_is_exit_code_2_with_a_hint(command):
    code, out, err = command("run", "quikstart")

    assert (code, out) == (2, "")
    assert "quikstart: no such file or scenario. Did you mean 'quickstart'?" in err


def test_all_mistakes_are_told_at_once_and_nothing_is_written(command, tmp_path):
    code, _, err = command(
        *("run", "quickstart", "--out", tmp_path / "runs"),
        *("--set", "duration_s=0", "--set", "clients.0.device=raspberry-pie-5"),
        *("--set", "policies.adaptive.safty=0.5"),
    )

    lines = err.strip().splitlines()
    assert code == 2
    assert len(lines) == 3
    assert any("duration_s" in line for line in lines)
    assert any("Did you mean 'raspberry-pi-5'?" in line for line in lines)
    assert any("safty" in line and "safety" in line for line in lines)
    assert not (tmp_path / "runs").exists()


def test_no_permission_to_write_is_exit_code_3(command, tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, _, err = command(
        "run", "quickstart", "--out", tmp_path / "locked", "--set", "duration_s=5"
    )

    assert code == 3
    assert "no permission to write there; name another folder with --out" in err


def test_a_full_disk_is_exit_code_3_and_the_folder_says_incomplete(command, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    code, _, err = command("run", "quickstart", "--out", tmp_path, "--set", "duration_s=5")
    (folder,) = tmp_path.iterdir()
    again, _, refusal = command("report", folder)

    assert code == 3
    assert "no space left on the disk" in err
    assert again == 2
    assert "incomplete" in refusal


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_an_interrupted_run_leaves_a_folder_that_report_refuses(command, tmp_path, number, code):
    words = [sys.executable, "-m", "testbed", "run", "quickstart", "--out", str(tmp_path), *LONG]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(300):
        if list(tmp_path.glob("*/INCOMPLETE")):
            break
        time.sleep(0.1)
    time.sleep(0.3)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    (folder,) = tmp_path.iterdir()

    refused, _, refusal = command("report", folder)

    assert process.returncode == code
    assert "Traceback" not in err
    assert refused == 2
    assert f"{folder}: incomplete: the run was interrupted" in refusal


def test_the_help_has_examples(command):
    code, out, _ = command("run", "--help")

    assert code == 0
    assert "testbed run quickstart" in out


@pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_an_interrupted_run(tmp_path, number):
    """Ctrl-C reaches the whole group of processes, as in a terminal; a kill only the first."""
    words = [sys.executable, "-m", "testbed", "run", "quickstart", "--out", str(tmp_path), *LONG]
    process = subprocess.Popen(
        [*words, "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(300):
        workers = children(process.pid)
        if len(workers) >= 2:
            break
        time.sleep(0.1)
    time.sleep(0.5)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=60)

    for _ in range(50):
        if not any(Path(f"/proc/{pid}").exists() and not zombie(pid) for pid in workers):
            break
        time.sleep(0.1)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in err
    assert not any(Path(f"/proc/{pid}").exists() and not zombie(pid) for pid in workers)


def children(pid):
    """Return the processes that a process has started."""
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def zombie(pid):
    """Return whether a process has ended and waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_report_that_cannot_be_written_leaves_the_folder_incomplete(
    command, tmp_path, monkeypatch
):
    def full(run):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("testbed.report.render", full)
    code, _, err = command("run", "quickstart", "--out", tmp_path, "--set", "duration_s=5")
    (folder,) = tmp_path.iterdir()

    assert code == 3
    assert "no space left on the disk" in err
    assert (folder / "INCOMPLETE").exists()
