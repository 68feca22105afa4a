"""What messages tell people to use, and whether it is there: pages, tabs, buttons, settings, commands, packages.

Both sides are read from the source: a name is found in a message by the words around it ("the Project page", "press
“Train now”", ``tidal-studio import``), and what exists in the widgets, the command line and the requirements.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import typer
from packaging.requirements import Requirement

from tidal_core import cli
from tidal_core.config import ProjectSettings

ROOT = Path(__file__).parents[2]
LABELLER, GALLERY = ROOT / "tidal_core/ui/labeller", ROOT / "tidal_core/ui/gallery"
HOLE = "{}"
"""What stands in a text for a value that is filled in when the program runs."""

FORBIDDEN = (
    "merge or retire it",
    "hide one of them",
    "or remove the image",
    "try a learning rate of",
    "lower the learning rate",
    "go back to the round before",
    "look at Review",
    "kill PID",
    f"kill {HOLE}",
    "smaller backbone",
    "build the pixel cache again",
    "fill it again",
    "fill the pixel cache again",
    "import the images again",
)
"""Remedies that were given once and that the studio cannot do."""

_WIDGETS = {
    "button", "form_submit_button", "toggle", "checkbox", "selectbox", "multiselect", "radio", "segmented_control",
    "pills", "number_input", "slider", "select_slider", "text_input", "text_area", "file_uploader", "download_button",
    "link_button", "page_link", "expander", "popover", "data_editor", "choice",
}  # fmt: skip
_OBJECTS_OF_EVERYDAY = {
    "class", "data set", "experiment", "file", "folder", "format", "image", "key", "letter", "name", "number", "one",
    "path", "place", "port", "project", "round", "share", "strategy", "target",
}  # fmt: skip
"""What a person can choose or change without a setting of that name: things outside the studio, or in the message."""

MODULES_OF_A_CHECKOUT = ("benchmarks", "tests")


@dataclass(frozen=True)
class Message:
    """A text that people may read: where it stands, and what it says, with ``HOLE`` for each value."""

    where: str
    text: str


@dataclass(frozen=True)
class Studio:
    """What a message may name."""

    pages: frozenset[str]
    tabs: frozenset[str]
    labels: frozenset[str]  # of buttons, fields, toggles, choices, columns; with HOLE where a value is filled in
    settings: frozenset[str]  # names in lower case: fields of the project's settings, and the labels
    commands: dict[str, frozenset[str]]  # each with its options; "" is the studio's start
    packages: frozenset[str]
    extras: frozenset[str]
    make_targets: frozenset[str]
    variables: frozenset[str]  # of the environment

    def has_label(self, name: str) -> bool:
        """Whether a widget is called so, or begins so: "Training size" stands for "Training size, pixels"."""
        return any(_names(label, name) for label in self.labels | self.pages | self.tabs)

    def has_setting(self, name: str) -> bool:
        """As ``has_label``, in lower case and with the fields of the settings."""
        return any(_names(setting, name.lower()) for setting in self.settings)


def _names(label: str, name: str) -> bool:
    pattern = re.escape(label).replace(re.escape(HOLE), ".+")
    return re.fullmatch(pattern, name) is not None or re.match(re.escape(name) + r"[,:(]| \(", label) is not None


# ---- messages


def text_of(node: ast.AST) -> str | None:
    """A string constant, or an f-string with ``HOLE`` for its values; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else _hole(part) for part in node.values)
    return None


def _hole(part: ast.expr) -> str:
    """``called_as()`` is how the studio's command begins, whatever it is called by."""
    assert isinstance(part, ast.FormattedValue)
    return "tidal-studio" if ast.unparse(part.value) == "called_as()" else HOLE


def messages_of_python(source: str, where: str) -> list[Message]:
    """Every text of a module but its docstrings."""
    tree = ast.parse(source)
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            inner.add(node.value)  # a docstring
        elif isinstance(node, ast.JoinedStr):
            inner |= {part for part in ast.walk(node) if part is not node}
    texts = ((node, text_of(node)) for node in ast.walk(tree) if node not in inner)
    return [Message(f"{where}:{node.lineno}", text) for node, text in texts if text and isinstance(node, ast.expr)]


