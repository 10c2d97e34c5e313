"""Access before a shift: each thing that is wrong is red, with the line that fixes it."""

from __future__ import annotations

import base64
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from trading_ops.host.engine import EngineError
from trading_ops.host.programs import Ended, ProgramError
from trading_ops.oncall.access import apprise_target, explain, host_result, observe, try_host, vault_files

CHANGED_KEY = """Failed to connect to the host via ssh: @@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Offending ED25519 key in /home/anna/known_hosts:3
  remove with:
  ssh-keygen -f "/home/anna/known_hosts" -R "172.29.77.11"
Host key verification failed."""
PINNED = "-o StrictHostKeyChecking=yes -o UserKnownHostsFile=/home/anna/known_hosts"


@pytest.mark.parametrize(
    ("words", "meaning", "fix"),
    [
        (CHANGED_KEY, "host key is not the pinned one", "ssh-keygen -f /home/anna/known_hosts -R 172.29.77.11"),
        (
            "No ED25519 host key is known for h and you have requested strict checking. Host key verification failed.",
            "no host key of it is pinned",
            "ssh-keyscan -t ed25519",
        ),
        ("ops@172.29.77.11: Permission denied (publickey).", "your key is refused", "ssh-copy-id"),
        ("Received disconnect: Too many authentication failures", "your key is refused", "ssh-copy-id"),
        (
            'Load key "/x": bad permissions\nops@h: Permission denied (publickey).',
            "your key cannot be read",
            "chmod 600",
        ),
        (
            "no such identity: /x: No such file or directory\nops@h: Permission denied (publickey).",
            "your key cannot be read",
            "chmod 600",
        ),
        ("ssh: connect to host h port 22: Connection refused", "nobody listens", "systemctl enable --now ssh"),
        ("ssh: connect to host h port 22: Connection timed out", "does not answer", "VPN"),
        ("Could not resolve hostname h: Name or service not known", "name is not known", "ansible_host"),
        ("Missing sudo password", "sudo asks for a password", "NOPASSWD"),
        ("something new", "something new", "./runbook oncall_access -vvv"),
        ("", "no result", "./runbook oncall_access -vvv"),
    ],
)
def test_what_ssh_says_is_told_with_what_fixes_it(words, meaning, fix):
    found = explain("h", words)
    assert (found.what, found.outcome) == ("h: SSH", "fail")
    assert meaning in found.text
    assert fix in found.fix


@pytest.mark.parametrize(
    ("inventories", "fix"),
    [
        (["/srv/core/inventories/homelab"], ".venv/bin/ansible -i /srv/core/inventories/homelab -m ping h -vvv"),
        (["/srv/my estate", "h,"], ".venv/bin/ansible -i '/srv/my estate' -i h, -m ping h -vvv"),
        ([], "./runbook oncall_access -vvv"),
    ],
)
def test_what_nobody_foresaw_is_looked_into_with_a_command_that_works_from_the_checkout(inventories, fix):
    assert explain("h", "something new", inventories).fix == fix


def compose(version="2.26.1\n", code=0):
    return lambda argv: Ended(code, version, "no such command")


def broken(argv):
    raise ProgramError("docker could not be run: not found.")


def no_engine():
    raise EngineError("The engine could not answer: permission denied.")


@pytest.mark.parametrize(
    ("connect", "run", "editable", "bad"),
    [
        (lambda: SimpleNamespace(api_version="1.45"), compose(), True, []),
        (lambda: SimpleNamespace(api_version="1.40"), compose(), True, ["docker"]),
        (no_engine, compose(), True, ["docker"]),
        (lambda: SimpleNamespace(api_version="1.45"), compose("1.29.2\n"), True, ["docker compose"]),
        (lambda: SimpleNamespace(api_version="1.45"), compose("", 1), True, ["docker compose"]),
        (lambda: SimpleNamespace(api_version="1.45"), broken, True, ["docker compose"]),
        (lambda: SimpleNamespace(api_version="1.45"), compose(), False, ["/opt/x/config"]),
    ],
    ids=["all", "old engine", "no engine", "old compose", "no compose", "no docker", "read-only"],
)
def test_what_cannot_be_used_on_a_host_is_red(connect, run, editable, bad):
    found = try_host(connect, run, ["/opt/x/config"], lambda path: editable)
    assert [each.what for each in found if each.outcome == "fail"] == bad
    assert all(each.fix for each in found if each.outcome == "fail")
    assert host_result(found)["outcome"] == ("failed" if bad else "proven")


