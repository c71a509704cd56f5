"""The documents say what is so: links lead somewhere, settings have these defaults, every number has its definition."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from otel_measure.ai.health import COMPONENTS
from otel_measure.ai.service import AiModelService
from otel_measure.config import Settings
from otel_measure.definitions.kpis import KPIS, Kpi
from otel_measure.experiments.service import ExperimentService
from otel_measure.infrastructure.service import InfrastructureService
from otel_measure.infrastructure.summary import Summary
from otel_measure.runtime import Runtime
from otel_measure.testing import Capture
from otel_measure.users.service import UserAnalyticsService

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *DOCS]
NOT_ANSWERS = frozenset({"Settings", "Model", "TimeSpan", "Assignment"})


def text(page: str) -> str:
    """Return a page of the project."""
    return (ROOT / page).read_text(encoding="utf-8")


# ---------------------------------------------------------------- links


def anchor(heading: str) -> str:
    """Return the anchor that a Markdown viewer gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Return the anchors of all headings of a page."""
    return {anchor(found) for found in re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page is a file of the project, and its anchor a heading there."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(target)
    assert broken == []


# ---------------------------------------------------------------- what a reader tries


def test_the_python_of_the_readme_runs() -> None:
    """The Python blocks of the README run as they stand, one after the other."""
    blocks = re.findall(r"^```python\n(.*?)^```", text("README.md"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    with Capture() as capture:
        for block in blocks:
            exec(compile(block, "README.md", "exec"), names)
        recorded = {model.model_name: model.inference_count for model in capture.ai.list_models().models}
    assert recorded == {"gpt-4o": 1, "churn": 1}
    assert len(blocks) == 2


# ---------------------------------------------------------------- settings


def cells(row: str) -> list[str]:
    """Return the cells of one row of a table."""
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def spelt(name: str, default: object) -> str:
    """Return a default as the page spells it."""
    match default:
        case _ if name == "store":
            return "$XDG_STATE_HOME/otel-measure/measure.db"
        case "":
            return "empty"
        case None:
            return "none"
        case bool():
            return str(default).lower()
        case int() if default % 2**30 == 0 and default:
            return f"{default // 2**30} GiB"
        case int() | float():
            return f"{default:g}" if default < 1e5 else str(default)
        case str():
            return default
        case _:
            return "none"


def default_of(field: dataclasses.Field[Any]) -> object:
    """Return the default of a setting; one that is made anew each time is empty, and spelt like none."""
    return field.default if field.default is not dataclasses.MISSING else None


def documented_settings() -> Iterator[tuple[str, str, str]]:
    """Yield name, variables and default of every setting on the page."""
    for row in re.findall(r"^\| `.*$", text("docs/settings.md"), re.MULTILINE):
        names, variables, default, _ = cells(row)
        for i, name in enumerate(re.findall(r"`(\w+)`", names)):
            parts = default.replace("`", "").split(", ")
            yield name, variables, parts[i] if len(parts) > 1 else parts[0]


def test_settings_page_has_every_setting_with_its_default() -> None:
    """`docs/settings.md` lists every field of `Settings`, no other, with its true default and its own variable."""
    documented = {name: (default, f"OTEL_MEASURE_{name.upper()}" in v) for name, v, default in documented_settings()}
    true = {field.name: (spelt(field.name, default_of(field)), True) for field in dataclasses.fields(Settings)}
    assert documented == true


# ---------------------------------------------------------------- definitions


def answers() -> dict[str, type]:
    """Return every dataclass that a public method of a service answers with, and those inside them, by name."""
    found: dict[str, type] = {}
    for owner in (InfrastructureService, AiModelService, UserAnalyticsService, ExperimentService, Runtime):
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                collect(returned(method), found)
    return {name: one for name, one in found.items() if name not in NOT_ANSWERS}


def returned(method: Callable[..., object]) -> object:
    """Return what a method says it returns."""
    try:
        return get_type_hints(method).get("return")
    except NameError:  # imported for type checking only: none of these is an answer
        return None


def collect(annotation: object, found: dict[str, type]) -> None:
    """Add the dataclasses of an annotation, and those of their fields."""
    for part in get_args(annotation):
        collect(part, found)
    if not (isinstance(annotation, type) and dataclasses.is_dataclass(annotation)) or annotation.__name__ in found:
        return
    if annotation.__module__.startswith("otel_measure."):
        found[annotation.__name__] = annotation
        for hint in get_type_hints(annotation).values():
            collect(hint, found)


def section_of(name: str) -> str:
    """Return the section of the definitions whose heading has this name as a word; "" when there is none."""
    parts = re.split(r"^(##+ .*)$", text("docs/definitions.md"), flags=re.MULTILINE)
    return next(
        (body for heading, body in zip(parts[1::2], parts[2::2], strict=True) if re.search(rf"\b{name}\b", heading)),
        "",
    )


def test_every_field_of_an_answer_is_defined() -> None:
    """The section of each answer in `docs/definitions.md` names every one of its fields."""
    found = answers()
    assert {"Cpu", "Availability", "Latency", "Drift", "Engagement", "Nps", "AbTest"} <= set(found)
    undefined = [
        f"{name}.{field.name}"
        for name, one in found.items()
        for field in dataclasses.fields(one)
        if f"`{field.name}`" not in section_of(name)
    ]
    assert undefined == []


def test_every_field_of_the_summary_is_defined() -> None:
    """The section of the machine's summary names each of its parts."""
    assert [key for key in Summary.__annotations__ if f"`{key}`" not in section_of("Summary")] == []


