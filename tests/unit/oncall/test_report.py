"""The report that a shift begins with: three formats of the same, where everything stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from trading_ops.oncall.findings import SECTIONS
from trading_ops.oncall.plots import CHECKS, CURVES, draw_curves
from trading_ops.oncall.report import write_report

from tests.project.repository import ROOT, headings, plays
from tests.unit.shift_world import NOW, alert, check, container, disk, errors, estate, incident, silence, status

NAME = "shift_20261121-060000"
HOSTILE = "<img src=http://evil/x.png onerror=x> [a](http://b) `c` $x^2$ =cmd|' /C'!A0 ~~s~~ @all\x1b[31m\n# h"


def curves(reason: str = "", label: str = "BTCUSDT") -> dict:
    points = [[NOW.timestamp() - 3600 + 300 * place, float(place)] for place in range(12)]
    series = [] if reason else [{"labels": {"symbol": label}, "points": points}]
    shown = check("feed_latency_p99", "feed", "LiveFeed_Runbook 6")
    return {
        "begin": "2026-11-20T06:00:00.000Z",
        "end": "2026-11-21T06:00:00.000Z",
        "checks": [{**shown, "series": series, "reason": reason}],
    }


def write(path: Path, params=None, dry_run=False, draw=draw_curves):
    return write_report({**(params or estate()), "reports_path": str(path)}, NOW, draw, dry_run)


def no_curves(seen):
    return []


class Reader(HTMLParser):
    """Collects what a browser would make of the page."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.targets: list[str] = []
        self.text = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.targets += [value for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


def test_the_headings_are_those_of_the_page():
    own = headings(ROOT / "runbooks" / "Oncall_Checkliste.md")
    assert [f"{number} {title}" for number, title in SECTIONS.items()] == [
        heading for heading in own if heading.split(" ")[0] in SECTIONS
    ]


def test_the_play_asks_for_every_curve_that_is_drawn_or_judged():
    (play,) = [each for each in plays(ROOT / "playbooks" / "shift_start.yml") if each["name"].startswith("2.6 ")]
    asked = play["vars"]["shift_hosts_curves"]
    assert (set(asked), len(asked)) == (CHECKS, len(CHECKS))


def test_a_healthy_estate_gives_a_green_report_in_three_formats(tmp_path):
    result = write(tmp_path, draw=no_curves)
    assert (result["outcome"], result["next_command"], result["lines"]) == ("proven", "", [])
    assert re.fullmatch(rf"(\d+) of \1 points are good; report: .*/{NAME}/report.html", result["summary"])
    folder = tmp_path / NAME
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "report.md"]
    assert json.loads((folder / "report.json").read_text()) == result["record"]
    for name in ("report.html", "report.md"):
        text = (folder / name).read_text()
        assert "✔ GOOD" in text
        assert [title for number, title in SECTIONS.items() if f"{number} {title}" not in text] == []


def test_a_dry_run_judges_and_writes_nothing(tmp_path):
    params = estate()
    params["hosts"]["lab1"]["filesystems"].append(disk("/srv", used=0.95))
    result = write(tmp_path, params, dry_run=True)
    assert (result["outcome"], result["changed"], list(tmp_path.iterdir())) == ("failed", False, [])


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("place", ["typed", "on record"])
def test_a_since_in_the_future_is_wrong_usage_and_nothing_is_written(tmp_path, place, dry_run):
    params = estate()
    params["since"] = "2026-11-21T07:00:00Z" if place == "typed" else ""
    params["shift"]["explained_until"] = "2026-11-21T07:00:00Z"
    result = write(tmp_path, params, dry_run)
    assert (result["outcome"], result["changed"], list(tmp_path.iterdir())) == ("usage", False, [])
    words = "since: 2026-11-21T07:00:00Z lies in the future, and nothing after it could be seen; it is"
    assert result["summary"] == f"{words} 2026-11-21T06:00:00.000Z (UTC) now"


def test_a_since_that_two_clocks_can_differ_by_is_now(tmp_path):
    for since, outcome in (("2026-11-21T06:00:02Z", "proven"), ("2026-11-21T06:00:02.001Z", "usage")):
        result = write(tmp_path, {**estate(), "since": since}, draw=no_curves)
        assert result["outcome"] == outcome, since


