import json
import math
import random

import pytest
from trading_lab import market
from trading_lab.model import (
    FEATURES,
    Model,
    dump_model,
    features_at,
    parse_model,
    population_stability_index,
    train,
)
from trading_lab.register_model import market_bars, train_on
from trading_lab.settings import StrategySettings
from trading_lab.strategy import aggregate

SETTINGS = StrategySettings(4, 12, 10, 3.0, 3.0)
EDGES = [float(edge) for edge in range(1, 10)]


def model(bias=0.0, weight=0.0):
    return Model(bias, dict.fromkeys(FEATURES, weight), dict.fromkeys(FEATURES, EDGES))


@pytest.mark.parametrize(("bias", "expected"), [(-1e9, 0.5), (0.0, 0.75), (1e9, 1.0)])
def test_position_scale_lies_between_half_and_one(bias, expected):
    assert model(bias).position_scale(dict.fromkeys(FEATURES, 0.0)) == pytest.approx(expected)


def test_a_model_survives_its_file():
    original = model(0.5, -1.0)
    assert parse_model(json.loads(dump_model(original))) == original


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"bias": 1}, {"bias": "x", "weights": {}, "bin_edges": {}}, json.loads(dump_model(model(math.nan)))],
)
def test_what_is_no_model_is_refused(content):
    with pytest.raises(ValueError, match="not a model"):
        parse_model(content)


def test_psi_is_near_zero_for_the_training_distribution_and_large_for_another():
    numbers = random.Random(1)
    assert population_stability_index([numbers.uniform(0, 10) for _ in range(2000)], EDGES) < 0.02
    assert population_stability_index([numbers.uniform(5, 10) for _ in range(2000)], EDGES) > 0.2


def test_psi_of_no_sample_is_unknown():
    assert math.isnan(population_stability_index([], EDGES))


def test_training_finds_the_feature_that_tells():
    numbers = random.Random(2)
    samples = [{name: numbers.gauss(0, 1) for name in FEATURES} for _ in range(500)]
    trained = train(samples, [sample["return_atr"] > 0 for sample in samples])
    assert trained.weights["return_atr"] > 10 * abs(trained.weights["range_atr"])


def test_the_labs_market_does_not_drift_from_its_own_model():
    start = 1_790_000_000.0
    trained = train_on(market_bars("BTCUSDT", 1.0, 5, start, 500), SETTINGS)
    later = [market.bar("BTCUSDT", start + second, 1.0) for second in range(2000)]
    bars = aggregate(later, 5, 1.0)
    samples = [features_at(bars[end - 130 : end], SETTINGS) for end in range(130, len(bars))]
    for name in FEATURES:
        assert population_stability_index([sample[name] for sample in samples], trained.bin_edges[name]) < 0.2


def test_features_of_a_motionless_market_are_no_numbers():
    still = [market.Bar(float(at), 100.0, 100.0, 100.0, 100.0, 1.0) for at in range(40)]
    assert all(math.isnan(value) for value in features_at(still, SETTINGS).values())
