"""How a module answers and ends."""

from __future__ import annotations

import pytest
from trading_ops.core.outcome import EXIT_CODES, GOOD
from trading_ops.core.result import OperationError, build_result, finish


class Ended(Exception):
    """As AnsibleModule leaves."""


class FakeModule:
    def __init__(self):
        self.warned, self.left = [], None

    def warn(self, warning):
        self.warned.append(warning)

    def exit_json(self, **result):
        self.left = ("exit", result)
        raise Ended

    def fail_json(self, msg, **result):
        self.left = ("fail", {"msg": msg, **result})
        raise Ended


@pytest.mark.parametrize("outcome", [*EXIT_CODES, "a word nobody knows"])
def test_only_a_good_outcome_leaves_as_good(outcome):
    module = FakeModule()
    with pytest.raises(Ended):
        finish(module, build_result(outcome, "One sentence.", bots=[], warnings=["slow"]))
    how, result = module.left
    assert how == ("exit" if outcome in GOOD else "fail")
    assert (result["outcome"], result["bots"], result["changed"], result["next_command"]) == (outcome, [], False, "")
    assert result.get("msg", "One sentence.") == "One sentence."
    assert (module.warned, "warnings" in result) == (["slow"], False)


def test_a_module_may_leave_as_good_for_other_outcomes():
    for outcome, how in (("refused", "exit"), ("locked", "fail")):
        module = FakeModule()
        with pytest.raises(Ended):
            finish(module, build_result(outcome, "One sentence."), good=EXIT_CODES.keys() - {"locked"})
        assert module.left[0] == how


def test_an_error_carries_its_outcome_and_the_next_command():
    plain, refused = OperationError("No."), OperationError("No.", "refused", "./runbook status")
    assert (plain.outcome, plain.next_command) == ("failed", "")
    assert (str(refused), refused.outcome, refused.next_command) == ("No.", "refused", "./runbook status")
