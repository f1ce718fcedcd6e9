"""Short words for what a plugin says and asks, over the bindings that are made of wit/.

Answers are constants (`NEXT`, `ACCEPT`) and functions (`reject(550, "5.1.1", "no such user")`). The hooks with answers of their own
have a class of the same name here: `message`, `deliver`, `verify`, `expand`, `authenticate`.
"""
# The bindings have a hook only where wit/world.wit exports it.
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false
# mypy: disable-error-code="attr-defined, name-defined, import-not-found"
from __future__ import annotations

import json
from typing import Any

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import editor, mail_data, parts, session, transaction
from wit_world.imports.types import (
    DirectoryEntry, EnhancedStatus, Mailbox, Parameter, Reply, Verdict, Verdict_Accept, Verdict_Defer, Verdict_Disconnect,
    Verdict_Next, Verdict_Reject)

try:
    from wit_world.imports import log as _log
except ImportError:  # `import postgate:mail/log` was taken out of the world: nothing is written.
    _log = None  # type: ignore[assignment]
try:
    from wit_world.imports import config as _config
except ImportError:  # `import postgate:mail/config` was taken out of the world: nothing is configured.
    _config = None  # type: ignore[assignment]

__all__ = [
    "ACCEPT", "DirectoryEntry", "Err", "Mailbox", "NEXT", "Parameter", "Reply", "Verdict", "address", "authenticate", "config",
    "config_table", "defer", "deliver", "disconnect", "editor", "entry", "expand", "exports", "log", "mail_data", "message", "parts",
    "reject", "reply", "session", "transaction", "verify"]

NEXT: Verdict = Verdict_Next()
"""No opinion: the next plugin of the chain is asked."""
ACCEPT: Verdict = Verdict_Accept()
"""Yes, and the rest of the chain is not asked at this hook."""


def reply(code: int, enhanced: str, text: str) -> Reply:
    """A reply such as `reply(550, "5.1.1", "no such user")`; each line of the text is a line of the reply, and no enhanced status
    code (`""`) stands for the general one."""
    status = EnhancedStatus(*(int(number) for number in enhanced.split("."))) if enhanced else None
    return Reply(code, status, text.splitlines())


def reject(code: int, enhanced: str, text: str) -> Verdict:
    """No, for good: `reject(550, "5.1.1", "no such user")`."""
    return Verdict_Reject(reply(code, enhanced, text))


def defer(code: int, enhanced: str, text: str) -> Verdict:
    """Not now: `defer(451, "4.3.0", "try again later")`."""
    return Verdict_Defer(reply(code, enhanced, text))


def disconnect(code: int, enhanced: str, text: str) -> Verdict:
    """As `reject`, and the connection is closed."""
    return Verdict_Disconnect(reply(code, enhanced, text))


def address(mailbox: Mailbox | None) -> str:
    """`alice@example.org`; empty for the null reverse-path."""
    if mailbox is None:
        return ""
    return f"{mailbox.local_part}@{mailbox.domain}" if mailbox.domain else mailbox.local_part


def entry(full_name: str | None, local_part: str, domain: str) -> DirectoryEntry:
    """For the answers to VRFY and EXPN."""
    return DirectoryEntry(full_name, Mailbox(local_part, domain))


class message:
    """What `on_message` answers."""
    if hasattr(exports, "message"):
        NEXT = exports.message.MessageVerdict_Next()
        ACCEPT = exports.message.MessageVerdict_Accept()

    @staticmethod
    def reject(code: int, enhanced: str, text: str) -> exports.message.MessageVerdict:
        """No, for good."""
        return exports.message.MessageVerdict_Reject(reply(code, enhanced, text))

    @staticmethod
    def defer(code: int, enhanced: str, text: str) -> exports.message.MessageVerdict:
        """Not now."""
        return exports.message.MessageVerdict_Defer(reply(code, enhanced, text))

    @staticmethod
    def disconnect(code: int, enhanced: str, text: str) -> exports.message.MessageVerdict:
        """As `reject`, and the connection is closed."""
        return exports.message.MessageVerdict_Disconnect(reply(code, enhanced, text))

    @staticmethod
    def discard(reason: str) -> exports.message.MessageVerdict:
        """The client is told 250, and the message is thrown away."""
        return exports.message.MessageVerdict_Discard(reason)

    @staticmethod
    def quarantine(label: str) -> exports.message.MessageVerdict:
        """The client is told 250, and the message is kept for a person."""
        return exports.message.MessageVerdict_Quarantine(label)


