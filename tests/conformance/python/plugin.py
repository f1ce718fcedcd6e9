"""The plugin of the conformance kit in Python: what it does stands in ../plugin.md. Its questions are in question.py."""
import sys

from postgate import *
from question import address, ask, parameters, name_of
from wit_world.exports.setup import SettingProblem
from wit_world.exports.hello import HelloAnswer
from wit_world.exports.authenticate import (
    Authentication, Authentication_Keys, Credentials, Credentials_Certificate, Credentials_Password, Credentials_Token, ScramKeys)
from wit_world.exports.message import MessageVerdict, MessageVerdict_Defer, MessageVerdict_Disconnect, MessageVerdict_Reject
from wit_world.exports.deliver import Outcome
from wit_world.exports.verify import Verification
from wit_world.exports.expand import Expansion
from wit_world.exports.observe import Event, Event_SessionEnd, Event_TransactionOutcome
from wit_world.imports.types import Verdict_Defer, Verdict_Disconnect, Verdict_Reject


def told(name: str) -> str:
    """A note, or else a setting, of this name; empty where there is neither."""
    note = session.note(name)
    return note if note is not None else config(name) or ""


def answered(question: str) -> None:
    log.info("answered", question=question, answer=" / ".join(ask(question)))


def asked(hook: str, argument: str) -> None:
    log.info("asked", hook=hook, argument=argument)
    question = told(f"ask-{hook}")
    if question:
        answered(question)


def told_to_trap() -> None:
    raise RuntimeError("told to trap")


def deed(word: str) -> None:
    if word == "trap":
        told_to_trap()
    elif word == "loop":
        while True:
            pass
    elif word == "grow":
        kept = []
        while True:
            kept.append(b"\x01" * (1 << 20))
    elif word == "print":
        print("to standard output")
        print("to standard error", file=sys.stderr)


SAID = {
    "ok": ("reject", reply(250, "2.0.0", "at your service")),
    "reject": ("reject", reply(550, "5.1.1", "no such user")),
    "general": ("reject", reply(550, "", "no such user")),
    "silent": ("reject", reply(550, "", "")),
    "lines": ("reject", reply(550, "5.1.1", "first\nsecond\nthird")),
    "many": ("reject", reply(550, "5.1.1", "\n".join(f"line {n}" for n in range(1, 17)))),
    "edges": ("reject", reply(559, "5.999.0", "edges")),
    "unicode": ("reject", reply(550, "5.1.1", "Grüße, 世界")),
    "defer": ("defer", reply(450, "4.2.1", "come again later")),
    "disconnect": ("disconnect", reply(554, "5.7.1", "go away")),
}
VERDICTS = {"reject": Verdict_Reject, "defer": Verdict_Defer, "disconnect": Verdict_Disconnect}
MESSAGE_VERDICTS = {"reject": MessageVerdict_Reject, "defer": MessageVerdict_Defer, "disconnect": MessageVerdict_Disconnect}


def verdict(word: str, otherwise: Verdict = NEXT) -> Verdict:
    deed(word)
    if word == "accept":
        return ACCEPT
    if word not in SAID:
        return otherwise
    kind, words = SAID[word]
    return VERDICTS[kind](words)


class Setup(exports.Setup):
    def on_setup(self) -> list[SettingProblem]:
        if config("setup") != "wrong":
            return []
        return [SettingProblem(["setup"], "must not be wrong"), SettingProblem([], "nor the table: Grüße")]


class Connect(exports.Connect):
    def on_connect(self) -> Verdict:
        asked("connect", "")
        return verdict(told("connect"))


class Hello(exports.Hello):
    def on_hello(self) -> HelloAnswer:
        hello = session.hello()
        name = hello.name if hello else ""
        asked("hello", name)
        word = name.split(".")[0]
        keywords = {"none": [], "eight": [f"XKEY{n} of eight" for n in range(1, 9)]}.get(word, ["XASK"])
        return HelloAnswer(verdict(word), keywords)


class Starttls(exports.Starttls):
    def on_starttls(self) -> Verdict:
        asked("starttls", "")
        return verdict(told("starttls"))


