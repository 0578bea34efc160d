"""Hypothesis strategies: Redoubt's statements written in the many ways that a client may write them."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from redoubt.sql.statements import (
    ArchiveLog,
    Assignment,
    MinorFreeze,
    NoArchiveLog,
    SetParameters,
    ShowParameters,
    Statement,
)

Written = tuple[str, Statement]

GAPS = st.sampled_from(
    [" ", "\t", "\r\n", "  ", "/**/", " /* a;'b */ ", "/*+ hint */", "-- it's; so\n", "#`\n", "--\n"]
)
PADDING = st.lists(GAPS, max_size=2).map("".join)
MANDATORY_GAP = st.lists(GAPS, min_size=1, max_size=2).map("".join)

TEXTS = st.text(alphabet=st.sampled_from("ab%_'\"\\`;,=?# \t\néß漢") | st.characters(codec="utf-8"), max_size=12)
PLAIN_NAMES = st.from_regex(r"[a-z_$][a-z0-9_$]{0,10}", fullmatch=True).map(lambda name: f"x{name}")


@st.composite
def keyword(draw: st.DrawFn, word: str) -> str:
    """A keyword in mixed case."""
    upper = draw(st.lists(st.booleans(), min_size=len(word), max_size=len(word)))
    return "".join(char.upper() if up else char.lower() for char, up in zip(word, upper, strict=True))


@st.composite
def keywords(draw: st.DrawFn, phrase: str) -> str:
    """Several keywords with a gap between each two."""
    first, *rest = phrase.split()
    return draw(keyword(first)) + "".join(draw(MANDATORY_GAP) + draw(keyword(word)) for word in rest)


@st.composite
def string(draw: st.DrawFn, value: str) -> str:
    """A string literal that means `value`, which has none of MySQL's control characters to name."""
    quote = draw(st.sampled_from("'\""))
    within = draw(st.sampled_from([quote * 2, "\\" + quote]))
    return quote + value.replace("\\", "\\\\").replace(quote, within) + quote


@st.composite
def name(draw: st.DrawFn, value: str) -> str:
    """A name: bare, in backticks or as a string."""
    return draw(st.one_of(st.just(value), st.just(f"`{value}`"), string(value)))


@st.composite
def names(draw: st.DrawFn, values: list[str], kind: str) -> str:
    """One value, or a list in parentheses; `kind` is name or string."""
    written = [draw(name(value) if kind == "name" else string(value)) for value in values]
    if len(written) == 1 and draw(st.booleans()):
        return written[0]
    return f"({draw(PADDING)}" + f"{draw(PADDING)},{draw(PADDING)}".join(written) + f"{draw(PADDING)})"


@st.composite
def minor_freezes(draw: st.DrawFn) -> Written:
    """MINOR FREEZE with any of its scopes."""
    tenants = draw(st.lists(PLAIN_NAMES, max_size=3))
    servers = draw(st.lists(TEXTS, max_size=3))
    zone = draw(st.none() | TEXTS)
    partition_id = draw(st.none() | TEXTS)
    scopes = []
    if tenants:
        scopes.append(("tenant", draw(names(tenants, "name"))))
    if servers:
        scopes.append(("server", draw(names(servers, "string"))))
    if zone is not None:
        scopes.append(("zone", draw(string(zone))))
    if partition_id is not None:
        scopes.append(("partition_id", draw(string(partition_id))))
    written = draw(keywords("alter system minor freeze"))
    for word, value in draw(st.permutations(scopes)):
        sign = draw(MANDATORY_GAP | st.just("=") | st.just(" = "))
        written += draw(MANDATORY_GAP) + draw(keyword(word)) + sign + value
    return written, MinorFreeze(tuple(tenants), tuple(servers), zone, partition_id)


@st.composite
def assignments(draw: st.DrawFn) -> tuple[str, Assignment]:
    """One item of a SET, with or without clauses."""
    parameter = draw(PLAIN_NAMES)
    quoted = draw(st.booleans())
    value = draw(TEXTS if quoted else st.sampled_from(["true", "0", "-1", "120s", "1d", "1.5", "some_word"]))
    left = draw(keyword(parameter))
    right = draw(string(value)) if quoted else value
    clauses = draw(st.lists(st.sampled_from(["comment 'it''s'", "scope = Both", "tenant t", "zone='z'"]), unique=True))
    gaps = [draw(PADDING) for _ in range(2)]
    sql = f"{left}{gaps[0]}={gaps[1]}{right}" + "".join(draw(MANDATORY_GAP) + clause for clause in clauses)
    return sql, Assignment(parameter.lower(), value, sql, tuple(re.split(r"[ =]", clause)[0] for clause in clauses))


@st.composite
def sets(draw: st.DrawFn) -> Written:
    """ALTER SYSTEM SET with one item or several."""
    items = draw(st.lists(assignments(), min_size=1, max_size=3))
    listed = f"{draw(PADDING)},{draw(PADDING)}".join(sql for sql, _ in items)
    written = draw(keywords("alter system set")) + draw(MANDATORY_GAP) + listed
    return written, SetParameters(tuple(item for _, item in items))


@st.composite
def shows(draw: st.DrawFn) -> Written:
    """SHOW PARAMETERS with or without a condition."""
    written = draw(keywords("show parameters"))
    like = where = None
    condition = draw(st.sampled_from(["", "like", "where"]))
    if condition == "like":
        like = draw(TEXTS.filter(lambda text: "\\" not in text))
        written += draw(MANDATORY_GAP) + draw(keyword("like")) + draw(PADDING) + draw(string(like))
    elif condition == "where":
        where = draw(st.sampled_from(["name = 'a;b'", "edit_level like '%dyn%' and (svr_port > 1)"]))
        written += draw(MANDATORY_GAP) + draw(keyword("where")) + draw(MANDATORY_GAP) + where
    return written, ShowParameters(written, like, where)


@st.composite
def archive_switches(draw: st.DrawFn) -> Written:
    """ARCHIVELOG or NOARCHIVELOG."""
    if draw(st.booleans()):
        return draw(keywords("alter system archivelog")), ArchiveLog()
    return draw(keywords("alter system noarchivelog")), NoArchiveLog()


CORES = st.one_of(archive_switches(), minor_freezes(), sets(), shows())


@st.composite
def statements(draw: st.DrawFn) -> Written:
    """Any of Redoubt's statements, with blanks and comments before and behind."""
    written, statement = draw(CORES)
    return draw(PADDING) + written + draw(PADDING), statement


WORDS = (
    *("alter", "system", "set", "show", "parameters", "minor", "freeze", "archivelog", "tenant", "like", "where"),
    *("create", "procedure", "definer", "event", "a", "é", "1", "120s", "'x'", "`y`", "'", '"', "`", "\\", ";"),
    *("=", ",", "(", ")", "?", "@", "|", "-", "--", "#", "/*", "/*!", "/*+", "*/", "\n", " "),
)
OTHER_TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
    st.lists(st.sampled_from(list("';\"`\\-/*!# \nab")), max_size=25).map("".join),
)
"""Texts that are hardly ever one of our statements, and often almost one."""
