"""The three Grafana dashboards of the runbooks and their provisioning, made from the checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .catalogue import Check

DATASOURCE_UID: Final = "trading_core_prometheus"
DASHBOARDS_PATH: Final = "/var/lib/grafana/dashboards"
"""Where Grafana's container sees the folder `dashboards`."""

_DATASOURCE: Final = {"type": "prometheus", "uid": DATASOURCE_UID}
_PANELS_IN_A_ROW: Final = 3
_COLUMNS: Final = 24
_PANEL_HEIGHT: Final = 8
_GROUP_TITLES: Final = {
    "feed": "Feed",
    "data_quality": "Data quality (DQ)",
    "bots": "Bots",
    "strategy": "Strategy",
    "drift": "Drift",
    "hosts": "Hosts",
    "monitoring": "Monitoring",
    "backup": "Backups",
    "paper_kpi": "Paper KPIs",
}


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: the groups of checks it shows, in order."""

    uid: str
    title: str
    groups: tuple[str, ...]


DASHBOARDS: Final = (
    Dashboard("trading_core_system_health", "System Health", ("hosts", "monitoring", "backup")),
    Dashboard("trading_core_feed", "Feed", ("feed", "data_quality")),
    Dashboard("trading_core_trading", "Trading", ("bots", "strategy", "drift", "paper_kpi")),
)


def build_grafana_files(checks: Sequence[Check], prometheus_url: str) -> dict[str, dict[str, Any]]:
    """Return the content of each file by its path below `ops/compose/grafana/`.

    prometheus_url: Prometheus as Grafana's container sees it.
    """
    datasource = {
        "name": "AI_TRADING_CORE Prometheus",
        "uid": DATASOURCE_UID,
        "type": "prometheus",
        "access": "proxy",
        "url": prometheus_url,
    }
    provider = {
        "name": "AI_TRADING_CORE",
        "folder": "AI_TRADING_CORE",
        "type": "file",
        "allowUiUpdates": False,
        "updateIntervalSeconds": 10,
        "options": {"path": DASHBOARDS_PATH},
    }
    return {
        "provisioning/datasources/trading_core.yml": {"apiVersion": 1, "datasources": [datasource]},
        "provisioning/dashboards/trading_core.yml": {"apiVersion": 1, "providers": [provider]},
        **{f"dashboards/{each.uid}.json": build_dashboard(each, checks) for each in DASHBOARDS},
    }


def build_dashboard(dashboard: Dashboard, checks: Iterable[Check]) -> dict[str, Any]:
    """Return a dashboard as Grafana provisions it: open alerts, then a panel for each check of its groups."""
    panels, top = [_alerts_panel(dashboard)], _PANEL_HEIGHT
    for group in dashboard.groups:
        own = [check for check in checks if check.group == group]
        panels.append({"type": "row", "title": _GROUP_TITLES[group], "gridPos": _place(top, 0, _COLUMNS, 1)})
        top += 1
        for place, check in enumerate(own):
            row, column = divmod(place, _PANELS_IN_A_ROW)
            width = _COLUMNS // _PANELS_IN_A_ROW
            panels.append(_check_panel(check, _place(top + row * _PANEL_HEIGHT, column * width, width, _PANEL_HEIGHT)))
        top += -(-len(own) // _PANELS_IN_A_ROW) * _PANEL_HEIGHT
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["AI_TRADING_CORE"],
        "timezone": "utc",
        "editable": False,
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "panels": [{"id": number, **panel} for number, panel in enumerate(panels, 1)],
    }


def _alerts_panel(dashboard: Dashboard) -> dict[str, Any]:
    groups = "|".join(dashboard.groups)
    return {
        "type": "table",
        "title": "Alerts open",
        "description": "Empty is only good while the alert Watchdog fires (System Health, Monitoring).",
        "datasource": _DATASOURCE,
        "gridPos": _place(0, 0, _COLUMNS, _PANEL_HEIGHT),
        "targets": [
            {
                "refId": "A",
                "datasource": _DATASOURCE,
                "expr": f'ALERTS{{alertstate="firing",group=~"{groups}"}}',
                "instant": True,
                "format": "table",
            }
        ],
    }


def _check_panel(check: Check, grid: Mapping[str, int]) -> dict[str, Any]:
    good = f"{check.condition} {check.threshold:g} {check.unit}"
    return {
        "type": "timeseries",
        "title": f"{check.title} [{check.unit}]",
        "description": f"{check.section}. Good: {good}. No data: {check.no_data}",
        "datasource": _DATASOURCE,
        "gridPos": grid,
        "fieldConfig": {
            "defaults": {
                "unit": "none",
                "custom": {"thresholdsStyle": {"mode": "line"}, "spanNulls": False},
                "thresholds": {"mode": "absolute", "steps": _steps(check)},
            },
            "overrides": [],
        },
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {
                "refId": "A",
                "datasource": _DATASOURCE,
                "expr": check.query,
                "legendFormat": " ".join(f"{{{{{name}}}}}" for name in check.labels) or check.title,
            }
        ],
    }


def _steps(check: Check) -> list[dict[str, Any]]:
    """Return the colours below and from the threshold on; the line between them is the limit."""
    below, above = ("red", "green") if check.condition in {">", ">=", "=="} else ("green", "red")
    if check.condition == "==" and check.threshold == 0:
        below, above = "green", "red"
    return [{"color": below, "value": None}, {"color": above, "value": check.threshold}]


def _place(top: int, left: int, width: int, height: int) -> dict[str, int]:
    return {"x": left, "y": top, "w": width, "h": height}
