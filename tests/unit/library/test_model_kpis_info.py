"""model_kpis_info against a registry with behaviour: it answers, refuses or redirects as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import model_kpis_info
import pytest
from ansible.module_utils.testing import patch_module_args

TAGS = [{"key": "oos_sharpe_ratio", "value": "1.5"}]
CHAMPION = {"name": "RefStrat_01", "version": "3", "status": "READY", "aliases": ["champion"], "tags": TAGS}
PATH = "/api/2.0/mlflow/registered-models/alias?name=RefStrat_01&alias=champion"


class Registry(ThreadingHTTPServer):
    """`seen` is what was asked of it: path and headers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body, self.location = 200, json.dumps({"model_version": CHAMPION}).encode(), ""
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def ask(capsys: pytest.CaptureFixture[str], url: str, **params: Any) -> dict[str, Any]:
    params = {"mlflow_url": url, "model": "RefStrat_01", "limits": {"oos_sharpe_ratio": ">= 1"}, **params}
    with patch_module_args(params), pytest.raises(SystemExit) as ended:
        model_kpis_info.main()
    assert not ended.value.code
    return json.loads(capsys.readouterr().out)


def test_the_champion_is_asked_for_by_alias_and_its_kpis_are_held_against_the_limits(registry, capsys):
    seen = ask(capsys, registry.url + "/")
    assert (seen["outcome"], seen["version"], seen["changed"]) == ("proven", "3", False)
    assert registry.seen[0][0] == PATH
    seen = ask(capsys, registry.url, limits={"oos_sharpe_ratio": ">= 2"}, _ansible_check_mode=True)
    assert (seen["outcome"], seen["kpis"][0]["value"]) == ("failed", 1.5)


def test_a_refusal_carries_the_registrys_own_words(registry, capsys):
    registry.status, registry.body = 400, b'{"message": "Registered model alias champion not found."}'
    seen = ask(capsys, registry.url)
    assert (seen["outcome"], "HTTP status 400: Registered model alias" in seen["summary"]) == ("unknown", True)


def test_a_redirect_is_not_followed_and_carries_no_token(registry, capsys, tmp_path):
    other = Registry()
    threading.Thread(target=other.serve_forever, args=[0.01], daemon=True).start()
    (tmp_path / "token").write_text("abc\n")
    registry.status, registry.location = 302, other.url
    assert ask(capsys, registry.url, token_path=str(tmp_path / "token"))["outcome"] == "unknown"
    assert (len(registry.seen), other.seen) == (1, [])
    other.shutdown()
    other.server_close()


def test_credentials_are_sent_and_not_shown(registry, capsys, tmp_path):
    (tmp_path / "token").write_text("hidden-token\n")
    shown = ask(capsys, registry.url, token_path=str(tmp_path / "token"))
    assert registry.seen[-1][1]["authorization"] == "Bearer hidden-token"
    assert "hidden-token" not in json.dumps(shown)
    shown = ask(capsys, registry.url, username="reno", password="hidden-word")
    assert registry.seen[-1][1]["authorization"].startswith("Basic ")
    assert "hidden-word" not in json.dumps(shown)


def test_a_token_that_cannot_be_read_is_unknown_and_nobody_is_asked_without_it(registry, capsys, tmp_path):
    assert ask(capsys, registry.url, token_path=str(tmp_path / "away"))["outcome"] == "unknown"
    assert registry.seen == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "file:///etc/hostname", "http://[x", ""])
def test_an_address_where_no_registry_answers_is_unknown(capsys, url):
    assert ask(capsys, url)["outcome"] == "unknown"
