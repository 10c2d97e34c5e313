"""The border with Ansible of jobs, records and reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import job_checkout
import job_checkout_archive
import job_record
import job_result_info
import job_schedule
import pytest
import restore_report
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).parents[3]
RECORD = {"outcome": "proven", "started_at": "2026-11-21T02:15:00Z", "finished_at": "2026-11-21T02:19:30Z"}


def run(
    module: Any, capsys: pytest.CaptureFixture[str], check: bool = False, **params: Any
) -> tuple[int, dict[str, Any]]:
    with patch_module_args({**params, "_ansible_check_mode": check}), pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code or 0, json.loads(capsys.readouterr().out)


def test_a_record_is_kept_and_said(tmp_path, capsys):
    assert datetime.now(UTC) > datetime(2026, 1, 1, tzinfo=UTC)
    (tmp_path / "metrics").mkdir()
    paths = {"state_path": str(tmp_path / "state"), "metrics_path": str(tmp_path / "metrics")}
    record = {**RECORD, "started_at": "2025-11-21T02:15:00Z", "finished_at": "2025-11-21T02:19:30Z"}
    code, result = run(job_record, capsys, kind="backup", record=record, **paths)
    assert (code, result["outcome"], result["records"]) == (0, "proven", [record])
    code, result = run(job_record, capsys, kind="backup", record={**record, "outcome": 1}, **paths)
    assert (code, result["outcome"], "needs an outcome" in result["msg"]) == (1, "failed", True)


def test_a_report_is_written_with_its_picture(tmp_path, capsys):
    code, result = run(restore_report, capsys, result=RECORD, reports_path=str(tmp_path))
    assert (code, result["outcome"]) == (0, "proven")
    assert "<svg" in Path(result["report_path"], "report.html").read_text()


def test_a_job_without_a_record_is_unknown_and_no_name_leaves_the_folder(tmp_path, capsys):
    (tmp_path / "last.json").write_text('{"started_at": "x", "exit_code": 0}')
    for job in ("backup", "../..", "/"):
        code, result = run(job_result_info, capsys, job=job, state_path=str(tmp_path))
        assert (code, result["outcome"]) == (0, "unknown")


def test_this_checkout_is_packed_and_a_dry_run_writes_nothing(tmp_path, capsys):
    paths = {"root_path": str(ROOT), "inventory_path": str(ROOT / "inventories" / "lab")}
    archive = tmp_path / "cache" / "checkout.tar.gz"
    code, looked = run(job_checkout_archive, capsys, check=True, archive_path=str(archive), **paths)
    assert (code, looked["outcome"], archive.exists()) == (0, "planned", False)
    code, packed = run(job_checkout_archive, capsys, archive_path=str(archive), **paths)
    assert (code, packed["digest"], packed["inventory_name"]) == (0, looked["digest"], "inventories/lab")
    assert archive.stat().st_mode & 0o777 == 0o600
    path = {"path": str(tmp_path / "opt"), "archive_path": str(archive)}
    code, planned = run(job_checkout, capsys, check=True, digest=packed["digest"], **path)
    assert (code, planned["outcome"], (tmp_path / "opt").exists()) == (0, "planned", False)


def test_definitions_that_are_none_are_refused(tmp_path, capsys):
    code, result = run(job_schedule, capsys, jobs={"x": {}}, probe="x", checkout_path=str(tmp_path), check=True)
    assert (code, result["outcome"]) == (1, "usage")
