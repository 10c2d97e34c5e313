from __future__ import annotations

from dataclasses import replace

from trading_ops.checks.catalogue import GROUPS, parse_checks
from trading_ops.checks.dashboards import (
    DASHBOARDS,
    DASHBOARDS_PATH,
    DATASOURCE_UID,
    build_dashboard,
    build_grafana_files,
)

from tests.unit.fake_prometheus import catalogue_item

(CHECK,) = parse_checks([catalogue_item()])
FEED = DASHBOARDS[1]
CHECKS = tuple(replace(CHECK, id=group, group=group) for group in sorted(GROUPS))


def panels(dashboard, checks=(CHECK,), kind="timeseries"):
    return [panel for panel in build_dashboard(dashboard, checks)["panels"] if panel["type"] == kind]


def test_the_three_dashboards_of_the_runbooks_show_every_group_once():
    assert [dashboard.title for dashboard in DASHBOARDS] == ["System Health", "Feed", "Trading"]
    assert sorted(group for dashboard in DASHBOARDS for group in dashboard.groups) == sorted(GROUPS)
    assert [len(panels(dashboard, CHECKS)) for dashboard in DASHBOARDS] == [3, 2, 4]


def test_a_panel_shows_the_checks_own_query_and_limit():
    (panel,) = panels(FEED)
    assert [target["expr"] for target in panel["targets"]] == [CHECK.query]
    assert panel["targets"][0]["legendFormat"] == "{{symbol}}"
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"] == [
        {"color": "red", "value": None},
        {"color": "green", "value": 0.0},
    ]
    assert "LiveFeed_Runbook 6" in panel["description"] and CHECK.no_data in panel["description"]


def test_what_may_not_grow_turns_red_at_its_limit():
    for condition, threshold in (("<", 500.0), ("<=", 1.0), ("==", 0.0)):
        (panel,) = panels(FEED, (replace(CHECK, condition=condition, threshold=threshold),))
        assert [step["color"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]] == ["green", "red"]


def test_open_alerts_of_the_dashboards_own_groups_stand_at_its_top():
    (table,) = panels(FEED, kind="table")
    assert table["gridPos"]["y"] == 0
    assert table["targets"][0]["expr"] == 'ALERTS{alertstate="firing",group=~"feed|data_quality"}'


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    many = tuple(replace(CHECK, id=f"c{number}") for number in range(7))
    shown = build_dashboard(FEED, many)["panels"]
    assert len({panel["id"] for panel in shown}) == len(shown)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in shown)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_the_provisioning_leads_grafana_to_prometheus_and_the_dashboards():
    files = build_grafana_files((CHECK,), "http://prometheus:9090")
    (source,) = files["provisioning/datasources/trading_core.yml"]["datasources"]
    (provider,) = files["provisioning/dashboards/trading_core.yml"]["providers"]
    assert (source["uid"], source["url"]) == (DATASOURCE_UID, "http://prometheus:9090")
    assert provider["options"]["path"] == DASHBOARDS_PATH
    dashboards = {name: file for name, file in files.items() if name.startswith("dashboards/")}
    assert {file["title"] for file in dashboards.values()} == {"System Health", "Feed", "Trading"}
    assert all(name == f"dashboards/{file['uid']}.json" for name, file in dashboards.items())
