"""Who may import whom: the layout's rules, read from the source. docs/architecture.md draws them."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.structure import circles, import_graph, imported_by, modules_of, room_of, tree_of

ROOT = Path(__file__).parent.parent
MODULES = modules_of(ROOT)
GRAPH = import_graph(MODULES)

GROUND = {
    "records", "estimator_facts", "errors", "json_checks", "config", "projects", "ownership", "files", "text", "cli",
    "__main__",
}  # fmt: skip
"""Modules beside the rooms. They import no room, but for the store (an open project has one) and the commands."""

COMPUTING = {"torch", "torchvision", "numpy", "safetensors", "psutil"}
ARRAYS = {"numpy", "scipy", "sklearn"}
TABLES = {"numpy", "pyarrow"}

# room -> rooms it may import, third-party packages it may import
ROOMS: dict[str, tuple[set[str], set[str]]] = {
    "method": (set(), ARRAYS | {"torch", "nltk", "cleanlab"}),
    "engine": ({"method", "images"}, COMPUTING | {"timm", "huggingface_hub", "openTSNE", "joblib", "ray"}),
    "strategies": ({"method"}, ARRAYS),  # of it three modules only, see below
    "images": ({"store"}, TABLES | {"PIL", "fsspec", "aiohttp", "torchvision", "pillow_heif", "charset_normalizer",
               "yaml"}),
    "store": (set(), TABLES | {"duckdb", "lark"}),
    "rounds": ({"store", "images", "engine", "method", "strategies"}, {"numpy"}),
    "labelling": ({"store", "rounds", "strategies", "method"}, {"numpy"}),
    "access": (set(), {"starlette", "itsdangerous", "jinja2", "psutil", "msgspec"}),
    "server": ({"access", "store", "images", "rounds", "labelling", "export", "figures"},
               {"starlette", "psutil", "msgspec", "numpy"}),
    "export": ({"store", "images", "engine", "method", "strategies", "figures"},  # of figures numbers only, see below
               TABLES | {"torch", "safetensors", "onnx", "jinja2", "yaml", "PIL", "imageio_ffmpeg"}),
    "snapshots": ({"store", "images"}, {"numpy", "psutil", "msgspec"}),
    "experiments": (
        {"store", "images", "engine", "method", "strategies"},
        TABLES
        | {"torch", "torchvision", "typer", "msgspec", "rich", "PIL", "joblib", "psutil", "scipy", "sklearn"}
        | {"filelock"},
    ),
    "figures": ({"method", "experiments"}, {"plotly", "pandas", "numpy", "scipy"}),
    "ui": (
        {"access", "store", "images", "rounds", "labelling", "server", "export", "experiments", "figures", "method",
         "engine", "strategies"},
        {"streamlit", "starlette", "itsdangerous", "plotly", "numpy", "PIL"},
    ),
    "commands": (
        {"access", "store", "images", "rounds", "labelling", "server", "export", "snapshots", "experiments", "engine",
         "strategies", "figures"},
        {"typer", "rich", "psutil"},
    ),
}  # fmt: skip

EXCEPTIONS: dict[str, set[str]] = {
    "experiments": {"tidal_core.rounds.audit"},  # arrays and the store only: the audit sample's law is written once
    "export": {"tidal_core.rounds.measured"},  # the store only: what accuracy is measured on is chosen once
}
"""Single modules of other rooms that a room may import, each with its reason."""

# module -> what it may import of ours, and of third parties; the rest of the ground may import the ground only
OF_THE_GROUND: dict[str, tuple[set[str], set[str]]] = {
    "records": (set(), {"numpy"}),
    "estimator_facts": ({"records"}, {"numpy"}),
    "errors": (set(), set()),
    "json_checks": ({"errors"}, {"msgspec"}),
    "config": ({"errors", "json_checks"}, set()),
    "files": ({"errors"}, {"psutil"}),
    "ownership": ({"errors", "files", "json_checks"}, {"filelock", "psutil", "msgspec"}),
    "text": ({"config", "errors"}, set()),
    "projects": ({"config", "errors", "files", "store", "text"}, {"platformdirs"}),
    "cli": ({"commands", "errors", "experiments"}, {"typer", "rich"}),
    "__main__": ({"cli"}, set()),
}

# Modules that a page opens with, or that torch must never be needed for.
WITHOUT_TORCH = {
    "engine.executors", "engine.features.planes",
    "engine.published_weights", "engine.speed_trial", "figures", "labelling", "method.calibration", "method.dynamics",
    "method.estimators",
    "method.finishing",
    "method.stopping", "method.theory", "rounds.audit", "rounds.due", "rounds.finishing",
    "rounds.maps", "rounds.worker",
    "rounds.queue_plan", "server", "access",
    "store", "strategies", "ui", "images", "ownership", "projects", "experiments.owner", "experiments.protocol",
    "experiments.separation", "export.tables",
}  # fmt: skip


def third_party(module: str) -> set[str]:
    """Top-level packages from outside that a module imports, anywhere in it."""
    tops = {name.split(".")[0] for name in imported_by(tree_of(MODULES[module]))}
    return tops - set(sys.stdlib_module_names) - {"tidal_core"}


def inside(room: str) -> list[str]:
    return [name for name in MODULES if name == f"tidal_core.{room}" or name.startswith(f"tidal_core.{room}.")]


def test_every_room_has_its_rule() -> None:
    rooms = {room_of(name) for name in MODULES} - {"tidal_core"}

    assert rooms <= ROOMS.keys() | GROUND
    assert not rooms & ROOMS.keys() & GROUND


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_the_layout_allows(room: str) -> None:
    rooms, packages = ROOMS[room]
    for module in inside(room):
        for target in GRAPH[module] - EXCEPTIONS.get(room, set()):
            assert room_of(target) in rooms | GROUND - {"cli"} | {room}, f"{module} imports {target}"
        assert third_party(module) <= packages, module


@pytest.mark.parametrize("name", OF_THE_GROUND)
def test_the_ground_imports_nothing_above_it(name: str) -> None:
    ours, packages = OF_THE_GROUND[name]
    for module in inside(name):
        for target in GRAPH[module]:
            assert room_of(target) in ours, f"{module} imports {target}"
        assert third_party(module) <= packages, module


def test_the_ground_is_what_lies_beside_the_rooms() -> None:
    beside = {path.stem for path in (ROOT / "tidal_core").glob("*.py")} - {"__init__"}

    assert beside <= GROUND


def test_every_room_says_what_it_is_for_what_it_may_import_and_where_to_add() -> None:
    for room in ROOMS:
        said = (ROOT / "tidal_core" / room / "__init__.py").read_text(encoding="utf-8").split('"""')[1]
        assert "May import:" in said, room
        assert "Add here:" in said or "is a new" in said, room


