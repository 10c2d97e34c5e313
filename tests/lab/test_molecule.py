"""Each Molecule scenario, as an operator of this repository would run it."""

from __future__ import annotations

import pytest

from tests.lab.estate import ROOT, command

SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def test_there_are_scenarios():
    assert {"failsafe_stop", *LONG} <= set(SCENARIOS)


# One to three minutes each; what they hold is held faster, if less widely, by test_feed.py, test_gate.py,
# test_bot_start.py, test_evidence.py, test_incident.py,
# test_restore_test.py and the drill.
LONG = {
    *("compose_services", "metric_gate", "controlled_restart", "bot_start"),
    *("evidence_collection", "incident", "mitigate"),
    *("backup", "restore_test"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=[pytest.mark.faults] if name in LONG else []) for name in SCENARIOS]
)
def test_scenario(stacks, scenario):
    path = f"{ROOT / '.venv' / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ran = command(str(ROOT / ".venv/bin/molecule"), "test", "-s", scenario, timeout=800, env={"PATH": path})
    assert ran.code == 0, ran.output[-3000:]