def test_a_host_that_needs_no_engine_is_not_asked_for_one():
    assert [each.what for each in try_host(None, broken, [], lambda path: True)] == ["SSH"]


def test_nothing_tried_is_no_access():
    assert host_result([])["outcome"] == "failed"


class Handler(BaseHTTPRequestHandler):
    """Lets anna in, and sends everybody who asks for /login elsewhere."""

    def do_GET(self) -> None:
        right = "Basic " + base64.b64encode(b"anna:right").decode()
        status = 302 if self.path == "/login" else 200 if self.headers.get("Authorization") == right else 401
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def page() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def git(argv):
    assert argv[:3] == ["git", "ls-remote", "--exit-code"]
    return (
        Ended(0, "0123456789abcdef\tHEAD\n", "")
        if "good" in argv[3]
        else Ended(128, "", f"fatal: {argv[3]}: not found")
    )


def reach(host, port):
    if host != "good":
        raise ConnectionRefusedError("Connection refused")


def target(url):
    if url.startswith("odd"):
        return "", 0
    return ("good" if "good" in url else "bad", 443) if "://" in url else None


def look(tmp_path, page, **more):
    service = {"name": "Grafana", "url": page, "username": "anna", "password": "right", "token_path": ""}
    params = {
        "hosts": {"lab1": {"access": [{"what": "docker", "outcome": "pass", "text": "engine", "fix": ""}]}},
        "ssh_args": {"lab1": PINNED},
        "connections": {"lab1": "ssh"},
        "services": [service],
        "git_repositories": ["https://good.invalid/x.git"],
        "notification_urls": ["ops=json://good/x"],
        "paths": [str(tmp_path)],
        "inventories": [],
    }
    return observe(params | more, git, reach, target), service


def test_everything_that_can_be_reached_is_green(tmp_path, page):
    result, _ = look(tmp_path, page)
    assert (result["outcome"], result["next_command"]) == ("proven", ""), result["lines"]
    assert result["summary"] == "6 of 6 accesses work"


@pytest.mark.parametrize(
    ("more", "what", "fix"),
    [
        ({"hosts": {"lab1": {"msg": CHANGED_KEY}}}, "lab1: SSH", "ssh-keygen"),
        (
            {"hosts": {"lab1": {}}, "inventories": ["/nowhere/lab"]},
            "lab1: SSH",
            ".venv/bin/ansible -i /nowhere/lab -m ping lab1 -vvv",
        ),
        ({"ssh_args": {"lab1": "-o StrictHostKeyChecking=no"}}, "lab1: host key", "StrictHostKeyChecking=yes"),
        ({"ssh_args": {}}, "lab1: host key", "StrictHostKeyChecking=yes"),
        (
            {"git_repositories": ["https://token@bad.invalid/x.git"]},
            "Git https://bad.invalid/x.git",
            "credential helper",
        ),
        ({"git_repositories": []}, "Git", "trading_core_access_git_repositories"),
        ({"notification_urls": ["ops=json://bad/h1dden"]}, "channel ops (json)", "in your vault"),
        ({"notification_urls": ["no url"]}, "channel channel 1", "in your vault"),
        ({"notification_urls": ["ops=odd://h1dden"]}, "channel ops (odd)", "./runbook inform"),
        ({"notification_urls": []}, "channels", "trading_core_notification_urls"),
        ({"paths": ["/nowhere"]}, "here: /nowhere", "ls -la"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_reached_is_red_with_the_fix(tmp_path, page, more, what, fix):
    result, _ = look(tmp_path, page, **more)
    (bad,) = [each for each in result["access"] if each["outcome"] == "fail"]
    assert (bad["what"], fix in bad["fix"]) == (what, True)
    assert result["outcome"] == "failed"
    assert result["lines"][0].startswith(f"✖ {what}: ")
    assert "token" not in bad["text"]
    assert "h1dden" not in str(result)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"password": "wrong"}, "refuses your credentials (401)"),
        ({"username": ""}, "refuses your credentials (401)"),
        ({"url": "/login"}, "sends elsewhere (302)"),
        ({"url": "http://127.0.0.1:1"}, "Connection refused"),
        ({"url": "http://anna:right@127.0.0.1"}, "without user, password"),
        ({"token_path": "/nowhere"}, "No such file"),
    ],
    ids=str,
)
def test_a_page_that_does_not_let_the_operator_in_is_red(tmp_path, page, change, words):
    _, service = look(tmp_path, page)
    if change.get("url") == "/login":
        change = {"url": f"{page}/login"}
    result, _ = look(tmp_path, page, services=[service | change])
    (bad,) = [each for each in result["access"] if each["outcome"] == "fail"]
    assert (bad["what"], words in bad["text"]) == ("Grafana", True), bad
    assert "trading_core_access_services" in bad["fix"]
    assert "right" not in bad["text"]


