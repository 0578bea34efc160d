"""A standby of a real archive: kept laid while log comes, killed, taken over, and refused when it is not one."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest import mock

import pytest

from redoubt.archive.layout import PieceInfo
from redoubt.archive.record import dump_record, load_record
from redoubt.archive.segment import SegmentName, decode_segment, encode_segment
from redoubt.cli.follow import keep_following
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.scratch_seekdb import ScratchSeekdb
from redoubt.model.keeping import EngineSizes
from redoubt.model.scratch_engine import Login
from tests.seekdb.running import short_directory
from tests.service.bank import ACCOUNTS, BALANCE, BankLoad
from tests.service.cluster import ServiceUnderTest, copy_destination, wait_until

from .conftest import take_set, wait_until_archived


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service that archives, with a data backup of a bank.

    Own service: for all tests of the file.
    """
    running = ServiceUnderTest(tmp_path_factory.mktemp("f"))
    running.start()
    try:
        running.archive("optional compression= zstd_1.3.8")
        BankLoad(running).open_accounts()
        take_set(running, 1)
        yield running
    finally:
        running.close()


def _command(service: ServiceUnderTest, to: Path, *options: str) -> list[str]:
    uri = f"file://{service.backup}"
    return [sys.executable, "-m", "redoubt", "follow", uri, "--to", str(to), "--interval", "0.1", *options]


def _follow(service: ServiceUnderTest, to: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(service, to, "--once", *options), capture_output=True, text=True, check=False, timeout=110
    )


