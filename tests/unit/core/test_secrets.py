"""Which values of an environment are secrets: in doubt, it is one."""

from __future__ import annotations

import pytest
from trading_ops.core.secrets import is_ordinary, parse_environment, select_secrets

ORDINARY = """
BTCUSDT,ETHUSDT
/usr/local/sbin:/usr/local/bin:/usr/bin
http://127.0.0.1:9/no-receiver-yet
RefStrat_01
trading-core-lab/app:3f2a9c1bdd
172.29.77.11:8000
lab1:9200
2026-11-21T01:02:03Z
3.13.2-rc1
C.UTF-8
Europe/Copenhagen
trading-paper
LiveConnector started
true
""".split("\n")[1:-1]
SECRET = """
x7Gh2kQp9z
Qr7-one-Xy12
7169605F62C751356D054A26A821E680E5FA6305
qwertyuiopasdfghjklzxcvbnmqwerty
hunter2hunter2
p@ssw0rd!
""".split("\n")[1:-1]


@pytest.mark.parametrize("value", ORDINARY)
def test_ordinary_value_is_left_in_texts(value):
    assert list(select_secrets("NAME", value)) == []


@pytest.mark.parametrize("value", SECRET)
def test_value_that_is_no_word_is_a_secret_under_any_name(value):
    assert list(select_secrets("NAME", value)) == [value]


@pytest.mark.parametrize("name", ["DB_PASSWORD", "apiKey", "SLACK_TOKEN", "client-secret", "PASSPHRASE", ""])
def test_any_value_is_a_secret_under_such_a_name_or_under_none(name):
    assert list(select_secrets(name, "trading")) == ["trading"]


@pytest.mark.parametrize("name", ["TOKEN_PATH", "password_file"])
def test_path_to_a_secret_is_none(name):
    assert list(select_secrets(name, "/run/secrets/x")) == []


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://trading:lab-pw@db:5432/trading", {"lab-pw"}),
        ("postgresql://trading:a%2Fb1@db/x", {"a%2Fb1", "a/b1"}),
        ("https://0a1b2c3d4e@sentry.io/12", {"0a1b2c3d4e"}),
        ("https://x.io/hook/abcdEFGH1234?a=1&token=7&k=Zz9Yy8Xx7", {"abcdEFGH1234", "7", "Zz9Yy8Xx7"}),
        ("http://[broken", {"http://[broken"}),
        ("https://feed.lan:8000/bars?since=0", set()),
    ],
)
def test_of_a_url_only_what_is_secret_is_looked_for(url, secret):
    assert set(select_secrets("A_PASSWORD", url)) == secret


def test_environment_is_read_as_containers_and_files_have_it():
    lines = ["# no", "", "A=1=2", "export B='x y'", 'C="q"', "single-token", "not a name=1"]
    assert list(parse_environment(lines)) == [
        ("A", "1=2"),
        ("B", "x y"),
        ("C", "q"),
        ("", "single-token"),
        ("", "not a name=1"),
    ]


def test_long_value_is_judged_at_once():
    assert not is_ordinary("a" * 100_000 + "!")
