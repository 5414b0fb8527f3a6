"""The start of the container keeps changes that an owner made."""

import os
import re
import stat
import subprocess
import textwrap
from pathlib import Path

import pytest

from tests.support.sample_home import ROOT

STATEFULSET = ROOT / "docs/examples/containers/helm/observability/templates/statefulset.yaml"


@pytest.mark.skipif(os.name != "posix", reason="the container's shell is that of POSIX")
def test_each_start_writes_the_sign_in_settings_and_only_the_first_writes_the_kept_ones(tmp_path: Path) -> None:
    (script,) = re.findall(
        r"- name: configuration\n.*?command:\n.*?- \|\n((?: {14}[^\n]*\n)+)", STATEFULSET.read_text(encoding="utf-8"), re.DOTALL
    )
    given, home = tmp_path / "configuration", tmp_path / "data"
    script = textwrap.dedent(script).replace("/configuration/", f"{given}/").replace("/data/", f"{home}/")
    given.mkdir()
    home.mkdir()

    def start(access: str, keeping: str) -> tuple[str, str]:
        (given / "access.toml").write_text(access)
        (given / "keeping.toml").write_text(keeping)
        subprocess.run(["sh", "-c", script], check=True)
        return (home / "access.toml").read_text(), (home / "keeping.toml").read_text()

    assert start("a = 1\n", "keep = 14\n") == ("a = 1\n", "keep = 14\n")
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}
    (home / "keeping.toml").write_text("keep = 30\n")
    assert start("a = 2\n", "keep = 14\n") == ("a = 2\n", "keep = 30\n")
    (given / "keeping.toml").unlink()
    (given / "access.toml").unlink()
    subprocess.run(["sh", "-c", script], check=True)
