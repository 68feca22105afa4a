"""Who may import whom: the layout's rules, read from the source."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "tidal_core"

NUMPY_ONLY = {"numpy"}
METHOD = {"torch", "torchvision", "numpy", "safetensors", "PIL"}
ARRAYS = {"numpy", "scipy", "sklearn"}

# module or package below tidal_core -> third-party packages it may import, our modules it may not
RULES = {
    "records.py": (NUMPY_ONLY, {"*"}),
    "errors.py": (set(), {"*"}),
    "tidal.py": (METHOD, {"store", "ui", "figures", "rounds", "worker"}),
    "backbones.py": (METHOD, {"store", "ui", "figures", "rounds", "worker"}),
    "training.py": (METHOD, {"store", "ui", "figures", "rounds", "worker"}),
    "scoring.py": (METHOD, {"store", "ui", "figures", "rounds", "worker"}),
    **{
        name: (METHOD | {"psutil"}, {"store", "ui", "figures", "rounds", "worker", "strategies"})
        for name in (
            "model.py",
            "batches.py",
            "checkpoints.py",
            "curves.py",
            "devices.py",
            "optimizers.py",
            "folding.py",
        )
    },
    "companions": (METHOD, {"store", "ui", "figures", "rounds", "worker"}),
    "strategies": (ARRAYS, {"store", "ui", "figures", "rounds", "worker", "training", "scoring", "tidal"}),
    "dynamics.py": (ARRAYS, {"store", "ui", "figures", "rounds", "worker", "training"}),
    "theory.py": (ARRAYS, {"store", "ui", "figures", "rounds", "worker", "training"}),
    "store": ({"duckdb", "numpy", "pyarrow"}, {"ui", "figures", "rounds", "worker", "training", "tidal"}),
    "figures": ({"plotly", "numpy", "scipy"}, {"store", "ui", "rounds", "worker", "training", "tidal"}),
}


def imports(path: Path, *, module_level_only: bool = False) -> set[str]:
    """Dotted names that a file imports; those under ``if TYPE_CHECKING`` count too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if module_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(name: str) -> list[Path]:
    place = CORE / name
    return sorted(place.rglob("*.py")) if place.is_dir() else [place] if place.exists() else []


@pytest.mark.parametrize("name", RULES)
def test_a_module_imports_only_what_the_layout_allows(name: str) -> None:
    allowed, forbidden = RULES[name]

    for path in files(name):
        for imported in imports(path):
            top, _, rest = imported.partition(".")
            if top == "tidal_core":
                ours = rest.split(".")[0]
                if "*" in forbidden:
                    assert ours in {"errors", "records"}, f"{path} imports {imported}"
                assert ours not in forbidden, f"{path} imports {imported}"
            elif top not in sys.stdlib_module_names:
                assert top in allowed, f"{path} imports {imported}"


def test_only_the_user_interface_imports_streamlit() -> None:
    for path in CORE.rglob("*.py"):
        if path.is_relative_to(CORE / "ui"):
            continue
        assert not any(name.split(".")[0] == "streamlit" for name in imports(path)), path


def test_pages_do_not_import_torch_when_they_open() -> None:
    for path in [*(ROOT / "pages").glob("*.py"), ROOT / "app.py"]:
        if path.exists():
            names = imports(path)
            assert not any(name.split(".")[0] in {"torch", "torchvision"} for name in names), path
