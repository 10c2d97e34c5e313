"""The receiver's command: what it takes is on disk, what it does not take leaves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from trading_ops.alerts import spool as alert_spool
from trading_ops.alerts.actions import parse_request
from trading_ops.alerts.spool import MOST_BYTES, Refused, check, main, spool

ALERT = {"status": "firing", "labels": {"alertname": "Gaps"}, "annotations": {}}
BODY = json.dumps({"version": "4", "status": "firing", "alerts": [ALERT]}).encode()
BAD = {
    "empty": b"",
    "cut": BODY[:-2],
    "no UTF-8": BODY.replace(b"Gaps", b"Ga\xffps"),
    "UTF-16": BODY.decode().encode("utf-16"),
    "deep": b"[" * 200_000,
    "deep objects": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "no alerts": b"{}",
    "empty alerts": b'{"alerts": []}',
    "alerts are an object": b'{"alerts": {"0": 1}}',
    "an alert is text": b'{"alerts": ["Gaps"]}',
    "no labels": b'{"alerts": [{"status": "firing"}]}',
    "labels are a list": b'{"alerts": [{"labels": ["alertname"]}]}',
    "no name": b'{"alerts": [{"labels": {"severity": "critical"}}]}',
    "a name that is a number": b'{"alerts": [{"labels": {"alertname": 5}}]}',
    "a name twice": b'{"alerts": [{"labels": {"alertname": "A", "alertname": "B"}}]}',
    "NaN": b'{"alerts": [{"labels": {"alertname": "A"}, "value": NaN}]}',
    "too large": json.dumps({"alerts": [ALERT], "pad": "x" * MOST_BYTES}).encode(),
    "two documents": BODY + BODY,
}


@pytest.fixture
def folders(tmp_path):
    for name in ("incoming", "spool"):
        (tmp_path / name).mkdir()
    return tmp_path / "incoming", tmp_path / "spool"


def left(folders):
    return [path for folder in folders for path in folder.iterdir()]


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_is_no_order_leaves_nothing(folders, body):
    with pytest.raises(Refused):
        spool(body, *folders, "1-a.json")
    assert left(folders) == []


def test_an_order_lies_in_the_spool_as_it_came_and_the_reader_takes_it(folders):
    spool(BODY, *folders, "00000000001795000000-ab.json")
    (path,) = left(folders)
    assert path.parent == folders[1]
    assert path.read_bytes() == BODY
    assert parse_request(path.name, path.read_bytes()).alerts[0].name == "Gaps"


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_the_command_refuses_is_what_the_reader_cannot_read_or_does_nothing_for(body):
    """Every body the reader would act on passes the command: nothing is taken with 200 and then thrown away."""
    from trading_ops.alerts.actions import RequestError

    try:
        request = parse_request("1-a.json", body)
    except RequestError:
        return
    assert not request.alerts or len(body) > MOST_BYTES


def test_the_order_is_synced_before_it_gets_its_name_and_the_folder_after(folders, monkeypatch):
    seen = []
    sync, rename = os.fsync, Path.rename

    def noted_sync(descriptor):
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def noted_rename(self, target):
        seen.append("renamed")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    spool(BODY, *folders, "1-a.json")
    assert seen == ["1-a.json", "renamed", "spool"]


def test_a_full_spool_takes_no_more(folders, monkeypatch):
    monkeypatch.setattr(alert_spool, "MOST_REQUESTS", 1)
    spool(BODY, *folders, "1-a.json")
    with pytest.raises(Refused, match="full"):
        spool(BODY, *folders, "2-b.json")
    assert len(left(folders)) == 1


def run(folders, body, **environment):
    request = folders[0].parent / "request"
    request.write_bytes(body)
    argv = [sys.executable, "-IS", alert_spool.__file__, *map(str, folders)]
    return subprocess.run(
        argv, env={"ALERT_FILE": str(request), **environment}, capture_output=True, text=True, timeout=30, check=False
    )


def test_it_runs_alone_without_the_package_and_its_exit_code_is_the_answer(folders):
    assert run(folders, BODY).returncode == 0
    refused = run(folders, b"{}")
    assert (refused.returncode, refused.stderr) == (1, "not taken: The body holds no alerts.\n")
    assert len(left(folders)) == 1


def test_without_a_spool_or_a_request_it_ends_with_1(folders):
    folders[1].rmdir()
    assert run(folders, BODY).returncode == 1
    assert list(folders[0].iterdir()) == []
    assert main(["/nowhere", "/nowhere"]) == 1


def test_a_healthy_message_of_alertmanager_passes():
    check(BODY)