def _start(service: ServiceUnderTest, to: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(_command(service, to), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _laid_scn(to: Path) -> int:
    try:
        return int(json.loads((to / "redoubt" / "following").read_text())["laid_scn"])
    except FileNotFoundError:
        return 0


def _is_laid_past(to: Path, scn: int) -> bool:
    return _laid_scn(to) > scn


def _taken_over(to: Path) -> tuple[int, set[str]]:
    """The sum of the balances and the ledger's entries that an engine finds there."""
    engine = ScratchSeekdb(BaseDir(to), EngineSizes())
    try:
        engine.start()
        assert engine.log_in([Login("root", "")]) == "root"
        total, entries = engine.results("SELECT SUM(balance) FROM test.account; SELECT entry FROM test.ledger")
        assert total is not None
        assert entries is not None
        return int(total[0][0]), {row[0] for row in entries}
    finally:
        engine.stop()


def test_a_standby_that_is_killed_and_goes_on_has_every_acknowledged_commit(service: ServiceUnderTest) -> None:
    """Under load, over a new round, killed at moments of chance; then ended in order and taken over."""
    dice = random.Random(5)
    load = BankLoad(service, connections=2)
    with short_directory() as folder:
        to = folder / "standby"
        with load.running():
            for _ in range(3):
                follower = _start(service, to)
                before = _laid_scn(to)
                wait_until("log is laid", partial(_is_laid_past, to, before))
                wait_until("some more", lambda: dice.random() < 0.2)
                follower.send_signal(signal.SIGKILL)
                follower.communicate(timeout=60)
            service.stop_archiving()
            service.archive()
        wait_until_archived(service)
        follower = _start(service, to)
        assert follower.stdout is not None
        service.run("INSERT INTO test.ledger VALUES ('the last')", "root@main")
        now = service.run("SELECT END_SCN FROM oceanbase.V$OB_LOG_STAT", "root@main")[0]["END_SCN"]
        wait_until("all is laid", lambda: _laid_scn(to) >= now)
        second = _follow(service, to)
        follower.terminate()
        said, complained = follower.communicate(timeout=60)
        total, entries = _taken_over(to)
        again = _follow(service, to)

    assert (second.returncode, "another process uses" in second.stderr) == (1, True)
    assert (follower.returncode, complained) == (0, "")
    assert said.startswith("log written up to 2")
    assert "can be opened now" in said
    assert total == ACCOUNTS * BALANCE
    assert {*load.acknowledged, "the last"} <= entries
    assert (again.returncode, "an engine was started in" in again.stderr) == (1, True)


def test_an_application_that_opens_the_standby_waits_until_it_is_let_go(service: ServiceUnderTest) -> None:
    """`pylibseekdb.open` returns when the follower is gone, and finds all that was laid."""
    opening = "import pylibseekdb, sys; pylibseekdb.open(sys.argv[1]); print('open')"
    with short_directory() as folder:
        to = folder / "standby"
        follower = _start(service, to)
        wait_until("log is laid", lambda: _laid_scn(to) > 0 and (to / "run" / "seekdb.clients").exists())
        application = subprocess.Popen([sys.executable, "-c", opening, str(to)], stdout=subprocess.PIPE, text=True)
        moment = _laid_scn(to)
        service.run("INSERT IGNORE INTO test.ledger VALUES ('while it waits')", "root@main")
        wait_until("more is laid", lambda: _laid_scn(to) > moment)
        assert application.poll() is None
        follower.kill()
        follower.communicate(timeout=60)
        assert application.communicate(timeout=60)[0] == "open\n"


def test_a_restored_directory_can_be_followed_into(service: ServiceUnderTest) -> None:
    """What `redoubt/restored_from` says is where it goes on; another tenant's directory is refused."""
    with short_directory() as folder:
        to = folder / "standby"
        first = _follow(service, to)
        laid = _laid_scn(to)
        (to / "redoubt" / "following").unlink()
        service.run("INSERT IGNORE INTO test.ledger VALUES ('after the restore')", "root@main")
        wait_until_archived(service)
        second = _follow(service, to)
        state = json.loads((to / "redoubt" / "restored_from").read_text())

        assert (first.returncode, second.returncode, second.stderr) == (0, 0, "")
        assert _laid_scn(to) > laid
        (to / "redoubt" / "following").write_text("{")
        broken = _follow(service, to)
        assert (broken.returncode, "cannot follow into" in broken.stderr) == (1, True)
        assert state["tenant_id"] == 1001


@pytest.mark.soak
def test_log_that_will_never_come_ends_it_with_the_reason(service: ServiceUnderTest, tmp_path: Path) -> None:
    """Here: what came after the first look is lost, but for its last part, which is of a later round.

    Own service: a copy of the home goes on elsewhere.
    """
    wait_until_archived(service)
    copy = ServiceUnderTest(tmp_path / "copy")
    copy_destination(service.backup, copy.backup)
    with short_directory() as folder:
        to = folder / "standby"
        assert _follow(copy, to).returncode == 0
        laid = json.loads((to / "redoubt" / "following").read_text())["laid_lsn"]
        last = wait_until("log comes behind a gap", lambda: _last_segment(service, laid))
        _claim(service, copy, last)
        ended = _follow(copy, to)
        total, _ = _taken_over(to)

    assert ended.returncode == 2
    assert f"the log from LSN {laid} to {int(last.name[:20])} is missing: round 9 begins after the gap" in ended.stderr
    assert f"{to} can be opened as it is" in ended.stderr
    assert total == ACCOUNTS * BALANCE


def _last_segment(service: ServiceUnderTest, laid: int) -> Path | None:
    """The last segment of the present round, if it begins behind what is laid; more is written if not."""
    service.run("UPDATE test.account SET balance = balance + 0 WHERE id = 1", "root@main")
    last = service.segments(_present_round(service))[-1]
    return last if int(last.name[:20]) > laid else None


def _claim(service: ServiceUnderTest, copy: ServiceUnderTest, segment: Path) -> None:
    """Have a round 9 in the copy that consists of one segment."""
    name = SegmentName.parse(segment.name)
    assert name is not None
    header, log = decode_segment(name, segment.read_bytes())
    header = replace(header, of=replace(header.of, round=9))
    info = load_record(PieceInfo, (segment.parent / "round_info").read_bytes())
    folder = copy.round_folder(9)
    folder.mkdir()
    (folder / "round_info").write_bytes(dump_record(replace(info, round=9, start_lsn=header.start_lsn), indent=2))
    (folder / segment.name).write_bytes(encode_segment(header, log))


def _present_round(service: ServiceUnderTest) -> int:
    return max(int(path.name) for path in service.round_folder().parent.iterdir())


def test_what_cannot_be_read_ahead_is_tried_again_and_then_ends_it(
    service: ServiceUnderTest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A damaged piece that comes next; a directory of another tenant, and no destination.

    Own service: a copy of the home goes on elsewhere.
    """
    wait_until_archived(service)
    copy = ServiceUnderTest(tmp_path / "copy")
    copy_destination(service.backup, copy.backup)
    uri = f"file://{copy.backup}"
    with short_directory() as folder:
        to = folder / "standby"
        assert keep_following(uri, "main", to, once=True, interval=0.01) == 0
        ahead = copy.round_folder(9)
        ahead.mkdir()
        (ahead / "round_info").write_text("{")
        capsys.readouterr()
        assert keep_following(uri, "main", to, once=False, interval=0.01) == 1
        complained = capsys.readouterr().err
        other = copy.backup / "redoubt" / "1" / "incarnation_1" / "1002"
        shutil.copytree(copy.round_folder().parents[1], other)
        other_tenant = keep_following(uri, "1002", to, once=True, interval=0.01)

    assert "/9/round_info is damaged" in complained
    assert "; retrying\n" in complained
    assert (other_tenant, "holds tenant main (id 1001) of redoubt#1" in capsys.readouterr().err) == (1, True)
    assert keep_following("nowhere", None, tmp_path / "x", once=True, interval=1) == 1


def test_a_restore_that_was_cut_off_goes_on(service: ServiceUnderTest) -> None:
    """With the moment that it was begun for; then what came since is laid."""
    uri = f"file://{service.backup}"
    wait_until_archived(service)
    with short_directory() as folder:
        to = folder / "standby"
        cut = mock.patch("redoubt.restore.restoring.lay_log", side_effect=OSError("cut off"))
        with cut:
            assert keep_following(uri, "main", to, once=True, interval=1) == 1
        begun = json.loads((to / "redoubt" / "restoring").read_text())
        service.run("INSERT IGNORE INTO test.ledger VALUES ('meanwhile')", "root@main")
        wait_until_archived(service)
        assert keep_following(uri, "main", to, once=True, interval=1) == 0
        assert _laid_scn(to) > begun["end_scn"]
