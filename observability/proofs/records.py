"""Write SQL for figures of records of other kinds: batches, cleaning runs and the steps of training runs."""

from observability.core.analyzer import OTHERS, OTHERWISE, Context, Proof, Proofs
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.core.window import Slice
from observability.proofs.rows import (
    json_pointer_part,
    known_record_conditions,
    text_literal,
    time_literal,
    where_clause,
    window_conditions,
)
from observability.proofs.run_curves import curve_sql, metric_sql, rate_jump_proof, run_literal, spike_proof
from observability.proofs.run_devices import FIGURES_OF_DEVICES, run_device_proof
from observability.proofs.studies import failed_trials_proof, pruned_trials_proof

COMMUNICATION = ("communication", "comm", "allreduce", "all_reduce", "sync")
"""Phases whose time includes the wait for the slowest rank."""
FIGURES_OF_BATCHES = {
    "batch_rows": "rows",
    "batch_rejected_rate": "least(rejected_rows / rows, 1)",
    "batch_delay_hours": "date_diff('microsecond', captured_to, \"at\") / 3.6e9",
    "batch_delay_p95_hours": "date_diff('microsecond', captured_to, \"at\") / 3.6e9",
}


def batch_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the most unusual figure of a source, for the batch that the finding names. If the source is compared with peers, it is a
    quantile over its batches.
    """
    if finding.against == "peers":
        own = [f"{name} = {text_literal(str(finding.evidence[name]))}" for name in ("source", "device")]
        where, share = [*own, *window_conditions(finding), *known_record_conditions(context)], 0.95 if "_p95_" in finding.metric else 0.5
        return (
            f"SELECT quantile_cont({FIGURES_OF_BATCHES[finding.metric]}, {share}) AS {finding.metric} FROM batches\n{where_clause(where)}"
        )
    batch, device = finding.evidence.get("batch"), finding.evidence.get("device")
    of_source = [f"source = {text_literal(finding.subject.removeprefix('source:'))}", *known_record_conditions(context)]
    of_source += [] if device is None else [f"device = {text_literal(device)}"]
    of_batch = [*of_source, *window_conditions(finding), f"batch = {text_literal(batch or '')}"]
    if finding.metric == "batch_gap_hours":
        return _last_gap_sql(of_source, context) if batch is None else _gap_sql(of_source, of_batch[-3:])
    return batch and f"SELECT {FIGURES_OF_BATCHES[finding.metric]} AS {finding.metric} FROM batches\n{where_clause(of_batch)}"


def _last_gap_sql(of_source: list[str], context: Context) -> str:
    """The hours since the last batch."""
    since = f"date_diff('microsecond', max(\"at\"), {time_literal(context.now)}) / 3.6e9"
    before = f'"at" < {time_literal(context.window.end)}'
    return f"SELECT {since} AS batch_gap_hours FROM batches\n{where_clause([*of_source, before])}"


def _gap_sql(of_source: list[str], of_batch: list[str]) -> str:
    """The hours between a batch and the one before it."""
    return f"""WITH gaps AS (
  SELECT batch, "at", date_diff('microsecond', lag("at") OVER (ORDER BY "at"), "at") / 3.6e9 AS hours FROM batches
  {where_clause(of_source)}
)
SELECT max(hours) AS batch_gap_hours FROM gaps
{where_clause(of_batch)}"""


def device_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a statistic of a column: its value in the batch that the finding names, else the median over the device's batches in the
    window.
    """
    kept = finding.evidence
    if kept.get("source") is None:
        return None
    device = kept.get("device")
    where = [f"source = {text_literal(str(kept['source']))}", *window_conditions(finding), *known_record_conditions(context)]
    where.append("device IS NULL" if device is None else f"device = {text_literal(device)}")
    if kept.get("batch") is not None:
        where.append(f"batch = {text_literal(kept['batch'])}")
    if finding.metric == "batch_clock_skew":
        return f"SELECT max(date_diff('microsecond', \"at\", captured_to)) / 1e6 AS {finding.metric} FROM batches\n{where_clause(where)}"
    path = f"/{json_pointer_part(kept['column'])}/{json_pointer_part(kept['statistic'])}"
    value = f"CAST(json_extract(stats, {text_literal(path)}) AS DOUBLE)"
    if kept.get("batch") is None:
        nulls = text_literal(f"/{json_pointer_part(kept['column'])}/null_share")
        missing = f"coalesce(CAST(json_extract(stats, {nulls}) AS DOUBLE), 0)" if finding.metric in ("batch_mean", "batch_std") else "0"
        where.append(f"rows * (1 - {missing}) >= 20")
    return f"SELECT median({value}) AS {finding.metric} FROM batches\n{where_clause(where)}"


