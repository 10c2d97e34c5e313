"""Which values of an environment are secrets. In doubt it is one: what is lost to a log is a word, not a password."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from .redaction import is_secret_name

_WORD: Final = r"(?:[A-Z]?[a-z]+(?:[A-Z][a-z]+){0,4}|[a-z]+\d{1,2}|[A-Z]+\d{0,2})"
"""Letters as people and programs put them together; what mixes them otherwise is no word."""

_ORDINARY: Final = re.compile(
    r"[-+]?[\d.,:_/TZ-]+ ?[A-Za-z%]{0,3}"  # a number, duration, size, time or address
    r"|v?\d+(\.\d+)+([-+.~]\w{1,12})*"  # a version
    rf"|{_WORD}([ .,;:_/|+=-]+({_WORD}|\d{{1,5}}))*\.?"  # words, names, host:port
    r"|\.{0,2}(/[\w.@-]{0,32})+(:(/[\w.@-]{0,32})+)*"  # paths
    r"|[a-z0-9.-]+(/[a-z0-9._-]+)+(:[\w.-]{1,64})?(@sha256:[0-9a-f]{64})?"  # an image
)
_LONGEST_WORD: Final = 24
"""A run of letters that is longer is no word."""


def parse_environment(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and value of lines as a container's environment, or an env file, has them; a line without `=` is a
    value without a name, as in a file that holds one token.
    """
    for line in lines:
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, sign, value = text.partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z_][\w.-]*", name.strip()):
            name, value = "", text
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        yield name.strip(), value


def select_secrets(name: str, value: str) -> Iterator[str]:
    """Yield what of an environment's value is to be looked for in texts, nothing for an ordinary one."""
    if "://" in value:
        yield from _of_url(value)
    elif not name or is_secret_name(name) or not is_ordinary(value):
        yield value


def is_ordinary(value: str) -> bool:
    """Return whether a value is one of those that are no secrets: numbers, words, names, paths, versions, images."""
    if len(value) < 8 or not _ORDINARY.fullmatch(value):
        return len(value) < 8
    return all(len(word) <= _LONGEST_WORD for word in re.split(r"[^A-Za-z0-9]+", value)) or "/" in value


def _of_url(url: str) -> Iterator[str]:
    """Yield what is secret of a URL: password, user beside it, and parts of path and query that are no words.

    Never the URL itself: it begins as many others do.
    """
    try:
        parts = urlsplit(url)
        password, user = parts.password, parts.username
    except ValueError:
        yield url
        return
    if password:
        yield from {password, unquote(password)}
    elif user:
        yield user
    for segment in parts.path.split("/"):
        if not is_ordinary(segment):
            yield segment
    for key, value in parse_qsl(parts.query):
        if is_secret_name(key) or not is_ordinary(value):
            yield value
