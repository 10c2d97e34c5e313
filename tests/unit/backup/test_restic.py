"""restic: its answers are read strictly, and its secrets stay where they are."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from trading_ops.backup.restic import (
    Repository,
    ResticError,
    build_repository,
    check_end,
    newest_set,
    next_after,
    parse_environment,
    parse_files,
    parse_sets,
    repository_of,
    restic_argv,
)
from trading_ops.host.private_files import account_name
from trading_ops.host.programs import Ended

from tests.unit.backup_world import NOW, snapshot

REPOSITORY = Repository("rest:http://user:secret@lab-control:8000/trading-core", Path("/pw"), {}, Path("/cache"))


@pytest.mark.parametrize(
    ("code", "words", "outcome"),
    [
        (1, "ended with 1: x (no space left on device)", "failed"),
        (3, "could not read all of its source", "failed"),
        (10, "no repository", "failed"),
        (11, "holds the repository's lock", "locked"),
        (12, "password is wrong", "failed"),
        (2, "ended with 2", "failed"),
        (130, "ended with 130", "failed"),
        (-9, "ended with -9", "failed"),
    ],
)
def test_every_end_but_0_is_a_failure_with_words_of_its_own(code, words, outcome):
    with pytest.raises(ResticError) as seen:
        check_end(REPOSITORY, "backup", Ended(code, "", "no space left on device\nFatal: x\n"))
    assert (words in str(seen.value), seen.value.outcome) == (True, outcome)
    assert "secret" not in str(seen.value)


def test_words_in_json_are_told_without_it():
    with pytest.raises(ResticError, match="unable to open"):
        check_end(REPOSITORY, "backup", Ended(1, "", '{"message_type":"exit_error","message":"unable to open"}'))


def test_of_a_long_complaint_the_file_and_the_cause_are_told():
    complaint = f"Load(<data/d2e51af949>, 8, 3) failed: open /repo/data/d2/{'d2' * 32}: no such file or directory"
    with pytest.raises(ResticError) as seen:
        check_end(REPOSITORY, "restore", Ended(1, "", f"{complaint}\nFatal: There were 18 errors\n"))
    assert "(Load(<data/d2e51af949>" in str(seen.value)
    assert str(seen.value).endswith(": no such file or directory).")


def test_an_end_with_0_is_none():
    check_end(REPOSITORY, "backup", Ended(0, "", "warning"))


def test_a_command_waits_for_a_lock_and_holds_no_secret_but_the_addresses():
    argv = restic_argv(REPOSITORY, ["check"])
    assert argv[:3] == ["restic", f"--repo={REPOSITORY.address}", "--password-file=/pw"]
    assert any(word.startswith("--retry-lock=") for word in argv)


@pytest.mark.parametrize(
    ("at", "zone"),
    [("2026-11-21T03:30:00.123456789+01:00", 1), ("2026-11-21T02:30:00.5Z", 0), ("2026-11-21T03:30:00+01:00", 1)],
)
def test_the_time_of_a_snapshot_is_read_in_any_zone(at, zone):
    (found,) = parse_sets(json.dumps([snapshot(1, timedelta(0), time=at)]))
    assert abs((found.at - NOW).total_seconds()) < 1


def test_the_newest_set_is_the_last_one_unless_another_is_named():
    sets = parse_sets(json.dumps([snapshot(2, timedelta(0)), snapshot(1, timedelta(days=1))]))
    assert newest_set(sets).id == "SET-20261121-023000"
    assert newest_set(sets, "SET-20261120-023000") == sets[0]
    with pytest.raises(ValueError, match="no set SET-1"):
        newest_set(sets, "SET-1")
    with pytest.raises(ValueError, match="no set"):
        newest_set([])


def test_files_of_both_forms_of_the_list_are_read():
    old = '{"struct_type":"node","type":"file","path":"/a/b","size":3}'
    new = '{"message_type":"node","type":"file","path":"/c"}\n{"message_type":"node","type":"dir","path":"/a"}'
    assert parse_files(f"{old}\n{new}\n") == {"a/b": 3, "c": 0}


@pytest.mark.parametrize("text", ["x", "[]", '{"message_type":"node"}', '{"message_type":"node","type":"file"}'])
def test_a_list_of_files_that_is_not_understood_is_an_error(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_files(text)


def test_credentials_are_names_and_values():
    assert parse_environment("# rest-server\nRESTIC_REST_USERNAME=a\n\nRESTIC_REST_PASSWORD=b=c\n") == {
        "RESTIC_REST_USERNAME": "a",
        "RESTIC_REST_PASSWORD": "b=c",
    }
    with pytest.raises(ValueError, match="line 2"):
        parse_environment("A=b\nexport C d\n")


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    password, credentials = tmp_path / "password", tmp_path / "credentials"
    for path in (password, credentials):
        path.write_text("A=b\n")
        path.chmod(0o400)
    assert build_repository("/repo", password, credentials, None).environment == {"A": "b"}
    for path in (password, credentials):
        path.chmod(0o440)
        with pytest.raises(ValueError, match=path.name):
            build_repository("/repo", password, credentials, None)
        path.chmod(0o400)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_the_password_is_the_files_of_the_account_that_runs_restic(tmp_path):
    password, credentials, account = tmp_path / "password", tmp_path / "credentials", account_name(65534)
    for path in (password, credentials):
        path.write_text("A=b\n")
        path.chmod(0o400)
    os.chown(password, 65534, 65534)
    with pytest.raises(ValueError, match=f"belongs to {account}, not to root"):
        build_repository("/repo", password, None, None)
    params = {"repository": "/repo", "password_path": str(password), "credentials_path": "", "user": account}
    assert repository_of(params).password_path == password
    # Read here, as root, and handed over: root's own file does as well.
    assert repository_of({**params, "credentials_path": str(credentials)}).environment == {"A": "b"}
    os.chown(credentials, 65534, 65534)
    assert repository_of({**params, "credentials_path": str(credentials)}).environment == {"A": "b"}
    os.chown(password, 0, 0)
    with pytest.raises(ValueError, match=f"belongs to root, not to {account}") as seen:
        repository_of(params)
    assert next_after(seen.value) == "runbooks/Backup_And_Restore.md 3.1"


def test_a_missing_password_or_address_is_refused(tmp_path):
    with pytest.raises(ValueError, match="none cannot be read: No such file") as seen:
        build_repository("/repo", tmp_path / "none", None, None)
    assert next_after(seen.value) == "./runbook backup_setup"
    with pytest.raises(ValueError, match="no repository"):
        build_repository("", tmp_path / "none", None, None)
