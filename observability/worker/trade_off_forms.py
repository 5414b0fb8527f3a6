"""Build further forms of a model: fewer trees, more threads, other precisions, and a small network that imitates it.

A form gives scores of encoded rows in the task's shape. A form that cannot be built is left out with the reason.
"""

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Floats
from observability.worker.features import canonical_scalar, numeric_column
from observability.worker.model import OpenModel, Task, as_scores
from observability.worker.model_onnx import onnx_scores

SERVED = "as served"
NETWORK = "network fp32"
TREE_SHARES = (0.75, 0.5, 0.25)
MAX_PRUNED_BYTES = 64 * 1024**2
"""Largest file of fewer trees that is written. All files of a job share its limit (`Limits.file_mb`)."""
PRUNED_SHARE = 0.5
HIDDEN = (64, 32)
MAX_LEVELS = 50
EPOCHS = 60
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class Form:
    """One form of a model.

    parent: the form that it was made from. score: a function from encoded rows to scores. rows: the encoded probes. threads: number of
    threads that it may use. provider, used: the requested device of the runtime, and the device that it runs on. size: bytes of its file.
    operations, cpu_operations: by type (`MatMul`), the number of operations of a request, and the number of these that ran on the
    processor. They are counted if another device was requested. file, kind: the file that holds this form alone, and the kind of file that
    opens it (`OPENERS`).
    """

    name: str
    parent: str | None
    runtime: str
    precision: str
    score: Callable[[Any], Floats]
    rows: Any
    size: int
    threads: int = 1
    provider: str = "cpu"
    used: str = "cpu"
    operations: int | None = None
    cpu_operations: Mapping[str, int] | None = None
    file: Path | None = None
    kind: str = ""


@dataclass(frozen=True)
class MissingForm:
    """A form that was not built, and the reason."""

    name: str
    why: str


def is_network_form(name: str) -> bool:
    """Whether a form is the small network or was made from it, by its name."""
    return name.startswith(NETWORK.removesuffix(" fp32"))


def row_slice(rows: Any, start: int, end: int) -> Any:
    """Some of the encoded rows."""
    return {name: values[start:end] for name, values in rows.items()} if isinstance(rows, dict) else rows[start:end]


def lightgbm_forms(path: Path, model: OpenModel, rows: Any, task: Task) -> Iterator[Form]:
    """Yield the model as served, on all processors, and with the first trees only."""
    import lightgbm

    booster = lightgbm.Booster(model_file=str(path))
    total, size = booster.current_iteration(), path.stat().st_size

    def scores_of(encoded: Any, *, threads: int = 1, trees: int = total) -> Floats:
        return as_scores(booster.predict(encoded, num_threads=threads, num_iteration=trees), task)

    runtime = f"LightGBM {lightgbm.__version__}"

    def form(name: str, parent: str | None, size: int, file: Path | None, **options: int) -> Form:
        score = partial(scores_of, **options)
        return Form(name, parent, runtime, "fp64", score, rows, size, options.get("threads", 1), file=file, kind="lightgbm")

    yield form(SERVED, None, size, path)
    if (cores := usable_processors()) > 1:
        yield form(f"{cores} threads", SERVED, size, path, threads=cores)
    for share in TREE_SHARES:
        trees = max(round(share * total), 1)
        text, file = booster.model_to_string(num_iteration=trees).encode(), Path(f"trees {100 * share:.0f}.txt")
        if kept := len(text) <= MAX_PRUNED_BYTES:
            file.write_bytes(text)
        yield form(f"{100 * share:.0f} % of the trees", SERVED, len(text), file if kept else None, trees=trees)


