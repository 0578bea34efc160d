"""A real S3 server for tests: Ceph's RADOS gateway with a cluster of one monitor and one disk in memory.

It checks signatures, digests and preconditions. All of it listens on loopback, on ports that were free, and ends with
the process that started it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

ACCESS_ID, ACCESS_KEY = "REDOUBTTEST", "a-secret/with+signs"
_PATIENCE = 120.0
_OWN = "client.admin"
_CONFIGURATION = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{monitor}/0
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
osd objectstore = memstore
memstore device bytes = 4294967296
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
pid file =
mon data = {folder}/mon
osd data = {folder}/osd
rgw frontends = beast endpoint=127.0.0.1:{port}
"""


class Rgw:
    """The server; `folder` must be new, and its path short for sockets' sake."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._gateway: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self) -> None:
        """Make the cluster and start it; 15 s."""
        (self._folder / "mon").mkdir(parents=True)
        (self._folder / "osd").mkdir()
        fsid, disk, monitor, self.port = str(uuid.uuid4()), str(uuid.uuid4()), _free_port(), _free_port()
        self._configuration.write_text(
            _CONFIGURATION.format(fsid=fsid, monitor=monitor, port=self.port, folder=self._folder)
        )
        keyring, plan = str(self._folder / "keyring"), str(self._folder / "monmap")
        self._run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        everything = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
        self._run("ceph-authtool", keyring, "--gen-key", "-n", _OWN, *everything)
        self._run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{monitor}]", "--fsid", fsid, plan)
        self._run("ceph-mon", "-i", "a", "--mkfs", "--monmap", plan, "--keyring", keyring)
        self._processes.append(self._begin("ceph-mon", "-i", "a", "-f"))
        self._run("ceph", "osd", "new", disk)
        self._run("ceph-authtool", keyring, "--gen-key", "-n", "osd.0")
        self._run("ceph", "auth", "add", "osd.0", "mon", "allow profile osd", "osd", "allow *", "-i", keyring)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._processes.append(self._begin("ceph-osd", "-i", "0", "-f"))
        self.start_gateway()
        keys = ("--access-key", ACCESS_ID, "--secret-key", ACCESS_KEY)
        self._run("radosgw-admin", "user", "create", "--uid", "tests", "--display-name", "tests", *keys)

    def start_gateway(self) -> None:
        """Start the S3 server itself; what it stored is there."""
        self._gateway = self._begin("radosgw", "-n", _OWN, "-f")
        deadline = time.monotonic() + _PATIENCE
        while not self._answers():
            assert time.monotonic() < deadline, "the S3 server does not answer"
            assert self._gateway.poll() is None, "the S3 server has ended"
            time.sleep(0.1)

    def stop_gateway(self) -> None:
        """Kill the S3 server; its cluster stays."""
        assert self._gateway is not None
        self._gateway.kill()
        self._gateway.wait()

    def make_bucket(self, name: str) -> None:
        """Make a bucket. Our client makes none, so the request is signed by curl."""
        self._put(name)

    def keep_versions(self, name: str) -> None:
        """Turn a bucket's versioning on."""
        self._put(
            f"{name}?versioning=",
            '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status>'
            "</VersioningConfiguration>",
        )

    def _put(self, name: str, body: str = "") -> None:
        signed = ["--aws-sigv4", "aws:amz:us-east-1:s3", "--user", f"{ACCESS_ID}:{ACCESS_KEY}"]
        digest = f"x-amz-content-sha256: {hashlib.sha256(body.encode()).hexdigest()}"
        request = ["-X", "PUT", "-H", digest, "--data-binary", body, f"http://127.0.0.1:{self.port}/{name}"]
        subprocess.run(["curl", "--silent", "--fail", *signed, *request], check=True, capture_output=True)

    def uri(self, bucket: str, folder: str = "", port: int = 0) -> str:
        """The URI without keys of a folder in a bucket; through another port, if there is a proxy."""
        path = f"{bucket}/{folder}".rstrip("/")
        return f"s3://{path}?host=http://127.0.0.1:{port or self.port}&addressing_model=path_style"

    def requests(self) -> list[str]:
        """Method and status of every request so far."""
        lines = (self._folder / f"{_OWN}.log").read_text(errors="replace").splitlines()
        return [line.split('"')[1].split()[0] + line.split('"')[2].split()[0] for line in lines if "beast: 0x" in line]

    def close(self) -> None:
        """End everything, and remove it."""
        for process in (*([self._gateway] if self._gateway else []), *reversed(self._processes)):
            process.kill()
            process.wait()
        shutil.rmtree(self._folder)

    @property
    def _configuration(self) -> Path:
        return self._folder / "ceph.conf"

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | {"CEPH_CONF": str(self._configuration)}

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
        assert done.returncode == 0, (command, done.stderr)

    def _begin(self, *command: str) -> subprocess.Popen[bytes]:
        # A run of tests that is killed leaves no server.
        with (self._folder / f"{command[0]}.out").open("ab") as out:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command], env=self._environment, stdout=out, stderr=out
            )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5):
                return True
        except OSError:
            return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
