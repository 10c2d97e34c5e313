"""Prometheus' instant queries: one answer read strictly, and the HTTP that asks for it."""

from __future__ import annotations

import re
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from ..core.strict_json import parse_json
from ..stop.open_orders import show_url

MAX_BYTES: Final = 1024 * 1024
"""Checks ask for a few series each. A longer answer is to something else."""

Fetch = Callable[[str], tuple[int, bytes]]
"""Asks one PromQL query and returns HTTP status and body, cut after MAX_BYTES + 1; may raise anything."""

Ask = Callable[[str, str], tuple[int, bytes]]
"""Sends a request (method, path) and returns HTTP status and body, cut after MAX_BYTES + 1; may raise anything."""

Send = Callable[[str, str, bytes], tuple[int, bytes]]
"""The same with a body of JSON (method, path, body); empty for none."""

_VALUE: Final = re.compile(r"NaN|[+-]Inf|-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
"""How Prometheus writes a value. float() reads more than that, for example 1_000."""


class PrometheusError(Exception):
    """There is no answer that may be believed. The text is a sentence."""


@dataclass(frozen=True)
class Sample:
    """One sample of an instant vector. `evaluated_at` is Prometheus' clock when it computed it, seconds since 1970."""

    labels: Mapping[str, str]
    value: float
    evaluated_at: float


@dataclass(frozen=True)
class Series:
    """One series of a range. `points` are (seconds since 1970, value), in the order of time."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


def parse_instant_answer(status: int, body: bytes) -> tuple[Sample, ...]:
    """Return the samples of an answer; none for an empty vector. Raises PrometheusError for all but a whole vector."""
    return tuple(map(_parse_sample, _parse_result(status, body, "vector", "an instant vector")))


def parse_range_answer(status: int, body: bytes) -> tuple[Series, ...]:
    """Return the series of an answer; none for an empty matrix. Raises PrometheusError for all but a whole matrix."""
    return tuple(map(_parse_series, _parse_result(status, body, "matrix", "a range of samples")))


def _parse_result(status: int, body: bytes, result_type: str, wanted: str) -> list[Any]:
    """Return the entries of an answer that is whole and of the wanted kind. Raises PrometheusError."""
    if len(body) > MAX_BYTES:
        raise PrometheusError(f"The answer is longer than {MAX_BYTES} bytes.")
    try:
        answer = parse_json(body.decode("utf-8"))
    except ValueError as error:
        raise PrometheusError(f"HTTP status {status}, and the answer is not JSON: {error}.") from error
    if not isinstance(answer, dict):
        raise PrometheusError(f"HTTP status {status}, and the answer is not a JSON object.")
    if status != 200 or answer.get("status") != "success":
        raise PrometheusError(f"HTTP status {status}: {str(answer.get('error') or answer.get('status'))[:200]}.")
    # warnings, infos, isPartial, error: what stands beside the data says that it is not all there is.
    for name in sorted(answer.keys() - {"status", "data"}):
        if answer[name]:
            raise PrometheusError(f"The answer comes with {name}: {str(answer[name])[:200]}.")
    data = answer.get("data")
    if not isinstance(data, dict) or data.get("resultType") != result_type or not isinstance(data.get("result"), list):
        raise PrometheusError(f"The answer is not {wanted}.")
    return list(data["result"])


def _parse_sample(item: Any) -> Sample:
    if not isinstance(item, dict) or item.keys() != {"metric", "value"}:
        raise PrometheusError("An entry of the answer is not a sample.")
    evaluated_at, value = _parse_point(item["value"])
    return Sample(_parse_labels(item["metric"]), value, evaluated_at)


def _parse_series(item: Any) -> Series:
    if not isinstance(item, dict) or item.keys() != {"metric", "values"} or not isinstance(item["values"], list):
        raise PrometheusError("An entry of the answer is not a series.")
    points = tuple(map(_parse_point, item["values"]))
    if any(after[0] <= before[0] for before, after in pairwise(points)):
        raise PrometheusError("The samples of a series are not in the order of time.")
    return Series(_parse_labels(item["metric"]), points)


def _parse_labels(labels: Any) -> dict[str, str]:
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise PrometheusError("The labels of a sample are not text.")
    return labels


def _parse_point(pair: Any) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise PrometheusError("The value of a sample is not a time and a number.")
    evaluated_at, value = pair
    if isinstance(evaluated_at, bool) or not isinstance(evaluated_at, int | float):
        raise PrometheusError("The time of a sample is not a number.")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise PrometheusError(f"{str(value)[:40]!r} is not a value as Prometheus writes it.")
    return float(evaluated_at), float(value)


@dataclass(frozen=True)
class Endpoint:
    """Where Prometheus is and how it is asked. Secrets are not shown."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token_path: str = ""
    ca_path: str = ""
    validate_certs: bool = True
    query_timeout_seconds: float = 5.0

    @property
    def shown(self) -> str:
        """The address without what may be secret."""
        return show_url(self.url)


ACCESS_ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "token_path": {"type": "path", "no_log": False},
    "ca_path": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
}
"""What a module takes to ask a server, beside its address; documented in playbooks/doc_fragments/http_access.py."""


