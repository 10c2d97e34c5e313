"""config/trading.yml: what may be traded and how large. The bot reads it again whenever it changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class SettingsError(Exception):
    """Which setting is missing or wrong."""


@dataclass(frozen=True)
class StrategySettings:
    """RefStrat_01's parameters: periods in aggregated bars, distances in ATR."""

    ema_fast_bars: int
    ema_slow_bars: int
    atr_bars: int
    stop_distance_atr: float
    entry_distance_atr: float


@dataclass(frozen=True)
class RiskLimits:
    """Beyond these the bot takes no new position."""

    day_loss_ratio: float
    drawdown_ratio: float
    position_ratio: float


@dataclass(frozen=True)
class TradingSettings:
    """Everything the bot obeys. may_enter is false as soon as venue, symbol or strategy is disabled."""

    symbol: str
    may_enter: bool
    position_ratio: float
    strategy: StrategySettings
    limits: RiskLimits
    orders_per_minute: float = math.inf


def parse_settings(content: Any, strategy_name: str) -> TradingSettings:
    """The settings for one strategy out of the parsed file."""
    venue, sizing, limits = (_section(content, name) for name in ("venue", "sizing", "risk_limits"))
    strategy = _section(_section(content, "strategies"), strategy_name)
    symbol = str(strategy.get("symbol", ""))
    listed = _section(_section(content, "symbols"), symbol)
    fast, slow = _number(strategy, "ema_fast_bars"), _number(strategy, "ema_slow_bars")
    if not fast < slow:
        raise SettingsError(f"ema_fast_bars ({fast:g}) is below ema_slow_bars ({slow:g})")
    return TradingSettings(
        symbol=symbol,
        may_enter=all(section.get("enabled") is True for section in (venue, listed, strategy)),
        position_ratio=_number(sizing, "position_ratio"),
        strategy=StrategySettings(
            int(fast),
            int(slow),
            int(_number(strategy, "atr_bars")),
            _number(strategy, "stop_distance_atr"),
            _number(strategy, "entry_distance_atr"),
        ),
        limits=RiskLimits(
            _number(limits, "day_loss_ratio"),
            _number(limits, "drawdown_ratio"),
            _number(limits, "position_ratio"),
        ),
        # A file from before there was such a limit has none.
        orders_per_minute=_number(_section(content, "load"), "orders_per_minute") if "load" in content else math.inf,
    )


def read_settings(path: Path, strategy_name: str) -> TradingSettings:
    """The settings in a file; SettingsError names the file and what is wrong with it."""
    try:
        return parse_settings(yaml.safe_load(path.read_text(encoding="utf-8")), strategy_name)
    except (OSError, ValueError, yaml.YAMLError, SettingsError) as error:
        raise SettingsError(f"{path}: {error}") from error


def _section(content: Any, name: str) -> Mapping[str, Any]:
    section = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(section, Mapping):
        raise SettingsError(f"section {name!r} is missing")
    return section


def _number(section: Mapping[str, Any], name: str) -> float:
    value = section.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise SettingsError(f"{name} is a number above 0, not {value!r}")
    return float(value)
