// A plugin of one hook, in JavaScript: asks for its context, and decides about recipients.
//
// Proves the contract together with its twins in Rust and Python, which do the same: it rejects `no-550`, accepts
// everyone else, and leaves what it has learned in the note `one-hook`:
//
//     ADDRESS GREETING HELLO-NAME IDENTITY <REVERSE-PATH> RECIPIENTS-SO-FAR
//
// with `-` for what there is not. Where the context answers otherwise than the contract says it defers, with the reason.
import * as session from "postgate:mail/session@0.1.0";
import * as transaction from "postgate:mail/transaction@0.1.0";
import * as mailData from "postgate:mail/mail-data@0.1.0";
import * as editor from "postgate:mail/editor@0.1.0";

export const recipient = {
  onRecipient(mailbox, _parameters) {
    if (mailbox.localPart === "no-550") {
      return { tag: "reject", val: reply(550, 5, 1, 1, "policy says no") };
    }
    try {
      const learned = describeContext();
      expectNotNow("editor", () => editor.appendField("X-One-Hook", Uint8Array.from([106, 115])));
      expectNotNow("mail-data", () => mailData.size());
      session.setNote("one-hook", learned);
      if (session.note("one-hook") !== learned) throw new Error("the note was not kept");
    } catch (error) {
      return { tag: "defer", val: reply(451, 4, 3, 0, `context answers ${describeError(error)}`) };
    }
    return { tag: "accept" };
  },
};

/** What is known of the session and the transaction, in one line. */
function describeContext() {
  const hello = session.hello();
  const greeting = hello ? `${hello.greeting} ${hello.name}` : "- -";
  const name = session.identity()?.name ?? "-";
  const path = transaction.reversePath();
  const sender = path ? `${path.localPart}@${path.domain}` : "";
  return `${session.remote().address} ${greeting} ${name} <${sender}> ${transaction.recipients().length}`;
}

/** At this hook the host must refuse this call. */
function expectNotNow(what, call) {
  try {
    call();
  } catch (error) {
    if (describeError(error) === "not-now") return;
    throw new Error(`${what}: ${describeError(error)}`);
  }
  throw new Error(`${what} answers at the recipient hook`);
}

/** The case of a typed error of the contract, or the text of any other. */
function describeError(error) {
  const payload = error?.payload ?? error;
  return payload?.tag ?? payload?.message ?? String(payload);
}

function reply(code, klass, subject, detail, text) {
  return { code, enhanced: { class: klass, subject, detail }, text: [text] };
}
