"""What Redoubt keeps in an engine's directory, of whatever kind the engine is: files in the folder `redoubt`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OwnFiles:
    """The paths of those files in an engine's directory, which is `path`."""

    path: Path

    @property
    def ours(self) -> Path:
        """The folder of what Redoubt keeps in this directory."""
        return self.path / "redoubt"

    @property
    def account(self) -> Path:
        """The file with the password of the service's account on this engine."""
        return self.ours / "account"

    @property
    def source_id(self) -> Path:
        """The file with the id that tells this engine's log from every other's."""
        return self.ours / "source_id"

    @property
    def restoring(self) -> Path:
        """How far a restore into this directory is; there while it is under way."""
        return self.ours / "restoring"

    @property
    def restored_from(self) -> Path:
        """What this directory was restored from, once it is complete."""
        return self.ours / "restored_from"
