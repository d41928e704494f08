"""The house: floors, circles, private names, registries. A new folder or file has its place in FLOORS."""

import ast
from pathlib import Path

import pytest

import skalss
from skalss import latent, neighbors, oracles, selective, strategies, targets
from skalss.campaign.stopping import MaxLabels
from skalss.selective.base import PoolSelector
from skalss.selective.hardest import HardestRows
from skalss.selective.net import SELECTORS

# From the ground up. A room imports only from the floors below its own, or from itself.
FLOORS = [
    {"utils"},
    {"scores", "nets", "augment", "schedules", "neighbors"},
    {"oracles", "targets", "datasets"},
    {"latent", "ledger", "network", "simulation"},
    {"selective", "strategies"},
    {"campaign"},
    {"sampler"},
    {"compare"},
    {"display"},
    {"benchmarks"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
NO_PUBLIC_NAME = {PoolSelector, MaxLabels}  # a base, and what `max_labels` is
# Of os, skorch and torch.
FOREIGN_PRIVATE = {"_exit", "_get_predict_nonlinearity", "_modules", "_orig_mod", "_optimizers", "_schema"}

ROOT = Path(skalss.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def module_name(path):
    """``skalss.latent.vae`` for .../skalss/latent/vae.py, ``skalss.latent`` for its __init__.py."""
    parts = (ROOT.name, *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(path):
    name = module_name(path)
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def imported_names(tree, package):
    """Return the dotted names that `tree` imports anywhere, as seen from a module inside `package`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            # `from skalss import scores` imports a room, `from skalss.scores import mms` a name in one
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def defined_names(tree):
    """Return the private names that a file binds itself: functions, attributes of self, fields, locals."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_room_imports_only_from_the_floors_below(path):
    room = module_name(path).split(".")[1]
    assert room in FLOOR_OF, f"{room!r} is on no floor: add it to FLOORS, above everything it imports from."
    for name in sorted(imported_names(parse(path), package_of(path))):
        top, *rest = name.split(".")
        if top != "skalss":
            continue
        assert rest, f"{module_name(path)} imports the whole package; import from the module that is meant."
        assert rest[0] == room or FLOOR_OF[rest[0]] < FLOOR_OF[room], (
            f"{module_name(path)} imports {name}, which is on the same floor as {room!r} or above it."
        )


def test_no_import_goes_round_in_a_circle():
    """Two files of one room may not need each other either."""
    known = {module_name(path): path for path in MODULES}
    needs = {}
    for name, path in known.items():
        found = imported_names(parse(path), package_of(path))
        targets = {n if n in known else n.rpartition(".")[0] for n in found}
        needs[name] = {t for t in targets if t in known and t != name and known[t].name != "__init__.py"}
    done = set()

    def visit(name, trail):
        assert name not in trail, f"imports in a circle: {' -> '.join([*trail, name])}"
        if name not in done:
            for other in sorted(needs[name]):
                visit(other, [*trail, name])
            done.add(name)

    for name in needs:
        visit(name, [])


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_no_private_name_of_another_module_is_used(path):
    tree = parse(path)
    imported = {
        n.rpartition(".")[2] for n in imported_names(tree, package_of(path)) if n.startswith("skalss")
    }
    foreign = {name for name in imported if is_private(name)}
    bases = {
        base for n in ast.walk(tree) if isinstance(n, ast.ClassDef) for base in map(ast.unparse, n.bases)
    }
    own = defined_names(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr) or node.attr in own:
            continue
        owner = ast.unparse(node.value)
        # What a class inherits is its own: a base says so in its docstring.
        if owner in ("self", "cls", "super()") and bases:
            continue
        foreign.add(node.attr)
    foreign -= {"_fields", "_replace", "_asdict"}  # NamedTuple's public methods
    assert not foreign - FOREIGN_PRIVATE, (
        f"{module_name(path)} uses {sorted(foreign - FOREIGN_PRIVATE)} of another module. Give it a public "
        "name there, or a method that does what is wanted."
    )


@pytest.mark.parametrize("path", [ROOT / "__init__.py", *MODULES], ids=module_name)
def test_matplotlib_is_imported_only_by_display_and_inside_functions(path):
    tree = parse(path)
    if module_name(path).split(".")[1:2] == ["display"]:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = []  # what is imported here is imported only when called
    names = imported_names(tree, package_of(path))
    offending = {name for name in names if name.split(".")[0] == "matplotlib"}
    assert not offending, (
        f"{module_name(path)} imports {', '.join(sorted(offending))}; matplotlib is optional, so import it "
        "in skalss.display only, inside the function that plots."
    )


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("from .utils.tensors import chunks", "skalss", {"skalss.utils.tensors.chunks"}),
        ("from . import scores", "skalss", {"skalss.scores"}),
        ("from ..scores import mms", "skalss.strategies", {"skalss.scores.mms"}),
        ("from .. import __version__", "skalss.latent", {"skalss.__version__"}),
        ("def f():\n    import skalss.nets", "skalss", {"skalss.nets"}),
        ("import numpy as np", "skalss", {"numpy"}),
    ],
)
def test_imports_are_resolved(source, package, expected):
    assert imported_names(ast.parse(source), package) == expected


def subclasses(base):
    for cls in base.__subclasses__():
        if cls.__module__.startswith("skalss."):
            yield cls
            yield from subclasses(cls)


@pytest.mark.parametrize(
    ("base", "package", "registry"),
    [
        (
            strategies.BaseStrategy,
            strategies,
            lambda: {type(make()) for make in strategies.STRATEGIES.values()},
        ),
        (targets.BaseTarget, targets, lambda: set(targets.TARGETS)),
        (neighbors.BaseIndex, neighbors, lambda: set(neighbors.INDEXES.values())),
        (skalss.StoppingRule, skalss, None),
        (selective.BaseSelector, selective, lambda: {type(make()) for make in SELECTORS.values()}),
        (latent.BaseLatentModel, latent, None),
        (oracles.BaseOracle, oracles, None),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_there_is_exported_and_has_its_name(base, package, registry):
    inside = [cls for cls in subclasses(base) if cls.__module__.startswith(package.__name__)]
    found = {cls for cls in inside if not cls.__name__.startswith("Base")} - NO_PUBLIC_NAME
    assert found
    assert {cls.__name__ for cls in found} <= set(package.__all__)
    if registry is not None:
        assert found - {strategies.SkactivemlStrategy} <= registry() | {HardestRows}  # it needs one of theirs
