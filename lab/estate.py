"""The lab estate on this machine: `python lab/estate.py up | down [--images] | status`.

Four hosts (systemd, sshd and an engine of their own each), the venue and the receiver of notifications, as containers
on one network.
`up` makes what is missing and replaces what differs from this checkout; `down` leaves nothing but images.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that it also runs as a plain script, from any directory

from lab import images, machines, packages, project_tree, source, state  # noqa: E402
from lab.machines import EstateError, Machine, Observed, run  # noqa: E402

READY_TIMEOUT_SECONDS = 90
OUTSIDE_TIMEOUT_SECONDS = 30
LOAD_TIMEOUT_SECONDS = 300
PROBE_TIMEOUT_SECONDS = 8
_COPY_BYTES = 1 << 20
_TREE_MARK = f"/{state.HOST_FILES}/project_tree"

HOST_IMAGE = images.ImageSource("host", ROOT / "lab/host")
VENUE_ADDRESS = "172.29.77.20"

Say = Callable[[str], None]


@dataclass(frozen=True)
class LabHost:
    """A host of the lab: the images its engine holds, whether stacks may start on it, and whether it runs jobs."""

    name: str
    address: str
    images: tuple[str, ...] = ()
    runs_stacks: bool = False
    runs_jobs: bool = False


@dataclass(frozen=True)
class Outside:
    """What lies outside of the estate, a plain container: what bots trade against, and where notifications go."""

    name: str
    address: str
    program: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"


VENUE = Outside("venue", VENUE_ADDRESS, "trading_lab.exchange", 8900)
RECEIVER = Outside("receiver", "172.29.77.21", "trading_lab.receiver", 8910)
OUTSIDES = (VENUE, RECEIVER)

# What a host needs that runs bots, but neither feed nor database.
_BOT_IMAGES = ("app", "bot")
HOSTS = (
    LabHost("lab1", "172.29.77.11", tuple(images.IMAGES), runs_stacks=True),
    LabHost("lab2", "172.29.77.12", _BOT_IMAGES, runs_stacks=True),
    LabHost("lab-restore", "172.29.77.13", ("app", "bot", "prometheus", "timescaledb")),
    LabHost("lab-control", "172.29.77.14", runs_jobs=True),
)
ADDRESSES = {host.name: host.address for host in HOSTS}


@dataclass(frozen=True)
class Probe:
    """What a host itself says over ssh; `error` is the last line of what went wrong, if anything did."""

    engine: str = ""
    running: int = 0
    images: frozenset[str] = frozenset()
    error: str = ""


def up(home: Path, say: Say, with_jobs: bool = False) -> None:
    """Bring the whole lab up; EstateError or BuildFailed says what did not come."""
    host_image, references = ensure_images(say)
    say(f"images: {len(references) + 1} present")

    state.ensure_keys(home, ADDRESSES)
    if machines.ensure_network():
        say(f"network: made {machines.NETWORK} {machines.SUBNET}")
    wanted = build_machines(home, host_image, references["app"])
    ensure_machines(wanted, {host.name: host_files(home, host) for host in HOSTS}, say)
    in_parallel(lambda host: wait_for_host(home, host.name), HOSTS)
    say(f"hosts: {len(HOSTS)} answer over ssh, each with its engine")

    ensure_loaded({host.name: [references[name] for name in host.images] for host in HOSTS}, say)
    variables = images.compose_variables(references)
    environment = project_tree.build_environment(
        variables, ADDRESSES["lab1"], VENUE_ADDRESS, ADDRESSES["lab-control"], f"{RECEIVER.url}/on-call"
    )
    revision, bundle = source.ensure_repository(home, project_tree.tracked_files())
    in_parallel(lambda host: ensure_project_tree(host, environment, variables, revision, bundle, say), HOSTS)
    if with_jobs:
        in_parallel(lambda host: packages.ensure_on(host.name, say), [host for host in HOSTS if host.runs_jobs])
    in_parallel(wait_for_outside, OUTSIDES)
    say("lab: up")


def ensure_images(say: Say) -> tuple[str, dict[str, str]]:
    """Return the reference of the host image, and by name those of the stack images, all of which exist."""
    host_image = images.image_reference(HOST_IMAGE)
    if images.image_id(host_image) is not None:
        return host_image, images.build_images(say)
    images.ensure_base(say)
    # Beside the others: it takes longest, mostly waiting for downloads.
    with ThreadPoolExecutor(max_workers=1) as pool:
        built = pool.submit(images.build_image, HOST_IMAGE, host_image, say)
        references = images.build_images(say)
        built.result()
    return host_image, references


def build_machines(home: Path, host_image: str, app_image: str) -> list[Machine]:
    """Return every container the lab consists of. A new key makes a new host: its old one is pinned nowhere."""
    identities = {host.name: state.digest(host_files(home, host)) for host in HOSTS}
    hosts = [machines.build_host(host.name, host.address, host_image, identities[host.name]) for host in HOSTS]
    return [*hosts, *(Machine(each.name, each.address, app_image, command=(each.program,)) for each in OUTSIDES)]


def host_files(home: Path, host: LabHost) -> bytes:
    """Return what the host gets before its first boot. Who runs jobs reaches the others as the operator does."""
    return state.host_files(home, host.name, operates=host.runs_jobs)


def ensure_machines(wanted: Sequence[Machine], files: Mapping[str, bytes], say: Say) -> None:
    """Remove what is of an older lab, bring every machine to running as specified, and report what was done to each."""
    observed = machines.observe_machines()
    unwanted = machines.select_unwanted(wanted, observed)
    in_parallel(machines.remove_unwanted, unwanted)
    if unwanted:
        say(f"removed, of an older lab: {', '.join(unwanted)}")

    def ensure(machine: Machine) -> None:
        verbs = machines.ensure_machine(machine, observed.get(machine.name), files.get(machine.name, b""))
        if "remove" in verbs:
            say(f"{machine.name}: replaced, it was made from other sources or keys than this checkout's")
        elif verbs:
            say(f"{machine.name}: {', '.join(verbs)} ({machine.address})")

    in_parallel(ensure, wanted)


def wait_for_host(home: Path, name: str, ready_timeout_seconds: float = READY_TIMEOUT_SECONDS) -> Probe:
    """Return what the host says once it answers over ssh with its engine; the last observation is the error."""
    deadline = time.monotonic() + ready_timeout_seconds
    while (seen := probe_host(home, name)).error:
        if time.monotonic() > deadline:
            raise EstateError(f"{name} was not ready within {ready_timeout_seconds:g} s: {seen.error}")
        time.sleep(0.3)
    return seen


def probe_host(home: Path, name: str) -> Probe:
    """Return what a host says now. Never raises: an error is an answer."""
    asked = "docker version --format '{{.Server.Version}}' && docker ps --quiet | wc --lines && " + _IMAGES_COMMAND
    try:
        return parse_probe(run(state.ssh_argv(home, name, asked), timeout_seconds=PROBE_TIMEOUT_SECONDS))
    except EstateError as error:
        return Probe(error=str(error).splitlines()[-1])


_IMAGES_COMMAND = "docker images --format '{{.Repository}}:{{.Tag}}'"


def parse_probe(answer: str) -> Probe:
    """Return what probe_host's command printed; an answer cut short is an error, not zero containers."""
    lines = answer.splitlines()
    if len(lines) < 2 or not lines[1].strip().isdigit():
        return Probe(error=f"unreadable answer: {answer.strip()!r}")
    return Probe(lines[0], int(lines[1]), frozenset(lines[2:]))


