"""Loading a plan: from YAML to the model, with every problem at its line and column."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from processpilot.errors import NotFoundError, UsageError
from processpilot.plan.model import Plan

FILE_NAME = "processpilot.yaml"
_BOOL = "tag:yaml.org,2002:bool"
Path_ = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong where; line and column count from 1."""

    line: int
    column: int
    place: str
    message: str

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        return f"{self.line}:{self.column}: {place}{self.message}"


class PlanError(UsageError):
    """The plan cannot be used; `problems` lists everything found."""

    code = "plan"

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        text = "\n".join(f"{path.name}:{problem}" for problem in problems)
        super().__init__(text, hint=f"Correct {path} and run `processpilot check`.")
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """A plan with its text, the SHA-256 of its bytes, and the file it came from."""

    plan: Plan
    text: str
    hash: str
    path: Path

    @property
    def base(self) -> Path:
        """The folder that relative paths in the plan start from."""
        return self.path.parent

    def resolve(self, path: str) -> Path:
        """Return a path of the plan as an absolute one."""
        return (self.base / Path(path).expanduser()).absolute()

    @property
    def state_dir(self) -> Path:
        """The folder of the journal, the spool and the locks."""
        return self.resolve(self.plan.state_dir)


class _PlanLoader(yaml.SafeLoader):
    """Reads YAML safely; `on`, `off`, `yes` and `no` are words here, not truth values."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag != _BOOL]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_PlanLoader.add_implicit_resolver(
    _BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), [*"tTfF"]
)


def load_plan(path: Path) -> LoadedPlan:
    """Return the plan in `path`; PlanError lists everything that is wrong with it."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no plan at {path}",
            hint="Run `processpilot init`, or name the plan with --plan FILE.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the plan {path}: {error}") from error
    return parse_plan(text, path.absolute())


def parse_plan(text: str, path: Path) -> LoadedPlan:
    """Return the plan written as `text`, which `path` names in messages."""
    try:
        # Read once: of all that a command does before it acts, this takes longest.
        loader = _PlanLoader(text)
        root = loader.get_single_node()
        if root is None:
            raise PlanError(path, [Problem(1, 1, "", "the plan is empty")])
        doubles = list(_double_keys(root, ()))
        if doubles:
            raise PlanError(path, doubles)
        document = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = Problem(line, column, "", error.problem or "is not YAML")
        raise PlanError(path, [problem]) from error
    except _BARE as error:
        # PyYAML raises bare exceptions for numbers and dates that are none.
        raise PlanError(path, [Problem(1, 1, "", f"is not YAML: {error}")]) from error
    try:
        plan = Plan.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise PlanError(path, sorted(_problems(error, root), key=_position)) from error
    return LoadedPlan(plan, text, hashlib.sha256(text.encode()).hexdigest(), path)


def _position(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def _double_keys(node: yaml.Node, path: Path_) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield _problem(key, (*path, name), "is there twice")
            seen.add(name)
            yield from _double_keys(value, (*path, name))
    elif isinstance(node, yaml.SequenceNode):
        for n, item in enumerate(node.value):
            yield from _double_keys(item, (*path, n))


def _problems(error: ValidationError, root: yaml.Node) -> Iterator[Problem]:
    details = error.errors(include_url=False)
    for detail in details:
        path = _plain(detail["loc"], root)
        if detail["type"] == "too_short" and any(
            other is not detail and other["loc"][: len(detail["loc"])] == detail["loc"]
            for other in details
        ):
            continue  # The items are there; each of them is reported by itself.
        if detail["type"] == "value_error" and not path:
            for line in str(detail["ctx"]["error"]).splitlines():
                place, _, message = line.partition(": ")
                where = tuple(
                    int(part) if part.isdigit() else part
                    for part in re.findall(r"[^.\[\]]+", place)
                )
                yield _problem(_find(root, where), where, message)
            continue
        if detail["type"] == "union_tag_invalid":
            path = (*path, str(detail["ctx"]["discriminator"]).strip("'"))
        yield _problem(
            _find(root, path, key=detail["type"] == "extra_forbidden"), path, _message(detail)
        )


def _plain(location: Path_, root: yaml.Node) -> Path_:
    """Return a location without the names of union members, which the document lacks."""
    path: list[str | int] = []
    node: yaml.Node | None = root
    for n, part in enumerate(location):
        found = None if node is None else _child(node, part)
        if found is None and n + 1 < len(location) and isinstance(part, str):
            continue
        path.append(part)
        node = found
    return tuple(path)


def _message(detail: ErrorDetails) -> str:
    name = str(detail["loc"][-1]) if detail["loc"] else ""
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, _KNOWN_KEYS, n=1)
        return "is not a known key" + (f'; did you mean "{near[0]}"?' if near else "")
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] == "union_tag_invalid":
        tag = str(detail["ctx"]["tag"])
        names = re.findall(r"'([^']+)'", str(detail["ctx"]["expected_tags"]))
        near = difflib.get_close_matches(tag, names, n=1)
        shown = ", ".join(f"'{name}'" for name in names)
        return f'"{tag}" is none of {shown}' + (f'; did you mean "{near[0]}"?' if near else "")
    if detail["type"] == "union_tag_not_found":
        return f"needs {detail['ctx']['discriminator']}"
    message = detail["msg"]
    return f"{message[:1].lower()}{message[1:]}"


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        found: yaml.Node = node.value[part]
        return found
    return None


def _find(root: yaml.Node, path: Path_, *, key: bool = False) -> yaml.Node:
    """Return the node at `path`, its key if asked, or the nearest node above it."""
    node = root
    for n, part in enumerate(path):
        if key and n == len(path) - 1 and isinstance(node, yaml.MappingNode):
            found: yaml.Node | None = next((k for k, _ in node.value if k.value == part), None)
        else:
            found = _child(node, part)
        if found is None:
            return node
        node = found
    return node


def _problem(node: yaml.Node, path: Path_, message: str) -> Problem:
    mark = node.start_mark
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return Problem(mark.line + 1, mark.column + 1, place.lstrip("."), message)


def _keys_of(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[str]:
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        yield field.alias or name
        for inner in _models_in(field.annotation):
            yield from _keys_of(inner, seen)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


_BARE = (yaml.YAMLError, RecursionError, ValueError, LookupError, TypeError, AttributeError)
_KNOWN_KEYS = sorted(set(_keys_of(Plan, set())))
