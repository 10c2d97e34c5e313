"""The faults: each row of the page is there, and the tests it names are."""

from __future__ import annotations

import re

import pytest

from tests.project.repository import ROOT, is_there, table_rows

KEYS = """
host-away ignores-sigterm long-grace-period crash-loop restart-matrix reboot any-state started-meanwhile vanishes
engine-lies engine-away no-compose-file hundred-bots many-stops controller-killed disk-full latch-damaged empty-scope
host-left-out dry-run ansible-broken orders-open
prometheus-away stale-sample no-number counter-reset partial-answer last-step clocks half-start start-refused
mode-in-doubt feed-degrades model-unknown
alert-bad alert-again alert-no-order alert-receiver-killed alert-disk-full alert-path-silent release-bad
report-hostile
log-damaged log-huge container-missing secrets log-hostile bundle-changed grafana-away evidence-disk-full channel-away
control-away id-mistyped record-stuck
dump-killed lock-stale repository-damaged set-bad points-at-production not-kept-apart restore-test-killed
job-stuck job-never-ran
""".split()
ROWS = table_rows(ROOT / "docs" / "faults.md", columns=5)


def test_every_fault_is_listed_once():
    assert [row[0] for row in ROWS] == KEYS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_existing_tests_and_their_tier_or_is_planned(row):
    key, _, _, tests, tier = row
    references = re.findall(r"`([^`]+)`", tests)
    if tier == "planned":
        assert not references, key
        return
    assert tier.split(",")[0] in {"every run", "--faults"}, key
    assert references, key
    assert [name for name in references if not is_there(name)] == []
