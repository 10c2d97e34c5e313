"""A headless Chromium, driven over its own pipe: what a page really is in a browser, and what it would fetch."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER_SECONDS = 60


def find_browser() -> str:
    """Return the browser to use, empty where there is none: TRADING_CORE_CHROMIUM, or the first on PATH."""
    return os.environ.get("TRADING_CORE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")


class Page:
    """One page. `requests` are the addresses that the browser asked for, the page's own first."""

    def __init__(self, send: int, receive: int) -> None:
        self._send, self._receive = send, receive
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session = ""
        self._is_loaded = False
        self.requests: list[str] = []
        (target,) = [each for each in self._ask("Target.getTargets")["targetInfos"] if each["type"] == "page"][:1] or [
            {"targetId": self._ask("Target.createTarget", url="about:blank")["targetId"]}
        ]
        attached = self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self._ask(f"{domain}.enable")

    def open(self, path: Path, width: int, height: int, scheme: str = "light") -> None:
        """Show a file as on a screen of that size, in that colour scheme, and wait until it is there."""
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("Emulation.setEmulatedMedia", features=media)
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self._ask("Emulation.setDeviceMetricsOverride", **size, mobile=width < 600)
        self.requests.clear()
        self._is_loaded = False
        self._ask("Page.navigate", url=path.as_uri())
        until = time.monotonic() + ANSWER_SECONDS
        while not self._is_loaded:
            self._read(until)

    def value(self, expression: str) -> Any:
        """Return what an expression is on the page."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, path: Path) -> None:
        """Keep a picture of the whole page."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + ANSWER_SECONDS
        while (answer := self._read(until)).get("id") != number:
            pass
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def _read(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"the browser said nothing for {ANSWER_SECONDS} s"
            piece = os.read(self._receive, 1 << 16)
            assert piece, "the browser has ended"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(line)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        self._is_loaded |= message.get("method") == "Page.loadEventFired"
        return message


@contextmanager
def browser(home: Path) -> Iterator[Page]:
    """Give a page of a browser that keeps what it leaves in `home`, and end it."""
    to_browser, our_end = os.pipe()
    from_browser, its_end = os.pipe()

    def hand_over() -> None:
        # It reads from 3 and writes to 4.
        low = [os.dup2(to_browser, 10), os.dup2(its_end, 11)]
        os.dup2(low[0], 3)
        os.dup2(low[1], 4)

    # --no-sandbox: the pages are our own, and tests may run as root or in a container.
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"]
    process = subprocess.Popen(
        [find_browser(), *options, f"--user-data-dir={home / 'profile'}", "about:blank"],
        env={**os.environ, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        pass_fds=(),
        preexec_fn=hand_over,
    )
    os.close(to_browser)
    os.close(its_end)
    try:
        yield Page(our_end, from_browser)
    finally:
        process.kill()
        process.wait()
        os.close(our_end)
        os.close(from_browser)
