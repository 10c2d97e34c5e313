"""What of a command that a host names may be shown as the next one to type. People paste that line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_WORD: Final = r"""(?:[\w./:=,+%@-]|'[^'\\$`\x00-\x1f\x7f-\x9f]*'|"[^"\\$`!\x00-\x1f\x7f-\x9f]*")+"""
_RUNBOOK: Final = re.compile(rf"\./runbook [a-z_-]+(?: {_WORD})*")
_PLAIN: Final = r"[A-Za-z0-9_./:=,+%@*-]+"
_LOOKS: Final = "docker info|docker ps|docker logs|docker inspect|docker compose ls|ls|df|tail|cat|journalctl"
_LOOK: Final = re.compile(rf"(?:{_LOOKS}|systemctl status|timedatectl set-ntp)(?: {_PLAIN})*")
_PAGE: Final = re.compile(r"runbooks/[A-Za-z_]+\.md(?: \d+(?:\.\d+)*)?")
REMARKS: Final = frozenset(
    {"on the host", "on both", "if that is meant", "if it is", "again once these are fixed", "your checkout"}
)
"""All that may stand in parentheses behind a command."""

_INCIDENT_ID: Final = re.compile(r"INC-[a-z0-9-]+")
_OPTIONS: Final = frozenset({"-e", "--check", "--limit"})
_VARIABLE: Final = re.compile(r"(?:[a-z][a-z_]*=|'\{)")


def checked_command(text: str) -> str:
    """Return the command that a host named, empty where it is none of ours and none that only looks.

    A remark of its own is left out: it is words of a host as well. Options alone (`-e name=value`) stand for the
    command that was typed, with these.
    """
    command, _, remark = text.strip().partition(" (")
    if not (_PAGE.fullmatch(command) or _LOOK.fullmatch(command) or _is_ours(command) or is_more(command)):
        return ""
    return f"{command} ({remark}" if remark.removesuffix(")") in REMARKS else command


def checked_incident_ids(ids: Iterable[str]) -> list[str]:
    """Return those that are made like an incident's id, and so need no quotes."""
    return [name for name in ids if _INCIDENT_ID.fullmatch(name) and len(name) <= 80]


def is_more(command: str) -> bool:
    """Return whether it is no command and only options for the one that was typed."""
    return command.startswith("-e ") and _is_ours(f"./runbook status {command}")


def _is_ours(command: str) -> bool:
    """Return whether it is a procedure with variables of its own: none of Ansible's, no file, no other inventory."""
    if not _RUNBOOK.fullmatch(command) or "ansible_" in command:
        return False
    words = re.findall(_WORD, command)[2:]
    before = ["", *words]
    return all(
        word in _OPTIONS
        or (last == "-e" and bool(_VARIABLE.match(word)))
        or (last == "--limit" and bool(re.fullmatch(r"[\w.-]+", word)))
        for last, word in zip(before, words, strict=False)
    )
