"""Ids of machines: what is one, and when two are one machine."""

from __future__ import annotations

import pytest
from trading_ops.core.machine import Machine, parse_id, parse_machine, parse_recorded

ONE, TWO = "1" * 32, "2" * 32


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        (Machine(ONE, "boot-one"), Machine(ONE, "boot-one"), True),
        (Machine(ONE, "boot-one"), Machine(ONE, "boot-two"), False),  # clones
        (Machine(ONE, "boot-one"), Machine(TWO, "boot-one"), False),  # containers of one kernel
        (Machine(ONE, "boot-one"), Machine(ONE, ""), True),  # nothing tells them apart
        (Machine(ONE, ""), Machine(ONE, ""), True),
        (Machine("", "boot-one"), Machine("", "boot-one"), False),  # nothing is said
        (Machine(), Machine(), False),
    ],
)
def test_two_names_are_one_machine_where_nothing_tells_them_apart(one, other, is_one):
    assert (one.may_be(other), other.may_be(one)) == (is_one, is_one)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (ONE, ONE),
        ("c4a760a8-dbcf-5254-a0d9-6a4474bd1b62", "c4a760a8-dbcf-5254-a0d9-6a4474bd1b62"),
        ("7TRN:IPZB:QYBB:VPBQ", "7TRN:IPZB:QYBB:VPBQ"),
        ("", ""),
        (None, ""),
        (7, ""),
        ([ONE], ""),
        ("$(id)" + ONE, ""),
        (ONE + "\n", ""),
        ("\x1b[2J" + ONE, ""),
        ("1" * 65, ""),
        ("1234567", ""),
    ],
)
def test_what_is_no_id_is_not_known(told, expected):
    assert parse_id(told) == expected
    assert parse_machine({"machine_id": told}) == Machine(expected)
    assert parse_recorded({"a": told}) == ({"a": expected} if expected else {})


@pytest.mark.parametrize("value", [None, "x", [], 7])
def test_what_is_no_answer_names_no_machine(value):
    assert (parse_machine(value), parse_recorded(value)) == (Machine(), {})
