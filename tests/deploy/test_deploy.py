"""What deploy/ says, by each format's own checker, and against what the program does.

No container engine takes part: ``python -m tests.deploy.image`` carries out the Dockerfile's steps by hand.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.dockerfile import DOCKERFILE, ROOT, let_through, stages
from tests.ports import free_port
from tracker.config import FROM_FILES, SECRETS, SECTIONS, Settings, load_settings
from tracker.daemon import probe
from tracker.daemon.service import GRACE_S

DEPLOY = ROOT / "deploy"
COMPOSE = sorted(DEPLOY.glob("compose.*.yaml"))
KUBERNETES = sorted(DEPLOY.glob("kubernetes*.yaml"))
PROBE = ["python", "-m", "tracker.daemon.probe", "/readyz"]
UID = 10001


def checked(*command: str | Path) -> None:
    """Run a checker that is installed beside this Python."""
    tool = Path(sys.executable).with_name(str(command[0]))
    told = subprocess.run([tool, *command[1:]], capture_output=True, text=True, check=False, cwd=ROOT)
    assert told.returncode == 0, told.stdout + told.stderr


def compose(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def manifests() -> dict[str, dict[str, Any]]:
    read = [one for path in KUBERNETES for one in yaml.safe_load_all(path.read_text())]
    return {one["kind"]: one for one in read}


# the image ----------------------------------------------------------------------------------------


def test_the_dockerfile_passes_hadolint() -> None:
    checked("hadolint", DOCKERFILE)


def test_nothing_is_installed_without_its_hash_or_from_a_named_host() -> None:
    text = DOCKERFILE.read_text()
    assert "http" not in text
    assert not re.search(r"index-url|find-links|trusted-host", text)
    installs = [
        told for stage in stages() for word, told in stage.steps if word == "RUN" and "pip install" in told
    ]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]


def test_what_the_build_copies_is_let_through_and_is_there() -> None:
    copied = [told.split() for stage in stages() for word, told in stage.steps if word == "COPY"]
    wanted = {name for words in copied if not words[0].startswith("--from") for name in words[:-1]}
    assert wanted == let_through()
    assert all((ROOT / name).exists() for name in wanted)


def test_the_image_runs_as_nobody_in_particular_and_writes_to_its_volume_only() -> None:
    last = stages()[-1]
    assert last.last("USER") == f"{UID}:{UID}"
    assert last.command("ENTRYPOINT") == ["speedup"]
    assert last.command("CMD") == ["run"]
    assert last.last("STOPSIGNAL") == "SIGTERM"
    environment = last.environment()
    settings = load_settings(environ=environment, dotenv=Path("none"))
    assert settings.database() == "sqlite:////data/speedup.sqlite"
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "MPLCONFIGDIR"):
        assert environment[name].startswith(("/data", "/tmp/"))


def test_the_health_check_of_the_image_tells_a_well_daemon_from_one_that_is_not(tmp_path: Path) -> None:
    """The image's own command, environment and health check, with this Python and free of any network."""
    port = free_port()
    last = stages()[-1]
    environment = {
        name: value.replace("/data", str(tmp_path / "data")).replace("/tmp/", f"{tmp_path}/tmp/")
        for name, value in last.environment().items()
    }
    environment |= {"PATH": os.environ["PATH"], "SPEEDUP_HTTP_BIND": f"127.0.0.1:{port}"}
    (tmp_path / "data").mkdir()

    def health() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *last.health()[1:]]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)

    assert last.health() == PROBE
    assert health().returncode == 1
    command = [sys.executable, "-m", "tracker", *last.command("CMD"), "--only", "check"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL) as daemon:
        until = time.monotonic() + 60
        while (answer := health()).returncode != 0:
            assert daemon.poll() is None
            assert time.monotonic() < until, answer
        assert answer.stdout == "ready\n"
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    assert health().returncode == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"data", "tmp"}


def test_a_process_that_takes_the_connection_and_says_nothing_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as stuck:
        monkeypatch.setenv("SPEEDUP_HTTP_BIND", f"127.0.0.1:{stuck.getsockname()[1]}")
        assert probe.main([]) == 1
    assert "TimeoutError" in capsys.readouterr().out


