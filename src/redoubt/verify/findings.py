"""What verifying found: damage, and what is merely worth knowing; of single objects, of tenants, of a destination."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from redoubt.archive.inventory import TenantPath
from redoubt.model.damage import Holding, Loss, Span
from redoubt.model.recovery import Window


@dataclass(frozen=True)
class Finding:
    """Something about the object or folder `name`. `losses` are what a restore cannot use because of it.

    What is no damage is a note. `is_cost_known` is False where what was lost is not known any more. `cost` are the
    moments that are lost, which `TenantReport.of` works out.
    """

    name: str
    problem: str
    losses: tuple[Loss, ...] = ()
    is_damage: bool = True
    is_cost_known: bool = True
    cost: tuple[Span, ...] = ()


def note(name: str, text: str) -> Finding:
    """Something that is no damage."""
    return Finding(name, text, is_damage=False)


@dataclass(frozen=True)
class TenantReport:
    """A tenant: what was found, the windows that there would be without damage, and those that there are."""

    tenant: TenantPath
    findings: tuple[Finding, ...]
    windows_if_sound: tuple[Window, ...]
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, tenant: TenantPath, findings: list[Finding], holding: Holding) -> TenantReport:
        """The report, with each finding's cost worked out."""
        costed = tuple(replace(each, cost=tuple(holding.cost(each.losses))) for each in findings)
        losses = [loss for each in findings for loss in each.losses]
        return cls(tenant, costed, tuple(holding.windows()), tuple(holding.windows(losses)))


@dataclass
class Tally:
    """How much was read, and how much was passed over because it had been verified; bytes as stored, and of log.

    `oldest` is the moment (ns since the epoch, 0 for none) at which the oldest of those passed over was last read.
    """

    objects_read: int = 0
    objects_skipped: int = 0
    stored_bytes: int = 0
    log_bytes: int = 0
    oldest: int = 0


@dataclass(frozen=True)
class Report:
    """A whole destination. `findings` are those that are no tenant's."""

    findings: tuple[Finding, ...]
    tenants: tuple[TenantReport, ...]
    tally: Tally = field(default_factory=Tally)

    @property
    def all_findings(self) -> list[Finding]:
        """Everything that was found."""
        return [*self.findings, *(each for tenant in self.tenants for each in tenant.findings)]

    @property
    def damage(self) -> list[Finding]:
        """What is damaged."""
        return [each for each in self.all_findings if each.is_damage]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is."""
        return not self.damage
