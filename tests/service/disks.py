"""Disks for tests that stall."""

from __future__ import annotations

import contextlib
import shutil
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


class SmallDisk:
    """A file system in memory of so many bytes."""

    def __init__(self, folder: Path, size: int) -> None:
        self.path = folder / "small"
        self.path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.path)], check=True)

    def used(self) -> int:
        """Bytes that are taken."""
        return shutil.disk_usage(self.path).used

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)


class SharingDisk:
    """An XFS in a file, mounted: files can be copied by sharing their blocks."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sharing"
        self.path.mkdir()
        image = folder / "sharing.img"
        with image.open("wb") as file:
            file.truncate(8 * 1024**3)  # sparse; the engine asks for room for its log
        subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.path)], check=True)

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "-l", str(self.path)], check=True)
