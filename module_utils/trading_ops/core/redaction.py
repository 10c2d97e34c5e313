"""Secrets taken out of text before anybody keeps it. Pure, and streaming: memory does not grow with the text.

Two kinds are looked for: values that are known (in the encodings below, also where log lines split them), and patterns
that are declared (also base64- and URL-encoded, JSON-escaped). What is found leaves its rule's name and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote, quote_plus

CHUNK_BYTES: Final = 512 * 1024
HOLD_BYTES: Final = 64 * 1024
"""What is held back until more has come: no secret, and nothing that shows one to be a secret, is longer."""

SHORTEST_VALUE: Final = 4
"""Of shorter values a log is full by chance; they are named in the report instead."""

_WHITESPACE: Final = b" \t\r\n"
_GRAM, _STRIDE = 4, 2
"""Every second window of four bytes is looked up, so that any five bytes in a row of a value are noticed."""
_LONG: Final = 8
"""From this length on, a value is looked for in the middle of words too, and its parts at line breaks."""
_CONTINUED_WITHIN: Final = 4096
"""How far behind a line break the rest of a split value is looked for."""

SECRET_WORDS: Final = (
    r"password|passwd|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|signing[_-]?key"
    r"|encryption[_-]?key|credential|bearer"
)

DECLARED: Final[dict[str, str]] = {
    "private key": r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY-----"
    r"(?:[\s\S]{0,32768}?-----END [A-Z0-9 ]{0,32}PRIVATE KEY-----|[\s\S]{0,32768})",
    "private key in base64": r"LS0tLS1CRUdJTi[A-Za-z0-9+/=\s]{16,49152}",
    "password in a URL": r"://[^\s/:@\"'<>]{0,256}:(?P<secret>[^\s/\"'<>]{1,512})@",
    "webhook": r"(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks|api\.telegram\.org)"
    r"/(?P<secret>[A-Za-z0-9_/:.-]{8,512})",
    "authorization": r"(?i:\b(?:authorization|x-[a-z0-9-]{0,32}(?:key|token|secret|auth)))"
    r"\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?(?P<secret>(?:[A-Za-z]{1,16} )?[^\s\"'\\,;]{4,4096})",
    "bearer": r"\b[Bb](?:earer|asic) (?P<secret>[A-Za-z0-9._~+/=-]{8,4096})",
    "assignment": rf"(?i:{SECRET_WORDS})[\w.-]{{0,32}}\\{{0,3}}[\"']?\s{{0,4}}[=:]\s{{0,4}}"
    r"(?:\\{0,3}\"(?P<double>(?:[^\"\\\n]|\\[^\"\n]){1,1024})|\\{0,3}'(?P<single>(?:[^'\\\n]|\\[^'\n]){1,1024})"
    r"|(?P<secret>[^\s\"',;&<>{}\[\]()\\][^\s\"',;&<>]{0,1023}))",
    "argument": rf"(?<!\S)--?[\w-]{{0,32}}(?i:{SECRET_WORDS})[\w-]{{0,16}}[\s=]{{1,8}}(?P<secret>[^\s\"']{{1,1024}})",
    "JSON web token": r"eyJ[A-Za-z0-9_-]{8,2048}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,2048}",
    "AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,255})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,64}",
    "Slack token": r"\bxox[abeprs]-[A-Za-z0-9-]{10,255}",
    "Google key": r"\bAIza[0-9A-Za-z_-]{35}",
    "service key": r"\b(?:sk|pk|rk)[-_](?:[a-z]{2,8}[-_])?[A-Za-z0-9]{16,255}",
    "bot token": r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b",
    # Venues' keys: 64 letters and digits that are no hash (Binance), base64 of 64 bytes (Kraken).
    "venue key": r"\b(?=[a-f0-9]{0,64}[A-Zg-z])(?=[A-Za-z]{0,64}[0-9])[A-Za-z0-9]{64}\b",
    "venue secret": r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==",
}
"""Rule -> what it looks like. A group that is named is the secret, without one all of it is."""

HINTS: Final[dict[str, tuple[bytes, ...]]] = {
    "private key": (b"private key-----",),
    "private key in base64": (b"ls0tls1crudjti",),
    "password in a URL": (b"@",),
    "webhook": (b"hooks.slack.com", b"/api/webhooks", b"api.telegram.org"),
    "authorization": (b"authorization", b"x-"),
    "bearer": (b"bearer ", b"basic "),
    "assignment": tuple(b"password passwd passphrase pwd secret token key credential bearer".split()),
    "argument": tuple(b"password passwd passphrase pwd secret token key credential bearer".split()),
    "JSON web token": (b".eyj",),
    "AWS key": (b"akia", b"asia"),
    "GitHub token": (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
    "GitLab token": (b"glpat-",),
    "Slack token": (b"xox",),
    "Google key": (b"aiza",),
    "service key": (b"sk-", b"sk_", b"pk-", b"pk_", b"rk-", b"rk_"),
    "venue secret": (b"==",),
}
"""Rule -> small letters of which its matches hold one: a text without them need not be searched."""

_BASE64_RUN: Final = re.compile(
    rb"[A-Za-z0-9+/_-]{24,16384}(?:\r?\n[A-Za-z0-9+/_-]{1,16384}){0,64}={0,2}(?![A-Za-z0-9+/_-])|[A-Za-z0-9+/_-]{16384}"
)
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})|\\u00([0-9A-Fa-f]{2})|\\+([nrt/\"'])")
_WHITE_ESCAPES: Final = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_PRINTABLE: Final = bytes(range(32, 127)) + b"\t\r\n"
_GAPS: Final = re.compile(rb"[ \t\r\n]+")
_LINE_BREAKS: Final = re.compile(rb"\r?\n[ \t]*")
_SECRET_NAME: Final = re.compile(SECRET_WORDS, re.IGNORECASE)

Piece = tuple[bytes, bytes]
"""A mark that is kept as it is (a timestamp of ours), and the content behind it, which is searched."""


class RedactionError(Exception):
    """Nothing may be kept, since nobody can say that no secret is in it. The text is a sentence."""


@dataclass(frozen=True)
class Pattern:
    """One declared rule."""

    name: str
    expression: re.Pattern[bytes]
    hints: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Rules:
    """What is looked for, made ready once. `too_short` names the values that are not looked for."""

    patterns: tuple[Pattern, ...]
    grams: Mapping[bytes, tuple[tuple[int, int], ...]] = field(repr=False)
    needles: tuple[tuple[str, bytes], ...] = field(repr=False)
    shorts: tuple[tuple[str, re.Pattern[bytes]], ...] = field(repr=False)
    too_short: tuple[str, ...] = ()


def build_rules(known: Iterable[tuple[str, str]] = (), declared: Mapping[str, str] = DECLARED) -> Rules:
    """Return what is looked for: `known` are (name, value). Raises RedactionError for a pattern that is none."""
    patterns = []
    for name, text in declared.items():
        try:
            expression = re.compile(text.encode())
        except re.error as error:
            raise RedactionError(f"The pattern {name!r} cannot be understood: {error}.") from error
        if expression.match(b""):
            raise RedactionError(f"The pattern {name!r} matches nothing at all.")
        patterns.append(Pattern(name, expression, HINTS.get(name, ())))
    needles: dict[bytes, str] = {}
    shorts: dict[bytes, tuple[str, bytes]] = {}
    too_short = set()
    for name, value in known:
        plain = value.strip().encode()
        if len(plain.translate(None, _WHITESPACE)) < SHORTEST_VALUE:
            too_short |= {name} if plain else set()
            continue
        for encoded, is_delimited in _encodings(plain):
            squeezed = encoded.translate(None, _WHITESPACE)
            if len(squeezed) >= _LONG:
                needles.setdefault(squeezed, f"known: {name}")
            elif len(squeezed) >= SHORTEST_VALUE:
                edge = (rb"(?<![A-Za-z0-9])", rb"(?![A-Za-z0-9])") if is_delimited else (b"", b"")
                shorts.setdefault(encoded, (f"known: {name}", edge[0] + re.escape(encoded) + edge[1]))
    listed = tuple((name, needle) for needle, name in needles.items())
    grams: dict[bytes, list[tuple[int, int]]] = {}
    for number, (_, needle) in enumerate(listed):
        for offset in range(len(needle) - _GRAM + 1):
            grams.setdefault(needle[offset : offset + _GRAM], []).append((number, offset))
    return Rules(
        patterns=tuple(patterns),
        grams={gram: tuple(places) for gram, places in grams.items()},
        needles=listed,
        shorts=tuple((name, re.compile(text)) for name, text in shorts.values()),
        too_short=tuple(sorted(too_short)),
    )


def is_secret_name(name: str) -> bool:
    """Return whether what stands under this name is a secret by its name alone."""
    return bool(_SECRET_NAME.search(name)) and not re.search(r"(?i)[_-]?(path|file|url)$", name)


class Redactor:
    """Takes secrets out of streams, texts and trees, and counts by rule what it took."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.counts: Counter[str] = Counter()

    def stream(self, pieces: Iterable[Piece]) -> Iterator[bytes]:
        """Yield the pieces, one after another, without their secrets."""
        held: list[Piece] = []
        size = 0
        for piece in pieces:
            held.append(piece)
            size += len(piece[1])
            if size >= CHUNK_BYTES + HOLD_BYTES:
                out, held = self._release(held, size - HOLD_BYTES)
                size = sum(len(content) for _, content in held)
                yield out
        out, _ = self._release(held, size)
        yield out

    def text(self, text: str) -> str:
        """Return the text without its secrets."""
        return b"".join(self.stream([(b"", text.encode("utf-8", "replace"))])).decode("utf-8", "replace")

    def tree(self, value: Any) -> Any:
        """Return a JSON value without its secrets: what a secret's name or flag stands before goes as a whole."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self._by_name(str(name))
                if isinstance(item, str | int | float) and not isinstance(item, bool) and is_secret_name(str(name))
                else self.tree(item)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            before = ["", *(str(item) for item in value)]
            return [
                self._by_name(flag.lstrip("-"))
                if flag.startswith("-") and "=" not in flag and is_secret_name(flag) and isinstance(item, str)
                else self.tree(item)
                for flag, item in zip(before, value, strict=False)
            ]
        return value

    def _by_name(self, name: str) -> str:
        self.counts["by name"] += 1
        return f"(redacted: {name})"

    def _release(self, held: Sequence[Piece], until: int) -> tuple[bytes, list[Piece]]:
        """Return what of the held content before `until` can go, and what stays."""
        content = b"".join(text for _, text in held)
        found = self._find(content)
        cut = until
        if cut < len(content):
            # At a line's end where there is one near: what a pattern goes by shall not be torn from its secret.
            cut = max(content.rfind(b"\n", max(0, cut - HOLD_BYTES // 2), cut) + 1, 0) or cut
            for match in sorted(found, key=lambda match: match.begin, reverse=True):
                if match.begin < cut < match.end:
                    cut = match.begin
        spans = _merge([match for match in found if match.end <= cut])
        self.counts.update(rule for _, _, rule in spans)
        return _cut_out(held, spans, cut)

    def _find(self, content: bytes, is_decoded: bool = False) -> list[_Match]:
        found = [*self._patterns(content), *self._known(content)]
        if not is_decoded:
            found += self._encoded(content)
        return found

    def _patterns(self, content: bytes) -> Iterator[_Match]:
        view = _View(content, _LINE_BREAKS)
        small = view.text.lower()
        for pattern in self._rules.patterns:
            if pattern.hints and not any(hint in small for hint in pattern.hints):
                continue
            for match in pattern.expression.finditer(content):
                yield _Match(match.start(), match.end(), *match.span(match.lastgroup or 0), pattern.name)
            if view.text is content:
                continue
            for match in pattern.expression.finditer(view.text):
                if view.is_broken(*match.span()):
                    yield view.match(*match.span(match.lastgroup or 0), pattern.name)

    def _encoded(self, content: bytes) -> Iterator[_Match]:
        """Yield where base64 that says something secret stands, and secrets that are percent- or JSON-encoded."""
        for run in _BASE64_RUN.finditer(content):
            # One that wraps is decoded as a whole; else the next line's first word would spoil what stands before it.
            for text in {run.group(), *run.group().split(b"\n")}:
                for decoded in _decodings(text):
                    for match in self._find(decoded, is_decoded=True)[:1]:
                        yield _Match(*run.span(), *run.span(), f"{match.rule} (base64)")
        if not _ESCAPE.search(content):
            return
        plain = _Decoded(content)
        for match in self._find(plain.text, is_decoded=True):
            yield plain.match(match)

    def _known(self, content: bytes) -> Iterator[_Match]:
        for rule, short in self._rules.shorts:
            for match in short.finditer(content):
                yield _Match(*match.span(), *match.span(), rule)
        view = _View(content)
        text, grams = view.text, self._rules.grams
        hits = [i for i in range(0, len(text) - _GRAM + 1, _STRIDE) if text[i : i + _GRAM] in grams] if grams else []
        # Where each was last looked for, and no more: with many secrets in a text all places would fill the memory.
        seen: dict[int, int] = {}
        for hit in hits:
            for number, offset in grams[text[hit : hit + _GRAM]]:
                rule, needle = self._rules.needles[number]
                if seen.get(number) != hit - offset:
                    seen[number] = hit - offset
                    yield from _occurrences(view, needle, hit, offset, rule)


@dataclass(frozen=True)
class _Match:
    """What was found: all that belongs together, and in it the secret."""

    begin: int
    end: int
    secret_begin: int
    secret_end: int
    rule: str


class _View:
    """Content without its gaps, and the way back: a value that lines split is in one piece here."""

    def __init__(self, content: bytes, gaps: re.Pattern[bytes] = _GAPS) -> None:
        self._content = content
        self._gaps = gaps
        self.text = gaps.sub(b"", content) if gaps is not _GAPS else content.translate(None, _WHITESPACE)

    @cached_property
    def _places(self) -> tuple[list[int], list[int], list[int]]:
        """Where in the view a gap was taken out, how much was taken out up to there, and which gaps broke a line.

        Only asked where something was found.
        """
        starts, lengths, breaks = [], [], [0]
        removed = 0
        for gap in self._gaps.finditer(self._content):
            place = gap.start() - removed
            removed += gap.end() - gap.start()
            starts.append(place)
            lengths.append(removed)
            if b"\n" in gap.group():
                breaks.append(place)
        return starts, lengths, [*breaks, len(self.text)]

    def last_break(self, place: int) -> int:
        """Return the last line break at or before a place of the view."""
        breaks = self._places[2]
        return breaks[bisect_right(breaks, place) - 1]

    def first_break(self, place: int) -> int:
        """Return the first line break at or behind a place of the view."""
        breaks = self._places[2]
        return breaks[bisect_left(breaks, place)]

    def is_broken(self, begin: int, end: int) -> bool:
        """Return whether a gap was taken out between two places of the view."""
        starts = self._places[0]
        return bisect_left(starts, end) > bisect_right(starts, begin)

    def match(self, begin: int, end: int, rule: str) -> _Match:
        first, last = self._original(begin), self._original(end - 1) + 1
        return _Match(first, last, first, last, rule)

    def _original(self, place: int) -> int:
        starts, lengths, _ = self._places
        gaps = bisect_right(starts, place)
        return place + (lengths[gaps - 1] if gaps else 0)


class _Decoded:
    """Content without its percent and JSON escapes, and the way back."""

    def __init__(self, content: bytes) -> None:
        self._ends: list[int] = []  # in the text, behind what was an escape
        self._removed: list[int] = []  # how much shorter the text became up to there
        parts: list[bytes] = []
        place = length = removed = 0
        for escape in _ESCAPE.finditer(content):
            digits = escape[1] or escape[2]
            char = bytes([int(digits, 16)]) if digits else _WHITE_ESCAPES.get(escape[3], escape[3])
            parts += [content[place : escape.start()], char]
            length += escape.start() - place + 1
            place = escape.end()
            removed += escape.end() - escape.start() - 1
            self._ends.append(length)
            self._removed.append(removed)
        self.text = b"".join([*parts, content[place:]])

    def match(self, found: _Match) -> _Match:
        """Return a match of the text as one of the content."""
        begin, end = self._original(found.begin), self._original(found.end)
        secret = self._original(found.secret_begin), self._original(found.secret_end)
        return _Match(begin, end, *secret, f"{found.rule} (encoded)")

    def _original(self, place: int) -> int:
        escapes = bisect_right(self._ends, place)
        return place + (self._removed[escapes - 1] if escapes else 0)


def _occurrences(view: _View, needle: bytes, hit: int, offset: int, rule: str) -> Iterator[_Match]:
    """Yield where the value stands around a hit: whole, or in parts that line breaks made of it."""
    begin, first = hit, offset
    while first and begin and view.text[begin - 1] == needle[first - 1]:
        begin, first = begin - 1, first - 1
    end, last = hit + _GRAM, offset + _GRAM
    while last < len(needle) and end < len(view.text) and view.text[end] == needle[last]:
        end, last = end + 1, last + 1
    if (first, last) == (0, len(needle)):
        yield view.match(begin, end, rule)
        return
    # By chance a part goes on for a letter beyond the line's end: what counts is the break, and not where it stopped.
    enough = max(_LONG, len(needle) // 2)
    line_end = view.last_break(end)
    if first == 0 and line_end > begin:
        # The rest is on one of the next lines, behind whatever its logger puts first.
        rest = needle[line_end - begin :]
        at = view.text.find(rest, line_end, line_end + _CONTINUED_WITHIN)
        if at >= 0:
            yield view.match(begin, line_end, rule)
            yield view.match(at, at + len(rest), rule)
            return
    if line_end - begin >= enough:
        yield view.match(begin, line_end, rule)
    if end - view.first_break(begin) >= enough:
        yield view.match(view.first_break(begin), end, rule)


def _encodings(value: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield the value's usual encodings, and of each whether it stands between delimiters where it is short."""
    text = value.decode("utf-8", "replace")
    escaped = {json.dumps(text, ensure_ascii=flag)[1:-1] for flag in (True, False)}
    escaped |= {one.replace("/", "\\/") for one in escaped}
    for char in "&<>'":
        escaped |= {one.replace(char, f"\\u{ord(char):04x}") for one in escaped}
    escaped |= {json.dumps(one, ensure_ascii=flag)[1:-1] for one in escaped for flag in (True, False)}
    quoted = {quote(text, safe=""), quote(text), quote_plus(text), "".join(f"%{byte:02X}" for byte in value)}
    quoted |= {re.sub("%..", lambda match: match[0].lower(), one) for one in quoted}
    quoted |= {quote(one, safe="") for one in quoted}
    for one in sorted({text, *escaped, *quoted}):
        yield one.encode(), True
    for form in {value, *(one.encode() for one in escaped)}:
        for start in range(3):
            encoded = base64.b64encode(bytes(start) + form)
            # Of the first and last characters a part belongs to what stands beside the value.
            core = encoded[-(-8 * start // 6) : 8 * (start + len(form)) // 6]
            yield core, False
            yield core.translate(bytes.maketrans(b"+/", b"-_")), False
    yield value.hex().encode(), False
    yield value.hex().upper().encode(), False


def _decodings(run: bytes) -> Iterator[bytes]:
    """Yield what the base64 says that is text. Letters before it can belong to the alphabet too: so four beginnings."""
    plain = run.translate(bytes.maketrans(b"-_", b"+/"), b"\r\n=")
    if not plain.translate(None, b"0123456789abcdef"):
        return  # a hash
    for start in range(4):
        text = plain[start:]
        whole = len(text) - (len(text) % 4 == 1)
        decoded = binascii.a2b_base64(text[:whole] + b"=" * (-whole % 4))
        if len(decoded) >= SHORTEST_VALUE and len(decoded.translate(None, _PRINTABLE)) * 8 <= len(decoded):
            yield decoded


def _merge(matches: Iterable[_Match]) -> list[tuple[int, int, str]]:
    """Return the secrets' places in order, those that overlap as one under the name of the longest."""
    merged: list[tuple[int, int, str]] = []
    for match in sorted(matches, key=lambda match: (match.secret_begin, -match.secret_end)):
        if merged and match.secret_begin < merged[-1][1]:
            begin, end, rule = merged[-1]
            merged[-1] = (begin, max(end, match.secret_end), rule)
        elif match.secret_begin < match.secret_end:
            merged.append((match.secret_begin, match.secret_end, match.rule))
    return merged


def _cut_out(held: Sequence[Piece], spans: Sequence[tuple[int, int, str]], cut: int) -> tuple[bytes, list[Piece]]:
    """Return the pieces up to `cut` with each secret's rule in its place, and the pieces behind it.

    Line breaks and marks inside a secret stay: the lines are still those of the log.
    """
    out: list[bytes] = []
    left: list[Piece] = []
    ends = iter([*spans, (cut, cut, "")])
    begin, end, rule = next(ends)
    place = 0
    for mark, content in held:
        if place >= cut and (content or left):
            left.append((mark, content))
            place += len(content)
            continue
        out.append(mark)
        stop = min(place + len(content), cut)
        at = place
        while at < stop:
            if at < begin:
                out.append(content[at - place : min(begin, stop) - place])
                at = min(begin, stop)
                continue
            if at >= end:
                begin, end, rule = next(ends)
                continue
            if at == begin:
                out.append(f"(redacted: {rule})".encode())
            hidden = content[at - place : min(end, stop) - place]
            out.append(b"\n" * hidden.count(b"\n"))
            at = min(end, stop)
        if stop < place + len(content):
            left.append((b"", content[stop - place :]))
        place += len(content)
    return b"".join(out), left