def parse_endpoint(
    params: Mapping[str, Any], url: str = "prometheus_url", timeout: str = "query_timeout_seconds"
) -> Endpoint:
    """Return the endpoint that a module's parameters name; `url` and `timeout` are the names of two of them."""
    return Endpoint(
        url=params[url],
        username=params["username"] or "",
        password=params["password"] or "",
        token_path=params["token_path"] or "",
        ca_path=params["ca_path"] or "",
        validate_certs=params["validate_certs"],
        query_timeout_seconds=params[timeout],
    )


def http_fetch(endpoint: Endpoint) -> Fetch:
    """Return the fetch that asks `endpoint` one query."""
    ask = http_ask(endpoint)

    def fetch(query: str) -> tuple[int, bytes]:
        asked = urlencode({"query": query, "timeout": f"{endpoint.query_timeout_seconds:g}s"})
        return ask("GET", f"/api/v1/query?{asked}")

    return fetch


def http_fetch_range(endpoint: Endpoint, begin: float, end: float) -> Callable[[str, int], tuple[int, bytes]]:
    """Return the fetch that asks `endpoint` for the range of a query in steps of so many seconds."""
    ask = http_ask(endpoint)

    def fetch(query: str, step_seconds: int) -> tuple[int, bytes]:
        times = {"start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{step_seconds}s"}
        asked = urlencode({"query": query, **times, "timeout": f"{endpoint.query_timeout_seconds:g}s"})
        return ask("GET", f"/api/v1/query_range?{asked}")

    return fetch


def http_ask(endpoint: Endpoint) -> Ask:
    """Return what asks `endpoint` without a body."""
    send = http_send(endpoint)
    return lambda method, path: send(method, path, b"")


def http_send(endpoint: Endpoint) -> Send:
    """Return what talks to `endpoint`. It follows no redirect (that leads to a login page) and uses no proxy."""

    @cache
    def opener() -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=endpoint.ca_path or None)
        if not endpoint.validate_certs:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        https = urllib.request.HTTPSHandler(context=context)
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), https, _NoRedirect())

    def send(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(endpoint.url)
        if parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query:
            # A library would take a password for a port, and say so.
            raise PrometheusError("The address has to be http:// or https://, without user, password and query.")
        secret, headers = _credentials(endpoint)
        headers |= {"Content-Type": "application/json"} if body else {}
        url = f"{endpoint.url.rstrip('/')}{path}"
        request = urllib.request.Request(url, data=body or None, headers=headers, method=method)
        try:
            with opener().open(request, timeout=endpoint.query_timeout_seconds) as answer:
                return answer.status, answer.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            # A server may repeat what it was sent in the words of its refusal.
            refusal = error.read(MAX_BYTES + 1)
            return error.code, refusal.replace(secret.encode(), b"(secret)") if secret else refusal
        except urllib.error.URLError as error:
            raise PrometheusError(f"{endpoint.shown}: {error.reason}.") from error

    return send


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _credentials(endpoint: Endpoint) -> tuple[str, dict[str, str]]:
    """Return the secret and the headers that carry it."""
    headers = {"Accept": "application/json"}
    if endpoint.token_path:
        secret = Path(endpoint.token_path).read_text(encoding="utf-8").strip()
        return secret, headers | {"Authorization": f"Bearer {secret}"}
    if endpoint.username:
        pair = b64encode(f"{endpoint.username}:{endpoint.password}".encode()).decode()
        return endpoint.password, headers | {"Authorization": f"Basic {pair}"}
    return "", headers
