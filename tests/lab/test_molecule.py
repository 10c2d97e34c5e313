"""Each Molecule scenario, as an operator of this repository would run it."""

from __future__ import annotations

import os

import pytest

from tests.lab.estate import ROOT, command

SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))
# One to three minutes each; what they hold is held faster, if less widely, by the drill and the tests beside this file.
CHOSEN = os.environ.get("TRADING_CORE_SCENARIOS", "").split()
"""Those that belong to this run's default tier: ./runbook test --ci names two."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=[] if name in CHOSEN else [pytest.mark.faults]) for name in SCENARIOS]
)
def test_scenario(stacks, scenario):
    path = f"{ROOT / '.venv' / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ran = command(str(ROOT / ".venv/bin/molecule"), "test", "-s", scenario, timeout=800, env={"PATH": path})
    assert ran.code == 0, ran.output[-3000:]
