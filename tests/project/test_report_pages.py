"""Reports in a real browser: on a desk and on a phone, in light and dark, with the network left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from trading_ops.oncall.findings import SECTIONS
from trading_ops.oncall.handover import HEADS, write_handover
from trading_ops.oncall.plots import CURVES, draw_curves
from trading_ops.oncall.report import write_report
from trading_ops.restore.plots import draw_history
from trading_ops.restore.report import write_report as write_restore_report

from tests.browser import Page, browser, find_browser
from tests.unit.oncall.test_handover import shift
from tests.unit.oncall.test_report import HOSTILE, curves
from tests.unit.restore.test_report import RED
from tests.unit.shift_world import NOW, alert, disk, estate, incident

pytestmark = pytest.mark.skipif(
    not find_browser(),
    reason="there is no Chromium here. Type: sudo apt-get install chromium (or set TRADING_CORE_CHROMIUM)",
)

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
INK = "getComputedStyle(document.body).color"
FETCHED = "document.querySelectorAll('[src], [srcset], script, link, iframe, object, embed').length"


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@pytest.fixture(scope="module")
def reports(tmp_path_factory) -> dict[str, Path]:
    """Write one report of each kind, none of them green, all with text that would rather be markup."""
    folder = tmp_path_factory.mktemp("reports")
    params = estate()
    params["hosts"]["lab1"]["filesystems"].append(disk("/srv", used=0.95))
    params["hosts"]["lab2"] = {"msg": HOSTILE}
    params["alerts"]["lab1"]["alerts"].append({**alert(HOSTILE), "annotations": {"summary": HOSTILE}})
    params["incidents"]["incidents"] = [incident(owner="anna")]
    params["shift"]["last_report"] = {"generated_at": "2026-11-20T22:00:00.000Z", "findings": []}
    params["curves"] = curves(label=HOSTILE)
    started = write_report({**params, "reports_path": str(folder / "shifts")}, NOW, draw_curves, False)
    over = shift(by=HOSTILE)
    over["incidents"]["incidents"] = [incident() | {"reason": HOSTILE}]
    handed = write_handover({**over, "reports_path": str(folder / "handovers")}, NOW, False)
    restored = write_restore_report(RED, [], folder / "restore_tests", draw_history, False)
    return {
        "shift": Path(started["report_path"]),
        "handover": Path(handed["report_path"]) / "handover.html",
        "restore_test": Path(restored["report_path"]) / "report.html",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["shift", "handover", "restore_test"])
def test_a_page_fits_its_screen_and_fetches_nothing(page, reports, name, size, scheme, tmp_path):
    page.open(reports[name], *SIZES[size], scheme)
    assert page.requests == [reports[name].as_uri()]
    assert page.value(FETCHED) == 0
    width = page.value("document.documentElement.scrollWidth")
    assert width <= SIZES[size][0], "one would have to scroll sideways"
    ink = sum(int(part) for part in page.value(INK)[4:-1].split(","))
    assert (ink > 380) is (scheme == "dark"), "text is not seen on its ground"
    page.picture(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5000
    if keep := os.environ.get("TRADING_CORE_PICTURES"):  # to look at them
        (tmp_path / "page.png").rename(Path(keep) / f"{name}_{size}_{scheme}.png")


@pytest.mark.parametrize("size", SIZES)
def test_a_shift_begins_with_the_verdict_and_then_the_sections_of_the_page(page, reports, size):
    page.open(reports["shift"], *SIZES[size])
    titles = page.value("[...document.querySelectorAll('h2[id]')].map(each => each.innerText)")
    assert titles == [f"{number} {heading}" for number, heading in SECTIONS.items()]
    verdict = "document.querySelector('.verdict')"
    assert page.value(f"{verdict}.innerText") == "✖ NOT GOOD"
    bottom = page.value(f"{verdict}.getBoundingClientRect().bottom")
    assert bottom < 300, "seen without scrolling"
    assert page.value("document.querySelectorAll('svg').length") == len(CURVES)
    assert page.value("[...document.querySelectorAll('svg')].every(each => each.getBoundingClientRect().width > 250)")
    shown = page.value("document.body.innerText")
    for words in ("95 % of 100.0 GB in use", "? NOT KNOWN", "<img src=http://evil/x.png onerror=x>", "$x^2$"):
        assert words in shown
    target = page.value("document.querySelector('ul a').click(); location.hash")
    assert target == "#s2.1", "the list of what is bad leads to its sections"


def test_a_handover_says_first_what_is_missing(page, reports):
    page.open(reports["handover"], *SIZES["phone"])
    titles = page.value("[...document.querySelectorAll('h2')].map(each => each.innerText)")
    assert titles == [title for title, _ in HEADS.values()]
    assert page.value("document.querySelector('.verdict').innerText").startswith("✖ NOT COMPLETE")
