import json
import urllib.request

import pytest
from trading_lab.http_json import CallFailed, call
from trading_lab.web import BadRequest, Response, Route, dispatch, start_server


def refuse(_):
    raise BadRequest("a number is missing")


ROUTES = [
    Route("GET", "/echo/(?P<name>[a-z]+)", lambda request: Response({**request.path, **request.query})),
    Route("POST", "/echo/(?P<name>[a-z]+)", lambda request: Response(dict(request.body))),
    Route("GET", "/refuse", refuse),
    Route("GET", "/vanish", lambda _: Response(status=None)),
    Route("GET", "/text", lambda _: Response("words", content_type="text/plain")),
]


def test_path_query_and_body_reach_the_route():
    assert dispatch(ROUTES, "GET", "/echo/abc?x=1", b"").payload == {"name": "abc", "x": "1"}
    assert dispatch(ROUTES, "POST", "/echo/abc", b'{"y": 2}').payload == {"y": 2}


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/nothing", b"", 404),
        ("DELETE", "/echo/abc", b"", 404),
        ("GET", "/echo/abc/more", b"", 404),
        ("POST", "/echo/abc", b"{", 400),
        ("POST", "/echo/abc", b"[1]", 400),
        ("GET", "/refuse", b"", 400),
    ],
)
def test_what_cannot_be_answered_says_so(method, target, body, status):
    assert dispatch(ROUTES, method, target, body).status == status


@pytest.fixture(scope="module")
def url():
    server = start_server(0, ROUTES)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_call_brings_the_answer(url):
    assert call("GET", f"{url}/echo/abc") == {"name": "abc"}
    assert call("POST", f"{url}/echo/abc", {"z": 3}) == {"z": 3}


@pytest.mark.parametrize("path", ["/nothing", "/refuse", "/vanish", "/text"])
def test_anything_but_json_with_200_is_a_failed_call_that_names_the_address(url, path):
    with pytest.raises(CallFailed, match=path):
        call("GET", url + path)


def test_nobody_listening_is_a_failed_call():
    with pytest.raises(CallFailed, match="gave no answer"):
        call("GET", "http://127.0.0.1:9/", timeout_seconds=1.0)


def test_a_body_that_is_too_large_is_not_read(url):
    request = urllib.request.Request(f"{url}/echo/abc", method="POST", data=b"", headers={"Content-Length": "99999999"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=2)
    assert refused.value.code == 413
    assert "too large" in json.loads(refused.value.read())["error"]
