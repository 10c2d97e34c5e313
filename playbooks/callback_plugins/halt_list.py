# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes the host list of `./runbook halt-now` from the inventory that this run has loaded.

On the day when Python or Ansible is what broke, a shell stops trading with what the last run left here.
"""

from __future__ import annotations

DOCUMENTATION = """
name: halt_list
type: notification
short_description: Keeps the host list of ./runbook halt-now in step with the inventory
description:
  - Holds every trading host of the inventory, whatever the play or C(--limit), with the way ssh reaches it.
  - Written at the end of a run, and only where the entry script says where; an error with it never fails a run.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812 (its name everywhere)
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

ROOT = Path(__file__).resolve().parents[2]
ESTATE_DEFAULTS = ROOT / "roles" / "estate" / "defaults" / "main.yml"

sys.path.insert(0, str(ROOT / "module_utils"))

from trading_ops.core.machine import parse_recorded
from trading_ops.stop.halt_list import (
    STOP_VARIABLES,
    HaltHost,
    format_halt_list,
    parse_machine_ids,
    ssh_argv,
    trading_halt_options,
)

HALT_LIST = "TRADING_CORE_HALT_LIST"
FINGERPRINT = "TRADING_CORE_HALT_FINGERPRINT"
SSH = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh"})


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "halt_list"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        self._variables: Any = None
        self._loader: Any = None
        self._recorded: dict[str, set[str]] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._variables, self._loader = play.get_variable_manager(), play.get_loader()

    def v2_runner_on_ok(self, result: Any) -> None:
        self._see(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._see(result)

    def _see(self, result: Any) -> None:
        """Keep which machine each name is on record as; what hosts record otherwise is kept beside it."""
        for name, machine_id in parse_recorded(result._result.get("known_machines")).items():
            self._recorded.setdefault(name, set()).add(machine_id)

    # At the end, because nothing may come before a stop.
    def v2_playbook_on_stats(self, stats: Any) -> None:
        path = os.environ.get(HALT_LIST)
        if not path or self._variables is None:
            return
        try:
            self._write(Path(path))
        except Exception as error:
            self._display.warning(f"The host list of ./runbook halt-now could not be written: {error}")

    def _write(self, path: Path) -> None:
        manager = self._variables
        inventory = manager._inventory
        given, manager._extra_vars = manager._extra_vars, {}  # -e is this run's, the list is the inventory's
        try:
            defaults = self._loader.load_from_file(str(ESTATE_DEFAULTS), trusted_as_template=True)
            members = inventory.get_hosts("trading_hosts", ignore_limits=True, ignore_restrictions=True)
            hosts = [
                self._host(host.name, lambda host=host: defaults | manager.get_vars(host=host)) for host in members
            ]
        finally:
            manager._extra_vars = given
        known = self._machine_ids(path)
        hosts = [replace(host, machine_ids=known.get(host.name, ())) for host in hosts]
        sources = " ".join(str(source) for source in inventory._sources)
        _replace(path, format_halt_list(os.environ.get(FINGERPRINT, ""), sources, hosts))

    def _machine_ids(self, path: Path) -> dict[str, tuple[str, ...]]:
        """Return the record that this run saw, else that of the list as it was: few runs look at a record."""
        if self._recorded:
            return {name: tuple(sorted(found)) for name, found in self._recorded.items()}
        try:
            return parse_machine_ids(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def _host(self, name: str, read_variables: Any) -> HaltHost:
        try:
            return _halt_host(name, Templar(loader=self._loader, variables=read_variables()))
        except Exception as error:
            # Better with defaults than not at all: a host that is not on the list is not stopped.
            self._display.warning(f"{name} is on halt-now's list with defaults only: {error}")
            argv = ssh_argv({}, name)
            return HaltHost(name, argv=argv, options=trading_halt_options({}), error=str(error)[:200])


def _halt_host(name: str, templar: Templar) -> HaltHost:
    def resolved(key: str) -> Any:
        return templar.template(templar.available_variables[key])

    known = templar.available_variables
    connection = str(resolved("ansible_connection")) if "ansible_connection" in known else "ssh"
    connection = "ssh" if connection.removeprefix("ansible.builtin.") in SSH else connection
    estate = {key: resolved(key) for key in STOP_VARIABLES if key in known}
    return HaltHost(
        name=name,
        connection=connection.removeprefix("ansible.builtin."),
        argv=ssh_argv(_ssh_options(known, resolved), name) if connection == "ssh" else (),
        may_become=boolean(resolved("ansible_become"), strict=False) if "ansible_become" in known else True,
        options=trading_halt_options(estate),
    )


def _ssh_options(known: Mapping[str, Any], resolved: Any) -> dict[str, Any]:
    """Return the options of Ansible's own ssh connection: variables, environment, ansible.cfg and defaults."""
    names = set(C.config.get_plugin_vars("connection", "ssh")) & set(known)
    options = dict(C.config.get_plugin_options("connection", "ssh", variables={key: resolved(key) for key in names}))
    # ansible_timeout reaches the plugin by another way, and the command line's default of 10 s would hide it here.
    timeouts = [resolved(key) for key in ("ansible_ssh_timeout", "ansible_timeout") if key in known]
    return options | ({"timeout": timeouts[0]} if timeouts else {})


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        anew = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(temporary, anew, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
