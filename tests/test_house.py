"""What holds the house up: imports point one way, and a command imports what it needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline

PACKAGE = Path(pipeline.__file__).parent

# A room may import from the rooms named after it, and from the foundations.
FOUNDATIONS = {
    "errors",
    "config",
    "suggestions",
    "stopwatch",
    "backend",
    "processor",
    "file_digests",
    "file_locks",
    "array_cache",
    "addresses",
    "download_cache",
    "storage",
    "mapped_rows",
    "npy_writer",
    "atomic_files",
    "shutdown",
    "secrets",
    "console",
    "progress_bar",
    "keras_files",
    "html_table",
    "metric_direction",
    "even_spacing",
}
ARROWS: dict[str, set[str]] = {
    "api": {"workflows", "recipe", "tracking", "tuning", "inference"},
    "cli": {
        "api",
        "workflows",
        "tuning",
        "evaluation",
        "tracking",
        "features",
        "recipe",
        "inference",
        "export",
        "tasks",
    },
    "workflows": {
        "cluster",
        "trials",
        "stages",
        "recipe",
        "data",
        "training",
        "tracking",
        "tuning",
        "evaluation",
        "inference",
        "engines",
        "tasks",
    },
    "trials": {
        "cluster",
        "stages",
        "recipe",
        "tuning",
        "tracking",
        "evaluation",
        "features",
        "data",
        "models",
    },
    "stages": {
        "cluster",
        "recipe",
        "features",
        "engines",
        "data",
        "models",
        "training",
        "evaluation",
        "tracking",
        "inference",
        "tasks",
    },
    "recipe": {"data", "models", "tasks", "training", "tuning"},
    "features": {"cluster", "engines", "training", "models", "data", "tasks"},
    "inference": {"cluster", "engines", "data", "evaluation", "tasks"},
    "export": {"inference", "engines", "data", "evaluation", "tasks"},
    "cluster": set(),
    "engines": set(),
    "training": set(),
    "evaluation": set(),
    "tracking": set(),
    "models": set(),
    "tuning": set(),
    "data": {"tasks"},
    "tasks": {"training", "evaluation", "models"},
}
SOLE_IMPORTERS = {"mlflow": "tracking", "keras_tuner": "tuning", "matplotlib": "evaluation"}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Return the dotted names of everything that a file imports, wherever it does."""
    return dotted_names(ast.parse(path.read_text(encoding="utf-8")))


def dotted_names(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imports_of(path) if name.startswith("pipeline.")}
    rooms -= {room, "__version__"}
    if room in ("__init__", "__main__"):
        return
    if room in FOUNDATIONS:
        assert rooms <= FOUNDATIONS
    else:
        assert rooms <= ARROWS[room] | FOUNDATIONS


def test_no_file_is_too_long_to_read_in_one_sitting() -> None:
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in files()}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_one_name_is_one_module_and_one_class() -> None:
    names: dict[str, set[str]] = {}
    for path in files():
        if path.stem == "__init__":
            continue
        names.setdefault(path.stem, set()).add(str(path))
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                names.setdefault(node.name, set()).add(str(path))
    assert {name: places for name, places in names.items() if len(places) > 1} == {}


def test_only_what_light_commands_load_imports_inside_functions() -> None:
    code = (
        "import sys; from pipeline.cli import main; assert main(sys.argv[1:]) == 0; "
        "print(*(name for name in sys.modules if name.startswith('pipeline')))"
    )
    recipes = [str(path) for path in (PACKAGE.parent / "recipes").glob("*.yaml")]
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", *recipes],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        check=True,
    )
    light = set(done.stdout.split())
    for path in files():
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        functions = (
            node
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.FunctionDef)
        )
        inside = [
            ast.unparse(node)
            for function in functions
            for node in ast.walk(function)
            if isinstance(node, ast.Import | ast.ImportFrom)
        ]
        assert not inside or module.removesuffix(".__init__") in light, (module, inside)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_room_alone_imports_each_heavy_library(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imports_of(path)}
    for library, room in SOLE_IMPORTERS.items():
        assert library not in libraries or room_of(path) == room


def module_imports_of(path: Path) -> set[str]:
    """Return the dotted names of everything that importing a file imports."""
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    imports = ast.Module(
        [each for each in statements if isinstance(each, ast.Import | ast.ImportFrom)], []
    )
    return dotted_names(imports)


def transitive_imports(path: Path) -> set[str]:
    """Return the libraries that importing a file of the package imports, by way of others too."""
    libraries: set[str] = set()
    seen, pending = set(), [path]
    while pending:
        names = module_imports_of(pending.pop())
        libraries |= {name.split(".")[0] for name in names}
        for name in names:
            parts = name.split(".")[1:]
            for candidate in (PACKAGE.joinpath(*parts), PACKAGE.joinpath(*parts[:-1])):
                file = candidate.with_suffix(".py")
                if name.startswith("pipeline.") and file.is_file() and file not in seen:
                    seen.add(file)
                    pending.append(file)
    return libraries


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("inference/classifier.py", set()),
        ("inference/batch_prediction.py", set()),
        ("inference/verification_worker.py", set()),
        ("inference/pyfunc_model.py", {"pandas"}),
    ],
)
def test_inference_imports_no_library_of_evaluation(module: str, allowed: set[str]) -> None:
    libraries = transitive_imports(PACKAGE / module)
    assert {"numpy", "PIL"} <= libraries
    assert libraries & {"sklearn", "scipy", "matplotlib", "pandas"} == allowed


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list"], ["schema"], ["validate", "recipes/digits_lenet.yaml"]],
    ids=lambda arguments: arguments[0],
)
def test_a_light_command_imports_no_engine(arguments: list[str]) -> None:
    code = (
        "import sys; from pipeline.cli import main; assert main(sys.argv[1:]) == 0; "
        "heavy = {'tensorflow', 'keras', 'mlflow', 'numpy', 'sklearn', 'matplotlib', 'fsspec'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        check=False,
    )
    assert done.returncode == 0, done.stderr