def onnx_forms(
    path: Path, encode: Callable[[Any], Any], rows: Any, task: Task, name: str, parent: str | None, providers: Sequence[str]
) -> Iterator[Form | MissingForm]:
    """Yield an ONNX graph in fp32 with one and all threads, on other devices, in fp16, bf16 and int8, and with small weights at zero.

    name: name of the fp32 form. encode: a function from encoded probes to the graph's inputs.
    """
    import onnxruntime

    runtime, inputs = f"ONNX Runtime {onnxruntime.__version__}", encode(rows)

    def form(own: str, file: Path, precision: str, made_from: str | None, threads: int = 1, provider: str = "cpu") -> Form:
        session = onnx_session(file, threads, provider)
        wanted = {given.name: given.type for given in session.get_inputs()}
        used = next((short for short, long in PROVIDERS.items() if session.get_providers()[0] == long), session.get_providers()[0])
        counts = None if provider == "cpu" else profiled_operations(file, provider, {key: row_slice(inputs, 0, 1)[key] for key in wanted})
        return Form(
            own,
            made_from,
            runtime,
            precision,
            lambda given: onnx_scores(session.run(None, {key: given[key] for key in wanted}), task),
            inputs,
            file.stat().st_size,
            threads,
            provider,
            used,
            None if counts is None else counts.total(),
            None if counts is None else {kind: n for (device, kind), n in counts.items() if device == PROVIDERS["cpu"]},
            file,
            "onnx",
        )

    yield form(name, path, "fp32", parent)
    base = name.removesuffix(" fp32") if name != SERVED else "ONNX"
    if (cores := usable_processors()) > 1:
        yield form(f"{base} fp32, {cores} threads", path, "fp32", name, cores)
    for provider in providers:
        yield form(f"{base} fp32 on {provider.upper()}", path, "fp32", name, provider=provider)
    makers: dict[str, tuple[str, Callable[[Path], Path]]] = {
        f"{base} fp16": ("fp16", half_precision_file),
        f"{base} bf16": ("weights in bf16, computed in fp32", bfloat16_file),
        f"{base} int8": ("int8", quantized_file),
        f"{base} pruned {100 * PRUNED_SHARE:.0f} %": ("fp32", pruned_file),
    }
    for own, (precision, make) in makers.items():
        try:
            yield form(own, make(path), precision, name)
        except ImportError as error:
            yield MissingForm(own, f"{error.name} is not installed")
        except Exception as error:
            yield MissingForm(own, f"the graph cannot be converted ({type(error).__name__}: {str(error)[:200]})")


def usable_processors() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def profiled_operations(file: Path, provider: str, inputs: dict[str, Any]) -> Counter[tuple[str, str]]:
    """The number of operations of one request, by the ONNX Runtime provider that ran them and by type, measured in a separate profiled
    session.
    """
    session = onnx_session(file, 1, provider, profile=True)
    session.run(None, inputs)
    profile = Path(session.end_profiling())
    try:
        return operations_by_provider(profile.read_text(encoding="utf-8"))
    finally:
        profile.unlink()


def operations_by_provider(profile: str) -> Counter[tuple[str, str]]:
    """The number of operations in a profile of ONNX Runtime (its JSON) by provider and type. An operation that ran several times counts
    once.
    """
    ran = {}
    for event in json.loads(profile):
        about = event.get("args") or {}
        if event.get("cat") == "Node" and str(event.get("name")).endswith("_kernel_time") and about.get("provider"):
            ran[event["name"], about.get("node_index")] = str(about["provider"]), str(about.get("op_name") or "unnamed")
    return Counter(ran.values())


def onnx_session(file: Path, threads: int, provider: str, *, profile: bool = False) -> Any:
    """A session of ONNX Runtime on the requested device, or on the processor if the runtime does not offer the device. profile: whether it
    writes a profile.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_profiling = profile
    wanted = dict.fromkeys([PROVIDERS[provider], PROVIDERS["cpu"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return onnxruntime.InferenceSession(str(file), options, providers=list(wanted))


def half_precision_file(path: Path) -> Path:
    """The graph with weights and arithmetic in fp16; inputs and outputs stay fp32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converted = convert_float_to_float16(onnx.load(str(path)), keep_io_types=True)
    onnx.save(converted, "fp16.onnx")
    return Path("fp16.onnx")


def bfloat16_file(path: Path) -> Path:
    """The graph with its fp32 weights rounded to bf16. Each weight is cast to fp32 where it is used. Raises ValueError if the graph holds
    no fp32 weights.

    ONNX Runtime has no arithmetic in bf16 on the processor, so only the file is smaller.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    graph, casts = model.graph, []
    given = {each.name for each in graph.input}
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or tensor.name in given:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor)
        tensor.CopyFrom(helper.make_tensor(f"{name} in bf16", TensorProto.BFLOAT16, values.shape, values.ravel()))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    if not casts:
        raise ValueError("it holds no weights in fp32")
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, "bf16.onnx")
    return Path("bf16.onnx")


def quantized_file(path: Path) -> Path:
    """The graph with int8 weights, whose activations are quantized at run time (dynamic quantization)."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(path), "int8.onnx", weight_type=QuantType.QInt8)
    return Path("int8.onnx")


