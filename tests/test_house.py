"""The house of docs/architecture.md: who may import whom, what may not be imported, and how large a thing may grow."""

import ast
import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import powermuse

SOURCE = Path(powermuse.__file__).parent
MODULES = {
    ".".join(("powermuse", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
# Lower never imports higher.
TIERS = (
    ("types", "typed", "recipe", "registry", "disk", "chance", "frozen"),
    ("audio",),
    ("codecs", "losses", "metrics"),
    ("codes",),
    ("model", "agents"),
    ("data", "objective", "stretches", "adversary", "targets", "weights", "optimizers", "outline"),
    ("composing",),
    ("training",),
    ("benchmark",),
    ("studio", "cli", "commands", "terminal", "about", "__init__", "__main__"),
)
RANK = {part: rank for rank, tier in enumerate(TIERS) for part in tier}
NO_FILES_NO_CODEC_NO_TRAINER = ("powermuse.audio.files", "powermuse.codecs", "powermuse.data", "powermuse.training")
FORBIDDEN = {
    "metrics": ("powermuse.model",),
    "model": NO_FILES_NO_CODEC_NO_TRAINER,
    "agents": NO_FILES_NO_CODEC_NO_TRAINER,
    "losses": NO_FILES_NO_CODEC_NO_TRAINER,
}
UNPICKLERS = {
    "pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "torch.load",
    "pandas.read_pickle",
}
HEAVY_OR_FRAGILE = ("torchvision", "torchaudio", "torchcodec")


def each_module(check: Callable[[str], None]) -> Callable[[], None]:
    """A check of every module as one test: as a test for each, over a thousand, they would take longer to be counted
    than to be done. Every module that fails is told."""

    def test() -> None:
        faults = [fault for module in MODULES if (fault := _fault(check, module))]
        assert not faults, "\n".join(faults)

    return test


def _fault(check: Callable[[str], None], module: str) -> str:
    try:
        check(module)
    except AssertionError as error:
        return f"{module}: {error}"
    return ""


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def _part(name: str) -> str:
    """The part of the house that a dotted name belongs to: `agents` of powermuse.agents.fixed."""
    return name.split(".")[1] if "." in name else "__init__"


def _imports(module: str) -> set[str]:
    """Dotted names of all that a module imports, anywhere in it; `from a import b` counts as a and as a.b."""
    found = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module)
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def _absolute(node: ast.ImportFrom, module: str) -> str:
    if not node.level:
        return node.module or ""
    package = module.split(".") + (["_"] if MODULES[module].name == "__init__.py" else [])
    return ".".join([*package[: -node.level], *filter(None, [node.module])])


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _functions(module: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(_tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@each_module
def test_every_module_has_its_place_in_the_house(module):
    assert _part(module) in RANK, f"{module} is in no tier: give it one in docs/architecture.md and in {__file__}"


def imports_nothing_higher(module: str) -> None:
    rank = RANK.get(_part(module), len(TIERS))
    # `from powermuse import x` is an import of x alone where x is a part of the house.
    imported = {name for name in _imports(module) if name.startswith("powermuse.")}
    higher = sorted(name for name in imported if RANK.get(_part(name), len(TIERS)) > rank)
    assert not higher, f"{module} imports {', '.join(higher)}"


test_lower_never_imports_higher = each_module(imports_nothing_higher)


@each_module
def test_tensors_know_no_files_and_metrics_no_model(module):
    forbidden = FORBIDDEN.get(_part(module), ())
    assert not [name for name in _imports(module) if any(_inside(name, package) for package in forbidden)]


@pytest.mark.parametrize("kind", ["agents", "codecs"])
def test_no_agent_imports_another_and_no_codec_another(kind):
    members = {module for module in MODULES if module.startswith(f"powermuse.{kind}.")}
    assert len(members) >= 2
    for module in members:
        others = [name for name in _imports(module) if any(_inside(name, other) for other in members - {module})]
        assert not others, f"{module} imports {', '.join(others)}"


@each_module
def test_only_the_registry_and_the_package_import_by_name(module):
    if module in ("powermuse.registry", "powermuse"):  # the package gives its public names when they are asked for
        return
    assert not {name for name in _imports(module) if _inside(name, "importlib.import_module") or name == "runpy"}
    for node in ast.walk(_tree(module)):
        assert not (isinstance(node, ast.Name) and node.id == "__import__")
        assert not (isinstance(node, ast.Attribute) and node.attr == "import_module")


@each_module
def test_nothing_is_unpickled(module):
    assert not {name for name in _imports(module) if any(_inside(name, door) for door in UNPICKLERS)}
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in UNPICKLERS, f"{module}:{node.lineno}"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False, f"{module}:{node.value.lineno}"


@each_module
def test_nothing_asks_for_torchs_companions(module):
    assert not {name for name in _imports(module) if name.split(".")[0] in HEAVY_OR_FRAGILE}


@pytest.mark.parametrize("package", HEAVY_OR_FRAGILE)
def test_torchs_companions_are_not_installed(package):
    assert importlib.util.find_spec(package) is None


@pytest.mark.skipif(os.environ.get("POWERMUSE_CI") != "1", reason="only where POWERMUSE_CI=1")
def test_torch_is_the_build_for_the_cpu():
    assert torch.version.cuda is None


@pytest.mark.parametrize("package", ["powermuse", "powermuse.cli"])
def test_the_command_line_starts_without_torch_and_matplotlib(package):
    program = f"import sys, {package}; print(*({{'torch', 'matplotlib', 'numpy', 'yaml'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@each_module
def test_whatever_is_public_says_what_it_is(module):
    tree = _tree(module)
    assert ast.get_docstring(tree), f"{module} has no docstring"
    public = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name[0] != "_"]
    for node in public:
        assert ast.get_docstring(node), f"{module}.{node.name} has no docstring"
        methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and isinstance(node, ast.ClassDef)]
        for method in methods:
            assert method.name[0] == "_" or ast.get_docstring(method), f"{module}.{node.name}.{method.name}"


@each_module
def test_only_the_command_line_prints(module):
    if _part(module) in ("cli", "commands", "terminal"):
        return
    calls = [node for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)]
    assert not [
        f"{module}:{call.lineno}" for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]


@each_module
def test_no_function_is_longer_than_60_lines_and_no_file_than_320(module):
    long = {f.name: f.end_lineno - f.lineno + 1 for f in _functions(module) if f.end_lineno - f.lineno >= 60}
    assert not long
    assert len(MODULES[module].read_text().splitlines()) <= 320


def test_the_walk_sees_every_way_to_import(tmp_path, monkeypatch):
    path = tmp_path / "probe.py"
    path.write_text(
        "import a.b as c\nfrom d import e\nfrom . import f\nfrom .g import h\nfrom ..i import j\n"
        "def k():\n    from powermuse import weights\n"
    )
    monkeypatch.setitem(MODULES, "powermuse.agents.probe", path)
    _tree.cache_clear()
    package = "powermuse.agents"
    assert _imports("powermuse.agents.probe") == {
        "a.b", "d", "d.e", package, f"{package}.f", f"{package}.g", f"{package}.g.h",
        "powermuse.i", "powermuse.i.j", "powermuse", "powermuse.weights",
    }  # fmt: skip
    with pytest.raises(AssertionError, match=r"probe imports .*powermuse\.weights"):
        imports_nothing_higher("powermuse.agents.probe")
    with pytest.raises(AssertionError, match=r"powermuse\.agents\.probe: .*powermuse\.weights"):
        test_lower_never_imports_higher()
