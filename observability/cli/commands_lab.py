"""The command `lab`: it plants a known fault in a copy of a log (fault injection)."""

import argparse

from observability.cli.outcome import Outcome, Say, json_or_lines, percent_progress, severity_column
from observability.core.errors import UsageError
from observability.store.engine import Store

REGISTER_FIRST = "Register a model, or load the sample fleet with demo"


def lab_outcome(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Inject a fault and show the findings that result; or list the faults."""
    from observability.simulation import faults, faults_training, timeline

    if args.run and (args.fault or "").replace("-", "_") not in faults_training.FAULTS:
        raise UsageError(
            "--run applies to training faults only", got=args.fault or "no --fault", expected=f"one of {', '.join(faults_training.FAULTS)}"
        )
    if args.fault and (outcome := lab_records(store, args, say)) is not None:
        return outcome
    with_reference = (model.name for model in store.catalog().models if any(version.reference_rows for version in model.versions))
    model = args.model or next(with_reference, None)
    if model is None:
        raise UsageError("fault injection needs a model with a reference", attempt=REGISTER_FIRST)
    if not args.list and not args.fault:
        raise UsageError("no fault is named", expected="--fault NAME", attempt="List them with --list")
    fault = faults.find_fault(args.fault).name if args.fault else ""
    choice = timeline.TimelineRequest(model, fault, args.strength, args.days, args.rows_a_day, args.label_delay, args.seed, args.source)
    say(f"reading {model}")
    targets = timeline.request_targets(store, choice)
    if args.list:
        say("")
        return lab_faults(model, timeline.fault_obstacles(targets), args.json)
    replay = timeline.build_fault_timeline(targets, choice, percent_progress(say))
    say("")
    on = "".join(f", {target}" for target in replay.target.values())
    lines = [
        f"Simulated: {replay.fault.title} ({replay.fault.description}) on {model}{on}: {replay.fault.size(args.strength)}.",
        f"{replay.source_note} {choice.rows_a_day:,} a day, labels {choice.label_delay} days late; the fault begins on day 1.",
    ]
    for row in replay.rows():
        also = " (also without the fault)" if row["also_without_fault"] else ""
        lines.append(f"  day {row['day']:>2}  {severity_column(row['severity'])} {row['because']}{also}")
    return json_or_lines(replay.to_json(), [*lines, replay.sentence], args.json)


def lab_records(store: Store, args: argparse.Namespace, say: Say) -> Outcome | None:
    """Inject a fault into the records of a training run, a device, a labelling project, a form or another subject; None if the fault
    concerns predictions.
    """
    from datetime import UTC, datetime

    from observability.simulation import (
        augmentation_replay,
        cleaning_replay,
        collection_replay,
        controller_replay,
        edge_replay,
        energy_replay,
        export_replay,
        fault_families,
        form_replay,
        frame_replay,
        labelling_replay,
        selection_replay,
        storage_replay,
        study_replay,
        training_replay,
        vendor_replay,
    )

    now = datetime.now(UTC)
    name = args.fault.replace("-", "_")
    if (run_fault := fault_families.TRAINING.get(name)) is not None:
        say("reading training runs")
        replay = training_replay.replay_on_run(store.ask, run_fault, args.strength, now, model=args.model, name=args.run, seed=args.seed)
    elif (device_fault := fault_families.COLLECTION.get(name)) is not None:
        say("reading batches")
        replay = collection_replay.replay_on_device(store.ask, device_fault, args.strength, now, seed=args.seed)
    elif (vendor_fault := fault_families.VENDORS.get(name)) is not None:
        say("reading answers to fixed questions")
        replay = vendor_replay.replay_on_vendor(store.ask, vendor_fault, args.strength, now, model=args.model, seed=args.seed)
    elif (form_fault := fault_families.FORMS.get(name)) is not None:
        say("reading audits")
        replay = form_replay.replay_on_form(store.ask, form_fault, args.strength, now, model=args.model, seed=args.seed)
    elif (augmentation_fault := fault_families.AUGMENTATION.get(name)) is not None:
        say("reading audits")
        replay = augmentation_replay.replay_on_augmentation(
            store.ask, augmentation_fault, args.strength, now, model=args.model, seed=args.seed
        )
    elif (cleaning_fault := fault_families.CLEANING.get(name)) is not None:
        say("reading runs of cleaning rules")
        replay = cleaning_replay.replay_on_cleaning(store.ask, cleaning_fault, args.strength, now, seed=args.seed)
    elif (energy_fault := fault_families.ENERGY.get(name)) is not None:
        replay = energy_replay.replay_energy_fault(energy_fault, args.strength, args.seed)
    elif (edge_fault := fault_families.EDGE.get(name)) is not None:
        say("reading reports of devices")
        replay = edge_replay.replay_on_edge_fleet(store.ask, edge_fault, args.strength, now, model=args.model, seed=args.seed)
    elif (storage_fault := fault_families.STORAGE.get(name)) is not None:
        say("reading reports of places that store data")
        replay = storage_replay.replay_on_storage(store.ask, storage_fault, args.strength, now, seed=args.seed)
    elif (study_fault := fault_families.STUDIES.get(name)) is not None:
        say("reading studies")
        replay = study_replay.replay_on_study(store.ask, study_fault, args.strength, now, model=args.model, seed=args.seed)
    elif (export_fault := fault_families.EXPORTS.get(name)) is not None:
        say("reading exports")
        replay = export_replay.replay_on_exports(store.ask, export_fault, args.strength, now, model=args.model, seed=args.seed)
    elif (controller_fault := fault_families.CONTROLLERS.get(name)) is not None:
        say("reading decisions of controllers")
        replay = controller_replay.replay_on_controller(store.ask, controller_fault, args.strength, now, model=args.model, seed=args.seed)
    elif (frame_fault := fault_families.FRAMES.get(name)) is not None:
        say(f"reading what {frame_fault.analyzer} reads")
        replay = frame_replay.replay_on_frames(store, frame_fault, args.strength, now, model=args.model, seed=args.seed)
    elif (selection_fault := fault_families.SELECTION.get(name)) is not None:
        model = store.catalog().model(args.model) if args.model else next(iter(store.catalog().models), None)
        if model is None:
            raise UsageError("fault injection needs a model", attempt=REGISTER_FIRST)
        say(f"reading answers of {model.name}")
        replay = selection_replay.replay_on_selection(store.ask, model, selection_fault, args.strength, now, args.seed)
    elif (label_fault := fault_families.LABELLING.get(name)) is not None:
        model = store.catalog().model(args.model) if args.model else next(iter(store.catalog().models), None)
        if model is None:
            raise UsageError("fault injection needs a model", attempt=REGISTER_FIRST)
        say(f"reading the labels of {model.name}")
        project = labelling_replay.labelling_records(store, model, now, args.seed)
        replay = labelling_replay.replay_labelling_fault(project, model, label_fault, args.strength, args.seed)
    else:
        return None
    say("")
    detail = f" ({replay.detail})" if replay.detail else ""
    begins = f"It begins at {replay.unit} {replay.onset:,} of {replay.size:,}."
    checks = f"The {replay.kind} is checked {len(replay.looks)} times from that day on, each time with only the records logged by then."
    lines = [
        f"Simulated: {replay.fault.title} ({replay.fault.description}) on {replay.target}{detail}: {replay.fault.size(args.strength)}.",
        f"{replay.about} {begins} {checks}".strip(),
        *(f"  {replay.unit} {row[replay.unit]:>6,}  {severity_column(row['severity'])} {row['because']}" for row in replay.rows()),
        replay.sentence,
    ]
    return json_or_lines(replay.to_json(), lines, args.json)


def lab_faults(model: str, possible: dict[str, str | None], as_json: bool) -> Outcome:
    """The list of faults, with the reason for each fault that the model cannot have."""
    from observability.simulation.fault import STRENGTHS
    from observability.simulation.fault_families import every_fault

    body = [
        {"fault": fault.name, "section": fault.section, "told": fault.description, "unit": fault.unit, "cannot": possible.get(fault.name)}
        | {strength: fault.amount(strength) for strength in STRENGTHS}
        for fault in every_fault()
    ]
    lines = [
        f"{fault['fault']:<24} {fault['told']}{f' Not on {model}: ' + str(fault['cannot']) + '.' if fault['cannot'] else ''}"
        for fault in body
    ]
    return json_or_lines(body, lines, as_json)
