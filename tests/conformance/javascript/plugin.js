// The plugin of the conformance kit in JavaScript: what it does stands in ../plugin.md. Its questions are in question.js.

import * as session from "postgate:mail/session@0.1.0";
import * as mailData from "postgate:mail/mail-data@0.1.0";
import * as postgate from "./postgate.js";
import { ask, parameters, utf8 } from "./question.js";

// A note, or else a setting, of this name; empty where there is neither.
function told(name) {
  return session.note(name) ?? postgate.config(name) ?? "";
}

function answered(question) {
  postgate.log.info("answered", { question, answer: ask(question).join(" / ") });
}

function asked(hook, argument) {
  postgate.log.info("asked", { hook, argument });
  const question = told(`ask-${hook}`);
  if (question) answered(question);
}

function toldToTrap() {
  throw new Error("told to trap");
}

function deed(word) {
  switch (word) {
    case "trap":
      return toldToTrap();
    case "loop":
      for (;;) {}
    case "grow":
      for (const kept = []; ; ) kept.push(new Uint8Array(1 << 20).fill(1));
    case "print":
      console.log("to standard output");
      console.error("to standard error");
  }
}

const noSuchUser = [550, "5.1.1", "no such user"];
const comeAgain = [450, "4.2.1", "come again later"];

// Words that become replies, with the kind of verdict.
const said = {
  ok: ["reject", [250, "2.0.0", "at your service"]],
  reject: ["reject", noSuchUser],
  general: ["reject", [550, "", "no such user"]],
  silent: ["reject", [550, "", ""]],
  lines: ["reject", [550, "5.1.1", "first\nsecond\nthird"]],
  many: ["reject", [550, "5.1.1", Array.from({ length: 16 }, (_, n) => `line ${n + 1}`).join("\n")]],
  edges: ["reject", [559, "5.999.0", "edges"]],
  unicode: ["reject", [550, "5.1.1", "Grüße, 世界"]],
  defer: ["defer", comeAgain],
  disconnect: ["disconnect", [554, "5.7.1", "go away"]],
};

function verdict(word, otherwise = postgate.next) {
  deed(word);
  if (word === "accept") return postgate.accept;
  if (!Object.hasOwn(said, word)) return otherwise;
  const [kind, reply] = said[word];
  return postgate[kind](...reply);
}

// Of a hook without an argument.
function verdictTold(hook) {
  asked(hook, "");
  return verdict(told(hook));
}

export const setup = {
  onSetup() {
    if (postgate.config("setup") !== "wrong") return [];
    return [
      { path: ["setup"], message: "must not be wrong" },
      { path: [], message: "nor the table: Grüße" },
    ];
  },
};

export const connect = { onConnect: () => verdictTold("connect") };

export const hello = {
  onHello() {
    const name = session.hello()?.name ?? "";
    asked("hello", name);
    const [word] = name.split(".");
    let keywords = ["XASK"];
    if (word === "none") keywords = [];
    if (word === "eight") keywords = Array.from({ length: 8 }, (_, n) => `XKEY${n + 1} of eight`);
    return { verdict: verdict(word), keywords };
  },
};

export const starttls = { onStarttls: () => verdictTold("starttls") };

function withPassword({ user, password }) {
  deed(user);
  if (user === "alice") return password === "wonderland" ? postgate.identity("alice") : postgate.failure;
  if (user === "zoë") return postgate.identity("zoë");
  return user === "later" ? postgate.temporaryFailure : postgate.next;
}

