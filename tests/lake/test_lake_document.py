"""Every command of docs/lake.md runs with the documented result, and its lake.toml is valid."""

import re
import shlex
import tomllib

from observability.cli.execute import execute
from observability.lake.config import checked_lake_config
from tests.support.lake_server import bucket_client, parquet_bytes, predictions_table, set_environment
from tests.support.sample_home import ROOT

PAGE = (ROOT / "docs" / "lake.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_runs(store, s3_environment, monkeypatch, tmp_path):
    import deltalake

    set_environment(monkeypatch, s3_environment)
    client = bucket_client(s3_environment)
    client.create_bucket(Bucket="ml-logs")
    for k in range(2):
        client.put_object(Bucket="ml-logs", Key=f"loans/day={k}/a.parquet", Body=parquet_bytes(predictions_table(100 * k, 100)))
    table = predictions_table(1000, 40).rename_columns(["id", "at", "customer_age", "job", "score"])
    options = {"AWS_ALLOW_HTTP": "true", "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}
    deltalake.write_deltalake("s3://ml-logs/tables/loans", table, storage_options=options)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "a.csv").write_text("id,at,score,age\nc1,2026-03-01 10:00:00,0.5,3\n", encoding="utf-8")
    commands = re.findall(r"^observability (load .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 5
    outputs = []
    for number, command in enumerate(commands):
        done = execute(store, shlex.split(command), lambda _: None)
        assert done.exit_code == 0, (command, done)
        outputs.append(done.out)
        if not number:
            client.put_object(Bucket="ml-logs", Key="loans/day=2/a.parquet", Body=parquet_bytes(predictions_table(200, 50)))
    shown = re.search(r"```\n(s3://ml-logs/loans: .*?)```", PAGE, re.DOTALL)
    assert shown is not None and outputs[1] == shown[1].strip()
    assert "250 lines: 0 stored, 250 duplicates, 0 rejected" in outputs[4]


def test_the_schedule_of_the_page_is_valid():
    (text,) = re.findall(r"```toml\n(\[lake\].*?)```", PAGE, re.DOTALL)
    assert checked_lake_config(tomllib.loads(text)).sources["loans"].every_hours == 1
