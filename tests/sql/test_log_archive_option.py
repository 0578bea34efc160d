"""`backup_log_archive_option`: its grammar, its errors, and how one value follows another."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.sql.errors import SqlError
from redoubt.sql.log_archive_option import (
    MAX_BYTES,
    Compression,
    Encryption,
    LogArchiveOption,
    Mode,
    OptionChange,
    as_text,
    parse_option,
)

MANDATORY, OPTIONAL = Mode.MANDATORY, Mode.OPTIONAL
OFF, LZ4, ZSTD = Compression.OFF, Compression.LZ4, Compression.ZSTD

MANDATORY_LZ4 = LogArchiveOption(MANDATORY, LZ4)
WORDS_OF_IT = "use OPTIONAL, MANDATORY, COMPRESSION=… or ENCRYPTION_MODE=…"
NONE, TRANSPARENT = Encryption.NONE, Encryption.TRANSPARENT
OPTIONS = st.builds(LogArchiveOption, st.sampled_from(Mode), st.sampled_from(Compression), st.sampled_from(Encryption))


@pytest.mark.parametrize(
    ("value", "mode", "compression"),
    [
        ("MANDATORY", MANDATORY, None),
        ("optional", OPTIONAL, None),
        ("MANDATORY compression=disable", MANDATORY, OFF),
        ("MANDATORY compression =enable", MANDATORY, LZ4),
        ("MANDATORY compression = lz4_1.0", MANDATORY, LZ4),
        ("MANDATORY compression= zstd_1.3.8", MANDATORY, ZSTD),
        ("optional compression= zstd_1.3.8", OPTIONAL, ZSTD),
        ("compression= zstd_1.3.8 optional ", OPTIONAL, ZSTD),
        ("optional compression= enable", OPTIONAL, LZ4),
        ("compression= enable", None, LZ4),
        ("compression= disable", None, OFF),
        ("mandatory compression= disable", MANDATORY, OFF),
        ("optional compression= disable", OPTIONAL, OFF),
        (" optional COMPRESSION=disable", OPTIONAL, OFF),
        ("compression= LZ4_1.0", None, LZ4),
        ("mandatory optional compression=zstd_1.3.8", OPTIONAL, ZSTD),
        ("compression=disable compression=enable", None, LZ4),
        ("compression=disable mandatory compression  =  Enable   optional", OPTIONAL, LZ4),
    ],
)
def test_accepted_values(value: str, mode: Mode | None, compression: Compression | None) -> None:
    """A valid value says what it names and leaves the rest open."""
    assert OptionChange(mode, compression) == parse_option(value)


@pytest.mark.parametrize(
    ("value", "encryption"),
    [
        ("encryption_mode= none", NONE),
        ("ENCRYPTION_MODE =TRANSPARENT_ENCRYPTION", TRANSPARENT),
        ("encryption_mode=transparent_encryption encryption_algorithm= AES-256", TRANSPARENT),
        ("encryption_algorithm=aes-256 encryption_mode=transparent_encryption", TRANSPARENT),
        ("encryption_mode=transparent_encryption encryption_mode=none", NONE),
    ],
)
def test_encryption(value: str, encryption: Encryption) -> None:
    """The words of the Enterprise Edition; the algorithm that there is may be named."""
    assert OptionChange(encryption=encryption) == parse_option(value)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("", "the value is empty; give a mode, a compression or both"),
        ("   ", "the value is empty; give a mode, a compression or both"),
        ("optional compression= none", "COMPRESSION must be one of disable, enable, lz4_1.0, zstd_1.3.8, not 'none'"),
        ("optional compression", "COMPRESSION has no value; write COMPRESSION=…"),
        ("optional biubiu", f"'biubiu' is not an option; {WORDS_OF_IT}"),
        ("optional compression disable", "COMPRESSION has no value; write COMPRESSION=…"),
        ("= compression=disable", f"'=' is not an option; {WORDS_OF_IT}"),
        ("compression=disable=", f"'=' is not an option; {WORDS_OF_IT}"),
        ("compression==disable", "COMPRESSION must be one of disable, enable, lz4_1.0, zstd_1.3.8, not '='"),
        ("compression=", "COMPRESSION must be one of disable, enable, lz4_1.0, zstd_1.3.8, not ''"),
        ("compression=zstd", "COMPRESSION must be one of disable, enable, lz4_1.0, zstd_1.3.8, not 'zstd'"),
        ("COMPRESSION=snappy_1.0", "COMPRESSION must be one of disable, enable, lz4_1.0, zstd_1.3.8, not 'snappy_1.0'"),
        (
            "optional,compression=enable",
            f"'optional,compression' is not an option; {WORDS_OF_IT}",
        ),
        (
            "optional\tcompression=enable",
            rf"'optional\tcompression' is not an option; {WORDS_OF_IT}",
        ),
        (
            "MANDATORY COMPRESSION=lz4_1.0 yyy",
            f"'yyy' is not an option; {WORDS_OF_IT}",
        ),
        ("optional\n", rf"'optional\n' is not an option; {WORDS_OF_IT}"),
        ("enable", f"'enable' is not an option; {WORDS_OF_IT}"),
        ("optional=enable", f"'=' is not an option; {WORDS_OF_IT}"),
        (
            "optiona" * 10,
            f"'{'optiona' * 5}optio…' is not an option; {WORDS_OF_IT}",
        ),
    ],
)
def test_refused_values(value: str, hint: str) -> None:
    """An invalid value is error 4147, and the text says what is wrong with it."""
    with pytest.raises(SqlError) as caught:
        parse_option(value)

    assert (4147, "HY000", f"Invalid config: {hint}") == (
        caught.value.code,
        caught.value.sqlstate,
        caught.value.message,
    )


@pytest.mark.parametrize(
    "value",
    [
        "encryption_mode= password",
        "encryption_mode= password_encryption",
        "encryption_mode= DUAL_MODE_ENCRYPTION",
        "encryption_mode= transparent_encryption ENCRYPTION_ALGORITHM = yyy",
        "encryption_mode= transparent_encryption ENCRYPTION_ALGORITHM = none",
        "encryption_mode= transparent_encryption ENCRYPTION_ALGORITHM = aes-128",
        "encryption_mode",
        "encryption_mode=",
        "encryption_algorithm=aes-256",
        "encryption_mode=none encryption_algorithm=aes-256",
        "optional compression=on",
        "optional compression=true",
        "compression=lz4",
        "optional&compression=enable",
        "optional;",
        "compress\N{LATIN SMALL LETTER DOTLESS I}on=enable",
        "optional\N{NO-BREAK SPACE}compression=enable",
    ],
)
def test_other_refused_values(value: str) -> None:
    """Other encryptions, abbreviations and other separators are not part of the grammar."""
    with pytest.raises(SqlError, match="4147"):
        parse_option(value)


def test_the_longest_value() -> None:
    """A value may have 64 KB, counted in bytes, and not one more."""
    longest = "optional".ljust(MAX_BYTES)

    assert OptionChange(OPTIONAL) == parse_option(longest)
    with pytest.raises(SqlError, match="longer than 65,536 bytes"):
        parse_option(longest + " ")
    with pytest.raises(SqlError, match="longer than 65,536 bytes"):
        parse_option("é" * (MAX_BYTES // 2 + 1))


def test_default() -> None:
    """A fresh cluster archives in optional mode with LZ4."""
    assert LogArchiveOption(OPTIONAL, LZ4) == LogArchiveOption.DEFAULT


@pytest.mark.parametrize(
    ("before", "value", "expected"),
    [
        (LogArchiveOption.DEFAULT, "mandatory", MANDATORY_LZ4),
        (LogArchiveOption.DEFAULT, "compression= disable", LogArchiveOption(OPTIONAL, OFF)),
        (LogArchiveOption.DEFAULT, "mandatory compression= disable", LogArchiveOption(MANDATORY, OFF)),
        (MANDATORY_LZ4, "compression=zstd_1.3.8", LogArchiveOption(MANDATORY, ZSTD)),
        (MANDATORY_LZ4, "optional", LogArchiveOption(OPTIONAL, LZ4)),
        (MANDATORY_LZ4, "optional compression= disable", LogArchiveOption(OPTIONAL, OFF)),
        (MANDATORY_LZ4, "compression=disable compression=enable", MANDATORY_LZ4),
        (LogArchiveOption(MANDATORY, OFF), "compression= enable", MANDATORY_LZ4),
        (LogArchiveOption(MANDATORY, OFF), "mandatory", LogArchiveOption(MANDATORY, OFF)),
        (MANDATORY_LZ4, "encryption_mode=transparent_encryption", LogArchiveOption(MANDATORY, LZ4, TRANSPARENT)),
        (LogArchiveOption(OPTIONAL, LZ4, TRANSPARENT), "mandatory", LogArchiveOption(MANDATORY, LZ4, TRANSPARENT)),
        (LogArchiveOption(OPTIONAL, LZ4, TRANSPARENT), "encryption_mode=none", LogArchiveOption(OPTIONAL, LZ4)),
    ],
)
def test_changes_are_sticky(before: LogArchiveOption, value: str, expected: LogArchiveOption) -> None:
    """What a value does not name stays as it was."""
    assert expected == before.changed_by(parse_option(value))


@pytest.mark.parametrize("value", ["compression= disable", "mandatory compression= disable"])
@pytest.mark.parametrize("compression", Compression)
def test_mandatory_refuses_to_drop_compression(value: str, compression: Compression) -> None:
    """While the mode is mandatory, compression is disabled only together with a change to optional."""
    with pytest.raises(SqlError) as caught:
        LogArchiveOption(MANDATORY, compression).changed_by(parse_option(value))

    assert caught.value.code == 4147
    assert caught.value.message == (
        "Invalid config: compression cannot be disabled while the mode is MANDATORY; "
        "run ALTER SYSTEM SET backup_log_archive_option = 'optional compression= disable'"
    )


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (LogArchiveOption.DEFAULT, "OPTIONAL COMPRESSION=lz4_1.0"),
        (LogArchiveOption(MANDATORY, ZSTD), "MANDATORY COMPRESSION=zstd_1.3.8"),
        (LogArchiveOption(MANDATORY, OFF), "MANDATORY COMPRESSION=disable"),
        (
            LogArchiveOption(OPTIONAL, LZ4, TRANSPARENT),
            "OPTIONAL COMPRESSION=lz4_1.0 ENCRYPTION_MODE=transparent_encryption",
        ),
    ],
)
def test_full_form(option: LogArchiveOption, expected: str) -> None:
    """The full form names the settings in the option's own words; encryption only while it is on."""
    assert expected == as_text(option)


