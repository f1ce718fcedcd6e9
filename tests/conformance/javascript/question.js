// Questions: what the context and the services answer, as lines of text.

import * as configuration from "postgate:mail/config@0.1.0";
import * as editor from "postgate:mail/editor@0.1.0";
import * as keyValue from "postgate:mail/key-value@0.1.0";
import * as mailData from "postgate:mail/mail-data@0.1.0";
import * as parts from "postgate:mail/parts@0.1.0";
import * as session from "postgate:mail/session@0.1.0";
import * as sqlite from "postgate:mail/sqlite@0.1.0";
import * as transaction from "postgate:mail/transaction@0.1.0";
import * as postgate from "./postgate.js";

const { address, octets } = postgate;

/** Octets as text; those that are no UTF-8 are shown as single letters. */
export function utf8(value) {
  const letters = Array.from(value, (octet) => String.fromCharCode(octet)).join("");
  try {
    return decodeURIComponent(escape(letters));
  } catch {
    return letters;
  }
}

export function parameters(given) {
  return given.map(({ keyword, value }) => ` ${keyword}${value === undefined || value === null ? "" : `=${value}`}`).join("");
}

const hex = (value) => Array.from(value, (octet) => octet.toString(16).padStart(2, "0")).join("");

/** What a call has answered. */
function text(value) {
  if (value === undefined || value === null) return "none";
  return value instanceof Uint8Array ? hex(value) : String(value);
}

/** The name of an error of the contract: of an enum it is the error itself, of a variant its tag. */
function nameOf(error) {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) throw error;
  const payload = error?.payload ?? error;
  return payload?.tag ?? String(payload);
}

function attempt(call, show = text) {
  try {
    return show(call());
  } catch (error) {
    return nameOf(error);
  }
}

function listed(call, show = text) {
  try {
    return Array.from(call(), show);
  } catch (error) {
    return [nameOf(error)];
  }
}

const done = (call) => [attempt(call, () => "ok")];

/** The first word, and what stands behind it. */
function split(text) {
  const space = text.indexOf(" ");
  return space < 0 ? [text, ""] : [text.slice(0, space), text.slice(space + 1)];
}

function mailbox(text) {
  const at = text.lastIndexOf("@");
  return { localPart: text.slice(0, at), domain: text.slice(at + 1) };
}

function sessionLines() {
  const [local, hello, tls, identity] = [session.local(), session.hello(), session.tls(), session.identity()];
  return [
    `id=${session.id() !== ""}`,
    `listener=${session.listener()}`,
    `remote=${session.remote().address}`,
    `local=${local.address}:${local.port}`,
    `hello=${hello ? `${hello.greeting} ${hello.name}` : "none"}`,
    `tls=${tls ? tls.version : "none"}`,
    `identity=${identity ? `${identity.name} ${identity.mechanism}` : "none"}`,
    `early-talker=${session.earlyTalker()}`,
    `illegal-pipelining=${session.illegalPipelining()}`,
  ];
}

function transactionLines() {
  const recipient = (one) => address(one.mailbox) + parameters(one.parameters);
  const verdict = (one) => `${one.hook} ${one.kind} ${one.recipient ? address(one.recipient) : "none"} ${one.plugin}`;
  return [
    `id=${attempt(transaction.id, (id) => id !== "")}`,
    `reverse-path=${attempt(transaction.reversePath, (path) => (path ? address(path) : "<>"))}`,
    `parameters=${attempt(transaction.parameters, parameters)}`,
    `recipients=${attempt(transaction.recipients, (all) => all.map(recipient).join(", "))}`,
    `declared-size=${attempt(transaction.declaredSize)}`,
    `verdicts=${attempt(transaction.verdicts, (all) => all.map(verdict).join(", "))}`,
  ];
}

function mailDataLines() {
  return [
    `size=${attempt(mailData.size)}`,
    `body-offset=${attempt(mailData.bodyOffset)}`,
    `header=${attempt(mailData.header, (all) => all.map((field) => field.name).join(","))}`,
  ];
}

