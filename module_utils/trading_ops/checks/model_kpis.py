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

from ..core.outcome import worst
from ..core.result import build_result
from ..core.shown_urls import show_url
from ..core.strict_json import parse_json
from ..host.http import MAX_BYTES, Ask

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
class Alias:
    """What is asked for: an alias of a registered model, and the registry that knows it."""

    mlflow_url: str
    model: str
    alias: str

    @property
    def path(self) -> str:
        """Return the path that answers which version of the model carries the alias."""
        return f"/api/2.0/mlflow/registered-models/alias?{urlencode({'name': self.model, 'alias': self.alias})}"


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


def parse_champion(status: int, body: bytes, asked: Alias) -> Champion:
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
        aliases = [str(item) for item in found.get("aliases", [asked.alias])]
        pairs = [(str(tag["key"]), str(tag["value"])) for tag in found.get("tags", [])]
    except (KeyError, TypeError, AttributeError) as error:
        raise KpiError(f"The answer names no model version: {type(error).__name__}: {error}.") from error
    if name != asked.model or asked.alias not in aliases or not re.fullmatch(r"[0-9]+", version):
        about = f"{name} version {version} ({', '.join(aliases)})"
        raise KpiError(f"The answer is about {about}, not {asked.model} {asked.alias}.")
    if state != "READY":
        raise KpiError(f"{name} version {version} is {state}, not READY.")
    if len(dict(pairs)) != len(pairs):
        raise KpiError(f"{name} version {version} has a tag twice.")
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


def observe(asked: Alias, limits: Mapping[str, object], ask: Ask) -> dict[str, Any]:
    """Return the module result. Never raises; `ask` talks to the registry and may raise anything."""
    shown = show_url(asked.mlflow_url)
    command = f"curl -s {shlex.quote(shown.rstrip('/') + asked.path)}" if shown.startswith("http") else ""
    fields: dict[str, Any] = {"model": asked.model, "alias": asked.alias, "url": shown}
    try:
        wanted = parse_limits(limits)
    except KpiError as error:
        return build_result("invalid", str(error), version="", kpis=[], lines=[], **fields)
    champion, reason = _find_champion(asked, ask)
    if champion:
        kpis = [evaluate(item, champion.tags) for item in wanted]
        found = "; ".join(f"{kpi.tag} {kpi.reason}" for kpi in kpis)
        summary = f"{asked.model} version {champion.version} ({asked.alias}): {found}"
    else:
        kpis = [Kpi(item.tag, None, item.unit, item.condition, item.limit, "unknown", reason) for item in wanted]
        summary = f"{asked.alias} of {asked.model} at {shown}: {reason}"
    outcome = worst(_OUTCOMES[kpi.outcome] for kpi in kpis)
    return build_result(
        outcome,
        summary,
        next_command="" if outcome == "proven" else command,
        version=champion.version if champion else "",
        kpis=[asdict(kpi) for kpi in kpis],
        lines=[f"{kpi.outcome:<7}  {kpi.tag}: {kpi.reason} (limit {kpi.condition} {kpi.limit:g})" for kpi in kpis],
        **fields,
    )


def _find_champion(asked: Alias, ask: Ask) -> tuple[Champion | None, str]:
    """Return the version that carries the alias, or why it is not known."""
    try:
        return parse_champion(*ask("GET", asked.path), asked), ""
    except Exception as error:  # whatever a network, a proxy or a library comes up with is one thing: not known
        text = str(error).replace(asked.mlflow_url, show_url(asked.mlflow_url))
        return None, text.rstrip(".") or type(error).__name__


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
