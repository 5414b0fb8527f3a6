"""Collectors without a store. They follow the contract of the owner process, and the owner fetches each record once, even if any of the
processes are killed.
"""

import concurrent.futures
import http.client
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.core.errors import StoreBrokenError
from observability.lake.file_place import FolderPlace
from observability.lake.segment_place import CONFIG, OWNER, PLACES, SEGMENTS, TAKEN, open_collected_place, open_segment_place, segment_names
from observability.server import collected_segments, tokens
from observability.server.collected_segments import SegmentIntake
from observability.server.collector import AWAY_AFTER, Collecting, CollectingStore, collector_folder, remove_left_folders
from observability.store.opener import open_store
from observability.store.types.erasing import forgotten_lines
from observability.store.types.loading import LoadDefaults
from tests.support.lake_server import bucket_client, s3_server
from tests.support.length import LONG, repeats
from tests.support.ports import free_port
from tests.support.record_lines import label, prediction
from tests.support.sample_home import ROOT, environment


class CollectorProcess:
    """`observability collect` in a separate process."""

    def __init__(self, place, more=None):
        self.place, self.port, self.more, self.process = str(place), free_port(), more or {}, None

    def start(self, wait=True):
        command = [sys.executable, "-m", "observability", "collect", "--to", self.place, "--port", str(self.port)]
        settings = environment(ROOT / "no-home") | {"PYTHONPATH": str(ROOT)} | self.more
        self.process = subprocess.Popen(command, env=settings, cwd=ROOT, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 300
        while wait and self.ask("GET", "/readyz")[0] != 200:
            assert self.process.poll() is None and time.monotonic() < until, "the collector did not start"
            time.sleep(0.1)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ask(self, method, path, body=None, token=None, **headers):
        """Status and answer of a request; (0, {}) if nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**({"Authorization": f"Bearer {token}"} if token else {}), **headers})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else text.decode()
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()


class OwnerProcess:
    """A process that fetches segments and loads them until it is killed; it prints the name of each loaded segment."""

    SCRIPT = """
import sys, time
from pathlib import Path
from observability.lake.segment_place import SEGMENTS, open_segment_place, segment_names
from observability.server.collected_segments import SegmentIntake
from observability.store.opener import open_store
place = open_segment_place(sys.argv[2])
with open_store(Path(sys.argv[1])) as store:
    intake = SegmentIntake(store, place)
    while True:
        print(intake.round(), flush=True)
        store.load_landing()
"""

    def __init__(self, home, place, more):
        self.home, self.place, self.more, self.process, self.kills = home, place, more, None, 0

    def start(self):
        command = [sys.executable, "-c", self.SCRIPT, str(self.home), self.place]
        settings = environment(ROOT / "no-home") | {"PYTHONPATH": str(ROOT)} | self.more
        self.process = subprocess.Popen(command, env=settings, cwd=ROOT, stdout=subprocess.PIPE)

    def kill_while_it_brings(self, dice):
        """Kill the process after it has fetched a segment, at a random moment of its load. Then start another one."""
        while self.process.stdout.readline().strip() in (b"", b"0"):
            assert self.process.poll() is None
        time.sleep(dice.uniform(0, 0.1))  # the kill may hit any step of a load, so nothing waits for a certain step
        self.kill()
        self.kills += 1
        self.start()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def lines(*records):
    return "\n".join(map(json.dumps, records))


def brought(store, place):
    """The ids of all predictions, after every segment in the shared place was fetched and loaded."""
    intake = SegmentIntake(store, place)
    intake.round()
    report = store.load_landing()
    assert report.rejected == 0, report.examples
    assert intake.round() == 0
    assert segment_names(place, SEGMENTS) == []
    with store.cursor() as cursor:
        return [name for (name,) in cursor.execute("SELECT id FROM predictions_1").fetchall()]


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    with open_store(folder):
        pass
    return folder


@pytest.fixture
def place(tmp_path):
    return open_segment_place(str(tmp_path / "shared"))


def publish(home, place):
    with open_store(home) as store:
        SegmentIntake(store, place).round()


def test_a_collector_keeps_the_contract_of_the_owner(home, place):
    write, read = (tokens.create_token(home, scope)[1] for scope in ("write", "read"))
    (home / "limits.toml").write_text("[limits]\nbody_bytes = 5000\nnew_models_per_request = 1\n", encoding="utf-8")
    file = home.parent / "first.jsonl"
    file.write_text(lines(prediction(0)), encoding="utf-8")
    with open_store(home) as store:
        store.load_files([file], LoadDefaults())
        SegmentIntake(store, place).round()
    collector = CollectorProcess(place.address).start()
    try:
        assert collector.ask("POST", "/api/v1/records", lines(prediction(1)))[0] == 401
        assert collector.ask("POST", "/api/v1/records", lines(prediction(1)), read)[0] == 403
        assert collector.ask("GET", "/api/v1/records", None, write)[0] == 405
        status, answer = collector.ask("POST", "/api/v1/records", lines(prediction(1), {"kind": "prediction"}, label(1)), write)
        assert (status, answer["accepted"], [each["line"] for each in answer["rejected"]]) == (202, 2, [2])
        assert collector.ask("POST", "/api/v1/records", lines({"kind": "prediction"}), write)[0] == 422
        assert (
            collector.ask(
                "POST", "/api/v1/labels", json.dumps([{"id": "p0", "at": "2024-03-02T00:00:00Z", "model": "loan", "value": 1}]), write
            )[0]
            == 202
        )
        assert collector.ask("POST", "/api/v1/records", "x" * 5001, write)[0] == 413
        several = lines(prediction(2, model="a"), prediction(2, model="b"))
        assert collector.ask("POST", "/api/v1/records", several, write)[1]["accepted"] == 1, "the limit on new models per request applies"
        assert collector.ask("GET", "/api/v1/status", None, read)[0] == 404
        text = collector.ask("GET", "/metrics", None, read)[1]
        assert 'observability_ingest_accepted_records_total{address="records"} 3' in text
        assert 'observability_ingest_rejected_records_total{reason="missing_field"}' in text
        assert "observability_collector_config_age_seconds" in text and collector.ask("GET", "/metrics")[0] == 401
        tokens.revoke_token(home, write)
        publish(home, place)
        until = time.monotonic() + 300
        while collector.ask("POST", "/api/v1/records", lines(prediction(9)), write)[0] != 401:
            assert time.monotonic() < until, "a revoked token is refused within seconds"
            time.sleep(0.5)
    finally:
        collector.kill()
    with open_store(home) as store:
        SegmentIntake(store, place).round()
        assert store.load_landing().rejected == 0


def test_a_collector_without_configuration_accepts_nothing(tmp_path, place):
    from observability.core.errors import StoreBrokenError
    from observability.server.collector import Collecting

    owner = Collecting(tmp_path, place)
    owner.store.look()
    with pytest.raises(StoreBrokenError, match="no configuration"):
        owner.store.require_space()


def test_protected_features_need_the_key(home, tmp_path, place, monkeypatch):
    from observability.core.errors import StoreBrokenError
    from observability.server.collector import Collecting

    with open_store(home) as store:
        (home / "protect.json").write_text(json.dumps({"loan": {"job": "hash"}}), encoding="utf-8")
        SegmentIntake(store, place).round()
    own = tmp_path / "collector"
    own.mkdir()
    owner = Collecting(own, place)
    owner.store.look()
    with pytest.raises(StoreBrokenError, match="lacks their key"):
        owner.store.require_space()
    assert not (own / "secret.key").exists(), "the collector makes no key of its own"
    (tmp_path / "secret.key").write_text("ab" * 32, encoding="ascii")
    monkeypatch.setenv("OBSERVABILITY_KEY_FILE", str(tmp_path / "secret.key"))
    owner.store.require_space()


def test_the_configuration_holds_no_secret(home, place):
    _, text = tokens.create_token(home, "write")
    (home / "access.toml").write_text('url = "https://obs.example.com"\n', encoding="utf-8")
    publish(home, place)
    content = place.get(CONFIG)
    assert text.encode() not in content and text.split("_", 2)[2].encode() not in content


def test_a_segment_that_was_brought_but_not_moved_is_not_loaded_again(home, place):
    name, old = (f"{datetime.now(UTC) - age:%Y%m%dT%H%M%S}-c0123456789abcdef-0000000000.jsonl" for age in (timedelta(0), timedelta(8)))
    place.put(f"{TAKEN}/{old}", b"")
    place.put(f"{SEGMENTS}/{name}", (lines(prediction(1), prediction(2)) + "\n").encode())
    place.put(f"{SEGMENTS}/of-somebody-else.jsonl", b"{}")
    assert segment_names(place, SEGMENTS) == [name]
    with open_store(home) as store:
        SegmentIntake(store, place).round()
        assert store.load_landing().stored == 2
        SegmentIntake(store, place)._bring([name])  # the state after a kill before the segment is moved
        again = store.load_landing()
        assert (again.stored, again.duplicates) == (0, 0), "the name of the segment is in the manifest"
        SegmentIntake(store, place).round()
        assert (segment_names(place, SEGMENTS), segment_names(place, TAKEN)) == ([], [name]), "taken segments are kept for a week"


def test_taken_segments_stay_a_week_by_the_store_s_clock_and_a_lost_configuration_is_left_again(home, place, monkeypatch):
    """The clock of one collector is nine days behind, that of the other years ahead."""
    slow, fast = (
        f"{at}-c0123456789abcdef-0000000001.jsonl" for at in (f"{datetime.now(UTC) - timedelta(days=9):%Y%m%dT%H%M%S}", "20990101T000000")
    )
    place.put(f"{SEGMENTS}/{slow}", (lines(prediction(1)) + "\n").encode())
    place.put(f"{SEGMENTS}/{fast}", (lines(prediction(2)) + "\n").encode())
    with open_store(home) as store:
        intake = SegmentIntake(store, place)
        intake.round()
        store.load_landing()
        place.delete(CONFIG)
        intake.present_at = intake.purged_at = -math.inf  # as if an hour had passed
        intake.round()
        assert segment_names(place, TAKEN) == [slow, fast] and place.get(CONFIG) is not None
        monkeypatch.setattr(collected_segments, "KEPT", timedelta(0))
        intake.purged_at = -math.inf
        intake.round()
        assert segment_names(place, TAKEN) == []


def test_a_collector_accepts_nothing_a_day_after_its_owner_was_last_seen(home, place, tmp_path):
    publish(home, place)
    taking = CollectingStore(tmp_path, place)
    taking.look()
    taking.require_space()
    place.put(OWNER, json.dumps({"at": (datetime.now(UTC) - timedelta(hours=25)).isoformat()}).encode())
    late = CollectingStore(tmp_path, place)
    late.look()
    with pytest.raises(StoreBrokenError, match="away"):
        late.require_space()
    place.put(OWNER, b"half of it")
    late.look()
    assert late.failure is None, "the configuration was read nevertheless"
    publish(home, place)
    late.look()
    late.require_space()
    taking.owner_at -= AWAY_AFTER + 1
    with pytest.raises(StoreBrokenError, match="no sign of it for 24 hours"):
        taking.require_space()


def test_a_collector_acknowledges_nothing_into_a_folder_that_is_not_mounted(home, place, tmp_path, monkeypatch):
    """The share is renamed, and an empty folder takes its place, as after an unmount. Then the share comes back during a write."""
    publish(home, place)
    owner, shared, away = Collecting(tmp_path, place), tmp_path / "shared", tmp_path / "away"
    owner.store.look()
    owner.records.commit(b"{}\n", 1)
    shared.rename(away)
    shared.mkdir()
    owner.store.require_space()  # the configuration was read only a moment ago
    with pytest.raises(StoreBrokenError, match="the shared place is not there"):
        owner.records.commit(b"{}\n", 1)
    assert not list(shared.iterdir())
    put = FolderPlace.put

    def mounted_after(self, name, content):
        shared.rename(tmp_path / "beneath")
        (tmp_path / "beneath" / name).parent.mkdir()
        (tmp_path / "beneath" / name).write_bytes(content)
        away.rename(shared)

    (shared / CONFIG).write_bytes(b"{}")  # the local folder under the mount may also have a configuration
    monkeypatch.setattr(FolderPlace, "put", mounted_after)
    with pytest.raises(StoreBrokenError, match="the shared place is not there"):
        owner.records.commit(b"{}\n", 1)
    monkeypatch.setattr(FolderPlace, "put", put)
    owner.records.commit(b"{}\n", 1)
    assert len(segment_names(place, SEGMENTS)) == 2


def test_an_owner_leaves_no_configuration_in_a_folder_that_is_not_mounted(home, place, tmp_path):
    shared, away = tmp_path / "shared", tmp_path / "away"
    (home / "lake.toml").write_text(f'[collectors]\nplace = "{place.address}"\n', encoding="utf-8")
    with open_store(home) as store:
        intake = SegmentIntake(store, place)
        intake.round()
        intake.present_at = -math.inf  # as if a minute had passed
        shared.rename(away)
        shared.mkdir()
        with pytest.raises(StoreBrokenError, match="the shared place is not there"):
            intake.round()
        with pytest.raises(StoreBrokenError, match="the shared place is not there"):
            SegmentIntake(store, place).round()  # of another process
        assert not list(shared.iterdir())
        assert store.forget("somebody")["collected"]["unreachable"] == [str(shared)]
        shared.rmdir()
        with pytest.raises(StoreBrokenError, match="the place of collectors is not there"):
            open_collected_place(home, place.address)
        assert not shared.exists()
        away.rename(shared)
        assert intake.round() == 0 and store.forget("somebody")["collected"]["unreachable"] == []
        (home / PLACES).unlink()
        for name in (CONFIG, OWNER):
            place.delete(name)
        SegmentIntake(store, place).round()
        assert place.get(CONFIG) is not None, "a place that was emptied on purpose is used again"


@pytest.fixture(params=["folder", "bucket"] if LONG else ["bucket"])
def shared(request, tmp_path, monkeypatch):
    """A shared place of each kind (folder, bucket), and the environment variables that a collector needs for it."""
    if request.param == "folder":
        yield open_segment_place(str(tmp_path / "shared")), {}
        return
    with s3_server() as settings:
        bucket_client(settings).create_bucket(Bucket="collected")
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield open_segment_place("s3://collected/segments-of-us"), settings


def test_a_forgotten_subject_and_a_removed_model_leave_the_segments_of_collectors(home, place, tmp_path):
    names = [f"20990101T000000-c{'0' * 16}-{number:010d}.jsonl" for number in range(2)]
    about = [prediction(0, subject="jane-77.Q"), prediction(1, note="as jane-77.Q said"), prediction(2, model="other"), label(0)]
    (home / "lake.toml").write_text(f'[collectors]\nplace = "{place.address}"\n', encoding="utf-8")
    shared = tmp_path / "shared"

    def held():
        return b"".join(path.read_bytes() for path in shared.rglob("*.jsonl"))

    with open_store(home) as store:
        place.put(f"{SEGMENTS}/{names[0]}", lines(*about).encode() + b"\n")
        brought(store, place)
        place.put(f"{SEGMENTS}/{names[1]}", lines(prediction(5, subject="jane-77.Q"), label(5)).encode() + b"\n")
        assert held().count(b"jane") == 3
        body = store.forget("jane-77.Q")
        assert len(body["collected"]["rewritten"]) == 2 and b"jane" not in held() and held().count(b"\n") == 6
        SegmentIntake(store, place).round()
        assert store.load_landing().stored == 0, "neither the waiting segment nor its label is loaded"
        store.remove_model("loan")
        assert b"loan" not in held() and b'"other"' in held()
        away = shared.rename(tmp_path / "away")
        assert store.forget("nobody")["collected"]["unreachable"] == [str(shared)] and not shared.exists()
        away.rename(shared)
        (home / "lake.toml").write_text(f'[collectors]\nplace = "{home / "lake.toml" / "x"}"\n', encoding="utf-8")
        body = store.forget("somebody")
        assert len(body["collected"]["unreachable"]) == 1 and any("segments of collectors" in line for line in forgotten_lines(body))
        assert any("did not finish" in problem for problem in store.problems())


def test_a_half_written_file_of_a_killed_collector_is_removed_by_erasure_and_by_the_hourly_purge(home, place, tmp_path):
    (home / "lake.toml").write_text(f'[collectors]\nplace = "{place.address}"\n', encoding="utf-8")
    folder = tmp_path / "shared" / SEGMENTS
    folder.mkdir(parents=True)

    def left(seconds):
        part = folder / f".20990101T000000-c{'1' * 16}-0000000001.jsonl.4242.part"
        part.write_text(lines(prediction(2, subject="jane-77.Q")))
        os.utime(part, (time.time() - seconds,) * 2)
        return part

    with open_store(home) as store:
        part = left(5)
        store.forget("nobody")
        assert part.exists(), "a collector may still be writing it"
        part = left(120)
        store.forget("jane-77.Q")
        assert not part.exists()
        part = left(2 * 3600)
        SegmentIntake(store, place).round()
        assert not part.exists()


def test_three_collectors_that_are_killed_at_random_lose_nothing_and_store_nothing_twice(home, shared):
    """Clients send to any of three collectors, and send again if no answer came. Meanwhile the owner fetches, and is also killed."""
    place, settings = shared
    seconds = float(os.environ.get("COLLECTOR_SECONDS", repeats(2, 12)))
    token = tokens.create_token(home, "write")[1]
    publish(home, place)
    collectors = [CollectorProcess(place.address, settings) for _ in range(3)]
    for collector in collectors:
        collector.start(wait=False)
    for collector in collectors:
        until = time.monotonic() + 300
        while collector.ask("GET", "/readyz")[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.2)
    stop, acknowledged, resent = threading.Event(), [], Counter()

    def log(client):
        dice = random.Random(client)
        number = 0
        while not stop.is_set():
            batch = [f"c{client}-{number}-{k}" for k in range(20)]
            number += 1
            body = lines(*(prediction(k, id=name) for k, name in enumerate(batch)))
            while True:
                status, answer = dice.choice(collectors).ask("POST", "/api/v1/records", body, token)
                if status == 202 and answer["accepted"] == 20:
                    acknowledged.extend(batch)
                    break
                resent[status] += 1
                if stop.is_set():
                    return
                time.sleep(0.05)

    kills, dice, owner = 0, random.Random(7), OwnerProcess(home, place.address, settings)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        work = [pool.submit(log, client) for client in range(4)]
        try:
            owner.start()
            until = time.monotonic() + 300
            while len(acknowledged) < 100:
                assert time.monotonic() < until, resent
                time.sleep(0.05)  # pause between two checks of the acknowledged records
            end = time.monotonic() + seconds
            while time.monotonic() < end or kills < repeats(3, 4) or owner.kills < 2:
                time.sleep(dice.uniform(0.5, 1.5))
                owner.kill_while_it_brings(dice)
                victim = dice.choice(collectors)
                victim.kill()
                victim.start(wait=False)
                kills += 1
        finally:
            stop.set()
            for collector in (*collectors, owner):
                collector.kill()
        for each in work:
            each.result()
    with open_store(home) as store:
        stored = Counter(brought(store, place))
    print(
        f"{len(acknowledged):,} acknowledged, {kills} kills, {owner.kills} of the owner, sent again {dict(resent)}, {len(stored):,} stored"
    )
    assert set(acknowledged) - set(stored) == set(), "these were acknowledged, but lost"
    assert [name for name, count in stored.items() if count > 1] == [], "stored twice"


def test_the_commands_and_settings_on_the_page_about_collectors_agree():
    import re
    import shlex
    import tomllib

    from observability.cli.parser import parser
    from observability.lake.config import checked_lake_config

    page = (ROOT / "docs" / "collectors.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^observability (collect .*)$", page, re.MULTILINE)
    args = parser().parse_args(shlex.split(command))
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert checked_lake_config(tomllib.loads(text)).place == args.to == "s3://ml-logs/collected"


def test_the_owner_fetches_segments_automatically_and_reports_why_it_cannot(home, place):
    from observability.server.health import collectors_problems, collectors_status
    from observability.server.lake_schedule import lake_work

    stopping = threading.Event()
    with open_store(home) as store:
        (home / "lake.toml").write_text(f'[collectors]\nplace = "{place.address}"\n', encoding="utf-8")
        state, works = lake_work(store, stopping)
        threads = [threading.Thread(target=work, daemon=True) for work in works.values()]
        for thread in threads:
            thread.start()
        try:
            name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-c0123456789abcdef-0000000001.jsonl"
            place.put(f"{SEGMENTS}/{name}", (lines(prediction(1)) + "\n").encode())
            until = time.monotonic() + 300
            while segment_names(place, TAKEN) != [name]:
                store.load_landing()
                assert time.monotonic() < until, state
                time.sleep(0.2)
            assert place.get(CONFIG) is not None and state.failure is None
            (home / "lake.toml").write_text('[collectors]\nplace = "relative"\n', encoding="utf-8")
            while not state.failure:
                assert time.monotonic() < until
                time.sleep(0.2)
            assert "absolute path" in state.failure
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
    assert set(works) == {"collecting", "sources"}
    assert collectors_status()["place"] is None and collectors_problems() == []


def test_folders_of_killed_collectors_are_removed_and_those_of_living_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    holds = "import sys, tempfile, time; tempfile.tempdir = sys.argv[1]; from observability.server.collector import collector_folder\n"
    # This process holds the folder until it is killed.
    holds += "with collector_folder() as folder:\n    print(folder, flush=True)\n    time.sleep(600)"
    dead, living = (
        subprocess.Popen([sys.executable, "-c", holds, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)
    )
    try:
        left, used = (Path(process.stdout.readline().strip()) for process in (dead, living))
        dead.kill()
        dead.wait()
        (tmp_path / "collector-older").mkdir()
        (left / "limits.toml").write_text("", encoding="utf-8")
        assert left.is_dir() and used.is_dir()
        with collector_folder() as own:
            assert sorted(each.name for each in tmp_path.iterdir()) == sorted(["collector-older", used.name, own.name])
            assert remove_left_folders(tmp_path) == [], "a lock of this process counts as well"
        assert not own.exists()
    finally:
        living.kill()
        living.wait()
