"""The same job with the repository in an S3 bucket."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from protected_site import SiteMaker
from site_acts import opened_copy, restore, scalar, streaming, wait_stored

from processpilot.plan.secrets import write_secret
from processpilot.progress import silent
from processpilot.repository.verify import verify_repository


def test_backup_log_and_restore_through_s3(
    make_site: SiteMaker, s3_endpoint: str, tmp_path: Path
) -> None:
    """init, backup, streamed log, verify and restore work with a bucket; keys stay in files."""
    write_secret(tmp_path / "access", "test-access-key")
    write_secret(tmp_path / "secret", "test-secret-key")
    site = make_site(
        repository="s3://conformance/site",
        storage={
            "endpoint": s3_endpoint,
            "region": "us-east-1",
            "access_key": f"file:{tmp_path / 'access'}",
            "secret_key": f"file:{tmp_path / 'secret'}",
            "allow_http": True,
        },
    )
    site.run("create table t as select g as id, md5(g::text) v from generate_series(1, 5000) g")
    with streaming(site) as agent:
        site.back_up()
        site.run("insert into t values (5001, 'after')")
        wait_stored(site, agent)
    with closing(site.wired()) as wired:
        assert wired.repository.store.location == "s3://conformance/site"
        assert verify_repository(wired.repository, None, deep=True, progress=silent).intact
        plan, _ = restore(wired, tmp_path / "copy")
        with opened_copy(plan) as copy:
            assert scalar(copy, "select count(*) from t") == 5001
