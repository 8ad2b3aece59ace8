"""Switches on real files, commands, PostgreSQL and HTTP."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from plain_server import PlainServer, closed_port, endpoint, server
from pydantic import TypeAdapter

from processpilot.errors import RefusedError, UnavailableError
from processpilot.plan.switch import Switch, SwitchHttp
from processpilot.postgres.connection import ServerAddress
from processpilot.services.switch import SwitchDriver, switch_of
from processpilot.services.switch_remote import HttpMechanism

__all__ = ["server"]

NOWHERE = ServerAddress.parse("host=/nowhere dbname=app user=app")
_SWITCH: TypeAdapter[Switch] = TypeAdapter(Switch)


def switch(base: Path, address: ServerAddress = NOWHERE, **spec: Any) -> SwitchDriver:
    """Return the switch that a plan with these settings describes."""
    return switch_of(_SWITCH.validate_python(spec), base, address)


class TestFile:
    def test_it_is_there_while_on(self, tmp_path: Path) -> None:
        """On creates it with its text, readable for others; off removes it; both repeat."""
        one = switch(tmp_path, kind="file", path="down", text="back soon\n")
        file = tmp_path / "down"
        assert one.is_on() is False
        one.turn_on()
        one.turn_on()
        assert (one.is_on(), file.read_text()) == (True, "back soon\n")
        assert file.stat().st_mode & 0o777 == 0o644 & ~current_umask()
        assert [path.name for path in tmp_path.iterdir()] == ["down"]
        one.turn_off()
        one.turn_off()
        assert one.is_on() is False

    def test_a_file_that_is_there_keeps_its_content(self, tmp_path: Path) -> None:
        """On already is on; what somebody wrote there stays."""
        (tmp_path / "down").write_text("by hand")
        switch(tmp_path, kind="file", path="down", text="ours").turn_on()
        assert (tmp_path / "down").read_text() == "by hand"

    def test_something_else_in_its_place_is_refused(self, tmp_path: Path) -> None:
        """A folder or a link is neither on nor off, and is not removed."""
        (tmp_path / "folder").mkdir()
        (tmp_path / "link").symlink_to("nothing")
        for name in ("folder", "link"):
            one = switch(tmp_path, kind="file", path=name)
            for call in (one.is_on, one.turn_on, one.turn_off):
                with pytest.raises(RefusedError, match="no regular file"):
                    call()
            assert os.path.lexists(tmp_path / name)

    def test_what_lies_under_its_temporary_name_is_not_written_into(self, tmp_path: Path) -> None:
        """Who may write into the folder cannot have another file overwritten, nor keep it off."""
        (tmp_path / "precious").write_text("precious")
        (tmp_path / ".down.processpilot").hardlink_to(tmp_path / "precious")
        switch(tmp_path, kind="file", path="down", text="back soon").turn_on()
        assert (tmp_path / "precious").read_text() == "precious"
        assert (tmp_path / "down").read_text() == "back soon"

    def test_a_folder_that_is_missing_is_named(self, tmp_path: Path) -> None:
        """Where the file cannot be created the error says so with a hint."""
        one = switch(tmp_path, kind="file", path="no/down")
        assert one.is_on() is False
        with pytest.raises(UnavailableError, match="no/down cannot be reached: No such") as caught:
            one.turn_on()
        assert caught.value.hint is not None


def current_umask() -> int:
    """Return the mask of this process."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


