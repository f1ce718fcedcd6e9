// @@NAME@@: a plugin for Postgate.
//
// An object for each hook, with the hook's name and one function, which is called at its moment of the SMTP dialogue. What the
// arguments don't say is asked of `session` and `transaction`, and of `mail-data` and `parts` once the message is there.

//@hook connect hello starttls
import * as session from "postgate:mail/session@0.1.0";
//@end
//@hook data
import * as transaction from "postgate:mail/transaction@0.1.0";
//@end
//@hook message
import * as editor from "postgate:mail/editor@0.1.0";
import * as parts from "postgate:mail/parts@0.1.0";
//@end
import * as postgate from "./postgate.js";

//@hook setup
/**
 * The plugin has been loaded, there is no client yet. Answers what is wrong with its configuration; nothing is well.
 * @type {typeof import("postgate:mail/setup@0.1.0")}
 */
export const setup = {
  onSetup() {
    if (postgate.config("domain") !== undefined) return [];
    return [{ path: ["domain"], message: 'set the domain whose mail is taken, such as "example.org"' }];
  },
};

//@end
//@hook connect
/**
 * A client has connected, before the banner. next, accept, reject, defer or disconnect.
 * @type {typeof import("postgate:mail/connect@0.1.0")}
 */
export const connect = {
  onConnect() {
    const client = session.remote().address;
    return client === "192.0.2.66" ? postgate.reject(554, "5.7.1", `no mail from ${client}`) : postgate.next;
  },
};

//@end
//@hook hello
/**
 * HELO, EHLO or LHLO. A verdict, and lines that the EHLO reply shall have besides those of the host.
 * @type {typeof import("postgate:mail/hello@0.1.0")}
 */
export const hello = {
  onHello() {
    const isLocalhost = session.hello()?.name === "localhost";
    const verdict = isLocalhost ? postgate.reject(550, "5.7.1", "you are not localhost") : postgate.next;
    return { verdict, keywords: ["XSAMPLE"] };
  },
};

//@end
//@hook starttls
/**
 * STARTTLS, before the handshake. next, accept, reject, defer or disconnect.
 * @type {typeof import("postgate:mail/starttls@0.1.0")}
 */
export const starttls = {
  onStarttls() {
    postgate.log.info("handshake begins", { client: session.remote().address });
    return postgate.next;
  },
};

//@end
//@hook authenticate
/**
 * AUTH. identity, failure or temporaryFailure; next where the plugin does not know the user.
 *
 * A real plugin has no passwords in its text: see the service `passwords`.
 * @type {typeof import("postgate:mail/authenticate@0.1.0")}
 */
export const authenticate = {
  onAuthenticate(mechanism, credentials) {
    if (credentials.tag !== "password" || credentials.val.user !== "alice") return postgate.next;
    return credentials.val.password === "wonderland" ? postgate.identity("alice") : postgate.failure;
  },
};

//@end
//@hook mail
/**
 * MAIL FROM; the null reverse-path of notifications is undefined. next, accept, reject, defer or disconnect.
 * @type {typeof import("postgate:mail/mail@0.1.0")}
 */
export const mail = {
  onMail(reversePath, parameters) {
    if (reversePath?.domain === "spam.example") return postgate.reject(550, "5.7.1", "no mail from spam.example");
    return postgate.next;
  },
};

//@end
//@hook recipient
/**
 * RCPT TO, once for each. next, accept, reject, defer or disconnect. A recipient that no plugin accepts is refused.
 * @type {typeof import("postgate:mail/recipient@0.1.0")}
 */
export const recipient = {
  onRecipient(recipient, parameters) {
    if (recipient.domain !== postgate.config("domain")) return postgate.next;
    switch (recipient.localPart) {
      case "nobody":
        return postgate.reject(550, "5.1.1", "no such user");
      case "later":
        return postgate.defer(450, "4.2.1", "come again later");
      default:
        return postgate.accept;
    }
  },
};

