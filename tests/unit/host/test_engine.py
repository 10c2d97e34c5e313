"""The border with the Docker SDK: what it answers, what it raises, and how long it may take."""

import sys
from types import SimpleNamespace
from typing import Any

import docker
import docker.errors
import pytest
import requests.exceptions
import urllib3.exceptions
from trading_ops.host.engine import ContainerGone, DockerEngine, EngineError, docker_engine


class Client:
    """The SDK's low-level client: every method gives `answer`, or raises it; `asked` is what it was called with."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: Any, **options: Any) -> Any:
            self.asked.append((name, arguments, options))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return ask


TROUBLE = [
    docker.errors.DockerException("bad socket"),
    docker.errors.APIError("500 server error"),
    requests.exceptions.ReadTimeout("timed out"),
    urllib3.exceptions.ProtocolError("cut in mid answer"),
    ValueError("cut JSON"),
    OSError("no such file"),
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda error: type(error).__name__)
def test_whatever_the_sdk_raises_is_an_engine_error_and_never_gone(trouble):
    engine = DockerEngine(Client(trouble))
    for ask in (engine.containers, lambda: engine.inspect("a"), lambda: engine.stop("a", 1)):
        with pytest.raises(EngineError) as raised:
            ask()
        assert not isinstance(raised.value, ContainerGone)


def test_only_not_found_is_gone():
    engine = DockerEngine(Client(docker.errors.NotFound("no such container")))
    assert engine.inspect("a") is None
    with pytest.raises(ContainerGone):
        engine.stop("a", 1)


@pytest.mark.parametrize("answer", [None, {}, "x", [1], [{}, None]])
def test_list_that_is_no_list_of_objects_is_an_error_not_an_empty_host(answer):
    with pytest.raises(EngineError):
        DockerEngine(Client(answer)).containers()


@pytest.mark.parametrize("answer", [None, [], "x"])
def test_description_that_is_no_object_is_an_error_not_gone(answer):
    with pytest.raises(EngineError):
        DockerEngine(Client(answer)).inspect("a")


@pytest.mark.parametrize("answer", [None, {}, {"StatusCode": "0"}])
def test_wait_without_an_exit_code_is_an_error(answer):
    with pytest.raises(EngineError):
        DockerEngine(Client(answer)).wait("a", 1)


def test_containers_in_every_state_are_listed():
    client = Client([{"Id": "a"}])
    assert DockerEngine(client).containers() == [{"Id": "a"}]
    DockerEngine(client).containers(["a=b"])
    assert [options for _, _, options in client.asked] == [
        {"all": True, "filters": None},
        {"all": True, "filters": {"label": ["a=b"]}},
    ]


def test_stop_never_waits_forever_and_the_policy_goes_by_its_name():
    client = Client()
    DockerEngine(client).stop("a", -1)
    DockerEngine(client).stop("a", 7)
    DockerEngine(client).set_restart_policy("a", "no")
    assert client.asked == [
        ("stop", ("a",), {"timeout": 0}),
        ("stop", ("a",), {"timeout": 7}),
        ("update_container", ("a",), {"restart_policy": {"Name": "no"}}),
    ]


def test_undecodable_log_is_read():
    assert DockerEngine(Client(b"a\xffb")).logs("a", 5) == "a\ufffdb"


def test_first_answer_may_take_three_seconds_and_later_ones_twenty(monkeypatch):
    client = SimpleNamespace(timeout=None)
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(docker, "APIClient", lambda **options: asked.append(options) or client)
    docker_engine("unix:///x.sock")
    assert (asked, client.timeout) == ([{"base_url": "unix:///x.sock", "version": "auto", "timeout": 3}], 20)


def test_missing_sdk_is_an_engine_error_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(EngineError, match="apt-get install python3-docker"):
        docker_engine("unix:///x.sock")


def test_container_whose_tag_moved_on_keeps_the_name_it_was_started_from():
    class Moved(Client):
        def containers(self, **_options: Any) -> Any:
            return [{"Id": "a", "Image": "sha256:123"}, {"Id": "b", "Image": "app:2"}]

    seen = DockerEngine(Moved({"Config": {"Image": "bot:1"}})).containers()
    assert [item["Image"] for item in seen] == ["bot:1", "app:2"]
