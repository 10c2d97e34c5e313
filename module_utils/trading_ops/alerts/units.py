"""The alert receiver's configuration as text: nginx in front, Debian's webhook behind it, and systemd's units.

nginx holds TLS, the size and speed of a request, and refuses who has no token before a body is read. webhook runs one
fixed command for each request, and answers 200 only when that ended with 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..jobs.job import JobsError, is_plain
from .spool import MOST_BYTES

PROXY: Final = "trading-core-alert-proxy.service"
RECEIVER: Final = "trading-core-alert-receiver.service"
ACTIONS: Final = "trading-core-alerts.service"
ACTIONS_PATH: Final = "trading-core-alerts.path"
WATCH: Final = "trading-core-alert-watch.service"
WATCH_TIMER: Final = "trading-core-alert-watch.timer"

ACCOUNT: Final = "trading-alerts"
WEBHOOK_PORT: Final = 9096
"""On the loopback only."""

AT_ONCE: Final = 16
"""Requests that are worked on at the same time; more are told to come again (503), as Alertmanager does."""

PROXY_MEBIBYTES: Final = 64
RECEIVER_MEBIBYTES: Final = 256
ACTIONS_MEBIBYTES: Final = 1024

_NGINX: Final = """\
# Written by ./runbook alert_receiver_setup.
daemon off;
pid {run_path}/nginx.pid;
# A request that is refused leaves no line: who floods the receiver must not flood the journal.
error_log stderr crit;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
    access_log off;
    server_tokens off;
    client_body_temp_path {run_path}/body;
    proxy_temp_path {run_path}/proxy;
    fastcgi_temp_path {run_path}/fastcgi;
    uwsgi_temp_path {run_path}/uwsgi;
    scgi_temp_path {run_path}/scgi;
    map_hash_bucket_size 256;
    map $http_authorization $is_authorised {{
        default 0;
        "Bearer {token}" 1;
    }}
    limit_conn_zone $server_name zone=all:64k;
    server {{
        listen {listen} ssl;
        server_name alerts;
        ssl_certificate {etc_path}/ca.pem;
        ssl_certificate_key {etc_path}/key.pem;
        ssl_protocols TLSv1.2 TLSv1.3;
        client_header_timeout 5s;
        client_body_timeout 5s;
        send_timeout 5s;
        client_max_body_size {most_bytes};
        client_body_buffer_size {most_bytes};
        location = /alerts {{
            if ($is_authorised = 0) {{ return 401; }}
            if ($request_method != POST) {{ return 405; }}
            limit_conn all {at_once};
            proxy_pass http://127.0.0.1:{port};
            proxy_connect_timeout 2s;
            proxy_read_timeout 10s;
        }}
        location / {{ return 404; }}
    }}
}}
"""

_COMMON: Final = """\
User={account}
Group={account}
UMask=0077
Restart=always
RestartSec=1
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
CapabilityBoundingSet=
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
"""

# No start limit: a receiver that gave up would be deaf, and a burst of alerts starts the reader often.
_UNIT: Final = "[Unit]\nDescription=AI_TRADING_CORE alerts: {}\n{}StartLimitIntervalSec=0\n\n"
_ONLINE: Final = "Wants=network-online.target\nAfter=network-online.target\n"
_INSTALL: Final = "\n[Install]\nWantedBy={}\n"


@dataclass(frozen=True)
class Layout:
    """Where everything of the receiver is on the control host. `listen` is nginx's: a port, or address and port."""

    checkout_path: str
    state_path: str
    listen: str = "9095"
    etc_path: str = "/etc/trading-core/alert-receiver"
    lib_path: str = "/usr/local/lib/trading-core-alerts"
    run_path: str = "/run/trading-core-alert-proxy"
    python_path: str = "/usr/bin/python3"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def alerts_path(self) -> str:
        """The folder of all that comes of alerts."""
        return f"{self.state_path}/alerts"

    @property
    def incoming_path(self) -> str:
        """Where a request is written before it counts."""
        return f"{self.alerts_path}/incoming"

    @property
    def spool_path(self) -> str:
        """Where requests wait."""
        return f"{self.alerts_path}/spool"


