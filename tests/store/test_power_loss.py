"""A loss of power drops file contents and names that were not synced: records acknowledged as on disk are kept, and the store opens."""

import os
import subprocess
import sys

import pytest

from observability.store.db.repairs import repairs
from observability.store.opener import open_store
from tests.store.conftest import query
from tests.support.power_load import cut_again_and_again, recorded_load
from tests.support.power_loss import Disk, calls, recording
from tests.support.sample_home import ROOT, environment


@pytest.fixture
def after_power_loss(tmp_path):
    """A function that runs a script with a folder as its argument, and returns the folder as a loss of power at the end of the script
    leaves it.
    """

    def run(script):
        root, record = tmp_path / "root", tmp_path / "record"
        root.mkdir()
        env = environment(root / "home") | {"PYTHONPATH": str(ROOT)} | recording(tmp_path, root, record)
        subprocess.run([sys.executable, "-c", script, str(root)], cwd=ROOT, env=env, check=True, timeout=600)
        disk = Disk(root)
        for call in calls(record.read_bytes()):
            disk.apply(call)
        disk.write_after_loss(tmp_path / "left", None)
        return tmp_path / "left"

    return run


FILES = """
import os, sys
os.chdir(sys.argv[1])
here = os.getcwd()
def file(name, sync, text=b"text"):
    fd = os.open(f"{here}/{name}", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, text)
    if sync:
        os.fsync(fd)
    os.write(fd, b" and more")
    os.close(fd)
def sync(name):
    fd = os.open(name, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
file("named", True)
file("content lost", False)
file("renamed", True)
os.mkdir(f"{here}/folder")
sync(here)
file("name lost", True)
file("folder/inner", True)
os.rename(f"{here}/renamed", f"{here}/folder/moved")
os.unlink(f"{here}/named")
if len(sys.argv) > 2:
    sync(f"{here}/folder")
"""


@pytest.mark.parametrize("synced", [False, True])
def test_the_simulated_disk_loses_what_was_not_synced(synced, after_power_loss):
    script = FILES if not synced else FILES.replace("if len(sys.argv) > 2:", "if True:")
    left = after_power_loss(script)
    found = {str(path.relative_to(left)): path.read_bytes() for path in left.rglob("*") if path.is_file()}
    moved = {"folder/inner": b"text", "folder/moved": b"text"} if synced else {"renamed": b"text"}
    assert found == {"named": b"text", "content lost": b"", **moved}


def test_the_first_record_of_a_new_home_is_on_disk(after_power_loss):
    left = after_power_loss("""
import os, sys
from observability import Logger
log = Logger(sys.argv[1] + "/new/home", fsync="always")
assert log.prediction(id="a", model="loan", version="1", features={"age": 1}, score=0.5)
os._exit(0)
""")
    with open_store(left / "new" / "home", threads=1) as store:
        store.load_landing()
        assert query(store, "SELECT id FROM predictions_1") == [("a",)]


def test_a_commit_to_a_new_store_is_on_disk_with_the_names_of_its_files(after_power_loss):
    left = after_power_loss("""
import os, sys
from pathlib import Path
from observability.store.opener import open_store
store = open_store(Path(sys.argv[1]) / "home", threads=1)
with store.write() as writer:
    writer.execute("INSERT INTO rejected (segment, line, message) VALUES ('first', 1, '')")
with store.cursor() as cursor:
    cursor.execute("FORCE CHECKPOINT")  # the next commit makes a new log
with store.write() as writer:
    writer.execute("INSERT INTO rejected (segment, line, message) VALUES ('second', 1, '')")
os._exit(0)
""")
    with open_store(left / "home", threads=1) as store:
        assert query(store, "SELECT segment FROM rejected ORDER BY ALL") == [("first",), ("second",)]
    assert repairs(left / "home") == []


def test_settings_tokens_keys_and_model_files_are_on_disk_once_they_are_written(after_power_loss):
    left = after_power_loss("""
import os, sys
from pathlib import Path
from observability.records.private_file import replace_private_file
from observability.records.keyed_hash import home_key
from observability.server import process_lock, tokens
from observability.store.db.repairs import note_repair
from observability.store.registry.artifacts import store_artifact
home = Path(sys.argv[1]) / "home"
process_lock.take_lock(home)
tokens.create_token(home, "write")
replace_private_file(home / "keeping.toml", "[backup]")
home_key(home)
note_repair(home, "what", "nothing")
model = Path(sys.argv[1]) / "model.txt"
model.write_text("tree\\nversion=v4\\nnum_class=1\\nmax_feature_idx=0\\nfeature_names=a\\n")
store_artifact(home, 1, "1", model)
os._exit(0)
""")
    found = {str(path.relative_to(left / "home").parts[0]) for path in (left / "home").rglob("*") if path.is_file() and path.stat().st_size}
    assert {"tokens.json", "keeping.toml", "secret.key", "repairs.jsonl", "artifacts"} <= found


def test_nothing_acknowledged_is_lost_wherever_the_power_is_cut_under_load(tmp_path):
    seed = int.from_bytes(os.urandom(4))
    found = cut_again_and_again(recorded_load(tmp_path, 2.0, 1), tmp_path / "work", 12, seed)
    assert len(found) > 6 and max(cut.acknowledged for cut in found) > 50
    assert [(cut.lost, cut.twice) for cut in found if cut.lost or cut.twice] == [], f"seed {seed}"
