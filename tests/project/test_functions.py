"""Functions one can hold in the head: at most six arguments and forty lines, docstring included."""

from __future__ import annotations

import ast

from tests.project.repository import ROOT

PLACES = ("library", "module_utils", "jobs", "playbooks/callback_plugins", "lab")
MOST_ARGUMENTS, MOST_LINES = 6, 40


def arguments_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many arguments a function takes, without `self` and `cls`."""
    given = node.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [each.arg for each in (given.vararg, given.kwarg) if each]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def too_much() -> dict[str, str]:
    found = {}
    for path in sorted(path for place in PLACES for path in (ROOT / place).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments, lines = arguments_of(node), (node.end_lineno or 0) - node.lineno + 1
                excess = [f"{arguments} arguments"] * (arguments > MOST_ARGUMENTS)
                excess += [f"{lines} lines"] * (lines > MOST_LINES)
                if excess:
                    found[f"{path.relative_to(ROOT)}:{node.name}"] = ", ".join(excess)
    return found


def test_there_are_functions_to_hold_in_the_head():
    assert all(list((ROOT / place).rglob("*.py")) for place in PLACES)


def test_no_function_takes_or_is_too_much():
    assert too_much() == {}


def test_arguments_are_counted_without_the_object_itself():
    source = (
        "def plain(a, /, b, *c, d, **e): ...\nclass C:\n    def method(self, a): ...\n    async def other(cls): ...\n"
    )
    counted = [arguments_of(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    assert sorted(counted) == [1, 5]