def test_there_is_no_circle_of_imports_not_even_one_hidden_in_a_function() -> None:
    assert circles(GRAPH) == []


def test_images_hide_no_import_of_ours_in_a_function() -> None:
    """Nothing there is worth importing late but other people's packages, so one that is hidden dodges a circle."""
    for module in inside("images"):
        tree = tree_of(MODULES[module])
        hidden = set(imported_by(tree)) - set(imported_by(tree, at_the_top=True))
        assert not {name for name in hidden if name.startswith("tidal_core")}, module


def test_the_pixel_store_is_imported_by_its_face_alone() -> None:
    room = "tidal_core.images.pixels"
    for module, targets in GRAPH.items():
        if module != room and not module.startswith(f"{room}."):
            assert not {target for target in targets if target.startswith(f"{room}.")}, module


def test_strategies_know_estimators_calibration_and_active_lab_and_nothing_else_of_the_method() -> None:
    for module in inside("strategies"):
        of_the_method = {target for target in GRAPH[module] if room_of(target) == "method"}
        assert of_the_method <= {f"tidal_core.method.{name}" for name in ("estimators", "calibration", "crowdlab")}, (
            module
        )


def test_whatever_leaves_or_serves_takes_the_numbers_of_figures_and_never_draws_them() -> None:
    for module in (name for room in ("export", "server") for name in inside(room)):
        of_figures = {target for target in GRAPH[module] if room_of(target) == "figures"}
        assert of_figures <= {"tidal_core.figures.replay", "tidal_core.figures.palettes"}, module


