#!/usr/bin/env -S python3 -IS
"""A stand-in for the docker command: containers in a file, with the behaviour that each was given. Not Docker."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

WORLD = Path(os.environ["FAKE_DOCKER_WORLD"])


def quoted(value: str) -> str:
    """Return the value as Go's %q prints it; for what the tests use that is JSON."""
    return json.dumps(value, ensure_ascii=False)


def listed(item: dict[str, Any]) -> str:
    keys = (
        "com.docker.compose.service",
        "com.docker.compose.project",
        "trading-core.mode",
        "trading-core.restore-test",
    )
    labels = [quoted(item["labels"].get(key, "")) for key in keys]
    return "\t".join([item["id"], item["status"], quoted(item["name"]), quoted(item["image"]), *labels])


def described(item: dict[str, Any]) -> str:
    running = item["status"] in {"running", "paused", "restarting"}
    flags = [str(flag).lower() for flag in (running, item["status"] == "paused", item["status"] == "restarting")]
    cancels = quoted(item["labels"].get("trading-core.cancels-orders", ""))
    pid = "4711" if running else "0"
    return " ".join([item["id"], item["status"], *flags, pid, f"policy:{item['policy']}", str(item["exit"]), cancels])


def described_more(item: dict[str, Any]) -> str:
    """Return what look_beyond() asks of a container: its template is told from the others by a word in it."""
    labels = item["labels"]
    keys = ("service", "project")
    values = [f"/{item['name']}", item["image"], *(labels.get(f"com.docker.compose.{key}", "") for key in keys)]
    values += [labels.get(f"trading-core.{key}", "") for key in ("mode", "restore-test")]
    looks = "label " if "trading-core.mode" in labels else ""
    looks += "".join("variable " for text in item.get("env", []) if text.partition("=")[0] == "TRADING_MODE")
    path, *arguments = item.get("command") or [""]
    program = " ".join(map(quoted, [item.get("image_id", "sha256:1"), path, *arguments]))
    titles = [item["image"], *(labels.get(f"org.opencontainers.image.{key}", "") for key in ("title", "source"))]
    words = [item["id"], *map(quoted, values), f"looks:{looks}", program, *(quoted(text).lower() for text in titles)]
    return "\t".join(words)


def stop(item: dict[str, Any]) -> None:
    if item.get("immortal") or item["status"] not in {"running", "paused", "restarting"}:
        return
    item["status"], item["exit"] = "exited", 137 if item.get("ignores_sigterm") else 0
    if item.pop("resurrects", False):
        item["status"] = "running"


def act(verb: str, ids: list[str], world: dict[str, Any], is_beyond: bool = False) -> tuple[list[str], int]:
    if verb == "info":
        return [world.get("engine_id", "")], 0
    if verb == "ps":
        return [listed(item) for item in world["containers"]], 0
    by_id = {item["id"]: item for item in world["containers"]}
    found = [by_id[name] for name in ids if name in by_id]
    code = 0 if len(found) == len(ids) else 1
    if verb == "inspect":
        return [(described_more if is_beyond else described)(item) for item in found], code
    for item in found:
        if verb == "update" and item.get("update_fails_once"):
            item["update_fails_once"], code = False, 1
        elif verb == "update":
            item["policy"] = item.get("stuck_policy") or "no"
        elif verb in {"stop", "kill"}:
            stop(item)
            if item.pop("vanishes", False):
                world["containers"].remove(item)
    if verb == "stop" and world.get("starts_meanwhile"):
        world["containers"].append(world.pop("starts_meanwhile"))
    return [], code


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[:1] == ["-H"]:
        arguments = arguments[2:]
    verb, *rest = arguments
    ids = [word for word in rest if len(word) == 64]
    with open(WORLD, "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        world = json.load(file)
        world["calls"].append(arguments)
        is_led_astray = not set(world.get("minds", [])).isdisjoint(os.environ)
        hangs = verb in world.get("hangs", [])
        lines, code = (
            ([], 1)
            if hangs or is_led_astray or verb in world.get("fails", [])
            else act(verb, ids, world, any("looks:" in word for word in rest))
        )
        file.seek(0)
        file.truncate()
        json.dump(world, file)
    if hangs:
        time.sleep(60)
    print("\n".join(lines), end="\n" if lines else "")
    return code


if __name__ == "__main__":
    sys.exit(main())
