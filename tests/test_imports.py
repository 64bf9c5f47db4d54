"""The house's rules, read off every file: imports point down, a library has one home, code is short."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Each may import what stands before it, and itself.
LAYERS = ("errors", "settings", "motion", "video", "backbones", "studio", "toybox", "ui", "cli", "__main__")
# A library, and the one layer that imports it.
HOMES = {
    "diffusers": "backbones",
    "transformers": "backbones",
    "peft": "backbones",
    "gradio": "ui",
    "cv2": "video",
    "imageio_ffmpeg": "video",
}
PURE = "motion"  # tensors only: torch and the standard library, nothing read, written or printed
# Reading any of these can run code that a file carries.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {("torch", "load"), ("torch", "save")}
# Reads files from elsewhere with torch's restricted unpickler, which builds tensors and nothing else.
RESTRICTED = ("motion_studio/studio/embed_file.py", "torch.load", "weights_only=True")
LONGEST_FILE, LONGEST_FUNCTION = 400, 80

PACKAGE = sorted((ROOT / "motion_studio").rglob("*.py"))
SOURCES = [*PACKAGE, *sorted(ROOT.glob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def layer_of(path: Path) -> str:
    """`motion_studio/video/files.py` → video; outside the package, the file's own name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return parts[1] if parts[0] == "motion_studio" else parts[0]


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    """Line and dotted name of everything imported, at the top, in a function or for types alone."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
    return found


def import_faults(path: Path, tree: ast.AST) -> list[str]:
    layer, faults = layer_of(path), []
    inside = path in PACKAGE and layer in LAYERS
    for line, name in imports(tree):
        top, *rest = name.split(".")
        fault = None
        if top == "":
            fault = "is a relative import"
        elif top == "motion_studio":
            other = rest[0] if rest else ""
            if inside and other in LAYERS and LAYERS.index(other) > LAYERS.index(layer):
                fault = f"points up: {layer} may import {', '.join(LAYERS[: LAYERS.index(layer)])}"
            elif layer == PURE and other not in ("errors", "settings", PURE):
                fault = "is not for motion/, which is pure"
        elif top in HOMES and layer != HOMES[top]:
            fault = f"belongs in {HOMES[top]}/ only"
        elif layer == PURE and top != "torch" and top not in sys.stdlib_module_names:
            fault = "is not for motion/, which has torch and the standard library"
        elif top in UNSAFE_MODULES:
            fault = "can run code from a file"
        if fault:
            faults.append(f"{relative(path)}:{line}: {name} {fault}")
    return faults


def call_faults(path: Path, tree: ast.AST) -> list[str]:
    faults, pure = [], layer_of(path) == PURE
    allowed = {
        call.func
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and (relative(path), ast.unparse(call.func)) == RESTRICTED[:2]
        and RESTRICTED[2] in map(ast.unparse, call.keywords)
    }
    for node in ast.walk(tree):
        if node in allowed:
            continue
        where = f"{relative(path)}:{getattr(node, 'lineno', 0)}"
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in UNSAFE_CALLS:
                faults.append(f"{where}: {module}.{name} goes through pickle; use safetensors")
            case ast.ImportFrom(module=str(module), names=names):
                taken = {(module, alias.name) for alias in names} & UNSAFE_CALLS
                faults += [f"{where}: {module}.{name} goes through pickle" for _, name in taken]
            case ast.keyword(arg="allow_pickle", value=value) if ast.unparse(value) != "False":
                faults.append(f"{where}: allow_pickle can run code from a file")
            case ast.Name(id="open" | "print" | "input" as name) if pure:
                faults.append(f"{where}: {name} in motion/, which is pure")
    return faults


def shape_faults(path: Path, tree: ast.Module, text: str) -> list[str]:
    faults = []
    lines = len(text.splitlines())
    if lines > LONGEST_FILE:
        faults.append(f"{relative(path)}: {lines} lines, {LONGEST_FILE} at most")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            if length > LONGEST_FUNCTION:
                faults.append(f"{relative(path)}:{node.lineno}: {node.name} has {length} lines")
    return faults


def docstring_faults(path: Path, tree: ast.Module) -> list[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    public = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    faults = [
        f"{relative(path)}:{node.lineno}: {node.name} has no docstring"
        for node in public
        if not ast.get_docstring(node)
    ]
    if tree.body and not ast.get_docstring(tree):
        faults.append(f"{relative(path)}: the module has no docstring")
    return faults


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_keeps_the_rules(path: Path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text, relative(path))
    faults = import_faults(path, tree) + call_faults(path, tree) + shape_faults(path, tree, text)
    if path in PACKAGE:
        faults += docstring_faults(path, tree)
    assert not faults, "\n" + "\n".join(faults)


def test_every_module_has_a_layer():
    unknown = {layer_of(path) for path in PACKAGE} - {*LAYERS, "__init__"}
    assert not unknown, f"{sorted(unknown)}: give it a place in LAYERS and in ARCHITECTURE.md"


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("motion_studio/motion/a.py", "from motion_studio.video.clip import Clip"),
        ("motion_studio/motion/a.py", "from motion_studio import video"),
        ("motion_studio/motion/a.py", "import numpy as np"),
        ("motion_studio/studio/a.py", "def f():\n    import diffusers.utils"),
        ("motion_studio/studio/a.py", "from motion_studio.toybox import world"),
        ("motion_studio/studio/a.py", "from ..ui import app"),
        ("motion_studio/ui/a.py", "import cv2"),
        ("app.py", "import gradio as gr"),
        ("motion_studio/studio/a.py", "import pickle"),
    ],
)
def test_a_breach_is_seen(monkeypatch, place: str, code: str):
    path = ROOT / place
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", [path])
    assert import_faults(path, ast.parse(code))


@pytest.mark.parametrize("code", ["torch.load(p)", "from torch import load", "np.load(p, allow_pickle=True)"])
def test_reading_through_pickle_is_seen(code: str):
    assert call_faults(ROOT / "app.py", ast.parse(code))
