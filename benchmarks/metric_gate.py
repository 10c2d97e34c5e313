"""How fast the whole check catalogue is evaluated, beside a loop of uri tasks: `./runbook bench metric_gate`.

Against the Prometheus of the lab's feed host. Every round runs every way once, in random order.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks import results
from benchmarks.results import ROOT
from lab.machines import EstateError

RUN_TIMEOUT_SECONDS = 300
LEAST_CHECKS = 25
TARGET = 10.0
"""How many times faster one call is to be than the loop."""

NOTHING, OURS, LOOP = "nothing", "module", "uri"
TITLES = {
    NOTHING: "the same play that asks nothing",
    OURS: "one call of `metric_checks_info`",
    LOOP: "a loop of `ansible.builtin.uri`",
}


@dataclass(frozen=True)
class Measurement:
    """One run of one way: seconds from the command's start to its end."""

    way: str
    round: int
    seconds: float


def medians(measurements: Sequence[Measurement]) -> dict[str, float]:
    """Return the median seconds of each way."""
    return {way: median(each.seconds for each in measurements if each.way == way) for way in TITLES}


def ratio(measurements: Sequence[Measurement]) -> float:
    """Return how many times longer the loop takes than the call, without what both plays cost before they ask."""
    seconds = medians(measurements)
    return (seconds[LOOP] - seconds[NOTHING]) / max(seconds[OURS] - seconds[NOTHING], 0.001)


def render_markdown(measurements: Sequence[Measurement], checks: int, circumstances: str) -> str:
    """Return the page: the table, fastest first, and the target."""
    seconds = medians(measurements)
    lines = ["# How fast the check catalogue is evaluated", "", circumstances, ""]
    lines += ["| way | whole command, s | fastest–slowest | of it the checks, s |", "|---|---|---|---|"]
    for way in sorted(TITLES, key=seconds.__getitem__):
        own = [each.seconds for each in measurements if each.way == way]
        part = "" if way == NOTHING else f"{seconds[way] - seconds[NOTHING]:.2f}"
        lines.append(f"| {TITLES[way]} | {seconds[way]:.2f} | {min(own):.2f}–{max(own):.2f} | {part} |")
    found = ratio(measurements)
    word = "met" if found >= TARGET and checks >= LEAST_CHECKS else "missed"
    lines += ["", "| target | measured | at least | |", "|---|---|---|---|"]
    lines.append(f"| {checks} checks: the loop's time to one call's | {found:.1f} | {TARGET:.0f} | {word} |")
    whole = seconds[LOOP] / seconds[OURS]
    lines += ["", f"The whole commands, Ansible's own start included, are {whole:.1f} apart.", ""]
    return "\n".join(lines)


def play(way: str) -> tuple[float, int]:
    """Return the seconds that one way took, and over how many checks. Raises EstateError where it did not do all."""
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), str(ROOT / f"benchmarks/plays/metric_{way}.yml")]
    begun = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_SECONDS,
        check=False,
    )
    seconds = time.monotonic() - begun
    counted = re.search(r"checks=(\d+)", done.stdout)
    if done.returncode or not counted:
        output = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise EstateError(f"{way} ended with {done.returncode}. NEXT: ./runbook observability_start\n{output}")
    return seconds, int(counted[1])


def write_results(measured: Sequence[Measurement], checks: int, repeat: int, seed: int, output: Path) -> None:
    """Write raw data and page."""
    made_on = results.made_on(seed)
    circumstances = (
        f"Seconds from the command's start to its end, medians of {repeat} rounds, every way once in each round, in"
        " random order, against the Prometheus of the lab's feed host over the same ssh. Both ways resolve the same"
        " catalogue. The call asks for the age of every sample and for resets as well, and judges all of it; the loop"
        f" asks for the values only. A machine with {made_on['cpus']} processors, commit {made_on['commit']},"
        f" {made_on['time']}. {results.how_to_repeat('metric_gate')}"
    )
    found = {"made_on": made_on, "checks": checks, "measurements": [asdict(each) for each in measured]}
    results.write("metric_gate", found, render_markdown(measured, checks, circumstances), output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; return 0 only when every round ran."""
    parser = argparse.ArgumentParser(prog="./runbook bench metric_gate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeat", type=int, default=7, help="rounds; default: 7")
    parser.add_argument("--seed", type=int, default=0, help="of the random order; default: from the clock")
    parser.add_argument("--output", type=Path, default=results.PAGES, help="default: docs/benchmarks")
    options = parser.parse_args(arguments)
    seed = options.seed or int(time.time())
    order = random.Random(seed)
    measured: list[Measurement] = []
    checks = 0
    try:
        for way in TITLES:
            play(way)  # the first look at host and catalogue is not measured
        for number in range(1, options.repeat + 1):
            turns = list(TITLES)
            order.shuffle(turns)
            for way in turns:
                seconds, checks = play(way)
                measured.append(Measurement(way, number, round(seconds, 3)))
                print(f"round {number}: {way:8} {seconds:.2f} s, {checks} checks", flush=True)
    except (EstateError, subprocess.TimeoutExpired) as error:
        print(f"FAILED: {error}")
        return 1
    write_results(measured, checks, options.repeat, seed, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
