"""How the code is laid out: rooms, imports between them, circles, sizes. Reads the source; runs none of it.

    python -m benchmarks.structure [--root FOLDER] [--quick]

A room is what lies at the first level below ``tidal_core``: a package, or a module of its own. Imports between rooms
count once a pair of rooms; those inside functions count, too. A circle is a set of modules that import each other.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def modules_of(root: Path) -> dict[str, Path]:
    """Dotted name of each module below ``root/tidal_core``, and its file."""
    modules = {}
    for path in sorted((root / "tidal_core").rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        modules[name.removesuffix(".__init__")] = path
    return modules


def tree_of(path: Path) -> ast.Module:
    """A source file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_by(tree: ast.Module, *, at_the_top: bool = False) -> Iterator[str]:
    """Dotted names that a module imports; ``at_the_top``: without those in functions and under TYPE_CHECKING."""
    for node in tree.body if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def import_graph(modules: dict[str, Path], *, at_the_top: bool = False) -> dict[str, set[str]]:
    """Which of our modules each of our modules imports; a package's ``__init__`` runs before what is inside it."""

    def module_of(name: str) -> str:
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    graph: dict[str, set[str]] = {}
    for name, path in modules.items():
        targets = {module_of(target) for target in imported_by(tree_of(path), at_the_top=at_the_top)}
        if at_the_top:
            targets |= {module_of(target.rpartition(".")[0]) for target in targets}
        graph[name] = targets - {"", "tidal_core", name}
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Sets of modules that reach each other by imports, each sorted (Tarjan's strongly connected components)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = sorted(graph)
    index = {name: i for i, name in enumerate(names)}
    edges = [(index[a], index[b]) for a, targets in graph.items() for b in targets]
    if not edges:
        return []
    rows, columns = zip(*edges, strict=True)
    _, component = connected_components(
        coo_array(([1] * len(edges), (rows, columns)), shape=(len(names), len(names))), connection="strong"
    )
    groups: dict[int, list[str]] = {}
    for name in names:
        groups.setdefault(int(component[index[name]]), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def room_of(module: str) -> str:
    """The first level below ``tidal_core``."""
    return module.split(".")[1] if "." in module else module


def function_lengths(modules: dict[str, Path]) -> list[tuple[int, str]]:
    """Lines of each function or method, with its place."""
    return sorted(
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{name}.{node.name}")
        for name, path in modules.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def measure(root: Path) -> dict[str, object]:
    """Every figure of this benchmark."""
    modules = modules_of(root)
    graph = import_graph(modules)
    pairs = {(room_of(a), room_of(b)) for a, targets in graph.items() for b in targets if room_of(a) != room_of(b)}
    lengths = sorted((len(path.read_text(encoding="utf-8").splitlines()), name) for name, path in modules.items())
    functions = function_lengths(modules)
    top = [p for p in (root / "tidal_core").glob("*.py") if p.stem not in {"__init__", "__main__"}]
    return {
        "benchmark": "structure",
        "rooms": len({room_of(name) for name in modules if name not in {"tidal_core", "tidal_core.__main__"}}),
        "imports_between_rooms": len(pairs),
        "circles": circles(graph),
        "modules": len(modules),
        "modules_at_the_top": len(top),
        "module_lines_median": statistics.median(n for n, name in lengths if n > 1),
        "module_lines_longest": lengths[-1],
        "function_lines_median": statistics.median(n for n, _ in functions),
        "function_lines_longest": functions[-1],
    }


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to measure")
    parser.add_argument("--quick", action="store_true", help="the same: it takes a second")
    print(json.dumps(measure(parser.parse_args().root)))


if __name__ == "__main__":
    main()
