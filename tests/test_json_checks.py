"""JSON from outside: what fits becomes a record, what does not is refused in words that name it."""

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from tidal_core.access.people import HERE
from tidal_core.config import PAPER, PRESETS, PixelSpec, ProjectSettings, RoundConfig, Seeds, TrainConfig
from tidal_core.errors import InputError, SettingsTooNew
from tidal_core.json_checks import convert, decode
from tidal_core.server import wire
from tidal_core.snapshots import Manifest

ROUND = RoundConfig(replace(PAPER, milestones=(1, 2)), Seeds.of(3, 4), "margin", 32, "crop", False, versions=("a 1",))


@dataclass(frozen=True)
class Part:
    size: Annotated[int, Meta(ge=1, le=9)]
    fit: Literal["crop", "letterbox"] = "crop"


@dataclass(frozen=True)
class Whole:
    name: str
    parts: tuple[Part, ...] = ()
    by_name: dict[str, Part] | None = None
    share: float = 0.5
    here: bool = True


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "name is missing; it must be a text."),
        ({"name": 5}, "name is 5; it must be a text."),
        ({"name": None}, "name is null; it must be a text."),
        ({"name": "x", "share": "0.1"}, "share is '0.1'; it must be a number."),
        ({"name": "x", "share": True}, "share is true; it must be a number."),
        ({"name": "x", "share": float("nan")}, "share is nan; it must be a number."),
        ({"name": "x", "here": 1}, "here is 1; it must be true or false."),
        ({"name": "x" * 99, "here": "x" * 99}, f"here is '{'x' * 40}'; it must be true or false."),
        ({"name": "x", "parts": {}}, "parts is an object; it must be a list."),
        ({"name": "x", "parts": [{"size": 1}, {}]},
         "size of parts, number 2, is missing; it must be a whole number from 1 to 9."),
        ({"name": "x", "parts": [{"size": 0}]},
         "size of parts, number 1, is 0; it must be a whole number from 1 to 9."),
        ({"name": "x", "parts": [5]}, "parts, number 1, is 5; it must be an object with size."),
        ({"name": "x", "by_name": {"a": {"size": 1}, "b": {"size": 1, "fit": "fill"}}},
         "fit of by_name, 'b', is 'fill'; it must be one of crop, letterbox."),
        ([], "the JSON is a list of 0; it must be an object with name."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_value_and_what_it_must_be(value: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        convert(value, Whole)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[" * 100_000, b'{"name": ' + b'{"name": ' * 50_000, b"\xff\xfe", b'{"name": "\\ud800"}',
        b'{"name": "\xed\xa0\x80"}', b'{"name": "x", "share": NaN}', b'{"name": "x", "share": 1e999}',
        b'{"name": "x", "share": ' + b"9" * 5_000 + b"}", b'{"name": ' + b"9" * 5_000 + b"}", b"null", b"5",
    ],
)  # fmt: skip
def test_text_that_is_no_json_or_no_record_is_an_input_error(text: bytes) -> None:
    with pytest.raises(InputError):
        decode(text, Whole)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ANSWER = {"id": "event-0001", "kind": "label", "image": 1, "class": 2, "suggestion": [1, 0.5], "ms": 12}


@given(field=st.sampled_from([*ANSWER, "undoes", "note", "mode", "shown", "round", "purpose"]), value=json_values)
def test_an_answer_is_read_or_refused_whatever_a_field_holds(field: str, value: Any) -> None:
    try:
        wire.answers_of(convert({"answers": [{**ANSWER, field: value}]}, wire.AnswersBody), HERE)
    except InputError as error:
        str(error).encode()  # it can be shown


@given(kind=st.sampled_from([ProjectSettings, TrainConfig, RoundConfig, PixelSpec]), data=st.data())
def test_a_stored_configuration_is_read_or_refused_whatever_a_field_holds(kind: Any, data: st.DataObject) -> None:
    good = json.loads((ROUND if kind is RoundConfig else PixelSpec(8) if kind is PixelSpec else kind()).to_json())
    key = data.draw(st.sampled_from(sorted(good)))
    try:
        read = kind.from_json(json.dumps({**good, key: data.draw(json_values)}))
    except InputError as error:
        str(error).encode()
    else:
        assert kind.from_json(read.to_json()) == read


@given(key=st.sampled_from(["format", "version", "app", "schema", "with_images", "members"]), value=json_values)
def test_a_manifest_is_read_or_refused_whatever_a_field_holds(key: str, value: Any) -> None:
    good = {
        "format": "tidal-studio-snapshot", "version": 1, "app": "0.1.0", "schema": 1, "created": "", "slug": "x",
        "title": "X", "with_images": False, "members": {"project.duckdb": {"bytes": 1, "sha256": "0"}},
    }  # fmt: skip
    Manifest.from_json(json.dumps(good).encode())
    try:
        Manifest.from_json(json.dumps({**good, key: value}).encode())
    except InputError as error:
        str(error).encode()


@pytest.mark.parametrize("stored", [*PRESETS.values(), ROUND, ProjectSettings(title="a", audit_share=0), PixelSpec(8)])
def test_configurations_come_back_from_json_as_they_went(stored: Any) -> None:
    back = type(stored).from_json(stored.to_json())
    assert back == stored
    assert back.to_json() == stored.to_json() or stored.audit_share == 0


def test_a_configuration_of_an_earlier_version_takes_defaults_for_what_it_lacks() -> None:
    old = json.loads(ROUND.to_json())
    for key in ("fit", "grayscale", "versions", "threads"):
        del old[key]
    for key in ("crop_fill", "td_window", "channels_last"):
        del old["train"][key]

    read = RoundConfig.from_json(json.dumps(old))

    assert (read.fit, read.versions, read.train.crop_fill) == (None, (), "edge")
    assert read.train.milestones == (1, 2)


def test_a_key_of_a_later_version_is_refused_in_inner_configurations_too() -> None:
    with pytest.raises(SettingsTooNew, match=r"newer version of TiDAL Studio .*unknown: colour"):
        ProjectSettings.from_json('{"colour": 1}')
    later = json.loads(ROUND.to_json())
    later["train"]["dropout"] = 0.1
    with pytest.raises(InputError, match="TrainConfig has no setting 'dropout'"):
        RoundConfig.from_json(json.dumps(later))


def test_a_configurations_own_checks_speak_for_themselves() -> None:
    with pytest.raises(InputError, match=r"cannot be used: the audit share is 0\.7; choose a share from 0 to 0\.5"):
        ProjectSettings.from_json('{"audit_share": 0.7}')
