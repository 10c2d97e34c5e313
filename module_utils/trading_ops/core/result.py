"""What a module returns: the same keys on success and failure, and one way to end."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NoReturn, Protocol

from .outcome import GOOD


class Ends(Protocol):
    """The part of AnsibleModule that ends a run of it."""

    def warn(self, warning: str) -> None: ...
    def exit_json(self, **result: Any) -> NoReturn: ...
    def fail_json(self, msg: str, **result: Any) -> NoReturn: ...


class OperationError(Exception):
    """An operation ended early. The text is a sentence: what was expected, what was seen.

    outcome: one of EXIT_CODES. next_command: what to type next, empty where nothing leads on.
    """

    def __init__(self, text: str, outcome: str = "failed", next_command: str = "") -> None:
        super().__init__(text)
        self.outcome = outcome
        self.next_command = next_command


def build_result(
    outcome: str, summary: str, *, changed: bool = False, next_command: str = "", **fields: Any
) -> dict[str, Any]:
    """Return a module's result: one of EXIT_CODES, one sentence, and what the module adds."""
    return {"changed": changed, "outcome": outcome, "summary": summary, "next_command": next_command, **fields}


def finish(module: Ends, result: dict[str, Any], good: Container[str] = GOOD) -> NoReturn:
    """End the module: as good for an outcome in `good`, as failed for any other. `warnings` are said, not returned."""
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result["outcome"] in good:
        module.exit_json(**result)
    module.fail_json(msg=result["summary"], **result)
