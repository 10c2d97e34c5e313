"""The README's first command."""

import pytest

from tests.lab.estate import runbook


@pytest.mark.before_others(1)
@pytest.mark.timeout(900)
def test_drill_ends_with_a_verdict_that_holds_measured_seconds(lab, drilled):
    run = runbook("drill", timeout=800)
    assert run.code == 0, run.output[-3000:]
    last = run.output.rstrip().splitlines()[-1]
    assert last.startswith("VERDICT 0 drill: PROVEN: 4 bots on 2 hosts stopped")
    assert "s after the command, none later" in last
    drilled.append(last)
