"""Bars that a database holds, played again as if they came now: the feed of a restore test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from trading_lab.market import Bar

_LONGEST = 5000
_NEWEST_BARS = """
SELECT symbol, extract(epoch FROM time)::float8, open, high, low, close, volume FROM (
    SELECT DISTINCT ON (symbol, time) * FROM bars ORDER BY symbol, time DESC, mode) AS each_once
ORDER BY symbol, time
"""


class Replay:
    """History by symbol, played forwards and backwards in turn, so that the price never jumps."""

    def __init__(self, bars: Mapping[str, Sequence[Bar]]) -> None:
        self._bars = {symbol: tuple(history[-_LONGEST:]) for symbol, history in bars.items() if len(history) > 1}

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self._bars))

    def bar(self, symbol: str, open_time: float, bar_seconds: float) -> Bar:
        """The bar that opens at a time; a restarted feed goes on where it was."""
        history = self._bars[symbol]
        turn, place = divmod(round(open_time / bar_seconds), len(history))
        if turn % 2 == 0:
            return replace(history[place], open_time=open_time)
        back = history[-1 - place]
        return replace(back, open_time=open_time, open=back.close, close=back.open)


def collect(rows: Iterable[Sequence[object]]) -> dict[str, list[Bar]]:
    """Bars by symbol, from rows of symbol, seconds since 1970, open, high, low, close and volume."""
    found: dict[str, list[Bar]] = {}
    for symbol, *values in rows:
        found.setdefault(str(symbol), []).append(Bar(*(float(str(value)) for value in values)))
    return found


def read_replay(database_url: str) -> Replay:
    """What the database holds of every symbol."""
    import psycopg

    with psycopg.connect(database_url, connect_timeout=10) as connection:
        return Replay(collect(connection.execute(_NEWEST_BARS)))
