"""Registers the first RefStrat_01 model; does nothing where the registry has a champion already."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from trading_lab import market
from trading_lab.http_json import CallFailed
from trading_lab.model import MODEL_FILE, Model, dump_model, features_at, train
from trading_lab.registry import ALIAS, MODEL_NAME, champion_version
from trading_lab.settings import StrategySettings, read_settings
from trading_lab.strategy import aggregate, warm_up_bars

_TRAINING_BARS = 3000


def train_on_market(
    symbol: str, settings: StrategySettings, bar_seconds: float, bars_each: int, now: float, bars_wanted: int
) -> Model:
    """A model trained on the aggregated bars before now."""
    last = market.last_open_time(now, bar_seconds)
    feed_bars = [
        market.bar(symbol, last - bar_seconds * age, bar_seconds) for age in reversed(range(bars_wanted * bars_each))
    ]
    bars = aggregate(feed_bars, bars_each, bar_seconds)
    # A window as long as the indicators look back keeps this linear in the number of bars.
    window = 11 * settings.ema_slow_bars
    ends = range(warm_up_bars(settings), len(bars) - 1)
    samples = [features_at(bars[max(0, end + 1 - window) : end + 1], settings) for end in ends]
    return train(samples, [bars[end + 1].close > bars[end].close for end in ends])


def main() -> None:
    tracking_uri = os.environ["MLFLOW_TRACKING_URI"]
    try:
        print(f"registry: {MODEL_NAME} has a champion, version {champion_version(tracking_uri)}", flush=True)
        return
    except CallFailed:
        print(f"registry: training the first {MODEL_NAME}", flush=True)
    settings = read_settings(Path(os.environ.get("CONFIG_PATH", "/config/trading.yml")), MODEL_NAME)
    model = train_on_market(
        settings.symbol,
        settings.strategy,
        float(os.environ.get("BAR_SECONDS", "1")),
        int(os.environ.get("AGGREGATE_BARS", "5")),
        time.time(),
        _TRAINING_BARS,
    )

    # Only here: MLflow's imports take seconds that a registry with a champion need not spend.
    import mlflow
    import mlflow.pyfunc

    mlflow.set_experiment(MODEL_NAME)
    with tempfile.TemporaryDirectory() as scratch, mlflow.start_run():
        data = Path(scratch, MODEL_FILE)
        data.write_text(dump_model(model), encoding="utf-8")
        mlflow.log_params({"symbol": settings.symbol, "training_bars": _TRAINING_BARS})
        logged = mlflow.pyfunc.log_model(
            name="model",
            loader_module="trading_lab.model",
            data_path=str(data),
            pip_requirements=[],
            registered_model_name=MODEL_NAME,
        )
    version = str(logged.registered_model_version)
    mlflow.MlflowClient().set_registered_model_alias(MODEL_NAME, ALIAS, version)
    print(f"registry: {MODEL_NAME} version {version} is {ALIAS}", flush=True)


if __name__ == "__main__":
    main()
