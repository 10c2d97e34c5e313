"""What a person on call has to reach, tried one by one; for each that does not work the line that fixes it."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import socket
import urllib.error
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ..core.durable import bounded
from ..core.result import build_result
from ..host.engine import EngineError
from ..host.http import Endpoint, HttpError, http_send
from ..host.prerequisites import COMPOSE, ENGINE_API, parse_version
from ..host.programs import Ended, ProgramError, said
from ..incident.notification import parse_channels

TIMEOUT_SECONDS: Final = 5
"""For each access; all are tried at once."""

GIT_ENVIRONMENT: Final = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
"""Git never asks a question: at night nobody answers it."""

_WITH_VAULT: Final = "./runbook oncall_access -e @$HOME/trading-core-vault.yml --ask-vault-pass"

Run = Callable[[Sequence[str]], Ended]
Connect = Callable[[str, int], None]
"""Connects to a host and port and hangs up; raises OSError where it cannot."""


@dataclass(frozen=True)
class Access:
    """One access. `outcome` is pass or fail; what could not be tried has failed too."""

    what: str
    outcome: str
    text: str
    fix: str = ""


_CAUSES: Final = (
    # ssh says "verification failed" of this as well.
    (
        r"host key is known",
        "no host key of it is pinned",
        "ssh-keyscan -t ed25519 its address, compare with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub at its "
        "console, then add the line to known_hosts.txt of the inventory",
    ),
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed",
        "its host key is not the pinned one",
        "at its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; only if that is the key on offer: {remove}",
    ),
    # ssh goes on without such a key, and ends with the words of the next row.
    (
        r"no such identity|Load key|bad permissions",
        "your key cannot be read",
        "chmod 600 on your key, or make one: ssh-keygen -t ed25519",
    ),
    (
        r"Permission denied|Too many authentication failures",
        "your key is refused",
        "ssh-copy-id to it from a machine that gets in, or set ansible_ssh_private_key_file in the inventory",
    ),
    (r"Could not resolve hostname", "its name is not known", "ansible_host in the inventory, or your VPN's DNS"),
    (
        r"Connection refused",
        "nobody listens on its SSH port",
        "at its console: systemctl enable --now ssh; or ansible_port in the inventory",
    ),
    (r"timed out|No route to host|unreachable", "it does not answer", "is it on? Is your VPN up? ping it"),
    (
        r"[Mm]issing sudo password|a password is required",
        "sudo asks for a password",
        "its sudo right, see sudo(8): NOPASSWD",
    ),
)
"""What ssh and sudo say, what it means, and what fixes it."""


def explain(host: str, text: str, inventories: Sequence[str] = ()) -> Access:
    """Return what Ansible's words on a host that it could not use mean. The inventories are those of the run."""
    text = " ".join(text.split())
    removing = re.search(r"ssh-keygen -f ['\"]?([^'\" ]+)['\"]? -R ['\"]?([^'\" ]+)['\"]?", text)
    remove = f"ssh-keygen -f {removing[1]} -R {removing[2]}, then pin the new one" if removing else "pin the new one"
    for pattern, meaning, fix in _CAUSES:
        if re.search(pattern, text):
            return Access(f"{host}: SSH", "fail", meaning, fix.format(remove=remove))
    options = [option for inventory in inventories for option in ("-i", inventory)]
    ping = shlex.join([".venv/bin/ansible", *options, "-m", "ping", host, "-vvv"])
    command = ping if inventories else "./runbook oncall_access -vvv"
    return Access(f"{host}: SSH", "fail", text[:300] or "no result", command)


def try_host(
    connect: Callable[[], Any] | None, run: Run, paths: Sequence[str], can_use: Callable[[str], bool]
) -> list[Access]:
    """Return what can be used on the host that this runs on; SSH is, since it runs.

    connect: gives the engine, may raise EngineError; None where the host needs none.
    can_use: whether a directory can be read and written.
    """
    found = [Access("SSH", "pass", "reached, as root" if os.geteuid() == 0 else "reached")]
    if connect:
        found += [_try_engine(connect), _try_compose(run)]
    for path in paths:
        is_good = can_use(path)
        text = "can be read and edited" if is_good else "is not there, or cannot be edited"
        found.append(
            Access(path, "pass" if is_good else "fail", text, "" if is_good else f"ls -la {path} (on the host)")
        )
    return found


def _try_engine(connect: Callable[[], Any]) -> Access:
    try:
        version = str(connect().api_version)
    except EngineError as error:
        return Access("docker", "fail", str(error), "systemctl enable --now docker (on the host)")
    is_good = parse_version(version) >= ENGINE_API
    fix = "" if is_good else "apt-get install docker.io"
    return Access("docker", "pass" if is_good else "fail", f"engine API {version}", fix)