@pytest.fixture
def ssh_port() -> Iterator[int]:
    """A port on which SSH answers: it greets anyone who connects."""

    class Greet(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            self.request.recv(65536)  # what is left unread resets the connection

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greet)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_an_address_that_is_none_and_a_port_of_another_service_are_red_beside_all_the_others(tmp_path, page, ssh_port):
    _, service = look(tmp_path, page)
    odd = {"name": "Alertmanager", "url": "http://lab1:30x0", "username": "", "password": ""}
    other = {"name": "Prometheus", "url": f"http://127.0.0.1:{ssh_port}", "username": "", "password": ""}
    result, _ = look(tmp_path, page, services=[odd, other, service])
    bad = {each["what"]: each for each in result["access"] if each["outcome"] == "fail"}
    assert set(bad) == {"Alertmanager", "Prometheus"}
    assert "it gives no answer of HTTP: nonnumeric port: '30x0'" in bad["Alertmanager"]["text"]
    assert "it gives no answer of HTTP: " in bad["Prometheus"]["text"]
    assert all("trading_core_access_services" in each["fix"] for each in bad.values())
    assert result["summary"].startswith("6 of 8 accesses work; ")


def test_a_local_host_has_no_key_to_pin(tmp_path, page):
    result, _ = look(tmp_path, page, connections={"lab1": "local"}, ssh_args={})
    assert result["outcome"] == "proven"


def test_a_vault_of_which_nothing_is_there_was_not_opened(tmp_path, page):
    service = {"name": "Prometheus", "url": page, "username": "", "password": "", "token_path": ""}
    result, _ = look(tmp_path, page, services=[service], notification_urls=[])
    (vault,) = [each for each in result["access"] if each["what"] == "vault"]
    assert (vault["outcome"], "--ask-vault-pass" in vault["fix"]) == ("fail", True)


def test_files_of_a_vault_are_named(tmp_path, page):
    (tmp_path / "hosts.yml").write_text("all:")
    (tmp_path / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00")
    result, _ = look(tmp_path, page, inventories=[str(tmp_path)])
    (vault,) = [each for each in result["access"] if each["what"] == "vault"]
    assert vault["text"] == "opened: vault.yml"


def test_of_an_inventory_that_is_a_file_only_what_ansible_reads_with_it_was_opened(tmp_path, page):
    (tmp_path / "hosts.yml").write_text("all:")
    (tmp_path / "elsewhere.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00")
    inventories = [str(tmp_path / "hosts.yml")]
    assert vault_files(inventories) == []
    (tmp_path / "group_vars/all").mkdir(parents=True)
    (tmp_path / "group_vars/all/vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00")
    assert vault_files(inventories) == ["group_vars/all/vault.yml"]


def test_a_file_that_may_not_be_read_is_no_vault_that_was_opened(tmp_path, monkeypatch):
    (tmp_path / "vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n00")

    def refuse(*_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("trading_ops.oncall.access.Path.open", refuse)
    assert vault_files([str(tmp_path)]) == []


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("json://172.29.77.21:8910/ops", ("172.29.77.21", 8910)),
        ("jsons://example.invalid/ops", ("example.invalid", 443)),
        ("json://example.invalid", ("example.invalid", 80)),
        ("tgram://123456789:abcdefg_hijklmnop/12315544", ("api.telegram.org", 443)),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general", ("hooks.slack.com", 443)),
        ("slack://xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d/#general", ("slack.com", 443)),
        ("ntfy://topic", ("ntfy.sh", 443)),
        ("ntfy://ntfy.invalid/topic", ("ntfy.invalid", 80)),
        ("mailto://anna:secret@gmail.com", ("smtp.gmail.com", 587)),
        ("mailto://anna:secret@home.invalid?smtp=mail.home.invalid", ("mail.home.invalid", 25)),
        ("pushed://app_key/app_secret", ("api.pushed.co", 443)),
        ("twilio://AC0123456789abcdef:0123456789abcdef@15551235553", ("", 0)),
        ("nonsense://x", None),
    ],
)
def test_the_service_behind_a_channel_is_known_without_telling_it_anything(url, where):
    assert apprise_target(url) == where
