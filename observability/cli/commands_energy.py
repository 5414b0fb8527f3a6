"""The command `energy`: joules of a thousand predictions by batch size and form, and the calibrated power of a machine."""

import argparse
import os

from observability.cli.commands_trade_offs import audited_version
from observability.cli.outcome import Outcome, Say, json_or_lines, percent_progress
from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.core.numerals import format_figure, percent
from observability.metrics.serving_power import core_power
from observability.store.engine import Store


def run_energy(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Run the chosen action of the command."""
    return _calibrated(store, args, say) if args.action == "calibrate" else _measured(store, args, say)


def _measured(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Measure a model in batches and keep the audit."""
    from observability.enrichment import energy_audit
    from observability.worker.process import warm_worker

    if not args.model:
        raise UsageError("energy measure needs a model", expected="energy measure MODEL")
    if not 0 < args.seconds <= 120:
        raise UsageError("--seconds takes a number of seconds", got=args.seconds, expected="above 0, at most 120")
    try:
        batches = tuple(sorted({int(size) for size in args.batches.split(",")}))
    except ValueError:
        batches = ()
    if not batches or batches[0] < 1:
        raise UsageError("--batches takes sizes", got=args.batches, expected="as 1,10,100")
    model = store.catalog().model(args.model)
    version = audited_version(model, args.version, with_file=True)
    forms = tuple(name.strip() for name in (args.forms or "").split(",") if name.strip())
    options = energy_audit.EnergyOptions(batches, forms, not args.without_network, args.seconds)
    record = energy_audit.energy_audit(store, warm_worker(), model, version, options, percent_progress(say))
    if not args.dry_run:
        store.write_records([record])
    say("")
    lines = [f"{model.name} version {version.name}, joules of a thousand predictions ({record['results']['power']}):"]
    for each in record["results"]["batches"]:
        ends = [format_figure(each["joules"][name], 3) for name in ("value", "low", "high")]
        lines.append(f"  {each['form']:<22} batches of {each['batch']:>5,}: {ends[0]} J ({ends[1]} to {ends[2]}), {each['source']}")
    lines += [f"  {each['form']}: not measured, {each['why']}" for each in record["results"]["missing"]]
    return json_or_lines(record, [*lines, "Not kept." if args.dry_run else "Stored. The page Energy shows the result."], args.json)


def _calibrated(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Fit the power of this machine, and save the result for the named model, if any."""
    from observability.enrichment import energy_audit

    model = store.catalog().model(args.model) if args.model else None
    cores = args.cores or os.cpu_count() or 1
    found = energy_audit.calibrated_power(store, max(args.seconds, 6.0), cores, percent_progress(say))
    say("")
    fit = found.fit
    if fit is None or fit.per_core <= 0:
        power = core_power(model.settings if model else energy_audit.ModelSettings())
        body = {"calibrated": False, "origin": found.origin, "watts_per_core": power.watts, "low": power.low, "high": power.high}
        return json_or_lines(body, [f"Not calibrated ({found.origin}): {power.words}. Energy stays assumed."], args.json)
    body = {
        "calibrated": True,
        "origin": found.origin,
        "watts_per_core": fit.per_core,
        "idle_watts": fit.idle,
        "error": fit.error,
        "n": fit.n,
    }
    said = f"{format_figure(fit.per_core, 3)} W per busy core and {format_figure(fit.idle, 3)} W idle"
    said += f", from {found.origin} ({plural(fit.n, 'reading')})"
    lines = [f"{said}; the energy of a new reading is within {percent(fit.error, 2)} in 95 of 100."]
    if model is not None:
        store.update_settings(model.name, energy_audit.with_calibration(model, fit))
        lines.append(f"Saved in the settings of {model.name}: its energy is now estimated instead of assumed.")
    return json_or_lines(body | {"saved": model.name if model else None}, lines, args.json)
