"""MariaDB Connector/J, as Debian packages it: a Java program that is compiled when it runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.clients.drivers import Answers, Request

_DRIVER = "/usr/share/java/mariadb-java-client.jar"
_PROGRAM = Path(__file__).parent / "java" / "Sessions.java"


def through_jdbc(request: Request) -> Answers:
    """With server-side prepared statements; the driver sends only the engine's statements so, and ours as texts."""
    options = {"allowMultiQueries": "true", "useServerPrepStmts": "true", "connectTimeout": "20000"}
    if request["ca"]:
        options |= {"useSsl": "true", "serverSslCert": request["ca"]}
    typed = "&".join(f"{name}={value}" for name, value in options.items())
    texts = [f"jdbc:mariadb://{request['host']}:{request['port']}/?{typed}"]
    for session in request["sessions"]:
        texts += session["user"], session["password"], str(len(session["steps"]))
        for step in session["steps"]:
            texts += "prepared" if step["prepared"] else "text", step["sql"]
    command = ["java", "-cp", _DRIVER, str(_PROGRAM)]
    ran = subprocess.run(command, input="\0".join(texts), capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    answers: Answers = json.loads(ran.stdout)
    return answers
