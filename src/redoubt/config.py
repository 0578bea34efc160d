"""The configuration file (TOML), checked. `docs/CONFIGURATION.md` describes it; every value has a default."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from redoubt.archive.master_keys import SOURCE
from redoubt.errors import RedoubtError

_ABSOLUTE_PATH = r"^/[^\x00]*$"
_SIZE = r"^[0-9]+[KMGT]$"


class ConfigError(RedoubtError):
    """The configuration file cannot be read or is not valid; the text names the file, the place and the cause."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ClusterSection(_Section):
    """`[cluster]`: the name and id of the cluster, which are also in the folder names of its archive."""

    name: str = Field(default="redoubt", pattern=r"^[A-Za-z0-9_\-]{1,64}$")
    id: int = Field(default=1, ge=1, le=2**32 - 1)


class GatewaySection(_Section):
    """`[gateway]`: where clients connect. With `tls_certificate` and `tls_key` (PEM files) clients can use TLS."""

    host: str = "127.0.0.1"
    port: int = Field(default=2881, ge=0, le=65535)
    allow_empty_password: bool = False
    tls_certificate: str | None = Field(default=None, pattern=_ABSOLUTE_PATH)
    tls_key: str | None = Field(default=None, pattern=_ABSOLUTE_PATH)
    require_tls: bool = False

    @model_validator(mode="after")
    def _has_all_of_tls_or_none(self) -> Self:
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both or neither")
        if self.require_tls and self.tls_certificate is None:
            raise ValueError("require_tls needs tls_certificate and tls_key")
        return self


class EngineSection(_Section):
    """`[engine]`: the limits of each embedded engine, in the engine's notation for sizes."""

    memory_budget: str = Field(default="1G", pattern=_SIZE)
    log_disk_size: str = Field(default="2G", pattern=_SIZE)


class ArchiveSection(_Section):
    """`[archive]`: when a segment is sealed: `segment_size` in bytes of log, `segment_age` in seconds.

    `stop_patience`, in seconds: how long NOARCHIVELOG tries to archive the end of the log.
    """

    segment_size: int = Field(default=4 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    segment_age: float = Field(default=1.0, ge=0.05, le=60.0)
    stop_patience: float = Field(default=20.0, ge=1.0, le=3600.0)


class EncryptionSection(_Section):
    """`[encryption]`: where the master keys come from: `file:/path`, `env:NAME`, or `command:program …`."""

    master_key: str | None = Field(default=None, pattern=SOURCE)
    former_master_keys: tuple[Annotated[str, Field(pattern=SOURCE)], ...] = Field(default=(), strict=False)


class MetricsSection(_Section):
    """`[metrics]`: where Prometheus finds the metrics. No port: no metrics are served; port 0: any free port."""

    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65535)


class Config(_Section):
    """The whole file."""

    cluster: ClusterSection = ClusterSection()
    gateway: GatewaySection = GatewaySection()
    engine: EngineSection = EngineSection()
    archive: ArchiveSection = ArchiveSection()
    encryption: EncryptionSection = EncryptionSection()
    metrics: MetricsSection = MetricsSection()


def load_config(path: Path | None) -> Config:
    """The configuration in a file; without a file, the defaults. Raises ConfigError."""
    if path is None:
        return Config()
    try:
        return Config.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path}: {problems}") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: the values are nested too deeply") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