//@end
//@hook data
/**
 * DATA, or the first BDAT, before any mail data. next, accept, reject, defer or disconnect.
 * @type {typeof import("postgate:mail/data@0.1.0")}
 */
export const data = {
  onData() {
    if (!transaction.reversePath() && transaction.recipients().length > 1) {
      return postgate.reject(550, "5.7.1", "a notification has one recipient");
    }
    return postgate.next;
  },
};

//@end
//@hook chunk
/**
 * BDAT, before its octets. next, accept, reject, defer or disconnect.
 * @type {typeof import("postgate:mail/chunk@0.1.0")}
 */
export const chunk = {
  onChunk(size, last) {
    return size > 1_000_000 ? postgate.reject(552, "5.3.4", "send smaller chunks") : postgate.next;
  },
};

//@end
//@hook message
/**
 * The message is there, and can be read and edited. next, accept, reject, defer, disconnect, discard or quarantine.
 * @type {typeof import("postgate:mail/message@0.1.0")}
 */
export const message = {
  onMessage() {
    if (parts.field("Subject").some((subject) => subject.includes("casino"))) {
      return postgate.reject(550, "5.7.1", "no casinos");
    }
    try {
      editor.appendField("X-Checked-By", postgate.octets("@@NAME@@"));
    } catch (error) {
      postgate.log.error("edit refused", { problem: postgate.problem(error) });
      return postgate.defer(451, "4.3.0", "try again later");
    }
    return postgate.next;
  },
};

//@end
//@hook deliver
/**
 * Hands the message over: one outcome for each recipient, in the same order. next, delivered, failed or deferred.
 *
 * This sample stores NOTHING: whoever answers `delivered` must have the message safe. See the services `maildir` and `submit`.
 * @type {typeof import("postgate:mail/deliver@0.1.0")}
 */
export const deliver = {
  onDeliver(recipients) {
    return recipients.map((recipient) => {
      if (recipient.localPart === "full") return postgate.deferred(452, "4.2.2", "mailbox full");
      postgate.log.info("delivered", { recipient: postgate.address(recipient) });
      return postgate.delivered;
    });
  },
};

//@end
//@hook verify
/**
 * VRFY. next, found, or a reply: `{ tag: "reply", val: postgate.reply(…) }`.
 * @type {typeof import("postgate:mail/verify@0.1.0")}
 */
export const verify = {
  onVerify(argument) {
    return argument === "alice" ? postgate.found(postgate.entry("Alice", "alice", "example.org")) : postgate.next;
  },
};

//@end
//@hook expand
/**
 * EXPN. next, members, or a reply: `{ tag: "reply", val: postgate.reply(…) }`.
 * @type {typeof import("postgate:mail/expand@0.1.0")}
 */
export const expand = {
  onExpand(argument) {
    if (argument !== "staff") return postgate.next;
    return postgate.members([postgate.entry("Alice", "alice", "example.org"), postgate.entry("Bob", "bob", "example.org")]);
  },
};

//@end
//@hook command
/**
 * A verb that the host does not know. A reply, or undefined where the plugin does not know it either.
 * @type {typeof import("postgate:mail/command@0.1.0")}
 */
export const command = {
  onCommand(verb, argument) {
    return verb === "XSAMPLE" ? postgate.reply(250, "2.0.0", `you said ${argument}`) : undefined;
  },
};

//@end
//@hook observe
/**
 * Something has happened; nothing can be changed any more.
 * @type {typeof import("postgate:mail/observe@0.1.0")}
 */
export const observe = {
  onEvent(event) {
    switch (event.tag) {
      case "transaction-reset":
        postgate.log.info("transaction reset");
        break;
      case "transaction-outcome":
        postgate.log.info("transaction ended", Object.fromEntries(event.val.map((fate) => [postgate.address(fate.recipient), fate.fate])));
        break;
      case "session-end":
        postgate.log.info("session ended", { end: event.val });
        break;
    }
  },
};
//@end