def render_nginx(layout: Layout, token: str) -> str:
    """Return nginx's configuration."""
    return _NGINX.format(
        run_path=layout.run_path,
        etc_path=layout.etc_path,
        listen=layout.listen,
        token=token,
        most_bytes=MOST_BYTES,
        at_once=AT_ONCE,
        port=WEBHOOK_PORT,
    )


def render_hooks(layout: Layout, token: str) -> str:
    """Return webhook's configuration: one path, one fixed command, the token once more for local users."""
    argv = ["-IS", f"{layout.lib_path}/alert_spool.py", layout.incoming_path, layout.spool_path]
    hook: dict[str, Any] = {
        "id": "alerts",
        "http-methods": ["POST"],
        "execute-command": layout.python_path,
        "command-working-directory": "/run/trading-core-alert-receiver",
        "pass-arguments-to-command": [{"source": "string", "name": word} for word in argv],
        "pass-file-to-command": [{"source": "raw-request-body", "envname": "ALERT_FILE"}],
        # The command's exit code is the answer: with this webhook waits for it.
        "include-command-output-in-response": True,
        "trigger-rule": {
            "match": {
                "type": "value",
                "value": f"Bearer {token}",
                "parameter": {"source": "header", "name": "Authorization"},
            }
        },
        "trigger-rule-mismatch-http-response-code": 401,
    }
    return json.dumps([hook], indent=2) + "\n"


def build_units(layout: Layout) -> dict[str, str]:
    """Return the text of each unit by its file name. Raises JobsError where a value cannot stand in a unit."""
    environment = layout.environment
    for text in (layout.checkout_path, layout.state_path, *environment, *environment.values()):
        if not is_plain(text):
            raise JobsError(f'A unit takes no quotes, no line ends and none of \\ % $, see "{text}".')
    common = _COMMON.format(account=ACCOUNT)
    settings = "".join(f'Environment="{name}={value}"\n' for name, value in sorted(environment.items()))
    # User: systemd gives HOME to a service that names its account, and none to one that does not.
    runbook = f"Type=oneshot\nUser=root\nUMask=0077\nWorkingDirectory={layout.checkout_path}\n{settings}"
    bounds = f"TimeoutStartSec=3600\nTimeoutStopSec=60\nMemoryMax={ACTIONS_MEBIBYTES}M\n"
    return {
        PROXY: _UNIT.format("TLS in front of the receiver", _ONLINE)
        + f"[Service]\nExecStart=/usr/sbin/nginx -e stderr -c {layout.etc_path}/nginx.conf\n"
        + f"RuntimeDirectory=trading-core-alert-proxy\nMemoryMax={PROXY_MEBIBYTES}M\n{common}"
        + _INSTALL.format("multi-user.target"),
        RECEIVER: _UNIT.format("receiver", "")
        + f"[Service]\nExecStart=/usr/bin/webhook -nopanic -hooks {layout.etc_path}/hooks.json -ip 127.0.0.1 "
        + f'-port {WEBHOOK_PORT} -urlprefix "" -http-methods POST\n'
        + f"RuntimeDirectory=trading-core-alert-receiver\nMemoryMax={RECEIVER_MEBIBYTES}M\n{common}"
        # One mount for both folders: a request is renamed from one into the other. Their modes say who may write.
        + f"ReadWritePaths={layout.alerts_path}\n"
        + _INSTALL.format("multi-user.target"),
        ACTIONS: _UNIT.format("carry out what they ask for", _ONLINE)
        + f"[Service]\n{runbook}ExecStart={layout.checkout_path}/runbook alert-actions\n"
        # A stop that is not proven stays in the spool and is tried again.
        + f"Restart=on-failure\nRestartSec=15\n{bounds}",
        ACTIONS_PATH: "[Unit]\nDescription=AI_TRADING_CORE alerts: a request waits\n\n"
        + f"[Path]\nDirectoryNotEmpty={layout.spool_path}\n"
        + _INSTALL.format("paths.target"),
        WATCH: _UNIT.format("look whether they would arrive", _ONLINE)
        + f"[Service]\n{runbook}ExecStart={layout.checkout_path}/runbook alert-actions --watch\n"
        + bounds,
        WATCH_TIMER: "[Unit]\nDescription=AI_TRADING_CORE alerts: look every minute\n\n"
        + "[Timer]\nOnCalendar=*-*-* *:*:30\nAccuracySec=1s\n"
        + _INSTALL.format("timers.target"),
    }
