import pytest
from trading_ops.core.frameworks import FRAMEWORKS, framework_of


@pytest.mark.parametrize(
    ("reference", "framework"),
    [
        ("freqtradeorg/freqtrade:stable", "freqtrade"),
        ("freqtrade", "freqtrade"),
        ("registry.lan:5000/team/freqtrade", "freqtrade"),
        ("ghcr.io/freqtrade/freqtrade@sha256:0123", "freqtrade"),
        ("ft_userdata-freqtrade", "freqtrade"),
        ("freqtrade_custom:2026.11", "freqtrade"),
        ("hummingbot/hummingbot-api:latest", "hummingbot"),
        ("blaspalmisciano/hummingbot", "hummingbot"),
        ("salehmir/jesse:1", "jesse"),
        ("drakkarsoftware/OctoBot", "octobot"),
        ("passivbot:v7", "passivbot"),
        ("nautechsystems/nautilus_trader", "nautilus"),
        ("https://github.com/nautechsystems/nautilus_trader", "nautilus"),
        ("freqtradeorg/other:freqtrade", ""),
        ("jesse/postgres", ""),
        ("jessesquires", ""),
        ("sha256:0123456789", ""),
        ("trading-core-lab/app:1", ""),
        ("", ""),
    ],
)
def test_framework_is_a_word_of_the_images_own_name(reference, framework):
    assert framework_of(reference) == framework


def test_every_framework_is_found_by_its_own_name():
    assert [framework_of(name) for name in FRAMEWORKS] == list(FRAMEWORKS)
