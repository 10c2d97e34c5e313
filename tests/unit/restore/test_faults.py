import pytest
from trading_ops.restore.faults import FAULTS, Failure, RestoreFault, by_cause, fault, may_pass


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_a_kind_and_says_what_to_do(name):
    assert FAULTS[name].kind in {"environment", "data"}
    assert FAULTS[name].what_to_do


def test_no_data_fault_is_ever_tried_again():
    assert not [name for name, item in FAULTS.items() if item.kind == "data" and item.may_pass]


def test_trying_again_is_worth_it_only_where_every_failure_can_pass():
    room, rows = Failure("no_room", "full"), Failure("rows_missing", "6 of 7")
    assert may_pass([room])
    assert not may_pass([room, rows])
    assert not may_pass([])


def test_the_cause_stands_before_what_follows_from_it():
    found = by_cause([Failure("left_behind", ""), Failure("rows_missing", ""), Failure("dump_truncated", "")])
    assert [item.name for item in found] == ["dump_truncated", "rows_missing", "left_behind"]


def test_a_failure_comes_with_name_kind_words_and_what_to_do():
    (failure,) = fault("wrong_password", "restic said\n so").failures
    assert failure.as_result() == {
        "name": "wrong_password",
        "kind": "environment",
        "detail": "restic said so",
        "what_to_do": FAULTS["wrong_password"].what_to_do,
    }


def test_the_words_of_several_failures_are_all_there():
    assert str(RestoreFault(Failure("a", "x"), Failure("b", "y"))) == "a: x; b: y"
