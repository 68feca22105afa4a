"""Every page with hostile names in everything that has one: nothing is drawn as Markdown, HTML or a link."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.message import Message
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

from benchmarks.made_up import Size, make
from tests.experiments.test_report import BETTER, RANDOM
from tests.experiments.test_report import made_up as made_up_experiment
from tests.helpers.gates import WAIT_SECONDS
from tests.pages.looking import fail_round, open_page, start_round
from tests.test_text import shown
from tidal_core.projects import home
from tidal_core.server.studio import Studio
from tidal_core.text import literal

MARK = "out.example"  # in every hostile name
NAMES = (
    "![i](http://out.example/i.png)", "<img src=http://out.example/j.png>", "[a](http://out.example/a)",
    '<a href="http://out.example">k</a>', "www.out.example/k or me@out.example", ":red[out.example] $out.example$",
)  # fmt: skip
ALL = " ".join(NAMES)
# What is shown as text by itself: values and options of fields, keys, addresses of the page, cells of tables.
PLAIN = {"id", "options", "default", "value", "set_value", "placeholder", "form_id", "url", "url_pathname", "page_name",
         "raw_values", "formatted_value", "alt", "data", "query_string", "file_name", "element_id", "key",
         "json", "columns", "storage_key", "user_key"}  # fmt: skip
MARKUP = re.compile(r"<(?:a|img|b|i|script)[\s>]|<a href", re.IGNORECASE)
FORMAT = re.compile(r"</?(?:p|strong|em|h[1-6]|ul|li|table|thead|tbody|tr|t[hd]|br /)(?: style=\"[^\"]*\")?>")
SIZE = Size(labelled=40, pool=60, test=30, rounds=2, epochs=5, classes=len(NAMES))
PAGES: tuple[tuple[str, dict[str, str]], ...] = (
    ("gallery", {"label": ALL}),
    ("training", {}), ("dynamics", {"image": "1"}), ("dynamics", {"view": "map"}), ("dynamics", {"view": "groups"}),
    ("dynamics", {"view": "aside"}),
    ("dynamics", {"image": ALL}), ("replay", {"round": ALL}),
    ("review", {}), ("uncertainty", {}), ("progress", {}), ("predictions", {}),
    ("finish", {}),
    ("project", {}), ("experiments", {}), ("theory", {}),
)  # fmt: skip


def strings(message: Message, path: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text in a part of a page: where it stands, the name of its field, the text."""
    for field, value in message.ListFields():
        parts = value if field.is_repeated else [value]
        for part in parts.values() if isinstance(parts, dict) else parts:
            here = f"{path}.{field.name}"
            if isinstance(part, Message):
                yield from strings(part, here)
            elif isinstance(part, str):
                yield here, field.name, part


def parts_of(page: AppTest) -> Iterator[tuple[str, str, str]]:
    """Every text of a page."""
    left: list[Any] = [page._tree]
    while left:
        node = left.pop()
        left += list(getattr(node, "children", {}).values())
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            yield from strings(proto, type(proto).__name__)


def is_text(markdown: str) -> bool:
    """Whether nothing in a text of Markdown that holds a hostile name becomes more than its letters."""
    drawn = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    around = FORMAT.sub("", drawn)
    linked = re.search(r"https?://|www\.\w|\w@\w", html.unescape(around))
    of_streamlit = re.search(r"(?<!\\):red|(?<!\\)\$out", markdown)
    return "<" not in around and linked is None and of_streamlit is None


def faults(page: AppTest) -> tuple[int, list[str]]:
    """How many texts of a page hold a hostile name, and those that are not shown as text."""
    seen, wrong = 0, []
    for path, field, text in parts_of(page):
        if MARK not in text.replace("\u2060", ""):
            continue
        seen += 1
        if path.startswith("PlotlyChart"):
            if field == "spec" and any(MARKUP.search(part) for part in leaves(json.loads(text))):
                wrong.append(f"{path}: {text[:100]}")
        elif path.startswith("Html"):
            if re.search(r"<(?:a|img)\b|url\(", text):
                wrong.append(f"{path}: {text[:200]}")
        elif field not in PLAIN and not path.startswith("Text.") and not is_text(text):
            wrong.append(f"{path}: {text[:200]}")
    return seen, wrong


def leaves(value: Any) -> Iterator[str]:
    """Every text in the JSON of a figure that it may draw."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        parts = [part for key, part in value.items() if key != "legendgroup"] if isinstance(value, dict) else value
        for part in parts:
            yield from leaves(part)


def hostile_project(studio: Studio) -> None:
    """Classes, title, people, images, a failed round, the log and a restored reason, all with hostile names."""
    project = make("made-up", SIZE, class_names=NAMES)
    project.store.settings.save(replace(project.settings, title=ALL[:100], annotator=NAMES[0]))
    project.store.settings.set("training_reason", ALL)
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET name = ? || id", [ALL])
        cursor.execute("UPDATE answers SET annotator = ?", [NAMES[1]])
        cursor.execute("UPDATE classes SET colour = ? WHERE id = 1", ['red" onload="x"><img src=http://out.example/c>'])
    fail_round(project, start_round(project), ALL)
    project.close()
    studio.project("made-up")


def test_every_page_shows_hostile_names_as_they_are(studio: Studio) -> None:
    assert studio.worker.stop(WAIT_SECONDS)
    hostile_project(studio)
    experiment = made_up_experiment(home(), {"random": RANDOM, "margin": BETTER})
    for file in (experiment.folder / "spec.json", *(experiment.folder / "runs").glob("margin*")):
        file.write_text(file.read_text().replace('"margin"', json.dumps(NAMES[1])))
    seen, wrong = 0, []
    for name, query in PAGES:
        found, unescaped = faults(open_page(name, **query))
        seen += found
        wrong += [f"{name} {query}: {fault}" for fault in unescaped]

    assert wrong == [], "\n".join(wrong)
    assert seen > 40, seen  # the names were there


@pytest.mark.parametrize("name", NAMES)
def test_an_address_in_a_name_becomes_no_link(name: str) -> None:
    assert is_text(literal(name))
    assert shown(literal(name)) == name
    assert not is_text("http://out.example")
