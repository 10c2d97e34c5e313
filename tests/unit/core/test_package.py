"""The package's own source text, by path."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import trading_ops
from trading_ops.core.package import sources_of
from trading_ops.state import audit


def test_sources_are_what_is_on_disk_and_hold_the_package_itself():
    found = sources_of([trading_ops, audit])
    assert set(found) == {"__init__.py", "state/audit.py"}
    assert found["state/audit.py"] == Path(str(audit.__file__)).read_text()


def test_sources_come_out_of_an_archive_as_ansible_sends_it(tmp_path, monkeypatch):
    archive = tmp_path / "payload.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("sent/__init__.py", "")
        zipped.writestr("sent/trading_ops/__init__.py", '"""Package."""\n')
        for room in ("guard", "alerts"):
            zipped.writestr(f"sent/trading_ops/{room}/__init__.py", "")
            zipped.writestr(f"sent/trading_ops/{room}/install.py", f"ROOM = '{room}'\n")
    monkeypatch.syspath_prepend(str(archive))
    import importlib

    modules = [importlib.import_module(f"sent.trading_ops{name}") for name in ("", ".guard.install", ".alerts.install")]
    assert sources_of(modules) == {
        "__init__.py": '"""Package."""\n',
        "guard/install.py": "ROOM = 'guard'\n",
        "alerts/install.py": "ROOM = 'alerts'\n",
    }
    for name in [name for name in sys.modules if name.startswith("sent")]:
        del sys.modules[name]
