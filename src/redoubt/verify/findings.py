"""The findings of a verification: damage and notes, for objects, tenants and the whole destination."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from redoubt.archive.inventory import TenantPath
from redoubt.model.damage import Holding, Loss, Span
from redoubt.model.recovery import Window
from redoubt.printable import printable


@dataclass(frozen=True)
class Finding:
    """A finding about the object or folder `name`. `losses` are the data that a restore cannot use because of it.

    A finding that is not damage is a note. `is_cost_known` is False if the lost data is unknown. `cost` are the lost
    moments; `TenantReport.of` computes them.
    """

    name: str
    problem: str
    losses: tuple[Loss, ...] = ()
    is_damage: bool = True
    is_cost_known: bool = True
    cost: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        """Make the texts printable: they quote the destination."""
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "problem", printable(self.problem))


def note(name: str, text: str) -> Finding:
    """A finding that is not damage."""
    return Finding(name, text, is_damage=False)


@dataclass(frozen=True)
class TenantReport:
    """A tenant: its findings, its windows as they would be without damage, and its actual windows."""

    tenant: TenantPath
    findings: tuple[Finding, ...]
    windows_if_sound: tuple[Window, ...]
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, tenant: TenantPath, findings: list[Finding], holding: Holding) -> TenantReport:
        """The report, with the cost of each finding computed."""
        costed = tuple(replace(each, cost=tuple(holding.cost(each.losses))) for each in findings)
        losses = [loss for each in findings for loss in each.losses]
        return cls(tenant, costed, tuple(holding.windows()), tuple(holding.windows(losses)))


@dataclass
class Tally:
    """The number of objects read, and of objects skipped as verified; bytes as stored, and bytes of log.

    `objects_opaque` were read, but could not be decrypted, because their key is not at hand. `oldest` is the earliest
    moment (ns since the epoch, 0 for none) at which a skipped object was last read.
    """

    objects_read: int = 0
    objects_skipped: int = 0
    objects_opaque: int = 0
    stored_bytes: int = 0
    log_bytes: int = 0
    oldest: int = 0


@dataclass(frozen=True)
class Report:
    """The report on a destination. `findings` are those that belong to no tenant."""

    findings: tuple[Finding, ...]
    tenants: tuple[TenantReport, ...]
    tally: Tally = field(default_factory=Tally)

    @property
    def all_findings(self) -> list[Finding]:
        """All findings, those of the tenants included."""
        return [*self.findings, *(each for tenant in self.tenants for each in tenant.findings)]

    @property
    def damage(self) -> list[Finding]:
        """The findings that are damage."""
        return [each for each in self.all_findings if each.is_damage]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damage