class TestCommand:
    def test_status_decides_whether_anything_runs(self, tmp_path: Path) -> None:
        """Commands run in the plan's folder, once each, and only when something is to change."""
        one = switch(
            tmp_path,
            kind="command",
            on=["sh", "-c", "touch flag; echo on >> log"],
            off=["sh", "-c", "rm flag; echo off >> log"],
            status=["test", "-e", "flag"],
        )
        for turn in (one.turn_on, one.turn_on, one.turn_off, one.turn_off):
            turn()
        assert (tmp_path / "log").read_text().split() == ["on", "off"]
        assert one.is_on() is False

    def test_without_status_nobody_knows(self, tmp_path: Path) -> None:
        """The state is None, and each call runs its command."""
        spec = {"on": ["sh", "-c", "echo on >> log"], "off": ["true"]}
        one = switch(tmp_path, kind="command", **spec)
        one.turn_on()
        one.turn_on()
        assert one.is_on() is None
        assert (tmp_path / "log").read_text().split() == ["on", "on"]

    def test_a_contradiction_is_an_error(self, tmp_path: Path) -> None:
        """A command that succeeds without effect is not believed."""
        one = switch(tmp_path, kind="command", on=["true"], off=["true"], status=["false"])
        with pytest.raises(UnavailableError, match="was turned on and says it is off"):
            one.turn_on()

    @pytest.mark.parametrize("status", [["no-such-program"], ["sh", "-c", "no-such-program"]])
    def test_a_status_that_did_not_run_is_not_off(self, tmp_path: Path, status: list[str]) -> None:
        """A missing program, or a shell that did not find one, raises."""
        one = switch(tmp_path, kind="command", on=["true"], off=["true"], status=status)
        with pytest.raises(UnavailableError, match="no-such-program"):
            one.is_on()

    def test_a_failing_command_gives_its_last_words(self, tmp_path: Path) -> None:
        """The exit code and the output are told."""
        broken = ["sh", "-c", "echo no permission; exit 4"]
        one = switch(tmp_path, kind="command", on=broken, off=["true"])
        with pytest.raises(UnavailableError, match="exit code 4: no permission"):
            one.turn_on()


class TestSql:
    @pytest.fixture
    def flags(self, server: PlainServer) -> Iterator[PlainServer]:
        """Give a server with a table of flags, gone afterwards."""
        server.run("create table flags (name text primary key, enabled boolean)")
        yield server
        server.run("drop table flags")

    SPEC = {
        "kind": "sql",
        "on": "insert into flags values ('mail', true)",
        "off": "delete from flags where name = 'mail'",
        "status": "select exists (select from flags where enabled and name = 'mail')",
    }

    def test_it_is_turned_and_committed(self, flags: PlainServer, tmp_path: Path) -> None:
        """Turning on twice inserts once; another session sees it."""
        one = switch(tmp_path, flags.address, **self.SPEC)
        assert one.is_on() is False
        one.turn_on()
        one.turn_on()
        assert flags.run("select enabled from flags") == [(True,)]
        one.turn_off()
        one.turn_off()
        assert flags.run("select from flags") == []

    def test_a_failing_statement_changes_nothing(self, flags: PlainServer, tmp_path: Path) -> None:
        """Several statements are one transaction, and the server's reason is told."""
        two = "insert into flags values ('mail', true); select 1/0"
        one = switch(tmp_path, flags.address, **{**self.SPEC, "on": two})
        with pytest.raises(UnavailableError, match="division by zero"):
            one.turn_on()
        assert flags.run("select from flags") == []

    def test_asking_is_read_only(self, flags: PlainServer, tmp_path: Path) -> None:
        """A status that would write is refused by the server."""
        writes = "insert into flags values ('asked', true) returning true"
        one = switch(tmp_path, flags.address, **{**self.SPEC, "status": writes})
        with pytest.raises(UnavailableError, match="read-only transaction"):
            one.is_on()
        assert flags.run("select from flags") == []

    @pytest.mark.parametrize(
        ("status", "on"),
        [
            ("select true", True),
            ("select 'on'", True),
            ("select 1", True),
            ("select 'F'", False),
            ("select 0", False),
            ("select null::boolean", None),
            ("select true where false", None),
            ("select 'perhaps'", None),
        ],
    )
    def test_only_truths_are_understood(
        self, server: PlainServer, tmp_path: Path, status: str, on: bool | None
    ) -> None:
        """Nothing, null and other words are errors, not off."""
        one = switch(tmp_path, server.address, **{**self.SPEC, "status": status})
        if on is None:
            with pytest.raises(UnavailableError, match="neither true nor false"):
                one.is_on()
        else:
            assert one.is_on() is on

    def test_an_account_without_the_right_is_refused(
        self, flags: PlainServer, tmp_path: Path
    ) -> None:
        """The hint speaks of the switch's statements."""
        flags.run("create role reader login", "grant select on flags to reader")
        try:
            one = switch(tmp_path, flags.address.with_options(user="reader"), **self.SPEC)
            with pytest.raises(RefusedError, match="denies switch") as caught:
                one.turn_on()
            assert "switch's statements" in (caught.value.hint or "")
        finally:
            flags.run("drop owned by reader", "drop role reader")

    def test_a_server_that_is_down_is_unavailable(self, tmp_path: Path) -> None:
        """No answer is not off."""
        with pytest.raises(UnavailableError, match="cannot connect"):
            switch(tmp_path, **self.SPEC).is_on()