def cleaning_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of rows that one run of a rule dropped or changed."""
    at = instant_from_text(finding.evidence.get("run_at"), "run_at")
    if at is None:
        return None
    part = {"cleaning_drop_rate": "rows_dropped", "cleaning_change_rate": "rows_changed"}[finding.metric]
    where = where_clause([*_rule(finding), f'"at" = {time_literal(at)}', f"rows_in = {finding.n}", *known_record_conditions(context)])
    return f"SELECT DISTINCT least({part}, rows_in) / rows_in AS {finding.metric} FROM cleanings\n{where}"


def group_gap_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the drop rate of a group minus the drop rate of all other groups, over all runs of a rule in the window."""
    part = Slice.parse(finding.slice)
    if part is None:
        return None
    ((column, level),) = part.conditions
    path = f"/{json_pointer_part(column)}"
    where = where_clause([*_rule(finding), *window_conditions(finding), *known_record_conditions(context)])
    own = f"level = {text_literal(level)}"
    rates = (f"sum(dropped) FILTER ({side}) / sum(rows) FILTER ({side})" for side in (own, f"NOT {own}"))
    return f"""WITH levels AS (
  SELECT json_extract(groups, {text_literal(path)}) AS held, unnest(json_keys(groups, {text_literal(path)})) AS level FROM cleanings
  {where}
), counted AS (
  SELECT level, CAST(held[level]->'in' AS DOUBLE) AS rows, CAST(held[level]->'dropped' AS DOUBLE) AS dropped FROM levels
)
SELECT {" - ".join(rates)} AS cleaning_group_gap FROM counted"""


def best_metric_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the best value of a metric of a run: the median over ranks at its best step."""
    run, metric, step = finding.subject.removeprefix("run:"), finding.evidence.get("metric"), finding.evidence.get("best_step")
    if metric is None or step is None:
        return None
    value = metric_sql(metric)
    where = where_clause([f"run = {text_literal(run)}", f"step = {step}", f"{value} IS NOT NULL", *known_record_conditions(context)])
    last = f"SELECT arg_max({value}, \"at\") AS value FROM steps\n  {where}\n  GROUP BY coalesce(rank, '')"
    return f"SELECT median(value) AS best_metric FROM (\n  {last}\n) WHERE isfinite(value)"


def seed_noise_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the standard deviation of a metric's last value between runs that differ only by chance."""
    runs, metric = finding.evidence.get("runs", []), finding.evidence.get("metric")
    if metric is None or len(runs) != finding.n:
        return None
    value = metric_sql(metric)
    where = where_clause([f"run IN ({', '.join(map(text_literal, runs))})", f"isfinite({value})", *known_record_conditions(context)])
    return f"""WITH logged AS (
  SELECT run, 'infinity'::DOUBLE AS step, {value} AS value FROM runs {where} AND event = 'end'
  UNION ALL
  SELECT run, step, {value} FROM steps {where}
), last_values AS (
  SELECT run, arg_max(value, step) AS value FROM logged GROUP BY run
)
SELECT stddev_samp(value) AS seed_noise FROM last_values"""


