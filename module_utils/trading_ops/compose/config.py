"""What Compose makes of a project: command lines built, output parsed, errors put into sentences.

Read from Compose 2.26; the recorded output is in tests/unit/samples/compose.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ..core.bots import MODE_LABEL, MODES, RESTORE_TEST_LABEL, bears_restore_test_label
from ..core.redaction import Redactor, build_rules
from ..core.result import OperationError

CONFIG_SECONDS: Final = 30
"""Parsing takes a tenth of a second; more than this means that a disk hangs."""

TERMINATE_SECONDS: Final = 5

MODE_VARIABLE: Final = "TRADING_MODE"

KEPT_VARIABLES: Final = ("PATH", "HOME", "DOCKER_CONFIG")
"""All that Compose gets from the environment a module happens to run in. A stray TRADING_MODE or COMPOSE_FILE
decides nothing."""


class ComposeError(OperationError):
    """Compose cannot do what was asked."""


@dataclass(frozen=True)
class Project:
    """Where a Compose project is read from, in Compose's own words. `files` and `env_files` are relative to
    `project_src`; `name` is the expected one. `directory` is where relative paths in the files and the project's `.env`
    are, empty for the folder of the first file: with it files that lie elsewhere have the hashes they would have there.
    """

    project_src: Path
    files: tuple[str, ...]
    name: str
    profiles: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    docker_url: str = "unix:///var/run/docker.sock"
    directory: str = ""


@dataclass(frozen=True)
class Service:
    """One service as configured. `depends_on` is service -> condition, without what is not in the project;
    `unsupported` says what keeps its hash from being known (empty: nothing does). The modes are what it says of itself,
    empty for nothing.
    """

    name: str
    image: str
    replicas: int
    depends_on: Mapping[str, str]
    config_hash: str
    unsupported: str = ""
    label_mode: str = ""
    environment_mode: str = ""
    is_labelled_as_restore_test: bool = False


@dataclass(frozen=True)
class Command:
    """One command to run. `timeout_seconds` bounds its whole life."""

    argv: list[str]
    cwd: Path
    environment: Mapping[str, str]
    timeout_seconds: float
    stdin: str = ""


@dataclass(frozen=True)
class CommandResult:
    """What a command printed. `exit_code` is None where it was ended at its time limit."""

    exit_code: int | None
    stdout: str
    stderr: str


Runner = Callable[[Command], CommandResult]


def compose_argv(project: Project) -> list[str]:
    """Return the part of the command line that all commands on the project share; relative to project_src."""
    argv = ["docker", "compose", "--ansi", "never", "--progress", "plain"]
    if project.directory:
        argv += ["--project-directory", project.directory]
    for flag, values in (("--file", project.files), ("--env-file", project.env_files), ("--profile", project.profiles)):
        argv += [part for value in values for part in (flag, value)]
    return argv


def config_argv(project: Project) -> list[str]:
    """Return the command that prints the whole active project as JSON."""
    return [*compose_argv(project), "config", "--format", "json"]


def hash_argv(project: Project) -> list[str]:
    """Return the command that prints every active service's configuration hash."""
    return [*compose_argv(project), "config", "--hash", "*"]


def up_argv(project: Project, services: Sequence[str]) -> list[str]:
    """Return the command that starts the named services and what they depend on.

    Without `--wait`: it ends with 1 as soon as a one-shot exits 0 (compose issue 10596), so the proof waits itself.
    Without `--no-deps`: Compose hashes `depends_on` too, so that would recreate the container (M, 2.26).
    Without `--timeout`: a database that is recreated keeps its own grace period. `--no-build`: not at night.
    """
    return [*compose_argv(project), "up", "--detach", "--no-build", "--quiet-pull", "--", *services]


def unpause_argv(project: Project, services: Sequence[str]) -> list[str]:
    """Return the command that unpauses services: `up` fails on a paused container (M, 2.26)."""
    return [*compose_argv(project), "unpause", "--", *services]


def build_environment(project: Project, ambient: Mapping[str, str]) -> dict[str, str]:
    """Return the environment Compose runs in: a few names of `ambient`, the variables asked for, and the engine."""
    kept = {name: ambient[name] for name in KEPT_VARIABLES if name in ambient}
    return kept | dict(project.variables) | {"DOCKER_HOST": project.docker_url}


