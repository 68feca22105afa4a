"""How to start the studio again, in the words of the README."""

from __future__ import annotations

from pathlib import Path

from tidal_core.ui.connection import start_again

ROOT = Path(__file__).parents[2]


def test_what_starts_the_studio_again_is_a_command_of_the_readme_at_the_same_address(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert start_again(ROOT, 8501) == (str(ROOT), "make run")
    assert start_again(ROOT, 9000) == (str(ROOT), ".venv/bin/streamlit run app.py --server.port 9000")
    assert start_again(tmp_path, 8600) == ("", "tidal-studio --port 8600")
    for command in ("make run", ".venv/bin/streamlit run app.py", "`--port N`"):
        assert command in readme
