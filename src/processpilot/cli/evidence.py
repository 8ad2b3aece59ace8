"""`processpilot evidence`: list, show, make, verify, key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    errors_told,
    opened,
    out,
    print_json,
    table,
)
from processpilot.dossier.signing import SIGNATURE_FILE, public_text, verify_folder
from processpilot.dossier.store import FOLDER
from processpilot.errors import NotFoundError, UsageError
from processpilot.wiring.dossiers import make_run_evidence, signing_key

app = typer.Typer(help="Signed evidence of runs and drills.", no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(help="A run's or drill's id.")]


@app.command("list")
def list_packs(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """List the evidence packs, oldest first."""
    with opened(plan, as_json=as_json) as wired:
        places = sorted(wired.state_dir.glob(f"*/*/{FOLDER}/{SIGNATURE_FILE}"))
    rows = [(place.parent.parent.name, str(place.parent)) for place in places]
    if as_json:
        print_json({"packs": [{"id": name, "folder": folder} for name, folder in rows]})
    else:
        table(rows, ("ID", "FOLDER"))


@app.command()
def make(run_id: RunArgument, plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Write and sign the evidence of a run again, with what is known by now."""
    with opened(plan, as_json=as_json) as wired:
        stored = make_run_evidence(wired, run_id)
    if as_json:
        print_json({"folder": str(stored.folder), "public_key": stored.signed.public_key})
    else:
        out(f"evidence of {run_id}: {stored.folder}")


@app.command()
def key(plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False) -> None:
    """Print the public key; keep it elsewhere: evidence is only worth what this key is."""
    with opened(plan, as_json=as_json) as wired:
        public = public_text(signing_key(wired))
    if as_json:
        print_json({"public_key": public})
    else:
        out(public)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="An evidence folder, or a copy of one.")],
    public_key: Annotated[
        str, typer.Option("--public-key", help="64 hexadecimal digits, or a file with them.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Verify an evidence pack offline: nothing but the folder and the public key is needed."""
    with errors_told(as_json=as_json):
        signed = verify_folder(folder, _key_text(public_key))
    if as_json:
        print_json({"folder": str(folder), "files": dict(signed.files), "verified": True})
        return
    out(f"{folder}: genuine")
    for name, digest in signed.files.items():
        out(f"  {digest}  {name}")


def _key_text(given: str) -> str:
    """Return the key given as digits or as a file that holds them."""
    path = Path(given)
    if len(given) == 64 and not path.exists():
        return given
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {path}, and it is no key either") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a key") from error
