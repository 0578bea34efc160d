"""What every Python process of a test run does: Python imports this module by its name.

It notes each start of an engine: `tests.run_report` puts this folder on PYTHONPATH and counts the lines. A job waits
before it opens the first part of a data backup, as long as a test wants that part to give no answer.
"""

from __future__ import annotations

import os
import sys
import time

STARTS = "REDOUBT_TEST_ENGINE_STARTS"
"""The variable that names the file with one line for each start: the test for which the process was started."""


SILENT = "REDOUBT_TEST_SILENT"
"""The variable that names a file: while the file exists, the part gives no answer."""
_PART = "/part_00000001.zst"


def _wait(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and (mark := os.environ.get(SILENT)) and str(arguments[0]).endswith(_PART):
        while os.path.exists(mark):  # noqa: PTH110 - pathlib is not imported in every process
            time.sleep(0.01)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen":
        words = [str(word) for word in arguments[1]] if isinstance(arguments[1], list) else []
        # The program, or what confines it first.
        is_start = "--base-dir" in words and any(word.endswith("/seekdb") for word in words)
    else:
        is_start = event == "import" and arguments[0] == "pylibseekdb"  # an application, which opens a directory
    if is_start and (path := os.environ.get(STARTS)):
        test = os.environ.get("PYTEST_CURRENT_TEST", "")
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{test}\n".encode())  # one write: lines of several processes do not mix
        os.close(file)


sys.addaudithook(_note)
if "redoubt.job" in sys.orig_argv:
    sys.addaudithook(_wait)
