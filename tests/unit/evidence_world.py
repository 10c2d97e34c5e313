"""A small bundle of evidence for tests."""

from __future__ import annotations

from pathlib import Path

from trading_ops.core.redaction import Redactor, build_rules
from trading_ops.evidence.bundle import Bundle


def make_bundle(root: Path, **texts: str) -> Path:
    bundle = Bundle(root, 10_000, Redactor(build_rules()), lambda: 0.0, 60.0)
    bundle.open()
    for name, text in (texts or {"log_bot": "stopped\n", "log_feed": "bars\n"}).items():
        bundle.add_text(name.replace("_", " "), f"logs/{name}.txt", text)
    bundle.note("log prometheus", "missing", "no container is called prometheus")
    bundle.close({"host": root.name, "finished_at": "2026-11-21T01:30:00.000Z"})
    return root