def ensure_loaded(wanted: Mapping[str, Sequence[str]], say: Say) -> None:
    """Load into each host the images its engine lacks, and prove that they are there."""
    missing = observe_missing(wanted)
    for names, references in group_by_hosts(missing).items():
        say(f"images: loading {len(references)} into {', '.join(names)}")
        stream_images(references, names)
    still_missing = {name: lacking for name, lacking in observe_missing(missing).items() if lacking}
    if still_missing:
        raise EstateError(f"still not on the hosts after loading them: {still_missing}")


def observe_missing(wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return, for each host that should hold images, those that its engine does not have."""
    names = [name for name, references in wanted.items() if references]
    listings = in_parallel(lambda name: run(["docker", "exec", name, "sh", "-c", _IMAGES_COMMAND]).splitlines(), names)
    return {
        name: [reference for reference in wanted[name] if reference not in listing]
        for name, listing in zip(names, listings, strict=True)
    }


def group_by_hosts(missing: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], list[str]]:
    """Return the images to send, grouped by the hosts that lack them, so that each is read only once."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for reference in sorted({reference for references in missing.values() for reference in references}):
        names = tuple(name for name, references in missing.items() if reference in references)
        groups.setdefault(names, []).append(reference)
    return groups


def stream_images(references: Sequence[str], names: Sequence[str]) -> None:
    """Copy images from the outer engine into the hosts' engines, without a file in between."""
    save = subprocess.Popen(["docker", "save", *references], stdout=subprocess.PIPE)
    argvs = [["docker", "exec", "--interactive", name, "docker", "load", "--quiet"] for name in names]
    loads = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) for argv in argvs]
    processes = {"docker save": save, **{f"load on {name}": load for name, load in zip(names, loads, strict=True)}}
    deadline = time.monotonic() + LOAD_TIMEOUT_SECONDS
    try:
        assert save.stdout is not None
        while chunk := save.stdout.read(_COPY_BYTES):
            for load in loads:
                assert load.stdin is not None
                load.stdin.write(chunk)
        for load in loads:
            assert load.stdin is not None
            load.stdin.close()
        ended = {what: process.wait(max(1, deadline - time.monotonic())) for what, process in processes.items()}
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EstateError(f"copying images to {', '.join(names)}: {error}") from error
    finally:
        for process in processes.values():
            process.kill()
    if any(ended.values()):
        raise EstateError(f"copying images ended with {ended}")


