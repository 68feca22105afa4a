"""No message recommends what the studio cannot do: each page, tab, button, setting and command it names is there."""

import re
from dataclasses import replace

import pytest

from tests.helpers.remedies import (
    FORBIDDEN,
    ROOT,
    Message,
    helps,
    messages,
    messages_of_html,
    messages_of_markdown,
    messages_of_python,
    messages_of_script,
    missing_commands,
    missing_from,
    report,
    studio,
)


def test_every_message_names_only_what_is_there() -> None:
    assert report(messages(), studio()) == []


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/experiments.md", "docs/people.md", "docs/scale.md"],
)
def test_the_documentation_names_only_what_is_there(page: str) -> None:
    assert report(messages_of_markdown((ROOT / page).read_text(encoding="utf-8"), page), studio()) == []


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_and_folders_that_the_documentation_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    names = set(re.findall(r"`([a-z_]+/[\w/.-]*|[\w.-]+\.(?:py|md|txt|toml))`", text)) - {
        "tidal_core/site/"
    }  # a wheel's
    rooms = [
        ROOT,
        ROOT / "docs",
        ROOT / "tidal_core",
        *(path for path in (ROOT / "tidal_core").rglob("*") if path.is_dir()),
    ]

    assert names
    assert [name for name in names if not any((room / name).exists() for room in rooms)] == []


def test_help_quotes_only_commands_that_are_there() -> None:
    assert [name for message in helps() for name in missing_commands(message.text, studio())] == []


@pytest.mark.parametrize("remedy", FORBIDDEN)
def test_an_impossible_remedy_is_found_wherever_it_stands(remedy: str) -> None:
    assert f"remedy {remedy!r}" in missing_from(f"It went wrong; {remedy}.", studio())


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("Import a folder on the Project page.", "Project", "page"),
        ("merge it (Project page, tab Classes)", "Project", "page"),
        ("label on, or see Progress", "Progress", "page, tab or button"),
        ("Saved; the pixels are processed again, see Images.", "Images", "page, tab or button"),
        ("change it on the Project page, tab Settings", "Settings", "tab"),
        ("look at the Classes tab", "Classes", "tab"),
        ("press *Train now* on the Training page", "Train now", "button or label"),
        ("“Train now” starts another round with them.", "Train now", "button or label"),
        ("train again (Train now on the Training page)", "Train now", "button or label"),
        ("Press Undo to take it back.", "Undo", "button or label"),
    ],
)
def test_a_name_on_a_page_is_found_only_where_it_is_there(text: str, name: str, kind: str) -> None:
    assert missing_from(text, studio()) == []
    assert missing_from(text.replace(name, "Aquarium"), studio()) == [f"{kind} 'Aquarium'"]


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        ("tidal-studio import FOLDER --name birds", "tidal-studio gather FOLDER", "command 'gather'"),
        ("python -m tidal_core backup flowers a.zip", "python -m tidal_core save flowers", "command 'save'"),
        ("tidal-studio export birds --to a.csv", "tidal-studio status birds --to a", "option '--to' of 'status'"),
        ("replace it with --force.", "replace it with --really.", "option '--really'"),
        ("change the training size", "change the learning rate", "setting 'learning rate'"),
        ("choose a smaller training size", "choose a smaller ladder", "setting 'ladder'"),
        ("choose another name", "choose another optimizer", "setting 'optimizer'"),
        ("the setting `labels_per_round`", "the setting `momentum`", "setting 'momentum'"),
        ("python -m pip install onnx onnxscript", "pip install onnx tensorflow", "package 'tensorflow'"),
        ("install pillow-heif, or save it as JPEG", "install pillow-avif, or not", "package 'pillow-avif'"),
        ("pip install -r requirements-onnx.txt", "pip install -r heif.txt", "requirements file 'heif.txt'"),
        ("pip install '.[onnx]'", "pip install '.[avif]'", "extra 'avif'"),
        ("Say: make test", "Say: make coffee", "make target 'coffee'"),
        ("python -m benchmarks.startup", "python -m benchmarks.shutdown", "module 'benchmarks.shutdown'"),
        ("set TIDAL_HOME to another folder", "set TIDAL_PLACE to another folder", "variable 'TIDAL_PLACE'"),
    ],
)
def test_what_does_not_exist_is_named(good: str, bad: str, named: str) -> None:
    assert missing_from(good, studio()) == []
    assert missing_from(bad, studio()) == [named]


def test_a_button_that_is_renamed_makes_the_messages_that_name_it_fail() -> None:
    renamed = replace(studio(), labels=studio().labels - {"Train now"}, settings=studio().settings - {"train now"})

    named = report(messages(), renamed)

    assert any("model_downloads" in line and "'Train now'" in line for line in named)


def test_messages_are_read_from_python_with_their_gaps_and_without_docstrings() -> None:
    source = '''
def f(name):
    """Not a message."""
    raise ValueError(f"There is no {name!r}; "
                     f"say: {called_as()} import FOLDER")  # "nor this"
'''
    assert messages_of_python(source, "a.py") == [Message("a.py:4", "There is no {}; say: tidal-studio import FOLDER")]


def test_messages_are_read_from_scripts_and_pages_without_comments() -> None:
    source = '// "not this"\n/* nor `this` */ say("Look at Review", `Round ${round.id} of http://a`);'
    page = '<button title="Zoom (z)"><kbd>z</kbd> Fit</button>'

    assert [message.text for message in messages_of_script(source, "a.js")] == [
        "Look at Review",
        "Round {} of http://a",
    ]
    assert {message.text for message in messages_of_html(page, "a.html")} == {"Zoom (z)", "z", "Fit"}
