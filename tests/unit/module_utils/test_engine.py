"""The adapter over the Docker SDK; its client is a fake with behaviour."""

from __future__ import annotations

from typing import Any

import pytest
from docker.errors import APIError, NotFound
from trading_ops.engine import ContainerGone, DockerEngine, EngineError


class FakeClient:
    """Answers as the SDK's low-level client does; `answers` maps a method to what it returns or raises."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def __getattr__(self, method: str) -> Any:
        def call(*_args: Any, **_kwargs: Any) -> Any:
            answer = self.answers[method]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@pytest.mark.parametrize(
    "error",
    [APIError("500 server error"), ValueError("cut JSON"), ConnectionResetError("gone"), TimeoutError("hung")],
    ids=repr,
)
def test_whatever_goes_wrong_is_an_engine_error(error):
    engine = DockerEngine(FakeClient(containers=error, stop=error, inspect_container=error))
    for call in (engine.containers, lambda: engine.stop("a", 1), lambda: engine.inspect("a")):
        with pytest.raises(EngineError):
            call()


def test_missing_container_is_none_to_look_at_and_gone_to_act_on():
    gone = NotFound("no such container")
    engine = DockerEngine(FakeClient(inspect_container=gone, stop=gone))
    assert engine.inspect("a") is None
    with pytest.raises(ContainerGone):
        engine.stop("a", 1)


@pytest.mark.parametrize("answer", [None, {}, "text", [1], [None]])
def test_list_that_is_no_list_of_objects_is_an_error(answer):
    with pytest.raises(EngineError, match="list of objects"):
        DockerEngine(FakeClient(containers=answer)).containers()


def test_container_whose_tag_moved_on_keeps_the_name_it_was_started_from():
    listed = [{"Id": "a", "Image": "sha256:123"}, {"Id": "b", "Image": "app:2"}]
    described = {"Config": {"Image": "bot:1"}}
    seen = DockerEngine(FakeClient(containers=listed, inspect_container=described)).containers()
    assert [item["Image"] for item in seen] == ["bot:1", "app:2"]


@pytest.mark.parametrize("answer", [{}, {"StatusCode": None}, None])
def test_wait_without_an_exit_code_is_an_error(answer):
    with pytest.raises(EngineError, match="no exit code"):
        DockerEngine(FakeClient(wait=answer)).wait("a", 1)


def test_undecodable_log_bytes_are_replaced():
    assert DockerEngine(FakeClient(logs=b"\xff ok")).logs("a", 5) == "\ufffd ok"
