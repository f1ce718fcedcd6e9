"""Questions: what the context and the services answer, as lines of text."""
from __future__ import annotations

import re

from postgate import Err, Mailbox, Parameter, address, config, editor, log, mail_data, parts, session, transaction
from wit_world.imports import config as configuration, key_value, sqlite


def parameters(given: list[Parameter]) -> str:
    return "".join(f" {one.keyword}" + (f"={one.value}" if one.value is not None else "") for one in given)


def name_of(value: object) -> str:
    """The case of an enum (`NOT_NOW`) or of a variant (`PartError_NoSuchPart`) as the contract writes it."""
    if hasattr(value, "name"):
        return value.name.lower().replace("_", "-")
    return re.sub(r"(?<=.)([A-Z])", r"-\1", type(value).__name__.split("_")[-1]).lower()


def split(text: str) -> tuple[str, str]:
    first, _, rest = text.partition(" ")
    return first, rest


def mailbox(text: str) -> Mailbox:
    local_part, _, domain = text.rpartition("@")
    return Mailbox(local_part, domain)


def text(value: object) -> str:
    """What a call has answered, where it has not failed."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return value.hex() if isinstance(value, bytes) else str(value)


def attempt(call, show=text) -> str:
    try:
        return show(call())
    except Err as error:
        return name_of(error.value)


def listed(call, show=text) -> list[str]:
    try:
        return [show(one) for one in call()]
    except Err as error:
        return [name_of(error.value)]


def done(call) -> list[str]:
    return [attempt(call, lambda _: "ok")]


def ask(question: str) -> list[str]:
    word, rest = split(question)
    if word not in QUESTIONS:
        return ["unknown"]
    return QUESTIONS[word](rest, *split(rest))


def session_lines() -> list[str]:
    local, hello, tls, identity = session.local(), session.hello(), session.tls(), session.identity()
    return [
        f"id={text(session.id() != '')}",
        f"listener={session.listener()}",
        f"remote={session.remote().address}",
        f"local={local.address}:{local.port}",
        f"hello={f'{name_of(hello.greeting)} {hello.name}' if hello else 'none'}",
        f"tls={tls.version if tls else 'none'}",
        f"identity={f'{identity.name} {identity.mechanism}' if identity else 'none'}",
        f"early-talker={text(session.early_talker())}",
        f"illegal-pipelining={session.illegal_pipelining()}",
    ]


def transaction_lines() -> list[str]:
    def verdict(one) -> str:
        return f"{name_of(one.hook)} {name_of(one.kind)} {address(one.recipient) if one.recipient else 'none'} {one.plugin}"

    return [
        "id=" + attempt(transaction.id, lambda id: text(id != "")),
        "reverse-path=" + attempt(transaction.reverse_path, lambda path: address(path) if path else "<>"),
        "parameters=" + attempt(transaction.parameters, parameters),
        "recipients=" + attempt(
            transaction.recipients, lambda all: ", ".join(address(one.mailbox) + parameters(one.parameters) for one in all)),
        "declared-size=" + attempt(transaction.declared_size),
        "verdicts=" + attempt(transaction.verdicts, lambda all: ", ".join(verdict(one) for one in all)),
    ]


def mail_data_lines() -> list[str]:
    return [
        "size=" + attempt(mail_data.size),
        "body-offset=" + attempt(mail_data.body_offset),
        "header=" + attempt(mail_data.header, lambda all: ",".join(field.name for field in all)),
    ]


def octets_and_sum() -> str:
    """How many octets there are, and the sum of every 64th."""
    offset = total = 0
    while window := mail_data.read(offset, 65536):
        offset += len(window)
        total += sum(window[::64])
    return f"{offset} {total}"


def part(one: parts.Part) -> str:
    facts = [
        one.number, one.parent, one.media_type, one.charset, one.file_name, one.attachment, one.content_id, one.size]
    return " ".join(text(fact) for fact in facts)


def content(rest: str) -> list[str]:
    number, offset, length = map(int, rest.split(" "))
    return [attempt(lambda: parts.content(number, offset, length))]


def read(rest: str) -> list[str]:
    offset, length = map(int, rest.split(" "))
    return [attempt(lambda: mail_data.read(offset, length))]


def set_log(level: str, message: str) -> list[str]:
    getattr(log, level)(message)
    return ["ok"]


def values(integer: int) -> str:
    given = [
        sqlite.Value_Null(), sqlite.Value_Integer(integer), sqlite.Value_Real(0.5),
        sqlite.Value_Text("Grüße, 世界"), sqlite.Value_Blob(b"\x00\xff")]
    table = sqlite.query("SELECT ?1, ?2, ?3, ?4, ?5", given)
    rows = [" ".join("null" if isinstance(one, sqlite.Value_Null) else text(one.value) for one in row) for row in table.rows]
    return f"{len(table.columns)} {' / '.join(rows)}"


def insert(n: str, behind: str) -> list[str]:
    name, value = split(behind)
    return done(lambda: editor.insert_field(int(n), name, value.encode()))


def replace(name: str, behind: str) -> list[str]:
    n, value = split(behind)
    return [attempt(lambda: editor.replace_field(name, int(n), value.encode()))]


def replace_part(n: str, behind: str) -> list[str]:
    media_type, value = split(behind)
    return [attempt(lambda: editor.replace_part(int(n), media_type, value.encode()))]


# What stands behind the word, its first word, and what stands behind that.
QUESTIONS = {
    "echo": lambda rest, first, behind: [rest],
    "nothing": lambda rest, first, behind: [],
    "lines": lambda rest, first, behind: [f"line {n}" for n in range(1, int(rest) + 1)],
    "session": lambda rest, first, behind: session_lines(),
    "transaction": lambda rest, first, behind: transaction_lines(),
    "mail-data": lambda rest, first, behind: mail_data_lines(),
    "field": lambda rest, first, behind: listed(lambda: mail_data.field(rest), lambda value: value.decode()),
    "read": lambda rest, first, behind: read(rest),
    "sum": lambda rest, first, behind: [attempt(octets_and_sum)],
    "parts": lambda rest, first, behind: listed(parts.all, part),
    "content": lambda rest, first, behind: content(rest),
    "text": lambda rest, first, behind: [attempt(lambda: parts.text(int(rest)))],
    "addresses": lambda rest, first, behind: listed(
        lambda: parts.addresses(rest), lambda one: f"{text(one.name)} <{one.address}>"),
    "note": lambda rest, first, behind: [text(session.note(rest))],
    "set": lambda rest, first, behind: done(lambda: session.set_note(first, behind)),
    "fill": lambda rest, first, behind: done(lambda: session.set_note(first, "x" * int(behind))),
    "config": lambda rest, first, behind: [text(config(*rest.split(" ")))],
    "table": lambda rest, first, behind: [configuration.table()],
    "log": lambda rest, first, behind: set_log(first, behind),
    "prepend": lambda rest, first, behind: done(lambda: editor.prepend_field(first, behind.encode())),
    "append": lambda rest, first, behind: done(lambda: editor.append_field(first, behind.encode())),
    "insert": lambda rest, first, behind: insert(first, behind),
    "replace": lambda rest, first, behind: replace(first, behind),
    "remove": lambda rest, first, behind: [attempt(lambda: editor.remove_fields(rest))],
    "body": lambda rest, first, behind: done(lambda: editor.replace_body(f"{rest}\r\n".encode())),
    "replace-part": lambda rest, first, behind: replace_part(first, behind),
    "remove-part": lambda rest, first, behind: [attempt(lambda: editor.remove_part(int(rest)))],
    "reverse-path": lambda rest, first, behind: done(
        lambda: editor.set_reverse_path(None if rest == "<>" else mailbox(rest))),
    "add": lambda rest, first, behind: done(lambda: editor.add_recipient(mailbox(rest))),
    "drop": lambda rest, first, behind: [attempt(lambda: editor.remove_recipient(mailbox(rest)))],
    "put": lambda rest, first, behind: done(lambda: key_value.set(first, behind.encode(), None)),
    "get": lambda rest, first, behind: [attempt(lambda: key_value.get(rest))],
    "increment": lambda rest, first, behind: [attempt(lambda: key_value.increment(first, int(behind), None))],
    "values": lambda rest, first, behind: [attempt(lambda: values(int(rest)))],
    "sql": lambda rest, first, behind: [attempt(lambda: len(sqlite.query(rest, []).rows))],
}