def test_what_is_bad_stands_in_the_verdict_and_in_its_section_with_the_way_out(tmp_path):
    params = estate()
    params["hosts"]["lab1"]["filesystems"].append(disk("/srv", used=0.95))
    params["hosts"]["lab2"] = {"msg": "Connection timed out"}
    result = write(tmp_path, params)
    assert result["outcome"] == "failed"
    assert result["summary"].index("disk /srv") < result["summary"].index("lab2: host"), "what is known is first"
    assert result["next_command"].startswith("du -xh")
    assert [line.split(" | ")[1] for line in result["lines"]] == ["✖ NOT GOOD", "? NOT KNOWN"]
    text = (tmp_path / NAME / "report.md").read_text()
    section = text.partition("## 2.1 ")[2].partition("\n## ")[0]
    assert "NOT GOOD | lab1: disk /srv | 95 %" in section


def test_what_changed_since_the_last_report_is_told(tmp_path):
    params = estate()
    first = write(tmp_path, params)["record"]
    params["shift"]["last_report"] = first
    params["hosts"]["lab1"]["filesystems"][0] = disk("/", used=0.95)
    record = write(tmp_path, params)["record"]
    assert record["changed"] == [["2.1", "lab1: disk /", "pass", "fail"]]
    page = (tmp_path / NAME / "report.html").read_text()
    assert f"What changed since {first['generated_at']}" in page
    assert "<td>✔ good</td><td>✖ NOT GOOD</td>" in page


def test_curves_stand_in_their_sections_and_say_why_they_are_empty(tmp_path):
    write(tmp_path, {**estate(), "curves": curves()})
    text = (tmp_path / NAME / "report.html").read_text()
    assert text.count("<svg") == len(CURVES) == 8
    latency = text.partition('id="s2.2"')[2].partition('id="s2.3"')[0]
    assert "symbol=BTCUSDT" in latency
    assert "the catalogue has no such check" in text
    write(tmp_path, {**estate(), "curves": curves("Prometheus away")})
    assert "No data. feed_latency_p99: Prometheus away" in (tmp_path / NAME / "report.html").read_text()


def test_a_report_without_curves_is_a_report_that_says_why(tmp_path):
    for seen, why in (({"msg": "Connection refused"}, "Connection refused"), ({"checks": [{}]}, "KeyError")):
        result = write(tmp_path, {**estate(), "curves": seen})
        assert result["outcome"] == "proven"
        assert why in (tmp_path / NAME / "report.html").read_text()


def test_text_from_elsewhere_stays_text(tmp_path):
    params = estate()
    params["by"] = params["estate"] = HOSTILE
    hostile = container(HOSTILE, state="exited", exit_code=139)
    params["hosts"][HOSTILE] = status(
        hostile, errors=[{**errors(HOSTILE, None), "trouble": HOSTILE}], trouble=[HOSTILE]
    )
    params["hosts"]["away"] = {"msg": HOSTILE}
    params["alerts"]["lab1"]["alerts"] += [
        {**alert(HOSTILE, HOSTILE, host=HOSTILE), "annotations": {"summary": HOSTILE}}
    ]
    params["alerts"]["lab1"]["silences"] = [{**silence("2026-11-21T07:00:00.000Z", ("a", HOSTILE)), "comment": HOSTILE}]
    params["incidents"]["incidents"] = [incident(owner=HOSTILE) | {"reason": HOSTILE}]
    params["curves"] = curves(label=HOSTILE)
    params["shift"]["last_report"] = {"generated_at": "2026-11-20T06:00:00Z", "findings": [{"subject": HOSTILE}]}
    result = write(tmp_path, params)
    folder = tmp_path / NAME
    page = Reader(folder / "report.html")
    drawn = {"svg", "g", "path", "defs", "use", "text", "clippath", "rect", "figure", "metadata", "style"}
    drawn |= {"rdf:rdf", "cc:work", "dc:type", "dc:format", "dc:creator", "cc:agent", "dc:title"}
    own = set("html head meta title style body h1 h2 p div table tr th td ul li a details summary".split())
    assert page.tags <= drawn | own
    assert all(target.startswith("#") for target in page.targets)
    assert "<img src=http://evil/x.png" in page.text, "shown as it was written"
    markdown = (folder / "report.md").read_text()
    for mark in ("<img", "[a](", "`c`", "$x", "~~", "@all"):
        assert mark not in re.sub(r"\\.", "", markdown), mark
    for text in (markdown, (folder / "report.html").read_text(), result["summary"], *result["lines"]):
        assert "\x1b" not in text
    assert not any("\n" in line for line in result["lines"])


def test_a_report_that_cannot_be_written_is_a_failure(tmp_path):
    (tmp_path / NAME).write_text("a file where the folder should be")
    result = write(tmp_path, draw=no_curves)
    assert result["outcome"] == "failed"
    assert "could not be written" in result["summary"]
