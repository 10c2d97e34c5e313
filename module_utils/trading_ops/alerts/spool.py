"""The alert receiver's one command: put what came with one request into the spool, durably, and only then end with 0.

This file stands alone, without the package around it. The control host has a copy, started once for each request by
an account that can write to the spool and nowhere else. What it takes is checked again by anyone who reads the spool.

    python3 -IS alert_spool.py INCOMING SPOOL        ALERT_FILE names the file with the request's body
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

MOST_BYTES = 256 * 1024
MOST_REQUESTS = 5000
"""More than an estate says in a day: anyone who has the token and a bug cannot fill the disk."""


class Refused(Exception):
    """The body is not Alertmanager's. The text is a sentence."""


def check(body: bytes) -> None:
    """Raise Refused unless the body is what Alertmanager sends: an object with alerts that have a name."""
    if len(body) > MOST_BYTES:
        raise Refused(f"The body is longer than {MOST_BYTES} bytes.")
    try:
        content = json.loads(body.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise Refused(f"The body is no JSON: {type(error).__name__}.") from error
    alerts = content.get("alerts") if isinstance(content, dict) else None
    if not isinstance(alerts, list) or not alerts:
        raise Refused("The body holds no alerts.")
    for alert in alerts:
        labels = alert.get("labels") if isinstance(alert, dict) else None
        if not isinstance(labels, dict) or not isinstance(labels.get("alertname"), str):
            raise Refused("An alert has no name.")


def spool(body: bytes, incoming: Path, spool_path: Path, name: str) -> None:
    """Write the request; when this returns it survives a power cut. Raises Refused, OSError."""
    check(body)
    if sum(1 for _ in os.scandir(spool_path)) >= MOST_REQUESTS:
        raise Refused("The spool is full.")
    draft = incoming / name
    try:
        with open(draft, "xb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(spool_path / name)
    finally:
        draft.unlink(missing_ok=True)
    directory = os.open(spool_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def main(arguments: list[str]) -> int:
    """Return 0 only when the request is on disk: the answer to the sender is 200 then, and 500 otherwise."""
    try:
        with open(os.environ["ALERT_FILE"], "rb") as file:
            body = file.read(MOST_BYTES + 1)
        name = f"{time.time_ns():020d}-{os.urandom(4).hex()}.json"
        spool(body, Path(arguments[0]), Path(arguments[1]), name)
    except (Refused, OSError, KeyError) as error:
        print(f"not taken: {error}", file=sys.stderr)
        return 1
    print("taken")
    return 0


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
