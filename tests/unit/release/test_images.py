"""Images pinned: one content forever, brought back where its reference has moved on, and never another one."""

from __future__ import annotations

import pytest
from trading_ops.host.programs import Ended, ProgramError
from trading_ops.release.images import (
    DockerImages,
    Image,
    PinError,
    disagreements,
    ensure_pinned,
    ensure_present,
    format_pin,
    parse_image,
    parse_pin,
    repository_of,
    settle,
)

OLD, NEW = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
REGISTRY = f"sha256:{'c' * 64}"
BOT = "registry.lan:5000/bot:1.4"
BY_DIGEST = f"registry.lan:5000/bot@{REGISTRY}"


class FakeImages:
    """Images of a host; `registry` is what a pull brings."""

    def __init__(self, here, registry=None):
        self.here, self.registry, self.calls = dict(here), registry or {}, []

    def find(self, reference):
        return self.here.get(reference) or next((one for one in self.here.values() if one.id == reference), None)

    def pull(self, reference):
        self.calls.append(f"pull {reference}")
        if reference not in self.registry:
            raise ProgramError("docker pull ended with 1: manifest unknown")
        self.here[reference] = self.registry[reference]

    def tag(self, image_id, reference):
        self.calls.append(f"tag {reference}")
        self.here[reference] = self.find(image_id)


@pytest.mark.parametrize(
    ("reference", "image", "pin"),
    [
        (BOT, Image(OLD), f"{BOT}@{OLD}"),
        (BOT, Image(OLD, (f"other.lan/bot@{NEW}", BY_DIGEST)), f"{BOT}@{REGISTRY}"),
        (f"{BOT}@{REGISTRY}", Image(OLD, (BY_DIGEST,)), f"{BOT}@{REGISTRY}"),
    ],
)
def test_a_pin_has_the_registrys_digest_where_there_is_one_and_else_the_images_id(reference, image, pin):
    assert format_pin(reference, image) == pin
    assert parse_pin(pin).reference == BOT


@pytest.mark.parametrize("text", ["", "bot:1", "bot@sha256:abc", f"@{OLD}", "bot@md5:1"])
def test_what_pins_nothing_is_no_pin(text):
    with pytest.raises(PinError):
        parse_pin(text)


def test_a_port_is_no_tag():
    assert repository_of(BOT) == "registry.lan:5000/bot"
    assert repository_of("bot:1") == "bot"


def test_hosts_that_would_run_different_images_are_told():
    assert disagreements([f"{BOT}@{OLD}", f"{BOT}@{OLD}", f"x:1@{NEW}"]) == []
    assert disagreements([f"{BOT}@{OLD}", f"{BOT}@{NEW}"]) == [BOT]


def test_an_image_that_is_there_is_left_alone():
    images = FakeImages({BOT: Image(OLD)})
    assert ensure_pinned(images, f"{BOT}@{OLD}", may_pull=True, dry_run=False) == ""
    assert images.calls == []


def test_a_reference_that_moved_on_gets_its_image_back_without_a_registry():
    images = FakeImages({BOT: Image(NEW), "old": Image(OLD)})
    assert "stand for" in ensure_pinned(images, f"{BOT}@{OLD}", may_pull=False, dry_run=False)
    assert images.find(BOT).id == OLD
    assert images.calls == [f"tag {BOT}"]


def test_an_image_that_is_gone_is_pulled_by_its_digest_or_said_to_be_gone():
    pin = f"{BOT}@{REGISTRY}"
    images = FakeImages({BOT: Image(NEW)}, {BY_DIGEST: Image(OLD, (BY_DIGEST,))})
    with pytest.raises(PinError, match="not on this host"):
        ensure_pinned(images, pin, may_pull=False, dry_run=False)
    assert ensure_pinned(images, pin, may_pull=True, dry_run=True) == f"pull {BY_DIGEST}"
    assert images.calls == []
    ensure_pinned(images, pin, may_pull=True, dry_run=False)
    assert images.find(BOT).id == OLD
    with pytest.raises(PinError, match="gone from this host"):
        ensure_pinned(FakeImages({}), pin, may_pull=True, dry_run=False)


def test_a_registry_that_gives_something_else_is_not_believed():
    images = FakeImages({}, {BY_DIGEST: Image(NEW)})
    with pytest.raises(PinError, match="another image"):
        ensure_pinned(images, f"{BOT}@{REGISTRY}", may_pull=True, dry_run=False)


def test_only_what_is_missing_is_pulled_and_nothing_in_a_dry_run():
    images = FakeImages({BOT: Image(OLD)}, {"x:1": Image(NEW)})
    assert ensure_present(images, BOT, dry_run=False) == (f"{BOT}@{OLD}", "")
    assert ensure_present(images, "x:1", dry_run=True) == ("", "pull x:1")
    assert images.calls == []
    assert ensure_present(images, "x:1", dry_run=False) == (f"x:1@{NEW}", "pull x:1")


class FakePrograms:
    def __init__(self, ended):
        self.ended, self.argvs = ended, []

    def run(self, argv, **more):
        self.argvs.append(list(argv))
        return self.ended


def test_an_engine_that_does_not_answer_is_no_missing_image():
    absent = FakePrograms(Ended(1, "[]", "Error response from daemon: No such image: x:1\n"))
    assert DockerImages(absent, "unix:///s").find("x:1") is None
    assert absent.argvs == [["docker", "--host", "unix:///s", "image", "inspect", "--", "x:1"]]
    with pytest.raises(ProgramError):
        DockerImages(FakePrograms(Ended(1, "", "Cannot connect to the Docker daemon")), "unix:///s").find("x:1")


@pytest.mark.parametrize("text", ["", "[]", "{}", "[{}]", "[1, 2]"])
def test_a_description_that_is_cut_off_is_no_image(text):
    with pytest.raises(ProgramError):
        parse_image(text)


def test_one_reference_is_settled_by_what_runs_and_else_by_the_first_name():
    pins = {"a/init": f"x:1@{NEW}", "a/main": f"x:1@{OLD}", "b/one": f"y:1@{NEW}", "b/two": f"y:1@{OLD}"}
    assert settle(pins, {"a/main"}) == {"x:1": f"x:1@{OLD}", "y:1": f"y:1@{NEW}"}
