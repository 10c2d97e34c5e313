"""Whether there is evidence of an incident: asked before anything is started that could replace a container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.result import build_result
from .manifest import KEPT, BundleError, list_bundles, read_manifest, verify


def observe(evidence_path: Path, hosts: Sequence[str]) -> dict[str, Any]:
    """Return the module result: `proven` where each host has a bundle that holds a log and is as its manifest says."""
    bundles, problems = [], []
    for host in hosts:
        found = [_describe(root) for root in list_bundles(evidence_path, host)]
        bundles += found
        if not any(each["is_evidence"] for each in found):
            reasons = [each["trouble"] for each in found if each["trouble"]]
            problems.append(f"{host}: {reasons[-1] if reasons else 'no bundle in ' + str(evidence_path)}")
    if not hosts:
        problems = ["no host was named"]
    summary = "; ".join(problems) or f"evidence of {', '.join(hosts)} in {evidence_path}"
    return build_result("refused" if problems else "proven", summary, bundles=bundles)


def _describe(root: Path) -> dict[str, Any]:
    try:
        manifest = read_manifest(root)
        logs = [item for item in manifest["items"] if item["name"].startswith("log ") and item["status"] in KEPT]
        wrong = verify(root)
        problem = "; ".join(wrong[:3]) if wrong else "" if logs else _why_empty(manifest)
    except BundleError as error:
        manifest, problem = {}, str(error)
    return {
        "path": str(root),
        "is_evidence": not problem,
        "trouble": problem,
        "finished_at": str(manifest.get("finished_at", "")),
    }


def _why_empty(manifest: dict[str, Any]) -> str:
    reasons = [item["reason"] for item in manifest["items"] if item["reason"]]
    return f"the bundle holds no log ({reasons[0] if reasons else 'no reason given'})"
