"""Registers a RefStrat_01 model; does nothing where the registry has a champion with its KPIs already.

The newest bars are kept from training. What the model earns on them stands on the version, as tags.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from trading_lab import market
from trading_lab.http_json import CallFailed
from trading_lab.market import Bar
from trading_lab.model import MODEL_FILE, Model, dump_model, features_at, train
from trading_lab.performance import BARS_PER_DAY, Performance
from trading_lab.registry import ALIAS, MODEL_NAME, champion_tags
from trading_lab.settings import StrategySettings, TradingSettings, read_settings
from trading_lab.strategy import aggregate, decide, warm_up_bars
from trading_lab.trader import FEE_RATIO, STARTING_EQUITY, Position

_TRAINING_BARS = 3000
_OUT_OF_SAMPLE_BARS = 1000
OUT_OF_SAMPLE_KPIS = ("oos_sharpe_ratio", "oos_max_drawdown_ratio", "oos_trades", "oos_period_days")


def has_measured_champion(tracking_uri: str) -> bool:
    """Whether there is a champion, and it carries all KPIs: one that an older lab registered has none."""
    try:
        return champion_tags(tracking_uri).keys() >= set(OUT_OF_SAMPLE_KPIS)
    except CallFailed:
        return False


def market_bars(symbol: str, bar_seconds: float, bars_each: int, now: float, bars_wanted: int) -> list[Bar]:
    """The aggregated bars before now, oldest first."""
    last = market.last_open_time(now, bar_seconds)
    ages = reversed(range(bars_wanted * bars_each))
    return aggregate(
        [market.bar(symbol, last - bar_seconds * age, bar_seconds) for age in ages], bars_each, bar_seconds
    )


def train_on(bars: Sequence[Bar], settings: StrategySettings) -> Model:
    """A model trained on these bars and no others."""
    ends = range(warm_up_bars(settings), len(bars) - 1)
    samples = [features_at(_seen_at(bars, end, settings), settings) for end in ends]
    return train(samples, [bars[end + 1].close > bars[end].close for end in ends])


def train_and_measure(bars: Sequence[Bar], first: int, settings: TradingSettings) -> tuple[Model, dict[str, float]]:
    """A model trained on the bars before bars[first], and what it earns from there on."""
    model = train_on(bars[:first], settings.strategy)
    return model, out_of_sample_kpis(bars, first, settings, model)


def out_of_sample_kpis(bars: Sequence[Bar], first: int, settings: TradingSettings, model: Model) -> dict[str, float]:
    """What strategy and model earn from bars[first] on: each decision filled at the bar's close, with the bot's fee.

    Bars before that are only looked back at. Stop and limit orders, which the bot lets rest as well, are left out.
    """
    account, performance, fills = Position(), Performance(STARTING_EQUITY, len(bars)), 0
    for end in range(first, len(bars)):
        seen, close = _seen_at(bars, end, settings.strategy), bars[end].close
        before = performance.equity
        performance.mark(bars[end].open_time, account.value(close))
        performance.close_period(before, performance.equity)
        decision = decide(seen, account.is_long, settings.strategy)
        if decision == "hold":
            continue
        quantity = account.quantity
        if decision == "enter":
            scale = model.position_scale(features_at(seen, settings.strategy))
            quantity = (
                account.value(close) * min(settings.position_ratio, settings.limits.position_ratio) * scale / close
            )
        account.fill("buy" if decision == "enter" else "sell", quantity, close, quantity * close * FEE_RATIO)
        fills += 1
    days = (len(bars) - first) / BARS_PER_DAY
    return dict(zip(OUT_OF_SAMPLE_KPIS, (performance.sharpe, performance.max_drawdown, fills, days), strict=True))


def format_tags(kpis: Mapping[str, float]) -> dict[str, str]:
    """The KPIs as MLflow keeps them: text."""
    return {name: f"{value:.6g}" for name, value in kpis.items()}


def _seen_at(bars: Sequence[Bar], end: int, settings: StrategySettings) -> Sequence[Bar]:
    """The bars that are known at the close of bars[end], as far as the indicators look back: the work stays linear."""
    return bars[max(0, end + 1 - 11 * settings.ema_slow_bars) : end + 1]


def main() -> None:
    tracking_uri = os.environ["MLFLOW_TRACKING_URI"]
    if has_measured_champion(tracking_uri):
        print(f"registry: {MODEL_NAME} has a champion with its out-of-sample KPIs", flush=True)
        return
    print(f"registry: training a {MODEL_NAME}", flush=True)
    settings = read_settings(Path(os.environ.get("CONFIG_PATH", "/config/trading.yml")), MODEL_NAME)
    bars = market_bars(
        settings.symbol,
        float(os.environ.get("BAR_SECONDS", "1")),
        int(os.environ.get("AGGREGATE_BARS", "5")),
        time.time(),
        _TRAINING_BARS + _OUT_OF_SAMPLE_BARS,
    )
    model, kpis = train_and_measure(bars, len(bars) - _OUT_OF_SAMPLE_BARS, settings)
    tags = format_tags(kpis)

    # Only here: MLflow's imports take seconds that a registry with a champion need not spend.
    import mlflow
    import mlflow.pyfunc

    mlflow.set_experiment(MODEL_NAME)
    with tempfile.TemporaryDirectory() as scratch, mlflow.start_run():
        data = Path(scratch, MODEL_FILE)
        data.write_text(dump_model(model), encoding="utf-8")
        mlflow.log_params({"symbol": settings.symbol, "training_bars": len(bars) - _OUT_OF_SAMPLE_BARS})
        logged = mlflow.pyfunc.log_model(
            name="model",
            loader_module="trading_lab.model",
            data_path=str(data),
            pip_requirements=[],
            registered_model_name=MODEL_NAME,
        )
    version = str(logged.registered_model_version)
    registry = mlflow.MlflowClient()
    for name, value in tags.items():
        registry.set_model_version_tag(MODEL_NAME, version, name, value)
    # Last, so that there never is a champion without its KPIs.
    registry.set_registered_model_alias(MODEL_NAME, ALIAS, version)
    print(f"registry: {MODEL_NAME} version {version} is {ALIAS}, {tags}", flush=True)


if __name__ == "__main__":
    main()
