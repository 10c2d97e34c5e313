"""Odd fields of one container: emptied, named, and never better for it."""

import pytest
from trading_ops.core.containers import odd_fields, odd_words, sound_description, sound_summary, utc_text

ID = "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T01:30:00.123456789Z", "2026-11-21T01:30:00.123456789Z"),
        ("2026-11-21T02:30:00.123456789+01:00", "2026-11-21T01:30:00.123456789Z"),
        ("2026-11-20T20:30:00-0500", "2026-11-21T01:30:00Z"),
        ("2026-11-21 01:30:00.5 +0000 UTC", "2026-11-21T01:30:00.5Z"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00Z"),
    ],
)
def test_an_engines_time_is_told_in_utc_whatever_its_zone(text, expected):
    assert utc_text(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21", "2026-11-21T01:30:00", "2026-13-21T01:30:00Z"])
def test_what_is_no_time_is_none(text):
    with pytest.raises(ValueError, match=r"."):
        utc_text(text)


def test_a_sound_container_stays_as_it_is():
    listed = {"Id": ID, "Names": ["/x"], "Labels": {"a": "b"}, "Image": "i", "State": "running"}
    assert sound_summary(listed) == listed
    state = {"Status": "exited", "ExitCode": 0, "StartedAt": "2026-11-21T01:30:00Z", "Health": None}
    seen = {"Id": ID, "Name": "/x", "State": state, "Config": {"Labels": {}, "Env": []}, "Mounts": []}
    assert sound_description(seen, ID) == seen


def test_what_an_engine_may_leave_out_is_not_odd():
    assert sound_summary({"Id": ID, "Names": None, "Labels": None}) == {"Id": ID, "Names": [], "Labels": {}}
    seen = sound_description({"State": None, "Config": {"Labels": None, "Env": None}, "HostConfig": None}, ID)
    assert (odd_fields(seen), seen["Name"], seen["Config"]) == ([], f"/{ID[:12]}", {"Labels": {}, "Env": []})


@pytest.mark.parametrize(
    ("odd", "name"),
    [
        ({"State": "exited"}, "State"),
        ({"State": {"ExitCode": False}}, "State.ExitCode"),
        ({"State": {"FinishedAt": "soon"}}, "State.FinishedAt"),
        ({"Config": []}, "Config"),
        ({"Config": {"Labels": {"a": 1}}}, "Config.Labels"),
        ({"Config": {"Env": "A=b"}}, "Config.Env"),
        ({"HostConfig": {"RestartPolicy": "always"}}, "HostConfig.RestartPolicy"),
        ({"Mounts": [None]}, "Mounts"),
        ({"NetworkSettings": {"Networks": {"n": 7}}}, "NetworkSettings.Networks.n"),
    ],
)
def test_an_odd_field_is_emptied_and_named(odd, name):
    seen = sound_description(odd, ID)
    assert odd_fields(seen) == [name]
    assert name in odd_words(seen)


def test_false_is_no_exit_code_and_a_policy_that_is_not_understood_is_not_no():
    assert sound_description({"State": {"ExitCode": False}}, ID)["State"]["ExitCode"] is None
    for odd in ("always", {"RestartPolicy": 7}, {"RestartPolicy": {"Name": False}}):
        assert sound_description({"HostConfig": odd}, ID)["HostConfig"]["RestartPolicy"] == {"Name": "unknown"}


def test_a_container_without_an_id_goes_by_its_name():
    seen = sound_summary({"Names": ["/bot"], "Labels": {}})
    assert (seen["Id"], odd_fields(seen)) == ("bot", ["Id"])
