"""Faults that the lab can switch on: bots that misbehave, beside the ones that bot_start makes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

TRADING_FOLDER = "/opt/ai_trading_core/ops/compose/trading"
START_LIMIT_SECONDS = 90


@dataclass(frozen=True)
class FaultBot:
    """A bot on a host, as a Compose project of its own: `environment` switches its faults on."""

    host: str
    name: str
    mode: str
    environment: dict[str, str]
    restart_policy: str = "no"

    @property
    def project(self) -> str:
        """Its Compose project, which the stop's rules match like any other."""
        return f"trading-{self.name}"


STUBBORN = FaultBot("lab1", "stubborn", "paper", {"IGNORE_SIGTERM": "1", "IGNORE_LATCH": "1"})
RESTLESS = FaultBot("lab2", "restless", "live", {}, restart_policy="always")


def build_override(bot: FaultBot) -> str:
    """Return the compose file, read from standard input, that makes the reference bot this one."""
    environment = "".join(
        f"\n      {key}: '{value}'" for key, value in {**bot.environment, "BOT_NAME": bot.name}.items()
    )
    return f"""
name: {bot.project}
services:
  bot:
    extends: {{file: docker-compose.yml, service: bot}}
    restart: {bot.restart_policy}
    ports: !reset []
    depends_on: !reset []
    environment:{environment}
"""


def start_argv(bot: FaultBot) -> list[str]:
    """Return the command that starts it, past every gate: faults do not ask."""
    return [*_compose_argv(bot), "up", "--detach", "--wait", "--wait-timeout", str(START_LIMIT_SECONDS), "bot"]


def remove_argv(bot: FaultBot) -> list[str]:
    """Return the command that takes its project away."""
    return [*_compose_argv(bot), "down", "--timeout", "1"]


def start(bot: FaultBot) -> None:
    """Start it; subprocess.CalledProcessError where it does not become healthy."""
    _run(start_argv(bot), bot)


def remove(bot: FaultBot) -> None:
    """Remove its container and network; nothing happens where there are none."""
    _run(remove_argv(bot), bot)


def _compose_argv(bot: FaultBot) -> list[str]:
    inside = ["docker", "exec", "--interactive", "--env", f"TRADING_MODE={bot.mode}", bot.host]
    return [*inside, "docker", "compose", "--project-directory", TRADING_FOLDER, "--file", "-", "--profile", bot.mode]


def _run(argv: list[str], bot: FaultBot) -> None:
    subprocess.run(
        argv, input=build_override(bot), text=True, check=True, capture_output=True, timeout=START_LIMIT_SECONDS + 30
    )
