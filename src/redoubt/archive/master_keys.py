"""Where master keys come from: a file, an environment variable, or the output of a command (such as a KMS's client).

The environment names the sources, so that the service, its child processes and the commands find the same keys. Keys
are never stored, and each process reads a source once. A key is written as 64 hexadecimal digits, or as 44 characters
of base64.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import stat
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from redoubt.archive.encryption import KEY_SIZE, Key, KeyMissingError

MASTER_KEY: Final = "REDOUBT_MASTER_KEY"
"""The environment variable with the source of the key that wraps new data keys."""
FORMER_MASTER_KEYS: Final = "REDOUBT_FORMER_MASTER_KEYS"
"""The environment variable with the sources of older keys, one a line: they unwrap what they have wrapped."""
PASSWORDS: Final = "REDOUBT_BACKUP_PASSWORDS"
"""The environment variable with the passwords of data backups, one a line."""
SOURCE: Final = r"^(file:/|env:|command:\s*\S)[^\x00\n]*$"
"""How a source is written."""
_PATIENCE = 60.0
"""Seconds for a command."""
_MOST_READ = 4096
_HEX = re.compile(rb"[0-9a-fA-F]{64}\Z")
_BASE64 = re.compile(rb"[0-9a-zA-Z+/]{43}=\Z")


class MasterKeyError(KeyMissingError):
    """A source has no usable key; the text names the source, and says why. Never shows what the source gave."""


def master_key() -> Key | None:
    """The key to wrap with, None if this process has none. Raises MasterKeyError."""
    source = os.environ.get(MASTER_KEY, "").strip()
    return key_from(source) if source else None


def key_sources() -> list[str]:
    """The sources of all keys that this process may unwrap with, the present one first."""
    named = [os.environ.get(MASTER_KEY, ""), *os.environ.get(FORMER_MASTER_KEYS, "").split("\n")]
    return [source.strip() for source in named if source.strip()]


def source_troubles() -> list[str]:
    """What is wrong with the sources: a text for each that gives no key. Reads all; a command may take a minute."""
    found = []
    for source in key_sources():
        try:
            key_from(source)
        except MasterKeyError as error:
            found.append(str(error))
    return found


def passwords() -> tuple[str, ...]:
    """The passwords that this process may unwrap with."""
    return tuple(filter(None, os.environ.get(PASSWORDS, "").split("\n")))


def give_passwords(given: str) -> None:
    """Give this process passwords, one a line; its environment as the system shows it does not change."""
    os.environ[PASSWORDS] = given


def name_sources(present: str | None, former: Iterable[str]) -> None:
    """Name the sources in the environment, also for child processes; without a present one, leave it as it is."""
    if present is not None:
        os.environ[MASTER_KEY] = present
    if former := "\n".join(former):
        os.environ[FORMER_MASTER_KEYS] = former


@lru_cache
def key_from(source: str) -> Key:
    """The key of a source, which is read once. Raises MasterKeyError."""
    kind, _, place = source.partition(":")
    match kind:
        case "file":
            text = _from_file(Path(place))
        case "env":
            text = os.fsencode(os.environ.get(place.strip(), ""))
            if not text:
                raise MasterKeyError(f"the environment variable {place.strip()} with the master key is empty: set it")
        case "command":
            text = _from_command(place)
        case _:
            raise MasterKeyError("write the source of a master key as file:/path, env:NAME or command:program …")
    text = text.strip()
    if _HEX.match(text):
        return Key(bytes.fromhex(text.decode()))
    if _BASE64.match(text):
        return Key(base64.b64decode(text))
    what = "nothing" if not text else f"{len(text)} characters" if len(text) < _MOST_READ else "a longer text"
    raise MasterKeyError(
        f"{source.split(maxsplit=1)[0]} gives {what} and no master key: a key is {KEY_SIZE} random bytes, written as "
        "64 hexadecimal digits (openssl rand -hex 32) or in base64"
    )


def _from_file(path: Path) -> bytes:
    try:
        if not path.is_file() and path.exists():
            raise MasterKeyError(f"{path} is no file: write the master key into a file")
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IROTH | stat.S_IWOTH):
                raise MasterKeyError(f"every user of this machine can reach the master key in {path}: chmod o= it")
            return file.read(_MOST_READ)
    except OSError as error:
        raise MasterKeyError(f"cannot read the master key in {path}: {error.strerror}") from error


def _from_command(command: str) -> bytes:
    """What a command prints. A message names only its program: the arguments may hold a secret."""
    try:
        program, *words = shlex.split(command)
    except ValueError as error:
        raise MasterKeyError(f"the command for the master key cannot be read: {error}") from error
    try:
        done = subprocess.run(
            [program, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MasterKeyError(f"the command for the master key ({program}) has no end in {_PATIENCE:g} s") from error
    except OSError as error:
        raise MasterKeyError(f"the command for the master key ({program}) fails: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        cause = said[-1] if said else "no text on its standard error"
        raise MasterKeyError(f"the command for the master key ({program}) ends with {done.returncode}: {cause}")
    return done.stdout[:_MOST_READ]