def _try_compose(run: Run) -> Access:
    try:
        ended = run(["docker", "compose", "version", "--short"])
    except ProgramError as error:
        return Access("docker compose", "fail", str(error), "apt-get install docker-compose")
    version = ended.stdout.strip()
    is_good = ended.code == 0 and parse_version(version) >= COMPOSE
    fix = "" if is_good else "apt-get install docker-compose"
    return Access("docker compose", "pass" if is_good else "fail", version or said(ended), fix)


def can_edit(path: str) -> bool:
    """Return whether a directory is there, can be read and be written in; a file system that is read-only says no."""
    return Path(path).is_dir() and os.access(path, os.R_OK | os.W_OK | os.X_OK)


def judge_hosts(
    hosts: Mapping[str, Mapping[str, Any]],
    ssh_args: Mapping[str, str],
    connections: Mapping[str, str],
    inventories: Sequence[str],
) -> list[Access]:
    """Return what is known of each host: what it said itself, or why it said nothing; and whether its key is pinned."""
    found = []
    for host, result in hosts.items():
        if "access" in result:
            found += [Access(**{**each, "what": f"{host}: {each['what']}"}) for each in result["access"]]
        else:
            found.append(explain(host, str(result.get("msg", "")), inventories))
        if connections.get(host, "ssh") in {"ssh", "smart"} and "StrictHostKeyChecking=yes" not in ssh_args.get(
            host, ""
        ):
            fix = (
                "StrictHostKeyChecking=yes and UserKnownHostsFile in ansible_ssh_args, as inventories/homelab has them"
            )
            found.append(Access(f"{host}: host key", "fail", "it is not pinned: anybody can answer in its place", fix))
    return found


def try_service(service: Mapping[str, str]) -> Access:
    """Return whether a page answers to the operator's credentials."""
    name, url = str(service.get("name", "")), str(service.get("url", ""))
    credentials = f"username and password (or token_path) of {name} in trading_core_access_services, from your vault"
    endpoint = Endpoint(
        url=url,
        username=service.get("username", ""),
        password=service.get("password", ""),
        token_path=service.get("token_path", ""),
        query_timeout_seconds=TIMEOUT_SECONDS,
    )
    try:
        status, _ = bounded(lambda: http_send(endpoint)("GET", "", b""), TIMEOUT_SECONDS)
    except http.client.HTTPException as error:  # a port that is no number, or one on which something else answers
        text = f"{endpoint.shown}: it gives no answer of HTTP: {str(error).strip() or type(error).__name__}"
        return Access(name, "fail", text, f"url of {name} in trading_core_access_services")
    except (HttpError, OSError, ValueError, urllib.error.URLError) as error:
        fix = f"url of {name} in trading_core_access_services, your VPN, or start it: runbooks/LiveFeed_Runbook.md 3, 4"
        return Access(name, "fail", str(error) or "no answer", fix)
    if status == 200:
        return Access(name, "pass", f"{endpoint.shown} answers")
    if status in {401, 403}:
        return Access(name, "fail", f"{endpoint.shown} refuses your credentials ({status})", credentials)
    if 300 <= status < 400:
        return Access(
            name, "fail", f"{endpoint.shown} sends elsewhere ({status}), to a login page for example", credentials
        )
    return Access(
        name, "fail", f"{endpoint.shown}: HTTP status {status}", f"url of {name} in trading_core_access_services"
    )


def try_repository(repository: str, run: Run) -> Access:
    """Return whether a Git repository can be read, without a question being asked."""
    shown = re.sub(r"//[^/@]*@", "//", repository)
    try:
        ended = run(["git", "ls-remote", "--exit-code", repository, "HEAD"])
        if ended.code == 0:
            return Access(f"Git {shown}", "pass", f"HEAD is {ended.stdout[:12]}")
        text = said(ended).replace(repository, shown)
    except ProgramError as error:
        text = str(error).replace(repository, shown)
    return Access(
        f"Git {shown}", "fail", text, "your key at the repository's host, or a token in your credential helper"
    )


def try_channel(name: str, target: tuple[str, int] | None, connect: Connect) -> Access:
    """Return whether the service behind a channel can be reached. Nobody is told anything."""
    fix = f"trading_core_notification_urls in your vault: {name}"
    if target is None:
        return Access(f"channel {name}", "fail", "its URL is none that Apprise understands", fix)
    if not target[0]:
        text = "its service is not known here, so it was not tried"
        return Access(f"channel {name}", "fail", text, f"{fix}; only telling it shows: ./runbook inform")
    try:
        connect(*target)
    except OSError as error:
        return Access(f"channel {name}", "fail", f"its service cannot be reached: {error}", fix)
    return Access(f"channel {name}", "pass", "its service can be reached; nobody was told anything")


