"""Define the arguments of commands about records: files, sources, other tools, items to label, batches."""

from observability.cli.arguments import (
    DECIMAL_HELP,
    TABLE_FILES,
    TIMEZONE_HELP,
    AddCommand,
    AllowRejected,
    absolute_path,
    folder_or_address,
)
from observability.importers.sources import OPENERS
from observability.records.kinds import KINDS


def add_record_commands(add: AddCommand) -> None:
    """Add the commands that bring records in."""
    load = add(
        "load",
        "Load records from files, and all records in the landing folder. A folder or an address is a source: "
        "files that were loaded from it are not loaded again (docs/lake.md).",
        "load s3://ml-logs/loans --kind prediction --model loan --version 3",
    )
    load.add_argument(
        "files",
        nargs="*",
        action="extend",
        default=[],
        type=folder_or_address,
        metavar="FILE",
        help=f"{TABLE_FILES}; a folder of such files; s3://, gs://, az:// or https://; "
        "a Delta or Iceberg table, iceberg://CATALOG/NAMESPACE.TABLE",
    )
    load.add_argument("--again", action="store_true", help="read every file of the sources, even those that were loaded before")
    load.add_argument("--kind", metavar="KIND", help=f"record kind of .csv and .parquet files: {', '.join(KINDS)}")
    load.add_argument("--model", help="for records without a model")
    load.add_argument("--version", help="for records without a version; default: the version of the model, if it has only one")
    load.add_argument(
        "--features",
        metavar="a,b",
        help="feature columns of a .csv or .parquet file; default: every remaining column except the columns that registration left out",
    )
    load.add_argument(
        "--map", action="append", default=[], metavar="theirs=ours", help="column name in the file = field of the record; repeatable"
    )
    load.add_argument(
        "--score",
        action="append",
        default=[],
        metavar="COL",
        help="score column of a .csv or .parquet file; multiclass: class=COL for each class; default: `score`, or the columns of each "
        "class as registered",
    )
    load.add_argument("--timezone", metavar="ZONE", help=TIMEZONE_HELP)
    load.add_argument("--decimal", choices=(",", "."), help=DECIMAL_HELP)
    load.add_argument(
        "--allow-rejected",
        nargs="?",
        metavar="SHARE",
        action=AllowRejected,
        help="exit with 1 if more than this share (0 to 1) of the lines was rejected; without a value, exit with 0 whatever was rejected; "
        "default: exit with 2 if every line of the files was. A file that cannot be read is 2 in any case",
    )

    imported = add(
        "import",
        "Import records of other tools; the source is only read, and a second import adds nothing (docs/importing.md).",
        "import mlflow mlruns",
    )
    imported.add_argument(
        "what",
        choices=(*OPENERS, "tables", "wandb"),
        metavar="WHAT",
        help=f"{', '.join(OPENERS)} or tables",
    )
    imported.add_argument(
        "sources", nargs="+", type=absolute_path, metavar="PATH", help="the tool's file or folder; tables: reference and current"
    )
    imported.add_argument("--model", help="the model of runs that name none; for tables and a model folder, the model's name")
    imported.add_argument(
        "--version", help="the version of runs that name none; for tables and a model folder, the model's version; default for tables: 1"
    )
    imported.add_argument("--timezone", metavar="ZONE", help=TIMEZONE_HELP)
    imported.add_argument("--at", metavar="T", help="transformers: end of the training; tables: time of rows without a time")
    imported.add_argument(
        "--run", metavar="RUN", help="zeus: the run whose energy the file holds; default: named after the file or its folder"
    )
    imported.add_argument(
        "--reference", type=absolute_path, metavar="FILE", help="mlflow model folder: held-out rows with labels and scores"
    )
    imported.add_argument(
        "--artifact", type=absolute_path, metavar="FILE", help="mlflow model folder: a converted model file instead of its own"
    )
    imported.add_argument("--task", choices=("binary", "regression", "multiclass"), help="default: inferred")
    imported.add_argument("--label", metavar="COL", help="the column with the true labels; default: found by its usual name")
    imported.add_argument("--score", action="append", default=[], metavar="COL", help="as in `register`; default: found by its usual name")
    imported.add_argument("--prediction", metavar="COL", help="the predicted class")
    imported.add_argument("--features", metavar="a,b", help="default: the columns of the signature, or every remaining column")
    imported.add_argument("--sensitive", action="append", default=[], metavar="COL", help="a sensitive attribute; repeatable")
    imported.add_argument("--positive", metavar="VALUE", help="the positive class, if labels are text")
    imported.add_argument("--settings", type=absolute_path, metavar="FILE.toml", help="as in `register`")
    imported.add_argument("--in-sample", action="store_true", help="the reference includes training rows")

    items = add(
        "items",
        "Land items to be labelled on the page Annotate, without any model; or write the settled labels of a project to a file.",
        "items tweets.csv --project moods --id tweet --classes negative,neutral,positive",
    )
    items.add_argument("file", nargs="?", type=absolute_path, metavar="FILE", help=f"{TABLE_FILES}; one item per row")
    items.add_argument("--project", required=True, help="the labelling project")
    items.add_argument("--id", metavar="COLUMN", help="column that names the item; default: a name made of its content")
    items.add_argument("--columns", metavar="a,b", help="columns that annotators see: texts, paths of images, values; default: all others")
    items.add_argument("--classes", metavar="a,b", help="the labels that an item may get; default: the labels of the project's model")
    items.add_argument("--guideline", metavar="V", help="version of the guideline")
    items.add_argument("--decimal", choices=(",", "."), help=DECIMAL_HELP)
    items.add_argument("--dry-run", action="store_true", help="report the rows without landing them")
    items.add_argument(
        "--out", type=absolute_path, metavar="FILE", help="write the settled labels to this .csv, .jsonl or .parquet file instead"
    )

    profile = add(
        "profile",
        "Make the batch record of a file, with the statistics of its columns, and keep it.",
        "profile day.csv --source greenhouse --device d7 --at time --range temperature=-40:60",
    )
    profile.add_argument("file", type=absolute_path, metavar="FILE", help=TABLE_FILES)
    profile.add_argument("--source", required=True, help="where the data come from")
    profile.add_argument("--device", help="the device that captured them")
    profile.add_argument("--batch", help="name of the batch; default: the name of the file")
    profile.add_argument("--at", metavar="COLUMN", help="column with the times of capture")
    profile.add_argument("--timezone", metavar="ZONE", help=TIMEZONE_HELP)
    profile.add_argument("--rejected", type=int, metavar="N", help="rows that were rejected before")
    profile.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="COLUMN=LOW:HIGH",
        help="possible values of a column; repeatable, an end may be left out",
    )
    profile.add_argument("--decimal", choices=(",", "."), help=DECIMAL_HELP)
    profile.add_argument("--dry-run", action="store_true", help="print the record without keeping it")