def test_only_the_pages_and_their_parts_import_streamlit() -> None:
    for module in MODULES:
        if room_of(module) != "ui":
            assert "streamlit" not in third_party(module), module


def test_only_the_store_speaks_sql() -> None:
    for module in MODULES:
        if room_of(module) != "store":
            assert "duckdb" not in third_party(module), module


def test_pages_do_not_import_torch_when_they_open() -> None:
    for path in [*(ROOT / "pages").glob("*.py"), ROOT / "app.py"]:
        names = set(imported_by(tree_of(path)))
        assert not any(name.split(".")[0] in {"torch", "torchvision"} for name in names), path


def test_no_page_and_nothing_that_serves_one_can_start_ray() -> None:
    """It is started in a command's own process. Who chooses an executor can; whoever is given one cannot."""
    assert {name for name in MODULES if "ray" in third_party(name)} == {"tidal_core.engine.executors.ray_cluster"}
    starters = {"tidal_core.engine.executors.ray_cluster", "tidal_core.engine.executors.choosing"}
    who = {name for name, targets in GRAPH.items() if targets & starters} - starters
    assert who == {"tidal_core.commands.computing", "tidal_core.experiments.command"}
    served = [*(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    assert not {path for path in served if set(imported_by(tree_of(path))) & (starters | who)}
    beside_pages = ("ui", "server", "labelling", "rounds")
    assert not {name for room in beside_pages for name in inside(room) if GRAPH[name] & (starters | who)}


AT_THE_TOP = import_graph(MODULES, at_the_top=True)


def loading_at_the_top(package: str) -> set[str]:
    """Our modules that load a package from outside when they are imported, by themselves."""
    return {
        name
        for name, path in MODULES.items()
        if any(found.split(".")[0] == package for found in imported_by(tree_of(path), at_the_top=True))
    }


def reached_from(start: str) -> set[str]:
    """What an import of one of our modules imports of ours; what stands in a function comes when it is called."""
    reached, left = {start}, [start]
    while left:
        for target in AT_THE_TOP[left.pop()] - reached:
            reached.add(target)
            left.append(target)
    return reached


def test_what_a_page_opens_with_does_not_need_torch() -> None:
    torch_itself = loading_at_the_top("torch")
    for start in (name for room in WITHOUT_TORCH for name in inside(room)):
        reached = reached_from(start)
        assert not reached & torch_itself, f"{start} needs torch by way of {sorted(reached & torch_itself)}"


def test_the_first_page_does_not_wait_for_plotly() -> None:
    plotly_itself = loading_at_the_top("plotly") | loading_at_the_top("pandas")
    first_page = {ROOT / "app.py", ROOT / "pages" / "label.py"}
    for start in {name for path in first_page for name in imported_by(tree_of(path)) if name in MODULES}:
        reached = reached_from(start)
        assert not reached & plotly_itself, f"{start} needs Plotly by way of {sorted(reached & plotly_itself)}"


def test_whoever_draws_has_the_common_look_which_loads_pandas_before_plotly() -> None:
    """Plotly takes a pandas that another thread is still loading for a whole one, and its figure fails."""
    for module in loading_at_the_top("plotly") - {"tidal_core.figures.look"}:
        assert "tidal_core.figures.look" in reached_from(module), module
    loaded = "import sys, tidal_core.figures.look; print(*sys.modules)"
    order = subprocess.check_output([sys.executable, "-c", loaded], cwd=ROOT, text=True).split()
    assert order.index("pandas") < order.index("plotly")
