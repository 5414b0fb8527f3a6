"""A job that fails or misbehaves affects only itself and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from observability.core.errors import ObservabilityError, UsageError
from observability.worker import confine, permission
from observability.worker.folder import read_untrusted_frame
from observability.worker.limits import Limits, WorkerError
from observability.worker.process import Worker
from observability.worker.requests import predict_scores

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"
JOBS = "tests.support.hostile_jobs:"
LIMITS = Limits(memory_mb=400, seconds=60, file_mb=20, files=200)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="what the kernel refuses is tried on Linux")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder for the temporary folders of this module, so that a test can detect those left behind."""
    place = tmp_path_factory.mktemp("temporary")
    before, tempfile.tempdir = tempfile.tempdir, str(place)
    yield place
    tempfile.tempdir = before


@pytest.fixture(scope="module")
def worker(folder):
    made = Worker(LIMITS, allowed=("tests.support.", "observability.worker."))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def clean(worker, folder):
    """After each test, check that the worker still works and that no folder is left behind."""
    yield
    assert worker.call(JOBS + "echo", arguments={"still": "well"}).values == {"still": "well"}
    assert list(folder.iterdir()) == []


def gone(process, seconds=60.0):
    """Whether a process ends within some seconds. A zombie counts as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_tables_arguments_and_files_are_exchanged(worker, tmp_path):
    frame = pd.DataFrame(
        {
            "x": [1.5, None],
            "s": ["<b>ä</b>", None],
            "c": pd.Categorical(["u", "v"]),
            "n": [1, 2],
            "b": [True, False],
            "t": pd.to_datetime(["2026-01-01T00:00:00Z", None]),
        },
        index=[7, 9],
    )
    (tmp_path / "a.bin").write_bytes(b"\x00\xff")
    said = []
    answer = worker.call(
        JOBS + "echo",
        {"a": frame, "b": frame.head(0)},
        {"k": [1, None, "x"]},
        files={"f": tmp_path / "a.bin"},
        progress=lambda *each: said.append(each),
    )
    back = frame.reset_index(drop=True).assign(c=["u", "v"]).astype({"c": frame["s"].dtype})
    pd.testing.assert_frame_equal(answer.frames["a"], back, check_dtype=False)
    assert len(answer.frames["b"]) == 0 and list(answer.frames["b"]) == list(frame)
    assert answer.values == {"k": [1, None, "x"]} and answer.files == {"f": b"\x00\xff"} and said in ([(0.5, "half")], [])
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"
    with pytest.raises(UsageError, match="several types"):
        worker.call(JOBS + "echo", {"a": pd.DataFrame({"x": [1, "a"]})})
    with pytest.raises(UsageError, match="cannot be read"):
        worker.call(JOBS + "echo", files={"f": tmp_path / "none"})


@pytest.mark.parametrize(
    ("job", "reason", "seconds"),
    [
        ("hog", "memory", None),
        ("native_hog", "memory", None),
        ("abort", "crash", None),
        ("segfault", "crash", None),
        ("leave", "garbage", None),
        ("hang", "time", 0.5),
        ("spin", "time", 0.5),
        ("flood_files", "size", None),
        ("flood_bytes", "size", None),
        ("large_file", "size", None),
        ("output", "size", None),
        ("garbage", "garbage", None),
        ("endless_line", "garbage", None),
        ("endless_progress", "time", 0.5),
        ("fork_bomb", "failed", None),
        ("thread_bomb", "failed", None),
        ("bug", "failed", None),
        ("missing", "refused", None),
    ],
)
def test_a_misbehaving_job_raises_a_worker_error_with_its_reason(worker, job, reason, seconds):
    with pytest.raises(WorkerError) as raised:
        worker.call(JOBS + job, seconds=seconds)
    assert raised.value.reason == reason and isinstance(raised.value, ObservabilityError)
    assert raised.value.what and len(str(raised.value)) < 600


@pytest.mark.parametrize(
    "how",
    [
        "link",
        "fifo",
        "{",
        "[]",
        "9" * 5000,
        "[" * 100_000,
        '{"values": {}, "frames": {}}',
        '{"error": {}}',
        '{"error": 3}',
        '{"values": {}, "frames": {"a": "inputs.json"}, "files": {}}',
        '{"values": {}, "frames": {}, "files": {"a": "../../etc/passwd"}}',
        '{"values": {}, "frames": {}, "files": {"a": "/etc/passwd"}}',
        '{"values": 3, "frames": {}, "files": {}}',
    ],
    ids=lambda how: how[:12],
)
def test_a_false_answer_is_refused(worker, how):
    with pytest.raises(WorkerError) as raised:
        worker.call(JOBS + "false_answer", arguments={"how": how})
    assert raised.value.reason == "garbage"


def arrow(table, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_a_compressed_table_is_refused():
    good = arrow(pa.table({"x": [1.0, 2.0], "s": ["a", None]}))
    assert read_untrusted_frame(good)["x"].tolist() == [1.0, 2.0]
    for table, options in (
        (pa.table({"x": [0.0] * 100_000}), {"compression": "zstd"}),
        (pa.table({"x": pa.nulls(1000)}), {}),
        (pa.table({"x": [[1], [2]]}), {}),
        (pa.table({"x": pa.array(["a"] * 10).dictionary_encode()}), {}),
    ):
        with pytest.raises(ValueError, match=r"compressed|of type"):
            read_untrusted_frame(arrow(table, **options))
    broken = 0
    for place in range(8, len(good), 5):
        changed = bytearray(good)
        changed[place] ^= 0xFF
        try:
            read_untrusted_frame(bytes(changed))
        except Exception:
            broken += 1
    assert broken > 20


def test_a_job_reports_what_is_wrong_with_its_input(worker):
    with pytest.raises(UsageError) as raised:
        worker.call(JOBS + "wrong_use")
    assert (raised.value.what, raised.value.where, raised.value.got) == ("the rows lack a feature", "rows", "a")


def test_only_allowed_jobs_run(worker):
    for job in (
        "os:system",
        "subprocess:run",
        "observability.workers:x",
        "tests.support.hostile_jobs",
        "tests.support.hostile_jobs:echo:x",
        "tests.support.hostile_jobs:a.b",
    ):
        with pytest.raises(WorkerError, match=r"may not run|cannot be imported"):
            worker.call(job)
    with pytest.raises(WorkerError, match="may not run"):
        Worker().call(JOBS + "echo")


@LINUX
def test_network_files_processes_and_signals_are_out_of_reach(worker, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("x")
    answer = worker.call(JOBS + "reach_out", arguments={"other": os.getpid(), "secret": str(tmp_path / "secret")})
    done = [name for name, said in answer.values.items() if said == "done"]
    allowed = {"own", "thread"}
    if not answer.files_confined:
        allowed |= {"secret", "passwords", "environment", "write"}
        Path("/tmp/observability-should-not-be").unlink(missing_ok=True)
    if not answer.network_blocked:
        pytest.skip("this system has no filter of calls")
    assert set(done) <= allowed and {"own", "thread"} <= set(done)
    assert answer.values["outlive"] == -1 and answer.values["io_uring"] == -1


@LINUX
def test_files_outside_cannot_be_changed_or_looked_at(worker, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    before = secret.stat()
    answer = worker.call(JOBS + "touch_outside", arguments={"secret": str(secret), "library": os.__file__})
    if not answer.network_blocked:
        pytest.skip("this system has no filter of calls")
    allowed = {"library stat", "library access"} | (set() if answer.paths_hidden else {"secret stat", "secret access"})
    assert {name for name, said in answer.values.items() if said == "done"} == allowed
    after = secret.stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (before.st_mode, before.st_mtime_ns, before.st_ctime_ns)


@LINUX
def test_models_run_unconfined_only_if_somebody_allows_it(monkeypatch, tmp_path):
    # a job without confinement: the warm process finds neither Landlock nor seccomp
    (tmp_path / "sitecustomize.py").write_text(
        "from observability.worker import landlock, seccomp\n"
        "landlock.landlock_version = lambda: 0\nseccomp.seccomp_available = lambda: False\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    made = Worker(LIMITS, allowed=("tests.support.",))
    with pytest.raises(WorkerError, match="cannot confine") as raised:
        made.call(JOBS + "echo")
    assert raised.value.reason == "unconfined" and "page Store" in str(raised.value)
    monkeypatch.setattr(permission, "_home", home := tmp_path / "home")
    home.mkdir()
    permission.decide_unconfined(home, True, "ada", "every file is ours")
    answer = made.call(JOBS + "echo", arguments={"a": 1})
    assert answer.values == {"a": 1} and not answer.files_confined
    permission.decide_unconfined(home, False, "ben", "a file came from outside")
    with pytest.raises(WorkerError, match="cannot confine"):
        made.call(JOBS + "echo")  # withdrawn at once, also for the warm process
    made.close()


def test_a_system_that_cannot_confine_models_is_reported(monkeypatch, tmp_path):
    assert not sys.platform.startswith("linux") or confine.confinement_problems() == []
    monkeypatch.setattr(confine.landlock, "landlock_version", lambda: 0)
    monkeypatch.setattr(permission, "_home", tmp_path)
    assert "do not run" in confine.confinement_problems()[0] and "Landlock" in confine.confinement_problems()[0]
    permission.decide_unconfined(tmp_path, True, "ada", "every file is ours")
    assert "without full confinement" in confine.confinement_problems()[0] and "ada allowed it" in confine.confinement_problems()[0]


def test_the_last_readable_decision_holds_and_the_variable_decides_at_the_start(monkeypatch, tmp_path):
    monkeypatch.setattr(permission, "_home", None)
    monkeypatch.setenv(permission.VARIABLE, "allow")
    assert not permission.unconfined_allowed(), "a variable alone gives no permission"
    for _ in range(2):  # a second start with the same variable records nothing
        permission.use_decisions_of(tmp_path)
    assert [(each.allowed, each.author) for each in permission.confinement_decisions(tmp_path)] == [(True, permission.VARIABLE)]
    permission.decide_unconfined(tmp_path, False, "ben", "no longer")
    assert not permission.unconfined_allowed()
    monkeypatch.delenv(permission.VARIABLE)
    permission.use_decisions_of(tmp_path)
    assert [each.allowed for each in permission.confinement_decisions(tmp_path)] == [True, False]
    path = tmp_path / permission.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    permission.decide_unconfined(tmp_path, True, "ada", "again")
    assert permission.unconfined_allowed()
    path.write_text(path.read_text() + "half a li")
    assert not permission.unconfined_allowed(), "a file that cannot be read gives no permission"


@LINUX
def test_the_confined_process_has_no_privileges():
    code = (
        "import ctypes, sys; sys.path[:0] = [sys.argv[1]]\n"
        "from observability.worker.process import Worker\n"
        "from observability.worker.confine import drop_capabilities\n"
        "libc = ctypes.CDLL(None)\n"
        "[libc.prctl(24, capability, 0, 0, 0) for capability in range(64)]  # out of the bounding set: no program gets it back\n"
        "drop_capabilities(libc)\n"
        "assert int(open('/proc/self/status').read().split('CapEff:')[1].split()[0], 16) == 0\n"
        "answer = Worker(allowed=('tests.support.',)).call(\n"
        "    'tests.support.hostile_jobs:reach_out', arguments={'other': 1, 'secret': '/etc/hostname'})\n"
        "print(answer.network_blocked, [answer.values[name] for name in ('socket', 'fork', 'program', 'own', 'thread')])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "True ['PermissionError', 'PermissionError', 'PermissionError', 'done', 'done']", done.stderr[-500:]


def test_the_token_of_the_environment_does_not_reach_the_job(folder, monkeypatch):
    monkeypatch.setenv("OBSERVABILITY_TOKEN", "secret")
    made = Worker(LIMITS, allowed=("tests.support.",))
    assert made.call(JOBS + "reach_out", arguments={"other": os.getpid(), "secret": "/"}).values["token"] == ""
    made.close()


def test_folders_without_permissions_are_removed_too(worker):
    assert worker.call(JOBS + "locked_folder").values == {}


def test_an_answer_is_bounded(worker):
    with pytest.raises(WorkerError) as raised:
        worker.call(JOBS + "large_table", arguments={"rows": 10_000_000})
    assert raised.value.reason == "size"


def test_calls_of_several_threads_are_queued(worker):
    pids, errors = [], []

    def ask():
        try:
            pids.append(worker.call(JOBS + "wait", arguments={"seconds": 0.05}).values["pid"])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert errors == [] and len(set(pids)) == 4


def test_progress_that_raises_ends_the_job(worker):
    seen = []

    def stop(share, text):
        seen.append(int(text))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.call(JOBS + "wait", arguments={"seconds": 30}, progress=stop)
    assert gone(seen[0])


def test_a_warm_process_that_ended_is_replaced(worker):
    worker.call(JOBS + "echo")
    line = worker._connection
    os.kill(line.process.pid, signal.SIGKILL)
    assert worker.call(JOBS + "echo").values == {}
    assert worker._connection.process.pid != line.process.pid
    seen = []

    def kill(share, text):
        if not seen:
            seen.append(int(text))
            os.kill(worker._connection.process.pid, signal.SIGKILL)

    with pytest.raises(WorkerError) as raised:
        worker.call(JOBS + "wait", arguments={"seconds": 30}, progress=kill)
    assert raised.value.reason == "crash" and gone(seen[0])


def test_a_worker_ends_when_idle_and_when_closed(folder):
    made = Worker(Limits(idle_seconds=0.2), allowed=("tests.support.",))
    made.call(JOBS + "echo")
    assert gone(made._connection.process.pid)
    made.call(JOBS + "echo")
    made = Worker(allowed=("tests.support.",))  # it ends after ten idle minutes
    made.call(JOBS + "echo")
    process = made._connection.process.pid
    made.close()
    assert gone(process)
    made.call(JOBS + "echo")
    process = made._connection.process.pid
    del made
    assert gone(process)


def test_children_die_with_their_parent_and_leave_nothing(folder):
    code = (
        "import sys, tempfile; sys.path[:0] = [sys.argv[1]]; tempfile.tempdir = sys.argv[2]\n"
        "from observability.worker.process import Worker\n"
        "worker = Worker(allowed=('tests.support.',))\n"
        "worker.call('tests.support.hostile_jobs:wait', arguments={'seconds': 60}, "
        "progress=lambda share, text: print(worker._connection.process.pid, text, flush=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(ROOT), str(folder)], stdout=subprocess.PIPE, text=True)
    keeper, job = map(int, parent.stdout.readline().split())
    assert len(list(folder.iterdir())) == 1
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(keeper) and gone(job)


def rows():
    return pd.read_parquet(SAMPLE / "flights-late.predictions.parquet").head(20)


def test_a_damaged_model_file_fails_its_own_call(worker, tmp_path):
    text = (SAMPLE / "flights-late.lightgbm.txt").read_text()
    ask = lambda name, seconds=None: predict_scores(worker, tmp_path / name, rows(), classes=("0", "1"), task="binary", seconds=seconds)
    for name, pattern, by, reason in (
        ("abort.txt", r"split_feature=\d+", "split_feature=88888888", "crash"),
        ("signal.txt", "num_tree_per_iteration=1", "num_tree_per_iteration=0", "crash"),
        ("hang.txt", r"left_child=\d+( [-\d]+)*", lambda found: re.sub(r"-?\d+", "0", found[0]), "time"),
    ):
        changed = re.sub(pattern, by, text, count=1)
        if reason == "time":
            changed = re.sub(r"tree_sizes=.*\n", "", changed, count=1)
        (tmp_path / name).write_text(changed)
        with pytest.raises(WorkerError) as raised:
            ask(name, 2 if reason == "time" else None)
        assert raised.value.reason == reason, str(raised.value)
    (tmp_path / "short.txt").write_text(text[:3000])
    with pytest.raises(ObservabilityError):
        ask("short.txt")
    (tmp_path / "good.txt").write_text(text)
    assert abs(ask("good.txt") - rows()["score"]).max() <= 0.00005001


def test_a_file_with_foreign_types_is_refused_by_name(worker, tmp_path):
    import joblib
    import skops.io
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    table = pd.DataFrame({"a": [1.0, 2, 3]})
    skops.io.dump(make_pipeline(FunctionTransformer(os.path.normpath, validate=False), LinearRegression()), tmp_path / "f.skops")
    with pytest.raises(UsageError, match=r"types that are not trusted.*normpath"):
        predict_scores(worker, tmp_path / "f.skops", table, classes=(), task="regression")
    joblib.dump(LinearRegression(), tmp_path / "m.joblib")
    with pytest.raises(UsageError, match="run code when they are opened"):
        predict_scores(worker, tmp_path / "m.joblib", table, classes=(), task="regression")
    skops.io.dump({"a": 1}, tmp_path / "d.skops")
    with pytest.raises(UsageError, match="not a model with predict"):
        predict_scores(worker, tmp_path / "d.skops", table, classes=(), task="regression")


def test_a_library_that_is_not_installed_is_named(worker, tmp_path):
    from observability.worker.model import missing_library

    assert "pip install onnxruntime" in str(missing_library("onnxruntime", "onnxruntime"))
