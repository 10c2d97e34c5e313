"""A file with a secret is its reader's alone, of any account; what is wrong with it is told as it was found."""

from __future__ import annotations

import os

import pytest
from trading_ops.host.private_files import ExposedError, account_id, account_name, demand_private

NOBODY = 65534


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("x\n")
    path.chmod(0o400)
    return path


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
def test_a_file_of_its_reader_that_no_one_else_can_use_is_private(secret, mode):
    secret.chmod(mode)
    demand_private(secret, [os.geteuid()])
    demand_private(secret, [NOBODY, os.geteuid()])


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o420, 0o401, 0o644])
def test_any_bit_for_others_is_told_with_the_mode_that_was_found(secret, mode):
    secret.chmod(mode)
    with pytest.raises(ExposedError, match=f"has mode {mode:04o}") as seen:
        demand_private(secret, [os.geteuid()])
    assert not seen.value.is_missing


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_a_service_reads_its_own_file_and_not_one_of_roots(secret):
    with pytest.raises(ExposedError, match=f"belongs to root, not to {account_name(NOBODY)}"):
        demand_private(secret, [NOBODY])
    os.chown(secret, NOBODY, -1)
    demand_private(secret, [NOBODY])
    with pytest.raises(ExposedError, match=f"belongs to {account_name(NOBODY)}, not to root"):
        demand_private(secret, [0])


def test_an_empty_file_a_folder_and_none_at_all_hold_no_secret(secret, tmp_path):
    secret.chmod(0o600)
    secret.write_text("")
    with pytest.raises(ExposedError, match="is empty"):
        demand_private(secret, [os.geteuid()])
    with pytest.raises(ExposedError, match="is no regular file"):
        demand_private(tmp_path, [os.geteuid()])
    with pytest.raises(ExposedError, match="No such file") as seen:
        demand_private(tmp_path / "none", [os.geteuid()])
    assert seen.value.is_missing


def test_accounts_have_ids_and_names():
    assert account_id("") == os.geteuid()
    assert account_id("root") == 0
    assert (account_name(0), account_name(4_000_000_001)) == ("root", "uid 4000000001")
    with pytest.raises(ValueError, match="no account none-so-named"):
        account_id("none-so-named")
