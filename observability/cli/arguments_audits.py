"""Define the arguments of commands about audits of models, data, storage and energy, and about probes and the gate of a batch."""

from observability.cli.arguments import DECIMAL_HELP, TABLE_FILES, AddCommand, absolute_path, file_or_model
from observability.core.settings import AUDITS

NEWEST_FILE_HELP = "default: the newest with a model file"
NO_NETWORK_HELP = "do not train the small network that imitates the model"


def add_audit_commands(add: AddCommand) -> None:
    """Add the commands that run an audit or another single measurement."""
    model_audit = add(
        "audit",
        "Audit a model version: robustness, membership, explanations, fairness under shift, data leakage, precision (forms).",
        "audit loan --version 3 --kind robustness",
    )
    model_audit.add_argument("model", metavar="MODEL", help="the model")
    model_audit.add_argument("--version", help="its version; default: the newest that is registered")
    model_audit.add_argument("--kind", action="append", choices=AUDITS, help="repeatable; default: all")
    model_audit.add_argument("--rows", type=int, metavar="N", help="maximum rows per sample")
    model_audit.add_argument("--in-sample", action="store_true", help="the reference holds training rows (membership, leakage)")
    model_audit.add_argument("--shadows", type=int, default=16, metavar="N", help="shadow models of membership, an even number; default 16")
    model_audit.add_argument("--seed", type=int, default=0, help="seed of samples and models")
    model_audit.add_argument(
        "--schedule",
        nargs="?",
        const="",
        metavar="WHEN",
        help="schedule the audit: '30 days' after the last, 'new version', 'expired', or 'never'; without a value, list the schedule",
    )

    audit = add(
        "audit-data",
        "Audit a dataset: duplicates, labels, leakage, outliers, and the effect of each cleaning rule on a model. Stores the records.",
        "audit-data train.csv --label churned --held-out test.csv --group region --rule 'broken sensor=is_broken'",
    )
    audit.add_argument(
        "files",
        nargs="*",
        type=absolute_path,
        metavar="FILE",
        help=f"{TABLE_FILES}; none: the reference of --model",
    )
    audit.add_argument("--label", metavar="COLUMN", help="column with the label, also in the --held-out file (default there: `label`)")
    audit.add_argument("--held-out", type=absolute_path, metavar="FILE", help="held-out rows with the same columns")
    audit.add_argument(
        "--group", action="append", default=[], metavar="COLUMN", help="compare the drop rates of this column's levels; repeatable"
    )
    audit.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="NAME=FLAG_COLUMN",
        help="measure your own rule: the column flags the rows that it drops (true or 1) and is not a feature; repeatable",
    )
    audit.add_argument("--exclude", metavar="a,b", help="columns that are not features, such as ids")
    audit.add_argument("--dataset", help="name of the dataset; default: the name of the file")
    audit.add_argument("--data-version", metavar="V", help="version of the dataset; default: the time of the audit")
    audit.add_argument("--model", help="the model that is trained on the data; without files, the model whose reference is audited")
    audit.add_argument("--version", help="its version")
    audit.add_argument("--seed", type=int, default=0, help="seed of folds and models")
    audit.add_argument("--decimal", choices=(",", "."), help=DECIMAL_HELP)
    audit.add_argument("--no-examples", action="store_true", help="keep no example of a row in the records")
    audit.add_argument("--dry-run", action="store_true", help="print the audit without keeping its records")

    probe = add(
        "probe",
        "Ask a fixed set of questions to a model that serves elsewhere, and keep the answers.",
        "probe vendor.toml --schedule",
    )
    probe.add_argument("what", type=file_or_model, metavar="FILE.toml|MODEL", help="a probe file, or a model whose set is scheduled")
    probe.add_argument("--schedule", action="store_true", help="keep the file, so that the dashboard asks it every `every_hours`")
    probe.add_argument("--unschedule", action="store_true", help="stop asking the sets of MODEL; keep the answers")
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
        "Measure a dataset's bytes by column and codec, the losses of less exact forms, and its smallest groups. Stores the record.",
        "audit-storage people.parquet --quasi age,zip --sensitive income",
    )
    stored.add_argument(
        "files",
        nargs="*",
        type=absolute_path,
        metavar="FILE",
        help=f"{TABLE_FILES}, pictures or sound, or their folder; none: the reference of --model",
    )
    stored.add_argument("--media", metavar="COLUMN", help="column of the table with the paths of pictures or sound, relative to the table")
    stored.add_argument("--least-psnr", type=float, metavar="DB", help="the least mean PSNR that each group of files should keep")
    stored.add_argument("--least-ssim", type=float, metavar="S", help="the least mean SSIM that each group of pictures should keep")
    stored.add_argument("--dataset", help="name of the dataset; default: the name of the file")
    stored.add_argument("--data-version", metavar="V", help="version of the dataset; default: the time of the audit")
    stored.add_argument("--model", help="model whose file scores the rows before and after; its settings tag the columns")
    stored.add_argument("--version", help="its version; default: the newest with a file")
    stored.add_argument("--personal", metavar="a,b", help="columns that name a person")
    stored.add_argument("--sensitive", metavar="a,b", help="sensitive columns")
    stored.add_argument("--quasi", metavar="a,b", help="columns that together single out a person")
    stored.add_argument(
        "--before",
        type=absolute_path,
        metavar="FILE",
        help="file with the previous version; the numbers of added, changed and deleted rows are recorded",
    )
    stored.add_argument("--before-version", metavar="V", help="name of the previous version; it is recorded as the parent")
    stored.add_argument("--key", metavar="COLUMN", help="column that identifies a row in both versions; default: id")
    stored.add_argument("--in-use", metavar="FORM", help="the form that the data are stored in, for example float16; default: exact")
    stored.add_argument("--decimal", choices=(",", "."), help=DECIMAL_HELP)
    stored.add_argument("--dry-run", action="store_true", help="print the audit without keeping its record")

    place = add(
        "report-storage",
        "Measure a folder that stores data: free space, small files, duplicate files, unread files, oldest files. Stores the report.",
        "report-storage /data/raw --place raw --keep-days 400",
    )
    place.add_argument("folder", type=absolute_path, metavar="FOLDER", help="the folder, with all folders in it")
    place.add_argument("--place", metavar="NAME", help="name of the place; default: that of the folder")
    place.add_argument("--keep-days", type=float, metavar="N", help="days after which data are to be removed")
    place.add_argument("--tier", choices=("hot", "cold", "archive"), help="storage tier of the place: speed and price")
    place.add_argument("--skip-contents", action="store_true", help="do not compare the contents of files of equal size")
    place.add_argument("--dry-run", action="store_true", help="print the report without keeping it")

    croissant = add(
        "croissant",
        "Describe a data file as Croissant JSON-LD, with the logged facts about its version.",
        "croissant people.csv --dataset people --out people.croissant.json",
    )
    croissant.add_argument("file", type=absolute_path, metavar="FILE", help=".csv, .parquet or .jsonl")
    croissant.add_argument("--dataset", help="name of the dataset; default: the name of the file")
    croissant.add_argument("--data-version", metavar="V", help="logged version that the file must match")
    croissant.add_argument("--license", metavar="URL", help="address of the dataset's licence")
    croissant.add_argument("--url", metavar="URL", help="address of the dataset's page")
    croissant.add_argument("--out", type=absolute_path, metavar="FILE", help="write to a file")

    lineage = add("lineage", "Write runs and datasets as OpenLineage run events, one per line.", "lineage --out events.jsonl")
    lineage.add_argument("--model", help="only the runs of this model; default: every run")
    lineage.add_argument("--out", type=absolute_path, metavar="FILE", help="write to a file")

    trade = add(
        "trade-offs",
        "Compare forms of a model on the same rows: fewer trees, threads, fp16, bf16, int8, a small network; and keep the audit.",
        "trade-offs loan --provider cuda",
    )
    trade.add_argument("model", metavar="MODEL")
    trade.add_argument("--version", help=NEWEST_FILE_HELP)
    trade.add_argument("--forms", metavar="a,b", help="only these forms, by name, and the served one; default: all")
    trade.add_argument("--without-network", action="store_true", help=NO_NETWORK_HELP)
    trade.add_argument(
        "--provider", action="append", default=[], choices=("cuda",), help="ask ONNX Runtime for this device too; repeatable"
    )
    trade.add_argument("--in-use", metavar="FORM", help="name of the form in production; default: the registered file")
    trade.add_argument("--rows", type=int, default=4_000, metavar="N", help="rows to compare; default 4,000")
    trade.add_argument("--seconds", type=float, default=1.0, metavar="S", help="seconds of load per form; default 1")
    trade.add_argument("--days", type=int, default=180, metavar="N", help="days until the audit expires; default 180")
    trade.add_argument("--seed", type=int, default=0, help="seed of the network")
    trade.add_argument(
        "--import", dest="imported", type=absolute_path, metavar="FILE.json", help="keep results that were measured elsewhere"
    )
    trade.add_argument("--dry-run", action="store_true", help="print the audit without keeping it")

    augmented = add(
        "audit-augmentation",
        "Measure the effect of an augmentation on accuracy, classes and groups, from a table of predictions. Stores the audit.",
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
    augmented.add_argument("--group", action="append", default=[], metavar="COLUMN", help="compare the levels of this column; repeatable")
    augmented.add_argument(
        "--tried", action="store_true", help="the augmentation was only tried, not used in training; its findings ask for no attention"
    )
    augmented.add_argument(
        "--checked", metavar="CHANGED/CHECKED", help="number of copies whose label people found changed / number of copies checked"
    )
    augmented.add_argument("--days", type=int, default=180, metavar="N", help="days until the audit expires; default 180")
    augmented.add_argument("--dry-run", action="store_true", help="print the audit without keeping it")

    energy = add(
        "energy",
        "Measure joules per thousand predictions by batch size and form, or calibrate the power of this machine.",
        "energy measure loan --batches 1,10,100,1000",
    )
    energy.add_argument("action", choices=("measure", "calibrate"))
    energy.add_argument("model", nargs="?", metavar="MODEL", help="with `calibrate`: the model whose settings get the power")
    energy.add_argument("--version", help=NEWEST_FILE_HELP)
    energy.add_argument("--batches", default="1,10,100,1000", metavar="a,b", help="batch sizes; default 1,10,100,1000")
    energy.add_argument("--forms", metavar="a,b", help="only these forms, by name, and the served one; default: all")
    energy.add_argument("--without-network", action="store_true", help=NO_NETWORK_HELP)
    energy.add_argument(
        "--seconds", type=float, default=3.0, metavar="S", help="seconds of load per form, or seconds of the calibration; default 3"
    )
    energy.add_argument("--cores", type=int, metavar="N", help="cores of the machine that was measured; default: this machine's")
    energy.add_argument("--dry-run", action="store_true", help="print the measurement without keeping it")