@given(OPTIONS)
def test_full_form_is_read_back(option: LogArchiveOption) -> None:
    """What is persisted for a restart restores the setting, from the default that a restart begins with."""
    assert option == LogArchiveOption.DEFAULT.changed_by(parse_option(as_text(option)))


SPACES = st.integers(1, 3).map(" ".__mul__)
SIGNS = st.sampled_from(["=", " =", "= ", "  =  "])
WORDS = st.sampled_from(["mandatory", "OPTIONAL", "Optional"])
VALUES = st.sampled_from(["disable", "ENABLE", "lz4_1.0", "Zstd_1.3.8"])
MODES = st.sampled_from(["None", "transparent_encryption"])
ITEMS = (
    WORDS | st.builds("Compression{}{}".format, SIGNS, VALUES) | st.builds("encryption_Mode{}{}".format, SIGNS, MODES)
)


@st.composite
def valid_options(draw: st.DrawFn) -> str:
    """A value that follows the grammar."""
    items = draw(st.lists(ITEMS, min_size=1, max_size=5))
    return "".join(draw(SPACES) + item for item in items) + draw(SPACES | st.just(""))


ITEM = re.compile(
    r" +(?:(mandatory|optional)|compression *= *(disable|enable|lz4_1\.0|zstd_1\.3\.8)"
    r"|encryption_mode *= *(none|transparent_encryption))(?= |$)"
)


