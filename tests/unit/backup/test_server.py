"""The repository's server: append-only is what it answers, not what its settings say."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from trading_ops.backup.restic import repository_of
from trading_ops.backup.server import ServerHost, Wanted, ensure_server
from trading_ops.host.private_files import account_name
from trading_ops.host.programs import Ended

from tests.unit.fakes import FakeClock

PASSWORD = "of-the-clients-0123456789"
REPOSITORY_PASSWORD = "of-the-repository-0123456789"


class World:
    """The control host: systemd, restic with a repository on a folder, and a server that reads its settings."""

    def __init__(self, root: Path) -> None:
        self.settings, self.users = root / "settings", root / "users"
        self.data, self.key = root / "data", root / "etc" / "control-password"
        self.keys: set[str] = set()
        self.enabled = self.active = False
        self.starts = 0
        self.is_deaf = False
        self.has_package = True
        self.removes = False
        self.asked: list[str] = []
        self.ids = (os.geteuid(), os.getegid())

    def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ended:
        self.asked.append(" ".join(argv))
        match list(argv):
            case ["systemctl", "is-enabled", _]:
                return Ended(0, "enabled" if self.enabled else "disabled", "")
            case ["systemctl", "is-active", _]:
                return Ended(0, "active" if self.active else "inactive", "")
            case ["systemctl", "enable", _]:
                self.enabled = True
            case ["systemctl", "restart", _]:
                self.active, self.starts = True, self.starts + 1
            case ["restic", _, password, *_, "init"]:
                self.keys.add(self._read(password))
                (self.data / "trading-core").mkdir()
                (self.data / "trading-core" / "config").touch()
            case ["restic", _, password, *_, "cat", "config"]:
                return Ended(0 if self._read(password) in self.keys else 12, "", "Fatal: wrong password")
            case ["restic", _, password, *_, "key", "add", new, _]:
                assert self._read(password) in self.keys
                self.keys.add(self._read(new))
            case _:
                raise AssertionError(f"nobody expected {argv}")
        return Ended(0, "", "")

    @staticmethod
    def _read(option: str) -> str:
        path = Path(option.partition("=")[2])
        assert path.stat().st_mode & 0o777 == 0o400
        return path.read_text().strip()

    def ask(self, method: str, path: str, is_authorised: bool) -> int | None:
        if self.is_deaf or not self.active:
            return None
        if not is_authorised or "trading-core:{SHA}" not in self.users.read_text():
            return 401
        if method == "DELETE":
            return 404 if self.removes or "--append-only" not in self.settings.read_text() else 403
        return 200 if (self.data / path.lstrip("/")).exists() else 404

    def ensure(self, dry_run: bool = False, **more: Any) -> dict[str, Any]:
        passwords = {"client_password": PASSWORD, "repository_password": REPOSITORY_PASSWORD} | more
        wanted = Wanted(data_path=self.data, listen=":8000", client="trading-core", key_path=self.key, **passwords)
        clock = FakeClock()
        ids = self.ids if self.has_package else None
        host = ServerHost(self, self, lambda: ids, self.ask, clock, clock.sleep, self.settings, self.users)
        return ensure_server(wanted, host, dry_run)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_new_host_gets_server_repository_and_two_keys(world):
    seen = world.ensure()
    assert (seen["outcome"], seen["changed"]) == ("proven", True)
    assert world.keys == {REPOSITORY_PASSWORD, world.key.read_text().strip()}
    assert (world.enabled, world.active, world.starts) == (True, True, 1)
    assert "--append-only --private-repos" in world.settings.read_text()
    assert (world.users.stat().st_mode & 0o777, world.data.stat().st_mode & 0o777) == (0o640, 0o700)
    assert not [path for path in world.key.parent.iterdir() if path != world.key]


def test_no_password_is_told_or_kept_in_clear(world):
    seen = world.ensure()
    shown = f"{seen} {world.asked} {world.users.read_text()} {world.settings.read_text()}"
    assert PASSWORD not in shown
    assert REPOSITORY_PASSWORD not in shown


def test_a_second_run_changes_nothing_also_without_the_passwords(world):
    world.ensure()
    key = world.key.read_text()
    assert world.ensure()["changed"] is False
    seen = world.ensure(client_password="", repository_password="")
    assert (seen["outcome"], seen["changed"], world.starts, world.key.read_text()) == ("proven", False, 1, key)


def test_another_password_at_the_server_is_written_and_the_server_started_again(world):
    world.ensure()
    seen = world.ensure(client_password="another-one-0123456789")
    assert (seen["changed"], world.starts) == (True, 2)


def test_a_dry_run_writes_nothing(world, tmp_path):
    seen = world.ensure(dry_run=True)
    assert (seen["outcome"], seen["changed"], list(tmp_path.iterdir())) == ("planned", True, [])


@pytest.mark.parametrize("more", [{"client_password": ""}, {"repository_password": ""}, {"client_password": "short"}])
def test_a_new_host_without_good_passwords_is_refused_before_anything_is_written(world, tmp_path, more):
    seen = world.ensure(**more)
    assert (seen["outcome"], seen["changed"], list(tmp_path.iterdir())) == ("refused", False, [])


def test_a_missing_package_is_refused_with_what_fixes_it(world):
    world.has_package = False
    seen = world.ensure()
    assert (seen["outcome"], "apt-get install restic-rest-server" in seen["summary"]) == ("refused", True)


def test_a_server_that_lets_clients_remove_is_a_failure(world):
    world.removes = True
    seen = world.ensure()
    assert (seen["outcome"], "lets clients remove data" in seen["summary"]) == ("failed", True)


def test_a_server_that_does_not_answer_is_a_failure(world):
    world.is_deaf = True
    seen = world.ensure()
    assert (seen["outcome"], "answered with None" in seen["summary"]) == ("failed", True)


def test_a_server_without_password_is_a_failure(world, monkeypatch):
    monkeypatch.setattr(world, "ask", lambda *_: 200)
    assert "asks for no password" in world.ensure()["summary"]


def test_a_lost_key_of_this_host_is_made_anew_with_the_clients_and_no_second_repository(world):
    world.ensure()
    world.key.unlink()
    assert world.ensure(repository_password="")["outcome"] == "refused"
    seen = world.ensure()
    assert (seen["outcome"], len(world.keys)) == ("proven", 3)
    assert sum("init" in line for line in world.asked) == 1


def test_a_key_that_others_can_use_is_made_the_accounts_alone_again(world):
    world.ensure()
    world.key.chmod(0o440)
    assert "control-password" in world.ensure(dry_run=True)["summary"]
    assert world.key.stat().st_mode & 0o777 == 0o440
    seen = world.ensure()
    assert (seen["outcome"], seen["changed"], world.key.stat().st_mode & 0o777) == ("proven", True, 0o400)
    assert world.ensure()["changed"] is False


def test_an_empty_key_is_no_key_and_told(world):
    world.ensure()
    world.key.chmod(0o600)
    world.key.write_text("")
    seen = world.ensure()
    assert (seen["outcome"], "is empty" in seen["summary"]) == ("failed", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another account")
def test_what_the_setup_writes_is_what_check_and_prune_take(world):
    """Both judged the same file, each in its own way: the weekly jobs were refused for three weeks."""
    world.ids = (65534, 65534)
    world.ensure()
    params = {"repository": "/r", "password_path": str(world.key), "credentials_path": ""}
    assert repository_of({**params, "user": account_name(65534)}).password_path == world.key
    with pytest.raises(ValueError, match="not to root"):
        repository_of(params)
