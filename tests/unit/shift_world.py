"""An estate of two hosts and a control host as the modules see it in good health, to be made worse by a test."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

from trading_ops.oncall.findings import judge
from trading_ops.oncall.seen import parse_seen

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
SINCE = "2026-11-20T22:00:00.000Z"
EARLIER = "2026-11-19T08:00:00.000000000Z"
INCIDENT = "INC-20261121-013000-bars-look-wrong"


def container(service: str, project: str = "ai_trading_core", **more: Any) -> dict[str, Any]:
    return {
        "id": f"{service}-id",
        "name": service,
        "service": service,
        "project": project,
        "state": "running",
        "health": "healthy",
        "exit_code": 0,
        "started_at": EARLIER,
        "restarts": 0,
        "image": f"trading-core-lab/{service}:1",
        "image_id": "sha256:" + "1" * 64,
        "digests": [],
        **more,
    }


def started(by: str = "reno", state: str = "started") -> dict[str, str]:
    return {"state": state, "by": by, "since": "2026-11-19T07:59:58.000Z", "why": "the feed starts"}


def disk(mount: str = "/", used: float = 0.3, inodes_used: float = 0.1, **more: Any) -> dict[str, Any]:
    size = 100_000_000_000
    free = round(size * (1 - used))
    return {
        **{"mount": mount, "type": "ext4", "size_bytes": size, "free_bytes": free, "holds_engine": False},
        **{"inodes": 1000, "inodes_free": round(1000 * (1 - inodes_used))},
        **more,
    }


def errors(name: str, recent: int | None = 1, before: float | None = 2.0) -> dict[str, Any]:
    return {"name": name, "service": name, "trouble": "", "recent": recent, "before_per_hour": before}


def status(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what host_status_info says of a host."""
    return {
        "outcome": "proven",
        "trouble": [],
        "containers": list(containers),
        "errors": [errors(each["name"]) for each in containers],
        "errors_since": "2026-11-21T05:00:00.000Z",
        "desired": {f"{each['project']}/{each['service']}": started() for each in containers},
        "latch": None,
        "gate": None,
        "machine": {
            "load": [0.5, 0.4, 0.3],
            "processors": 4,
            "memory_bytes": 16_000_000_000,
            "memory_available_bytes": 12_000_000_000,
            "uptime_seconds": 400_000.0,
        },
        "filesystems": [disk(), disk("/var/lib/docker", holds_engine=True)],
        "certificates": [],
        "audit": [],
        "drift": [],
        "documentation_due": "",
        "since": SINCE,
        "host_epoch": NOW.timestamp(),
        "controller_epoch": NOW.timestamp() - 0.4,
        **more,
    }


def check(name: str, group: str, section: str, value: float | None = 1.0, **more: Any) -> dict[str, Any]:
    return {
        **{"id": name, "title": name.replace("_", " ").capitalize(), "section": section, "group": group},
        **{"severity": "critical", "action": "none", "outcome": "pass", "value": value, "unit": "ms"},
        **{"condition": "<", "threshold": 500.0, "age_seconds": 1.0, "reason": "", "series": []},
        **more,
    }


CHECKS = [
    check("feed_latency_p99", "feed", "LiveFeed_Runbook 6", 120.0, action="stop_bots"),
    check("nan_records", "data_quality", "LiveFeed_Runbook 6", 0.0),
    check("live_pnl_day", "bots", "Paper_And_Live_Bots 6", 0.4, action="stop_live"),
    check("psi", "drift", "Oncall_Checkliste 2.4", 0.05),
    check("host_cpu", "hosts", "Oncall_Checkliste 2.1", 20.0),
    check("watchdog_firing", "monitoring", "Oncall_Checkliste 2.5"),
    check("backup_age", "backup", "Backup_And_Restore 7"),
]


def alert(
    name: str, severity: str = "critical", fingerprint: str = "d059425acb157b72", **labels: str
) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": {"summary": f"{name} is beyond its limit"},
        "starts_at": "2026-11-21T05:30:00.000Z",
        "state": "active",
        "silenced_by": [],
        "receivers": ["on-call"],
    }


def silence(ends_at: str, *matchers: tuple[str, str]) -> dict[str, Any]:
    found = [{"name": name, "value": value, "is_regex": False, "is_equal": True} for name, value in matchers]
    return {
        **{"id": "9b7a372d", "matchers": found, "created_by": "anna", "comment": f"{INCIDENT}: training runs"},
        **{"starts_at": "2026-11-21T05:00:00.000Z", "ends_at": ends_at, "state": "active"},
    }


def take(by: str = "anna", at: str = "2026-11-21T05:40:00.000Z") -> dict[str, Any]:
    known = {"fingerprint": "d059425acb157b72", "alertname": "Psi", "starts_at": "2026-11-21T05:30:00.000Z"}
    return {"kind": "alert_taken", "at": at, "by": by, "next": "trains the model anew", **known}


def incident(**record: Any) -> dict[str, Any]:
    return {
        **{"id": INCIDENT, "state": record.pop("state", "open"), "phase": "stabilisation"},
        **{"opened_at": "2026-11-21T01:30:00.000Z", "reason": "bars look wrong", "severity": "major", "category": "A"},
        "record": record,
        "mitigations": [],
    }


def estate() -> dict[str, Any]:
    """Return the parameters of a module over all that was seen."""
    feed = [container("live_connector"), container("prometheus"), container("grafana")]
    return copy.deepcopy(
        {
            "hosts": {
                "lab1": status(*feed, container("bot", "trading-paper")),
                "lab2": status(container("bot", "trading-live")),
                "lab-control": status(),
            },
            "feed_hosts": ["lab1"],
            "feed_project_name": "ai_trading_core",
            "checks": {"lab1": {"outcome": "proven", "checks": CHECKS}},
            "alerts": {
                "lab1": {
                    **{"outcome": "proven", "version": "0.28.0", "summary": "0 alerts fire", "silences": []},
                    "alerts": [alert("Watchdog", "none", "0000000000000000")],
                }
            },
            "curves": {"summary": "no curves in this test"},
            "incidents": {"outcome": "proven", "summary": "no open incident", "next_command": "", "incidents": []},
            "shift": {
                "outcome": "proven",
                "summary": "",
                "trouble": [],
                "entries": [],
                "takes": [],
                "last_report": {},
                "releases": [],
            },
            "alert_path": {
                "outcome": "proven",
                "is_set_up": True,
                "summary": "alerts arrive: a heartbeat came 12 s ago",
            },
            "since": SINCE,
            "memory_limit_percent": 90.0,
            "disk_free_limit_percent": 10.0,
            "clock_offset_seconds": 2.0,
            "by": "anna",
            "estate": "lab",
        }
    )


def points(params):
    return judge(parse_seen(params, NOW))


def bad(params):
    return [each for each in points(params) if each.outcome != "pass"]


def host(params, name="lab1"):
    return params["hosts"][name]


def only(params, section, outcome, *words):
    """Assert that one point alone is not good, in this section, and that it says these words."""
    (found,) = bad(params)
    assert (found.section, found.outcome) == (section, outcome)
    for word in words:
        assert word in f"{found.subject}: {found.text}"
    assert found.fix
    return found


def alerts(params):
    return params["alerts"]["lab1"]