def oracle(text: str) -> OptionChange | None:
    """The grammar once more, in another way: item by item with a regular expression; None for an invalid value."""
    mode: Mode | None = None
    compression: Compression | None = None
    encryption: Encryption | None = None
    rest = " " + text.lower().rstrip(" ")
    while item := ITEM.match(rest):
        rest = rest[item.end() :]
        if item[1]:
            mode = Mode(item[1].upper())
        elif item[2]:
            compression = Compression(item[2].replace("enable", "lz4_1.0"))
        else:
            encryption = Encryption(item[3])
    return OptionChange(mode, compression, encryption) if not rest and (mode or compression or encryption) else None


@given(valid_options())
def test_valid_options_agree_with_the_oracle(text: str) -> None:
    """Every value of the grammar is accepted and means what the oracle reads in it."""
    expected = oracle(text)

    assert expected is not None
    assert expected == parse_option(text)


PARTS = st.sampled_from(["optional", "mandatory", "compression", "=", " ", "enable", "disable", "\t", "x"])


@given(st.text() | st.lists(PARTS).map("".join))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    """What the oracle does not accept is refused with the parameter's own error, whatever the text."""
    expected = oracle(text)

    if expected is None:
        with pytest.raises(SqlError, match="4147"):
            parse_option(text)
    else:
        assert expected == parse_option(text)
