"""Whether a destination works and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.archive.layout import ClusterPath, PieceInfo
from redoubt.archive.store import PieceStore, exists
from redoubt.control.cluster import Cluster
from redoubt.control.rounds.claims import check_new, check_place, check_second, claim, claim_second, works
from redoubt.destinations.file import FileDestination
from redoubt.model.pieces import PieceKey
from redoubt.sql.errors import SqlError

OURS, OTHERS = Cluster("c", 1, "ours"), Cluster("c", 1, "others")


def test_a_destination_is_claimed_once_and_stays_ours(tmp_path: Path) -> None:
    """Another cluster of the same name and number is refused; what holds our archive is no new destination."""
    uri = f"file://{tmp_path}"
    check_new(OURS, uri, is_known=False)
    claim(OURS, uri, [1001], PieceKey(1), is_known=False)
    claim(OURS, uri, [1001], PieceKey(2), is_known=True)

    with pytest.raises(SqlError, match="archive of another cluster") as refused:
        claim(OTHERS, uri, [1001], PieceKey(1), is_known=False)
    assert refused.value.code == 9026
    with pytest.raises(SqlError, match="already holds a log archive"):
        check_new(OURS, uri, is_known=False)


def test_what_is_in_the_way_of_a_round_is_not_touched(tmp_path: Path) -> None:
    """Somebody else's files in the round's folder."""
    folder = tmp_path / ClusterPath("c", 1).piece(1001, PieceKey(3)).folder
    folder.mkdir(parents=True)
    (folder / "something").write_text("kept")

    with pytest.raises(SqlError, match=r"is not empty; choose an empty place"):
        claim(OURS, f"file://{tmp_path}", [1001], PieceKey(3), is_known=False)
    claim(OURS, f"file://{tmp_path}", [1001], PieceKey(4), is_known=False)
    assert (folder / "something").read_text() == "kept"


def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """It may be anybody's."""
    info = tmp_path / ClusterPath("c", 1).info
    info.parent.mkdir(parents=True)
    info.write_text("nonsense")

    with pytest.raises(SqlError) as refused:
        claim(OURS, f"file://{tmp_path}", [1001], PieceKey(1), is_known=False)
    assert refused.value.code == 9026


def test_a_destination_that_does_not_work(tmp_path: Path) -> None:
    """The cause is told, as error 9026."""
    (tmp_path / "file").touch()
    for uri in (f"file://{tmp_path}/file", "nonsense"):
        assert not works(uri)
        with pytest.raises(SqlError) as refused:
            check_new(OURS, uri, is_known=False)
        assert refused.value.code == 9026
        with pytest.raises(SqlError) as refused:
            claim(OURS, uri, [1001], PieceKey(1), is_known=False)
        assert refused.value.code == 9026
    assert works(f"file://{tmp_path}")


def test_an_empty_mount_point_is_no_new_destination(tmp_path: Path) -> None:
    """Where the cluster has archived before, its claim is found and never made; the message says both ways out."""
    uri = f"file://{tmp_path}/"
    with pytest.raises(SqlError) as of_set:
        check_new(OURS, uri, is_known=True)
    with pytest.raises(SqlError) as of_round:
        claim(OURS, uri, [1001], PieceKey(2), is_known=True)

    for refused in (of_set.value, of_round.value):
        assert refused.code == 9026
        assert "mount the backup disk again; or, if that archive is lost" in refused.message
        assert f"such as file://{tmp_path}/2" in refused.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("identity", "is_ours"), [(OURS.identity, True), ("another", False)])
def test_a_removed_claim_is_written_again_where_the_log_is_ours(
    tmp_path: Path, identity: str, *, is_ours: bool
) -> None:
    """The disk is mounted, and a piece says whose it is."""
    uri, path = f"file://{tmp_path}", ClusterPath(OURS.name, OURS.cluster_id)
    claim(OURS, uri, [1001], PieceKey(1), is_known=False)
    before = FileDestination(tmp_path).get(path.info)
    PieceStore(FileDestination(tmp_path), path.piece(1001, PieceKey(1))).claim(
        PieceInfo(identity, 1001, "main", "engine", 1, 0, 0, 1)
    )
    FileDestination(tmp_path).delete(path.info)
    if is_ours:
        claim(OURS, uri, [1001], PieceKey(2), is_known=True)
        assert FileDestination(tmp_path).get(path.info) == before
    else:
        with pytest.raises(SqlError, match="nothing of that is there now"):
            claim(OURS, uri, [1001], PieceKey(2), is_known=True)


def test_the_archive_lies_in_nobody_elses_directory(tmp_path: Path) -> None:
    """Nor behind a link, nor where the cluster's own folder would fall into it; beside it is well."""
    home = tmp_path / "c"
    (home / "tenants").mkdir(parents=True)
    (tmp_path / "link").symlink_to(home / "tenants")
    taken = {"the home of this service": home}

    for place in (home, home / "new" / "backup", tmp_path / "link", tmp_path, home / ".." / "c"):
        with pytest.raises(SqlError, match="is inside the home of this service") as refused:
            check_place(OURS, f"file://{place}", taken)
        assert refused.value.code == 9026
    for root in ("/", "//", "/.."):
        with pytest.raises(SqlError, match="the root of the file system"):
            check_place(OURS, f"file://{root}", taken)
    with pytest.raises(SqlError, match="three slashes"):
        check_place(OURS, "file://backup", taken)
    check_place(OURS, f"file://{tmp_path}/backup", taken)
    check_place(OURS, f"file://{home}2", taken)


def test_a_destination_for_copies_says_so(tmp_path: Path) -> None:
    """Unless somebody's archive was there before. It stays ours, and an empty mount point is not claimed again."""
    uri, there, path = f"file://{tmp_path}", FileDestination(tmp_path), ClusterPath("c", 1)
    check_second(OURS, uri)
    claim_second(OURS, uri, is_known=False)
    assert there.get(path.copies, 0, 9999) == there.get(path.info, 0, 9999)
    check_second(OURS, uri)
    claim_second(OURS, uri, is_known=True)
    with pytest.raises(SqlError, match="archive of another cluster"):
        check_second(OTHERS, uri)
    with pytest.raises(SqlError, match="archive of another cluster"):
        claim_second(OTHERS, uri, is_known=False)
    there.delete(path.info)
    with pytest.raises(SqlError, match="nothing of that is there now"):
        claim_second(OURS, uri, is_known=True)
    (tmp_path / "former").mkdir()
    former = f"file://{tmp_path}/former"
    claim(OURS, former, [1001], PieceKey(1), is_known=False)
    claim_second(OURS, former, is_known=False)
    assert not exists(FileDestination(tmp_path / "former"), path.copies)
    (tmp_path / "file").touch()
    with pytest.raises(SqlError):
        check_second(OURS, f"{uri}/file")
    with pytest.raises(SqlError):
        claim_second(OURS, f"{uri}/file", is_known=False)
