"""Secrets do not get through: in any encoding, split over lines, cut by a chunk; and what is no secret does."""

from __future__ import annotations

import base64
import json
import random
import string
import tracemalloc

import pytest
from trading_ops.core import redaction
from trading_ops.core.redaction import DECLARED, HINTS, RedactionError, Redactor, build_rules

from tests.planted import PATTERNED, encodings

SECRET = 'k7!Qz"/+ w9\\Lm&x=Ø2p%Rt5'


def redact(text: str | bytes, known: str = SECRET) -> str:
    rules = build_rules([("DB_PASSWORD", known)])
    content = text.encode() if isinstance(text, str) else text
    return b"".join(Redactor(rules).stream([(b"", content)])).decode("utf-8", "replace")


@pytest.mark.parametrize("how", encodings(SECRET))
def test_known_value_is_found_in_its_usual_encodings(how):
    text = encodings(SECRET)[how]
    kept = redact(f"before <{text}> after")
    assert text not in kept
    assert kept.startswith("before <")
    assert kept.rstrip().endswith("> after")
    longest = max(text.split(), key=len)
    assert not any(longest[start : start + 8] in kept for start in range(len(longest) - 7))


@pytest.mark.parametrize("how", ["plain", "base64", "URL", "JSON"])
@pytest.mark.parametrize("between", ["\n", "\r\n", "\n    ", " \n2026-11-21 INFO bot: "])
def test_value_that_lines_split_is_found_whatever_stands_before_its_second_half(how, between):
    value = "Zq8rT4vWx2Kb9LmN!c/w"
    text = encodings(value)[how]
    for cut in range(6, len(text) - 5):
        kept = redact(f"a {text[:cut]}{between}{text[cut:]} z\n", value)
        assert text[:cut] not in kept, cut
        assert text[cut:] not in kept, cut
        assert kept.count("\n") == between.count("\n") + 1


def test_record_of_the_log_and_its_own_timestamp_may_come_between_the_halves():
    redactor = Redactor(build_rules([("K", "Zq8rT4vWx2Kb9LmN")]))
    kept = b"".join(redactor.stream([(b"11:00 ", b"a Zq8rT4vW"), (b"11:01 ", b"x2Kb9LmN b\n")])).decode()
    assert kept == "11:00 a (redacted: known: K)11:01  b\n"
    assert redactor.counts == {"known: K": 1}


def test_first_half_whose_rest_was_never_written_is_not_kept_either():
    assert "Zq8rT4vWx2" not in redact("last words Zq8rT4vWx2\nINFO next\n", "Zq8rT4vWx2Kb9LmN")


def test_every_secret_is_found_wherever_a_chunk_ends(monkeypatch):
    monkeypatch.setattr(redaction, "CHUNK_BYTES", 512)
    monkeypatch.setattr(redaction, "HOLD_BYTES", 128)
    for shift in range(0, 700, 7):
        text = b"x" * shift + b" password=" + b"pl4nted-one" + b" " + SECRET.encode() + b"\n" + b"tail " * 300
        rules = build_rules([("K", SECRET)])
        pieces = [(b"", text[at : at + 50]) for at in range(0, len(text), 50)]
        kept = b"".join(Redactor(rules).stream(pieces))
        assert b"pl4nted" not in kept, shift
        assert SECRET.encode()[:8] not in kept, shift
        assert kept.count(b"tail") == 300


def test_memory_is_that_of_a_few_chunks():
    taken = 0

    def pieces():
        nonlocal taken
        for _ in range(60):
            taken += 1
            yield b"", b"a line of a log, of which there are many\n" * 1000

    stream = Redactor(build_rules()).stream(pieces())
    next(stream)
    assert taken * 41_000 < 2 * (redaction.CHUNK_BYTES + redaction.HOLD_BYTES)


