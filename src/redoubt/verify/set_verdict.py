"""Verifies one data backup: claim, manifest, and every part."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from redoubt.archive.folder_keys import wrapped_key_in
from redoubt.archive.part import PartHeader
from redoubt.archive.record import RecordError, load_record, unseal
from redoubt.archive.set_layout import SetInfo, SetPath, part_name
from redoubt.archive.set_manifest import SetManifest, load_set_manifest
from redoubt.model.bases import Base, SetKey
from redoubt.model.damage import Loss
from redoubt.verify.checking import Checked, Checker, lost_key
from redoubt.verify.findings import Finding, note
from redoubt.verify.piece_verdict import NOT_OURS, Owner

_MOST_NAMED = 100
"""The most parts of a set that are named one by one: a manifest may list any number of parts."""


@dataclass(frozen=True)
class SetVerdict:
    """The verdict on a set; `base` is its base for a restore, None if the set is not complete or is unreadable."""

    findings: tuple[Finding, ...]
    base: Base | None = None


def judge_set(checker: Checker, owner: Owner, key: SetKey, path: SetPath) -> SetVerdict:
    """Read a set and judge it. Raises DestinationError."""
    return _Set(checker, owner, key, path).judge()


class _Set:
    def __init__(self, checker: Checker, owner: Owner, key: SetKey, path: SetPath) -> None:
        self._checker = checker
        self._owner = owner
        self._key = key
        self._path = path
        self._lost = (Loss(of_set=key),)
        self._findings: list[Finding] = []

    def judge(self) -> SetVerdict:
        listed = {each.name: each.size for each in self._checker.destination.list(self._path.folder)}
        remarks = {name for name in listed if self._path.is_remark(name) or wrapped_key_in(name)}
        for name in sorted(remarks):
            self._judge_sealed(name)
        if self._path.deletion in listed:
            self._judge_sealed(self._path.deletion)
            return SetVerdict(tuple(self._findings))
        before = self._checker.verified.last_seen(self._path.folder)
        if not listed and not before:
            return SetVerdict(())
        info, manifest = self._claim(), self._manifest()
        known = {self._path.info, self._path.manifest, *remarks}
        if manifest is not None:
            known |= {self._path.part(part.number) for part in manifest.parts}
            self._judge_manifest(manifest, info)
            self._findings += self._parts(manifest, listed)
            self._findings += self._data_key(manifest)
        else:
            known |= {name for name in listed if name.rpartition("/")[2].startswith("part_")}
            if self._path.manifest not in listed:
                self._judge_unfinished(was_complete="single_backup_set_info" in before)
        self._findings += [
            note(name, "unrecognized object: the manifest does not list it") for name in sorted(set(listed) - known)
        ]
        return SetVerdict(tuple(self._findings), manifest.summary.base if manifest else None)

    def _judge_sealed(self, name: str) -> None:
        """Check only the seal of an object that records a deletion or a remark."""
        try:
            self._checker.info(name, unseal)
        except RecordError as error:
            self._findings.append(Finding(name, str(error)))

    def _judge_unfinished(self, *, was_complete: bool) -> None:
        if was_complete:
            text = "missing: it was present when the set was last verified"
            self._findings.append(Finding(self._path.manifest, text, self._lost, is_cost_known=False))
        else:
            self._findings.append(note(self._path.folder, "the data backup is incomplete: still running, or abandoned"))

    def _claim(self) -> SetInfo | None:
        """The claim. A restore does not need the claim."""
        try:
            info = self._checker.info(self._path.info, lambda text: load_record(SetInfo, text))
        except RecordError as error:
            self._findings.append(Finding(self._path.info, str(error)))
            return None
        if info is None:
            self._findings.append(Finding(self._path.info, "missing: the owner of this data is unknown"))
            return None
        owner, key = self._owner, self._key
        place = (owner.cluster.cluster, owner.cluster.cluster_id, owner.tenant_id, key.set_id, key.create_date)
        said = info.of
        if (said.cluster, said.cluster_id, said.tenant_id, said.set_id, said.create_date) != place:
            self._findings.append(
                Finding(self._path.info, f"it names set {said.set_id} of tenant {said.tenant_id} of {said.cluster}")
            )
        elif owner.identity is not None and said.identity != owner.identity:
            self._findings.append(Finding(self._path.info, NOT_OURS))
        return info

    def _manifest(self) -> SetManifest | None:
        try:
            return self._checker.info(self._path.manifest, load_set_manifest)
        except RecordError as error:
            self._findings.append(Finding(self._path.manifest, str(error), self._lost, is_cost_known=False))
            return None

    def _judge_manifest(self, manifest: SetManifest, info: SetInfo | None) -> None:
        """Compare the manifest with its place and the claim, and its files with its parts."""
        of, owner, key = manifest.summary.of, self._owner, self._key
        place = (owner.cluster.cluster, owner.cluster.cluster_id, owner.tenant_id, key.set_id, key.create_date)
        said = (of.cluster, of.cluster_id, of.tenant_id, of.set_id, of.create_date)
        if said != place:
            text = f"it names set {of.set_id} of tenant {of.tenant_id} of {of.cluster}"
            self._findings.append(Finding(self._path.manifest, text, self._lost))
        elif info and (of.identity, of.source) != (info.of.identity, info.of.source):
            text = f"its owner does not match {self._path.info}"
            self._findings.append(Finding(self._path.manifest, text, self._lost))

    def _data_key(self, manifest: SetManifest) -> Iterator[Finding]:
        """The loss of the key that the parts are encrypted with."""
        data_key = manifest.summary.data_key
        if data_key and (problem := lost_key(self._checker.keys(self._path.folder), data_key)):
            yield Finding(self._path.folder, problem, self._lost)

    def _parts(self, manifest: SetManifest, listed: Container[str]) -> Iterator[Finding]:
        of = manifest.summary.of

        def is_ours(header: PartHeader) -> bool:
            said = (header.cluster, header.cluster_id, header.tenant_id, header.source, header.set_id)
            ours = (of.cluster, of.cluster_id, of.tenant_id, of.source, of.set_id)
            return said == ours

        named = [(self._path.part(part.number), part) for part in manifest.parts]
        wanted = [(name, part) for name, part in named if name in listed]
        found = self._checker.parts(self._path.folder, wanted, is_ours)
        looks = ((part.number, found.get(part.number)) for part in manifest.parts)
        bad = [(number, checked) for number, checked in looks if checked is None or checked.problem]
        for number, checked in bad[:_MOST_NAMED]:
            yield Finding(self._path.part(number), checked.problem if checked else "missing", self._lost)
        if more := len(bad[_MOST_NAMED:]):
            yield Finding(self._path.folder, f"{more} more parts are missing or damaged", self._lost)
        yield from self._extents(manifest, found)

    def _extents(self, manifest: SetManifest, found: dict[int, Checked]) -> Iterator[Finding]:
        """Files whose data the manifest places outside the parts."""
        numbers = {part.number for part in manifest.parts}
        for file in manifest.files:
            for extent in file.extents:
                checked = found.get(extent.part)
                is_outside = checked and not checked.problem and extent.part_offset + extent.length > checked.content
                if extent.part not in numbers or is_outside:
                    text = f"it places data of {file.path} outside {part_name(extent.part)}"
                    yield Finding(self._path.manifest, text, self._lost)
                    return
