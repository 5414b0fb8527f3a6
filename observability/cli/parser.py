"""The parser of the command line: every command with its help and an example."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from observability.core.errors import UsageError
from observability.records.kinds import KINDS

if TYPE_CHECKING:
    pass


class Parser(argparse.ArgumentParser):
    """An argument parser that raises one clear sentence instead of ending the process (the owner's process must live on)."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError; argparse calls this for every wrong use."""
        raise UsageError(message, attempt=f"See {self.prog} --help")


def parser() -> Parser:
    """Every command with its help and an example."""
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

    demo = add("demo", "Load the sample fleet into an empty store.", "demo")
    demo.add_argument("--if-empty", action="store_true", help="do nothing where the store holds something")

    register = add(
        "register",
        "Register a model version from a reference file of held-out predictions with their labels.",
        "register --model loan --version 3 --task binary --reference held_out.csv --label defaulted --score probability --sensitive sex",
    )
    register.add_argument("--model", required=True, help="its name in the records")
    register.add_argument("--version", required=True, help="the version that made the scores in the reference")
    register.add_argument("--task", required=True, choices=("binary", "regression", "multiclass"))
    register.add_argument("--reference", required=True, type=path, metavar="FILE", help=".jsonl, .csv or .parquet")
    register.add_argument("--label", required=True, metavar="COL", help="the column that holds the truth")
    register.add_argument(
        "--score",
        required=True,
        action="append",
        metavar="COL",
        help="binary: probability of the positive class; regression: the value; multiclass: class=COL for each class",
    )
    register.add_argument("--prediction", metavar="COL", help="the class that was decided, where the score alone does not say it")
    register.add_argument("--at", metavar="COL", help="event time")
    register.add_argument("--sensitive", action="append", default=[], metavar="COL", help="a column that fairness is judged by; repeat it")
    register.add_argument("--features", metavar="a,b", help="default: every column left over")
    register.add_argument(
        "--map", action="append", default=[], metavar="theirs=ours", help="a column's name in the file = its name in the records"
    )
    register.add_argument(
        "--artifact", type=path, metavar="FILE", help="the model itself, for explanations: LightGBM text, XGBoost json, skops or ONNX"
    )
    register.add_argument("--in-sample", action="store_true", help="the reference holds rows the model was fitted on")
    register.add_argument("--settings", type=path, metavar="FILE.toml", help="threshold, costs, owner, fairness criterion, service level")
    register.add_argument("--positive", metavar="VALUE", help="the positive class where labels are words")
    register.add_argument("--json", action="store_true")

    settings = add("settings", "Show a model's settings, or set them.", "settings loan --settings loan.toml")
    settings.add_argument("model", metavar="MODEL")
    settings.add_argument("--settings", type=path, metavar="FILE.toml")
    settings.add_argument("--json", action="store_true")

    load = add(
        "load", "Load records from files, and all that waits in landing.", "load predictions.csv --kind prediction --model loan --version 3"
    )
    load.add_argument("files", nargs="*", type=path, metavar="FILE")
    load.add_argument("--kind", metavar="KIND", help=f"of files that hold one kind (.csv, .parquet): {', '.join(KINDS)}")
    load.add_argument("--model", help="of records that do not name theirs")
    load.add_argument("--version", help="of records that do not name theirs")
    load.add_argument(
        "--features", metavar="a,b", help="columns of a .csv or .parquet file that are features; default: every column left over"
    )
    load.add_argument(
        "--map", action="append", default=[], metavar="theirs=ours", help="a column's name in the file = the field it is; repeat it"
    )
    load.add_argument("--timezone", metavar="ZONE", help="of times without an offset, as Europe/Paris")
    load.add_argument("--json", action="store_true")

    check = add(
        "check", "Run every analyzer over a window; findings worst first.", "check --model loan --from 2026-07-01 --to 2026-07-08 --json"
    )
    check.add_argument("--model", help="default: every model")
    check.add_argument("--version", help="default: every version that served")
    check.add_argument("--slice", metavar="a=x&b=y", help="only the rows of which this is true")
    check.add_argument("--from", dest="start", metavar="T", help="2026-07-01 or 2026-07-01T06:00:00Z; default: the last 7 days")
    check.add_argument("--to", dest="end", metavar="T", help="not included")
    check.add_argument("--all", action="store_true", help="list what is in order, too")
    check.add_argument("--as-of", metavar="T", help="only records that had arrived by then")
    check.add_argument("--fail-on", choices=("watch", "act"), help="exit 1 where a finding is that bad or worse")
    check.add_argument("--json", action="store_true")

    explain = add(
        "explain",
        "Explain a sample of the predictions of each day (SHAP), of the reference, and the worst errors, as far as that is not done yet.",
        "explain --model loan",
    )
    explain.add_argument("--model", help="default: every model")
    explain.add_argument("--json", action="store_true")

    review = add("review", "Freeze a week for the weekly review, and write it as a file.", "review --week 2013-W27 --out review.html")
    review.add_argument("--week", metavar="2013-W27", help="an ISO week, Monday to Sunday in UTC; default: the last one that is over")
    review.add_argument(
        "--out", type=path, metavar="FILE", help=".html (prints), .pdf (needs weasyprint), .csv (minutes) or .md (for a chat)"
    )
    review.add_argument("--author", metavar="NAME", help="who freezes it; default: the user's name")
    review.add_argument("--json", action="store_true", help="the frozen numbers")

    case = add(
        "case",
        "The evidence about one prediction: what happened, its inputs, why, its label, others like it, where it may come from.",
        "case 20130504-JFK-DL95 --model flights-late",
    )
    case.add_argument("id", metavar="ID", help="the prediction's id")
    case.add_argument("--model", help="needed only where several models hold the id")
    case.add_argument("--as-of", metavar="T", help="only records that had arrived by then")
    case.add_argument("--json", action="store_true")

    relabel = add(
        "relabel",
        "The predictions that wait to be labelled again; --out writes a blind worksheet, which `load FILE --kind label` takes when it is filled in.",
        "relabel --model loan --out worksheet.csv",
    )
    relabel.add_argument("--model", help="default: every model")
    relabel.add_argument("--all", action="store_true", help="list what is done or cancelled, too")
    relabel.add_argument(
        "--out", type=path, metavar="FILE", help=".csv or .jsonl: the open ones with their inputs, without label and score"
    )
    relabel.add_argument("--json", action="store_true")

    token = add("token", "Make, list or revoke tokens for the HTTP interface.", "token create --scope read --name grafana")
    token.add_argument("action", choices=("create", "list", "revoke"))
    token.add_argument("id", nargs="?", metavar="ID", help="of the token to revoke")
    token.add_argument("--scope", choices=("read", "write"), help="read: status, findings, predictions; write: send records")
    token.add_argument("--name", default="", help="what it is for")
    token.add_argument("--json", action="store_true")

    lab = add(
        "lab",
        "Plant a known fault on a model's own log, in a throw-away store, and show what the monitoring would have said, and when.",
        "lab --model loan --fault null_surge --strength middle",
    )
    lab.add_argument("--model", help="default: the first that has a reference")
    lab.add_argument("--fault", help="its name, as --list gives it")
    lab.add_argument("--run", help="of a fault of training: the run; default: the newest clean one that has what the fault needs")
    lab.add_argument("--strength", choices=("weak", "middle", "strong"), default="middle", help="weak is the smallest effect that matters")
    lab.add_argument("--days", type=int, default=7, metavar="N", help="days with the fault, each judged as of its end; default 7")
    lab.add_argument("--rows-a-day", type=int, default=1000, metavar="N", help="default 1000")
    lab.add_argument("--label-delay", type=int, default=0, metavar="D", help="days until labels come; default 0")
    lab.add_argument(
        "--seed", type=int, default=0, metavar="S", help="another seed draws other rows, and may choose another feature or slice"
    )
    lab.add_argument("--source", choices=("auto", "past", "reference"), default="auto", help="what clean days are drawn from")
    lab.add_argument("--list", action="store_true", help="list the faults, and why a model cannot have one")
    lab.add_argument("--json", action="store_true")

    metrics = add("metrics", "Every metric: name, unit, meaning, source.", "metrics --json")
    metrics.add_argument("--json", action="store_true")

    status = add("status", "Store, sizes, freshness, backlog, rejected counts, versions.", "status --json")
    status.add_argument("--json", action="store_true")

    remove = add("remove", "Remove a model and all of its records.", "remove loan")
    remove.add_argument("model", metavar="MODEL")
    remove.add_argument("--json", action="store_true")

    serve = add("serve", "Start the dashboard.", "serve --port 8501")
    serve.add_argument("--port", type=int, default=8501)
    serve.add_argument("--open", action="store_true", help="open a browser")
    return root


def path(text: str) -> str:
    """An absolute path, so that the owner's process finds the same file."""
    return str(Path(text).expanduser().absolute())
