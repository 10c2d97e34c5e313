"""A bundle that was just written is as its manifest says."""

from __future__ import annotations

from trading_ops.evidence.manifest import verify

from tests.unit.evidence_world import make_bundle


def test_untouched_bundle_is_well(tmp_path):
    assert verify(make_bundle(tmp_path / "lab1")) == []
