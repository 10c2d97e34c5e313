"""Grafana's own pictures of its dashboards, for the evidence of an incident, where Grafana has a renderer.

Grafana answers 200 with a picture also where it cannot draw: one that says so, or its login page. Neither is kept.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from ..checks.dashboards import DASHBOARDS, Dashboard
from ..core.durable import bounded
from ..core.result import build_result
from ..core.scratch import SCRATCH_PREFIX
from ..core.strict_json import parse_json
from ..host.http import Ask, Endpoint, HttpError, http_ask

WIDTH: Final = 1187
HEIGHT: Final = 703
"""Odd on purpose: what Grafana sends instead of a dashboard comes in a size of its own."""

_PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_PNG_END: Final = b"IEND\xaeB`\x82"


class GrafanaError(Exception):
    """There is no picture. The text says why."""


def has_renderer(status: int, body: bytes) -> bool:
    """Return whether Grafana's settings name a renderer; GrafanaError where they are not its settings."""
    try:
        settings = parse_json(body.decode()) if status == 200 else None
    except ValueError:
        settings = None
    if not isinstance(settings, dict) or not isinstance(settings.get("rendererAvailable"), bool):
        raise GrafanaError(f"no settings of a Grafana (HTTP {status}); a login page or another program?")
    return bool(settings["rendererAvailable"])


def check_picture(status: int, body: bytes) -> bytes:
    """Return the picture if it is a whole PNG of the size that was asked for, or raise GrafanaError."""
    if status != 200:
        raise GrafanaError(f"HTTP {status}")
    if not body.startswith(_PNG) or not body.endswith(_PNG_END):
        raise GrafanaError("no whole PNG; a login page?")
    size = (int.from_bytes(body[16:20], "big"), int.from_bytes(body[20:24], "big"))
    if size != (WIDTH, HEIGHT):
        raise GrafanaError(f"a picture of {size[0]} x {size[1]}, not as it was asked for: it says that Grafana failed")
    return body


def fetch_pictures(
    ask: Ask, dashboards: Sequence[Dashboard], begin: float, end: float, timeout_seconds: float
) -> dict[str, bytes | GrafanaError]:
    """Return a picture or a reason for each dashboard by its uid. `begin` and `end` are seconds since 1970."""

    def bound(path: str) -> tuple[int, bytes]:
        try:
            return bounded(lambda: ask("GET", path), timeout_seconds)
        except TimeoutError as error:
            raise GrafanaError("no answer in time") from error
        except (HttpError, OSError) as error:
            raise GrafanaError(str(error)) from error

    def picture(dashboard: Dashboard) -> bytes | GrafanaError:
        asked = {"from": int(begin * 1000), "to": int(end * 1000), "width": WIDTH, "height": HEIGHT, "tz": "UTC"}
        try:
            return check_picture(*bound(f"/render/d/{dashboard.uid}/?{urlencode(asked)}&kiosk"))
        except GrafanaError as error:
            return error

    try:
        if not has_renderer(*bound("/api/frontend/settings")):
            raise GrafanaError("Grafana has no renderer")
    except GrafanaError as error:
        return {dashboard.uid: error for dashboard in dashboards}
    with ThreadPoolExecutor(len(dashboards)) as pool:
        found = dict(zip((dashboard.uid for dashboard in dashboards), pool.map(picture, dashboards), strict=True))
    pictures = [each for each in found.values() if isinstance(each, bytes)]
    alike = GrafanaError("the same picture as another dashboard's: a login page?")
    return {uid: alike if isinstance(each, bytes) and pictures.count(each) > 1 else each for uid, each in found.items()}


def collect(params: Mapping[str, Any], now: Callable[[], float], is_dry: bool) -> dict[str, Any]:
    """Return the module result: the pictures are in files that it names, each beside what it shows."""
    if is_dry:
        return build_result("planned", f"would ask Grafana for {len(DASHBOARDS)} pictures", files={})
    endpoint = Endpoint(
        url=params["url"],
        token_path=params["token_path"] or "",
        ca_path=params["ca_path"] or "",
        validate_certs=params["validate_certs"],
        query_timeout_seconds=params["timeout_seconds"],
    )
    end = now()
    found = fetch_pictures(
        http_ask(endpoint), DASHBOARDS, end - params["range_seconds"], end, params["timeout_seconds"]
    )
    reasons = {uid: str(each) for uid, each in found.items() if isinstance(each, GrafanaError)}
    pictures = {uid: each for uid, each in found.items() if isinstance(each, bytes)}
    index = {"format": 1, "kept": sorted(pictures), "not_kept": reasons}
    try:
        files = {"Grafana, which pictures": _write(Path(params["scratch_path"]), "grafana.json", _as_json(index))}
        for uid, each in pictures.items():
            files[f"Grafana, {uid}"] = _write(Path(params["scratch_path"]), f"grafana_{uid}.png", each)
    except OSError as error:
        return build_result("failed", f"Grafana's pictures could not be written: {error}", files={})
    text = "".join(f"; {reason}" for reason in sorted(set(reasons.values())))
    outcome = "failed" if pictures and reasons else "proven"
    return build_result(outcome, f"{len(pictures)} of {len(DASHBOARDS)} pictures of Grafana{text}", files=files)


def _as_json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()


def _write(scratch: Path, name: str, content: bytes) -> str:
    path = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=scratch)) / name
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
    return str(path)
