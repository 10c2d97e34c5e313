"""The receiver as it runs on a control host, here: Debian's nginx and webhook, our configuration, real requests.

Skipped where the two are not installed; tests/lab/test_alert_receiver.py sends the same to the lab's control host.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from trading_ops.alerts import spool as alert_spool
from trading_ops.alerts.units import WEBHOOK_PORT, Layout, render_hooks, render_nginx

from tests.alert_requests import Receiver, bad_requests

SEARCHED = f"{os.environ['PATH']}:/usr/sbin"
NGINX, WEBHOOK = (shutil.which(name, path=SEARCHED) for name in ("nginx", "webhook"))
pytestmark = [
    pytest.mark.skipif(not (NGINX and WEBHOOK), reason="needs Debian's nginx-light and webhook"),
    pytest.mark.timeout(300),
]
TOKEN = "t0ken-of-a-test-0123456789-0123456789-0123456789"
REQUESTS = 400
SEED = 20261121


@dataclass
class Running:
    """nginx and webhook with our configuration in a folder of the test."""

    path: Path
    receiver: Receiver
    webhook_argv: list[str]
    webhook: subprocess.Popen[bytes]
    nginx: subprocess.Popen[bytes]

    def requests(self) -> list[Path]:
        return sorted((self.path / "state/alerts/spool").iterdir())

    def drafts(self) -> list[Path]:
        return list((self.path / "state/alerts/incoming").iterdir())

    def restart_webhook(self) -> None:
        self.webhook = subprocess.Popen(self.webhook_argv)
        _wait_for(int(self.webhook_argv[self.webhook_argv.index("-port") + 1]))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end, f"nothing listens on {port}"
            time.sleep(0.02)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    port, webhook_port = _free_port(), _free_port()
    for name in ("etc", "lib", "run", "state/alerts/incoming", "state/alerts/spool"):
        (tmp_path / name).mkdir(parents=True)
    layout = Layout(
        checkout_path="/nowhere",
        state_path=str(tmp_path / "state"),
        listen=f"127.0.0.1:{port}",
        etc_path=str(tmp_path / "etc"),
        lib_path=str(tmp_path / "lib"),
        run_path=str(tmp_path / "run"),
        python_path=sys.executable,
    )
    certificate, key = tmp_path / "etc/ca.pem", tmp_path / "etc/key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    argv = [*make.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True)
    shutil.copy(alert_spool.__file__, tmp_path / "lib/alert_spool.py")
    (tmp_path / "etc/nginx.conf").write_text(
        render_nginx(layout, TOKEN).replace(f"127.0.0.1:{WEBHOOK_PORT}", f"127.0.0.1:{webhook_port}")
    )
    hooks = render_hooks(layout, TOKEN).replace("/run/trading-core-alert-receiver", str(tmp_path / "run"))
    (tmp_path / "etc/hooks.json").write_text(hooks)
    webhook_argv = [
        *(str(WEBHOOK), "-nopanic", "-hooks", str(tmp_path / "etc/hooks.json"), "-ip", "127.0.0.1"),
        *("-port", str(webhook_port), "-urlprefix", "", "-http-methods", "POST"),
    ]
    webhook = subprocess.Popen(webhook_argv)
    nginx = subprocess.Popen([str(NGINX), "-e", "stderr", "-c", str(tmp_path / "etc/nginx.conf")])
    made = Running(tmp_path, Receiver("127.0.0.1", port, certificate, TOKEN), webhook_argv, webhook, nginx)
    try:
        _wait_for(port)
        _wait_for(webhook_port)
        yield made
    finally:
        for process in (made.nginx, made.webhook):
            process.terminate()
            process.wait(timeout=20)


def resident_mebibytes(pid: int) -> float:
    """Return the memory of a process and its children, for nginx's worker is one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in [str(pid), *children]]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_of_all_that_is_no_alert_nothing_reaches_the_spool_and_the_receiver_lives_on(running):
    answers: dict[str, set[int | None]] = {}
    for request in bad_requests(running.receiver, REQUESTS, SEED):
        answers.setdefault(request.what, set()).add(running.receiver.send(request))
    assert (running.requests(), running.drafts()) == ([], [])
    assert answers.keys() == {"token", "path", "method", "size", "body", "10 MB"}
    assert not [status for statuses in answers.values() for status in statuses if status is not None and status < 400]
    assert resident_mebibytes(running.nginx.pid) + resident_mebibytes(running.webhook.pid) < 100
    assert running.receiver.send(running.receiver.good("Gaps")) == 200
    assert len(running.requests()) == 1


def test_what_is_taken_with_200_is_on_disk_also_where_the_receiver_is_killed_at_that_moment(running):
    taken = 0
    for number in range(20):
        taken += running.receiver.send(running.receiver.good("Gaps", number=str(number))) == 200
        running.webhook.kill()
        running.webhook.wait(timeout=20)
        running.restart_webhook()
    assert taken == 20
    assert len(running.requests()) == 20


def test_killed_in_the_middle_of_requests_every_200_is_an_order_and_no_half_one_is_there(running):
    answered = threading.Semaphore(0)

    def send(number: int) -> bool:
        is_taken = running.receiver.send(running.receiver.good("Gaps", number=str(number))) == 200
        if is_taken:
            answered.release()
        return is_taken

    def kill() -> None:
        for _ in range(20):
            answered.acquire(timeout=60)
        running.webhook.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(send, range(100)))
    killer.join()
    running.webhook.wait(timeout=20)
    assert 20 <= taken < 100
    # A command that had begun goes on without its receiver: a request more than answers, never one less.
    assert len(running.requests()) >= taken
    for path in running.requests():
        alert_spool.check(path.read_bytes())


def test_who_is_on_the_host_needs_the_token_as_well(running):
    port = running.webhook_argv[running.webhook_argv.index("-port") + 1]
    body = running.receiver.good("Gaps").body.decode()
    argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", body, f"http://127.0.0.1:{port}/alerts"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "401"
    assert running.requests() == []


def test_who_sends_slowly_or_opens_many_connections_keeps_nobody_out(running):
    held = []
    try:
        for _ in range(40):
            connection = running.receiver.connect()
            connection.connect()
            connection.sock.sendall(b"POST /alerts HTTP/1.1\r\nHost: x\r\n")
            held.append(connection)
        begun = time.monotonic()
        assert running.receiver.send(running.receiver.good("Gaps")) == 200
        assert time.monotonic() - begun < 2
    finally:
        for connection in held:
            connection.close()