def test_the_probe_finds_the_daemon_by_the_settings_and_says_when_there_is_nothing_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("SPEEDUP_HTTP_BIND", "off")
    assert probe.main([]) == 2
    monkeypatch.delenv("SPEEDUP_HTTP_BIND")
    (tmp_path / "speedup-tracker").mkdir()
    (tmp_path / "speedup-tracker" / "config.toml").write_text('http_bind = "[::1]:1"\n')
    assert probe.main(["/healthz"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("[::1]:1/healthz: ")


# compose ------------------------------------------------------------------------------------------


def test_the_compose_files_are_compose_files() -> None:
    assert [path.name for path in COMPOSE] == ["compose.postgresql.yaml", "compose.sqlite.yaml"]
    checked("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *COMPOSE)


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_a_composed_daemon_is_confined(path: Path) -> None:
    service = compose(path)["services"]["speedup"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == f"{UID}:{UID}"
    assert "ports" not in service
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).samefile(DOCKERFILE)
    assert int(service["stop_grace_period"].removesuffix("s")) > GRACE_S + 5
    environment = {name: str(value) for name, value in service["environment"].items()}
    filled = {name: re.sub(r"\$\{[^}]*\}", "x", value) for name, value in environment.items()}
    settings = load_settings(environ=filled, dotenv=Path("none"))
    assert settings.database().startswith(path.name.split(".")[1])


# Kubernetes ---------------------------------------------------------------------------------------


def test_the_manifests_are_what_kubernetes_expects() -> None:
    checked("kubernetes-validate", "--strict", "--quiet", *KUBERNETES)


def test_two_pods_of_one_version_lead_in_turn_and_are_confined() -> None:
    found = manifests()
    assert set(found) == {
        "Secret", "ConfigMap", "ServiceAccount", "Deployment", "PodDisruptionBudget", "NetworkPolicy", "Job",
    }  # fmt: skip
    deployment = found["Deployment"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (2, "Recreate")
    budget = found["PodDisruptionBudget"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"] == deployment["selector"]["matchLabels"] == labels
    assert found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert found["Job"]["spec"]["template"]["metadata"]["labels"] != labels
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] > GRACE_S + 5
    for kind in ("Deployment", "Job"):
        pod = found[kind]["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsUser"] == UID
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        inside = container["securityContext"]
        assert (inside["readOnlyRootFilesystem"], inside["allowPrivilegeEscalation"]) == (True, False)
        assert inside["capabilities"] == {"drop": ["ALL"]}
        named = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == named
        assert container["envFrom"] == [{"secretRef": {"name": found["Secret"]["metadata"]["name"]}}]


def test_the_pods_probes_settings_and_secrets_are_the_programs(tmp_path: Path) -> None:
    found = manifests()
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[name]["exec"]["command"] == PROBE
        assert container[name]["timeoutSeconds"] > probe.TIMEOUT_S
    config = tmp_path / "config.toml"
    config.write_text(found["ConfigMap"]["data"]["config.toml"])
    environment = {one["name"]: one["value"] for one in container["env"]}
    settings = load_settings(
        config=config, environ=environment | found["Secret"]["stringData"], dotenv=Path("none")
    )
    assert settings.database().startswith("postgresql://")
    assert f"{stages()[-1].environment()['XDG_CONFIG_HOME']}/speedup-tracker" in {
        mount["mountPath"] for mount in container["volumeMounts"]
    }


# settings -----------------------------------------------------------------------------------------


def test_every_setting_stands_in_the_example_and_nothing_else() -> None:
    text = (DEPLOY / "example.env").read_text()
    named = {name.lower() for name in re.findall(r"^#SPEEDUP_(\w+)=", text, re.MULTILINE)}
    known = {name for name in Settings.model_fields if name not in SECTIONS}
    files = {f"{name}_file" for name in FROM_FILES}
    assert known | files <= named, sorted((known | files) - named)
    strange = {name for name in named - known - files if not name.startswith(("smtp_", "mail_", "digest_"))}
    assert strange == set()
    assert not re.search(r"^[^#\n]", text, re.MULTILINE), "an example sets nothing"


def test_a_database_url_may_come_from_a_file_and_stays_masked(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://ada:hunter2@db.example/speedup\n")
    settings = load_settings(environ={"SPEEDUP_DATABASE_URL_FILE": str(secret)}, dotenv=tmp_path / "none")
    assert settings.database() == "postgresql://ada:hunter2@db.example/speedup"
    assert set(SECRETS) < set(FROM_FILES)