def defined_in(module: Path) -> set[str]:
    """Return the names of all functions and classes of a module, methods as `Class.method` too."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    methods = {f"{owner.name}.{node.name}" for owner in classes for node in owner.body if isinstance(node, functions)}
    return methods | {node.name for node in ast.walk(tree) if isinstance(node, functions)}


def test_every_definition_points_to_code_that_is_there() -> None:
    """Where `docs/definitions.md` names a function of a module, the module has it."""
    pointers = re.findall(r"\]\(\.\./([\w/]+\.py)\),? `([\w.]+)\(\)`", text("docs/definitions.md"))
    assert len(pointers) > 30
    assert [f"{module} {name}" for module, name in pointers if name not in defined_in(ROOT / module)] == []


def bound(kpi: Kpi, value: float | None, good: bool) -> str:
    """Return a target or alert as the page writes it: on the good side of the target, beyond the alert."""
    if value is None:
        return "–"
    if good and kpi.met_at_target:
        return f"{'≤' if kpi.direction == 'below' else '≥'} {value:g}"
    return f"{'<' if (kpi.direction == 'below') == good else '>'} {value:g}"


def kpi_row(kpi: Kpi) -> str:
    """Return the row of a KPI."""
    holding = f" for {kpi.alert_for_s // 60} min" if kpi.alert_for_s else ""
    columns = (
        *(f"`{kpi.key}`", kpi.unit, kpi.window),
        *(bound(kpi, kpi.target, True), bound(kpi, kpi.alert, False) + holding, kpi.needs),
    )
    return f"| {' | '.join(columns)} |"


def test_kpi_table_is_that_of_the_code() -> None:
    """The page's table of KPIs is `kpis.KPIS`, row by row."""
    rows = re.findall(r"^\| `.*$", section_of("KPIs"), re.MULTILINE)
    assert rows == [kpi_row(kpi) for kpi in KPIS]


def test_health_table_is_that_of_the_code() -> None:
    """The page's table of health components is `health.COMPONENTS`, row by row."""
    rows = re.findall(r"^\| `\w+` \| [\d.]+ \| .*$", section_of("Deduction"), re.MULTILINE)
    assert rows == [
        f"| `{part.key}` | {part.weight:g} | {part.bounds()[0]:g} | {part.bounds()[1]:g} |" for part in COMPONENTS
    ]


# ---------------------------------------------------------------- architecture

TOP = frozenset({"otel_measure/", "exporter/", "examples/", "tests/", "benchmarks/"})


