"""The README's first command."""

import pytest

from tests.lab.estate import runbook


@pytest.mark.brings_up_the_estate
@pytest.mark.timeout(900)
def test_drill_ends_with_a_verdict_that_holds_measured_seconds(lab, drilled):
    drilled = runbook("drill", timeout=800)
    assert drilled.code == 0, drilled.output[-3000:]
    last = drilled.output.rstrip().splitlines()[-1]
    assert last.startswith("VERDICT 0 drill: PROVEN: 4 bots on 2 hosts stopped")
    assert "s after the command, none later" in last
    drilled.append(last)