def build_command(project: Project, argv: list[str], timeout_seconds: float, stdin: str = "") -> Command:
    """Return the command that runs `argv` in the project's directory."""
    return Command(argv, project.project_src, build_environment(project, os.environ), timeout_seconds, stdin)


def format_command(project: Project, argv: Sequence[str]) -> str:
    """Return the line a person types on the host for `argv`, without the values of variables: they may be secret."""
    given = "".join(f"{name}=… " for name in sorted(project.variables))
    plain = [part for part in argv if part not in {"--ansi", "never", "--progress", "plain"}]
    return f"cd {shlex.quote(str(project.project_src))} && {given}{shlex.join(plain)}"


def run_command(command: Command) -> CommandResult:
    """Return what the command printed; at its time limit it and its children get SIGTERM, then SIGKILL."""
    try:
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # docker runs compose as a child, which must not outlive the limit
        )
    except OSError as error:
        raise ComposeError(f"{command.argv[0]} could not be run on this host: {error}.") from error
    try:
        stdout, stderr = process.communicate(command.stdin, command.timeout_seconds)
        return CommandResult(process.returncode, stdout, stderr)
    except subprocess.TimeoutExpired:
        return _terminate(process)


def _terminate(process: subprocess.Popen[str]) -> CommandResult:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            stdout, stderr = process.communicate(timeout=TERMINATE_SECONDS)
            return CommandResult(None, stdout, stderr)
    return CommandResult(None, "", "")


def read_services(project: Project, run: Runner) -> dict[str, Service]:
    """Return the active services of the project by name, after everything that can be known without starting is
    known to be good. Raises ComposeError; the outcome is `refused` where the project has another name.
    """
    _check_files(project)
    document = parse_document(_ask(project, run, config_argv(project)))
    if document["name"] != project.name:
        raise ComposeError(
            f"The compose files make project {document['name']!r}, not {project.name!r}: nothing was touched.",
            "refused",
            format_command(project, config_argv(project)),
        )
    pruned = prune_missing_dependencies(document)
    if pruned == document:
        hashes = parse_hashes(_ask(project, run, hash_argv(project)))
    else:
        argv = hash_argv(Project(project.project_src, ("-",), project.name, project.profiles))
        hashes = parse_hashes(_ask(project, run, argv, json.dumps(pruned)))
    return parse_services(pruned, hashes)


def prune_missing_dependencies(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the project without dependencies that no active profile holds.

    `up` drops an optional dependency on an inactive service before it hashes, `config --hash` does not (M, 2.26),
    so a live bot whose database belongs to another profile would seem changed forever.
    """
    services = document["services"]

    def without_missing(service: Mapping[str, Any]) -> dict[str, Any]:
        wanted = service.get("depends_on") or {}
        present = {name: how for name, how in wanted.items() if name in services}
        rest = {key: value for key, value in service.items() if key != "depends_on"}
        return dict(service) if present == wanted else rest | ({"depends_on": present} if present else {})

    return dict(document) | {"services": {name: without_missing(item) for name, item in services.items()}}


def parse_document(text: str) -> dict[str, Any]:
    """Return the object that `config --format json` printed; it has a name and services."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ComposeError(f"Compose printed no JSON for its configuration: {error}.") from error
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict) or "name" not in document:
        raise ComposeError("Compose printed a configuration without a name or without services.")
    return document


