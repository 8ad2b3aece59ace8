"""What a backup holds besides the cluster's files: the plan in force, configuration kept elsewhere.

A restore to a folder writes them beside it, for whoever sets the machine up.
"""

from __future__ import annotations

from pathlib import Path

from processpilot.restore.plan import RestorePlan


def write_companions(plan: RestorePlan) -> list[Path]:
    """Write them into `TARGET-companions`; return the files, none when there is nothing."""
    manifest = plan.manifest
    texts = {Path(path).name: text for path, text in manifest.config_files.items()}
    if manifest.plan is not None:
        texts["processpilot.yaml"] = manifest.plan
    if not texts:
        return []
    folder = plan.folder.with_name(f"{plan.folder.name}-companions")
    folder.mkdir(mode=0o700, exist_ok=True)
    written = []
    for name, text in sorted(texts.items()):
        path = folder / name
        path.write_text(text)
        path.chmod(0o600)
        written.append(path)
    return written
