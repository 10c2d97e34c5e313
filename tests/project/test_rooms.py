"""The rooms of the package: every file in one, every arrow between two of them allowed, tests where the code is."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.project.repository import ROOT

PACKAGE = ROOT / "module_utils" / "trading_ops"
UNIT = ROOT / "tests" / "unit"

ALLOWED: dict[str, tuple[int, str]] = {
    "core": (1, ""),
    "host": (2, "core"),
    "state": (2, "core"),
    "report": (2, "core"),
    "checks": (3, "core host"),
    "feed": (3, "core host"),
    "stop": (3, "core host state"),
    "incident": (3, "core report"),
    "config": (3, "core state"),
    "backup": (3, "core host"),
    "jobs": (3, "core host"),
    "compose": (4, "core feed host state stop"),
    "guard": (4, "core host state stop"),
    "alerts": (4, "checks core host incident jobs"),
    "evidence": (5, "checks compose core host"),
    "restore": (5, "backup checks compose core host report state"),
    "release": (5, "compose core host state"),
    "oncall": (6, "alerts checks config core evidence feed host incident release report state stop"),
}
"""Room -> its level, and the rooms that its files may use. Its own files it always may."""

WITHOUT_A_TEST_OF_ITS_NAME: dict[str, str] = {
    "alerts/history.py": "tests/unit/oncall/test_handover.py",
    "backup/postgres.py": "tests/unit/backup/test_take.py",
    "checks/results.py": "tests/unit/checks/test_evaluate_property.py",
    "compose/request.py": "tests/unit/library/test_compose_services.py",
    "compose/result.py": "tests/unit/compose/test_stop.py",
    "compose/start.py": "tests/unit/compose/test_services.py",
    "core/clock.py": "tests/unit/incident/test_severity.py",
    "core/labels.py": "tests/unit/feed/test_container.py",
    "core/outcome.py": "tests/unit/report/test_verdict_property.py",
    "core/scratch.py": "tests/unit/evidence/test_collect.py",
    "core/strict_json.py": "tests/unit/stop/test_open_orders.py",
    "core/urls.py": "tests/unit/stop/test_open_orders.py",
    "evidence/descriptions.py": "tests/unit/evidence/test_collect.py",
    "evidence/info.py": "tests/unit/evidence/test_bundle.py",
    "evidence/logs.py": "tests/unit/evidence/test_collect.py",
    "evidence/plots.py": "tests/unit/checks/test_ranges.py",
    "evidence/request.py": "tests/unit/evidence/test_collect.py",
    "evidence/transport.py": "tests/unit/library/test_evidence_modules.py",
    "guard/__main__.py": "tests/unit/library/test_host_setup_modules.py",
    "guard/this_host.py": "tests/unit/host/test_cgroups.py",
    "host/files.py": "tests/unit/guard/test_install.py",
    "host/http.py": "tests/unit/library/test_metric_modules.py",
    "host/logs.py": "tests/unit/oncall/test_host_status.py",
    "incident/classify.py": "tests/unit/library/test_incident_modules.py",
    "incident/entry.py": "tests/unit/library/test_incident_modules.py",
    "incident/facts.py": "tests/unit/incident/test_severity.py",
    "incident/folder.py": "tests/unit/incident/test_record.py",
    "incident/info.py": "tests/unit/incident/test_record.py",
    "incident/trading_hours.py": "tests/unit/incident/test_severity.py",
    "jobs/results.py": "tests/unit/jobs/test_schedule.py",
    "jobs/units.py": "tests/unit/jobs/test_job.py",
    "oncall/plots.py": "tests/unit/oncall/test_report.py",
    "release/observe.py": "tests/unit/release/test_ensure.py",
    "release/source.py": "tests/unit/library/test_deploy_modules.py",
    "report/page.py": "tests/unit/restore/test_report.py",
    "report/plots.py": "tests/project/test_report_pages.py",
    "restore/database.py": "tests/unit/restore/test_trial.py",
    "restore/plots.py": "tests/unit/restore/test_report.py",
    "restore/request.py": "tests/unit/restore/test_trial.py",
    "restore/result.py": "tests/unit/restore/test_trial.py",
    "restore/stack.py": "tests/unit/restore/test_trial.py",
    "restore/systems.py": "tests/unit/restore/test_trial.py",
    "state/audit.py": "tests/unit/guard/test_service.py",
}
"""File -> the test that covers it. The list only shrinks."""


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def imported(path: Path) -> set[str]:
    """Return the rooms whose files this one imports, its own among them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found.add(path.parent.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 2:
            found.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports from outside the package"
            assert not (node.module or "").startswith("trading_ops"), f"{path.name}: by the relative name"
    return found


def test_every_file_is_in_a_room_and_every_room_has_files():
    outside = sorted(path.name for path in PACKAGE.glob("*.py"))
    assert outside == ["__init__.py"]
    assert {path.parent for path in sources()} == {PACKAGE / room for room in ALLOWED}


@pytest.mark.parametrize("room", ["", *ALLOWED])
def test_what_marks_a_room_is_empty(room):
    """What it imported would be packed into every stop."""
    assert (PACKAGE / room / "__init__.py").read_text(encoding="utf-8") == ""


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_may_use_rooms_below_it_only(room):
    level, allowed = ALLOWED[room]
    assert all(ALLOWED[other][0] < level for other in allowed.split())


@pytest.mark.parametrize("path", sources(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_file_uses_a_room_that_its_own_may_not(path):
    assert imported(path) <= {path.parent.name, *ALLOWED[path.parent.name][1].split()}


def test_an_allowed_arrow_is_one_that_is_used():
    used = defaultdict(set)
    for path in sources():
        used[path.parent.name] |= imported(path) - {path.parent.name}
    assert {room: " ".join(sorted(used[room])) for room in ALLOWED} == {room: ALLOWED[room][1] for room in ALLOWED}


def test_no_two_files_of_a_room_import_each_other_in_a_circle():
    uses = {path.stem: set() for path in sources()}
    for room in ALLOWED:
        uses = {}
        for path in (PACKAGE / room).glob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            own = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 1]
            uses[path.stem] = {name for node in own for name in ([node.module] if node.module else names(node))}
        while ready := [stem for stem, used in uses.items() if not used & uses.keys()]:
            for stem in ready:
                del uses[stem]
        assert not uses, room


def names(node: ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names]


@pytest.mark.parametrize("path", sources(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_file_has_a_test_of_its_name(path):
    name = f"{path.parent.name}/{path.name}"
    mirror = UNIT / path.parent.name / f"test_{path.name}"
    if name in WITHOUT_A_TEST_OF_ITS_NAME:
        assert not mirror.exists(), "take it off the list"
        assert (ROOT / WITHOUT_A_TEST_OF_ITS_NAME[name]).is_file()
    else:
        assert mirror.is_file()
