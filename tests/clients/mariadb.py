"""The mariadb command line: what is typed into it, and what it prints taken apart."""

from __future__ import annotations

import re
import subprocess
from typing import Any
from xml.etree import ElementTree as ET

from tests.clients.drivers import Answers, Request

_STATEMENT = re.compile(r"^-{14}\n(?:.*?\n)-{14}\n\n", re.DOTALL | re.MULTILINE)
_RESULT = re.compile(
    r"(?P<xml><\?xml.*?</resultset>)\n\d+ rows? in set(?:, (?P<row_warnings>\d+) warnings?)? \("
    r"|^Query OK, (?P<affected>\d+) rows? affected(?:, (?P<warnings>\d+) warnings?)? \(",
    re.DOTALL | re.MULTILINE,
)
_ERROR = re.compile(r"^ERROR (\d+) \((\w{5})\) at line (\d+)(?: in file: .*?)?: (.*)$", re.MULTILINE)
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def through_mariadb(request: Request) -> Answers:
    """It goes on after an error; with another delimiter, several statements are one text."""
    return [_session(request, session) for session in request["sessions"]]


def _session(request: Request, session: dict[str, Any]) -> list[list[dict[str, Any]]]:
    tls = [f"--ssl-ca={request['ca']}", "--ssl-verify-server-cert"] if request["ca"] else ["--skip-ssl"]
    login = [
        f"-h{request['host']}",
        f"-P{request['port']}",
        f"-u{session['user']}",
        f"--password={session['password']}",
    ]
    command = ["mariadb", "--no-defaults", *login, *tls, "--force", "--comments", "-vvv", "--xml"]
    texts = [step["sql"] for step in session["steps"]]
    typed = "delimiter //\n" + "".join(f"{text}//\n" for text in texts)
    ran = subprocess.run(command, input=typed, capture_output=True, text=True, check=False, timeout=60)
    # A line that is a comment is sent, and shown, as a statement of its own: what counts is each text's last line.
    lines = [number for number, text in enumerate(texts) for _ in text.split("\n")]
    answers: list[list[dict[str, Any]]] = [[] for _ in texts]
    for number, printed in zip(lines, _STATEMENT.split(ran.stdout)[1:], strict=True):
        answers[number] = [_result(match) for match in _RESULT.finditer(printed)]
    for match in _ERROR.finditer(ran.stderr):
        refusal = {"code": int(match[1]), "sqlstate": match[2], "message": match[4]}
        answers[lines[int(match[3]) - 2]].append(refusal)
    return answers


def _result(match: re.Match[str]) -> dict[str, Any]:
    if match["xml"] is None:
        return {"affected": int(match["affected"]), "warnings": int(match["warnings"] or 0)}
    found = [row.findall("field") for row in ET.fromstring(match["xml"])]
    return {
        "columns": [field.get("name") for field in found[0]],
        "types": None,
        "rows": [[None if field.get(_NIL) else field.text or "" for field in row] for row in found],
        "warnings": int(match["row_warnings"] or 0),
    }
