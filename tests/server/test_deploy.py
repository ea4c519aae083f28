"""The files of `deploy/`: tools that know them find nothing wrong, and what they name exists.

Tools that a machine lacks are passed over, unless FLEMING_ALL_TOOLS is set.
`make deploy-tools` installs them.
"""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import ANSWER, DEMO, QUESTION, about, picture

from program import FLEMING, ROOT

DEPLOY = ROOT / "deploy"
#: Linux' prctl that makes memory either writable or executable, for good.
PR_SET_MDWE = 65


def tool(name):
    """The path of a program of the machine or of the environment of the tests."""
    beside = Path(sys.executable).with_name(name)
    found = (
        str(beside) if beside.exists() else shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    )
    if found is None:
        assert "FLEMING_ALL_TOOLS" not in os.environ, f"{name} is not installed"
        pytest.skip(f"{name} is not installed")
    return found


def run(name, *arguments, cwd=DEPLOY):
    done = subprocess.run(
        [tool(name), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def text(path):
    return (DEPLOY / path).read_text()


# ── options, tools


@pytest.mark.parametrize(
    "path", ["systemd/fleming.service", "Dockerfile", "kubernetes/fleming.yaml", "README.md"]
)
def test_options_exist(path):
    content = text(path)
    command = {
        "systemd/fleming.service": r"ExecStart=((?:.*\\\n)*.*)",
        "Dockerfile": r"\nCMD (\[.*\])",
        "kubernetes/fleming.yaml": r"args:\n((?: +- --.*\n)+)",
        "README.md": r"(/opt/fleming/bin/fleming serve .*)",
    }[path]
    options = {
        option for found in re.findall(command, content) for option in re.findall(r"--[a-z][a-z-]+", found)
    }
    assert len(options) >= 4, options
    shown = subprocess.run([FLEMING, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"--[a-z][a-z-]+", shown))
    assert options <= known, options - known


def test_the_service_is_closed_in(tmp_path):
    unit = tmp_path / "fleming.service"
    unit.write_text(text("systemd/fleming.service").replace("/opt/fleming/bin/fleming", str(FLEMING)))
    assert "fleming.service" not in run("systemd-analyze", "verify", "--man=no", unit)
    judged = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    exposure = re.search(r"Overall exposure level for fleming.service: ([\d.]+)", judged)
    assert float(exposure[1]) <= 1.5, judged


def test_the_service_needs_no_memory_that_is_written_and_run():
    """What `MemoryDenyWriteExecute` forbids, the kernel can forbid any process."""
    libc = ctypes.CDLL(None, use_errno=True)

    def forbid():
        if libc.prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0:
            os._exit(77)

    command = [FLEMING, "ask", "--model", DEMO, "--image", ROOT / "examples" / "chest.png", "-q", QUESTION]
    done = subprocess.run(command, preexec_fn=forbid, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("the kernel is older than 6.3")
    assert (done.returncode, done.stdout.strip()) == (0, ANSWER), done.stderr


def test_logrotate_reads_its_file():
    said = run("logrotate", "--debug", "systemd/fleming.logrotate")
    assert "error" not in said, said


def test_the_image_is_linted():
    run("hadolint", "Dockerfile")


def test_the_manifests_are_valid():
    said = run("kubernetes-validate", "--strict", "kubernetes/fleming.yaml")
    assert said.count("passed for resource") == text("kubernetes/fleming.yaml").count("\nkind: "), said


def test_alerts_fire_when_they_should():
    run("promtool", "check", "config", "--syntax-only", "prometheus.yml", cwd=DEPLOY / "prometheus")
    run("promtool", "check", "rules", "fleming.rules.yml", cwd=DEPLOY / "prometheus")
    run("promtool", "test", "rules", "fleming.rules.test.yml", cwd=DEPLOY / "prometheus")


# ── names of metrics


def families(exposed):
    """The names of an exposition, each with its type."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposed, re.MULTILINE))


def expressions():
    board = json.loads(text("grafana/fleming.json"))
    targets = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    variables = [variable["query"]["query"] for variable in board["templating"]["list"][1:]]
    rules = re.findall(
        r"^ +expr: (?:>-\n)?((?:.*\n)+?) +(?:for|labels):", text("prometheus/fleming.rules.yml"), re.MULTILINE
    )
    gateway = re.findall(r'Spec: "(\S+)"', text("kubernetes/inference-gateway.yaml"))
    assert (len(targets) > 30, len(variables), len(rules), len(gateway)) == (True, 2, 10, 4)
    return targets + variables + rules + gateway


def test_every_metric_that_is_read_exists(server):
    exposed = server.get("/metrics")
    assert exposed.status == 200, exposed.body
    known = families(exposed.body.decode())
    for expression in expressions():
        for name in re.findall(r"\b(?:vllm:|fleming_|process_)[a-z0-9_]+", expression):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            wanted = "histogram" if family != name else None
            assert known.get(family, known.get(name)) is not None, f"{name} of {expression}"
            assert wanted is None or known[family] == wanted, (
                f"{name} of {expression} is of a {known[family]}"
            )


def test_what_is_exposed_is_well_formed(server):
    server.chat(about(picture()))
    exposed = server.get("/metrics")
    assert exposed.headers["content-type"].startswith("text/plain; version=0.0.4")
    linted = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=exposed.body, capture_output=True, check=False
    )
    # It advises against the colon, which the names of others have.
    told = [line for line in linted.stderr.decode().splitlines() if "':'" not in line]
    assert not told, told


def test_the_documents_name_every_metric(server):
    known = families(server.get("/metrics").body.decode())
    page = (ROOT / "docs" / "operation.md").read_text()
    named = set(re.findall(r"`((?:vllm:|fleming_|process_)[a-z0-9_]+)(?:\{[^}]*\})?`", page))
    assert set(known) == named, set(known) ^ named
