"""@@NAME@@: a plugin for Postgate.

A class for each hook, with the hook's name and one method, which is called at its moment of the SMTP dialogue. What the arguments
don't say is asked of `session` and `transaction`, and of `mail_data` and `parts` once the message is there.
"""
from postgate import *
#@hook setup
from wit_world.exports.setup import SettingProblem
#@end
#@hook hello
from wit_world.exports.hello import HelloAnswer
#@end
#@hook authenticate
from wit_world.exports.authenticate import Authentication, Credentials, Credentials_Password
#@end
#@hook message
from wit_world.exports.message import MessageVerdict
#@end
#@hook deliver
from wit_world.exports.deliver import Outcome
#@end
#@hook verify
from wit_world.exports.verify import Verification
#@end
#@hook expand
from wit_world.exports.expand import Expansion
#@end
#@hook observe
from wit_world.exports.observe import Event, Event_SessionEnd, Event_TransactionOutcome
#@end
#@hook setup

class Setup(exports.Setup):
    def on_setup(self) -> list[SettingProblem]:
        """The plugin has been loaded, there is no client yet. Answers what is wrong with its configuration; nothing is well."""
        if config("domain") is None:
            return [SettingProblem(["domain"], 'set the domain whose mail is taken, such as "example.org"')]
        return []

#@end
#@hook connect

class Connect(exports.Connect):
    def on_connect(self) -> Verdict:
        """A client has connected, before the banner. NEXT, ACCEPT, reject, defer or disconnect."""
        client = session.remote().address
        if client == "192.0.2.66":
            return reject(554, "5.7.1", f"no mail from {client}")
        return NEXT

#@end
#@hook hello

class Hello(exports.Hello):
    def on_hello(self) -> HelloAnswer:
        """HELO, EHLO or LHLO. A verdict, and lines that the EHLO reply shall have besides those of the host."""
        hello = session.hello()
        keywords = ["XSAMPLE"]
        if hello and hello.name == "localhost":
            return HelloAnswer(reject(550, "5.7.1", "you are not localhost"), keywords)
        return HelloAnswer(NEXT, keywords)

#@end
#@hook starttls

class Starttls(exports.Starttls):
    def on_starttls(self) -> Verdict:
        """STARTTLS, before the handshake. NEXT, ACCEPT, reject, defer or disconnect."""
        log.info("handshake begins", client=session.remote().address)
        return NEXT

#@end
#@hook authenticate

class Authenticate(exports.Authenticate):
    def on_authenticate(self, mechanism: str, credentials: Credentials) -> Authentication:
        """AUTH. Who the client is, or that these are nobody's credentials; `authenticate.NEXT` where the plugin does not know the user.

        A real plugin has no passwords in its text: see the service `passwords`.
        """
        if isinstance(credentials, Credentials_Password) and credentials.value.user == "alice":
            return authenticate.identity("alice") if credentials.value.password == "wonderland" else authenticate.FAILURE
        return authenticate.NEXT

#@end
#@hook mail

class Mail(exports.Mail):
    def on_mail(self, reverse_path: Mailbox | None, parameters: list[Parameter]) -> Verdict:
        """MAIL FROM; None is the null reverse-path of notifications. NEXT, ACCEPT, reject, defer or disconnect."""
        if reverse_path and reverse_path.domain == "spam.example":
            return reject(550, "5.7.1", "no mail from spam.example")
        return NEXT

#@end
#@hook recipient

class Recipient(exports.Recipient):
    def on_recipient(self, recipient: Mailbox, parameters: list[Parameter]) -> Verdict:
        """RCPT TO, once for each. NEXT, ACCEPT, reject, defer or disconnect. A recipient that no plugin accepts is refused."""
        if recipient.domain != config("domain"):
            return NEXT
        if recipient.local_part == "nobody":
            return reject(550, "5.1.1", "no such user")
        if recipient.local_part == "later":
            return defer(450, "4.2.1", "come again later")
        return ACCEPT

#@end
#@hook data

class Data(exports.Data):
    def on_data(self) -> Verdict:
        """DATA, or the first BDAT, before any mail data. NEXT, ACCEPT, reject, defer or disconnect."""
        if transaction.reverse_path() is None and len(transaction.recipients()) > 1:
            return reject(550, "5.7.1", "a notification has one recipient")
        return NEXT

#@end
#@hook chunk

class Chunk(exports.Chunk):
    def on_chunk(self, size: int, last: bool) -> Verdict:
        """BDAT, before its octets. NEXT, ACCEPT, reject, defer or disconnect."""
        if size > 1_000_000:
            return reject(552, "5.3.4", "send smaller chunks")
        return NEXT

#@end
#@hook message

class Message(exports.Message):
    def on_message(self) -> MessageVerdict:
        """The message is there, and can be read and edited. The answers are those of the class `message`."""
        if any("casino" in subject for subject in parts.field("Subject")):
            return message.reject(550, "5.7.1", "no casinos")
        try:
            editor.append_field("X-Checked-By", b"@@NAME@@")
        except Err as error:
            log.error("edit refused", problem=error.value)
            return message.defer(451, "4.3.0", "try again later")
        return message.NEXT

#@end
#@hook deliver

class Deliver(exports.Deliver):
    def on_deliver(self, recipients: list[Mailbox]) -> list[Outcome]:
        """Hands the message over: one outcome for each recipient, in the same order. The answers are those of the class `deliver`.

        This sample stores NOTHING: whoever answers DELIVERED must have the message safe. See the services `maildir` and `submit`.
        """
        return [self.outcome(recipient) for recipient in recipients]

    def outcome(self, recipient: Mailbox) -> Outcome:
        if recipient.local_part == "full":
            return deliver.deferred(452, "4.2.2", "mailbox full")
        log.info("delivered", recipient=address(recipient))
        return deliver.DELIVERED

#@end
#@hook verify

class Verify(exports.Verify):
    def on_verify(self, argument: str) -> Verification:
        """VRFY. The answers are those of the class `verify`."""
        return verify.found(entry("Alice", "alice", "example.org")) if argument == "alice" else verify.NEXT

#@end
#@hook expand

class Expand(exports.Expand):
    def on_expand(self, argument: str) -> Expansion:
        """EXPN. The answers are those of the class `expand`."""
        if argument != "staff":
            return expand.NEXT
        return expand.members([entry("Alice", "alice", "example.org"), entry("Bob", "bob", "example.org")])

#@end
#@hook command

class Command(exports.Command):
    def on_command(self, verb: str, argument: str) -> Reply | None:
        """A verb that the host does not know. A reply, or None where the plugin does not know it either."""
        return reply(250, "2.0.0", f"you said {argument}") if verb == "XSAMPLE" else None

#@end
#@hook observe

class Observe(exports.Observe):
    def on_event(self, event: Event) -> None:
        """Something has happened; nothing can be changed any more."""
        if isinstance(event, Event_TransactionOutcome):
            log.info("transaction ended", **{address(fate.recipient): fate.fate.name.lower() for fate in event.value})
        elif isinstance(event, Event_SessionEnd):
            log.info("session ended", end=event.value.name.lower())
        else:
            log.info("transaction reset")
#@end
