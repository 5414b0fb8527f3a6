"""Tables of metrics are written to a bucket as to a folder, by the command and every night. If the bucket refuses, this is reported and
stops nothing else.
"""

import io
import json
from datetime import UTC, datetime

import pyarrow.parquet as pq

from observability.cli.execute import execute
from observability.server.process_lock import Lock, Owner
from observability.store.db.keeping import FILE
from observability.store.registry.admin import storage_problems
from tests.support.record_lines import prediction

NIGHT = datetime(2024, 3, 20, 3, tzinfo=UTC)


def tables_of(bucket):
    """The rows of each table in the bucket, by the table's name without the day."""
    found = bucket.client.list_objects_v2(Bucket=bucket.name).get("Contents", [])
    keys = [each["Key"] for each in found]
    bodies = {key: bucket.client.get_object(Bucket=bucket.name, Key=key)["Body"].read() for key in keys}
    return {
        key.removeprefix("metrics/").split("/")[0].removesuffix(".parquet"): pq.read_table(io.BytesIO(body)) for key, body in bodies.items()
    }


def test_a_bucket_gets_the_tables_by_the_command_and_at_night(bucket, store):
    store.write_records([prediction(number) for number in range(30)])
    store.load_landing()
    address = f"s3://{bucket.name}/metrics"
    done = execute(store, ["export", address, "--json"], lambda _: None)
    assert done.exit_code == 0, done
    rows, tables = json.loads(done.out)["rows"], tables_of(bucket)
    assert {name: table.num_rows for name, table in tables.items()} == rows and len(rows) == 8 and rows["findings"] > 5
    assert sum(tables["daily"]["predictions"].to_pylist()) == 30
    refused = execute(store, ["export", "https://127.0.0.1/metrics"], lambda _: None)
    assert refused.exit_code == 2 and "s3://" in refused.error
    missing = execute(store, ["export", "s3://no-such-bucket-here/metrics"], lambda _: None)
    assert missing.exit_code == 2 and len(missing.error.splitlines()) == 1 and "Traceback" not in missing.error

    (store.home / FILE).write_text(f'[metric_tables]\nfolder = "{address}"\n')
    bucket.client.delete_object(Bucket=bucket.name, Key="metrics/daily.parquet")
    assert store.nightly_is_due(NIGHT)
    write = Owner(store.home, Lock(-1), store).write_metric_tables
    assert store.nightly(NIGHT, write)["metric_tables"] == {**rows, "suppressed": 0} and "daily" in tables_of(bucket)
    (store.home / FILE).write_text(
        f'[metric_tables]\nfolder = "s3://no-such-bucket-here/x"\n[backup]\nfolder = "{store.home.parent / "backups"}"\n'
    )
    night = store.nightly(NIGHT, write)
    assert night["metric_tables"] is None and night["verified_restore"] and len(night["failures"]) == 1
    assert any(sentence.startswith("Last night: the export of metric tables failed") for sentence in storage_problems(store))
