"""The bot's entry point. Signals are taken first: as process 1 it would not get SIGTERM otherwise."""

from __future__ import annotations

import os
import signal
import sys
import threading

from trading_lab.web import stop_signal


def take_signals() -> threading.Event:
    """The event that asks the bot to stop; with IGNORE_SIGTERM=1 (a fault) nothing ever sets it."""
    if os.environ.get("IGNORE_SIGTERM") != "1":
        return stop_signal()
    signal.signal(signal.SIGTERM, lambda *_: print("bot: SIGTERM ignored (IGNORE_SIGTERM=1)", flush=True))
    return threading.Event()


def main() -> int:
    stopping = take_signals()

    # After the signals: these imports take longer than an impatient stop.
    from trading_lab.bot_runner import run

    return run(os.environ, stopping)


if __name__ == "__main__":
    sys.exit(main())