def messages_of_script(source: str, where: str) -> list[Message]:
    """Every string of a JavaScript file, without its comments."""
    source = re.sub(r"/\*.*?\*/|(?<![:\"'`\w])//[^\n]*", lambda gap: "\n" * gap[0].count("\n"), source, flags=re.DOTALL)
    strings = re.finditer(r'"((?:\\.|[^"\\\n])*)"|`((?:\\.|[^`\\])*)`', source)
    return [
        Message(f"{where}:{source[: match.start()].count(chr(10)) + 1}", re.sub(r"\$\{[^}]*\}", HOLE, text))
        for match in strings
        if (text := match[1] or match[2])
    ]


def messages_of_html(source: str, where: str) -> list[Message]:
    """What a page shows: texts between tags, and those attributes that people see or hear."""
    shown = re.findall(r">([^<>]+)<", source)
    shown += re.findall(r'(?:aria-label|title|placeholder)="([^"]+)"', source)
    return [Message(where, text.strip()) for text in shown if text.strip()]


def messages_of_markdown(source: str, where: str) -> list[Message]:
    """Paragraphs without their code, and each line, or span, of code by itself."""
    code = re.findall(r"^(?: {4}|(?!```))(?:\.venv/bin/)?((?:python|tidal-studio|make) .*)$", source, re.MULTILINE)
    prose = re.sub(r"^```.*?^```|^ {4}.*?$", "", source, flags=re.DOTALL | re.MULTILINE)
    spans = [span.replace(".venv/bin/", "") for span in re.findall(r"`([^`]+)`", prose)]
    made = [f"`{span}`" for span in spans if span.startswith("make ")]
    texts = [*code, *made, *spans, *re.sub(r"`[^`]+`", HOLE, prose).split("\n\n")]
    return [Message(where, text) for text in texts]


def helps() -> list[Message]:
    """What ``--help`` says of every command and option."""
    return [
        Message(f"--help of {name or 'the studio'}", text)
        for name, command in _click_commands().items()
        for text in (command.help, *(getattr(parameter, "help", None) for parameter in command.params))
        if text
    ]


@cache
def messages() -> tuple[Message, ...]:
    """Every text of the studio: pages, library, labelling component, ``--help``."""
    python = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "tidal_core").rglob("*.py"))]
    readers = [(messages_of_python, python)]
    readers += [
        (
            messages_of_script,
            [*sorted(LABELLER.glob("*.js")), *sorted(GALLERY.glob("*.js")), LABELLER.parent / "connection.js"],
        ),
        (messages_of_html, [*LABELLER.glob("*.html"), *GALLERY.glob("*.html")]),
    ]
    texts = [
        message
        for read, paths in readers
        for path in paths
        for message in read(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]
    return (*texts, *helps())


# ---- what there is


def _click_commands() -> dict[str, typer.core.TyperCommand | typer.core.TyperGroup]:
    root = typer.main.get_command(cli.app)
    assert isinstance(root, typer.core.TyperGroup)
    return {"": root, **root.commands}  # type: ignore[dict-item]


def _literals(node: ast.AST, assigned: dict[str, list[ast.expr]]) -> Iterator[str]:
    """Texts in an expression, and in what the names in it were assigned in the same module."""
    text = text_of(node)
    if text is not None:
        yield text
    elif isinstance(node, ast.Name):
        for value in assigned.get(node.id, []):
            yield from _literals(value, {})
    else:
        for child in ast.iter_child_nodes(node):
            yield from _literals(child, assigned)


def labels_of_python(source: str, widgets: set[str]) -> set[str]:
    """Texts that a module gives to these widgets as labels, choices or columns."""
    tree = ast.parse(source)
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    labels: set[str] = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", None))
        if name in widgets:
            shown = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg in {"label", "options"})]
            labels |= {text for argument in shown for text in _literals(argument, assigned)}
    return labels


def _labels_of_the_labeller() -> set[str]:
    page = (LABELLER / "labeller.html").read_text(encoding="utf-8")
    plain = re.sub(r"<kbd>.*?</kbd>|\n", " ", page)
    labels = {text.strip() for text in re.findall(r"<(?:button|label)[^>]*>\s*([^<>]+)", plain)}
    labels |= set(re.findall(r'<button[^>]*aria-label="([^"]+)"', plain))
    for path in LABELLER.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        texts = re.findall(r'element\("button",\s*\{[^}]*?textContent: (?:"([^"]+)"|`([^`]+)`)', source)
        labels |= {re.sub(r"\$\{[^}]*\}", HOLE, text or template) for text, template in texts}
    return labels - {""}


