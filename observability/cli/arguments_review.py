"""Define the arguments of commands about checks, reviews, cases and planted faults."""

from observability.cli.arguments import AddCommand, absolute_path
from observability.records.kinds import ENVIRONMENTS


def add_review_commands(add: AddCommand) -> None:
    """Add the commands that judge and investigate."""
    add("retry", "Load again the segments that were set aside because they could not be loaded.", "retry --json")

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
        help=".html (printable), .slides.html (one slide per item), .pdf (needs weasyprint), .csv (minutes) or .md (summary for a chat)",
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
    case.add_argument("--version", help="needed only if several versions answered under this id; default: the version in production")
    case.add_argument("--environment", help=f"{', '.join(ENVIRONMENTS)}; by default production if it has the id")
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


def add_lab(add: AddCommand) -> None:
    """Add the command that plants faults."""
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
    lab.add_argument("--list", action="store_true", help="list the faults; a fault that does not apply to the model has the reason")