def straggler_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the time of the fastest rank divided by the time of a slow rank in a phase, as the median over the last steps that both
    have.
    """
    name, _, named = finding.subject.removeprefix("run:").rpartition("/rank:")
    name, rank = (name, named) if name else (named, finding.evidence.get("rank"))
    phase, steps = finding.evidence.get("phase"), finding.evidence.get("steps")
    if rank is None or phase is None or steps is None:
        return None
    if phase.lower() in COMMUNICATION:
        return _communication_sql(name, str(rank), phase, steps, context) if finding.evidence.get("communications") == 1 else None
    path = text_literal(f"/{json_pointer_part(phase)}")
    where = where_clause([f"run = {text_literal(name)}", "json_keys(phase_ms) <> []", *known_record_conditions(context)])
    return f"""WITH times AS (
  SELECT coalesce(rank::VARCHAR, '') AS rank, step, coalesce(CAST(json_extract(arg_max(phase_ms, "at"), {path}) AS DOUBLE), 0) AS ms
  FROM steps
  {where} GROUP BY ALL
), common AS (
  SELECT step FROM times GROUP BY step HAVING count(*) = (SELECT count(DISTINCT rank) FROM times) ORDER BY step DESC LIMIT {steps}
), fastest AS (
  SELECT rank FROM times SEMI JOIN common USING (step) GROUP BY rank ORDER BY median(ms), length(rank), rank LIMIT 1
)
SELECT median(greatest(fast.ms, 1e-6) / greatest(slow.ms, 1e-6)) AS straggler_score
FROM times slow JOIN times fast USING (step) SEMI JOIN common USING (step)
WHERE slow.rank = {text_literal(str(rank))} AND fast.rank = (SELECT rank FROM fastest)"""


def _communication_sql(name: str, rank: str, phase: str, steps: int, context: Context) -> str:
    """The SQL for the median communication time of the other ranks divided by that of one rank, as the median over steps. The wait for the
    slowest rank is subtracted from both.
    """
    where = where_clause([f"run = {text_literal(name)}", "json_keys(phase_ms) <> []", *known_record_conditions(context)])
    own = ", ".join(map(text_literal, COMMUNICATION))
    pointer = "'/' || replace(replace(name, '~', '~0'), '/', '~1')"
    return f"""WITH logged AS (
  SELECT coalesce(rank::VARCHAR, '') AS rank, step, arg_max(phase_ms, "at") AS phase_ms
  FROM steps
  {where} GROUP BY ALL
), common AS (
  SELECT step FROM logged GROUP BY step HAVING count(*) = (SELECT count(DISTINCT rank) FROM logged) ORDER BY step DESC LIMIT {steps}
), phases AS (
  SELECT rank, step, phase_ms, unnest(json_keys(phase_ms)) AS name FROM logged SEMI JOIN common USING (step)
), times AS (
  SELECT rank, step, coalesce(sum(ms) FILTER (lower(name) NOT IN ({own})), 0) AS work,
    coalesce(sum(ms) FILTER (name = {text_literal(phase)}), 0) AS communication
  FROM (SELECT *, CAST(json_extract(phase_ms, {pointer}) AS DOUBLE) AS ms FROM phases) GROUP BY ALL
), without_wait AS (
  SELECT rank, step, communication - least(communication, max(work) OVER (PARTITION BY step) - work) AS ms FROM times
), others AS (
  SELECT step, median(ms) AS ms FROM without_wait WHERE rank <> {text_literal(rank)} GROUP BY step
)
SELECT median(greatest(others.ms, 1e-6) / greatest(slow.ms, 1e-6)) AS straggler_score
FROM without_wait slow JOIN others USING (step) WHERE slow.rank = {text_literal(rank)}"""


def plateau_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of a metric's steps that come after its last improvement."""
    metric, since = finding.evidence.get("metric"), finding.evidence.get("since_step")
    if metric is None or since is None:
        return None
    value, run = metric_sql(metric), run_literal(finding)
    where = where_clause([f"run = {run}", f"isfinite({value})", *known_record_conditions(context)])
    newest = f"SELECT DISTINCT step FROM steps\n  {where}\n  ORDER BY step DESC LIMIT {finding.n}"
    return f"SELECT count(*) FILTER (step > {since}) / count(*) AS plateau_share FROM (\n  {newest}\n)"


