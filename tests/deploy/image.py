"""Carry out deploy/Dockerfile without a container engine:  python -m tests.deploy.image   (Linux, as root)

Each stage is a copy-on-write layer over this machine's own root (overlayfs, in a mount namespace of its own, so that
nothing stays), with this Python as the base image's; RUN lines are run as they stand, COPY copies what the ignore file
lets through. Then the result is started as the image says: its user, its environment and nothing else, its root
read-only, /data and /tmp empty, no network but loopback; the HEALTHCHECK must say that it is well, and SIGTERM must
end it with 0. What this cannot show: the base image itself, and that an engine understands the file. Needs the package
index for what the lock names; takes a minute or two.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.deploy.dockerfile import ROOT, Stage, let_through, stages

IDENTITY = 10001
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(*command: str | Path, **more: object) -> None:
    subprocess.run([str(part) for part in command], check=True, **more)  # type: ignore[call-overload]


class Layers:
    """Roots by stage name, each over this machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        run("mount", "-t", "tmpfs", "-o", "size=4g", "tmpfs", folder)
        self.context = folder / "context"
        self._copy_context()

    def _copy_context(self) -> None:
        self.context.mkdir()
        for name in let_through():
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name, self.context / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(ROOT / name, self.context / name)

    def root(self, name: str) -> Path:
        made = {part: self.folder / f"{name or 'last'}-{part}" for part in ("up", "work", "root")}
        for path in made.values():
            path.mkdir()
        options = f"lowerdir=/,upperdir={made['up']},workdir={made['work']}"
        run("mount", "-t", "overlay", "overlay", "-o", options, made["root"])
        run("mount", "-t", "proc", "proc", made["root"] / "proc")
        run("mount", "--rbind", "/dev", made["root"] / "dev")
        self._play_base_image(made["root"])
        return made["root"]

    def _play_base_image(self, root: Path) -> None:
        """Python under /usr/local, as in the slim images; this one's, without what was installed into it."""
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        base, local = Path(sys.base_prefix), root / "usr/local"
        shutil.rmtree(local / "lib" / version, ignore_errors=True)
        unneeded = shutil.ignore_patterns("site-packages", "dist-packages", "test", "__pycache__", "config-*")
        shutil.copytree(base / "lib" / version, local / "lib" / version, ignore=unneeded)
        for library in (base / "lib").glob("libpython*.so*"):
            shutil.copy(library, local / "lib")
        for name in ("python", "python3", version):
            (local / "bin" / name).unlink(missing_ok=True)
        shutil.copy(base / "bin" / version, local / "bin" / version)
        for name in ("python", "python3"):
            (local / "bin" / name).symlink_to(version)
        run("chroot", root, "/sbin/ldconfig")


def build(layers: Layers) -> tuple[Stage, Path]:
    """Every stage in order; returns the last and its root."""
    roots: dict[str, Path] = {}
    found = stages()
    for stage in found:
        root = roots[stage.name] = layers.root(stage.name)
        place = Path("/")
        for word, told in stage.steps:
            began = time.monotonic()
            if word == "WORKDIR":
                place = Path(told)
                (root / place.relative_to("/")).mkdir(parents=True, exist_ok=True)
            elif word == "RUN":
                _run_line(root, place, told)
            elif word == "COPY":
                _copy(layers, roots, root, place, told)
            else:
                continue
            print(f"{time.monotonic() - began:7.1f} s  {word} {told[:90]}", flush=True)
    return found[-1], roots[found[-1].name]


def _run_line(root: Path, place: Path, line: str) -> None:
    index = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environ = {"PATH": SYSTEM_PATH, "HOME": "/root", **index}
    run("chroot", root, "/bin/sh", "-ec", f"cd {shlex.quote(str(place))}\n{line}", env=environ)


def _copy(layers: Layers, roots: dict[str, Path], root: Path, place: Path, told: str) -> None:
    words = told.split()
    source = layers.context
    if words[0].startswith("--from="):
        source = roots[words.pop(0).removeprefix("--from=")]
    *names, target = words
    goal = root / (place / target).relative_to("/")
    for name in names:
        one = source / name.lstrip("/")
        if one.is_dir():
            shutil.copytree(one, goal, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(one, goal / one.name if goal.is_dir() else goal)


def start(stage: Stage, root: Path) -> None:
    """Run the image: version, daemon, health check, end."""
    run("mount", "-o", "remount,ro", root)
    run("mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "tmpfs", root / "tmp")
    run(
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size=256m,uid={IDENTITY},gid={IDENTITY},mode=0750",
        "tmpfs",
        root / "data",
    )
    user = stage.last("USER")
    within = ["chroot", f"--userspec={user}", "--groups=", str(root), "/usr/bin/env", "-i"]
    within += [f"{name}={value}" for name, value in stage.environment().items()]
    within += ["/bin/sh", "-ec", f'cd {stage.last("WORKDIR")}; exec "$@"', "sh"]
    entry = stage.command("ENTRYPOINT")
    run(*within, *entry, "--version")
    refused = subprocess.run(
        [*within, "/bin/sh", "-c", "touch /opt/speedup/x /etc/x"], capture_output=True, check=False
    )
    assert refused.returncode != 0, "the root can be written to"
    daemon = subprocess.Popen([*within, *entry, *stage.command("CMD")])
    try:
        began = time.monotonic()
        while (code := subprocess.run([*within, *stage.health()], check=False).returncode) != 0:
            assert daemon.poll() is None, f"it ended with {daemon.returncode}"
            assert time.monotonic() - began < 60, "it is not well after a minute"
            time.sleep(1)
        print(f"well after {time.monotonic() - began:.1f} s (HEALTHCHECK says {code})")
        began = time.monotonic()
        daemon.terminate()
        assert daemon.wait(20) == 0, daemon.returncode
        print(f"SIGTERM: exit 0 after {time.monotonic() - began:.1f} s")
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait(10)
    code = subprocess.run([*within, *stage.health()], check=False).returncode
    assert code == 1, f"the HEALTHCHECK says {code} of a daemon that ended"
    run(*within, *entry, "db", "check")
    written = sorted(path.name for path in (root / "data").iterdir())
    print(f"written: {', '.join(f'/data/{name}' for name in written)}")


def again(*arguments: str, space: str) -> int:
    """This program once more, in a namespace of its own."""
    command = ["unshare", space, "--", sys.executable, "-m", "tests.deploy.image", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def main() -> int:
    if not sys.argv[1:]:
        if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
            sys.exit("this needs root on Linux, and util-linux and iproute2, for namespaces and overlayfs")
        return again("build", space="--mount")
    if sys.argv[1] == "build":
        with tempfile.TemporaryDirectory(prefix="speedup-image-") as folder:
            try:
                _, root = build(Layers(Path(folder)))
                code = again("start", str(root), space="--net")
            finally:
                run("umount", "--lazy", folder)
        return code
    run("ip", "link", "set", "lo", "up")
    start(stages()[-1], Path(sys.argv[2]))
    print("the image's steps work")
    return 0


if __name__ == "__main__":
    sys.exit(main())
