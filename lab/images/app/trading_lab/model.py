"""The model that goes with RefStrat_01: how much of a position to take, from three features.

A logistic regression on the direction of the next bar, kept as JSON with the feature distributions it
was trained on, which is what drift is measured against. MLflow stores it as a python_function model
whose loader is this module; the bot reads the same file without MLflow's imports.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trading_lab.market import Bar
from trading_lab.settings import StrategySettings
from trading_lab.strategy import atr, ema

FEATURES = ("ema_spread_atr", "return_atr", "range_atr")
MODEL_FILE = "model.json"
_PSI_BINS = 10
_SMALLEST_SHARE = 0.001
_SMALLEST_SCALE = 0.5


@dataclass(frozen=True)
class Model:
    """Weights by feature, and per feature the bin edges that cut its training data into equal shares."""

    bias: float
    weights: Mapping[str, float]
    bin_edges: Mapping[str, Sequence[float]]

    def position_scale(self, features: Mapping[str, float]) -> float:
        """The share of a full position to take, from 0.5 (no confidence) to 1."""
        exponent = self.bias + sum(self.weights[name] * features[name] for name in FEATURES)
        rise = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, exponent))))
        return _SMALLEST_SCALE + (1.0 - _SMALLEST_SCALE) * rise


def features_at(bars: Sequence[Bar], settings: StrategySettings) -> dict[str, float]:
    """The features at the close of the last aggregated bar, all in units of ATR."""
    closes = [bar.close for bar in bars[-10 * settings.ema_slow_bars :]]
    unit = atr(bars, settings.atr_bars) or math.nan
    return {
        "ema_spread_atr": (ema(closes, settings.ema_fast_bars) - ema(closes, settings.ema_slow_bars)) / unit,
        "return_atr": (closes[-1] - closes[-2]) / unit,
        "range_atr": (bars[-1].high - bars[-1].low) / unit,
    }


def population_stability_index(sample: Sequence[float], bin_edges: Sequence[float]) -> float:
    """PSI of a sample against equal shares of the training data per bin; NaN for an empty sample."""
    if not sample:
        return math.nan
    counts = [0] * (len(bin_edges) + 1)
    for value in sample:
        counts[bisect_right(bin_edges, value)] += 1
    expected = 1.0 / len(counts)
    shares = [max(count / len(sample), _SMALLEST_SHARE) for count in counts]
    return sum((share - expected) * math.log(share / expected) for share in shares)


def train(samples: Sequence[Mapping[str, float]], rises: Sequence[bool]) -> Model:
    """A model fitted by gradient descent; the same samples give the same model."""
    bias, weights, rate = 0.0, dict.fromkeys(FEATURES, 0.0), 0.1
    for _ in range(50):
        errors = []
        for features, rose in zip(samples, rises, strict=True):
            exponent = bias + sum(weights[name] * features[name] for name in FEATURES)
            errors.append(1.0 / (1.0 + math.exp(-exponent)) - float(rose))
        bias -= rate * sum(errors) / len(errors)
        for name in FEATURES:
            slope = sum(error * features[name] for error, features in zip(errors, samples, strict=True))
            weights[name] -= rate * slope / len(errors)
    edges = {name: _equal_share_edges([features[name] for features in samples]) for name in FEATURES}
    return Model(bias, weights, edges)


def dump_model(model: Model) -> str:
    """The model as JSON text."""
    return json.dumps(asdict(model), indent=1)


def parse_model(content: Any) -> Model:
    """The model in parsed JSON; ValueError where it is not one for these features."""
    try:
        model = Model(
            float(content["bias"]),
            {name: float(content["weights"][name]) for name in FEATURES},
            {name: [float(edge) for edge in content["bin_edges"][name]] for name in FEATURES},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a model of RefStrat_01: {error!r}") from error
    if not all(math.isfinite(value) for value in (model.bias, *model.weights.values())):
        raise ValueError("not a model of RefStrat_01: a weight is no finite number")
    return model


def _load_pyfunc(data_path: str) -> Any:
    """MLflow's loader hook: an object with predict(table of features) -> list of position scales."""
    model = parse_model(json.loads(Path(data_path).read_text(encoding="utf-8")))

    class Predictor:
        def predict(self, table: Any, params: Any = None) -> list[float]:
            return [model.position_scale(row) for row in table.to_dict("records")]

    return Predictor()


def _equal_share_edges(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[len(ordered) * cut // _PSI_BINS] for cut in range(1, _PSI_BINS)]
