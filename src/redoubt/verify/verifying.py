"""Verifies a destination: every object of every cluster and tenant, alone and against the others. Only reads.

Verification may run while rounds are archived, merged, frozen and deleted. A piece that seems damaged is looked at
again; damage that is seen twice is reported. The newest piece is looked at first, so that the end of a piece is seen
after the start of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from redoubt.archive.inventory import TenantPath, clusters, tenant_ids, tenants
from redoubt.archive.layout import INCARNATION, ClusterInfo, ClusterPath
from redoubt.archive.record import RecordError, load_record
from redoubt.archive.set_layout import data_folder, set_path
from redoubt.archive.store import exists
from redoubt.model.bases import SetKey
from redoubt.model.damage import Holding
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun
from redoubt.verify.checking import Checker
from redoubt.verify.findings import Finding, Report, TenantReport, note
from redoubt.verify.piece_chain import judge_chain
from redoubt.verify.piece_look import PieceEyes
from redoubt.verify.piece_verdict import NOT_OURS, Owner, PieceVerdict, judge
from redoubt.verify.set_verdict import SetVerdict, judge_set

_LOOKS = 10
"""The most looks at a piece or set that changes each time; then the last look counts."""
_Verdict = TypeVar("_Verdict", PieceVerdict, SetVerdict)


class Verifier:
    """Verifies the destination of `checker`. `wanted` is the name or id of the only tenant to verify, None for all."""

    def __init__(self, checker: Checker, wanted: str | None = None) -> None:
        self._checker = checker
        self._destination = checker.destination
        self._wanted = wanted

    def run(self) -> Report:
        """Verify. Raises DestinationError if the destination does not answer."""
        found = list(clusters(self._destination))
        findings = list(self._strangers("", {path.cluster for path in found}))
        reports = list[TenantReport]()
        for name in sorted({path.cluster for path in found}):
            numbers = {str(path.cluster_id) for path in found if path.cluster == name}
            findings += self._strangers(name, numbers)
        for path in found:
            identity, problems = self._cluster(path)
            findings += problems
            is_copy = exists(self._destination, path.copies)
            there = [each for each in tenants(self._destination, path) if self._is_wanted(each)]
            reports += [self._tenant(each, identity, is_copy=is_copy) for each in there]
        return Report(tuple(findings), tuple(reports), self._checker.tally)

    def _cluster(self, path: ClusterPath) -> tuple[str | None, list[Finding]]:
        """The cluster's identity, and the findings about its info object. A restore does not need the object."""
        folder = f"{path.cluster}/{path.cluster_id}"
        findings = list(self._strangers(folder, {f"incarnation_{INCARNATION}"}))
        ours = tenant_ids(self._destination, path)
        findings += self._strangers(str(path), set(map(str, ours)), {path.info, path.copies})
        try:
            info = self._checker.info(path.info, lambda text: load_record(ClusterInfo, text))
        except RecordError as error:
            return None, [*findings, Finding(path.info, str(error))]
        if info is None:
            is_needed = any(True for each in ours for _ in self._destination.folders(path.clog(each)))
            if is_needed or path.info.rpartition("/")[2] in self._checker.verified.last_seen(str(path)):
                findings.append(Finding(path.info, "missing: the cluster that archives here is unknown"))
            return None, findings
        if (info.cluster, info.cluster_id) != (path.cluster, path.cluster_id):
            return None, [*findings, Finding(path.info, f"it names {info.cluster}#{info.cluster_id}: {NOT_OURS}")]
        return info.identity, findings

    def _tenant(self, tenant: TenantPath, identity: str | None, *, is_copy: bool) -> TenantReport:
        path, tenant_id = tenant.cluster, tenant.tenant_id
        owner = Owner(path, identity, tenant_id)
        clog, data = path.clog(tenant_id), data_folder(path, tenant_id)
        keys = {key for name in self._destination.folders(clog) if (key := PieceKey.parse(name))}
        set_keys = {each for name in self._destination.folders(data) if (each := SetKey.parse(name))}
        findings = [
            *self._strangers(f"{path}/{tenant_id}", {"clog", "data"}),
            *self._strangers(clog, set(map(str, keys))),
        ]
        findings += self._strangers(data, set(map(str, set_keys)))
        verdicts = [self._piece(owner, key) for key in sorted(keys, reverse=True)][::-1]
        broken, missing = judge_chain(verdicts, is_copy=is_copy)
        sets = [self._set(owner, key) for key in sorted(set_keys)]
        findings += [each for verdict in verdicts for each in verdict.findings] + broken
        findings += [each for verdict in sets for each in verdict.findings]
        links: list[LogRun] = [link for verdict in verdicts for link in verdict.links] + missing
        holding = Holding(tuple(each.base for each in sets if each.base), tuple(links))
        return TenantReport.of(tenant, findings, holding)

    def _piece(self, owner: Owner, key: PieceKey) -> PieceVerdict:
        eyes = PieceEyes(self._checker, key, owner.cluster.piece(owner.tenant_id, key))
        verdict = _settled(lambda: judge(owner, eyes.look()))
        eyes.settle(verdict.look)
        return verdict

    def _set(self, owner: Owner, key: SetKey) -> SetVerdict:
        path = set_path(owner.cluster, owner.tenant_id, key)
        return _settled(lambda: judge_set(self._checker, owner, key, path))

    def _is_wanted(self, tenant: TenantPath) -> bool:
        return self._wanted is None or tenant.is_called(self._wanted)

    def _strangers(self, folder: str, ours: set[str], objects: set[str] | None = None) -> Iterator[Finding]:
        """Unrecognized folders and objects in a folder."""
        for name in self._destination.folders(folder):
            if name not in ours:
                yield note(f"{folder}/{name}".lstrip("/"), "unrecognized folder")
        for each in self._destination.list(folder):
            if each.name not in (objects or set()):
                yield note(each.name, "unrecognized object")


def _settled(look: Callable[[], _Verdict]) -> _Verdict:
    """The first verdict without damage, or one that comes twice: a merge or a deletion may be running meanwhile."""
    verdict = look()
    for _ in range(_LOOKS):
        if not any(each.is_damage for each in verdict.findings):
            break
        before, verdict = verdict, look()
        if verdict.findings == before.findings:
            break
    return verdict