class deliver:
    """What `on_deliver` answers for each recipient."""
    if hasattr(exports, "deliver"):
        NEXT = exports.deliver.Outcome_Next()
        DELIVERED = exports.deliver.Outcome_Delivered()

    @staticmethod
    def failed(code: int, enhanced: str, text: str) -> exports.deliver.Outcome:
        """It can't be delivered, ever."""
        return exports.deliver.Outcome_Failed(reply(code, enhanced, text))

    @staticmethod
    def deferred(code: int, enhanced: str, text: str) -> exports.deliver.Outcome:
        """It can't be delivered now."""
        return exports.deliver.Outcome_Deferred(reply(code, enhanced, text))


class authenticate:
    """What `on_authenticate` answers."""
    if hasattr(exports, "authenticate"):
        NEXT = exports.authenticate.Authentication_Next()
        FAILURE = exports.authenticate.Authentication_Failure()
        TEMPORARY_FAILURE = exports.authenticate.Authentication_TemporaryFailure()

    @staticmethod
    def identity(name: str) -> exports.authenticate.Authentication:
        """These are the credentials of this user."""
        return exports.authenticate.Authentication_Identity(name)


class verify:
    """What `on_verify` answers."""
    if hasattr(exports, "verify"):
        NEXT = exports.verify.Verification_Next()

    @staticmethod
    def found(who: DirectoryEntry) -> exports.verify.Verification:
        """250 with this mailbox."""
        return exports.verify.Verification_Found(who)

    @staticmethod
    def reply(code: int, enhanced: str, text: str) -> exports.verify.Verification:
        """A reply of the plugin's own."""
        return exports.verify.Verification_Reply(reply(code, enhanced, text))


class expand:
    """What `on_expand` answers."""
    if hasattr(exports, "expand"):
        NEXT = exports.expand.Expansion_Next()

    @staticmethod
    def members(who: list[DirectoryEntry]) -> exports.expand.Expansion:
        """250 with a line for each."""
        return exports.expand.Expansion_Members(who)

    @staticmethod
    def reply(code: int, enhanced: str, text: str) -> exports.expand.Expansion:
        """A reply of the plugin's own."""
        return exports.expand.Expansion_Reply(reply(code, enhanced, text))


class log:
    """Into the gateway's log: one short phrase, always the same for the same thing, and the facts as fields.

    `log.info("greylisted", client=session.remote().address)`
    """

    @staticmethod
    def debug(message: str, **fields: object) -> None:
        _write("DEBUG", message, fields)

    @staticmethod
    def info(message: str, **fields: object) -> None:
        _write("INFO", message, fields)

    @staticmethod
    def warn(message: str, **fields: object) -> None:
        _write("WARN", message, fields)

    @staticmethod
    def error(message: str, **fields: object) -> None:
        _write("ERROR", message, fields)


def _write(level: str, message: str, fields: dict[str, object]) -> None:
    if _log is not None:
        _log.write(_log.Level[level], message, [(name, str(value)) for name, value in fields.items()])


def config(*path: str) -> str | None:
    """One value of `[plugin.NAME.config]` by its keys: `config("domain")`. Text as it is, everything else as JSON."""
    return _config.value(list(path)) if _config is not None else None


def config_table() -> dict[str, Any]:
    """All of `[plugin.NAME.config]`."""
    return json.loads(_config.table()) if _config is not None else {}