def apprise_target(url: str) -> tuple[str, int] | None:
    """Return host and port of the service behind an Apprise URL; None for a URL that is none.

    The host is empty where only the plugin knows it: what stands in the URL's place for it may be a secret, which a
    look-up would tell the resolver.
    """
    import apprise

    service: Any = apprise.Apprise.instantiate(url)
    if service is None:
        return None
    # A service of the world has its address in its class (apprise 2.2: Slack two, ntfy one beside one's own).
    by_mode = {"bot": "api_url", "cloud": "cloud_notify_url"}
    for name in ("notify_url", by_mode.get(getattr(service, "mode", ""), "webhook_url")):
        fixed = urlsplit(str(getattr(service, name, "") or ""))
        if fixed.hostname and "{" not in fixed.netloc:
            return fixed.hostname, fixed.port or (80 if fixed.scheme == "http" else 443)
    is_own = any("{host}" in template for template in type(service).templates)
    host = getattr(service, "smtp_host", "") or (service.host if is_own else "")
    port = service.port or (443 if service.secure else 80)
    return (str(host), int(port)) if host else ("", 0)


def connect_once(host: str, port: int) -> None:
    """Connect and hang up."""
    socket.create_connection((host, port), TIMEOUT_SECONDS).close()


def vault_files(inventories: Sequence[str]) -> list[str]:
    """Return the files of the inventories that are encrypted."""
    found = []
    for inventory in map(Path, inventories):
        root = inventory if inventory.is_dir() else inventory.parent
        # With an inventory that is a file Ansible reads of its directory only these.
        beside = [path for name in ("group_vars", "host_vars") for path in (root / name).rglob("*")]
        for path in sorted(root.rglob("*") if inventory.is_dir() else [inventory, *beside]):
            if path.is_file() and _is_encrypted(path):
                found.append(str(path.relative_to(root)))
    return found


def _is_encrypted(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(14) == b"$ANSIBLE_VAULT"
    except OSError:
        return False  # what may not be read was not opened


def _vault(files: Sequence[str], has_secrets: bool) -> Access:
    """Return whether the vault was opened for this run: a file of the inventory that is encrypted was, or none ran."""
    if files:
        return Access("vault", "pass", f"opened: {', '.join(files)}")
    if has_secrets:
        return Access("vault", "pass", "secrets that come from it are there")
    return Access("vault", "fail", "no secret that comes from it is there", _WITH_VAULT)


def observe(params: Mapping[str, Any], run: Run, connect: Connect, target: Callable[[str], Any]) -> dict[str, Any]:
    """Return the module result: every access with its outcome. Never raises."""
    channels, services_asked = parse_channels(params["notification_urls"]), params["services"]

    def channel(item: Any) -> Access:
        return try_channel(item.name, target(item.url) if item.url else None, connect)

    with ThreadPoolExecutor(max_workers=16) as pool:
        services = list(pool.map(try_service, services_asked))
        repositories = list(pool.map(lambda each: try_repository(each, run), params["git_repositories"]))
        reached = list(pool.map(channel, channels))
    inventories = params["inventories"]
    found = judge_hosts(params["hosts"], params["ssh_args"], params["connections"], inventories)
    found += services + repositories + reached
    if not repositories:
        text = "no Git repository is named, so none was tried"
        found.append(Access("Git", "fail", text, "trading_core_access_git_repositories in the inventory"))
    if not channels:
        found.append(
            Access("channels", "fail", "no channel is configured", "trading_core_notification_urls in your vault")
        )
    for path in params["paths"]:
        is_good = can_edit(path)
        summary = "can be read and edited" if is_good else "cannot be edited"
        found.append(
            Access(f"here: {path}", "pass" if is_good else "fail", summary, "" if is_good else f"ls -la {path}")
        )
    found.append(_vault(vault_files(inventories), bool(channels or any(each["password"] for each in services_asked))))
    return host_result(found)


def host_result(found: Sequence[Access]) -> dict[str, Any]:
    """Return the module result over what was tried."""
    bad = [each for each in found if each.outcome != "pass"]
    text = "; ".join(f"{each.what}: {each.text}" for each in bad[:5])
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    return build_result(
        "failed" if bad or not found else "proven",
        f"{len(found) - len(bad)} of {len(found)} accesses work" + (f"; {text}{more}" if bad else ""),
        next_command=bad[0].fix if bad else "",
        access=[asdict(each) for each in found],
        lines=[_line(each) for each in sorted(found, key=lambda each: each.outcome == "pass")],
    )


def _line(access: Access) -> str:
    mark = "✔" if access.outcome == "pass" else "✖"
    text = f"{mark} {access.what}: {access.text}" + (f"  fix: {access.fix}" if access.fix else "")
    return " ".join(text.split())
