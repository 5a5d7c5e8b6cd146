"""The rules of the layout: imports point one way, no cycles, small rooms, short functions."""

import ast
from graphlib import TopologicalSorter

from lib.paths import PROJECT

ROOMS = ["errors paths files progress config", "papers", "data", "features", "models"]
ROOMS += ["evaluation", "plots", "runs", "training", "analysis", "tables", "score predict"]
ROOMS += ["reports", "export rehearsal", "__main__ worker"]
RANK = {name: rank for rank, names in enumerate(ROOMS) for name in names.split()}
PATHS = sorted((PROJECT / "lib").rglob("*.py"))
NAMES = [".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in PATHS]
NAMES = [name.removesuffix(".__init__") for name in NAMES]
TREES = {name: ast.parse(path.read_text()) for name, path in zip(NAMES, PATHS, strict=True)}


def imported_modules(module: str) -> set[str]:
    """Modules of this project that a module imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            targets = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in TREES else str(node.module) for name in targets}
    return {name for name in names if name.split(".")[0] in ("lib", "benchmarks", "tests")}


IMPORTS = {module: imported_modules(module) - {"lib", module} for module in TREES}


def room_of(module: str) -> str:
    """The folder below `lib` (or the file in it) that a module belongs to."""
    return module.split(".")[1] if module.startswith("lib.") else module


def test_imports_point_to_rooms_below():
    wrong = []
    for module in TREES.keys() - {"lib"}:
        rank = RANK.get(room_of(module), -1)  # a module in no room may import nothing
        for name in IMPORTS[module]:
            same = room_of(name) == room_of(module)
            if not same and RANK.get(room_of(name), len(ROOMS)) > rank:
                wrong.append(f"{module} imports {name}")
    assert not wrong, "\n".join(sorted(wrong))


def test_imports_have_no_cycles():
    TopologicalSorter(IMPORTS).prepare()  # raises CycleError, which names the cycle


def test_a_room_has_at_most_twelve_modules():
    for room in {path.parent for path in PATHS}:
        modules = [path.name for path in room.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 12, f"{room}: {len(modules)} modules"


def test_no_function_is_longer_than_fifty_lines():
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                lines = node.end_lineno - node.lineno + 1
                assert lines <= 50, f"{module}.{node.name}: {lines} lines"
