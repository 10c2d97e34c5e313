"""A test of nothing is not begun."""

from __future__ import annotations

from trading_ops.restore.trial import run_restore_test


def params(**more):
    usual = dict.fromkeys(["set", "set_path", "repository", "credentials_path", "by"], "")
    return usual | {"password_path": "/nowhere", "checks": [], "checks_select": {}, "bot_tables": ["bars"]} | more


def test_a_catalogue_without_a_check_and_a_repository_without_a_password_are_refused_before_anything_is_done():
    assert run_restore_test(params(), False)["outcome"] == "invalid"
