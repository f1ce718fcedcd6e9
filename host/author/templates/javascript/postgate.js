// Short words for what a plugin says and asks, over the contract (contract.d.ts).

import * as logService from "postgate:mail/log@0.1.0";
import * as configService from "postgate:mail/config@0.1.0";

/** @typedef {import("postgate:mail/types@0.1.0").Mailbox} Mailbox */
/** @typedef {import("postgate:mail/types@0.1.0").Reply} Reply */
/** @typedef {import("postgate:mail/types@0.1.0").DirectoryEntry} DirectoryEntry */

/** No opinion: the next plugin of the chain is asked. */
export const next = /** @type {const} */ ({ tag: "next" });

/** Yes, and the rest of the chain is not asked at this hook. */
export const accept = /** @type {const} */ ({ tag: "accept" });

/** The recipient has the message, or will have it for sure: for the hook `deliver`. */
export const delivered = /** @type {const} */ ({ tag: "delivered" });

/** These are not this user's credentials: for the hook `authenticate`. */
export const failure = /** @type {const} */ ({ tag: "failure" });

/** It can't be told now: for the hook `authenticate`. */
export const temporaryFailure = /** @type {const} */ ({ tag: "temporary-failure" });

/**
 * A reply; each line of the text is a line of the reply.
 * @param {number} code such as 550
 * @param {string} enhanced such as "5.1.1"; "" is the general one
 * @param {string} text
 * @returns {Reply}
 */
export function reply(code, enhanced, text) {
  const [klass, subject, detail] = enhanced.split(".").map(Number);
  return { code, enhanced: enhanced ? { class: klass, subject, detail } : undefined, text: text ? text.split("\n") : [] };
}

/**
 * No, for good: `reject(550, "5.1.1", "no such user")`.
 * @param {number} code
 * @param {string} enhanced
 * @param {string} text
 */
export function reject(code, enhanced, text) {
  return { tag: /** @type {const} */ ("reject"), val: reply(code, enhanced, text) };
}

/**
 * Not now: `defer(451, "4.3.0", "try again later")`.
 * @param {number} code
 * @param {string} enhanced
 * @param {string} text
 */
export function defer(code, enhanced, text) {
  return { tag: /** @type {const} */ ("defer"), val: reply(code, enhanced, text) };
}

/**
 * As `reject`, and the connection is closed.
 * @param {number} code
 * @param {string} enhanced
 * @param {string} text
 */
export function disconnect(code, enhanced, text) {
  return { tag: /** @type {const} */ ("disconnect"), val: reply(code, enhanced, text) };
}

/**
 * The client is told 250, and the message is thrown away: for the hook `message`.
 * @param {string} reason for the log
 */
export function discard(reason) {
  return { tag: /** @type {const} */ ("discard"), val: reason };
}

/**
 * The client is told 250, and the message is kept for a person: for the hook `message`.
 * @param {string} label of letters, digits and `-`
 */
export function quarantine(label) {
  return { tag: /** @type {const} */ ("quarantine"), val: label };
}

/**
 * It can't be delivered, ever: for the hook `deliver`.
 * @param {number} code
 * @param {string} enhanced
 * @param {string} text
 */
export function failed(code, enhanced, text) {
  return { tag: /** @type {const} */ ("failed"), val: reply(code, enhanced, text) };
}

/**
 * It can't be delivered now: for the hook `deliver`.
 * @param {number} code
 * @param {string} enhanced
 * @param {string} text
 */
export function deferred(code, enhanced, text) {
  return { tag: /** @type {const} */ ("deferred"), val: reply(code, enhanced, text) };
}

/**
 * These are the credentials of this user: for the hook `authenticate`.
 * @param {string} name
 */
export function identity(name) {
  return { tag: /** @type {const} */ ("identity"), val: name };
}

/**
 * 250 with this mailbox: for the hook `verify`.
 * @param {DirectoryEntry} who
 */
export function found(who) {
  return { tag: /** @type {const} */ ("found"), val: who };
}

/**
 * 250 with a line for each: for the hook `expand`.
 * @param {DirectoryEntry[]} who
 */
export function members(who) {
  return { tag: /** @type {const} */ ("members"), val: who };
}

/**
 * A person or a list, for VRFY and EXPN.
 * @param {string | undefined} fullName
 * @param {string} localPart
 * @param {string} domain
 * @returns {DirectoryEntry}
 */
export function entry(fullName, localPart, domain) {
  return { fullName, mailbox: { localPart, domain } };
}

/**
 * `alice@example.org`; empty for the null reverse-path.
 * @param {Mailbox | undefined} mailbox
 * @returns {string}
 */
export function address(mailbox) {
  if (!mailbox) return "";
  return mailbox.domain ? `${mailbox.localPart}@${mailbox.domain}` : mailbox.localPart;
}

/**
 * One value of `[plugin.NAME.config]` by its keys: `config("domain")`. Text as it is, everything else as JSON.
 * @param {...string} path
 * @returns {string | undefined}
 */
export function config(...path) {
  return configService.value(path) ?? undefined;
}

/**
 * All of `[plugin.NAME.config]`.
 * @returns {any}
 */
export function configTable() {
  return JSON.parse(configService.table());
}

/** Into the gateway's log: one short phrase, always the same for the same thing, and the facts as fields. */
export const log = {
  /** @param {string} message @param {Record<string, unknown>} [fields] */
  debug: (message, fields) => write("debug", message, fields),
  /** @param {string} message @param {Record<string, unknown>} [fields] */
  info: (message, fields) => write("info", message, fields),
  /** @param {string} message @param {Record<string, unknown>} [fields] */
  warn: (message, fields) => write("warn", message, fields),
  /** @param {string} message @param {Record<string, unknown>} [fields] */
  error: (message, fields) => write("error", message, fields),
};

/**
 * @param {"debug" | "info" | "warn" | "error"} level
 * @param {string} message
 * @param {Record<string, unknown>} [fields]
 */
function write(level, message, fields = {}) {
  logService.write(level, message, Object.entries(fields).map(([name, value]) => [name, String(value)]));
}

// QuickJS has no console of its own.
Object.assign(globalThis, {
  console: {
    debug: spoken("debug"),
    log: spoken("info"),
    info: spoken("info"),
    warn: spoken("warn"),
    error: spoken("error"),
  },
});

/**
 * @param {"debug" | "info" | "warn" | "error"} level
 * @returns {(...words: unknown[]) => void}
 */
function spoken(level) {
  return (...words) => write(level, words.map(String).join(" "));
}

/**
 * What a function of the contract has thrown, in words: `not-now`, `quota: 1000 keys`.
 * @param {any} error
 * @returns {string}
 */
export function problem(error) {
  const payload = error?.payload ?? error;
  if (payload?.tag) return payload.val === undefined ? payload.tag : `${payload.tag}: ${payload.val}`;
  return payload?.message ?? String(payload);
}

/**
 * Text as octets, in UTF-8.
 * @param {string} text
 * @returns {Uint8Array}
 */
export function octets(text) {
  const escaped = encodeURIComponent(text).replace(/%([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  return Uint8Array.from(escaped, (letter) => letter.charCodeAt(0));
}
