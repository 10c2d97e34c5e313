"""The border with Ansible of evidence: collected, sent, received, noted, looked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import evidence
import evidence_archive
import evidence_info
import metric_ranges
import pytest
from ansible.module_utils.testing import patch_module_args

INCIDENT = "INC-20261121-013000-bars-look-wrong"


def run(module: Any, capsys: pytest.CaptureFixture[str], **params: Any) -> dict[str, Any]:
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        module.main()
    result = json.loads(capsys.readouterr().out)
    assert bool(ended.value.code) == bool(result.get("failed"))
    return result


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "app").mkdir()
    return {
        "incident_id": INCIDENT,
        "host": "lab1",
        "root_path": str(tmp_path / "app"),
        "state_path": str(tmp_path),
        "scratch_path": str(tmp_path),
        "docker_url": f"unix://{tmp_path}/no.sock",
        "secrets": ["pl4nted"],
    }


def test_host_whose_engine_is_away_gives_an_archive_that_travels_home(params, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("ansible.module_utils.trading_ops.evidence.descriptions.HOST_COMMANDS", {})
    result = run(evidence, capsys, **params)
    assert (result["outcome"], result["changed"]) in {("failed", False), ("proven", False)}
    assert "pl4nted" not in json.dumps(result)
    folder, home = str(tmp_path / "copy"), str(tmp_path / "home")
    received = run(evidence_archive, capsys, state="received", path=folder, host="lab1", archive=result["archive"])
    assert (received["new"], Path(result["archive"]).exists()) == (["lab1"], False)
    run(evidence, capsys, **params, remove=result["archive"])
    assert not Path(result["archive"]).parent.exists()
    assert run(evidence_archive, capsys, state="missing", path=folder, hosts=["lab2"])["new"] == ["lab2"]
    archive = str(tmp_path / "all.tar.gz")
    packed = run(evidence_archive, capsys, state="packed", path=folder, archive=archive)
    brought = run(evidence_archive, capsys, state="home", path=home, archive=archive)
    assert brought["manifests"] == packed["manifests"]
    assert brought["manifests"].keys() == {"lab1", "lab2"}
    seen = run(evidence_info, capsys, path=home, hosts=["lab2"])
    assert (seen["outcome"], "it gave no answer" in seen["summary"]) == ("refused", True)


def test_check_mode_writes_nothing(params, capsys, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert run(evidence, capsys, **params, _ansible_check_mode=True)["outcome"] == "planned"
    for state in ("received", "packed", "home", "missing"):
        given = {"path": str(tmp_path / "x"), "archive": "/nosuch", "host": "h", "_ansible_check_mode": True}
        assert run(evidence_archive, capsys, state=state, **given)["outcome"] == "planned"
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_no_incident_or_no_archive_fails_with_its_outcome(params, capsys, tmp_path):
    wrong = run(evidence, capsys, **{**params, "incident_id": "../x"})
    assert (wrong["failed"], wrong["outcome"], wrong["archive"]) == (True, "usage", "")
    (tmp_path / "x.tar.gz").write_bytes(b"no archive")
    damaged = run(
        evidence_archive,
        capsys,
        state="received",
        path=str(tmp_path / "e"),
        host="h",
        archive=str(tmp_path / "x.tar.gz"),
    )
    assert (damaged["failed"], damaged["outcome"], "is damaged" in damaged["msg"]) == (True, "failed", True)


def test_ranges_that_cannot_be_had_or_asked_for_never_end_the_run(capsys, tmp_path):
    here = {"scratch_path": str(tmp_path), "prometheus_url": "http://127.0.0.1:1"}
    bad = run(metric_ranges, capsys, checks=[{"id": "x"}], **here)
    assert (bad["outcome"], bad.get("failed"), bad["path"]) == ("failed", None, "")