def pruned_file(path: Path) -> Path:
    """The graph with the smallest weights of each matrix set to zero."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path))
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 2 and values.dtype == np.float32:
            least = np.quantile(np.abs(values), PRUNED_SHARE)
            tensor.CopyFrom(numpy_helper.from_array(np.where(np.abs(values) < least, np.float32(0), values), tensor.name))
    onnx.save(graph, "pruned.onnx")
    return Path("pruned.onnx")


class NetworkInput:
    """Turns a table into the network's input. A number becomes its standardised value (0 for null) and a flag for null; a category becomes
    a column for each level.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.numbers: dict[str, tuple[float, float]] = {}
        self.levels: dict[str, list[str]] = {}
        for name in map(str, table.columns):
            values = table[name]
            is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
            if is_number:
                finite = values.to_numpy(float)[np.isfinite(values.to_numpy(float))]
                self.numbers[name] = (float(finite.mean()), float(finite.std()) or 1.0) if finite.size else (0.0, 1.0)
            else:
                self.levels[name] = list(map(str, level_texts(values).value_counts().index[:MAX_LEVELS]))

    def matrix(self, table: pd.DataFrame) -> Any:
        """The input of some rows, in fp32."""
        parts = []
        for name, (mean, spread) in self.numbers.items():
            values = (numeric_column(table[name]).astype(float) - mean) / spread
            parts += [np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0), ~np.isfinite(values)]
        for name, levels in self.levels.items():
            own = level_texts(table[name]).to_numpy()
            parts += [own == level for level in levels]
        return np.column_stack(parts).astype(np.float32)


def level_texts(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The values of a category as text; a null is the empty text."""
    return values.astype(object).map(lambda value: "" if value is None or value != value else canonical_scalar(value))


def network_file(inputs: Any, scores: Floats, task: Task, seed: int) -> Path:
    """Fit a network of two hidden layers to scores, and write it as an ONNX graph in fp32 with the input `x`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    targets = scores[:, None] if scores.ndim == 1 else scores
    centre, spread = np.zeros(targets.shape[1]), np.ones(targets.shape[1])
    if task.name == "regression":
        centre, spread = targets.mean(0), targets.std(0) + 1e-12
        targets = (targets - centre) / spread
    else:
        bounded = np.clip(targets, 1e-4, 1 - 1e-4)
        targets = np.log(bounded) if task.multiclass else np.log(bounded / (1 - bounded))
    network = MLPRegressor(
        hidden_layer_sizes=HIDDEN, max_iter=EPOCHS, random_state=seed, learning_rate_init=2e-3, batch_size=256, early_stopping=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(inputs, targets[:, 0] if targets.shape[1] == 1 else targets)
    write_network(network.coefs_, network.intercepts_, task, centre, spread, Path("network.onnx"))
    return Path("network.onnx")


def write_network(weights: Sequence[Any], offsets: Sequence[Any], task: Task, centre: Any, spread: Any, path: Path) -> None:
    """Write dense layers with rectified units between them, and the task's last function, as an ONNX graph."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants, last = [], [], "x"

    def constant(name: str, values: Any) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    for place, (weight, offset) in enumerate(zip(weights, offsets, strict=True)):
        nodes.append(helper.make_node("MatMul", [last, constant(f"w{place}", weight)], [f"m{place}"]))
        nodes.append(helper.make_node("Add", [f"m{place}", constant(f"b{place}", offset)], [f"a{place}"]))
        last = f"a{place}"
        if place < len(weights) - 1:
            nodes.append(helper.make_node("Relu", [last], [f"r{place}"]))
            last = f"r{place}"
    if task.name == "regression":
        nodes.append(helper.make_node("Mul", [last, constant("spread", spread)], ["scaled"]))
        nodes.append(helper.make_node("Add", ["scaled", constant("centre", centre)], ["y"]))
    else:
        nodes.append(helper.make_node("Softmax", [last], ["y"], axis=1) if task.multiclass else helper.make_node("Sigmoid", [last], ["y"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", weights[0].shape[0]])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", weights[-1].shape[1]])
    graph = helper.make_graph(nodes, "network", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
