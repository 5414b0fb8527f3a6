"""Parser of the command line: every command with its help and an example."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from observability.core.errors import UsageError
from observability.core.settings import AUDITS
from observability.records.kinds import KINDS

WITHOUT_JSON = ("demo", "serve", "mcp", "collect")
"""Commands that print no data."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError instead of ending the process: it also runs inside the owner's process."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError. argparse calls this for every wrong use."""
        raise UsageError(message, attempt=f"See {self.prog} --help")


class AllowRejected(argparse.Action):
    """The option --allow-rejected: a share from 0 to 1, by default 1. What follows it and is no number is a file."""

    def __call__(self, parser: argparse.ArgumentParser, args: argparse.Namespace, value: object, option: str | None = None) -> None:
        """Set the share."""
        share = 1.0
        if value is not None:
            try:
                share = float(str(value))
            except ValueError:
                args.files = [*args.files, absolute_path(str(value))]
        if not 0 <= share <= 1:
            raise UsageError("--allow-rejected takes a share", got=value, expected="a number from 0 to 1")
        args.allow_rejected = share


def parser() -> Parser:
    """The parser of every command."""
    root = Parser(prog="python -m observability", description="See, investigate and review the health of machine-learning models.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def add(name: str, text: str, example: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=f"Example: python -m observability {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    demo = add("demo", "Load the sample fleet into an empty store, or remove it.", "demo --live")
    ways = demo.add_mutually_exclusive_group()
    ways.add_argument("--if-empty", action="store_true", help="do nothing if the store holds models")
    ways.add_argument("--remove", action="store_true", help="remove the sample fleet with all of its records")
    demo.add_argument(
        "--live", action="store_true", help="move its times to today; what lies ahead arrives hourly while the dashboard runs"
    )

    decimal_help = "decimal sign of the numbers in a .csv file; with a comma, points may group thousands"
    register = add(
        "register",
        "Register a model version from a reference file of held-out predictions with their labels.",
        "register --model loan --version 3 --task binary --reference held_out.csv --label defaulted --score probability --sensitive sex",
    )
    register.add_argument("--model", required=True, help="the model's name in the records")
    register.add_argument("--version", required=True, help="the version that produced the scores in the reference")
    register.add_argument("--task", required=True, choices=("binary", "regression", "multiclass"))
    register.add_argument(
        "--reference", required=True, type=absolute_path, metavar="FILE", help=".jsonl, .csv (both also as .gz) or .parquet"
    )
    register.add_argument("--label", required=True, metavar="COL", help="the column with the true labels")
    register.add_argument(
        "--score",
        required=True,
        action="append",
        metavar="COL",
        help="binary: probability of the positive class; regression: the value; multiclass: class=COL for each class",
    )
    register.add_argument("--prediction", metavar="COL", help="the predicted class, where the score does not determine it")
    register.add_argument("--at", metavar="COL", help="event time")
    register.add_argument("--timezone", metavar="ZONE", help="time zone of times without an offset, as Europe/Paris; default: UTC")
    register.add_argument("--sensitive", action="append", default=[], metavar="COL", help="a sensitive attribute, for fairness; repeatable")
    register.add_argument("--features", metavar="a,b", help="default: every remaining column")
    register.add_argument(
        "--map", action="append", default=[], metavar="theirs=ours", help="column name in the file = name in the records; repeatable"
    )
    register.add_argument(
        "--artifact",
        type=absolute_path,
        metavar="FILE",
        help="the model file, for explanations: LightGBM text, XGBoost json, skops or ONNX",
    )
    register.add_argument("--in-sample", action="store_true", help="the reference includes training rows")
    register.add_argument(
        "--settings", type=absolute_path, metavar="FILE.toml", help="threshold, costs, owner, fairness criterion, service level"
    )
    register.add_argument("--positive", metavar="VALUE", help="the positive class, if labels are text")
    register.add_argument("--decimal", choices=(",", "."), help=decimal_help)

    settings = add("settings", "Show a model's settings, or set them from a file.", "settings loan --settings loan.toml")
    settings.add_argument("model", metavar="MODEL")
    settings.add_argument("--settings", type=absolute_path, metavar="FILE.toml")

    apply = add(
        "apply",
        "Make models, settings, alerts, limits and retention what a configuration file says; what it does not name stays.",
        "apply observability.toml --dry-run",
    )
    apply.add_argument("file", type=absolute_path, metavar="FILE.toml")
    apply.add_argument("--dry-run", action="store_true", help="only show what would change")

    load = add(
        "load",
        "Load records from files, and all records in the landing folder. Folders and addresses are sources: what a load took of one is not "
        "taken again (docs/lake.md).",
        "load s3://ml-logs/loans --kind prediction --model loan --version 3",
    )
    load.add_argument(
        "files",
        nargs="*",
        action="extend",
        default=[],
        type=folder_or_address,
        metavar="FILE",
        help=".jsonl, .csv (both also as .gz) or .parquet; a folder of such files; s3://, gs://, az:// or https://; "
        "a Delta or Iceberg table, iceberg://CATALOG/NAMESPACE.TABLE",
    )
    load.add_argument("--again", action="store_true", help="read every file of the sources, also those that were taken before")
    load.add_argument("--kind", metavar="KIND", help=f"record kind of .csv and .parquet files: {', '.join(KINDS)}")
    load.add_argument("--model", help="for records without a model")
    load.add_argument("--version", help="for records without a version; default: that of the model where it has just one")
    load.add_argument(
        "--features",
        metavar="a,b",
        help="feature columns of a .csv or .parquet file; default: every remaining column but those that registration left out",
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
    load.add_argument("--timezone", metavar="ZONE", help="time zone of times without an offset, for example Europe/Paris")
    load.add_argument("--decimal", choices=(",", "."), help=decimal_help)
    load.add_argument(
        "--allow-rejected",
        nargs="?",
        metavar="SHARE",
        action=AllowRejected,
        help="exit with 1 only where more than this share of the lines was rejected, 0 to 1; without a share never",
    )

    imported = add(
        "import",
        "Bring in what other tools wrote; the source is only read, and a second import adds nothing (docs/importing.md).",
        "import mlflow mlruns",
    )
    imported.add_argument(
        "what",
        choices=("mlflow", "tensorboard", "optuna", "codecarbon", "zeus", "transformers", "tables", "wandb"),
        metavar="WHAT",
        help="mlflow, tensorboard, optuna, codecarbon, zeus, transformers or tables",
    )
    imported.add_argument(
        "sources", nargs="+", type=absolute_path, metavar="PATH", help="the tool's file or folder; tables: reference and current"
    )
    imported.add_argument("--model", help="for runs without a model; of tables and a model folder, its name")
    imported.add_argument("--version", help="for runs without a version; of tables and a model folder, its version; of tables by default 1")
    imported.add_argument("--timezone", metavar="ZONE", help="time zone of times without an offset, for example Europe/Paris")
    imported.add_argument("--at", metavar="T", help="transformers: end of the training; tables: time of rows without one")
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
    imported.add_argument("--label", metavar="COL", help="the column with the true labels; default: by its usual name")
    imported.add_argument("--score", action="append", default=[], metavar="COL", help="as of register; default: by its usual name")
    imported.add_argument("--prediction", metavar="COL", help="the predicted class")
    imported.add_argument("--features", metavar="a,b", help="default: those of the signature, or every remaining column")
    imported.add_argument("--sensitive", action="append", default=[], metavar="COL", help="a sensitive attribute; repeatable")
    imported.add_argument("--positive", metavar="VALUE", help="the positive class, if labels are text")
    imported.add_argument("--settings", type=absolute_path, metavar="FILE.toml", help="as of register")
    imported.add_argument("--in-sample", action="store_true", help="the reference includes training rows")

    items = add(
        "items",
        "Land items to be labelled on the page Annotate, without any model; or write the settled labels of a project to a file.",
        "items tweets.csv --project moods --id tweet --classes negative,neutral,positive",
    )
    items.add_argument(
        "file", nargs="?", type=absolute_path, metavar="FILE", help=".jsonl, .csv (both also as .gz) or .parquet; an item a row"
    )
    items.add_argument("--project", required=True, help="the labelling project")
    items.add_argument("--id", metavar="COLUMN", help="column that names the item; default: a name made of its content")
    items.add_argument("--columns", metavar="a,b", help="columns that annotators see: texts, paths of images, values; default: all others")
    items.add_argument("--classes", metavar="a,b", help="the labels that an item may get; default: those of the project's model")
    items.add_argument("--guideline", metavar="V", help="version of the guideline")
    items.add_argument("--decimal", choices=(",", "."), help=decimal_help)
    items.add_argument("--dry-run", action="store_true", help="say what would be landed without keeping it")
    items.add_argument(
        "--out", type=absolute_path, metavar="FILE", help="write the settled labels to this .csv, .jsonl or .parquet file instead"
    )

    profile = add(
        "profile",
        "Make the batch record of a file, with the statistics of its columns, and keep it.",
        "profile day.csv --source greenhouse --device d7 --at time --range temperature=-40:60",
    )
    profile.add_argument("file", type=absolute_path, metavar="FILE", help=".jsonl, .csv (both also as .gz) or .parquet")
    profile.add_argument("--source", required=True, help="where the data come from")
    profile.add_argument("--device", help="the device that captured them")
    profile.add_argument("--batch", help="name of the batch; default: that of the file")
    profile.add_argument("--at", metavar="COLUMN", help="column with the times of capture")
    profile.add_argument("--timezone", metavar="ZONE", help="time zone of times without an offset, for example Europe/Paris")
    profile.add_argument("--rejected", type=int, metavar="N", help="rows that were rejected before")
    profile.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="COLUMN=LOW:HIGH",
        help="possible values of a column; repeatable, an end may be left out",
    )
    profile.add_argument("--decimal", choices=(",", "."), help=decimal_help)
    profile.add_argument("--dry-run", action="store_true", help="print the record without keeping it")

    model_audit = add(
        "audit",
        "Audit a model version: robustness, membership, explanations, fairness under shift, data leakage, precision (forms).",
        "audit loan --version 3 --kind robustness",
    )
    model_audit.add_argument("model", metavar="MODEL", help="the model")
    model_audit.add_argument("--version", help="its version; default: the newest that is registered")
    model_audit.add_argument("--kind", action="append", choices=AUDITS, help="repeatable; default: all")
    model_audit.add_argument("--rows", type=int, metavar="N", help="at most so many rows of each sample")
    model_audit.add_argument("--in-sample", action="store_true", help="the reference holds training rows (membership, leakage)")
    model_audit.add_argument("--shadows", type=int, default=16, metavar="N", help="shadow models of membership, an even number; default 16")
    model_audit.add_argument("--seed", type=int, default=0, help="seed of samples and models")
    model_audit.add_argument(
        "--schedule",
        nargs="?",
        const="",
        metavar="WHEN",
        help="let the dashboard run it: '30 days' after the last, 'new version', 'expired', or 'never'; alone: list the schedule",
    )

    audit = add(
        "audit-data",
        "Audit a dataset: duplicates, labels, leakage, outliers, and what each cleaning rule does to a model. Keeps the records.",
        "audit-data train.csv --label churned --held-out test.csv --group region",
    )
    audit.add_argument(
        "files",
        nargs="*",
        type=absolute_path,
        metavar="FILE",
        help=".jsonl, .csv (both also as .gz) or .parquet; none: the reference of --model",
    )
    audit.add_argument("--label", metavar="COLUMN", help="column with the label; of --held-out too (default there: label)")
    audit.add_argument("--held-out", type=absolute_path, metavar="FILE", help="held-out rows with the same columns")
    audit.add_argument("--group", action="append", default=[], metavar="COLUMN", help="compare drop rates of its levels; repeatable")
    audit.add_argument("--exclude", metavar="a,b", help="columns that are no features, as ids")
    audit.add_argument("--dataset", help="name of the dataset; default: that of the file")
    audit.add_argument("--data-version", metavar="V", help="version of the dataset; default: the time of the audit")
    audit.add_argument("--model", help="the model that is trained on the data; without files, the one whose reference is audited")
    audit.add_argument("--version", help="its version")
    audit.add_argument("--seed", type=int, default=0, help="seed of folds and models")
    audit.add_argument("--decimal", choices=(",", "."), help=decimal_help)
    audit.add_argument("--no-examples", action="store_true", help="keep no example of a row in the records")
    audit.add_argument("--dry-run", action="store_true", help="print the audit without keeping its records")

    probe = add(
        "probe",
        "Ask a fixed set of questions to a model that serves elsewhere, and keep the answers.",
        "probe vendor.toml --schedule",
    )
    probe.add_argument("what", type=file_or_model, metavar="FILE.toml|MODEL", help="a probe file, or a model whose set is scheduled")
    probe.add_argument("--schedule", action="store_true", help="keep the file, so that the dashboard asks it every `every_hours`")
    probe.add_argument("--unschedule", action="store_true", help="ask the sets of MODEL no longer; answers stay")
    probe.add_argument(
        "--encoder",
        type=absolute_path,
        metavar="PATH",
        help="folder of a sentence encoder (model.onnx, tokenizer.json), by which free-text answers are compared",
    )
    probe.add_argument("--dry-run", action="store_true", help="ask, and print the answers without keeping them")

    gate = add(
        "gate",
        "Say whether a batch of predictions may be released: exit 0 to release it, 1 to hold it. A person may decide otherwise.",
        "gate 2026-03-02 --model churn",
    )
    gate.add_argument("batch", metavar="BATCH", help="the batch that the predictions name")
    gate.add_argument("--model", help="needed where several models serve in batches")
    ways = gate.add_mutually_exclusive_group()
    ways.add_argument("--release", action="store_true", help="decide that it is released, whatever the rules say")
    ways.add_argument("--hold", action="store_true", help="decide that it is held, whatever the rules say")
    gate.add_argument("--author", help="who decides; required with --release and --hold")
    gate.add_argument("--reason", help="why")

    stored = add(
        "audit-storage",
        "Measure a dataset's bytes by column and codec, what less exact forms lose, and its smallest groups. Keeps the record.",
        "audit-storage people.parquet --quasi age,zip --sensitive income",
    )
    stored.add_argument(
        "files",
        nargs="*",
        type=absolute_path,
        metavar="FILE",
        help=".jsonl, .csv (both also as .gz) or .parquet, pictures or sound, or their folder; none: the reference of --model",
    )
    stored.add_argument("--media", metavar="COLUMN", help="column of the table with the paths of pictures or sound, relative to the table")
    stored.add_argument("--least-psnr", type=float, metavar="DB", help="the least mean PSNR that each group of files should keep")
    stored.add_argument("--least-ssim", type=float, metavar="S", help="the least mean SSIM that each group of pictures should keep")
    stored.add_argument("--dataset", help="name of the dataset; default: that of the file")
    stored.add_argument("--data-version", metavar="V", help="version of the dataset; default: the time of the audit")
    stored.add_argument("--model", help="score the rows before and after with its file; its settings tag the columns")
    stored.add_argument("--version", help="its version; default: the newest with a file")
    stored.add_argument("--personal", metavar="a,b", help="columns that name a person")
    stored.add_argument("--sensitive", metavar="a,b", help="sensitive columns")
    stored.add_argument("--quasi", metavar="a,b", help="columns that together single out a person")
    stored.add_argument(
        "--before", type=absolute_path, metavar="FILE", help="the rows of the version before: those added, changed and deleted are kept"
    )
    stored.add_argument("--before-version", metavar="V", help="its version, which the new one is made from")
    stored.add_argument("--key", metavar="COLUMN", help="column that identifies a row in both versions; default: id")
    stored.add_argument("--in-use", metavar="FORM", help="the form that the data are stored in, as float16; default: exact")
    stored.add_argument("--decimal", choices=(",", "."), help=decimal_help)
    stored.add_argument("--dry-run", action="store_true", help="print the audit without keeping its record")

    place = add(
        "report-storage",
        "Measure a folder as a place that stores data: room, small and equal files, what nothing reads, and the oldest. Keeps the report.",
        "report-storage /data/raw --place raw --keep-days 400",
    )
    place.add_argument("folder", type=absolute_path, metavar="FOLDER", help="the folder, with all folders in it")
    place.add_argument("--place", metavar="NAME", help="name of the place; default: that of the folder")
    place.add_argument("--keep-days", type=float, metavar="N", help="days after which data are to be removed")
    place.add_argument("--tier", choices=("hot", "cold", "archive"), help="how fast and how dear the place is")
    place.add_argument("--skip-contents", action="store_true", help="do not compare the contents of files of one size")
    place.add_argument("--dry-run", action="store_true", help="print the report without keeping it")

    croissant = add(
        "croissant",
        "Describe a data file as Croissant JSON-LD, with what was logged about its version.",
        "croissant people.csv --dataset people --out people.croissant.json",
    )
    croissant.add_argument("file", type=absolute_path, metavar="FILE", help=".csv, .parquet or .jsonl")
    croissant.add_argument("--dataset", help="name of the dataset; default: that of the file")
    croissant.add_argument("--data-version", metavar="V", help="the logged version that the file must be")
    croissant.add_argument("--license", metavar="URL", help="address of its licence")
    croissant.add_argument("--url", metavar="URL", help="address of its page")
    croissant.add_argument("--out", type=absolute_path, metavar="FILE", help="write to a file")

    lineage = add("lineage", "Write runs and datasets as OpenLineage run events, one a line.", "lineage --out events.jsonl")
    lineage.add_argument("--model", help="its runs alone; default: every run")
    lineage.add_argument("--out", type=absolute_path, metavar="FILE", help="write to a file")

    trade = add(
        "trade-offs",
        "Compare forms of a model on the same rows: fewer trees, threads, fp16, bf16, int8, a small network; and keep the audit.",
        "trade-offs loan --provider cuda",
    )
    trade.add_argument("model", metavar="MODEL")
    trade.add_argument("--version", help="default: the newest with a model file")
    trade.add_argument("--forms", metavar="a,b", help="only these forms, by name, and the served one; default: all")
    trade.add_argument("--without-network", action="store_true", help="train no small network that imitates the model")
    trade.add_argument(
        "--provider", action="append", default=[], choices=("cuda",), help="ask ONNX Runtime for this device too; repeatable"
    )
    trade.add_argument("--in-use", metavar="FORM", help="the form that is served; default: as served")
    trade.add_argument("--rows", type=int, default=4_000, metavar="N", help="rows to compare; default 4,000")
    trade.add_argument("--seconds", type=float, default=1.0, metavar="S", help="seconds of load a form; default 1")
    trade.add_argument("--days", type=int, default=180, metavar="N", help="days until the audit expires; default 180")
    trade.add_argument("--seed", type=int, default=0, help="seed of the network")
    trade.add_argument(
        "--import", dest="imported", type=absolute_path, metavar="FILE.json", help="keep results that were measured elsewhere"
    )
    trade.add_argument("--dry-run", action="store_true", help="print the audit without keeping it")

    augmented = add(
        "audit-augmentation",
        "Say what an augmentation of training data does to accuracy, classes and groups, from a table of predictions. Keeps the audit.",
        "audit-augmentation predictions.parquet --model loan --name jitter --group region",
    )
    augmented.add_argument(
        "file",
        type=absolute_path,
        metavar="FILE",
        help="a line for each validation row and seed: row, seed, label, without, with, copy (optional)",
    )
    augmented.add_argument("--model", required=True, help="the model that is trained")
    augmented.add_argument("--version", help="its version; default: the newest that is registered")
    augmented.add_argument("--name", required=True, help="the augmentation")
    augmented.add_argument("--group", action="append", default=[], metavar="COLUMN", help="compare its levels; repeatable")
    augmented.add_argument("--tried", action="store_true", help="the version was not trained with it: it asks for no attention")
    augmented.add_argument("--checked", metavar="CHANGED/CHECKED", help="copies whose label people found changed, of those they checked")
    augmented.add_argument("--days", type=int, default=180, metavar="N", help="days until the audit expires; default 180")
    augmented.add_argument("--dry-run", action="store_true", help="print the audit without keeping it")

    energy = add(
        "energy",
        "Measure joules of a thousand predictions by batch size and form, or calibrate the power of this machine.",
        "energy measure loan --batches 1,10,100,1000",
    )
    energy.add_argument("action", choices=("measure", "calibrate"))
    energy.add_argument("model", nargs="?", metavar="MODEL", help="with `calibrate`: the model whose settings get the power")
    energy.add_argument("--version", help="default: the newest with a model file")
    energy.add_argument("--batches", default="1,10,100,1000", metavar="a,b", help="batch sizes; default 1,10,100,1000")
    energy.add_argument("--forms", metavar="a,b", help="only these forms, by name, and the served one; default: all")
    energy.add_argument("--without-network", action="store_true", help="train no small network that imitates the model")
    energy.add_argument("--seconds", type=float, default=3.0, metavar="S", help="seconds of load a form, or of the calibration; default 3")
    energy.add_argument("--cores", type=int, metavar="N", help="cores of the machine whose readings are stored; default: of this one")
    energy.add_argument("--dry-run", action="store_true", help="print the measurement without keeping it")

    add("retry", "Take again the segments that could not be loaded and were set aside.", "retry --json")

    check = add(
        "check",
        "Run every analyzer over a window, and list the incidents, worst first; with --json the findings.",
        "check --model loan --from 2026-07-01 --to 2026-07-08 --json",
    )
    check.add_argument("--model", help="default: every model")
    check.add_argument("--version", help="default: every version with predictions")
    check.add_argument("--slice", metavar="a=x&b=y", help="only rows that match these values")
    check.add_argument("--from", dest="start", metavar="T", help="start: 2026-07-01 or 2026-07-01T06:00:00Z; default: the last 7 days")
    check.add_argument("--to", dest="end", metavar="T", help="end of the window, exclusive")
    check.add_argument("--all", action="store_true", help="list every finding, OK ones included")
    check.add_argument("--as-of", metavar="T", help="only records that had arrived by this time")
    check.add_argument(
        "--fail-on", choices=("watch", "act"), help="exit 1 if a finding is at least this severe (watch: Warning, act: Critical)"
    )

    explain = add(
        "explain",
        "Compute missing explanations (SHAP): a daily sample of predictions, the reference, and the worst errors.",
        "explain --model loan",
    )
    explain.add_argument("--model", help="default: every model")
    explain.add_argument("--seconds", type=float, metavar="S", help="begin no step after so many seconds; run it again to continue")

    review = add("review", "Freeze a week for the weekly review, and write it to a file.", "review --week 2013-W27 --out review.html")
    review.add_argument("--week", metavar="2013-W27", help="an ISO week, Monday to Sunday in UTC; default: the last completed week")
    review.add_argument(
        "--out",
        type=absolute_path,
        metavar="FILE",
        help=".html (printable), .slides.html (one item a slide), .pdf (needs weasyprint), .csv (minutes) or .md (summary for a chat)",
    )
    review.add_argument("--pre-read", action="store_true", help="print the pre-read: the agenda with a summary and links for each item")
    review.add_argument(
        "--to", metavar="CHANNEL", action="append", default=[], help="with --pre-read: send it to this channel of alerts.toml (repeatable)"
    )
    review.add_argument("--author", metavar="NAME", help="name of the person who freezes it; default: the user name")

    case = add(
        "case",
        "Show the evidence about one prediction: inputs, explanation, label, similar errors, suspected source.",
        "case 20130504-JFK-DL95 --model flights-late",
    )
    case.add_argument("id", metavar="ID", help="the prediction's id")
    case.add_argument("--model", help="needed only if several models have this id")
    case.add_argument("--version", help="needed only if several versions answered under this id; by default the one in production")
    case.add_argument("--environment", help="production, shadow or validation; by default production if it has the id")
    case.add_argument("--as-of", metavar="T", help="only records that had arrived by this time")

    relabel = add(
        "relabel",
        "List the relabel queue; --out writes a blind worksheet for annotators, to load with `load FILE --kind label`.",
        "relabel --model loan --out worksheet.csv",
    )
    relabel.add_argument("--model", help="default: every model")
    relabel.add_argument("--all", action="store_true", help="list done and cancelled requests too")
    relabel.add_argument(
        "--out", type=absolute_path, metavar="FILE", help=".csv or .jsonl: open requests with their inputs, without label and score"
    )

    token = add("token", "Create, list or revoke tokens for the HTTP interface.", "token create --scope read --name grafana")
    token.add_argument("action", choices=("create", "list", "revoke"))
    token.add_argument("id", nargs="?", metavar="ID", help="id of the token to revoke")
    token.add_argument("--scope", choices=("read", "write"), help="read: status, findings, predictions; write: send records")
    token.add_argument("--name", default="", help="purpose of the token")
    token.add_argument(
        "--role", choices=("viewer", "analyst", "administrator"), help="default: read: viewer; write: records of services only"
    )
    token.add_argument("--model", action="append", default=[], metavar="MODEL", help="only this model; repeatable; default: every model")

    account = add(
        "account",
        "Add, list, change or disable local accounts; the first one turns sign-in on. Passwords come from a prompt or from standard input.",
        "account add ann --role administrator",
    )
    account.add_argument("action", choices=("add", "list", "role", "password", "disable", "enable"))
    account.add_argument("name", nargs="?", metavar="NAME")
    account.add_argument("--role", choices=("viewer", "analyst", "administrator", "none"), help="none: only the models named by --model")
    account.add_argument("--model", action="append", default=[], metavar="MODEL=ROLE", help="another role for one model; repeatable")

    audit_log = add(
        "audit-log", "List who signed in, saw, exported, changed or removed what, newest first.", "audit-log --author ann --json"
    )
    audit_log.add_argument("--author", metavar="NAME", help="only entries of this person")
    audit_log.add_argument("--does", metavar="WORD", help="only entries of this kind, for instance exported")
    audit_log.add_argument("--model", help="only entries about this model")
    audit_log.add_argument("--subject", metavar="S", help="only entries about this subject's predictions")
    audit_log.add_argument("--prediction", metavar="ID", help="only entries about this prediction")
    audit_log.add_argument("--limit", type=int, default=1000, metavar="N", help="maximum number of entries; default 1000")

    lab = add(
        "lab",
        "Inject a known fault into a copy of a model's log, and show which findings result, and when.",
        "lab --model loan --fault null_surge --strength middle",
    )
    lab.add_argument("--model", help="default: the first model with a reference")
    lab.add_argument("--fault", help="name of the fault (see --list)")
    lab.add_argument("--run", help="training run for a training fault; default: the newest healthy run that the fault applies to")
    lab.add_argument("--strength", choices=("weak", "middle", "strong"), default="middle", help="weak: the smallest effect that matters")
    lab.add_argument("--days", type=int, default=7, metavar="N", help="days with the fault, each checked at its end; default 7")
    lab.add_argument("--rows-a-day", type=int, default=1000, metavar="N", help="predictions per day; default 1000")
    lab.add_argument("--label-delay", type=int, default=0, metavar="D", help="label delay in days; default 0")
    lab.add_argument("--seed", type=int, default=0, metavar="S", help="random seed for rows, feature and slice; default 0")
    lab.add_argument("--source", choices=("auto", "past", "reference"), default="auto", help="source of the clean days")
    lab.add_argument("--list", action="store_true", help="list the faults, and why one does not apply to the model")

    sql = add(
        "sql",
        "Run one SELECT over the documented views (docs/views.md), read-only.",
        """sql 'SELECT version, count(*) FROM "loan.predictions" GROUP BY ALL'""",
    )
    sql.add_argument("query", metavar="QUERY", help="one SELECT statement; `SELECT * FROM view_columns` lists the views and their columns")
    sql.add_argument("--limit", type=int, default=1000, metavar="N", help="maximum number of rows; default 1000")
    sql.add_argument("--seconds", type=float, default=30.0, metavar="S", help="maximum duration of the query; default 30")
    sql.add_argument("--csv", action="store_true", help="print CSV")

    export = add(
        "export", "Write findings, incidents, daily counts and decisions as Parquet tables for other tools.", "export /srv/metrics"
    )
    export.add_argument("folder", type=folder_or_address, metavar="DIR", help="a folder, or an address as s3://BUCKET/FOLDER")

    add_exports(add)

    add("mcp", "Answer an assistant over standard input and output, by the Model Context Protocol, read-only.", "mcp")

    add("metrics", "List every metric: name, unit, meaning, source.", "metrics --json")

    add("status", "Show the store, sizes, freshness, backlog, rejected counts and versions.", "status --json")

    backup = add("backup", "Write a consistent copy of the home into a folder, also while the dashboard runs.", "backup /mnt/backups")
    backup.add_argument(
        "folder",
        type=folder_or_address,
        metavar="DIR",
        help="a folder on another disk, in which each backup gets a folder of its own; or an address as s3://BUCKET/FOLDER, which gets "
        "the blocks that changed",
    )

    restore = add(
        "restore",
        "Restore the newest backup of a folder, or one backup, into the home, and load what landing has kept since.",
        "restore /mnt/backups",
    )
    restore.add_argument(
        "folder", type=folder_or_address, metavar="DIR", help="the folder or address that `backup` wrote to, or one backup in the folder"
    )

    verify = add(
        "verify",
        "Read every block of the store, compare what was loaded with its list, and compute the counts of a sample of days again.",
        "verify --json",
    )
    verify.add_argument(
        "--backup",
        type=folder_or_address,
        metavar="DIR",
        help="restore the newest backup of a folder or an address beside the store and read that",
    )

    lake = add(
        "export-lake",
        "Write the raw rows that changed into a lake: Parquet by model and day, for Spark, DuckDB and other tools.",
        "export-lake /mnt/lake",
    )
    lake.add_argument("folder", type=folder_or_address, metavar="DIR", help="a folder, or an address as s3://BUCKET/FOLDER")

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
        "Remove what is kept no longer, as keeping.toml in the home says; the dashboard does it every night.",
        "retention --dry-run",
    )
    retention.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    retention.add_argument("--rewrite", action="store_true", help="rewrite the store also where nothing was removed")

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
        help="with --replica: the owner, which takes what people save; the token for it is in OBSERVABILITY_OWNER_TOKEN",
    )
    collect = add(
        "collect",
        "Take records over HTTP without a store, and leave them in a shared folder or bucket for the dashboard. Any number may run.",
        "collect --to s3://ml-logs/collected --port 8600",
    )
    collect.add_argument("--to", required=True, type=folder_or_address, metavar="PLACE", help="a folder, s3://, gs:// or az://")
    collect.add_argument("--port", type=int, default=8600)
    collect.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="interface to listen on; TLS ends before it")
    for name, command in commands.choices.items():
        if name not in WITHOUT_JSON:
            command.add_argument("--json", action="store_true", help="print JSON")
    return root


def add_exports(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Add the command `exports`."""
    exports = add(
        "exports",
        "List what left, record an export, compute k or ε, state what a recipient may get, or draw canary rows for training.",
        "exports epsilon --noise-multiplier 1.1 --sampling-rate 0.01 --steps 1000 --delta 1e-5",
    )
    exports.add_argument("action", choices=("list", "record", "k", "epsilon", "level", "canaries"))
    files = ".csv, .jsonl or .parquet, of `k` and `record`; the .jsonl that `canaries` writes"
    exports.add_argument("file", nargs="?", type=absolute_path, metavar="FILE", help=files)
    exports.add_argument("--recipient", metavar="R", help="who gets it")
    exports.add_argument("--dataset", metavar="D", help="the dataset; a budget belongs to a recipient and a dataset")
    exports.add_argument("--model", help="the model whose data these are")
    exports.add_argument("--run", help="the training run on machines of the recipient")
    exports.add_argument("--quasi", metavar="a,b", help="quasi-identifying columns, from which k is computed")
    exports.add_argument("--personal", metavar="a,b", help="personal columns")
    exports.add_argument("--columns", metavar="a,b", help="columns that left; default: those of FILE")
    exports.add_argument("--rows", type=int, metavar="N", help="rows that left; default: those of FILE")
    exports.add_argument("--transform", metavar="WORD", help="what was done to it: none, aggregated, generalised, hashed, noised")
    exports.add_argument("--legal-basis", metavar="TEXT", help="as consent, contract, legal obligation, public task")
    exports.add_argument("--k", type=float, metavar="K", help="k of the export, or with `level` the smallest k that the recipient may get")
    exports.add_argument("--epsilon", type=float, metavar="E", help="ε of the export, or with `level` the budget")
    exports.add_argument("--delta", type=float, metavar="D", help="δ; default 1e-5")
    exports.add_argument("--noise-multiplier", type=float, metavar="S", help="standard deviation of the noise over the sensitivity")
    exports.add_argument("--sampling-rate", type=float, default=1.0, metavar="Q", help="share of the records in a step; default 1")
    exports.add_argument("--steps", type=int, default=1, metavar="N", help="number of steps; default 1")
    exports.add_argument("--attestation", metavar="HASH", help="hash that the enclave attested, or with `level` the expected one")
    exports.add_argument(
        "--attestation-document", type=absolute_path, metavar="FILE", help="with `record`: the text that the enclave signed"
    )
    exports.add_argument(
        "--attestation-signature", type=absolute_path, metavar="FILE", help="with `record`: its detached signature, raw or base64"
    )
    exports.add_argument(
        "--attestation-key", type=absolute_path, metavar="FILE", help="with `level`: the public key, Ed25519 or P-256 in PEM"
    )
    exports.add_argument("--canary", action="append", default=[], metavar="NAME=TEXT", help="a planted text; repeatable")
    exports.add_argument("--count", type=int, default=20, metavar="N", help="with `canaries`: rows to draw; default 20")
    exports.add_argument("--reason", metavar="TEXT", help="with `level`: why")
    exports.add_argument("--author", metavar="NAME", help="with `level`: who decides; default: the user name")


def file_or_model(text: str) -> str:
    """A path of a TOML file made absolute; any other text as it is, the name of a model."""
    return absolute_path(text) if text.endswith(".toml") else text


def absolute_path(text: str) -> str:
    """The absolute path: the owner's process runs in another folder."""
    return str(Path(text).expanduser().absolute())


def folder_or_address(text: str) -> str:
    """The absolute path of a folder; an address with a scheme as it is."""
    return text if "://" in text else absolute_path(text)
