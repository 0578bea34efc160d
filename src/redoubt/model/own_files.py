"""Redoubt's own files in an engine's directory: the folder `redoubt`, the same for all kinds of engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OwnFiles:
    """The paths of these files; `path` is the engine's directory."""

    path: Path

    @property
    def ours(self) -> Path:
        """The folder of Redoubt's files."""
        return self.path / "redoubt"

    @property
    def account(self) -> Path:
        """The file with the password of the service's account on this engine."""
        return self.ours / "account"

    @property
    def source_id(self) -> Path:
        """The file with the id that distinguishes this engine's log from every other log."""
        return self.ours / "source_id"

    @property
    def restoring(self) -> Path:
        """The file with the progress of a restore into this directory; exists while the restore is incomplete."""
        return self.ours / "restoring"

    @property
    def restored_from(self) -> Path:
        """The file that says what this directory was restored from; exists once the restore is complete."""
        return self.ours / "restored_from"

    @property
    def standby(self) -> Path:
        """The file that exists while the service must not start an engine here that writes log of its own."""
        return self.ours / "standby"

    @property
    def follower(self) -> Path:
        """The unix socket of the command that keeps a standby following; exists while that command runs."""
        return self.ours / "follower.sock"