def test_a_text_that_is_full_of_secrets_takes_memory_by_the_secrets_and_not_by_the_text():
    secrets = [f"{number:03}-Qx7!{number * 7919:x}/planted" for number in range(6)]
    rules = build_rules(((f"S{number}", secret) for number, secret in enumerate(secrets)), declared={})
    lines = "".join(f"x {text} y\n" for secret in secrets for text in encodings(secret).values()).encode()
    tracemalloc.start()
    try:
        kept = b"".join(Redactor(rules).stream([(b"", lines)]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert b"planted" not in kept
    assert peak < 100 * len(lines)


@pytest.mark.parametrize("rule", DECLARED)
def test_declared_pattern_is_found(rule):
    redactor = Redactor(build_rules(declared={rule: DECLARED[rule]}))
    kept = redactor.text(f"at 1 <{PATTERNED[rule]}> end\n")
    assert redactor.counts == {rule: 1}
    assert "pl4nted" not in kept.lower() or rule == "JSON web token"
    assert kept.endswith("end\n")


@pytest.mark.parametrize("rule", sorted(DECLARED.keys() - {"private key", "private key in base64"}))
@pytest.mark.parametrize("how", ["base64", "URL", "JSON", "JSON of a careful writer"])
def test_declared_pattern_is_found_in_the_usual_encodings(rule, how):
    text = {
        **encodings(f"{PATTERNED[rule]} "),
        "JSON of a careful writer": PATTERNED[rule].replace("=", "\\u003d").replace("/", "\\/"),
    }[how]
    kept = Redactor(build_rules()).text(f"got {text} end")
    assert text.strip() not in kept
    assert "pl4nted" not in kept
    assert base64.b64encode(b"pl4nted").decode()[:8] not in kept


@pytest.mark.parametrize("rule", sorted(DECLARED))
def test_declared_pattern_is_found_across_lines(rule):
    text = PATTERNED[rule]
    for cut in (len(text) - 12, len(text) - 7):
        kept = Redactor(build_rules()).text(f"a {text[:cut]}\n  {text[cut:]} z")
        assert "pl4n" not in kept.lower().replace("\n  ", "")


def test_every_rule_has_a_sample_and_its_hints_are_in_it():
    assert PATTERNED.keys() == DECLARED.keys()
    for rule, hints in HINTS.items():
        assert any(hint in PATTERNED[rule].lower().encode() for hint in hints), rule


@pytest.mark.parametrize(
    "line",
    [
        "level=INFO symbol=BTCUSDT close=60123.45 lag=12.3 ms id=3f2a9c1b88de77aa3f2a9c1b88de77aa gaps=0",
        "GET http://live_connector:8000/bars?since=2026-11-21T01:30:00Z 200 in 12 ms",
        "container 813d94f84e2a984c97786560c724d0798dd4d2ef88c50219e033c08e573c1739 died",
        'Traceback (most recent call last): File "/usr/lib/python3/dist-packages/docker/api/client.py", line 1',
        "password authentication failed for user trading",
        "<script>alert(1)</script> {{ 7 * 7 }} $(reboot) \x1b[31mred\x1b[0m",
        "naïve café, 100 % of 5 symbols; ø æ å",
    ],
)
def test_line_without_a_secret_stays_as_it_is(line):
    assert redact(f"{line}\n") == f"{line}\n"


def test_short_value_is_masked_as_a_word_and_a_shorter_one_is_only_named():
    rules = build_rules([("PIN", "4711x"), ("NO", "abc")])
    redactor = Redactor(rules)
    assert redactor.text("pin 4711x, not 94711x9 or abc") == "pin (redacted: known: PIN), not 94711x9 or abc"
    assert rules.too_short == ("NO",)


def test_part_of_a_value_that_is_an_ordinary_word_stays():
    assert redact("bot of trading-core started\n", "trading-core-secret-7") == "bot of trading-core started\n"


def test_one_line_of_a_single_letter_is_read_in_time_that_grows_with_it():
    assert redact("a" * 3_000_000) == "a" * 3_000_000


def test_bytes_that_are_no_text_pass():
    assert Redactor(build_rules()).text("\ud800 x") == "? x"
    assert b"".join(Redactor(build_rules()).stream([(b"", b"\xff\xfe\0 x")])) == b"\xff\xfe\0 x"


@pytest.mark.parametrize("pattern", ["(", "x*"])
def test_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(RedactionError, match="mine"):
        build_rules(declared={"mine": pattern})


def test_tree_loses_what_stands_under_a_secrets_name_or_behind_its_flag():
    redactor = Redactor(build_rules([("K", SECRET)]))
    kept = redactor.tree(
        {
            "Cmd": ["run", "--api-token", "pl4nted", "-v", SECRET],
            "Labels": {"db.password": "pl4nted", "note": SECRET, SECRET: "x", "token.path": "/etc/token"},
            "n": [1, None, True],
        }
    )
    assert "pl4nted" not in json.dumps(kept)
    assert SECRET[:8] not in str(kept)
    assert kept["Cmd"][3] == "-v"
    assert kept["Labels"]["token.path"] == "/etc/token"
    assert kept["n"] == [1, None, True]


def test_thirty_random_secrets_in_every_encoding_leave_nothing():
    dice = random.Random(7)
    letters = string.ascii_letters + string.digits + "!#$%&()*+,-./:;<=>?@[]^_{|}~\"'\\"
    secrets = ["".join(dice.choices(letters, k=dice.randint(12, 40))) for _ in range(30)]
    rules = build_rules((f"S{number}", secret) for number, secret in enumerate(secrets))
    for secret in secrets:
        lines = "".join(f"x {text} y\n" for text in encodings(secret).values())
        kept = Redactor(rules).text(lines)
        for how, text in encodings(secret).items():
            assert text not in kept, how
            squeezed = "".join(text.split())
            assert squeezed not in "".join(kept.split()), how
