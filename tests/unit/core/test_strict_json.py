import pytest
from trading_ops.core.strict_json import object_lines, parse_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        (' {"a": [1, 2.5, "x"]}\n', {"a": [1, 2.5, "x"]}),
        ('{"a": {"b": 1}, "b": 1}', {"a": {"b": 1}, "b": 1}),
    ],
)
def test_what_can_mean_one_thing_only_is_read(text, value):
    assert parse_json(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("{} {}", "Extra data"),
        ('{"a": NaN}', "NaN"),
        ("[Infinity]", "Infinity"),
        ("[-Infinity]", "-Infinity"),
        ('{"a": 1, "a": 1}', "twice"),
        ('{"b": {"a": 1, "a": 2}}', "twice"),
        ("[" * 100_000, "nested too deep"),
    ],
    ids=lambda text: text[:20] or "empty",
)
def test_what_could_mean_two_things_or_none_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a\n", ["a"]),
        ("a\nb", ["a", "b"]),
        ("a\n\n", ["a", ""]),
        ("a\u2028b\x85c\rd\n", ["a\u2028b\x85c\rd"]),
    ],
)
def test_only_a_newline_ends_a_line(text, lines):
    assert object_lines(text) == lines
