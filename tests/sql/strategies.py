"""Hypothesis strategies: Redoubt's statements written in the many ways that a client may write them."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from redoubt.sql.statements import (
    AddRestoreSource,
    ArchiveLog,
    Assignment,
    BackupDatabase,
    BackupPart,
    CancelAllBackup,
    CancelBackup,
    CancelDeleteBackup,
    CancelSecondBackup,
    CancelValidate,
    ClearRestoreSource,
    CreateTenant,
    DeleteBackup,
    DeleteExpiredBackup,
    DeleteObsoleteBackup,
    DropTenant,
    KeepBackup,
    MinorFreeze,
    NoArchiveLog,
    PreviewObsolete,
    RestoreTables,
    RestoreTenant,
    ResumeBackup,
    SecondBackup,
    SecondLogBackup,
    SetParameters,
    ShowParameters,
    ShowRestorePreview,
    ShowTenants,
    Statement,
    SuspendBackup,
    ValidateBackup,
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
    within = draw(st.sampled_from(["''", "\\'"])) if quote == "'" else '""'
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
    tenants = ("t",) if "tenant t" in clauses else ()
    gaps = [draw(PADDING) for _ in range(2)]
    sql = f"{left}{gaps[0]}={gaps[1]}{right}" + "".join(draw(MANDATORY_GAP) + clause for clause in clauses)
    words = tuple(re.split(r"[ =]", clause)[0] for clause in clauses)
    return sql, Assignment(parameter.lower(), value, sql, words, tenants)


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
    tenants = draw(st.lists(PLAIN_NAMES, max_size=3))
    clause = ""
    if tenants:
        bare = f"{draw(PADDING)},{draw(PADDING)}".join([draw(name(tenant)) for tenant in tenants])
        sign = draw(MANDATORY_GAP | st.just("="))
        clause = draw(MANDATORY_GAP) + draw(keyword("tenant")) + sign + draw(st.just(bare) | names(tenants, "name"))
    if draw(st.booleans()):
        return draw(keywords("alter system archivelog")) + clause, ArchiveLog(tuple(tenants))
    return draw(keywords("alter system noarchivelog")) + clause, NoArchiveLog(tuple(tenants))


FIXED: dict[str, Statement] = {
    "alter system backup database": BackupDatabase(),
    "alter system backup incremental database": BackupDatabase(is_incremental=True),
    "alter system cancel backup": CancelBackup(),
    "alter system suspend backup": SuspendBackup(),
    "alter system resume backup": ResumeBackup(),
    "alter system cancel all backup force": CancelAllBackup(),
    "alter system delete obsolete backup": DeleteObsoleteBackup(),
    "alter system cancel delete backup": CancelDeleteBackup(),
    "alter system delete obsolete backup preview": PreviewObsolete(),
    "alter system change backupset 7 keep": KeepBackup(7),
    "alter system change backupset = 7 keep until '2027-01-01'": KeepBackup(7, "2027-01-01"),
    "alter system modify backupset 7 nokeep": KeepBackup(7, ends=True),
    "alter system backup backupset all": SecondBackup(BackupPart.SET),
    "alter system backup backupset all not backed up 3 times": SecondBackup(BackupPart.SET, max_copies=3),
    "alter system backup backupset 3 tenant_id 1001": SecondBackup(BackupPart.SET, 3, tenant="1001"),
    "alter system backup backuppiece all with active": SecondBackup(BackupPart.PIECE, has_active=True),
    "alter system backup backuppiece 1 with active backuppiece": SecondBackup(BackupPart.PIECE, 1, has_active=True),
    "alter system cancel backup backupset": CancelSecondBackup(BackupPart.SET),
    "alter system cancel backup backuppiece": CancelSecondBackup(BackupPart.PIECE),
    "alter system start backup archivelog": SecondLogBackup(is_start=True),
    "alter system stop backup archivelog": SecondLogBackup(is_start=False),
    "alter system clear restore source": ClearRestoreSource(),
    "show restore preview": ShowRestorePreview(),
    "show tenants": ShowTenants(),
}
"""Statements that have nothing but words, each with one gap between them."""


@st.composite
def fixed(draw: st.DrawFn) -> Written:
    """Any of them."""
    words, statement = draw(st.sampled_from(list(FIXED.items())))
    return draw(keywords(words)), statement


@st.composite
def numbered(draw: st.DrawFn) -> Written:
    """A statement that names something by its number."""
    number, copy_id = draw(st.integers(0, 10**18 - 1)), draw(st.integers(0, 50000))
    made: dict[str, Statement] = {
        f"alter system delete backupset {number}": DeleteBackup(BackupPart.SET, number, copy_id),
        f"alter system delete backuppiece {number}": DeleteBackup(BackupPart.PIECE, number, copy_id),
        f"alter system delete backupround {number}": DeleteBackup(BackupPart.ROUND, number, copy_id),
        "alter system delete expired backup": DeleteExpiredBackup(copy_id),
        "alter system validate database": ValidateBackup(BackupPart.DATABASE, 0, copy_id),
        f"alter system validate backupset {number}": ValidateBackup(BackupPart.SET, number, copy_id),
        f"alter system cancel validate {number}": CancelValidate(number, copy_id),
    }
    words, statement = draw(st.sampled_from(list(made.items())))
    return draw(keywords(words if copy_id == 0 else f"{words} copy {copy_id}")), statement


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "charset": st.sampled_from(["utf8mb4", "binary"]),
        "collate": PLAIN_NAMES,
        "comment": TEXTS,
        "locality": TEXTS,
        "primary_zone": PLAIN_NAMES,
        "replica_num": st.integers(0, 9).map(str),
        "source": TEXTS,
        "zone_list": st.lists(PLAIN_NAMES, min_size=1, max_size=3).map(",".join),
    },
)


@st.composite
def created_tenants(draw: st.DrawFn) -> Written:
    """CREATE TENANT with some options, commas between them or not."""
    tenant, if_not_exists, options = draw(PLAIN_NAMES), draw(st.booleans()), draw(OPTIONS)
    written = draw(keywords("create tenant if not exists" if if_not_exists else "create tenant"))
    written += draw(MANDATORY_GAP) + draw(name(tenant))
    for option, value in options.items():
        written += draw(MANDATORY_GAP | st.just(",")) + draw(keyword(option)) + draw(MANDATORY_GAP | st.just("="))
        if option == "zone_list":
            written += draw(names(value.split(","), "name").filter(lambda text: text.startswith("(")))
        elif option in ("comment", "locality", "source"):
            written += draw(string(value))
        else:
            written += value if option == "replica_num" else draw(name(value))
    source = options.pop("source", None)
    kept = tuple((option.upper(), value) for option, value in options.items())
    return written, CreateTenant(tenant, if_not_exists, source, kept)


@st.composite
def tenants(draw: st.DrawFn) -> Written:
    """DROP TENANT and SHOW TENANTS."""
    tenant, if_exists, force = draw(PLAIN_NAMES), draw(st.booleans()), draw(st.booleans())
    if draw(st.booleans()):
        like = draw(TEXTS.filter(lambda text: "\\" not in text))
        return draw(keywords("show tenants like")) + draw(PADDING) + draw(string(like)), ShowTenants(like)
    written = draw(keywords("drop tenant if exists" if if_exists else "drop tenant"))
    written += draw(MANDATORY_GAP) + draw(name(tenant))
    if force:
        written += draw(MANDATORY_GAP) + draw(keyword("force"))
    return written, DropTenant(tenant, if_exists, force)


BARE_OR_BACKTICKED = st.sampled_from(["{}", "`{}`"])


@st.composite
def restores(draw: st.DrawFn) -> Written:
    """RESTORE of a tenant or of tables, and ADD RESTORE SOURCE."""
    form = draw(st.sampled_from(["tenant", "tables", "source"]))
    if form == "source":
        uri = draw(TEXTS)
        return draw(keywords("alter system add restore source")) + draw(PADDING) + draw(string(uri)), AddRestoreSource(
            uri
        )
    tenant, source = draw(PLAIN_NAMES), draw(PLAIN_NAMES)
    at, until, options = draw(st.none() | TEXTS), draw(TEXTS), draw(TEXTS)
    tables = draw(st.lists(st.tuples(st.just("") | PLAIN_NAMES, PLAIN_NAMES), min_size=1, max_size=3))

    def bare(value: str) -> str:
        return draw(BARE_OR_BACKTICKED).format(value)

    words = [draw(keywords("alter system restore"))]
    if form == "tables":
        dot, comma = (f"{draw(PADDING)}{sign}{draw(PADDING)}" for sign in ".,")
        listed = [bare(database) + dot + bare(table) if database else bare(table) for database, table in tables]
        words += [comma.join(listed), draw(keyword("for"))]
    words += [bare(tenant), draw(keyword("from")), bare(source)]
    for word, value in (("at", at), ("until", until), ("with", options)):
        words += [] if value is None else [draw(keyword(word)) + draw(PADDING) + draw(string(value))]
    written = words[0] + "".join(draw(MANDATORY_GAP) + word for word in words[1:])
    if form == "tables":
        return written, RestoreTables(tuple(tables), tenant, source, until, options, at)
    is_preview = draw(st.booleans())
    if is_preview:
        written += draw(PADDING) + draw(keyword("preview"))
    return written, RestoreTenant(tenant, source, until, options, at, is_preview)


CORES = st.one_of(
    archive_switches(), minor_freezes(), sets(), shows(), fixed(), numbered(), restores(), created_tenants(), tenants()
)


@st.composite
def statements(draw: st.DrawFn) -> Written:
    """Any of Redoubt's statements, with blanks and comments before and behind."""
    written, statement = draw(CORES)
    return draw(PADDING) + written + draw(PADDING), statement


