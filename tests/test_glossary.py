"""docs/glossary.md: one line and one meaning for each word, found from where people start to read."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TERMS = re.findall(r"^- \*\*(.+?)\*\*: ", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)

WORDS = (
    "Project", "Image", "Class", "Label", "Answer", "Skip", "Flag", "Undo", "Round", "Epoch", "Query", "Batch",
    "Audit sample", "Test image", "Training dynamics", "Unsettled", "Snapshot", "Final prediction", "Suggestion",
    "Strategy", "Features", "Pretrained model", "Exact dynamics", "Calibration error", "Run",
    "Configuration", "Experiment", "Checkpoint", "Pixel cache", "Preview", "Annotator", "Sheet",
)  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_pages_has_one_line(word: str) -> None:
    assert TERMS.count(word) == 1


def test_no_word_has_two_meanings() -> None:
    assert len(TERMS) == len({term.lower() for term in TERMS})


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_the_glossary_is_found_from_where_people_start(page: str) -> None:
    assert "glossary.md" in (ROOT / page).read_text(encoding="utf-8")