class Authenticate(exports.Authenticate):
    def on_authenticate(self, mechanism: str, credentials: Credentials) -> Authentication:
        given = credentials.value
        if isinstance(credentials, Credentials_Password):
            asked("authenticate", f"{mechanism} password {given.user} {given.password}")
            deed(given.user)
            if given.user == "alice":
                return authenticate.identity("alice") if given.password == "wonderland" else authenticate.FAILURE
            if given.user == "zoë":
                return authenticate.identity("zoë")
            return authenticate.TEMPORARY_FAILURE if given.user == "later" else authenticate.NEXT
        if isinstance(credentials, Credentials_Token):
            asked("authenticate", f"{mechanism} token {given.user} {given.token}")
            return authenticate.identity(given.user) if given.token == "wonderland" else authenticate.FAILURE
        if isinstance(credentials, Credentials_Certificate):
            asked("authenticate", f"{mechanism} certificate {given.user} {','.join(given.names)}")
            return authenticate.identity(given.names[0]) if given.names else authenticate.FAILURE
        asked("authenticate", f"{mechanism} scram {given.user} {given.hash}")
        if given.user == "alice":
            return Authentication_Keys(ScramKeys("alice", b"salt", 4096, b"\x00" * 32, b"\xff" * 32))
        return authenticate.TEMPORARY_FAILURE if given.user == "later" else authenticate.FAILURE


class Mail(exports.Mail):
    def on_mail(self, reverse_path: Mailbox | None, given: list[Parameter]) -> Verdict:
        asked("mail", (address(reverse_path) if reverse_path else "<>") + parameters(given))
        return verdict(reverse_path.local_part if reverse_path else "")


class Recipient(exports.Recipient):
    def on_recipient(self, recipient: Mailbox, given: list[Parameter]) -> Verdict:
        asked("recipient", address(recipient) + parameters(given))
        return verdict(recipient.local_part, NEXT if recipient.local_part == "nobody" else ACCEPT)


class Data(exports.Data):
    def on_data(self) -> Verdict:
        asked("data", "")
        return verdict(told("data"))


class Chunk(exports.Chunk):
    def on_chunk(self, size: int, last: bool) -> Verdict:
        asked("chunk", f"{size} {str(last).lower()}")
        return verdict(told("chunk"))


class Message(exports.Message):
    def on_message(self) -> MessageVerdict:
        asked("message", "")
        for question in mail_data.field("X-Do"):
            answered(question.decode())
        words = mail_data.field("X-Verdict")
        word = words[0].decode() if words else told("message")
        deed(word)
        if word == "accept":
            return message.ACCEPT
        if word == "discard":
            return message.discard("not wanted")
        if word == "quarantine":
            return message.quarantine("suspicious")
        if word not in SAID:
            return message.NEXT
        kind, words = SAID[word]
        return MESSAGE_VERDICTS[kind](words)


class Deliver(exports.Deliver):
    def on_deliver(self, recipients: list[Mailbox]) -> list[Outcome]:
        asked("deliver", " ".join(address(recipient) for recipient in recipients))
        deed(told("deliver"))
        outcomes = {
            "next": deliver.NEXT,
            "never": deliver.failed(550, "5.1.1", "no such user"),
            "later": deliver.deferred(450, "4.2.1", "come again later"),
        }
        return [outcomes.get(recipient.local_part, deliver.DELIVERED) for recipient in recipients]


class Verify(exports.Verify):
    def on_verify(self, argument: str) -> Verification:
        asked("verify", argument)
        deed(argument)
        found = {"alice": ("Alice", "alice"), "bob": (None, "bob"), "zoe": ("Zoë", "zoë")}.get(argument)
        if found:
            return verify.found(entry(*found, "example.org"))
        return verify.reply(550, "5.1.1", "no such user") if argument == "never" else verify.NEXT


class Expand(exports.Expand):
    def on_expand(self, argument: str) -> Expansion:
        asked("expand", argument)
        deed(argument)
        if argument == "never":
            return expand.reply(550, "5.1.1", "no such user")
        lists = {
            "staff": [("Alice", "alice"), (None, "bob")],
            "hundred": [(None, f"user{n}") for n in range(1, 101)],
            "empty": [],
        }
        if argument not in lists:
            return expand.NEXT
        return expand.members([entry(*one, "example.org") for one in lists[argument]])


class Command(exports.Command):
    def on_command(self, verb: str, argument: str) -> Reply | None:
        asked("command", f"{verb} {argument}")
        if verb == "XASK":
            answer = reply(250, "2.0.0", "")
            answer.text = ask(argument)
            return answer
        return SAID[argument][1] if verb == "XSAY" and argument in SAID else None


class Observe(exports.Observe):
    def on_event(self, event: Event) -> None:
        argument = "transaction-reset"
        if isinstance(event, Event_TransactionOutcome):
            fates = [f" {address(one.recipient)}={name_of(one.fate)}/{one.plugin or 'none'}" for one in event.value]
            argument = "transaction-outcome" + "".join(fates)
        elif isinstance(event, Event_SessionEnd):
            argument = f"session-end {name_of(event.value)}"
        asked("observe", argument)
        deed(told("observe"))