export const authenticate = {
  onAuthenticate(mechanism, { tag, val }) {
    switch (tag) {
      case "password":
        asked("authenticate", `${mechanism} password ${val.user} ${val.password}`);
        return withPassword(val);
      case "token":
        asked("authenticate", `${mechanism} token ${val.user} ${val.token}`);
        return val.token === "wonderland" ? postgate.identity(val.user) : postgate.failure;
      case "certificate":
        asked("authenticate", `${mechanism} certificate ${val.user} ${val.names.join(",")}`);
        return val.names.length ? postgate.identity(val.names[0]) : postgate.failure;
      case "scram": {
        asked("authenticate", `${mechanism} scram ${val.user} ${val.hash}`);
        if (val.user !== "alice") return val.user === "later" ? postgate.temporaryFailure : postgate.failure;
        const octets = (octet) => new Uint8Array(32).fill(octet);
        const salt = postgate.octets("salt");
        return { tag: "keys", val: { identity: "alice", salt, iterations: 4096, storedKey: octets(0), serverKey: octets(255) } };
      }
    }
  },
};

export const mail = {
  onMail(reversePath, given) {
    asked("mail", (reversePath ? postgate.address(reversePath) : "<>") + parameters(given));
    return verdict(reversePath?.localPart ?? "");
  },
};

export const recipient = {
  onRecipient(recipient, given) {
    asked("recipient", postgate.address(recipient) + parameters(given));
    return verdict(recipient.localPart, recipient.localPart === "nobody" ? postgate.next : postgate.accept);
  },
};

export const data = { onData: () => verdictTold("data") };

export const chunk = {
  onChunk(size, last) {
    asked("chunk", `${size} ${last}`);
    return verdict(told("chunk"));
  },
};

export const message = {
  onMessage() {
    asked("message", "");
    for (const question of mailData.field("X-Do")) answered(utf8(question));
    const [first] = mailData.field("X-Verdict");
    const word = first ? utf8(first) : told("message");
    if (word === "discard") return postgate.discard("not wanted");
    if (word === "quarantine") return postgate.quarantine("suspicious");
    return verdict(word);
  },
};

export const deliver = {
  onDeliver(recipients) {
    asked("deliver", recipients.map(postgate.address).join(" "));
    deed(told("deliver"));
    const outcomes = { next: postgate.next, never: postgate.failed(...noSuchUser), later: postgate.deferred(...comeAgain) };
    return recipients.map(({ localPart }) => outcomes[localPart] ?? postgate.delivered);
  },
};

const entry = (fullName, localPart) => postgate.entry(fullName, localPart, "example.org");

export const verify = {
  onVerify(argument) {
    asked("verify", argument);
    deed(argument);
    switch (argument) {
      case "alice":
        return postgate.found(entry("Alice", "alice"));
      case "bob":
        return postgate.found(entry(undefined, "bob"));
      case "zoe":
        return postgate.found(entry("Zoë", "zoë"));
      case "never":
        return { tag: "reply", val: postgate.reply(...noSuchUser) };
      default:
        return postgate.next;
    }
  },
};

export const expand = {
  onExpand(argument) {
    asked("expand", argument);
    deed(argument);
    switch (argument) {
      case "staff":
        return postgate.members([entry("Alice", "alice"), entry(undefined, "bob")]);
      case "hundred":
        return postgate.members(Array.from({ length: 100 }, (_, n) => entry(undefined, `user${n + 1}`)));
      case "empty":
        return postgate.members([]);
      case "never":
        return { tag: "reply", val: postgate.reply(...noSuchUser) };
      default:
        return postgate.next;
    }
  },
};

export const command = {
  onCommand(verb, argument) {
    asked("command", `${verb} ${argument}`);
    if (verb === "XASK") return { ...postgate.reply(250, "2.0.0", ""), text: ask(argument) };
    if (verb === "XSAY" && Object.hasOwn(said, argument)) return postgate.reply(...said[argument][1]);
    return undefined;
  },
};

export const observe = {
  onEvent(event) {
    let argument = event.tag;
    if (event.tag === "session-end") argument += ` ${event.val}`;
    if (event.tag === "transaction-outcome") {
      argument += event.val.map((one) => ` ${postgate.address(one.recipient)}=${one.fate}/${one.plugin ?? "none"}`).join("");
    }
    asked("observe", argument);
    deed(told("observe"));
  },
};
