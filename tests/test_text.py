"""Names from outside in pages and model cards: shown as they are, whatever is in them."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tidal_core.text import literal

HOSTILE = [
    "[a](http://x.org)", "![i](http://x.org/a.png)", "<img src=x onerror=alert(1)>", "<b>", "`code`", "``a`b``",
    "$x^2$ and $y$", ":material/home:", ":material/home:material/home:", ":red[hot]", ":red-background[x] :small[y]",
    ":smile:", ":+1:", "a|b", "line\nbreak\n\n# x", "# head", "1. one", "12) twelve", "- item", "+ item", "> quote",
    "*b* _i_ __x__ ~~s~~ ~t~", "&lt;b&gt; &amp;", "\\*", "a\\", "a -> b <- c -- d >= e <-> f", "===", "---", "    code",
    "[^1]", "[x]: http://y", "C:\\dir\\n", "12:30:15", "=1+1", "***", "\ttab", "\\[x\\]", "|--|--|",
]  # fmt: skip

# What Streamlit looks for in text after Markdown was read: icons and emoji, arrows and dashes.
AFTERWARDS = re.compile(r":[\w+\-/]+:|(?:^|\s)(?:<->|->|<-|--|>=|<=|~=)(?:\s|$)")
reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shown(markdown: str) -> str:
    """What a reader of Markdown shows, where it is one plain paragraph; fails on any markup in it."""
    match = re.fullmatch(r"<p>([^<>]*)</p>\n", reader.render(markdown))
    assert match is not None, reader.render(markdown)
    text = html.unescape(match[1])
    assert not AFTERWARDS.search(text), text
    return text.replace("\u2060", "")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_it_is(name: str) -> None:
    assert shown(literal(name)) == " ".join(name.split())
    assert shown(f"The class {literal(name)}, of four.") == f"The class {' '.join(name.split())}, of four."


@given(st.text("[]()!<>`*_~$:|#+-=.&\\1ab/ \n", min_size=1, max_size=30).filter(str.strip))
def test_any_name_is_shown_as_it_is(name: str) -> None:
    assert shown(literal(name)) == " ".join(name.split())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_in_its_cell_of_a_table(name: str) -> None:
    table = reader.render(f"| class | n |\n|---|---|\n| {literal(name)} | 5 |")

    cells = [html.unescape(cell).replace("\u2060", "") for cell in re.findall(r"<td>([^<]*)</td>", table)]
    assert cells == [" ".join(name.split()), "5"]


@pytest.mark.parametrize("name", ["cat", "Zwergkaninchen, weiß", "photo 12.jpg", "label 5: the first", "3.5 (half)"])
def test_a_plain_name_is_left_alone(name: str) -> None:
    assert literal(name) == name.replace("3.5", "3\\.5")
