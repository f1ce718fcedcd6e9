"""A plugin of one hook, in Python: asks for its context, and decides about recipients.

Proves the contract together with its twins in Rust and JavaScript, which do the same: it rejects `no-550`, accepts
everyone else, and leaves what it has learned in the note `one-hook`:

    ADDRESS GREETING HELLO-NAME IDENTITY <REVERSE-PATH> RECIPIENTS-SO-FAR

with `-` for what there is not. Where the context answers otherwise than the contract says it defers, with the reason.
"""
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import editor, mail_data, session, transaction
from wit_world.imports.types import (
    EnhancedStatus, Mailbox, Reply, Verdict_Accept, Verdict_Defer, Verdict_Reject)


class Recipient(exports.Recipient):
    def on_recipient(self, recipient, parameters):
        if recipient.local_part == "no-550":
            return Verdict_Reject(Reply(550, EnhancedStatus(5, 1, 1), ["policy says no"]))
        try:
            learned = describe_context()
            expect_not_now("editor", lambda: editor.append_field("X-One-Hook", b"python"), editor.EditError_NotNow())
            expect_not_now("mail-data", mail_data.size, transaction.ContextError.NOT_NOW)
            session.set_note("one-hook", learned)
            if session.note("one-hook") != learned:
                raise Surprise("the note was not kept")
        except Surprise as surprise:
            return Verdict_Defer(Reply(451, EnhancedStatus(4, 3, 0), [str(surprise)]))
        except Err as error:
            return Verdict_Defer(Reply(451, EnhancedStatus(4, 3, 0), [f"context answers {error.value}"]))
        return Verdict_Accept()


class Surprise(Exception):
    """The host did not do what the contract says."""


def describe_context():
    """What is known of the session and the transaction, in one line."""
    hello = session.hello()
    greeting = f"{hello.greeting.name.lower()} {hello.name}" if hello else "- -"
    identity = session.identity()
    name = identity.name if identity else "-"
    reverse_path = transaction.reverse_path()
    sender = path_text(reverse_path) if reverse_path else ""
    return f"{session.remote().address} {greeting} {name} <{sender}> {len(transaction.recipients())}"


def path_text(mailbox: Mailbox):
    return f"{mailbox.local_part}@{mailbox.domain}"


def expect_not_now(what, call, not_now):
    """At this hook the host must refuse this call."""
    try:
        call()
    except Err as error:
        if error.value == not_now:
            return
        raise Surprise(f"{what} answers {error.value}")
    raise Surprise(f"{what} answers at the recipient hook")
