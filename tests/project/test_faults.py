"""The faults: each row of the page is there, and the tests it names are."""

from __future__ import annotations

import ast
import re

import pytest

from tests.project.repository import ROOT, is_there, table_rows

KEYS = """
host-away ignores-sigterm long-grace-period crash-loop restart-matrix reboot any-state started-meanwhile started-again
vanishes odd-state engine-lies engine-away no-compose-file hundred-bots many-stops controller-killed disk-full
latch-damaged empty-scope host-left-out one-machine answer-hostile dry-run ansible-broken orders-open nobody-proves
unknown-bot label-exempts lock-held version-mix root-misled prometheus-away stale-sample no-number counter-reset
partial-answer last-step clocks half-start start-refused mode-in-doubt feed-degrades model-unknown alert-bad
alert-again alert-no-order alert-receiver-killed alert-disk-full alert-path-silent release-bad report-hostile
log-damaged log-huge container-missing secrets log-hostile bundle-changed grafana-away evidence-disk-full channel-away
control-away id-mistyped record-stuck dump-killed lock-stale repository-damaged set-bad restore-beside-work
secret-exposed points-at-production not-kept-apart restore-test-killed job-stuck job-never-ran
""".split()
ROWS = table_rows(ROOT / "docs" / "faults.md", columns=5)


def tiers(reference: str) -> set[str]:
    """Return where the tests of a reference run, by their markers and by those of their parameters."""
    name, _, function = reference.partition("::")
    if name.startswith("molecule/"):
        return {"--faults"}
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    if any(isinstance(node, ast.Assign) and _marks(node, "pytestmark") for node in tree.body):
        return {"--faults"}
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and function in {"", node.name}:
            marked = [ast.unparse(decorator) for decorator in node.decorator_list]
            whole = "pytest.mark.faults" in marked
            found |= {"--faults"} if whole else {"every run"}
            found |= {"--faults"} if any("mark.faults" in text or "first_of(" in text for text in marked) else set()
    return found


def _marks(node: ast.Assign, name: str) -> bool:
    return ast.unparse(node.targets[0]) == name and "mark.faults" in ast.unparse(node.value)


def test_every_fault_is_listed_once():
    assert [row[0] for row in ROWS] == KEYS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_names_existing_tests_and_the_tiers_they_are_in(row):
    key, _, _, tests, tier = row
    references = re.findall(r"`([^`]+)`", tests)
    if tier == "planned":
        assert not references, key
        return
    assert references, key
    assert [name for name in references if not is_there(name)] == []
    in_tiers = set().union(*map(tiers, references))
    assert tier.startswith(tuple(in_tiers))
    assert {word for word in ("every run", "--faults") if word in tier} == in_tiers
