"""The isolated stage: a drill's own steps carried out beside the restored server.

Programs get an emptied environment with the copy's address in it. What they said is kept, without
secrets, in the rehearsal's folder of the state directory.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from processpilot.checks.ask import ask_sql
from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.drill.enclosure import Enclosure, Ended, Program
from processpilot.drill.place import Place
from processpilot.drill.questions import Question
from processpilot.drill.steps import Asking, DrillStep
from processpilot.errors import ProcessPilotError, UnavailableError
from processpilot.plan.act import CommandAct, SqlAct
from processpilot.plan.load import LoadedPlan
from processpilot.plan.secrets import read_secret
from processpilot.postgres.connection import ServerAddress, cut_after, translated

_SHOWN_BYTES = 300
_ASKING_LIMIT_S = 60.0
_GRACE_S = 1.0
Clean = Callable[[bytes, list[str]], bytes]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where steps are carried out.

    `clean` takes known secrets, and what looks like one, out of what programs said. `go_on` is
    called while something runs, and raises when the drill is to end.
    """

    enclosure: Enclosure
    place: Place
    loaded: LoadedPlan
    copy: ServerAddress
    sockets: Path
    user: str
    database: str
    kept: Path
    clean: Clean
    go_on: Callable[[], None]

    def play(self, step: DrillStep) -> CheckResult:
        """Return how a step ended, its retries included."""
        name = f"step {step.id}: {step.title}"
        if step.only_if is not None and (why := self._why_not(step.only_if)) is not None:
            return CheckResult(name, Outcome.SKIPPED, "needed", "not needed", why)
        if step.precondition is not None:
            why = self._why_not(step.precondition)
            if why is not None:
                return passed_if(name, False, step.precondition.shown, why)
        result = self._once(name, step)
        for _ in range(step.retries):
            if result.outcome is Outcome.PASSED:
                break
            result = self._once(name, step)
        return result

    def environment(self) -> dict[str, str]:
        """Return what every program gets: nothing of ours but where to find programs, and the copy.

        The copy's server listens on the loopback inside as well as on its socket.
        """
        folder, user, base = self.sockets, quote(self.user, safe=""), quote(self.database, safe="")
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": "/tmp",  # noqa: S108 - inside it is the drill's own and empty
            "TMPDIR": "/tmp",  # noqa: S108
            "LANG": "C.UTF-8",
            "DRILL": "1",
            "PGHOST": str(folder),
            "PGPORT": "5432",
            "PGUSER": self.user,
            "PGDATABASE": self.database,
            "DATABASE_URL": f"postgresql://{user}@/{base}?host={quote(str(folder), safe='')}"
            "&port=5432",
        }

    def _once(self, name: str, step: DrillStep) -> CheckResult:
        match step.act:
            case Asking() as asking:
                answers = self._ask(step.id, asking)
                shown = "; ".join(question.shown for question in asking.questions)
                wrong = "; ".join(answer for answer in answers if answer is not None)
                return passed_if(name, not wrong, shown, wrong or "holds")
            case SqlAct() as act:
                why = self._execute(act)
                return passed_if(name, why is None, act.expect or "no error", why or "as expected")
            case CommandAct() as act:
                return self._command(name, step.id, act)

    def _command(self, name: str, step_id: str, act: CommandAct) -> CheckResult:
        own = dict(self._own_environment(act))
        output = self._output(step_id)
        folder = self.loaded.base if act.folder is None else self.loaded.resolve(act.folder)
        ended = self.enclosure.run(
            Program(act.argv, {**own, **self.environment()}, folder, output, act.timeout_s),
            self.go_on,
        )
        said = self._keep(output, [own[key] for key in act.env if _is_secret(act.env[key])])
        expected = f"{act.argv[0]} ends with {' or '.join(map(str, act.exit_codes))}"
        holds = not ended.timed_out and ended.exit_status in act.exit_codes
        return passed_if(name, holds, expected, _ended(ended, act), said)

    def _own_environment(self, act: CommandAct) -> Iterator[tuple[str, str]]:
        for name, value in act.env.items():
            secret = _is_secret(value)
            yield name, read_secret(value, self.loaded.base).text if secret else value

    def _execute(self, act: SqlAct) -> str | None:
        try:
            with (
                self.copy.connect(autocommit=False) as connection,
                translated("the copy"),
                cut_after(connection, act.timeout_s + _GRACE_S, "the copy"),
            ):
                cursor = connection.execute(act.query.encode())
                row = cursor.fetchone() if cursor.description else None
        except (ProcessPilotError, psycopg.Error) as error:
            return str(error).partition("\n")[0]
        value = None if row is None or row[0] is None else str(row[0])
        if act.expect is not None and value != act.expect:
            return f'the answer is "{value}", expected "{act.expect}"'
        return None

    def _why_not(self, question: Question) -> str | None:
        return self._ask("condition", Asking((question,), 0.0))[0]

    def _ask(self, step_id: str, asking: Asking) -> list[str | None]:
        """Return the answer to each question: None for what holds."""
        inside = [question.inside for question in asking.questions if question.inside is not None]
        answers = iter(self._ask_inside(step_id, inside, asking.within_s) if inside else ())
        return [
            next(answers)
            if question.sql is None
            else ask_sql(question.sql, self.copy, question.sql.timeout_s)
            for question in asking.questions
        ]

    def _ask_inside(
        self, step_id: str, questions: list[Mapping[str, Any]], within_s: float
    ) -> list[str | None]:
        order = self._output(f"{step_id}.asked")
        asked = [self._resolved(question) for question in questions]
        order.write_text(json.dumps({"questions": asked, "within_s": within_s}))
        output = self._output(f"{step_id}.answers")
        env = self.environment() | {"PYTHONPATH": ":".join(filter(None, sys.path))}
        argv = (sys.executable, "-m", "processpilot.drill.asking", str(order))
        limit_s = within_s + _ASKING_LIMIT_S * len(questions)
        ended = self.enclosure.run(
            Program(argv, env, self.loaded.base, output, limit_s), self.go_on
        )
        if ended.exit_status != 0:
            raise UnavailableError(f"asking inside the drill failed: {_tail(output.read_bytes())}")
        answers: list[str | None] = json.loads(output.read_text())
        return answers

    def _resolved(self, question: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a question with its secrets in place: inside, their files are not to be seen."""
        body = question.get("json")
        if not body:
            return question
        base = self.loaded.base
        plain = {
            key: read_secret(value, base).text if _is_secret(value) else value
            for key, value in body.items()
        }
        return {**question, "json": plain}

    def _output(self, name: str) -> Path:
        """Return a new file in the outputs, for what is said under a name."""
        number = sum(1 for _ in self.place.outputs.glob(f"{name}.*"))
        path = self.place.outputs / f"{name}.{number + 1}"
        path.touch(mode=0o600)
        return path

    def _keep(self, output: Path, secrets: list[str]) -> str:
        """Keep what a program said, and return its last words."""
        said = self.clean(output.read_bytes(), secrets)
        self.kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.kept / f"{output.name}.log"
        path.write_bytes(said)
        path.chmod(0o600)
        return _tail(said)


def _ended(ended: Ended, act: CommandAct) -> str:
    if ended.exit_status is None:
        return f"{act.argv[0]} cannot be started: {ended.why}"
    if ended.timed_out:
        return f"{act.argv[0]} did not end within {act.timeout_s:g} s"
    return f"{act.argv[0]} ended with {ended.exit_status}"


def _is_secret(value: str) -> bool:
    return value.startswith(("file:", "env:"))


def _tail(said: bytes) -> str:
    return " ".join(said[-_SHOWN_BYTES:].decode(errors="replace").split())
