"""The host list of `./runbook halt-now`: what a shell needs to reach every trading host without Ansible.

One word and one value a line, so that a shell reads it with `read` and never evaluates it. The last line counts the
hosts: a list without it is not whole.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..core.bots import BotRules, is_true
from ..core.machine import parse_id

FIRST_LINE: Final = "halt-list 1"

_FORCED: Final = ("-T", "-o", "BatchMode=yes", "-o", "ControlMaster=no", "-o", "ControlPath=none")
"""Before all others, because ssh takes the first: no question, and no master connection that a frozen host has hung."""

_FALLBACK: Final = ("-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3")
"""After all others: a host that freezes in the middle is given up, also where the inventory does not say so."""


@dataclass(frozen=True)
class HaltHost:
    """One trading host. `connection` is Ansible's word for it; `argv` reaches its shell (empty for `local`).

    `may_become` is False where the inventory says that nothing there runs as root. `options` are trading-halt's.
    `machine_ids` is what is on record of its machine: more than one where hosts record it otherwise.
    `error` says why the host is listed with defaults only, and is empty where nothing went wrong.
    """

    name: str
    connection: str = "ssh"
    argv: tuple[str, ...] = ()
    may_become: bool = True
    options: tuple[str, ...] = ()
    machine_ids: tuple[str, ...] = ()
    error: str = ""


def format_halt_list(fingerprint: str, inventory: str, hosts: Sequence[HaltHost]) -> str:
    """Return the file's text. `fingerprint` is the entry script's, of the inventory that the list was made from."""
    lines = [FIRST_LINE, f"fingerprint {fingerprint}", f"inventory {inventory}"]
    for host in hosts:
        lines += [f"host {host.name}", f"connection {host.connection}", f"become {'yes' if host.may_become else 'no'}"]
        lines += [f"machine {machine_id}" for machine_id in host.machine_ids]
        lines += [f"argv {word}" for word in host.argv]
        lines += [f"option {word}" for word in host.options]
        lines += [f"trouble {host.error}"] if host.error else []
        lines.append("end")
    return "\n".join(" ".join(line.splitlines()) for line in [*lines, f"complete {len(hosts)}"]) + "\n"


def parse_machine_ids(text: str) -> dict[str, tuple[str, ...]]:
    """Return the machine ids of a list that was written before, by host."""
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in text.splitlines():
        word, _, value = line.partition(" ")
        name = value if word == "host" else name
        if word == "machine" and name and parse_id(value):
            found[name] = (*found.get(name, ()), value)
    return found


def ssh_argv(options: Mapping[str, Any], host: str) -> tuple[str, ...]:
    """Return the ssh command that Ansible's connection `ssh` would use for `host`, without what could hang a stop.

    `options` are the connection plugin's own (`ssh_args`, `port`, …), with templates resolved.
    """
    words = [str(options.get("ssh_executable") or "ssh"), *_FORCED]
    words += shlex.split(str(options.get("ssh_args") or ""))
    for key, word in (("port", "Port"), ("private_key_file", "IdentityFile"), ("remote_user", "User")):
        if options.get(key):
            words += ["-o", f'{word}="{options[key]}"' if key != "port" else f"{word}={options[key]}"]
    words += ["-o", f"ConnectTimeout={options.get('timeout') or 5}"]
    if options.get("host_key_checking") is False:
        words += ["-o", "StrictHostKeyChecking=no"]
    for key in ("ssh_common_args", "ssh_extra_args"):
        words += shlex.split(str(options.get(key) or ""))
    return (*words, *_FALLBACK, str(options.get("host") or host))


STOP_VARIABLES: Final = (
    "trading_core_bot_services",
    "trading_core_bot_projects",
    "trading_core_bot_images",
    "trading_core_other_services",
    "trading_core_stop_unexpected",
    "trading_core_grace_period_seconds",
    "trading_core_state_path",
    "trading_core_docker_url",
)
"""All of the estate that a stop needs. Any other may be a secret in a vault that is not open: it is not looked at."""


def trading_halt_options(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options that tell trading-halt this estate's rules; what makes no sense is left to its own default."""
    rules = BotRules()
    named = {
        "--services": _words(variables.get("trading_core_bot_services")) or " ".join(rules.services),
        "--projects": _words(variables.get("trading_core_bot_projects")) or " ".join(rules.projects),
        "--images": _words(variables.get("trading_core_bot_images")),
        "--other-services": _words(variables.get("trading_core_other_services", list(rules.others))),
        "--stop-unexpected": "true" if is_true(variables.get("trading_core_stop_unexpected")) else "false",
        "--grace-seconds": _words(variables.get("trading_core_grace_period_seconds")),
        "--state-path": str(variables.get("trading_core_state_path") or ""),
        "--docker-url": str(variables.get("trading_core_docker_url") or ""),
    }
    return tuple(word for option, value in named.items() for word in (option, value))


def _words(value: object) -> str:
    """Return a list of patterns, or a bare one, as words separated by blanks."""
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return "" if value is None else str(value)