/** How many octets there are, and the sum of every 64th. */
function sum() {
  let [offset, total] = [0, 0];
  for (;;) {
    const window = mailData.read(offset, 65536);
    if (window.length === 0) return `${offset} ${total}`;
    for (let n = 0; n < window.length; n += 64) total += window[n];
    offset += window.length;
  }
}

function part(one) {
  const facts = [one.number, one.parent, one.mediaType, one.charset, one.fileName, one.attachment, one.contentId, one.size];
  return facts.map(text).join(" ");
}

function values(integer) {
  const given = [
    { tag: "null" },
    { tag: "integer", val: integer },
    { tag: "real", val: 0.5 },
    { tag: "text", val: "Grüße, 世界" },
    { tag: "blob", val: new Uint8Array([0, 255]) },
  ];
  const table = sqlite.query("SELECT ?1, ?2, ?3, ?4, ?5", given);
  const value = ({ tag, val }) => (tag === "null" ? "null" : text(val));
  return `${table.columns.length} ${table.rows.map((row) => row.map(value).join(" ")).join(" / ")}`;
}

const logged = (level, message) => {
  postgate.log[level](message);
  return ["ok"];
};

// What stands behind the word; its first word, and what stands behind that; the second word, and the rest.
const questions = {
  echo: (rest) => [rest],
  nothing: () => [],
  lines: (rest) => Array.from({ length: Number(rest) }, (_, n) => `line ${n + 1}`),
  session: sessionLines,
  transaction: transactionLines,
  "mail-data": mailDataLines,
  field: (rest) => listed(() => mailData.field(rest), utf8),
  read: (_, first, behind) => [attempt(() => mailData.read(Number(first), Number(behind)))],
  sum: () => [attempt(sum)],
  parts: () => listed(parts.all, part),
  content: (_, first, __, second, third) => [attempt(() => parts.content(Number(first), Number(second), Number(third)))],
  text: (rest) => [attempt(() => parts.text(Number(rest)))],
  addresses: (rest) => listed(() => parts.addresses(rest), (one) => `${text(one.name)} <${one.address}>`),
  note: (rest) => [text(session.note(rest))],
  set: (_, first, behind) => done(() => session.setNote(first, behind)),
  fill: (_, first, behind) => done(() => session.setNote(first, "x".repeat(Number(behind)))),
  config: (rest) => [text(postgate.config(...rest.split(" ")))],
  table: () => [configuration.table()],
  log: (_, first, behind) => logged(first, behind),
  prepend: (_, first, behind) => done(() => editor.prependField(first, octets(behind))),
  append: (_, first, behind) => done(() => editor.appendField(first, octets(behind))),
  insert: (_, first, __, second, third) => done(() => editor.insertField(Number(first), second, octets(third))),
  replace: (_, first, __, second, third) => [attempt(() => editor.replaceField(first, Number(second), octets(third)))],
  remove: (rest) => [attempt(() => editor.removeFields(rest))],
  body: (rest) => done(() => editor.replaceBody(octets(`${rest}\r\n`))),
  "replace-part": (_, first, __, second, third) => [attempt(() => editor.replacePart(Number(first), second, octets(third)))],
  "remove-part": (rest) => [attempt(() => editor.removePart(Number(rest)))],
  "reverse-path": (rest) => done(() => editor.setReversePath(rest === "<>" ? undefined : mailbox(rest))),
  add: (rest) => done(() => editor.addRecipient(mailbox(rest))),
  drop: (rest) => [attempt(() => editor.removeRecipient(mailbox(rest)))],
  put: (_, first, behind) => done(() => keyValue.set(first, octets(behind), undefined)),
  get: (rest) => [attempt(() => keyValue.get(rest))],
  increment: (_, first, behind) => [attempt(() => keyValue.increment(first, Number(behind), undefined))],
  values: (rest) => [attempt(() => values(Number(rest)))],
  sql: (rest) => [attempt(() => sqlite.query(rest, []).rows.length)],
};

export function ask(question) {
  const [word, rest] = split(question);
  const [first, behind] = split(rest);
  return Object.hasOwn(questions, word) ? questions[word](rest, first, behind, ...split(behind)) : ["unknown"];
}
