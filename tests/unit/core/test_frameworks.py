import pytest
from trading_ops.core.frameworks import FRAMEWORKS, framework_of, framework_of_command


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
        ("https://github.com/freqtrade/freqtrade/", "freqtrade"),
        ("https://github.com/freqtrade/freqtrade/tree/develop", "freqtrade"),
        ("https://gitlab.com/me/freqtrade.git/-/tree/main", "freqtrade"),
        ("git@host:freqtrade/freqtrade.git", "freqtrade"),
        ("git@host:freqtrade.git", "freqtrade"),
        ("ssh://git@host:22/me/freqtrade.git", "freqtrade"),
        ("team/tree/freqtrade", "freqtrade"),
        ("team/freqtrade:1@sha256:0123", "freqtrade"),
        ("hummingbot/gateway", ""),
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


@pytest.mark.parametrize(
    ("command", "framework"),
    [
        (["freqtrade", "trade"], "freqtrade"),
        (["tini", "--", "freqtrade"], "freqtrade"),
        (["/usr/bin/tini", "-g", "--", "/bin/sh", "-c", "cd /x && exec freqtrade trade"], "freqtrade"),
        (["python3.12", "-m", "freqtrade", "trade"], "freqtrade"),
        (["sh", "-c", "sleep 5; A=b jesse run"], "jesse"),
        (["/bin/bash", "-c", "conda activate hummingbot && ./bin/hummingbot_quickstart.py"], "hummingbot"),
        (["./OctoBot"], "octobot"),
        (["cp", "-r", "/data/freqtrade", "/backup"], ""),
        (["postgres", "-c", "dbname=freqtrade"], ""),
        (["sh"], ""),
        ([], ""),
    ],
)
def test_framework_is_what_a_command_starts(command, framework):
    assert framework_of_command(command) == framework
