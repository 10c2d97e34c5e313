"""Each Molecule scenario, as an operator of this repository would run it."""

from __future__ import annotations

import pytest

from tests.lab.estate import ROOT, command

SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def test_there_are_scenarios():
    assert "failsafe_stop" in SCENARIOS


# One to three minutes each; what they hold is held faster, if less widely, by the drill and the tests beside this file.
@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(stacks, scenario):
    path = f"{ROOT / '.venv' / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ran = command(str(ROOT / ".venv/bin/molecule"), "test", "-s", scenario, timeout=800, env={"PATH": path})
    assert ran.code == 0, ran.output[-3000:]
