"""Grafana's own pictures: kept where they are of a dashboard, and named with the reason where they are not."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from trading_ops.checks.dashboards import DASHBOARDS
from trading_ops.evidence.grafana import HEIGHT, WIDTH, GrafanaError, check_picture, collect, fetch_pictures
from trading_ops.host.http import HttpError

RENDERER = (200, json.dumps({"rendererAvailable": True}).encode())
UIDS = [dashboard.uid for dashboard in DASHBOARDS]


def png(content: bytes = b"", width: int = WIDTH, height: int = HEIGHT) -> bytes:
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    )


class MockGrafana:
    """Answers by path; pictures differ by dashboard unless one is given for all."""

    def __init__(self, settings: tuple[int, bytes] | Exception = RENDERER, picture: Any = None) -> None:
        self.settings, self.picture, self.asked = settings, picture, []

    def __call__(self, method: str, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if path == "/api/frontend/settings":
            if isinstance(self.settings, Exception):
                raise self.settings
            return self.settings
        return self.picture or (200, png(path.partition("?")[0].encode()))


def reasons(grafana: MockGrafana) -> set[str]:
    found = fetch_pictures(grafana, DASHBOARDS, 1000, 4600, 5)
    assert list(found) == UIDS
    assert all(isinstance(each, GrafanaError) for each in found.values())
    return {str(each) for each in found.values()}


def test_each_dashboard_has_a_picture_of_the_time_that_was_asked_for():
    grafana = MockGrafana()
    found = fetch_pictures(grafana, DASHBOARDS, 1000, 4600, 5)
    assert all(isinstance(each, bytes) for each in found.values())
    assert sorted(path.split("/")[3] for path in grafana.asked[1:]) == sorted(UIDS)
    assert all("from=1000000&to=4600000" in path for path in grafana.asked[1:])


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ((200, b'{"rendererAvailable": false}'), "has no renderer"),
        ((200, b"<html>log in</html>"), "no settings of a Grafana (HTTP 200)"),
        ((200, b'{"rendererAvailable": "yes"}'), "no settings of a Grafana"),
        ((200, b"[]"), "no settings of a Grafana"),
        ((200, b"\xff"), "no settings of a Grafana"),
        ((302, b""), "no settings of a Grafana (HTTP 302)"),
        ((404, b"{}"), "no settings of a Grafana (HTTP 404)"),
        (HttpError("http://x: Connection refused."), "Connection refused"),
        (ConnectionResetError("reset"), "reset"),
    ],
)
def test_without_a_renderer_no_picture_is_asked_for(settings, why):
    grafana = MockGrafana(settings)
    (reason,) = reasons(grafana)
    assert why in reason
    assert grafana.asked == ["/api/frontend/settings"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((500, png()), "HTTP 500"),
        ((200, b"<html>log in</html>"), "no whole PNG"),
        ((200, png()[:-1]), "no whole PNG"),
        ((200, png(width=1000, height=500)), "a picture of 1000 x 500"),
        ((200, png(b"log in")), "the same picture as another"),
    ],
)
def test_what_grafana_sends_instead_of_a_dashboard_is_not_kept(answer, why):
    (reason,) = reasons(MockGrafana(picture=answer))
    assert why in reason


def test_a_picture_is_kept_to_the_byte():
    assert check_picture(200, png(b"feed")) == png(b"feed")


def test_a_renderer_that_hangs_costs_its_limit():
    class Hanging(MockGrafana):
        def __call__(self, method: str, path: str) -> tuple[int, bytes]:
            if path.startswith("/render/"):
                time.sleep(1)
            return super().__call__(method, path)

    found = fetch_pictures(Hanging(), DASHBOARDS, 0, 1, 0.05)
    assert {str(each) for each in found.values()} == {"no answer in time"}


def test_a_grafana_that_is_away_leaves_a_file_that_says_so(tmp_path):
    params = {"url": "http://127.0.0.1:9", "token_path": None, "ca_path": None, "validate_certs": True}
    params |= {"timeout_seconds": 2.0, "range_seconds": 60, "scratch_path": str(tmp_path)}
    result = collect(params, lambda: 1000.0, is_dry=False)
    assert (result["outcome"], "0 of 3 pictures" in result["summary"]) == ("proven", True)
    (path,) = result["files"].values()
    said = json.loads(Path(path).read_text())
    assert (said["kept"], sorted(said["not_kept"])) == ([], sorted(UIDS))
    assert all("refused" in reason for reason in said["not_kept"].values())


def test_a_dry_run_asks_nothing_and_writes_nothing(tmp_path):
    result = collect({"url": "http://127.0.0.1:9", "scratch_path": str(tmp_path)}, lambda: 0.0, is_dry=True)
    assert (result["outcome"], list(tmp_path.iterdir())) == ("planned", [])
