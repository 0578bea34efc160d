"""Why an engine ended, found in its own log."""

from __future__ import annotations

from pathlib import Path

from redoubt.engines.seekdb.complaints import complaint, size_of


def line(level: str, code: int, words: str) -> str:
    """As an engine logs it."""
    head = f"[2026-11-27 08:23:00.788716] {level} [PALF] load (log.cpp:243) [2765][seekdb][Y0] [lt=6]"
    return f"{head}[errcode={code}] {words}\n"


EARLIER = line("EDIAG", -4070, "an earlier run's")
RUN = (
    line("EDIAG", -4016, "runtime freezer should not be null(ret=-4016)")
    + line("INFO ", -4070, "this is no error")
    + line("EDIAG", -4070, "the block has been corrupted!!!(ret=-4070, this={buf_:0x7fe4e8a01000})")
    + "\tnothing of ours \xff\n"
    + line("EDIAG", -4070, "the block has been corrupted!!!(ret=-4070, this={buf_:0x7fe4e8a02000})")
    + line("EDIAG", -4070, 'LogStorage load failed(ret=-4070, ret="OB_INVALID_DATA") BACKTRACE:0x64e6e15 0x64d8ae2')
    + line("EDIAG", -4070, "fail to start server storage meta service BACKTRACE:0x64e6e15 0x64d8ae2")
    + line("ERROR", -4070, "[server_start 9/14] observer instance start fail.")
    + line(
        "EDIAG", -4023, "[Replay Tx]Tx Redo replay error, rollback to start(callback_list_idx=0, this={ctx_:0x7f9a})"
    )
)


def test_the_first_errors_with_the_code_of_the_end_are_told(tmp_path: Path) -> None:
    """Of this run: what came before it is not looked at, unless the log was begun anew."""
    log = tmp_path / "seekdb.log"
    assert (size_of(log), complaint(log, 0)) == (0, "")
    log.write_text(EARLIER)
    since = size_of(log)
    assert complaint(log, since) == ""
    log.write_text(EARLIER + RUN)
    assert (
        complaint(log, since) == "the block has been corrupted!!!; LogStorage load failed (error -4070 OB_INVALID_DATA)"
    )
    assert complaint(log, size_of(log) + 1).startswith("an earlier run's; the block")
    log.write_text(line("EDIAG", -4016, "one") + line("EDIAG", -4002, "two") + line("EDIAG", -4023, "three"))
    assert complaint(log, 0) == "two (error -4002)"
    log.write_text(line("ERROR", -4000, "x" * 5000))
    assert complaint(log, 0) == f"{'x' * 200} (error -4000)"
    assert f"cannot read {tmp_path}: Is a directory" in complaint(tmp_path, 0)