def ensure_project_tree(
    host: LabHost,
    environment: Mapping[str, str],
    image_variables: Mapping[str, str],
    revision: str,
    bundle: bytes,
    say: Say,
) -> None:
    """Give the host its project root, a Git checkout, unless it has exactly this one; files are overwritten there."""
    entries = project_tree.build_entries(environment if host.runs_stacks else {}, image_variables)
    mark = f"{project_tree.entries_digest(entries)} {revision}"
    into_host = ["docker", "exec", "--interactive", host.name]
    if run([*into_host, "sh", "-c", f"cat {_TREE_MARK} 2>/dev/null || true"]).strip() == mark:
        return
    # In place: a stack that runs has these files mounted, and would keep looking at a replaced one.
    run([*into_host, "tar", "--extract", "--overwrite", "--directory=/"], stdin=project_tree.build_tar(entries))
    root = f"/{project_tree.PROJECT_ROOT_PATH}"
    run([*into_host, "sh", "-c", source.HOST_COMMAND, "sh", root], stdin=bundle)
    run([*into_host, "sh", "-c", f"cat >{_TREE_MARK}"], stdin=mark.encode())
    say(f"{host.name}: project root /{project_tree.PROJECT_ROOT_PATH} written")


def wait_for_outside(outside: Outside, timeout_seconds: float = OUTSIDE_TIMEOUT_SECONDS) -> None:
    """Return once it answers over HTTP; the last observation is the error."""
    deadline = time.monotonic() + timeout_seconds
    while (error := outside_error(outside)) and time.monotonic() < deadline:
        time.sleep(0.3)
    if error:
        raise EstateError(f"the {outside.name} at {outside.url} did not answer within {timeout_seconds:g} s: {error}")


def outside_error(outside: Outside) -> str:
    """Return why it does not answer, empty where it does. A switched-on fault is an answer."""
    try:
        urllib.request.urlopen(f"{outside.url}/health", timeout=3).close()
    except urllib.error.HTTPError:
        return ""
    except OSError as error:
        return str(error)
    return ""


def down(home: Path, with_images: bool, say: Say) -> None:
    """Remove every container, volume, network and key of the lab; images only when asked for."""
    names = sorted(machines.observe_machines())
    in_parallel(machines.remove_machine, names)
    label = f"label={machines.LABEL}"
    for kind in ("volume", "network"):
        if found := run(["docker", kind, "ls", "--quiet", "--filter", label]).split():
            run(["docker", kind, "rm", *found])
    say(f"removed: {', '.join(names) or 'nothing was there'}")
    if with_images:
        remove_images(say)
    source.remove_repository(home)
    # Last, because the folder is what keeps two lab commands apart.
    state.remove_state(home)


def remove_images(say: Say) -> None:
    """Remove every image the lab has built, and the packages that were fetched for them."""
    # By name first: an image that others are built on cannot be removed by its id before those.
    for filters, shown in (
        (["reference=trading-core-lab/*"], "{{.Repository}}:{{.Tag}}"),
        ([f"label={machines.LABEL}", "dangling=true"], "{{.ID}}"),
    ):
        options = [word for each in filters for word in ("--filter", each)]
        if found := run(["docker", "images", *options, "--format", shown]).split():
            run(["docker", "rmi", "--force", *found])
            say(f"removed: {len(found)} images")
    shutil.rmtree(images.cache_folder(), ignore_errors=True)


