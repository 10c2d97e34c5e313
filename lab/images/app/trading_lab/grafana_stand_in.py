"""NOT Grafana: a stand-in for labs that reach no container registry. It says so wherever one looks.

It answers the three addresses that this project's roles use of a real Grafana: /api/health, /api/org to who knows the
password, and /render/ with a picture that cannot be mistaken for a dashboard.
"""

from __future__ import annotations

import os
import struct
import zlib
from base64 import b64encode

from trading_lab.web import Request, Response, Route, start_server, stop_signal

NOTICE = "This is the lab's stand-in, not Grafana: it has no dashboards and its pictures show no data."
_PICTURE_TEXT = "NOT GRAFANA"
# Three columns by five rows, one string per row, for the letters of the text above.
_GLYPHS = {
    "A": (".#.", "#.#", "###", "#.#", "#.#"),
    "F": ("###", "#..", "##.", "#..", "#.."),
    "G": (".##", "#..", "#.#", "#.#", ".##"),
    "N": ("#.#", "###", "###", "###", "#.#"),
    "O": (".#.", "#.#", "#.#", "#.#", ".#."),
    "R": ("##.", "#.#", "##.", "#.#", "#.#"),
    "T": ("###", ".#.", ".#.", ".#.", ".#."),
    " ": ("...", "...", "...", "...", "..."),
}
_DOT_PIXELS = 8
_LETS_IN = "Basic " + b64encode(b"lab:lab-grafana-password").decode()


def stand_in_picture() -> bytes:
    """A PNG in grey with the words on it, and the notice in its text chunk."""
    rows = [".".join(_GLYPHS[letter][row] for letter in _PICTURE_TEXT) for row in range(5)]
    margin = "." * (len(rows[0]) + 4)
    dots = [margin, margin, *(f"..{row}.." for row in rows), margin, margin]
    lines = [b"\0" + b"".join((b"\x20" if dot == "#" else b"\xe0") * _DOT_PIXELS for dot in line) for line in dots]
    pixels = b"".join(line * _DOT_PIXELS for line in lines)
    header = struct.pack(">IIBBBBB", len(dots[0]) * _DOT_PIXELS, len(dots) * _DOT_PIXELS, 8, 0, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"tEXt", b"Comment\0" + NOTICE.encode()),
        (b"IDAT", zlib.compress(pixels)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def build_routes() -> list[Route]:
    """Health, picture and front page."""
    picture = stand_in_picture()
    health = {"database": "ok", "version": "grafana-stand-in", "commit": "none", "notice": NOTICE}
    page = f"<!doctype html><title>grafana-stand-in</title><h1>grafana-stand-in</h1><p>{NOTICE}</p>\n"

    def org(request: Request) -> Response:
        lets_in = request.authorization == _LETS_IN
        return Response({"name": "lab"}) if lets_in else Response({"message": "Unauthorized"}, 401)

    return [
        Route("GET", "/api/health", lambda _: Response(health)),
        Route("GET", "/api/org", org),
        Route("GET", "/render/.*", lambda _: Response(picture, content_type="image/png")),
        Route("GET", "/", lambda _: Response(page, content_type="text/html; charset=utf-8")),
    ]


def main() -> None:
    stopping = stop_signal()
    server = start_server(int(os.environ.get("PORT", "3000")), build_routes())
    print(NOTICE, flush=True)
    stopping.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
