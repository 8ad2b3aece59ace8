"""`processpilot web`: where other programs send what they have to say, and links to look with."""

from __future__ import annotations

from typing import Annotated

import typer

from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    opened,
    out,
    person,
    print_json,
    table,
)
from processpilot.errors import NotFoundError
from processpilot.plan.alarm import Web
from processpilot.plan.secrets import read_secret
from processpilot.web.admission import inbound_addresses
from processpilot.web.links import links_of
from processpilot.wiring.wired import Wired

app = typer.Typer(help="The small server of `up`.", no_args_is_help=True)


@app.command()
def addresses(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Print where alerts, replies and signs of life are sent; each address holds its token."""
    with opened(plan, as_json=as_json) as wired:
        web = _web(wired)
        secret = read_secret(web.secret, wired.loaded.base)
        found = inbound_addresses(wired.loaded.plan, secret)
    if as_json:
        print_json({"addresses": found})
    else:
        table(list(found.items()), ("FOR", "ADDRESS"))


@app.command()
def link(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    who: Annotated[str | None, typer.Option("--as", help="Who looks.")] = None,
    page: Annotated[
        str, typer.Option("--page", help="incident/ID or run/ID; otherwise the overview.")
    ] = "",
) -> None:
    """Print a link with which somebody may look at everything for half a day."""
    with opened(plan, as_json=as_json) as wired:
        _web(wired)
        links = links_of(wired.loaded, wired.clock)
        assert links is not None, "the plan has web"
        address = links.login(who or person(), page)
    if as_json:
        print_json({"link": address})
    else:
        out(address)


def _web(wired: Wired) -> Web:
    web = wired.loaded.plan.web
    if web is None:
        raise NotFoundError(
            "the plan has no web",
            hint="Add web: {listen, url, secret} to the plan, see docs/inbound.md.",
        )
    return web
