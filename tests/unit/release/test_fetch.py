"""What a release needs is on the host before anything that runs is touched."""

from __future__ import annotations

from pathlib import Path

from trading_ops.release.fetch import Wanted, ensure_fetched, select_pins
from trading_ops.release.images import Image

from tests.unit.release.test_images import BOT, NEW, OLD, FakeImages

NAME = "a" * 40


class FakeRepository:
    def __init__(self, path: Path, *names: str) -> None:
        self.path, self.names = path, set(names)

    def has(self, name):
        return name in self.names

    def fetch(self, bundle, name):
        self.names.add(name)


def fetch(tmp_path, images, *names, bundle=None, references=(), pins=(), dry_run=False):
    repository = FakeRepository(tmp_path, *names)
    return ensure_fetched(repository, images, Wanted(NAME, bundle, references, pins), dry_run), repository


def test_what_is_here_is_left_alone(tmp_path):
    images = FakeImages({BOT: Image(OLD)})
    result, _ = fetch(tmp_path, images, NAME, references=[BOT])
    assert (result["outcome"], result["changed"], result["images"]) == ("proven", False, [f"{BOT}@{OLD}"])
    assert images.calls == []


def test_a_revision_that_is_missing_comes_out_of_the_bundle_or_is_said_to_be_missing(tmp_path):
    bundle = tmp_path / "bundle"
    bundle.write_text("x")
    result, repository = fetch(tmp_path, FakeImages({}), bundle=bundle)
    assert (result["outcome"], repository.names) == ("proven", {NAME})
    assert fetch(tmp_path, FakeImages({}))[0]["outcome"] == "failed"


def test_a_pin_goes_before_the_reference_it_has(tmp_path):
    images = FakeImages({BOT: Image(NEW), "old": Image(OLD)})
    result, _ = fetch(tmp_path, images, NAME, references=[BOT, "old"], pins=[f"{BOT}@{OLD}"])
    assert result["images"] == [f"{BOT}@{OLD}", f"old@{OLD}"]
    assert images.calls == [f"tag {BOT}"]


def test_an_image_that_nobody_has_ends_it_and_a_dry_run_brings_nothing(tmp_path):
    images = FakeImages({}, {"x:1": Image(NEW)})
    planned, repository = fetch(tmp_path, images, references=["x:1"], bundle=tmp_path / "none", dry_run=True)
    assert (planned["outcome"], images.calls, repository.names) == ("planned", [], set())
    assert "would take over revision" in planned["summary"]
    failed, _ = fetch(tmp_path, images, NAME, references=["y:1"])
    assert (failed["outcome"], "Nothing that runs was changed" in failed["summary"]) == ("failed", True)


def test_a_pin_counts_where_its_key_does_and_there_is_an_image():
    pins = {"feed/gui": f"{BOT}@{OLD}", "feed/alerts": "", "feed/other": f"x:1@{NEW}"}
    assert select_pins(pins, ["feed/gui", "feed/alerts", "feed/gone"]) == [f"{BOT}@{OLD}"]
    assert select_pins(pins, None) == [f"{BOT}@{OLD}", f"x:1@{NEW}"]