class Site(ThreadingHTTPServer):
    """An application whose maintenance mode is set by POST, with a key in the body."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.is_on = False
        self.trouble: int | None = None
        self.bodies: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # noqa: N802
        site = self.server
        assert isinstance(site, Site)
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        site.bodies.append(body)
        if body != {"key": "open-sesame"}:
            self.answer(403, "no")
            return
        site.is_on = self.path.startswith("/on")
        self.answer(200, "ok")

    def do_GET(self) -> None:  # noqa: N802
        site = self.server
        assert isinstance(site, Site)
        if site.trouble is not None:
            self.answer(site.trouble, "trouble")
        elif site.is_on:
            self.answer(503, "maintenance")
        else:
            self.answer(200, "welcome")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


class TestHttp:
    @pytest.fixture
    def site(self) -> Iterator[Site]:
        """Give a running application."""
        running = Site()
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        running.server_close()
        thread.join()

    @staticmethod
    def spec(url: str, body: dict[str, str]) -> dict[str, Any]:
        post = {"method": "POST", "json": body}
        return {
            "kind": "http",
            "on": {"url": f"{url}/on?token=hidden", **post},
            "off": {"url": f"{url}/off", **post},
            "status": {"url": f"{url}/", "status": 503, "contains": "maintenance"},
        }

    def test_it_is_turned_by_requests(self, site: Site, tmp_path: Path) -> None:
        """A secret by reference is sent, and nothing is sent when nothing is to change."""
        (tmp_path / "key").write_text("open-sesame\n")
        (tmp_path / "key").chmod(0o600)
        one = switch(tmp_path, **self.spec(site.url, {"key": "file:key"}))
        assert one.is_on() is False
        for turn in (one.turn_on, one.turn_on):
            turn()
        assert (one.is_on(), len(site.bodies)) == (True, 1)
        one.turn_off()
        assert one.is_on() is False

    def test_another_answer_is_an_error_that_hides_secrets(
        self, site: Site, tmp_path: Path
    ) -> None:
        """Status and address are told, not the query and not the body."""
        one = switch(tmp_path, **self.spec(site.url, {"key": "wrong-word"}))
        with pytest.raises(UnavailableError, match="POST .*/on answered 403, expected 200") as e:
            one.turn_on()
        assert "hidden" not in e.value.message + one.name
        assert "wrong-word" not in e.value.message

    def test_no_answer_is_not_off(self, tmp_path: Path) -> None:
        """A closed port raises, transient."""
        one = switch(tmp_path, **self.spec(f"http://127.0.0.1:{closed_port()}", {}))
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            one.is_on()
        assert caught.value.transient is True

    @pytest.mark.parametrize("status", [401, 403, 429, 500, 502])
    def test_trouble_of_the_server_is_not_off(
        self, site: Site, tmp_path: Path, status: int
    ) -> None:
        """Else maintenance mode would be called off while it is on, and stay."""
        one = switch(tmp_path, **self.spec(site.url, {"key": "open-sesame"}))
        one.turn_on()
        site.trouble = status
        with pytest.raises(UnavailableError, match=f"answered {status}, expected 503"):
            one.turn_off()
        assert site.is_on
        site.trouble = 404
        assert one.is_on() is False

    def test_an_answer_that_trickles_is_none(self, tmp_path: Path) -> None:
        """However long its server goes on, nobody waits for it longer than the limit."""

        def trickle(connection: socket.socket) -> None:
            connection.recv(1 << 16)
            connection.sendall(b"HTTP/1.1 200 X\r\n\r\n")
            with suppress(OSError):
                while True:
                    connection.sendall(b".")
                    time.sleep(0.02)

        with endpoint(trickle) as port:
            url = f"http://127.0.0.1:{port}/"
            spec = SwitchHttp.model_validate(
                {"kind": "http", "on": {"url": url}, "off": {"url": url}}
                | {"status": {"url": url, "contains": "on"}}
            )
            with pytest.raises(UnavailableError, match="does not answer: ReadTimeout"):
                HttpMechanism(spec, tmp_path, limit_s=0.3).ask()
