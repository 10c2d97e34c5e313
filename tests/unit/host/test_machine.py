"""This machine's own ids."""

from __future__ import annotations

import pytest
from trading_ops.core.machine import Machine
from trading_ops.host.engine import EngineError
from trading_ops.host.machine import BOOT_ID_FILE, MACHINE_ID_FILE, observe_machine, this_controller

ONE, BOOT = "1" * 32, "a8401e2a-d6b9-4ec6-a763-db764318381a"
ENGINE = "c4a760a8-dbcf-5254-a0d9-6a4474bd1b62"


@pytest.fixture
def write(tmp_path):
    def build(machine_id: str | None, boot_id: str | None = f"{BOOT}\n"):
        for name, text in ((MACHINE_ID_FILE, machine_id), (BOOT_ID_FILE, boot_id)):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is not None:
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return tmp_path

    return build


def nobody() -> str:
    raise EngineError("The engine could not answer.")


def test_both_are_read_and_the_engine_is_not_asked(write):
    assert observe_machine(nobody, write(f"{ONE}\n")) == Machine(ONE, BOOT)


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", "x" * 32, "\udcff\udcfe", ONE + ONE])
def test_without_a_machine_id_the_engines_id_stands_for_it(write, text):
    root = write(text)
    assert observe_machine(lambda: ENGINE, root) == Machine(ENGINE, BOOT)
    assert observe_machine(nobody, root) == Machine("", BOOT)
    assert observe_machine(lambda: "$(id)" * 8, root) == Machine("", BOOT)
    assert this_controller(root) == Machine("", BOOT)


@pytest.mark.parametrize("text", [None, "", "soon"])
def test_a_boot_id_that_cannot_be_read_is_not_known(write, text):
    assert observe_machine(nobody, write(ONE, text)) == Machine(ONE, "")
