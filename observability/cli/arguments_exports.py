"""Define the arguments of commands about data that leave the store: queries, tables, exports, figures."""

from observability.cli.arguments import AddCommand, absolute_path, folder_or_address


def add_export_commands(add: AddCommand) -> None:
    """Add the commands that pass data to other tools and people."""
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
    export.add_argument("folder", type=folder_or_address, metavar="DIR", help="a folder, or an address such as s3://BUCKET/FOLDER")

    add_exports(add)

    add("mcp", "Answer an assistant over standard input and output, by the Model Context Protocol, read-only.", "mcp")

    add("metrics", "List every metric: name, unit, meaning, source.", "metrics --json")

    add("status", "Show the store, sizes, freshness, backlog, rejected counts and versions.", "status --json")


def add_exports(add: AddCommand) -> None:
    """Add the command `exports` and its arguments to the parser."""
    exports = add(
        "exports",
        "List exports, record an export, compute k or ε, set the limits of a recipient, or draw canary rows for training.",
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
    exports.add_argument("--columns", metavar="a,b", help="exported columns; default: the columns of FILE")
    exports.add_argument("--rows", type=int, metavar="N", help="number of exported rows; default: the rows of FILE")
    exports.add_argument(
        "--transform", metavar="WORD", help="transformation of the exported data: none, aggregated, generalised, hashed, noised"
    )
    exports.add_argument("--legal-basis", metavar="TEXT", help="for example consent, contract, legal obligation, public task")
    exports.add_argument("--k", type=float, metavar="K", help="k of the export, or with `level` the smallest k that the recipient may get")
    exports.add_argument("--epsilon", type=float, metavar="E", help="ε of the export, or with `level` the budget")
    exports.add_argument("--delta", type=float, metavar="D", help="δ; default 1e-5")
    exports.add_argument("--noise-multiplier", type=float, metavar="S", help="standard deviation of the noise divided by the sensitivity")
    exports.add_argument("--sampling-rate", type=float, default=1.0, metavar="Q", help="share of the records in a step; default 1")
    exports.add_argument("--steps", type=int, default=1, metavar="N", help="number of steps; default 1")
    exports.add_argument("--attestation", metavar="HASH", help="hash that the enclave attested; with `level`, the expected hash")
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
