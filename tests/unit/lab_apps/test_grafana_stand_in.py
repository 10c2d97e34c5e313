import struct
import zlib

from trading_lab.grafana_stand_in import build_routes
from trading_lab.web import dispatch

ROUTES = build_routes()


def test_health_answers_and_says_what_it_is():
    health = dispatch(ROUTES, "GET", "/api/health", b"").payload
    assert (health["database"], health["version"]) == ("ok", "grafana-stand-in")


def test_a_rendered_picture_is_a_png_that_says_it_is_a_stand_in():
    response = dispatch(ROUTES, "GET", "/render/d-solo/feed?panelId=1", b"")
    assert response.content_type == "image/png"
    content, chunks, at = response.content, {}, 8
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        data = content[at + 8 : at + 8 + size]
        assert struct.unpack(">I", content[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + data)
        chunks[kind], at = data, at + 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    assert len(zlib.decompress(chunks[b"IDAT"])) == (width + 1) * height
    assert b"not Grafana" in chunks[b"tEXt"]


def test_the_front_page_says_so_too():
    assert "not Grafana" in dispatch(ROUTES, "GET", "/", b"").payload


def test_who_has_no_password_is_not_let_in():
    right = "Basic bGFiOmxhYi1ncmFmYW5hLXBhc3N3b3Jk"
    answers = [
        dispatch(ROUTES, "GET", "/api/org", b"", authorization).status for authorization in ("", "Basic eA==", right)
    ]
    assert answers == [401, 401, 200]
