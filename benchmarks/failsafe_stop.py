"""How fast everything stops, beside what one would use instead: `python -m benchmarks.failsafe_stop`.

Every round runs every way once, with all hosts up and with one frozen, in random order, so that whatever else the
machine does hits all of them alike. Engines and venue say when a bot ended and an order came, not the command.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from benchmarks import contenders, hosts, report, results
from benchmarks.contenders import Contender
from benchmarks.hosts import ROOT, Estate
from benchmarks.report import Measurement
from lab import images, state
from lab.estate import Say
from lab.machines import EstateError, run

RUN_TIMEOUT_SECONDS = 180
# Longer than a bot's pause between two orders.
QUIET_SECONDS = 2.0
OURS = frozenset({"ours", "halt-now"})
SMALL = 10


def measure(contender: Contender, estate: Estate, dead_host: bool, number: int, scratch: Path) -> Measurement:
    """Let one contender stop the bots, and return what engines and venue say of it."""
    contenders.forget_connections(scratch)
    dead = estate.hosts[-1]
    alive = [name for name in estate.hosts if not (dead_host and name == dead)]
    with hosts.frozen(dead) if dead_host else nullcontext():
        begun = hosts.now()
        exit_code = _run(contender, scratch)
        total = hosts.now() - begun
        time.sleep(QUIET_SECONDS)
        stopped = hosts.observe_stopped(estate, alive)
        last_order = max((hosts.parse_time(order["time"]) for order in hosts.orders(begun)), default=None)
    complete = not stopped.running and stopped.last_finished is not None
    return Measurement(
        contender=contender.key,
        hosts=len(estate.hosts),
        bots_per_host=estate.bots_per_host,
        dead_host=dead_host,
        round=number,
        exit_code=exit_code,
        last_bot_seconds=round(stopped.last_finished - begun, 3) if complete and stopped.last_finished else None,
        last_order_seconds=None if last_order is None else round(last_order - begun, 3),
        total_seconds=round(total, 3),
        still_running=stopped.running,
    )


def _run(contender: Contender, scratch: Path) -> int:
    """Return the command's exit code; its output stays in a file, so that nothing waits for a pipe to be closed."""
    with (scratch / f"{contender.key}.log").open("wb") as log:
        started = subprocess.Popen(
            contender.argv,
            cwd=scratch,
            env={**os.environ, **contender.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return started.wait(RUN_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise EstateError(f"{contender.key} did not end within {RUN_TIMEOUT_SECONDS} s") from None
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


def measure_size(
    size: tuple[int, int], repeat: int, only: Sequence[str], order: random.Random, say: Say
) -> tuple[list[Measurement], dict[str, str]]:
    """Return all rounds on an estate of one size, and the contenders' titles by key."""
    measured: list[Measurement] = []
    tools = contenders.ensure_tools()
    with hosts.bench_estate(*size, say) as estate, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        scratch = Path(folder)
        field = [each for each in contenders.build_contenders(estate, tools, scratch) if not only or each.key in only]
        # What an operator's machine has long done: made the environment, and seen the inventory once.
        status = Contender("status", "", (str(ROOT / "runbook"), "status", "-i", str(estate.inventory)), _home(estate))
        _run(status, scratch)
        for number in range(1, repeat + 1):
            # At many hosts the others' series with a dead host takes most of an hour, and no target asks for it.
            with_dead = field if len(estate.hosts) <= SMALL else [each for each in field if each.key in OURS]
            turns = [(each, False) for each in field] + [(each, True) for each in with_dead]
            order.shuffle(turns)
            for each, dead in turns:
                one = measure(each, estate, dead, number, scratch)
                measured.append(one)
                say(f"round {number}: {_shown(one)}")
                if one.still_running or (one.exit_code and not dead):
                    say("\n".join((scratch / f"{each.key}.log").read_text(errors="replace").splitlines()[-15:]))
                hosts.start_trading(estate)
        return measured, {each.key: each.title for each in field}


def _home(estate: Estate) -> dict[str, str]:
    return {"TRADING_CORE_LAB_HOME": str(estate.home)}


def _shown(one: Measurement) -> str:
    stopped = "never" if one.last_bot_seconds is None else f"{one.last_bot_seconds:.2f} s"
    where = f"{one.hosts} x {one.bots_per_host}{', one frozen' if one.dead_host else ''}"
    return f"{one.contender:9} {where}: last bot {stopped}, ended {one.exit_code} after {one.total_seconds:.2f} s"


def write_results(measured: list[Measurement], titles: dict[str, str], repeat: int, seed: int, output: Path) -> None:
    """Write raw data, page and plot. A size that this run did not measure stays as an earlier one left it."""
    raw = results.raw_path("failsafe_stop", output)
    earlier = json.loads(raw.read_text(encoding="utf-8")) if raw.exists() else {"runs": [], "measurements": []}
    sizes = sorted({f"{each.hosts}x{each.bots_per_host}" for each in measured})
    made_on = {"sizes": sizes, "rounds": repeat, **results.made_on(seed)}
    kept = [Measurement(**each) for each in earlier["measurements"]]
    measured = [each for each in kept if f"{each.hosts}x{each.bots_per_host}" not in sizes] + measured
    runs = [each for each in earlier["runs"] if not set(each["sizes"]) & set(sizes)] + [made_on]
    made = "; ".join(f"{' and '.join(each['sizes'])} on commit {each['commit']}, {each['time']}" for each in runs)
    circumstances = (
        "Seconds from the command's start until the last bot has ended (the engines' record) and until the last order"
        f" came (the venue's record); medians of {repeat} rounds, every way once in each round, in random order. Lab"
        f" hosts on one machine with {made_on['cpus']} processors; {made}. All"
        f" have the same keys, pinned host keys and time limits. {results.how_to_repeat('failsafe_stop')}"
    )
    page = report.render_markdown(measured, titles, circumstances)
    found = {"runs": runs, "titles": titles, "measurements": [asdict(each) for each in measured]}
    results.write("failsafe_stop", found, page, output)
    plot = [str(contenders.ensure_tools() / "python"), str(ROOT / "benchmarks/plot.py"), str(raw)]
    run([*plot, str(output / "failsafe_stop.png")])


def _size(text: str) -> tuple[int, int]:
    counts = [int(part) for part in text.split("x")]
    if len(counts) != 2 or not 2 <= counts[0] <= 99 or not 1 <= counts[1] <= 20:
        raise argparse.ArgumentTypeError("hosts x bots per host, for example 3x4; 2 to 99 hosts, 1 to 20 bots")
    return counts[0], counts[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; return 0 only when every round ran."""
    parser = argparse.ArgumentParser(prog="./runbook bench failsafe_stop", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sizes", type=_size, nargs="+", default=[(3, 4), (30, 2)], help="default: 3x4 30x2")
    parser.add_argument("--repeat", type=int, default=5, help="rounds; default: 5")
    parser.add_argument("--only", nargs="+", default=[], metavar="WAY", help="ours halt-now ssh pyinfra module shell")
    parser.add_argument("--seed", type=int, default=0, help="of the random order; default: from the clock")
    parser.add_argument("--output", type=Path, default=results.PAGES, help="default: docs/benchmarks")
    parser.add_argument(
        "--quick", action="store_true", help="3x4 only, two rounds, results under .cache/benchmarks/quick"
    )
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.repeat, options.output = [(3, 4)], 2, results.RAW / "quick"

    started = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {line}", flush=True)

    def stop(number: int, _: object) -> None:
        sys.exit(128 + number)

    # Exits as an exception, so that the hosts are removed.
    signal.signal(signal.SIGTERM, stop)
    seed = options.seed or int(time.time())
    order = random.Random(seed)
    measured: list[Measurement] = []
    titles: dict[str, str] = {}
    try:
        with state.lab_lock(results.RAW):
            for size in options.sizes:
                found, titles = measure_size(size, options.repeat, options.only, order, say)
                measured += found
                # After each size, so that a run that is ended early is not lost.
                write_results(measured, titles, options.repeat, seed, options.output)
    except (EstateError, images.BuildFailed) as error:
        say(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
