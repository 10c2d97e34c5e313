"""Prometheus' instant queries: one answer read strictly, and what asks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlencode

from ..core.strict_json import parse_json
from ..host.http import MAX_BYTES, Endpoint, HttpError, http_ask

Fetch = Callable[[str], tuple[int, bytes]]
"""Asks one PromQL query and returns HTTP status and body, cut after MAX_BYTES + 1; may raise anything."""

_VALUE: Final = re.compile(r"NaN|[+-]Inf|-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
"""How Prometheus writes a value. float() reads more than that, for example 1_000."""


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
    """Return the samples of an answer; none for an empty vector. Raises HttpError for all but a whole vector."""
    return tuple(map(_parse_sample, _parse_result(status, body, "vector", "an instant vector")))


def parse_range_answer(status: int, body: bytes) -> tuple[Series, ...]:
    """Return the series of an answer; none for an empty matrix. Raises HttpError for all but a whole matrix."""
    return tuple(map(_parse_series, _parse_result(status, body, "matrix", "a range of samples")))


def _parse_result(status: int, body: bytes, result_type: str, wanted: str) -> list[Any]:
    """Return the entries of an answer that is whole and of the wanted kind. Raises HttpError."""
    if len(body) > MAX_BYTES:
        raise HttpError(f"The answer is longer than {MAX_BYTES} bytes.")
    try:
        answer = parse_json(body.decode("utf-8"))
    except ValueError as error:
        raise HttpError(f"HTTP status {status}, and the answer is not JSON: {error}.") from error
    if not isinstance(answer, dict):
        raise HttpError(f"HTTP status {status}, and the answer is not a JSON object.")
    if status != 200 or answer.get("status") != "success":
        raise HttpError(f"HTTP status {status}: {str(answer.get('error') or answer.get('status'))[:200]}.")
    # warnings, infos, isPartial, error: what stands beside the data says that it is not all there is.
    for name in sorted(answer.keys() - {"status", "data"}):
        if answer[name]:
            raise HttpError(f"The answer comes with {name}: {str(answer[name])[:200]}.")
    data = answer.get("data")
    if not isinstance(data, dict) or data.get("resultType") != result_type or not isinstance(data.get("result"), list):
        raise HttpError(f"The answer is not {wanted}.")
    return list(data["result"])


def _parse_sample(item: Any) -> Sample:
    if not isinstance(item, dict) or item.keys() != {"metric", "value"}:
        raise HttpError("An entry of the answer is not a sample.")
    evaluated_at, value = _parse_point(item["value"])
    return Sample(_parse_labels(item["metric"]), value, evaluated_at)


def _parse_series(item: Any) -> Series:
    if not isinstance(item, dict) or item.keys() != {"metric", "values"} or not isinstance(item["values"], list):
        raise HttpError("An entry of the answer is not a series.")
    points = tuple(map(_parse_point, item["values"]))
    if any(after[0] <= before[0] for before, after in pairwise(points)):
        raise HttpError("The samples of a series are not in the order of time.")
    return Series(_parse_labels(item["metric"]), points)


def _parse_labels(labels: Any) -> dict[str, str]:
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise HttpError("The labels of a sample are not text.")
    return labels


def _parse_point(pair: Any) -> tuple[float, float]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise HttpError("The value of a sample is not a time and a number.")
    evaluated_at, value = pair
    if isinstance(evaluated_at, bool) or not isinstance(evaluated_at, int | float):
        raise HttpError("The time of a sample is not a number.")
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise HttpError(f"{str(value)[:40]!r} is not a value as Prometheus writes it.")
    return float(evaluated_at), float(value)


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
