"""Disks for tests that stall."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


class StallingDisk:
    """An ext4 in a file, mounted; while it is frozen, whoever writes to it waits in the kernel and cannot be killed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stalling"
        self.path.mkdir()
        image = folder / "stalling.img"
        with image.open("wb") as file:
            file.truncate(256 * 1024 * 1024)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.path)], check=True)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Give no answer to a write while the block runs."""
        subprocess.run(["fsfreeze", "--freeze", str(self.path)], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", str(self.path)], check=True)

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)