def tree_on_the_page() -> dict[str, str]:
    """Return what the architecture says of each file and folder, by its path."""
    block = text("docs/architecture.md").split("## Where a line of code lives")[1].split("\n\n## ")[0]
    found: dict[str, str] = {}
    package = ""
    for name, said in re.findall(r"^ {4}(?: {2})?([\w/]+(?:\.py|/)) *(.*(?:\n {8,}.*)*)", block, re.MULTILINE):
        package, path = (name, name) if name in TOP else (package, package + name)
        found[path] = said
    return found


def modules_in_the_tree(package: str) -> Iterator[tuple[str, str]]:
    """Yield the entry and the name of each module: its own path at the top, its folder and stem below."""
    for path in sorted((ROOT / package).rglob("*.py")):
        place = path.relative_to(ROOT)
        if len(place.parts) == 2:
            yield place.as_posix(), ""
        elif path.stem != "__init__":
            yield f"{place.parent.as_posix()}/", path.stem


@pytest.mark.parametrize("package", ["otel_measure", "exporter"])
def test_architecture_names_every_module(package: str) -> None:
    """The tree of `docs/architecture.md` has every module of the package, those of folders by name in their entry."""
    page = tree_on_the_page()
    roll_ups = text("docs/architecture.md").split("| roll-up |")[1].split("\n\n")[0]
    unnamed = [
        f"{entry} {name}".strip()
        for entry, name in modules_in_the_tree(package)
        if entry not in page
        or not re.search(rf"\b{name}\b", page[entry] + (roll_ups if entry.endswith("/sqlite/") else ""))
    ]
    assert unnamed == []


def test_architecture_names_nothing_else() -> None:
    """Every path of the tree of `docs/architecture.md`, and every module it names in a folder, is there."""
    page = tree_on_the_page()
    assert [path for path in page if not (ROOT / path).exists()] == []
    named = [
        f"{path}{name}.py"
        for path, said in page.items()
        if path.endswith("/") and path not in TOP
        for name in re.findall(r"\w+(?=\s·)|(?<=·\s)\w+", re.sub(r"\s+", " ", said))
    ]
    assert [path for path in named if not (ROOT / path).exists()] == []
    assert {"otel_measure/ai/", "otel_measure/store/sqlite/", "exporter/api/"} <= set(page)


# ---------------------------------------------------------------- tables whose lines name their tests


def named_tests(cell: str) -> list[tuple[str, str]]:
    """Return file and function of every test that a cell names; `::name` alone is of the file before it."""
    found, file = [], ""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)?::(\w+)`", cell):
        file = path or file
        found.append((file, name))
    return found


def rows_of(page: str, *, first_cell: str) -> list[list[str]]:
    """Return the rows of the table that begins with a cell."""
    _, _, rest = text(page).partition(f"| {first_cell} |")
    return [cells(row) for row in rest.split("\n\n")[0].splitlines()[2:]]


def functions_of(file: str) -> set[str]:
    """Return the functions of a module of the project."""
    module = ast.parse(text(file))
    return {node.name for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(
    ("page", "first_cell"),
    [("docs/security.md", "attack"), ("docs/reliability.md", "fault")],
    ids=["attacks", "faults"],
)
def test_every_line_names_a_test_that_is_there(page: str, first_cell: str) -> None:
    """The last cell of each row has the tests that show it, and nothing else; each of them exists."""
    rows = rows_of(page, first_cell=first_cell)
    unnamed = [row[0] for row in rows if not named_tests(row[-1])]
    absent = [
        f"{file}::{name}"
        for row in rows
        for file, name in named_tests(row[-1])
        if not (ROOT / file).is_file() or name not in functions_of(file)
    ]
    assert (unnamed, absent) == ([], [])
    assert rows


def test_every_fault_of_the_budget_is_on_the_page() -> None:
    """R1 to R12 stand in the table, each once and in their order."""
    rows = rows_of("docs/reliability.md", first_cell="fault")
    assert [row[0].split()[0] for row in rows] == [f"R{n}" for n in range(1, 13)]
