"""Define the arguments of commands that operate a store: backups, removal, serving."""

from observability.cli.arguments import AddCommand, absolute_path, folder_or_address


def add_operation_commands(add: AddCommand) -> None:
    """Add the commands that operate a store."""
    backup = add("backup", "Write a consistent copy of the home into a folder, also while the dashboard runs.", "backup /mnt/backups")
    backup.add_argument(
        "folder",
        type=folder_or_address,
        metavar="DIR",
        help="a folder on another disk, with a folder for each backup; or an address such as s3://BUCKET/FOLDER, which gets "
        "the blocks that changed",
    )

    restore = add(
        "restore",
        "Restore the newest backup of a folder, or one backup, into the home, and load the records that landed since.",
        "restore /mnt/backups",
    )
    restore.add_argument(
        "folder", type=folder_or_address, metavar="DIR", help="the folder or address that `backup` wrote to, or one backup in the folder"
    )

    verify = add(
        "verify",
        "Read every block of the store, compare the records with the list of loaded files, and recompute the counts of some days.",
        "verify --json",
    )
    verify.add_argument(
        "--backup",
        type=folder_or_address,
        metavar="DIR",
        help="restore the newest backup of this folder or address beside the store, and verify the restored copy",
    )

    lake = add(
        "export-lake",
        "Write the raw rows that changed into a lake: Parquet by model and day, for Spark, DuckDB and other tools.",
        "export-lake /mnt/lake",
    )
    lake.add_argument("folder", type=folder_or_address, metavar="DIR", help="a folder, or an address such as s3://BUCKET/FOLDER")
    lake.add_argument(
        "--replace",
        action="store_true",
        help="also write if another store, or a later state of this store, wrote the lake; its rows that this store lacks are deleted",
    )

    rollups = add(
        "rollup-lake",
        "Recompute daily counts from a lake, with DuckDB or Spark, and replace those of the store.",
        "rollup-lake --model loan --from 2026-07-01 --to 2026-07-31",
    )
    rollups.add_argument(
        "folder", nargs="?", type=folder_or_address, metavar="DIR", help="the lake; default: the lake that keeping.toml of the home names"
    )
    rollups.add_argument("--model", action="append", default=[], metavar="MODEL", help="repeatable; default: every model of the lake")
    rollups.add_argument("--from", dest="start", required=True, metavar="DAY", help="the first day, in UTC: 2026-07-01")
    rollups.add_argument("--to", dest="end", required=True, metavar="DAY", help="the last day, included")
    rollups.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb", help="the engine that reads the lake; default: duckdb")
    rollups.add_argument("--master", metavar="URL", help="Spark's master, for example spark://HOST:7077; default: this machine")

    remove = add("remove", "Remove a model and all of its records.", "remove loan")
    remove.add_argument("model", metavar="MODEL")

    forget = add(
        "forget",
        "Erase a subject everywhere: rows, labels, texts, landing and backups. Later records of it are refused.",
        "forget --subject 7f3a9c",
    )
    forget.add_argument("--subject", required=True, metavar="S", help="the value of the field `subject`")

    retention = add(
        "retention",
        "Remove records older than keeping.toml in the home allows; the dashboard does so every night.",
        "retention --dry-run",
    )
    retention.add_argument("--dry-run", action="store_true", help="only list the records to remove")
    retention.add_argument("--rewrite", action="store_true", help="rewrite the store even if nothing was removed")

    serve = add("serve", "Start the dashboard.", "serve --port 8501")
    serve.add_argument("--port", type=int, default=8501)
    serve.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="interface to listen on; others than this machine need sign-in"
    )
    serve.add_argument("--open", action="store_true", help="open a browser")
    serve.add_argument(
        "--replica",
        metavar="FOLDER",
        type=absolute_path,
        help="only show pages, from the states that the owner of a store publishes in HOME/published (docs/deploying.md)",
    )
    serve.add_argument(
        "--owner",
        metavar="URL",
        help="with --replica: address of the owner, which stores the entries of people here; its token is in OBSERVABILITY_OWNER_TOKEN",
    )
    collect = add(
        "collect",
        "Take records over HTTP without a store, and leave them in a shared folder or bucket for the dashboard. Any number may run.",
        "collect --to s3://ml-logs/collected --port 8600",
    )
    collect.add_argument("--to", required=True, type=folder_or_address, metavar="PLACE", help="a folder, s3://, gs:// or az://")
    collect.add_argument("--port", type=int, default=8600)
    collect.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="interface to listen on; terminate TLS in front of it")
