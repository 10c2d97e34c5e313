"""The repository's host: Debian's restic-rest-server, append-only, and a repository in it that opens with two keys.

Hosts that take backups reach it over HTTP with a name and a password, and can add and read, not change or remove. This
host checks and prunes past the server, with a key of its own, which is made here and leaves it never.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core.durable import fsync_directory
from ..core.result import OperationError, build_result
from ..host.private_files import ExposedError, demand_private
from ..host.programs import ProgramError, Programs, checked
from . import restic
from .restic import Repository, ResticError

ACCOUNT: Final = "restic-rest-server"
"""User and unit, of Debian's package (0.13)."""

SETTINGS_PATH: Final = Path("/etc/default/restic-rest-server")
USERS_PATH: Final = Path("/etc/restic-rest-server/users.htpasswd")
SHORTEST_PASSWORD: Final = 20
START_SECONDS: Final = 10
INTERVAL_SECONDS: Final = 0.2

_NO_BLOB: Final = "0" * 64
_ANSWERS: Final = (
    ("GET", "config", False, 401, "asks for no password"),
    ("GET", "config", True, 200, "does not know the clients' password, or has no repository"),
    ("DELETE", f"data/{_NO_BLOB}", True, 403, "lets clients remove data"),
)
"""What an append-only server answers: method, path in the repository, with credentials, status, or else what it does.

Asked about a piece of data that does not exist: a server that does let remove would have nothing to remove.
"""


@dataclass(frozen=True)
class Wanted:
    """The server and its repository. An empty password leaves what is there as it is."""

    data_path: Path
    listen: str
    client: str
    client_password: str = field(repr=False)
    repository_password: str = field(repr=False)
    key_path: Path

    @property
    def repository_path(self) -> Path:
        return self.data_path / self.client


@dataclass(frozen=True)
class ServerHost:
    """The host, handed in. `ids` gives the account's user and group id, None where the package is missing; `ask` the
    status of a request (method, path, with credentials), None for no answer; `mine` runs programs as the account.
    """

    root: Programs
    mine: Programs
    ids: Callable[[], tuple[int, int] | None]
    ask: Callable[[str, str, bool], int | None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    settings_path: Path = SETTINGS_PATH
    users_path: Path = USERS_PATH


@dataclass(frozen=True)
class _File:
    """A file, whose it is, and its mode."""

    path: Path
    content: str
    mode: int
    uid: int
    gid: int

    def differs(self) -> bool:
        try:
            seen = self.path.lstat()
            facts = (stat.S_ISREG(seen.st_mode), stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)
            return facts != (True, self.mode, self.uid, self.gid) or self.path.read_text("utf-8") != self.content
        except (FileNotFoundError, NotADirectoryError):
            return True

    def write(self) -> None:
        """Put it in its place in one step; no one else can read it on the way there."""
        self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".trading-core-")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(self.content)
                file.flush()
                os.fchown(file.fileno(), self.uid, self.gid)
                os.fchmod(file.fileno(), self.mode)
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        finally:
            Path(name).unlink(missing_ok=True)
        fsync_directory(self.path.parent)


def ensure_server(wanted: Wanted, host: ServerHost, dry_run: bool) -> dict[str, Any]:
    """Return the module result of a server that runs append-only, with a repository. Never raises for what can be."""
    done: list[str] = []
    try:
        _ensure(wanted, host, dry_run, done)
    except OperationError as error:
        return _result(error.outcome, str(error), done)
    except (ResticError, ProgramError, ExposedError, OSError) as error:
        return _result("failed", f"{str(error).rstrip('.')}.", done)
    text = ", ".join(done) or "nothing to do"
    if dry_run:
        return _result("planned", f"would do: {text}" if done else text, done)
    return _result("proven", f"{ACCOUNT} on {wanted.listen} is append-only and has the repository; done: {text}", done)


def _ensure(wanted: Wanted, host: ServerHost, dry_run: bool, done: list[str]) -> None:
    ids = host.ids()
    if ids is None:
        raise OperationError("restic-rest-server is not installed (fix: apt-get install restic-rest-server)", "refused")
    _demand_strong(wanted)
    uid, gid = ids
    files = [
        _File(host.settings_path, render_settings(wanted, host.users_path), 0o644, os.geteuid(), os.getegid()),
        _File(host.users_path, _render_users(wanted, host), 0o640, os.geteuid(), gid),
    ]
    differing = [file for file in files if file.differs()]
    is_new = not (wanted.repository_path / "config").exists()
    has_key = wanted.key_path.exists()
    if not (has_key and not is_new) and not wanted.repository_password:
        raise OperationError(
            "There is no repository or no key to it, and no password was given (from the vault).", "refused"
        )
    done += [f"wrote {file.path}" for file in differing]
    done += ["made the repository"] if is_new else [] if has_key else ["made this host a new key"]
    done += [f"made {wanted.key_path} {ACCOUNT}'s alone"] if has_key and _is_exposed(wanted.key_path, uid) else []
    if dry_run:
        return
    _own_directory(wanted.data_path, uid, gid)
    _ensure_key_file(wanted.key_path, uid, gid)
    for file in differing:
        file.write()
    repository = Repository(str(wanted.repository_path), wanted.key_path, {}, None)
    _make_or_join(wanted, host, repository, is_new, has_key, ids)
    if wanted.repository_password and _ensure_key(wanted, host, repository, uid, gid):
        done.append("added the clients' key")
    restic.ask_restic(host.mine, repository, ["cat", "config"])
    _ensure_running(host, bool(differing), done)
    _prove(wanted, host)