def status(home: Path, say: Say) -> bool:
    """Print what is there, host by host; return whether all of it is up."""
    references = images.image_references()
    observed = machines.observe_machines()
    if not observed:
        say("lab: nothing is up. Type: ./runbook lab up")
        return False
    probes: dict[str, Probe] = {}
    wanted: dict[str, Machine] = {}
    if (home / "id_ed25519").exists():
        wanted = {
            machine.name: machine
            for machine in build_machines(home, images.image_reference(HOST_IMAGE), references["app"])
        }
        names = [host.name for host in HOSTS if _state(observed, host.name) == "running"]
        probes = dict(zip(names, in_parallel(lambda name: probe_host(home, name), names), strict=True))
    rows = [host_row(host, observed, wanted, probes, references) for host in HOSTS]
    rows += [outside_row(each, observed, wanted, outside_error(each)) for each in OUTSIDES]
    for line in format_table([("host", "address", "state", "engine", "running", "error"), *rows]):
        print(line)
    incomplete = [row[0] for row in rows if row[-1]]
    if incomplete:
        say(f"lab: not all up ({', '.join(incomplete)}). Type: ./runbook lab up")
    else:
        say(f"lab: up. To look around: ssh -F {home}/ssh_config lab1")
    return not incomplete


def host_row(
    host: LabHost,
    observed: Mapping[str, Observed],
    wanted: Mapping[str, Machine],
    probes: Mapping[str, Probe],
    references: Mapping[str, str],
) -> tuple[str, ...]:
    """Return a host's line of the table: name, address, state, engine, containers running, error."""
    probe = probes.get(host.name, Probe(error="not asked"))
    lacking = [name for name in host.images if references[name] not in probe.images]
    error = _machine_error(host.name, observed, wanted) or probe.error
    if not error and lacking:
        error = f"lacks images: {', '.join(lacking)}"
    counted = "unknown" if probe.error else str(probe.running)
    return (host.name, host.address, _state(observed, host.name), probe.engine or "unknown", counted, error)


def outside_row(
    outside: Outside, observed: Mapping[str, Observed], wanted: Mapping[str, Machine], error: str
) -> tuple[str, ...]:
    """Return its line of the table. It is no host: it has no engine and no ssh."""
    found = _machine_error(outside.name, observed, wanted) or error
    return (outside.name, outside.address, _state(observed, outside.name), "-", "-", found)


def _machine_error(name: str, observed: Mapping[str, Observed], wanted: Mapping[str, Machine]) -> str:
    if name not in observed:
        return "is not there"
    if name not in wanted:
        return "its keys are gone"
    verbs = machines.plan(wanted[name], observed[name])
    if "remove" in verbs:
        return "made from other sources than this checkout's"
    return f"needs: {', '.join(verbs)}" if verbs else ""


def _state(observed: Mapping[str, Observed], name: str) -> str:
    return observed[name].state if name in observed else "absent"


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def in_parallel[Item, Result](work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return work(item) for each, all at once. Every item gets its turn; then the errors are raised as one."""
    listed = list(items)
    with ThreadPoolExecutor(max_workers=max(1, len(listed))) as pool:
        futures = [pool.submit(work, item) for item in listed]
    errors = [str(error) for future in futures if isinstance(error := future.exception(), EstateError)]
    if errors:
        raise EstateError("\n".join(errors))
    return [future.result() for future in futures]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 only if it is as it should be."""
    parser = argparse.ArgumentParser(description="The lab estate on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("up", help="make what is missing, replace what differs")
    building.add_argument(
        "--jobs", action="store_true", help="also what ./runbook schedule_setup needs: 200 MB of PyPI"
    )
    commands.add_parser("status", help="hosts, addresses, engines, how to look around; 0 only if all is up")
    removal = commands.add_parser("down", help="remove hosts, network, volumes and keys")
    removal.add_argument("--images", action="store_true", help="the images too, so that the next up is a cold one")
    options = parser.parse_args(arguments)

    home, started = state.lab_home(), time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {line}", flush=True)

    try:
        if options.command == "status":
            return 0 if status(home, say) else 1
        with state.lab_lock(home):
            if options.command == "up":
                up(home, say, options.jobs)
            else:
                down(home, options.images, say)
    except (EstateError, images.BuildFailed) as error:
        say(f"FAILED: {error}")
        helpful = "up" if options.command == "status" else "status"
        say(f"lab: `{options.command}` did not finish. Type: ./runbook lab {helpful}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
