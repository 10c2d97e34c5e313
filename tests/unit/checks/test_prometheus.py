import json
import math
from typing import Any

import pytest
from trading_ops.checks.prometheus import parse_instant_answer
from trading_ops.host.http import Endpoint, HttpError

from tests.unit.fake_prometheus import answer, sample


def test_samples_are_read_with_labels_value_and_time():
    seen = parse_instant_answer(*answer([sample({"symbol": "BTCUSDT"}, "1.5", 7), sample({}, "-2", 7.25)]))
    assert [(dict(each.labels), each.value, each.evaluated_at) for each in seen] == [
        ({"symbol": "BTCUSDT"}, 1.5, 7.0),
        ({}, -2.0, 7.25),
    ]


def test_an_empty_vector_is_no_samples():
    assert parse_instant_answer(*answer([])) == ()


@pytest.mark.parametrize("word", ["0", "-0", "1e-07", "1.7976931348623157e+308", "-12.5", "1e+06"])
def test_numbers_are_read_as_prometheus_writes_them(word):
    assert parse_instant_answer(*answer([sample({}, word, 7)]))[0].value == float(word)


@pytest.mark.parametrize("word", ["NaN", "+Inf", "-Inf"])
def test_values_that_are_not_finite_are_read_as_what_they_are(word):
    assert not math.isfinite(parse_instant_answer(*answer([sample({}, word, 7)]))[0].value)


@pytest.mark.parametrize("word", ["nan", "inf", "Infinity", "1_000", " 1", "1 ", "", "0x10", "1,5", "١"])
def test_what_only_python_takes_for_a_number_is_none(word):
    with pytest.raises(HttpError, match="not a value"):
        parse_instant_answer(*answer([sample({}, word, 7)]))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_only_python_takes_for_json_are_none(constant):
    text = answer([sample({}, "1", 7)])[1].replace(b"[7, ", f"[{constant}, ".encode())
    with pytest.raises(HttpError, match=f"{constant} is no JSON"):
        parse_instant_answer(200, text)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (None, "not a sample"),
        ({"metric": {}}, "not a sample"),
        ({"metric": {}, "value": [7, "1"], "histogram": []}, "not a sample"),
        ({"metric": {"symbol": 7}, "value": [7, "1"]}, "labels of a sample"),
        ({"metric": [], "value": [7, "1"]}, "labels of a sample"),
        ({"metric": {}, "value": [7]}, "not a time and a number"),
        ({"metric": {}, "value": {"7": "1"}}, "not a time and a number"),
        ({"metric": {}, "value": [True, "1"]}, "time of a sample"),
        ({"metric": {}, "value": ["7", "1"]}, "time of a sample"),
        ({"metric": {}, "value": [7, 1]}, "not a value"),
    ],
    ids=str,
)
def test_an_entry_that_is_no_sample_spoils_the_answer(entry, why):
    with pytest.raises(HttpError, match=why):
        parse_instant_answer(*answer([sample({}, "1", 7), entry]))


@pytest.mark.parametrize("beside", [{"warnings": []}, {"infos": None}, {"isPartial": False}, {"error": ""}], ids=str)
def test_what_stands_beside_the_data_and_says_nothing_is_no_reason_to_distrust_it(beside):
    assert len(parse_instant_answer(*answer([sample({}, "1", 7)], **beside))) == 1


@pytest.mark.parametrize("more", [{"warnings": ["cut"]}, {"infos": ["x"]}, {"isPartial": True}, {"new": 1}], ids=str)
def test_anything_said_beside_the_data_is_distrusted_and_quoted(more):
    (name,) = more
    with pytest.raises(HttpError, match=f"comes with {name}"):
        parse_instant_answer(*answer([sample({}, "1", 7)], **more))


def test_prometheus_own_words_of_an_error_are_quoted():
    body = json.dumps({"status": "error", "errorType": "bad_data", "error": "1:4: parse error"}).encode()
    with pytest.raises(HttpError, match="HTTP status 400: 1:4: parse error"):
        parse_instant_answer(400, body)


@pytest.mark.parametrize("status", [201, 206, 302, 401, 500])
def test_another_status_than_200_is_no_answer_whatever_the_body_says(status):
    _, good = answer([sample({}, "1", 7)])
    with pytest.raises(HttpError, match=f"HTTP status {status}"):
        parse_instant_answer(status, good)


def test_a_password_is_not_in_the_text_of_an_endpoint():
    endpoint: Any = Endpoint("https://reno:hidden@prometheus.lan/x?key=hidden", "reno", "hidden")
    assert endpoint.shown == "https://prometheus.lan/x"
    assert "password" not in repr(endpoint)