def dead_units_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the median share of dead units over the last tenth of a run's finite steps (at least five steps)."""
    metric = finding.evidence.get("metric")
    if metric is None:
        return None
    value, last = metric_sql(metric), max(finding.n // 10, 5)
    where = where_clause([f"run = {run_literal(finding)}", f"{value} IS NOT NULL", *known_record_conditions(context)])
    return f"""WITH logged AS (
  SELECT step, arg_max({value}, "at") AS value FROM steps
  {where} GROUP BY coalesce(rank, ''), step
), curve AS (
  SELECT median(value) AS value FROM logged WHERE isfinite(value) GROUP BY step ORDER BY step DESC LIMIT {last}
)
SELECT median(value) AS dead_units FROM curve"""


def overfitting_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for how much worse the last values of a metric are than its best neighbouring values, comparing means."""
    metric, width, better = (finding.evidence.get(name) for name in ("metric", "width", "better"))
    if metric is None or width is None or better not in ("low", "high"):
        return None
    rise = "arg_max(mean, step) - min(mean)" if better == "low" else "max(mean) - arg_max(mean, step)"
    return f"""{curve_sql(finding, metric, context)}, means AS (
  SELECT step, avg(value) OVER neighbours AS mean, count(*) OVER neighbours AS values FROM curve
  WINDOW neighbours AS (ORDER BY step ROWS {width - 1} PRECEDING)
)
SELECT {rise} AS overfitting_gap FROM means WHERE values = {width}"""


def non_finite_proof(finding: Finding, context: Context) -> str:
    """The SQL for the number of steps at which at least one rank logged a value that is not finite."""
    value, run = metric_sql(finding.evidence["metric"]), run_literal(finding)
    where = where_clause([f"run = {run}", f"{value} IS NOT NULL", *known_record_conditions(context)])
    last = f"SELECT step, arg_max({value}, \"at\") AS value FROM steps\n  {where}\n  GROUP BY step, coalesce(rank, '')"
    return f"SELECT count(DISTINCT step) AS non_finite_steps FROM (\n  {last}\n) WHERE NOT isfinite(value)"


def failed_run_proof(finding: Finding, context: Context) -> str | None:
    """The SQL that tells whether a run ended with the status that the finding names; None for a run that was lost."""
    status = finding.evidence.get("status")
    if not isinstance(status, str):
        return None
    run = run_literal(finding)
    where = where_clause([f"run = {run}", "event = 'end'", f"status = {text_literal(status)}", *known_record_conditions(context)])
    return f"SELECT count(DISTINCT run) AS failed_runs FROM runs\n{where}"


def contents_proof(finding: Finding, context: Context) -> str:
    """The SQL for the largest number of different contents with which one version of a dataset was logged. Contents are compared by
    checksum, else by number of rows.
    """
    named = f"dataset = {text_literal(finding.subject.removeprefix('dataset:'))}"
    where = where_clause([named, f'"at" < {time_literal(finding.end)}', *known_record_conditions(context)])
    return f"""WITH versions AS (
  SELECT CASE WHEN count(*) = count(nullif(checksum, '')) THEN count(DISTINCT checksum) ELSE count(DISTINCT rows) END AS contents
  FROM datasets
  {where}
  GROUP BY version HAVING max("at") >= {time_literal(finding.start)}
)
SELECT max(contents) AS dataset_contents FROM versions"""


def data_audit_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a share that an audit of data found, read from the record of its dataset."""
    at = instant_from_text(finding.evidence.get("audited"), "audited")
    if at is None:
        return None
    column = json_pointer_part(str(finding.evidence.get("column")))
    shares = {
        "audited_overlap": ("held_out/in_training", "held_out/rows"),
        "audited_leak": (f"columns_alone/{column}/0", None),
        "audited_conflicts": ("rules/conflicting labels", "rows"),
        "audited_duplicates": ("rules/exact duplicates", "rows"),
        "audited_suspects": ("rules/suspect labels", "model_rows"),
    }[finding.metric]
    numbers = [f"CAST(json_extract(extra, {text_literal(f'/data_audit/{path}')}) AS DOUBLE)" for path in shares if path]
    named = {"dataset": str(finding.evidence["dataset"]), "version": str(finding.evidence["dataset_version"])}
    audited = [*(f"{name} = {text_literal(value)}" for name, value in named.items()), f'"at" = {time_literal(at)}']
    where = where_clause([*audited, *known_record_conditions(context)])
    return f"SELECT DISTINCT {' / '.join(numbers)} AS {finding.metric} FROM datasets\n{where}"


def alerts_proof(finding: Finding, context: Context) -> str:
    """The SQL for the number of messages from the job of a run."""
    run = finding.subject.removeprefix("run:")
    before = f'"at" < {time_literal(context.window.end)}'
    where = where_clause([f"run = {text_literal(run)}", before, *known_record_conditions(context)])
    return f"SELECT count(*) AS run_alerts FROM events\n{where}"


def _rule(finding: Finding) -> list[str]:
    """The conditions that select a cleaning rule, from the subject `rule:NAME` or `dataset:D/rule:NAME`."""
    if finding.subject.startswith("rule:"):
        return [f"rule = {text_literal(finding.subject.removeprefix('rule:'))}", "coalesce(dataset, '') = ''"]
    dataset, _, rule = finding.subject.removeprefix("dataset:").partition("/rule:")
    return [f"rule = {text_literal(rule)}", f"dataset = {text_literal(dataset)}"]


BATCH_PROOFS: Proofs = dict.fromkeys((*FIGURES_OF_BATCHES, "batch_gap_hours"), batch_proof)
DEVICE_PROOFS: Proofs = dict.fromkeys(
    (
        "batch_mean",
        "batch_std",
        "batch_null_share",
        "batch_stuck_share",
        "batch_saturated_share",
        "batch_out_of_range_share",
        "batch_clock_skew",
    ),
    device_proof,
)
DATASET_PROOFS: Proofs = {"dataset_contents": contents_proof}
CLEANING_PROOFS: Proofs = {
    "cleaning_drop_rate": cleaning_proof,
    "cleaning_change_rate": cleaning_proof,
    "cleaning_group_gap": group_gap_proof,
    **dict.fromkeys(("audited_overlap", "audited_leak", "audited_conflicts", "audited_duplicates", "audited_suspects"), data_audit_proof),
}


def of_every_step(proof: Proof) -> Proof:
    """The same proof, but None unless every step of the run was read."""
    return lambda finding, context: None if finding.evidence.get("stride", 1) != 1 else proof(finding, context)


SPREAD = "the run is long, and not every step of it was read"
OF_STEPS = {
    "plateau_share": plateau_proof,
    "overfitting_gap": overfitting_proof,
    "non_finite_steps": non_finite_proof,
    "best_metric": best_metric_proof,
    "dead_units": dead_units_proof,
    "metric_spike": spike_proof,
    "learning_rate_jump": rate_jump_proof,
}
RUN_PROOFS: Proofs = {
    "straggler_score": of_every_step(straggler_proof),
    f"straggler_score{OTHERWISE}": f"no rank is slower than the fastest, or it is in one of several phases of communication, or {SPREAD}",
    **{metric: of_every_step(proof) for metric, proof in OF_STEPS.items()},
    **{f"{metric}{OTHERWISE}": SPREAD for metric in OF_STEPS},
    f"learning_rate_jump{OTHERWISE}": f"the rate is zero in many steps, or {SPREAD}",
    "failed_runs": failed_run_proof,
    f"failed_runs{OTHERWISE}": "the run has no end, and is lost by the time since its last record",
    "seed_noise": seed_noise_proof,
    "run_alerts": alerts_proof,
    "study_failed_share": failed_trials_proof,
    "study_pruned_share": of_every_step(pruned_trials_proof),
    f"study_pruned_share{OTHERWISE}": "runs of the study are long, and not every step of them was read",
    **dict.fromkeys(FIGURES_OF_DEVICES, run_device_proof),
    **dict.fromkeys(
        ("study_bound_share", "study_noise_ratio", "study_winner_excess", "study_test_ratio", "study_repeat_share"),
        "it compares all trials of a study with each other, by parameters of any kind",
    ),
    OTHERS: "it is estimated from the noise and the progress of a curve, or from the times of ranks and the readings of devices",
}
