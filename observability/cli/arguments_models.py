"""Define the arguments of commands about models: the sample fleet, registration, settings."""

from observability.cli.arguments import DECIMAL_HELP, TABLE_FILES, TIMEZONE_HELP, AddCommand, absolute_path


def add_model_commands(add: AddCommand) -> None:
    """Add the commands that register models and set them up."""
    demo = add("demo", "Load the sample fleet into an empty store, or remove it.", "demo --live")
    ways = demo.add_mutually_exclusive_group()
    ways.add_argument("--if-empty", action="store_true", help="do nothing if the store holds models")
    ways.add_argument("--remove", action="store_true", help="remove the sample fleet with all of its records")
    demo.add_argument(
        "--live", action="store_true", help="shift its times so that they reach today; later records arrive hourly while the dashboard runs"
    )
    demo.add_argument(
        "--large",
        action="store_true",
        help="also load a simulated job of 64 ranks and 100,000 steps, which takes minutes and 6.4 million rows",
    )

    register = add(
        "register",
        "Register a model version from a reference file of held-out predictions with their labels.",
        "register --model loan --version 3 --task binary --reference held_out.csv --label defaulted --score probability --sensitive sex",
    )
    register.add_argument("--model", required=True, help="the model's name in the records")
    register.add_argument("--version", required=True, help="the version that produced the scores in the reference")
    register.add_argument("--task", required=True, choices=("binary", "regression", "multiclass"))
    register.add_argument("--reference", required=True, type=absolute_path, metavar="FILE", help=TABLE_FILES)
    register.add_argument("--label", required=True, metavar="COL", help="the column with the true labels")
    register.add_argument(
        "--score",
        required=True,
        action="append",
        metavar="COL",
        help="binary: probability of the positive class; regression: the value; multiclass: class=COL for each class, or one column of "
        "{class: probability}",
    )
    register.add_argument("--prediction", metavar="COL", help="the predicted class, where the score does not determine it")
    register.add_argument("--at", metavar="COL", help="event time")
    register.add_argument("--timezone", metavar="ZONE", help=f"{TIMEZONE_HELP}; default: UTC")
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
    register.add_argument("--decimal", choices=(",", "."), help=DECIMAL_HELP)

    settings = add("settings", "Show a model's settings, or set them from a file.", "settings loan --settings loan.toml")
    settings.add_argument("model", metavar="MODEL")
    settings.add_argument("--settings", type=absolute_path, metavar="FILE.toml")

    apply = add(
        "apply",
        "Change models, settings, alerts, limits and retention to match a configuration file; everything else is unchanged.",
        "apply observability.toml --dry-run",
    )
    apply.add_argument("file", type=absolute_path, metavar="FILE.toml")
    apply.add_argument("--dry-run", action="store_true", help="only show the planned changes")
