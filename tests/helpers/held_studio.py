"""``streamlit`` with its rounds held: ``python -m tests.helpers.held_studio GATE_FOLDER run app.py ...``."""

import sys
from pathlib import Path

import pytest
from streamlit.web.cli import main

from tests.helpers.gates import RoundGate

if __name__ == "__main__":
    RoundGate(Path(sys.argv.pop(1)), 0).install(pytest.MonkeyPatch())
    main()
