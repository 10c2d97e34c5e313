"""The out-of-sample KPIs of the model that would trade, as its registry has them, held against limits.

They are tags on the model version that an alias of the registered model names. A tag's last word is its unit.
https://mlflow.org/docs/latest/api_reference/rest-api.html#get-model-version-by-alias
"""

from __future__ import annotations

import math
import operator
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlencode

from ..core.durable import bounded
from ..core.outcome import worst
from ..core.strict_json import parse_json
from ..core.urls import show_url
from ..host.http import MAX_BYTES

CONDITIONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_OUTCOMES: Final = {"pass": "proven", "fail": "failed", "unknown": "unknown"}


class KpiError(Exception):
    """The registry did not say, or a limit is none. The text is a sentence."""


@dataclass(frozen=True)
class Limit:
    """What a KPI has to be: `condition` is one of CONDITIONS."""

    tag: str
    condition: str
    limit: float

    @property
    def unit(self) -> str:
        return self.tag.rpartition("_")[2]


@dataclass(frozen=True)
class Champion:
    """The version that carries the alias, and its tags."""

    version: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Kpi:
    """One KPI as it was found: `outcome` is pass, fail or unknown; `value` is None where it is unknown."""

    tag: str
    value: float | None
    unit: str
    condition: str
    limit: float
    outcome: str
    reason: str


def parse_limits(limits: Mapping[str, object]) -> tuple[Limit, ...]:
    """Return the limits in `{tag: "<condition> <number>"}`. Raises KpiError for none at all, or a bad one."""
    if not limits:
        raise KpiError("There is no limit to hold a KPI against.")
    return tuple(_parse_limit(tag, text) for tag, text in limits.items())


def build_url(mlflow_url: str, model: str, alias: str) -> str:
    """Return the address that answers which version of `model` carries `alias`."""
    query = urlencode({"name": model, "alias": alias})
    return f"{mlflow_url.rstrip('/')}/api/2.0/mlflow/registered-models/alias?{query}"


def parse_champion(status: int, body: bytes, model: str, alias: str) -> Champion:
    """Return the version in the registry's answer. Raises KpiError for anything that is not exactly one."""
    if len(body) > MAX_BYTES:
        raise KpiError(f"The answer is longer than {MAX_BYTES} bytes.")
    try:
        answer = parse_json(body.decode("utf-8"))
    except ValueError as error:
        raise KpiError(f"HTTP status {status}, and the answer is not JSON: {error}.") from error
    if status != 200:
        message = answer.get("message") if isinstance(answer, dict) else None
        raise KpiError(f"HTTP status {status}: {str(message)[:200] if message else 'no message'}.")
    try:
        found = answer["model_version"]
        name, version, state = (str(found[key]) for key in ("name", "version", "status"))
        aliases = [str(item) for item in found.get("aliases", [alias])]
        pairs = [(str(tag["key"]), str(tag["value"])) for tag in found.get("tags", [])]
    except (KeyError, TypeError, AttributeError) as error:
        raise KpiError(f"The answer names no model version: {type(error).__name__}: {error}.") from error
    if name != model or alias not in aliases or not re.fullmatch(r"[0-9]+", version):
        raise KpiError(f"The answer is about {name} version {version} ({', '.join(aliases)}), not {model} {alias}.")
    if state != "READY":
        raise KpiError(f"{model} version {version} is {state}, not READY.")
    if len(dict(pairs)) != len(pairs):
        raise KpiError(f"{model} version {version} has a tag twice.")
    return Champion(version, dict(pairs))


def evaluate(limit: Limit, tags: Mapping[str, str]) -> Kpi:
    """Return a KPI held against its limit: passes only where a finite number is there and meets it."""
    text = tags.get(limit.tag)
    value = _parse_number(text) if text is not None else None
    if value is None:
        reason = "the version has no such tag" if text is None else f"{text[:40]!r} is no finite number"
        return Kpi(limit.tag, None, limit.unit, limit.condition, limit.limit, "unknown", reason)
    is_met = CONDITIONS[limit.condition](value, limit.limit)
    reason = f"{value:g} {limit.unit}, {'' if is_met else 'not '}{limit.condition} {limit.limit:g}"
    return Kpi(limit.tag, value, limit.unit, limit.condition, limit.limit, "pass" if is_met else "fail", reason)


def observe(
    mlflow_url: str,
    model: str,
    alias: str,
    limits: Mapping[str, object],
    ask: Callable[[str], tuple[int, bytes]],
    timeout_seconds: float,
) -> dict[str, Any]:
    """Return the module result. Never raises, never takes longer.

    `ask` returns the status and the body of an address, cut after MAX_BYTES + 1; it may raise anything.
    """
    url = build_url(mlflow_url, model, alias)
    shown = show_url(mlflow_url)
    command = f"curl -s {shlex.quote(build_url(shown, model, alias))}" if shown.startswith("http") else ""
    result = {"changed": False, "model": model, "alias": alias, "version": "", "url": shown, "next_command": command}
    try:
        wanted = parse_limits(limits)
    except KpiError as error:
        return result | {"outcome": "invalid", "summary": str(error), "next_command": "", "kpis": [], "lines": []}
    trouble = ""
    champion = Champion("", {})
    try:
        # The bound is on the whole exchange: a time-out of a socket starts again with each byte that drips in.
        champion = parse_champion(*bounded(lambda: ask(url), timeout_seconds), model, alias)
    except TimeoutError:
        trouble = f"no whole answer within {timeout_seconds:g} s"
    except Exception as error:  # whatever a network, a proxy or a library comes up with is one thing: not known
        trouble = str(error).replace(mlflow_url, shown).rstrip(".") or type(error).__name__
    if trouble:
        kpis = [Kpi(item.tag, None, item.unit, item.condition, item.limit, "unknown", trouble) for item in wanted]
        said = f"{alias} of {model} at {shown}: {trouble}"
    else:
        kpis = [evaluate(item, champion.tags) for item in wanted]
        said = f"{model} version {champion.version} ({alias}): " + "; ".join(f"{kpi.tag} {kpi.reason}" for kpi in kpis)
    outcome = worst(_OUTCOMES[kpi.outcome] for kpi in kpis)
    return result | {
        "outcome": outcome,
        "summary": said,
        "next_command": "" if outcome == "proven" else command,
        "version": champion.version,
        "kpis": [asdict(kpi) for kpi in kpis],
        "lines": [f"{kpi.outcome:<7}  {kpi.tag}: {kpi.reason} (limit {kpi.condition} {kpi.limit:g})" for kpi in kpis],
    }


def _parse_limit(tag: str, text: object) -> Limit:
    condition, _, number = str(text).strip().partition(" ")
    limit = _parse_number(number.strip())
    if condition not in CONDITIONS or limit is None:
        raise KpiError(f"The limit of {tag} is a condition and a number, like '>= 1', not {text!r}.")
    return Limit(tag, condition, limit)


def _parse_number(text: str) -> float | None:
    """Return the number, None for all else: float() would also take 'nan', ' 1_0 ' and digits of other scripts."""
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None
