"""Requests to the alert receiver: good ones, and thousands that are not, the same ones for the same seed."""

from __future__ import annotations

import http.client
import json
import random
import ssl
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 256 * 1024
MEGABYTES = 10 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request and what is wrong with it."""

    what: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Receiver:
    """Where the receiver is, how it is trusted, and what it wants to see."""

    address: str
    port: int
    certificate: Path
    token: str

    def good(self, *names: str, status: str = "firing", **labels: str) -> Request:
        """Return what Alertmanager sends for alerts of these names."""
        alerts = [
            {"status": status, "labels": {"alertname": name, **labels}, "annotations": {"summary": name}}
            for name in names
        ]
        body = {"version": "4", "status": status, "receiver": "trading-core-control", "alerts": alerts}
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return Request("good", "POST", "/alerts", headers, json.dumps(body).encode())

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection that trusts the receiver's own certificate alone."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        return http.client.HTTPSConnection(self.address, self.port, timeout=20, context=context)

    def send(self, request: Request, connection: http.client.HTTPSConnection | None = None) -> int | None:
        """Return the status of the answer, None where the connection ended without one."""
        ours = connection or self.connect()
        try:
            ours.request(request.method, request.path, request.body, dict(request.headers))
            answer = ours.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            ours.close()
            return None
        finally:
            if connection is None:
                ours.close()


def bad_requests(receiver: Receiver, number: int, seed: int) -> Iterator[Request]:
    """Return `number` requests of which none may become an order."""
    dice = random.Random(seed)
    kinds = (_token, _path, _method, _body, _body, _size)
    for place in range(number):
        # 10 MB now and then: they cost as much as a thousand others.
        yield _huge(receiver, dice) if place % 200 == 100 else dice.choice(kinds)(receiver, dice)


def _token(receiver: Receiver, dice: random.Random) -> Request:
    good, right = receiver.good("Gaps"), receiver.token
    place = dice.randrange(len(right))
    other = dice.choice([char for char in string.ascii_letters if char != right[place]])
    values = [
        *("", "Bearer", "Bearer ", f"Basic {right}", f"bearer {right}", f"Bearer  {right}", right, f"Bearer {right}x"),
        *(f"Bearer {right[:-1]}", f"Bearer {right[:place]}{other}{right[place + 1 :]}", "Bearer " + "x" * 5000),
        f"Bearer {right}, Bearer {right}",
    ]
    headers = {**good.headers, "Authorization": dice.choice(values)}
    if dice.random() < 0.2:
        del headers["Authorization"]
    return Request("token", "POST", "/alerts", headers, good.body)


def _path(receiver: Receiver, dice: random.Random) -> Request:
    good = receiver.good("Gaps")
    paths = [
        "/",
        "/alerts/",
        "/alerts/x",
        "/Alerts",
        "/hooks/alerts",
        "/alert",
        "/alerts%00",
        "/x" * 4000,
        "/alerts%2f..",
    ]
    paths += [f"/{''.join(dice.choices(string.ascii_lowercase, k=8))}"]
    return Request("path", "POST", dice.choice(paths), good.headers, good.body)


def _method(receiver: Receiver, dice: random.Random) -> Request:
    good = receiver.good("Gaps")
    method = dice.choice(["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "POSTER", "post"])
    return Request("method", method, "/alerts", good.headers, good.body)


def _size(receiver: Receiver, dice: random.Random) -> Request:
    good = receiver.good("Gaps")
    pad = "x" * dice.choice([MOST_BYTES, MOST_BYTES + dice.randrange(MOST_BYTES)])
    return Request("size", "POST", "/alerts", good.headers, json.dumps({**json.loads(good.body), "pad": pad}).encode())


def _huge(receiver: Receiver, dice: random.Random) -> Request:
    headers = dict(receiver.good("Gaps").headers)
    if dice.random() < 0.5:
        headers["Authorization"] = "Bearer no"
    return Request("10 MB", "POST", "/alerts", headers, b"x" * MEGABYTES)


def _body(receiver: Receiver, dice: random.Random) -> Request:
    """With the right token: what is no alert."""
    good = receiver.good("Gaps")
    makers: list[Callable[[], bytes]] = [
        lambda: good.body[: dice.randrange(len(good.body))],
        lambda: dice.randbytes(dice.randrange(2000)),
        lambda: good.body.replace(b"Gaps", b"\xff\xfe"),
        lambda: good.body.decode().encode("utf-16"),
        lambda: b"[" * dice.randrange(1, 100_000),
        lambda: b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
        lambda: b"{}",
        lambda: b'{"alerts": []}',
        lambda: b'{"alerts": [{"labels": {}}]}',
        lambda: b'{"alerts": [{"labels": {"alertname": ["Gaps"]}}]}',
        lambda: b'{"alerts": {"labels": {"alertname": "Gaps"}}}',
        lambda: good.body + good.body,
        lambda: good.body[:-1] + b', "alerts": []}',
        lambda: b"",
    ]
    headers = {
        **good.headers,
        "Content-Type": dice.choice(
            [
                "application/json",
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "",
            ]
        ),
    }
    return Request("body", "POST", "/alerts", headers, dice.choice(makers)())
