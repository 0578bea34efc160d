"""`backup_log_archive_option`: the mode of log archiving, and how the archived log is compressed and encrypted.

The grammar is OceanBase's, to the letter: a mode, `COMPRESSION = …` and `ENCRYPTION_MODE = …` in any order, separated
by spaces only (a tab or a comma is part of a word). Of a repeated setting the last one counts. A value changes only the
settings that it names. OceanBase's Community Edition knows no encryption; the words are the Enterprise Edition's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar

from redoubt.sql.errors import invalid_config
from redoubt.sql.tokens import fold

MAX_BYTES = 64 * 1024
"""The longest value in bytes of UTF-8."""

_LONGEST_SHOWN = 40  # characters of a wrong word in an error's text


class Mode(StrEnum):
    """What happens when archiving falls behind: OPTIONAL gives up log, MANDATORY makes writers wait."""

    OPTIONAL = "OPTIONAL"
    MANDATORY = "MANDATORY"


class Compression(StrEnum):
    """The compression of archived log; the values are the option's own words."""

    OFF = "disable"
    LZ4 = "lz4_1.0"
    ZSTD = "zstd_1.3.8"


class Encryption(StrEnum):
    """Whether archived log is encrypted, with a key that the service's administrator provides."""

    NONE = "none"
    TRANSPARENT = "transparent_encryption"


_ALGORITHM = "aes-256"
_MODES = {"optional": Mode.OPTIONAL, "mandatory": Mode.MANDATORY}
_COMPRESSIONS = {"disable": Compression.OFF, "enable": Compression.LZ4} | {word.value: word for word in Compression}


@dataclass(frozen=True)
class OptionChange:
    """A parsed value of the parameter. None means that the value does not name the setting."""

    mode: Mode | None = None
    compression: Compression | None = None
    encryption: Encryption | None = None


@dataclass(frozen=True)
class LogArchiveOption:
    """The setting in effect. A new cluster has DEFAULT."""

    mode: Mode
    compression: Compression
    encryption: Encryption = Encryption.NONE

    DEFAULT: ClassVar[LogArchiveOption]

    def changed_by(self, change: OptionChange) -> LogArchiveOption:
        """Return the setting after `change`; settings that the change does not name stay.

        Raises `SqlError` 4147 if the change turns compression off while the mode is, and stays, MANDATORY: OceanBase
        documents only the change to OPTIONAL with compression off.
        """
        mode = change.mode or self.mode
        if self.mode is mode is Mode.MANDATORY and change.compression is Compression.OFF:
            raise invalid_config(
                "compression cannot be disabled while the mode is MANDATORY; "
                "run ALTER SYSTEM SET backup_log_archive_option = 'optional compression= disable'"
            )
        return LogArchiveOption(mode, change.compression or self.compression, change.encryption or self.encryption)


LogArchiveOption.DEFAULT = LogArchiveOption(Mode.OPTIONAL, Compression.LZ4)


def parse_option(text: str) -> OptionChange:
    """Parse the parameter's value `text`. Raises `SqlError` 4147 for an invalid value."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise invalid_config(f"the value must not be longer than {MAX_BYTES:,} bytes")
    words = iter([word for word in text.replace("=", " = ").split(" ") if word])
    change, has_algorithm = OptionChange(), False
    for word in words:
        match fold(word):
            case "optional" | "mandatory" as mode:
                change = replace(change, mode=_MODES[mode])
            case "compression":
                change = replace(change, compression=_COMPRESSIONS[_value("COMPRESSION", words, _COMPRESSIONS)])
            case "encryption_mode":
                change = replace(change, encryption=Encryption(_value("ENCRYPTION_MODE", words, list(Encryption))))
            case "encryption_algorithm":
                has_algorithm = bool(_value("ENCRYPTION_ALGORITHM", words, [_ALGORITHM]))
            case _:
                raise invalid_config(
                    f"{_shown(word)} is not an option; use OPTIONAL, MANDATORY, COMPRESSION=… or ENCRYPTION_MODE=…"
                )
    if has_algorithm and change.encryption is not Encryption.TRANSPARENT:
        raise invalid_config("ENCRYPTION_ALGORITHM needs ENCRYPTION_MODE=transparent_encryption beside it")
    if change == OptionChange():
        raise invalid_config("the value is empty; give a mode, a compression or both")
    return change


def as_text(option: LogArchiveOption) -> str:
    """Return the full form of `option`, such as `OPTIONAL COMPRESSION=lz4_1.0`; `parse_option` reads it back."""
    encryption = f" ENCRYPTION_MODE={option.encryption}" if option.encryption is not Encryption.NONE else ""
    return f"{option.mode} COMPRESSION={option.compression}{encryption}"


def _value(name: str, words: Iterator[str], valid: Collection[str]) -> str:
    """Read the two words behind an option's name: an equals sign, and one of the valid words. Raises SqlError 4147."""
    if next(words, "") != "=":
        raise invalid_config(f"{name} has no value; write {name}=…")
    word = next(words, "")
    if fold(word) not in valid:
        is_one = "must be" if len(valid) == 1 else "must be one of"
        raise invalid_config(f"{name} {is_one} {', '.join(valid)}, not {_shown(word)}")
    return fold(word)


def _shown(word: str) -> str:
    """Quote a word for an error's text: shortened, and with control characters made visible."""
    return repr(word if len(word) <= _LONGEST_SHOWN else word[:_LONGEST_SHOWN] + "…")
