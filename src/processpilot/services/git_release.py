"""Releases that are tags of a git work tree, put in place by checking them out.

Tags are local ones: nothing is fetched. A tag is checked out detached, so no branch moves. Files
that git does not track stay as they are; where a release would overwrite one, git refuses, also for
ignored files. Changes of tracked files are refused at the beginning, except those our own install
and build left (`npm install` rewrites its lock file): they are known by a digest. What such steps
have changed when another release is put in place is set aside with `git stash`, not thrown away.

No hook of the repository runs: the steps that make a release ready are the plan's.

The note of a change under way and that digest lie in the repository's own folder (`git rev-parse
--git-path`), where no checkout and no `git clean` reaches them.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path

from processpilot.clock import Clock, SystemClock
from processpilot.errors import NotFoundError, RefusedError, UnavailableError
from processpilot.services.argv import Outcome, run_argv, said
from processpilot.services.release_change import writing
from processpilot.services.release_order import Release, Standing, in_order, natural_key
from processpilot.services.release_steps import MARK

NOTE_NAME = "processpilot-release.json"
DIGEST_NAME = "processpilot-release-changes"
OUTPUT_BYTES = 64 << 20
SHOWN_COUNT = 5

# Programs of people's own that git would start: a recovery waits for none, and one that fails stops
# a checkout that was made.
_NOTHING_ELSE = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
_NOTICES = ("warning: ", "hint: ")
# A stash is a commit and needs an author, which a server's account rarely has.
_AUTHOR = ("-c", "user.name=ProcessPilot", "-c", "user.email=processpilot@localhost")


class GitTree:
    """The work tree that `folder` lies in; releases are the tags that match `pattern`.

    `timeout_s` bounds each git command.
    """

    shares_folder = True

    def __init__(
        self, folder: Path, pattern: str, *, timeout_s: float, clock: Clock = SystemClock()
    ) -> None:
        self.title = f"work tree {folder}"
        self._folder = folder
        self._pattern = pattern
        self._timeout_s = timeout_s
        self._clock = clock

    def note_path(self) -> Path:
        """Return the note's place in the repository's own folder."""
        return self._own_file(NOTE_NAME)

    def look(self) -> Standing:
        """Return the standing; a commit without a release's tag is called as `git describe` does.

        Of several tags on one commit the highest name counts.
        """
        head = self._head()
        order = in_order(self._tagged(), self._parents())
        commits = [release.place for release in order]
        if head in commits:
            place = commits.index(head)
            return Standing(order[place], order[:place], order[place + 1 :])
        contained = set(self._lines("tag", "--merged", head))
        end = max((n + 1 for n, one in enumerate(order) if one.name in contained), default=0)
        name = self._text("describe", "--tags", "--always", "--match", self._pattern, head)
        return Standing(Release(name, head), order[:end], order[end:], is_release=False)

    def require_clean(self) -> None:
        """Raise RefusedError for changes of tracked files that our own steps did not make."""
        changed = self._changed()
        known = ""
        with suppress(FileNotFoundError):
            known = self._own_file(DIGEST_NAME).read_text()
        if not changed or self._digest(changed) == known:
            return
        shown = ", ".join(changed[:SHOWN_COUNT])
        more = len(changed) - SHOWN_COUNT
        raise RefusedError(
            f"{self.title} has local changes: {shown}{f' and {more} more' if more > 0 else ''}",
            hint=f"Look at them with `git -C {self._folder} diff HEAD`, then commit them or set"
            f" them aside with `git -C {self._folder} stash`.",
        )

    def place(self, release: Release, *, afresh: bool = False) -> None:
        """Check the release out, detached; changes that steps made are set aside first."""
        is_there = self._head() == release.place
        if is_there and not afresh:
            return
        if self._changed():
            message = f"processpilot: before {release.name} was put in place"
            self._succeed(*_AUTHOR, "stash", "push", "--quiet", "--message", message)
        if is_there:
            return
        self._succeed(
            "-c",
            "advice.detachedHead=false",
            "checkout",
            "--quiet",
            "--detach",
            "--no-overwrite-ignore",
            release.place,
            "--",
        )

    def folder_of(self, release: Release) -> Path:
        """Return the one folder that all releases share."""
        return self._folder

    def settle(self) -> None:
        """Keep the digest of what the steps changed in tracked files."""
        file = self._own_file(DIGEST_NAME)
        changed = self._changed()
        with writing(file):
            file.write_text(self._digest(changed) if changed else "")

    def _tagged(self) -> dict[str, str]:
        """Return the name of each commit that a matching tag names."""
        parts = "%(refname:strip=2) %(objecttype) %(objectname) %(*objecttype) %(*objectname)"
        names: dict[str, str] = {}
        for line in self._lines("for-each-ref", f"--format={parts}", "refs/tags"):
            name, *objects = line.split()
            kind, commit = objects[-2:]
            if kind != "commit" or not fnmatchcase(name, self._pattern):
                continue
            if commit not in names or natural_key(names[commit]) < natural_key(name):
                names[commit] = name
        return names

    def _parents(self) -> dict[str, list[str]]:
        """Return the history that connects the tagged commits, without those in between."""
        lines = self._lines("rev-list", "--simplify-by-decoration", "--parents", "--tags")
        return {commit: parents for commit, *parents in (line.split() for line in lines)}

    def _head(self) -> str:
        outcome = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
        if outcome.exit_code == 1:
            raise RefusedError(
                f"{self.title} has no commit checked out",
                hint=f"Look at it with `git -C {self._folder} status`.",
            )
        return _lines_of(self._checked(outcome, "rev-parse"))[-1]

    def _changed(self) -> list[str]:
        """Return the tracked files that differ from what is checked out, sorted."""
        text = self._text("diff", "--name-only", "--no-renames", "-z", "HEAD", "--")
        return sorted(name for name in text.split("\0") if name)

    def _digest(self, changed: list[str]) -> str:
        top = Path(self._text("rev-parse", "--show-toplevel"))
        digest = hashlib.sha256()
        for name in changed:
            content = b""
            with suppress(OSError):
                content = hashlib.sha256((top / name).read_bytes()).digest()
            digest.update(name.encode() + b"\0" + content + b"\0")
        return digest.hexdigest()

    def _own_file(self, name: str) -> Path:
        return self._folder / self._text("rev-parse", "--git-path", name)

    def _lines(self, *arguments: str) -> list[str]:
        return _lines_of(self._succeed(*arguments))

    def _text(self, *arguments: str) -> str:
        return "\n".join(self._lines(*arguments))

    def _succeed(self, *arguments: str) -> Outcome:
        words = [word for word in arguments if not word.startswith("-") and "=" not in word]
        return self._checked(self._run(*arguments), words[0])

    def _checked(self, outcome: Outcome, command: str) -> Outcome:
        """Return a successful outcome; what git refused becomes an error."""
        tail = outcome.tail[-4096:]
        if outcome.exit_code == 0:
            return outcome
        if "dubious ownership" in tail:
            raise RefusedError(
                f"{self.title} belongs to another account, and git refuses to work there",
                hint="Run this as that account, or trust the folder: `git config --global --add"
                f" safe.directory {self._folder}`.",
            )
        if "not a git repository" in tail or "must be run in a work tree" in tail:
            raise NotFoundError(
                f"{self._folder} is not in a git work tree",
                hint="Correct `folder` of the component's release in the plan.",
            )
        raise UnavailableError(
            f"git {command} in {self._folder} ended with exit code {outcome.exit_code}{said(tail)}",
            hint=f"Look at it with `git -C {self._folder} status`.",
        )

    def _run(self, *arguments: str) -> Outcome:
        if not self._folder.is_dir():
            raise NotFoundError(
                f"there is no work tree at {self._folder}",
                hint="Correct `folder` of the component's release in the plan.",
            )
        return run_argv(
            ("git", *_NOTHING_ELSE, *arguments),
            timeout_s=self._timeout_s,
            folder=self._folder,
            environment={"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", MARK: str(self._folder)},
            missing_hint="Install git; a component whose release is a work tree needs it.",
            tail_bytes=OUTPUT_BYTES,
            clock=self._clock,
        )


def _lines_of(outcome: Outcome) -> list[str]:
    """Return what a command answered, without notices that share its output."""
    return [line for line in outcome.tail.splitlines() if not line.startswith(_NOTICES)]