WORDS = (
    *("alter", "system", "set", "show", "parameters", "minor", "freeze", "archivelog", "tenant", "like", "where"),
    *("backup", "cancel", "delete", "backupset", "copy", "drop", "if", "exists", "charset", "all", "force", "tenants"),
    *("restore", "source", "from", "for", "at", "until", "with", "preview", "."),
    *("create", "procedure", "definer", "event", "a", "é", "1", "120s", "'x'", "`y`", "'", '"', "`", "\\", ";"),
    *("=", ",", "(", ")", "?", "@", "|", "-", "--", "#", "/*", "/*!", "/*+", "*/", "\n", " "),
)
OTHER_TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join),
    st.lists(st.sampled_from(list("';\"`\\-/*!# \nab")), max_size=25).map("".join),
)
"""Texts that are hardly ever one of our statements, and often almost one."""


@st.composite
def mutations(draw: st.DrawFn) -> str:
    """A statement of ours with one word or two left out, said twice, changed for another or put elsewhere."""
    words = draw(statements())[0].split(" ")
    for _ in range(draw(st.integers(1, 2))):
        at, to = draw(st.integers(0, len(words) - 1)), draw(st.integers(0, len(words)))
        change = draw(st.sampled_from(["", "twice", "other", "moved"]))
        if change == "twice":
            words.insert(to, words[at])
        elif change == "other":
            words[at] = draw(st.sampled_from(WORDS) | st.just("9" * 5000))
        elif len(words) > 1:
            moved = words.pop(at)
            words[to:to] = [moved] if change == "moved" else []
    return " ".join(words)
