#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_server
short_description: Run an append-only restic server with a repository on this host
description:
  - Sets up Debian's C(restic-rest-server), makes the repository where there is none, and sees that it opens with the
    clients' password and with a key of this host's own, made here.
  - Proven by what the server answers. Without password 401, with it 200, and 403 for a client that would remove data.
requirements:
  - restic 0.17 or newer and restic-rest-server of Debian on the host
options:
  data_path:
    description: Where the server keeps its repositories.
    type: path
    default: /srv/trading-core-backup
  listen:
    description: Where the server listens, as in V(:8000) or V(192.0.2.1:8000).
    type: str
    default: ":8000"
  client:
    description: Name of the clients at the server, and of the repository.
    type: str
    default: trading-core
  client_password:
    description: Their password at the server, 20 characters or more. Empty leaves the one that is there.
    type: str
    default: ""
  repository_password:
    description: Password of the repository, 20 characters or more. Empty where the repository has its keys already.
    type: str
    default: ""
  key_path:
    description: File with this host's own key to the repository.
    type: path
    default: /etc/trading-core/backup/control-password
attributes:
  check_mode:
    support: full
    description: Says what would be written.
"""

EXAMPLES = r"""
- name: Run the repository's server
  backup_server:
    client_password: "{{ server_password_from_the_vault }}"
    repository_password: "{{ repository_password_from_the_vault }}"
"""

RETURN = r"""
outcome:
  description: V(proven), or V(planned) in check mode; V(refused) (package or password missing), V(failed).
  returned: always
  type: str
summary:
  description: What was done, in words.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
"""

import base64
import pwd
import time
import urllib.error
import urllib.request
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.backup.server import ACCOUNT, ServerHost, Wanted, ensure_server
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.programs import LocalPrograms

ARGUMENT_SPEC = {
    "data_path": {"type": "path", "default": "/srv/trading-core-backup"},
    "listen": {"type": "str", "default": ":8000"},
    "client": {"type": "str", "default": "trading-core"},
    "client_password": {"type": "str", "default": "", "no_log": True},
    "repository_password": {"type": "str", "default": "", "no_log": True},
    "key_path": {"type": "path", "default": "/etc/trading-core/backup/control-password", "no_log": False},
}
TIMEOUT_SECONDS = 300
ANSWER_SECONDS = 5


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params = module.params
    wanted = Wanted(**{**params, "data_path": Path(params["data_path"]), "key_path": Path(params["key_path"])})
    host = ServerHost(
        root=LocalPrograms({}, time.monotonic, TIMEOUT_SECONDS),
        mine=LocalPrograms({}, time.monotonic, TIMEOUT_SECONDS, ACCOUNT),
        ids=account_ids,
        ask=lambda method, path, is_authorised: ask(wanted, method, path, is_authorised),
        clock=time.monotonic,
        sleep=time.sleep,
    )
    result = ensure_server(wanted, host, module.check_mode)
    finish(module, result)


def account_ids() -> tuple[int, int] | None:
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def ask(wanted: Wanted, method: str, path: str, is_authorised: bool) -> int | None:
    address, _, port = wanted.listen.rpartition(":")
    request = urllib.request.Request(f"http://{address or '127.0.0.1'}:{port}{path}", method=method)
    if is_authorised:
        credentials = f"{wanted.client}:{wanted.client_password}".encode()
        request.add_header("Authorization", f"Basic {base64.b64encode(credentials).decode()}")
    # No proxy of the environment stands between this host and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=ANSWER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


if __name__ == "__main__":
    main()