def parse_hashes(text: str) -> dict[str, str]:
    """Return service -> hash from the lines of `config --hash '*'`."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not all(len(line) == 2 and re.fullmatch(r"[0-9a-f]{64}", line[1]) for line in lines):
        raise ComposeError("Compose printed something other than `service hash` for its configuration hashes.")
    return {line[0]: line[1] for line in lines}


def parse_services(document: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Service]:
    """Return the services of a configuration, by name."""
    missing = sorted(set(document["services"]) - set(hashes))
    if missing:
        raise ComposeError(f"Compose printed no configuration hash for {', '.join(missing)}.")
    return {
        name: Service(
            name=name,
            image=service.get("image") or f"{document['name']}-{name}",  # Compose's own name for what it builds
            replicas=_replicas(service),
            depends_on={other: how["condition"] for other, how in (service.get("depends_on") or {}).items()},
            config_hash=hashes[name],
            unsupported=_unsupported(service),
            label_mode=str((service.get("labels") or {}).get(MODE_LABEL) or ""),
            environment_mode=str((service.get("environment") or {}).get(MODE_VARIABLE) or ""),
            is_labelled_as_restore_test=bears_restore_test_label(service.get("labels") or {}),
        )
        for name, service in document["services"].items()
    }


def check_mode(project: Project, services: Mapping[str, Service], named: Sequence[str], mode: str) -> None:
    """Raise ComposeError (refused) unless each named service says `mode` wherever a mode is said.

    Both profiles start the same service, so a paper bot with live settings is one wrong line away. What says no mode,
    or two, counts as live. One that bears the label of a restore test is refused: it says that it does not trade.
    """
    for name in named:
        service = services.get(name)
        if service and service.is_labelled_as_restore_test:
            raise ComposeError(
                f"{name} bears the label {RESTORE_TEST_LABEL}, which is for restore tests alone. Nothing was started.",
                "refused",
                format_command(project, config_argv(project)),
            )
        modes = {
            f"label {MODE_LABEL}": service.label_mode if service else "",
            f"environment {MODE_VARIABLE}": service.environment_mode if service else "",
            "project name": next((word for word in sorted(MODES) if project.name.endswith(word)), ""),
        }
        if wrong := [
            f"{where} says {word or 'nothing'}" for where, word in modes.items() if word != mode or word not in MODES
        ]:
            raise ComposeError(
                f"{name} is asked for as {mode!r}, and its {', its '.join(wrong)}. It counts as live. "
                "Nothing was started.",
                "refused",
                format_command(project, config_argv(project)),
            )


def parse_error(stderr: str) -> str:
    """Return why Compose failed, as a sentence, from what it printed."""
    missing = re.search(r"required variable (\S+) is missing a value(?:: (.*))?", stderr)
    if missing:
        hint = f" ({missing[2].strip()})" if missing[2] else ""
        return f"The compose file needs the variable {missing[1]}, which was not given{hint}."
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not _is_progress(line)]
    if not lines:
        return "Compose gave no reason."
    # It repeats values that it cannot read, whatever they are.
    shown = Redactor(build_rules()).text(lines[-1])
    return f"Compose says: {shown}" + ("" if lines[-1].endswith((".", "?", "!")) else ".")


def parse_unset_variables(stderr: str) -> list[str]:
    """Return the variables that Compose took for empty because nothing sets them."""
    return sorted(set(re.findall(r'The \\?"(\w+)\\?" variable is not set', stderr)))


def _check_files(project: Project) -> None:
    if not project.project_src.is_dir():
        raise ComposeError(f"The project directory {project.project_src} does not exist on this host.")
    for name in (*project.files, *project.env_files):
        if not (project.project_src / name).is_file():
            raise ComposeError(f"{project.project_src / name} does not exist on this host.")


def _ask(project: Project, run: Runner, argv: list[str], stdin: str = "") -> str:
    result = run(build_command(project, argv, CONFIG_SECONDS, stdin))
    retry = format_command(project, config_argv(project))
    if result.exit_code is None:
        raise ComposeError(f"Compose did not read its files within {CONFIG_SECONDS} s.", next_command=retry)
    if result.exit_code != 0:
        raise ComposeError(parse_error(result.stderr), next_command=retry)
    unset = parse_unset_variables(result.stderr)
    if unset:
        # Compose goes on with an empty string; a bot with an empty address is not what anyone wants.
        names, verb = ", ".join(unset), "is" if len(unset) == 1 else "are"
        raise ComposeError(
            f"{names} {verb} used in the compose files and not set; ${{NAME:-}} says that empty is meant.",
            next_command=retry,
        )
    return result.stdout


def _replicas(service: Mapping[str, Any]) -> int:
    for value in (service.get("scale"), (service.get("deploy") or {}).get("replicas")):
        if value is not None:
            return int(value)
    return 1


def _unsupported(service: Mapping[str, Any]) -> str:
    """Return the setting by which a service uses another one's container (empty: none).

    Compose puts that container's id into the hash, so nothing can be known from the files (M, 2.26).
    """
    for key in ("network_mode", "ipc", "pid"):
        if str(service.get(key, "")).startswith("service:"):
            return f"{key}: {service[key]}"
    return "volumes_from" if service.get("volumes_from") else ""


def _is_progress(line: str) -> bool:
    """Return whether a line is one of Compose's plain progress lines, which begin with a space."""
    return line.startswith(" ")
