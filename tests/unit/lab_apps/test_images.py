import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab import images

COMPOSE = Path(__file__).parents[3] / "lab/ai_trading_core/ops/compose"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return images.ImageSource("thing", folder)


def test_an_unchanged_source_keeps_its_tag_wherever_it_lies(source, tmp_path):
    before = images.image_reference(source)
    shutil.copytree(source.folder, tmp_path / "copy")
    assert images.image_reference(images.ImageSource("thing", tmp_path / "copy")) == before


@pytest.mark.parametrize("change", ["content", "name", "mode"])
def test_a_changed_source_gets_another_tag(source, change):
    path = source.folder / "Dockerfile"
    before = images.image_reference(source)
    if change == "content":
        path.write_text("FROM scratch\nENV A=1\n")
    elif change == "name":
        path.rename(source.folder / "Containerfile")
    else:
        path.chmod(0o755)
    assert images.image_reference(source) != before


def test_bytecode_does_not_change_a_tag(source):
    before = images.image_reference(source)
    (source.folder / "__pycache__").mkdir()
    (source.folder / "__pycache__/x.pyc").write_bytes(b"x")
    assert images.image_reference(source) == before


@pytest.mark.parametrize("file", ["docker-compose.yml", "trading/docker-compose.yml"])
def test_the_compose_files_take_every_image_from_a_variable_we_render(file):
    lines = [line.strip() for line in (COMPOSE / file).read_text().splitlines() if line.strip().startswith("image:")]
    names = {line.split("${")[1].split(":")[0] for line in lines}
    assert names and names <= set(images.compose_variables(images.image_references()))


@pytest.mark.parametrize("file", ["docker-compose.yml", "trading/docker-compose.yml"])
def test_every_variable_of_a_compose_file_is_explained_beside_it(file):
    text = (COMPOSE / file).read_text()
    used = {part.split("}")[0].split(":")[0] for part in text.split("${")[1:]}
    example = (COMPOSE / file).with_name(".env.example").read_text()
    explained = {line.split("=")[0] for line in example.splitlines() if "=" in line and not line.startswith("#")}
    said_each_time = {"TRADING_MODE"} | {"IGNORE_SIGTERM", "IGNORE_LATCH", "CRASH_LOOP"}
    assert used - explained <= said_each_time
    assert "TRADING_MODE" not in explained


def test_a_failed_command_is_named_with_its_last_lines():
    argv = [sys.executable, "-c", "print('first'); print('what broke'); raise SystemExit(3)"]
    with pytest.raises(images.BuildFailed, match=r"(?s)thing: .*ended with 3.*what broke"):
        images._run(argv, "thing", lambda line: None, {})


def test_a_command_that_is_not_there_is_a_failed_build():
    with pytest.raises(images.BuildFailed, match="could not be started"):
        images._run(["/no/such/command"], "thing", lambda line: None, {})


def test_an_engine_that_does_not_answer_is_not_a_missing_image(monkeypatch):
    def refuse(*arguments, **options):
        return subprocess.CompletedProcess([], 1, "", "Cannot connect to the Docker daemon")

    monkeypatch.setattr(images.subprocess, "run", refuse)
    with pytest.raises(images.BuildFailed, match="Cannot connect"):
        images.image_id("trading-core-lab/app:x")
