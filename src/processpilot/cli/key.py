"""`processpilot key`: list, add, remove, rotate, and prove that one opens the newest backup."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from processpilot.agent.keys import add_key, prove_key, remove_key, rotate_key, rotate_own_key
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    YesOption,
    confirm,
    opened,
    out,
    print_json,
    table,
)
from processpilot.errors import NotFoundError, RefusedError, UsageError
from processpilot.plan.secrets import write_secret
from processpilot.repository.keys import (
    AgePublicKey,
    Identity,
    Recipient,
    list_recipients,
    new_identity,
)

_SHORTEST_PASSPHRASE = 16

app = typer.Typer(help="Keys of the repository.", no_args_is_help=True)

LabelArgument = Annotated[str, typer.Argument(help="The key's label: a-z, 0-9 and hyphens.")]
NewOption = Annotated[
    Path | None, typer.Option("--new", help="Make an age key and write it to this new file.")
]
RecipientOption = Annotated[
    str | None, typer.Option("--recipient", help="Somebody's age recipient: age1…")
]
PassphraseOption = Annotated[
    bool, typer.Option("--passphrase", help="A passphrase, asked for or read from standard input.")
]


@app.command("list")
def list_keys(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """List who can open the repository."""
    with opened(plan, as_json=as_json) as wired:
        holders = list_recipients(wired.repository.store)
        own = wired.repository.opened_as.label
    if as_json:
        print_json({"keys": [_document(holder, own) for holder in holders]})
        return
    rows = [
        (h.label, h.kind, h.public or "", "this machine's" if h.label == own else "")
        for h in holders
    ]
    table(rows, ("LABEL", "KIND", "RECIPIENT", ""))


@app.command()
def check(
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="The key's file; otherwise it is asked for.")
    ] = None,
) -> None:
    """Prove that a key (the escrow key, say) opens the newest backup, and write that down."""
    with opened(plan, as_json=as_json) as wired:
        proven = prove_key(wired, read_key(key))
    if as_json:
        print_json(proven)
    else:
        out(f"the {proven.label} key opens backup {proven.backup_id}")


@app.command()
def add(
    label: LabelArgument,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    new: NewOption = None,
    recipient: RecipientOption = None,
    passphrase: PassphraseOption = False,
) -> None:
    """Let one more key open the repository. Nothing stored is written again."""
    with opened(plan, as_json=as_json) as wired:
        holder = _holder(new, recipient, passphrase=passphrase)
        with _kept(holder, new):
            added = add_key(wired, label, holder)
        own = wired.repository.opened_as.label
    if as_json:
        print_json(_document(added, own))
        return
    out(f"{added} opens the repository now")
    _say_where(new)


@app.command()
def remove(
    label: LabelArgument,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    yes: YesOption = False,
) -> None:
    """Let a key open the repository no longer; the last one and this machine's own stay."""
    with opened(plan, as_json=as_json) as wired:
        confirm(f'Remove the key "{label}"? Who holds it cannot restore any more.', yes=yes)
        remove_key(wired, label)
    if as_json:
        print_json({"removed": label})
    else:
        out(f"{label} opens the repository no longer")


@app.command()
def rotate(
    label: LabelArgument,
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    new: NewOption = None,
    recipient: RecipientOption = None,
    passphrase: PassphraseOption = False,
) -> None:
    """Replace a key: the new one is tried before the old one goes.

    This machine's own key is made and put in its file; for another, say what replaces it.
    """
    with opened(plan, as_json=as_json) as wired:
        own = wired.repository.opened_as.label
        if label == own:
            if new is not None or recipient is not None or passphrase:
                raise UsageError(
                    f'"{label}" is this machine\'s own key, which is made here',
                    hint="Leave --new, --recipient and --passphrase out.",
                )
            added = rotate_own_key(wired)
            own = added.label
        else:
            if label not in [known.label for known in list_recipients(wired.repository.store)]:
                raise NotFoundError(
                    f'no key is labelled "{label}"',
                    hint="Run `processpilot key list` to see the labels.",
                )
            holder = _holder(new, recipient, passphrase=passphrase)
            with _kept(holder, new):
                added = rotate_key(wired, label, holder)
    if as_json:
        print_json(_document(added, own) | {"replaced": label})
        return
    out(f"{added} opens the repository now, {label} no longer")
    _say_where(new)


def read_key(path: Path | None) -> Identity:
    """Return the key in a file, or typed in without echo."""
    if path is None:
        prompt = "key (age identity or passphrase): "
        text = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.read()
        if not text.strip():
            raise UsageError("no key is given", hint="Name its file with --key FILE.")
        return Identity(text.strip())
    try:
        return Identity(path.read_text().strip())
    except OSError as error:
        raise NotFoundError(f"cannot read the key {path}: {error.strerror}") from error


def _holder(
    new: Path | None, recipient: str | None, *, passphrase: bool
) -> Identity | AgePublicKey:
    """Return whom the options name."""
    if [new is not None, recipient is not None, passphrase].count(True) != 1:
        raise UsageError(
            "say what the key is",
            hint="Give one of --new FILE, --recipient age1… and --passphrase.",
        )
    if new is not None:
        return new_identity()
    if recipient is not None:
        return AgePublicKey(recipient.strip())
    return _asked_passphrase()


def _asked_passphrase() -> Identity:
    if sys.stdin.isatty():
        text = getpass.getpass("new passphrase: ").strip()
        if getpass.getpass("once more: ").strip() != text:
            raise UsageError("the two passphrases differ", hint="Try again.")
    else:
        text = sys.stdin.read().strip()
    if len(text) < _SHORTEST_PASSPHRASE:
        raise UsageError(
            f"the passphrase has fewer than {_SHORTEST_PASSPHRASE} characters",
            hint="Use five or more words chosen by dice.",
        )
    identity = Identity(text)
    if identity.is_age:
        raise UsageError("that is an age identity, no passphrase", hint="Use --recipient.")
    return identity


@contextmanager
def _kept(holder: Identity | AgePublicKey, new: Path | None) -> Iterator[None]:
    """Have a key that was made here in its file before it is used; gone again when refused."""
    if new is not None:
        assert isinstance(holder, Identity)
        write_secret(new.absolute(), holder.secret)
    try:
        yield
    except (UsageError, RefusedError):
        if new is not None:
            new.unlink()
        raise


def _say_where(new: Path | None) -> None:
    if new is not None:
        out(f"it is in {new}: move it to a safe place off this machine")


def _document(holder: Recipient, own: str) -> dict[str, object]:
    return {
        "label": holder.label,
        "kind": holder.kind,
        "public": holder.public,
        "own": holder.label == own,
    }
