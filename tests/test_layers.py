"""The layout: each module of skalss imports only from the layers above it in one list."""

import ast
from pathlib import Path

import pytest

import skalss

# From the first layer to the last. A subpackage is one layer. The package's own __init__ may import all.
LAYERS = [
    "_torch",
    "_compat",
    "_scaling",
    "_checks",
    "_settings",
    "scores",
    "latent",
    "oracles",
    "simulation",
    "ledger",
    "neighbors",
    "pseudo_labels",
    "nets",
    "_iterator",
    "_mixing",
    "_skorch",
    "selective",
    "tasknet",
    "strategies",
    "_interrupt",
    "_pool",
    "_questions",
    "_records",
    "_costs",
    "_models",
    "_control",
    "_agreement",
    "_saving",
    "_ledger_pool",
    "_campaign_ledger",
    "_buying",
    "_store",
    "_fitted",
    "campaign",
    "sampler",
    "_runs",
    "compare",
    "display",
    "datasets",
    "benchmarks",
]
ALLOWED_INSTEAD = {
    "datasets": {"_torch", "_checks"}
}  # stricter than the list: pools know nothing of the methods

ROOT = Path(skalss.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def module_name(path):
    """``skalss.latent.vae`` for .../skalss/latent/vae.py, ``skalss.latent`` for its __init__.py."""
    parts = (ROOT.name, *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree, package):
    """Give the dotted names that `tree` imports anywhere, as seen from a module inside `package`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            # `from skalss import scores` imports a layer, `from skalss.scores import mms` a name of one
            names |= {f"{base}.{alias.name}" for alias in node.names}
    return names


def package_of(path):
    name = module_name(path)
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_module_imports_only_from_layers_above_it(path):
    layer = module_name(path).split(".")[1]
    assert layer in LAYERS, (
        f"{path.relative_to(ROOT.parent)} is in no layer: add {layer!r} to LAYERS in {Path(__file__).name}, "
        "below everything it imports from and above everything that imports it."
    )
    allowed = ALLOWED_INSTEAD.get(layer, set(LAYERS[: LAYERS.index(layer)])) | {layer}
    for name in sorted(imported_names(parse(path), package_of(path))):
        top, *rest = name.split(".")
        if top != "skalss":
            continue
        assert rest, f"{module_name(path)} imports the whole package; import from the module that is meant."
        assert rest[0] in allowed, (
            f"{module_name(path)} imports {name}, but {layer!r} may import only from: "
            f"{', '.join(other for other in LAYERS if other in allowed)}."
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
        ("from ._torch import chunks", "skalss", {"skalss._torch.chunks"}),
        ("from . import scores", "skalss", {"skalss.scores"}),
        ("from ..scores import mms", "skalss.strategies", {"skalss.scores.mms"}),
        ("from .. import __version__", "skalss.latent", {"skalss.__version__"}),
        ("from skalss import nets", "skalss", {"skalss.nets"}),
        ("def f():\n    import skalss.nets", "skalss", {"skalss.nets"}),
        ("import numpy as np", "skalss", {"numpy"}),
    ],
)
def test_imports_are_resolved(source, package, expected):
    assert imported_names(ast.parse(source), package) == expected