def _titles_of_pages() -> set[str]:
    calls = [node for node in ast.walk(ast.parse((ROOT / "app.py").read_text("utf-8"))) if isinstance(node, ast.Call)]
    pages = [call for call in calls if ast.unparse(call.func) == "st.Page"]
    return {ast.literal_eval(word.value) for call in pages for word in call.keywords if word.arg == "title"}


def _requirements() -> tuple[set[str], set[str]]:
    """Names of packages, and of extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    return {Requirement(line).name for line in lines}, set(extras)


@cache
def studio() -> Studio:
    """What this checkout has."""
    sources = [
        path.read_text(encoding="utf-8")
        for path in [*(ROOT / "pages").glob("*.py"), *(ROOT / "tidal_core/ui").glob("*.py")]
    ]
    tabs = {label for source in sources for label in labels_of_python(source, {"tabs"})}
    labels = {label for source in sources for label in labels_of_python(source, _WIDGETS)} | _labels_of_the_labeller()
    labels = {label for label in labels if re.search(r"[A-Za-z]{2}", label.replace(HOLE, ""))}
    packages, extras = _requirements()
    return Studio(
        pages=frozenset(_titles_of_pages()),
        tabs=frozenset(tabs),
        labels=frozenset(label for label in labels if label[:1].isupper() or " " in label),
        settings=frozenset(
            {field.name.replace("_", " ") for field in fields(ProjectSettings)} | {label.lower() for label in labels}
        ),
        commands={
            name: frozenset(option for parameter in command.params for option in parameter.opts if option[0] == "-")
            | {option for parameter in command.params for option in parameter.secondary_opts}
            | {"--help"}
            for name, command in _click_commands().items()
        },
        packages=frozenset(packages),
        extras=frozenset(extras),
        make_targets=frozenset(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)),
        variables=frozenset(message.text for message in messages() if re.fullmatch(r"TIDAL_[A-Z_]+", message.text)),
    )


# ---- what a message names

_QUOTE, _UNQUOTE = "[*“‘\"']?", "[*”’\"']?"
_NAME = r"[A-Z][\w-]*(?: \w+){0,3}?"


@dataclass(frozen=True)
class _Rule:
    """How a kind of thing is named in a sentence, and how it is looked up."""

    kind: str
    pattern: str
    is_there: Callable[[Studio, str], bool]

    def missing(self, text: str, studio: Studio) -> Iterator[str]:
        for match in re.finditer(self.pattern, text):
            name = next(group for group in match.groups() if group is not None).strip()
            if HOLE not in name and not self.is_there(studio, name):
                yield f"{self.kind} {name!r}"


def _is_package(studio: Studio, name: str) -> bool:
    return name.lower().replace("_", "-") in studio.packages


def _is_of_everyday(name: str) -> bool:
    return any(name == thing or name.startswith(f"{thing} ") for thing in _OBJECTS_OF_EVERYDAY)


def _is_module(_: Studio, name: str) -> bool:
    """Our own modules are looked for; other packages' commands are for them to keep."""
    return name.split(".")[0] not in MODULES_OF_A_CHECKOUT or importlib.util.find_spec(name) is not None


