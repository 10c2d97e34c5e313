"""Every requirement is listed once; what is said to be done has a runbook step and tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.project.repository import PAGES, ROOT, headings, is_there, table_rows

PAGE = ROOT / "docs" / "requirements.md"
IDS = """
IN-1 IN-2 IN-3 IN-4.1 IN-4.2 IN-4.3 IN-4.4 IN-4.5 IN-4.6 IN-4.7
LF-1 PB-1 PB-2 PB-3 PB-4 PB-5 PB-6
ON-1 ON-2.1 ON-2.2 ON-2.3 ON-2.4 ON-2.5 ON-3 ON-4
BR-1 BR-2 DR-1 RB-1 RB-2 DB-1
""".split()
ROWS = table_rows(PAGE, columns=6)
BUILT = [row for row in ROWS if row[3] != "planned"]


def test_every_requirement_is_listed_once_in_order():
    assert [row[0] for row in ROWS] == IDS


def test_states_are_words_that_are_explained():
    assert {row[3] for row in ROWS} <= {"done", "partly", "planned"}
    assert {"IN-4.1", "IN-4.2", "LF-1", "PB-2", "PB-3"} <= {row[0] for row in BUILT}


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row[0])
def test_what_is_built_has_a_step_and_tests(row):
    steps = re.findall(r"([A-Z]\w+) (\d[\d.]*)", row[4])
    references = re.findall(r"`([^`]+)`", row[5])
    assert steps
    assert references
    for name, number in steps:
        (page,) = (path for path in PAGES if path.stem == name)
        assert any(title.startswith(f"{number} ") for title in headings(page)), f"{name} {number}"
    assert [name for name in references if not is_there(name)] == []