def _demand_strong(wanted: Wanted) -> None:
    for password in (wanted.client_password, wanted.repository_password):
        if password and (len(password) < SHORTEST_PASSWORD or not password.isascii() or not password.isprintable()):
            raise OperationError(f"A password has {SHORTEST_PASSWORD} printable ASCII characters or more.", "refused")


def render_settings(wanted: Wanted, users_path: Path) -> str:
    """Return the settings that the package's unit reads."""
    return (
        "# Written by ./runbook backup_setup.\n"
        f"BACKUP_DIR={wanted.data_path}\n"
        f"LISTEN={wanted.listen}\n"
        f"ARGS=--append-only --private-repos --htpasswd-file {users_path}\n"
    )


def _render_users(wanted: Wanted, host: ServerHost) -> str:
    """Return the users file. SHA-1 of a long random password: the server takes that or bcrypt, which Python lacks."""
    if wanted.client_password:
        digest = base64.b64encode(hashlib.sha1(wanted.client_password.encode(), usedforsecurity=False).digest())
        return f"{wanted.client}:{{SHA}}{digest.decode()}\n"
    present = host.users_path.read_text(encoding="utf-8") if host.users_path.exists() else ""
    if not any(line.startswith(f"{wanted.client}:") for line in present.splitlines()):
        raise OperationError(
            f"{wanted.client} has no password on the server, and none was given (from the vault).", "refused"
        )
    return present


def _ensure_key_file(path: Path, uid: int, gid: int) -> None:
    if not path.exists():
        _File(path, secrets.token_urlsafe(48) + "\n", 0o400, uid, gid).write()
    elif _is_exposed(path, uid):
        os.chown(path, uid, gid)
        path.chmod(0o400)
        demand_private(path, [uid])


def _make_or_join(
    wanted: Wanted, host: ServerHost, repository: Repository, is_new: bool, has_key: bool, ids: tuple[int, int]
) -> None:
    """Make the repository, or give this host's new key to it with the clients'."""
    if is_new:
        restic.ask_restic(host.mine, repository, ["init"])
    elif not has_key:
        with _lent(wanted, *ids) as path:
            clients = Repository(repository.address, path, {}, None)
            restic.ask_restic(
                host.mine, clients, ["key", "add", f"--new-password-file={wanted.key_path}", "--host=control"]
            )


def _is_exposed(path: Path, uid: int) -> bool:
    try:
        demand_private(path, [uid])
        return False
    except ExposedError:
        return True


def _own_directory(path: Path, uid: int, gid: int) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(path, uid, gid)
    path.chmod(0o700)


def _ensure_key(wanted: Wanted, host: ServerHost, repository: Repository, uid: int, gid: int) -> bool:
    """Return whether the clients' key had to be added."""
    with _lent(wanted, uid, gid) as path:
        try:
            restic.ask_restic(host.mine, Repository(repository.address, path, {}, None), ["cat", "config"])
            return False
        except ResticError as error:
            if error.code != restic.WRONG_PASSWORD:
                raise
        restic.ask_restic(host.mine, repository, ["key", "add", f"--new-password-file={path}", "--host=clients"])
        restic.ask_restic(host.mine, Repository(repository.address, path, {}, None), ["cat", "config"])
        return True


@contextmanager
def _lent(wanted: Wanted, uid: int, gid: int) -> Iterator[Path]:
    """Give a file with the clients' key that the account can read, and take it away again."""
    path = wanted.key_path.with_name(".clients-password")
    try:
        _File(path, wanted.repository_password + "\n", 0o400, uid, gid).write()
        yield path
    finally:
        path.unlink(missing_ok=True)


def _ensure_running(host: ServerHost, is_changed: bool, done: list[str]) -> None:
    states = [host.root.run(["systemctl", word, ACCOUNT]).stdout.strip() for word in ("is-enabled", "is-active")]
    if states[0] != "enabled":
        checked("systemctl enable", host.root.run(["systemctl", "enable", ACCOUNT]))
    if is_changed or states[1] != "active":
        checked("systemctl restart", host.root.run(["systemctl", "restart", ACCOUNT]))
    if is_changed or states != ["enabled", "active"]:
        done.append("(re)started the server")


def _prove(wanted: Wanted, host: ServerHost) -> None:
    """Raise OperationError unless the server answers as an append-only one does."""
    expected = [item for item in _ANSWERS if wanted.client_password or not item[2]]
    end = host.clock() + START_SECONDS
    while host.ask("GET", f"/{wanted.client}/config", False) is None and host.clock() < end:
        host.sleep(INTERVAL_SECONDS)
    for method, path, is_authorised, status, or_else in expected:
        seen = host.ask(method, f"/{wanted.client}/{path}", is_authorised)
        if seen != status:
            raise OperationError(f"The server {or_else}: {method} {path} was answered with {seen}, not {status}.")


def _result(outcome: str, summary: str, done: Sequence[str]) -> dict[str, Any]:
    fix = "journalctl -u restic-rest-server -n 50 (on the host)" if outcome == "failed" else ""
    changed = bool(done) and outcome in {"proven", "planned"}
    return build_result(outcome, summary, changed=changed, next_command=fix)
