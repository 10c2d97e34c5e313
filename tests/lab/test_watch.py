"""Long watches, in the faults tier."""

from __future__ import annotations

import time

import pytest

from tests.lab.estate import bots, on, runbook

WATCH_SECONDS = 180


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_crash_looping_bot_is_not_seen_running_for_three_minutes(trading):
    labels = "--label com.docker.compose.service=bot --label com.docker.compose.project=trading-crash"
    image = on("lab1", "docker inspect -f '{{.Config.Image}}' trading-paper-bot-1").strip()
    program = "import time; time.sleep(0.2); raise SystemExit(1)"
    on("lab1", f"docker run -d --name crash --restart always {labels} --entrypoint python3 {image} -c '{program}'")
    time.sleep(10)  # the pause between two starts has grown to seconds
    assert runbook("failsafe_stop", "-e", "reason=test").is_proven_stop
    end = time.monotonic() + WATCH_SECONDS
    looks = 0
    while time.monotonic() < end:
        looks += 1
        assert [bot.name for bot in bots("lab1") if bot.is_running] == []
        time.sleep(0.5)
    assert looks > WATCH_SECONDS / 5
