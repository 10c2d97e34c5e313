"""What a restore test was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backup.manifest import MLFLOW, TRADING
from ..checks.catalogue import Check, parse_checks, select_checks
from ..checks.evaluate import Limits
from .systems import Model


@dataclass(frozen=True)
class Layout:
    """Where the compose project of the test comes from, and what in it is what.

    tree: what is copied into the scratch directory, relative to project_src; `.env` files are left behind.
    databases: the name of each database of a set, by its name in the manifest.
    systems: what is started for the bot, itself included, once MLflow has answered.
    """

    project_src: Path
    tree: tuple[str, ...]
    files: tuple[str, ...]
    env_files: tuple[str, ...]
    databases: Mapping[str, str]
    database: str
    registry: str
    systems: tuple[str, ...]
    prometheus: str
    superuser: str


@dataclass(frozen=True)
class Request:
    """What is tested, and what is demanded of it. `select` are the labels of the bot that the test's stands for."""

    layout: Layout
    scratch_path: Path
    state_path: Path
    docker_url: str
    set_id: str
    by: str
    model: Model
    bot_tables: tuple[str, ...]
    bot_seconds: int
    checks: tuple[Check, ...]
    select: Mapping[str, str]
    limits: Limits
    checks_timeout_seconds: int
    start_timeout_seconds: int
    age_limit_seconds: int
    timeout_seconds: int


def parse_request(params: Mapping[str, Any]) -> Request:
    """Return the request that a module's parameters make. Raises CatalogueError, ValueError."""
    select = {str(name): str(value) for name, value in params["checks_select"].items()}
    checks = select_checks(parse_checks(params["checks"]), select)
    if not checks or not params["bot_tables"]:
        raise ValueError("No check, or no table that the bot has to write, is left: a test of nothing is no test.")
    return Request(
        layout=_parse_layout(params),
        scratch_path=Path(params["scratch_path"]),
        state_path=Path(params["state_path"]),
        docker_url=params["docker_url"],
        set_id=params["set"],
        by=params["by"],
        model=_parse_model(params),
        bot_tables=tuple(params["bot_tables"]),
        bot_seconds=params["bot_seconds"],
        checks=checks,
        select=select,
        limits=Limits(scrape_interval_seconds=params["scrape_interval_seconds"]),
        checks_timeout_seconds=params["checks_timeout_seconds"],
        start_timeout_seconds=params["start_timeout_seconds"],
        age_limit_seconds=params["age_limit_seconds"],
        timeout_seconds=params["timeout_seconds"],
    )


def _parse_layout(params: Mapping[str, Any]) -> Layout:
    return Layout(
        project_src=Path(params["project_src"]),
        tree=tuple(params["tree"]),
        files=tuple(params["files"]),
        env_files=tuple(params["env_files"]),
        databases={TRADING: params["trading_database"], MLFLOW: params["mlflow_database"]},
        database=params["database_service"],
        registry=params["registry_service"],
        systems=tuple(params["systems"]),
        prometheus=params["prometheus_service"],
        superuser=params["superuser"],
    )


def _parse_model(params: Mapping[str, Any]) -> Model:
    return Model(
        service=params["model_service"],
        registry_url=params["registry_url"],
        name=params["model_name"],
        alias=params["model_alias"],
        features={str(name): float(value) for name, value in params["model_features"].items()},
    )