_RULES = (
    _Rule(
        "page",
        rf"\b(?:[Oo]n|[Ff]rom|[Aa]t|[Ii]n|[Oo]pen|[Ss]ee|[Gg]o to|[Bb]y) (?:the|its) {_QUOTE}(\w+){_UNQUOTE} page\b"
        rf"|\bpages? {_QUOTE}([A-Z]\w+)|\(([A-Z]\w+) page\b",
        lambda studio, name: name in studio.pages,
    ),
    _Rule(
        "tab",
        rf"\btab {_QUOTE}({_NAME}){_UNQUOTE}(?=[.,;:)]|$| and | or | of )|\bthe {_QUOTE}({_NAME}){_UNQUOTE} tab\b",
        lambda studio, name: name in studio.tabs,
    ),
    _Rule(
        "page, tab or button",
        r"\b(?:[Ll]ook at|[Gg]o to|[Ss]ee|[Ss]witch to|[Oo]pen) ([A-Z]\w+)(?!\w*\.\w)",
        lambda studio, name: studio.has_label(name),
    ),
    _Rule(
        "button or label",
        r"“([A-Z][^”]*)”|(?<![*\w])\*([A-Z][a-z][^*\n]*)\*(?!\*)|\(([A-Z]\w+(?: [a-z]+)*) on the \w+ page"
        rf"|\b(?:[Pp]ress|[Cc]lick|the button|the toggle) (?!Ctrl\b){_QUOTE}({_NAME}){_UNQUOTE}"
        "(?=[.,;:)]|$| on | in | and | to )",
        lambda studio, name: studio.has_label(name),
    ),
    _Rule(
        "button",
        r"\b(train now|stop the trial)\b",
        lambda studio, name: studio.has_setting(name),
    ),
    _Rule(
        "setting",
        r"\b(?:[Cc]hange|[Cc]hoose|[Ll]ower|[Rr]aise|[Ii]ncrease|[Dd]ecrease|[Ss]et|[Tt]ry) (?:the|a|an|another)"
        r"(?: smaller| larger| higher| lower| newer| other)?"
        r"((?: (?!(?:on|in|of|to|or|that|which|there|with|when|from|for|instead|at|by|and|is|until)\b)[a-z]+)+)",
        lambda studio, name: _is_of_everyday(name) or studio.has_setting(name),
    ),
    _Rule(
        "setting",
        r"\bthe setting [*“`]?([a-z_ ]+)",
        lambda studio, name: studio.has_setting(name.replace("_", " ")),
    ),
    _Rule(
        "command",
        r"(?:\btidal-studio|python -m tidal_core) ([a-z][\w-]*)",
        lambda studio, name: name in studio.commands,
    ),
    _Rule(
        "option",
        r" (--[a-z][a-z-]+)(?![\w-]|\.\w)|^(--[a-z][a-z-]+)[ ,]",
        lambda studio, name: any(name in options for options in studio.commands.values()),
    ),
    _Rule("module", r"python -m ((?:benchmarks|tests)\.[a-z_.]*[a-z_])", _is_module),
    _Rule(
        "package",
        r"\bthe package (?!is\b)([a-z][\w-]+)"
        r"|(?:^|[,;:] )[Ii]nstall (?!(?:it|its|the|them|with|again)\b)([a-z][\w-]+)",
        _is_package,
    ),
    _Rule("requirements file", r"pip install -r (\S+\.txt)", lambda _, name: (ROOT / name).is_file()),
    _Rule("extra", r"'\.\[(\w+)\]'", lambda studio, name: name in studio.extras),
    _Rule("make target", r"(?:`|[Ss]ay:? |[Rr]un:? )make ([a-z]+)\b", lambda studio, name: name in studio.make_targets),
    _Rule("variable", r"\b(TIDAL_[A-Z_]+)\b", lambda studio, name: name in studio.variables),
)


def _words_after(text: str, program: str) -> Iterator[list[str]]:
    """The words of each command line that begins with ``program``, up to the end of the sentence or of the code."""
    for match in re.finditer(rf"\b{program} ([^`;:()#|\n]*)", text):
        words = match[1].split()
        end = next((place for place, word in enumerate(words) if word.endswith((",", "."))), len(words))
        yield [word.rstrip(",.") for word in words[: end + 1]]


def _options_of_another_command(text: str, studio: Studio) -> Iterator[str]:
    for program in ("tidal-studio", "python -m tidal_core"):
        for words in _words_after(text, program):
            name = words[0] if words and words[0] in studio.commands else ""
            for word in words:
                if re.fullmatch(r"--[a-z][a-z-]*", word) and word not in studio.commands[name]:
                    yield f"option {word!r} of {name or 'the start'!r}"


def _packages_to_install(text: str, studio: Studio) -> Iterator[str]:
    for words in _words_after(text, "pip install"):
        for word in words:
            if re.fullmatch(r"[a-z][a-z0-9_-]+", word) and not _is_package(studio, word):
                yield f"package {word!r}"


def missing_from(text: str, studio: Studio) -> list[str]:
    """What a text names that the studio does not have, and what it must never recommend."""
    missing = [*_options_of_another_command(text, studio), *_packages_to_install(text, studio)]
    text = re.sub(r"\s+", " ", text)
    missing += [name for rule in _RULES for name in rule.missing(text, studio)]
    return missing + [f"remedy {remedy!r}" for remedy in FORBIDDEN if remedy.lower() in text.lower()]


def missing_commands(text: str, studio: Studio) -> list[str]:
    """Names in backquotes, as ``--help`` writes commands, that are none."""
    return [f"command {name!r}" for name in re.findall(r"`([a-z][a-z-]*)`", text) if name not in studio.commands]


def report(texts: Iterable[Message], studio: Studio) -> list[str]:
    """A line for each thing that a message names and that is not there."""
    return [f"{message.where}: {name}" for message in texts for name in missing_from(message.text, studio)]
