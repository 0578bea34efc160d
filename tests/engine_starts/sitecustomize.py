"""Notes each start of an engine, in every Python process of a test run: Python imports this module by its name.

`tests.run_report` puts this folder on PYTHONPATH and counts the lines.
"""

from __future__ import annotations

import os
import sys

STARTS = "REDOUBT_TEST_ENGINE_STARTS"
"""The variable that names the file with one line for each start: the test for which the process was started."""


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen":
        command = str(arguments[1])
        is_start = "/seekdb'" in command and "--base-dir" in command  # the program, or what confines it first
    else:
        is_start = event == "import" and arguments[0] == "pylibseekdb"  # an application, which opens a directory
    if is_start and (path := os.environ.get(STARTS)):
        test = os.environ.get("PYTEST_CURRENT_TEST", "")
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{test}\n".encode())  # one write: lines of several processes do not mix
        os.close(file)


sys.addaudithook(_note)
