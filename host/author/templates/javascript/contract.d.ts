// The contract between Postgate and its plugins, for editors: made of wit/ by `postgate build`, and not needed to build.
// An optional value that is not there is undefined; where undefined is given, null may be too.

/**
 * AUTH (RFC 4954). The host runs the exchange of the SASL mechanism, and asks when it has the client's credentials.
 *
 * Nobody's opinion is a failure: the client is not authenticated. The host writes all replies (235, 535 5.7.8, 454
 * 4.7.0), so that they tell nothing about which users there are.
 */
declare module "postgate:mail/authenticate@0.1.0" {
  /** PLAIN (RFC 4616) and LOGIN. */
  export interface PasswordCredentials {
    /** Whom to authenticate, prepared by SASLprep (RFC 4013). */
    user: string;
    /** Prepared likewise. */
    password: string;
  }
  /** OAUTHBEARER (RFC 7628) and XOAUTH2. */
  export interface TokenCredentials {
    /** Whom the client says the token is for; empty where it does not say. */
    user: string;
    token: string;
  }
  /** EXTERNAL (RFC 4422 appendix A), with a client certificate that the host has verified. */
  export interface CertificateCredentials {
    /** Whom the client wants to be; empty for whom the certificate names. */
    user: string;
    /** SHA-256 of the certificate, in lower-case hexadecimal. */
    fingerprint: string;
    /** The subject alternative names of the kinds DNS and e-mail, then the common name. */
    names: string[];
  }
  /** SCRAM (RFC 5802, RFC 7677): the host asks for the keys of a user and makes the proof itself. */
  export interface ScramLookup {
    /**
     * Prepared by SASLprep (RFC 4013). Where it is nobody, `failure`: the host goes on with made-up keys, so that the client can't
     * tell.
     */
    user: string;
    /** `SHA-256`. */
    hash: string;
  }
  export type Credentials =
    | { tag: "password"; val: PasswordCredentials }
    | { tag: "token"; val: TokenCredentials }
    | { tag: "certificate"; val: CertificateCredentials }
    | { tag: "scram"; val: ScramLookup };
  /** What RFC 5802 section 3 calls the authentication information of a user. */
  export interface ScramKeys {
    /** The name that the session gets if the client proves to have the key. */
    identity: string;
    /** 1 to 64 octets. */
    salt: Uint8Array;
    /** 4096 to 1,000,000. */
    iterations: number;
    /** 32 octets. */
    storedKey: Uint8Array;
    /** 32 octets. */
    serverKey: Uint8Array;
  }
  export type Authentication =
    /** No opinion: not a user of this plugin. */
    | { tag: "next" }
    /**
     * These are the credentials of this user; the session gets this name, which must be 1 to 255 octets without
     * control characters.
     */
    | { tag: "identity"; val: string }
    /** The keys of a user, in answer to `scram` only. */
    | { tag: "keys"; val: ScramKeys }
    /** They are not: 535. */
    | { tag: "failure" }
    /** It can't be told now, for instance because a database does not answer: 454. */
    | { tag: "temporary-failure" };
  export function onAuthenticate(mechanism: string, credentials: Credentials): Authentication;
}

/**
 * Each BDAT chunk (RFC 3030), before its octets. When nobody objects it is read.
 *
 * A refused chunk's octets are discarded and the transaction is reset.
 */
declare module "postgate:mail/chunk@0.1.0" {
  export type Verdict = import("postgate:mail/types@0.1.0").Verdict;
  /** `size` in octets; `last` closes the message. */
  export function onChunk(size: number, last: boolean): Verdict;
}

/** A verb that the host does not know. When nobody answers: 500 5.5.1. */
declare module "postgate:mail/command@0.1.0" {
  export type Reply = import("postgate:mail/types@0.1.0").Reply;
  /**
   * `verb` in upper case; `argument` is the rest of the line, printable ASCII. The reply may be of any class from 2 to 5,
   * but 354 and 3yz are not to be had.
   */
  export function onCommand(verb: string, argument: string): Reply | undefined;
}

/** The plugin's own table in the operator's configuration, `[plugin.NAME.config]`. Grant: `config`. */
declare module "postgate:mail/config@0.1.0" {
  /** The whole table as a JSON object. Times and dates are strings in RFC 3339 form. */
  export function table(): string;
  /**
   * One value, by its keys from the outside in, such as `domains`, `example.org`, `max-size`: text as it is, everything else as
   * JSON. None where there is none.
   */
  export function value(path: string[]): string | undefined;
}

/**
 * A client has connected (behind the PROXY header and implicit TLS), before the banner.
 *
 * When nobody objects the session begins. A refusal is sent as the banner: 554 or 421, and the client is left with QUIT
 * (RFC 5321 section 3.1).
 */
declare module "postgate:mail/connect@0.1.0" {
  export type Verdict = import("postgate:mail/types@0.1.0").Verdict;
  export function onConnect(): Verdict;
}

/** DATA, or the first BDAT of a transaction, before any mail data. When nobody objects it is read. */
declare module "postgate:mail/data@0.1.0" {
  export type Verdict = import("postgate:mail/types@0.1.0").Verdict;
  export function onData(): Verdict;
}

/**
 * Hands over the message, after the `message` hook, while the client waits for the reply.
 *
 * **A recipient that no plugin takes is deferred** (451 4.3.0): mail is never accepted because nobody cared.
 */
declare module "postgate:mail/deliver@0.1.0" {
  export type Mailbox = import("postgate:mail/types@0.1.0").Mailbox;
  export type Reply = import("postgate:mail/types@0.1.0").Reply;
  /** What became of one recipient. */
  export type Outcome =
    /** Not mine: the next plugin that delivers is asked about this recipient. */
    | { tag: "next" }
    /** Delivered, or as durable as if it were. The host will answer for it with 250. */
    | { tag: "delivered" }
    /** It can't be, ever: a 5yz reply. */
    | { tag: "failed"; val: Reply }
    /** It can't be now: a 4yz reply. */
    | { tag: "deferred"; val: Reply };
  /** Recipients that no earlier plugin took, at most 20 in a call; one outcome for each, in the same order. */
  export function onDeliver(recipients: Mailbox[]): Outcome[];
}

/** Looks names up. Grant: `dns`. */
declare module "postgate:mail/dns@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  export type DnsError =
    /** The service as such; `unavailable` where no server answers: temporary, `defer`. */
    | { tag: "service"; val: ServiceError }
    /** There is no such name (RFC 8020). */
    | { tag: "no-such-name" };
  export interface MailExchange {
    preference: number;
    /** A name without the dot at its end; empty is the null MX (RFC 7505). */
    exchange: string;
  }
  /**
   * IPv4 and IPv6 addresses; an empty list where the name has none.
   *
   * Throws an error with `payload`: `DnsError`.
   */
  export function addresses(name: string): string[];
  /**
   * TXT records, each with its strings joined.
   *
   * Throws an error with `payload`: `DnsError`.
   */
  export function texts(name: string): Uint8Array[];
  /**
   * MX records, the most preferred first.
   *
   * Throws an error with `payload`: `DnsError`.
   */
  export function mailExchanges(name: string): MailExchange[];
  /**
   * The names of an address (PTR).
   *
   * Throws an error with `payload`: `DnsError`.
   */
  export function names(address: string): string[];
  /**
   * The names of an address that lead back to it: forward-confirmed reverse DNS.
   *
   * Throws an error with `payload`: `DnsError`.
   */
  export function confirmedNames(address: string): string[];
  /**
   * Asks a block list or allow list (RFC 5782) about an address or, where it is not one, a domain. Answers the addresses with which
   * it is listed, `127.0.0.2` say; an empty list where it is not. An answer outside of 127.0.0.0/8, or in 127.255.255.0/24, is `unavailable`: such a list
   * is gone or refuses us.
   *
   * Throws an error with `payload`: `DnsError`.
   */
  export function listings(subject: string, zone: string): string[];
}

/**
 * Changes the message and its envelope: in the `message` hook only. Each edit is seen at once by this and by later plugins;
 * when the plugin then fails, its edits are taken back.
 */
declare module "postgate:mail/editor@0.1.0" {
  export type Mailbox = import("postgate:mail/types@0.1.0").Mailbox;
  /** Why an edit was not made. */
  export type EditError =
    /** This is not the `message` hook. */
    | { tag: "not-now" }
    /**
     * Not a field name, a value with a bare CR, LF or NUL, a body that is not made of CRLF lines although the client has
     * not declared BINARYMIME, not a mailbox: what is wrong, for the author's log.
     */
    | { tag: "invalid"; val: string }
    /** More edits, or larger ones, than the operator allows. */
    | { tag: "quota" };
  /**
   * Puts a field on top of the header section. The host folds nothing: a value with CRLF must have white space behind it.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function prependField(name: string, value: Uint8Array): void;
  /**
   * Puts a field at the end of the header section.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function appendField(name: string, value: Uint8Array): void;
  /**
   * Puts a field before the n-th of the header section (0 is the top); behind the last where there are not so many.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function insertField(n: number, name: string, value: Uint8Array): void;
  /**
   * Gives the field of that name its new value, the n-th from the top where there are several (0 is the first).
   * Answers whether there was one.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function replaceField(name: string, n: number, value: Uint8Array): boolean;
  /**
   * Removes all fields of that name, and answers how many there were.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function removeFields(name: string): number;
  /**
   * Puts other octets behind the header section: text in lines that end with CRLF, or any octets where the parameters of
   * the transaction say `BODY=BINARYMIME`.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function replaceBody(body: Uint8Array): void;
  /**
   * Gives a MIME part another content of that media type, `text/plain; charset=utf-8` say; the host encodes it, and writes the
   * fields about the content anew. Where the media type is another one, Content-Disposition and Content-Description go. Answers whether
   * there is such a part; the whole message, a multipart and a message/rfc822 are none. `invalid` where the message can't be
   * taken apart.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function replacePart(part: number, mediaType: string, content: Uint8Array): boolean;
  /**
   * Takes a MIME part, with all that it holds, out of the multipart that holds it, and answers whether there is such a part. The parts
   * behind it move up: who removes several begins with the last. An empty text stands for the last part of a multipart.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function removePart(part: number): boolean;
  /**
   * Changes the reverse-path; none is the null reverse-path.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function setReversePath(reversePath: Mailbox | undefined): void;
  /**
   * Adds a recipient, unless it is there. The plugin thereby answers for it, as if it had accepted it.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function addRecipient(recipient: Mailbox): void;
  /**
   * Removes a recipient, and answers whether it was there.
   *
   * Throws an error with `payload`: `EditError`.
   */
  export function removeRecipient(recipient: Mailbox): boolean;
}

/** EXPN (RFC 5321 section 3.5). When nobody has an opinion: 502. */
declare module "postgate:mail/expand@0.1.0" {
  export type DirectoryEntry = import("postgate:mail/types@0.1.0").DirectoryEntry;
  export type Reply = import("postgate:mail/types@0.1.0").Reply;
  export type Expansion =
    | { tag: "next" }
    /** 250 with a line for each, 1 to 100. */
    | { tag: "members"; val: DirectoryEntry[] }
    | { tag: "reply"; val: Reply };
  /** `argument` is the string behind EXPN, of the same characters as that of VRFY; and so are the entries. */
  export function onExpand(argument: string): Expansion;
}

/**
 * One HTTP request, and its response, in one call. Grant: `http`, with the hosts that may be spoken to.
 *
 * The same grant allows the standard interface `wasi:http/outgoing-handler`, on the same machinery and with the same bounds; this one is for languages
 * in which that is laborious.
 */
declare module "postgate:mail/fetch@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  /** What is sent behind the header fields. */
  export type RequestBody =
    | { tag: "none" }
    | { tag: "octets"; val: Uint8Array }
    /** The current message as it is, with the edits so far: streamed by the host, so that the plugin need not hold it. */
    | { tag: "message" };
  export interface Request {
    /** `GET`, `POST` … */
    method: string;
    /** `https://api.example.org/hook?x=1` */
    url: string;
    /** Names and values. Host, Content-Length, Connection and their like are the host's business, and refused. */
    headers: [string, Uint8Array][];
    body: RequestBody;
    /** For the whole exchange; none, or more than the operator allows, is what the operator allows. */
    timeoutMs?: number | undefined;
  }
  export interface Response {
    status: number;
    /** Names in lower case, and values. */
    headers: [string, Uint8Array][];
    body: Uint8Array;
  }
  export type FetchError =
    /** The service as such: a host that is not allowed, too many requests at once, not a URL. */
    | { tag: "service"; val: ServiceError }
    /** No connection: the name does not resolve, nobody listens, TLS fails. */
    | { tag: "connection"; val: string }
    /** No whole response in time. */
    | { tag: "timeout" }
    /** The response is larger than the operator allows. */
    | { tag: "too-large" }
    /** The peer does not speak HTTP. */
    | { tag: "protocol"; val: string };
  /**
   * Sends the request and waits for the whole response. A status of 400 or 500 is a response, not an error; so is a redirect, which is not
   * followed.
   *
   * Throws an error with `payload`: `FetchError`.
   */
  export function send(request: Request): Response;
}

/**
 * HELO, EHLO or LHLO; the context's `session.hello` is the one that is being decided about.
 *
 * When nobody objects the greeting is answered.
 */
declare module "postgate:mail/hello@0.1.0" {
  export type Verdict = import("postgate:mail/types@0.1.0").Verdict;
  /** The verdict, and what else the EHLO reply shall say. */
  export interface HelloAnswer {
    verdict: Verdict;
    /**
     * Lines such as `XPLAN gold`: a keyword that the host does not know itself, and its parameters, printable ASCII, at most
     * 8 lines of 64 octets. The answers of all plugins asked are joined. A verb so announced is the business of the
     * `command` hook.
     */
    keywords: string[];
  }
  export function onHello(): HelloAnswer;
}

/**
 * Octets by key, that outlive sessions and restarts. Grant: `key-value`.
 *
 * A store belongs to one plugin, or to the plugins that the operator gives the same store. A key is 1 to 512 octets, a value at most
 * 1 MiB; keys and values together have the bound that the operator sets. An entry that has expired is not there.
 *
 * Each call is atomic. What `set` and its like have written survives a crash of the gateway's process; of the machine's, all but
 * the last second.
 */
declare module "postgate:mail/key-value@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  /**
   * The value of a key, none where there is no such entry.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function get(key: string): Uint8Array | undefined;
  /**
   * Writes an entry, in place of one that is there. It expires after so many seconds; none is never.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function set(key: string, value: Uint8Array, expiresAfter: number | undefined): void;
  /**
   * Removes an entry, and answers whether it was there.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  function delete_(key: string): boolean;
  export { delete_ as delete };
  /**
   * Adds to the number that is the entry's value, and answers the sum. Where there is no entry it begins with 0, and
   * expires after so many seconds; one that is there keeps its time. `invalid` where the value is not a number that `increment` has
   * made, or the sum overflows.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function increment(key: string, by: number, expiresAfter: number | undefined): number;
  /**
   * Writes the entry if its value is the expected one (none: if there is no entry), and answers whether it did.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function replace(key: string, expected: Uint8Array | undefined, value: Uint8Array, expiresAfter: number | undefined): boolean;
  /**
   * Up to 1000 keys that begin with `prefix`, in the order of their octets, those behind `after` only.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function keys(prefix: string, after: string | undefined): string[];
}

/**
 * Writes into the gateway's log. Grant: `log`.
 *
 * The host adds the plugin's name, the session and the transaction. What goes beyond the operator's limit of octets a call is
 * dropped, and the log says how much.
 */
declare module "postgate:mail/log@0.1.0" {
  export type Level =
    | "debug"
    | "info"
    | "warn"
    | "error";
  /** `message` is one short phrase, always the same for the same thing; `fields` are the facts, as name and value. */
  export function write(level: Level, message: string, fields: [string, string][]): void;
}

/**
 * What SPF, DKIM, DMARC, ARC and reverse DNS say of the current message. Grant: `mail-authentication`.
 *
 * The host works each of them out when it is first asked for, once for a transaction, and offers it to every plugin that was granted this. A server of
 * the DNS that does not answer is not an error: it is the result `temperror`.
 */
declare module "postgate:mail/mail-authentication@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  /** The results of RFC 8601 section 2.7. */
  export type ResultCode =
    | "none"
    | "pass"
    | "fail"
    | "softfail"
    | "neutral"
    | "policy"
    | "temperror"
    | "permerror";
  /** RFC 7208. */
  export interface SpfResult {
    code: ResultCode;
    /** The domain that was asked about. */
    domain: string;
    /** Of the reverse-path, or of HELO where that is null. */
    isHello: boolean;
    /** What the domain says to those that it refuses; not to be trusted. */
    explanation?: string | undefined;
  }
  /** One DKIM-Signature (RFC 6376, RFC 8463). */
  export interface DkimResult {
    code: ResultCode;
    /** `d=` */
    domain: string;
    /** `s=` */
    selector: string;
    /** `a=` */
    algorithm: string;
    /** What is wrong with it. */
    reason?: string | undefined;
  }
  /** What a domain asks for (RFC 7489 section 6.3). */
  export type DmarcPolicy =
    | "none"
    | "quarantine"
    | "reject";
  export interface DmarcResult {
    code: ResultCode;
    /** The domain of the From field. */
    domain: string;
    /**
     * What that domain asks for, for itself, names below it, or names below it that are not there (`p=`, `sp=`, `np=`); none where there is
     * no record.
     */
    policy?: DmarcPolicy | undefined;
    /**
     * Of how many messages in a hundred it asks for that (`pct=`; 0 with `t=y`); the others are treated one step more gently
     * (RFC 7489 section 6.6.4).
     */
    percent: number;
    /** Whether a DKIM signature, or SPF, has passed and is aligned. */
    dkimAligned: boolean;
    spfAligned: boolean;
  }
  /** The chain of ARC sets (RFC 8617). */
  export interface ArcResult {
    code: ResultCode;
    /** How many sets there are. */
    sets: number;
    /** The domain that has sealed last. */
    domain?: string | undefined;
    /**
     * What that domain says that it has found of DMARC; where the chain has passed, and its signature covers From. Whether it is to be
     * believed is for the plugin to say: no result of `dmarc` hangs on it.
     */
    dmarc?: ResultCode | undefined;
  }
  /** Forward-confirmed reverse DNS of the client (RFC 8601 section 2.7.3). */
  export interface IprevResult {
    code: ResultCode;
    /** The name that leads back to the address. */
    name?: string | undefined;
  }
  /**
   * Known from the `connect` hook on.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function iprev(): IprevResult;
  /**
   * Known from the `mail` hook on.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function spf(): SpfResult;
  /**
   * Known from the `message` hook on, of the message as it was received; one for each signature, from the top, the first 10.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function dkim(): DkimResult[];
  /**
   * As `dkim`.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function dmarc(): DmarcResult;
  /**
   * As `dkim`.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function arc(): ArcResult;
  /**
   * All of it as the value of an Authentication-Results field (RFC 8601), with our host name as the authserv-id. As `dkim`.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function resultsField(): string;
  /**
   * Takes Authentication-Results fields away that claim to be ours (RFC 8601 section 5), as an edit, and answers how many there were. In
   * the `message` hook only, before a field of our own is put on top.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function removeForged(): number;
}

/**
 * The mail data of the current transaction: known in the `message`, `deliver` and `observe` hooks, with the edits of
 * earlier plugins. Without the trace fields that the host puts on top (Received, Return-Path).
 */
declare module "postgate:mail/mail-data@0.1.0" {
  export type ContextError = import("postgate:mail/transaction@0.1.0").ContextError;
  /** One field of the header section (RFC 5322 section 2.2). */
  export interface HeaderField {
    /** The name as it stands there. */
    name: string;
    /**
     * What stands behind the colon, folded as it came, without the last CRLF and without the first space. Octets,
     * because nothing promises UTF-8.
     */
    value: Uint8Array;
  }
  /**
   * Octets in all, header section included.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function size(): number;
  /**
   * Where the body begins: behind the empty line; `size` where there is none.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function bodyOffset(): number;
  /**
   * The fields of the header section, from the top.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function header(): HeaderField[];
  /**
   * The values of the fields of that name, in any case of letters, from the top.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function field(name: string): Uint8Array[];
  /**
   * Up to `length` octets from `offset` on; fewer towards the end, none behind it. One call gives at most 1 MiB;
   * 64 KiB is a good length.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function read(offset: number, length: number): Uint8Array;
}

/** MAIL FROM, a mail transaction begins. When nobody objects it does. */
declare module "postgate:mail/mail@0.1.0" {
  export type Verdict = import("postgate:mail/types@0.1.0").Verdict;
  export type Mailbox = import("postgate:mail/types@0.1.0").Mailbox;
  export type Parameter = import("postgate:mail/types@0.1.0").Parameter;
  /** `reverse-path` is none for the null reverse-path `<>`. */
  export function onMail(reversePath: Mailbox | undefined, parameters: Parameter[]): Verdict;
}

/** Writes the current message into a Maildir. Grant: `maildir`, with the directory that holds the mailboxes. */
declare module "postgate:mail/maildir@0.1.0" {
  export type MaildirError =
    /** There is no message to be written at this hook. */
    | { tag: "not-now" }
    /** The path has no or too many parts, or an empty one. */
    | { tag: "invalid-path"; val: string }
    /** More mailboxes than the message has recipients. */
    | { tag: "too-many" }
    /** The disk or the quota is full. Answer 452 4.3.1. */
    | { tag: "no-space" }
    /** The mailbox could not be written; the host's log says why. Answer 451 4.3.0. */
    | { tag: "unavailable" };
  /**
   * Writes the message, with Return-Path and Received on top, to the Maildir of that path below the granted directory, which is
   * made if it is not there. When it answers `ok` the message is on disk: written to `tmp`, synced, renamed into `new`, and
   * that directory synced. A mailbox that has the message already does not get it again.
   *
   * A path has 1 to 8 parts such as `example.org`, `alice`. A part may be any text: what is not safe in a file name is written as `%` and
   * two hexadecimal digits.
   *
   * Throws an error with `payload`: `MaildirError`.
   */
  export function store(path: string[]): void;
}

/** The end of mail data, before the reply: the message can be read, and edited. When nobody objects it goes to delivery. */
declare module "postgate:mail/message@0.1.0" {
  export type Reply = import("postgate:mail/types@0.1.0").Reply;
  export type MessageVerdict =
    /** No opinion, perhaps after edits: the next plugin is asked. */
    | { tag: "next" }
    /** Deliver it; the rest of the chain is not asked at this hook. */
    | { tag: "accept" }
    /** No, for good. */
    | { tag: "reject"; val: Reply }
    /** Not now. */
    | { tag: "defer"; val: Reply }
    /** As `reject`, and the host closes the connection behind the reply. */
    | { tag: "disconnect"; val: Reply }
    /** The client is told 250, and the message is thrown away. The reason is logged. */
    | { tag: "discard"; val: string }
    /** The client is told 250, and the message is kept for a person, under this label of 1 to 64 letters, digits and `-`. */
    | { tag: "quarantine"; val: string };
  export function onMessage(): MessageVerdict;
}

/**
 * Figures of the plugin's own, among the gateway's metrics. Grant: `metrics`.
 *
 * A name is 1 to 64 lower-case letters, digits and `_`, and does not begin with a digit; the host puts `postgate_plugin_` before
 * it, and the plugin's name as a label. No word of it is a kind (`gauge`), an abbreviated unit (`ms`) or a unit that is not a base unit
 * (`milliseconds`): Prometheus' own tool, `promtool check metrics`, finds nothing wrong with what a plugin counts. A figure has at most 4 labels; a plugin has as many different figures (name and label values
 * together) as the operator allows, and further ones are a `quota` error.
 */
declare module "postgate:mail/metrics@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  /**
   * Adds to a counter.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function count(name: string, labels: [string, string][], by: number): void;
  /**
   * Sets a gauge.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function gauge(name: string, labels: [string, string][], value: number): void;
  /**
   * Adds one observation, in seconds or octets say, to a histogram.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function observe(name: string, labels: [string, string][], value: number): void;
}

/**
 * Tells what has happened. All plugins of the chain that export it are told, and can't change anything: even a trap here
 * changes nothing but the log. Called also when the client has gone.
 */
declare module "postgate:mail/observe@0.1.0" {
  export type Mailbox = import("postgate:mail/types@0.1.0").Mailbox;
  /** Why the session ended. */
  export type End =
    /** The client said QUIT. */
    | "quit"
    /** The client closed the connection, or it broke. */
    | "lost"
    /** The client was too slow. */
    | "timeout"
    /** We closed it: a verdict, too many errors. */
    | "refused"
    /** The host is stopping. */
    | "shutdown";
  export type Fate =
    | "delivered"
    | "failed"
    | "deferred"
    | "discarded"
    | "quarantined";
  /** What became of one recipient. */
  export interface RecipientFate {
    recipient: Mailbox;
    fate: Fate;
    /** The plugin that took it, where one did. */
    plugin?: string | undefined;
  }
  export type Event =
    /** The transaction was given up: RSET, a new EHLO, a refused message, a lost connection. */
    | { tag: "transaction-reset" }
    /** The transaction has ended with a reply to the mail data. */
    | { tag: "transaction-outcome"; val: RecipientFate[] }
    /** The session has ended. */
    | { tag: "session-end"; val: End };
  export function onEvent(event: Event): void;
}

/**
 * The message as a reader's mail program sees it: MIME parts, decoded by the host, so that no plugin needs a parser. Known where
 * `mail-data` is, with the edits of earlier plugins.
 */
declare module "postgate:mail/parts@0.1.0" {
  export type ContextError = import("postgate:mail/transaction@0.1.0").ContextError;
  /** One MIME part (RFC 2045), or the whole message, which is part 0. */
  export interface Part {
    /** Its place in `all`. */
    number: number;
    /** The multipart or message/rfc822 that holds it; none for part 0. */
    parent?: number | undefined;
    /** `text/plain`, in lower case. */
    mediaType: string;
    /** The parameter charset, in lower case. */
    charset?: string | undefined;
    /** The file name, decoded (RFC 2231, RFC 2047), of Content-Disposition or else of Content-Type. Not to be trusted. */
    fileName?: string | undefined;
    /** Whether it is an attachment: it says so, or it has a file name and is not shown. */
    attachment: boolean;
    /** Content-ID without its brackets. */
    contentId?: string | undefined;
    /** Octets when decoded; 0 for a multipart. */
    size: number;
  }
  /** A mailbox of a header field, with the name that stands before it. */
  export interface NamedAddress {
    name?: string | undefined;
    /** `local@domain`, as it stands there. */
    address: string;
  }
  /** Why there is no list of parts. */
  export type PartError =
    | { tag: "not-now" }
    /** There is no such part. */
    | { tag: "no-such-part" }
    /** More than 1000 parts, or nested more than 20 deep, or an endless header: no mail program would show it as its author meant. */
    | { tag: "too-complex" }
    /** Too large to be taken apart: the operator's bound is lower. */
    | { tag: "too-large" };
  /**
   * All parts, each before those that it holds.
   *
   * Throws an error with `payload`: `PartError`.
   */
  export function all(): Part[];
  /**
   * Up to `length` octets, at most 1 MiB, of a part's content from `offset` on, with base64 or quoted-printable decoded.
   *
   * Throws an error with `payload`: `PartError`.
   */
  export function content(part: number, offset: number, length: number): Uint8Array;
  /**
   * As `content`, of a text, converted from its charset; what can't be converted is U+FFFD.
   *
   * Throws an error with `payload`: `PartError`.
   */
  export function text(part: number): string;
  /**
   * The values of the fields of that name, unfolded and decoded (RFC 2047), from the top.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function field(name: string): string[];
  /**
   * The addresses of the fields of that name (From, To, Cc …), groups taken apart.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function addresses(name: string): NamedAddress[];
}

/** Verifies passwords natively, outside the sandbox and its fuel. Grant: `passwords`. */
declare module "postgate:mail/passwords@0.1.0" {
  export type PasswordError =
    /**
     * Neither a hash in PHC string form of argon2id nor keys of SCRAM-SHA-256, or more memory or time than the host allows: what is
     * wrong with it, without the hash.
     */
    | { tag: "invalid-hash"; val: string }
    /** Too many verifications are waiting, or too many for clients of this network; try later. */
    | { tag: "busy" };
  /**
   * Whether `password` is the one that `hash` was made of: an argon2id hash in PHC string form,
   * `$argon2id$v=19$m=19456,t=2,p=1$…`, or keys of SCRAM-SHA-256 in the form of RFC 5803,
   * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, with 4096 to 1,000,000 iterations.
   *
   * Takes as long for a wrong password as for the right one. To keep secret which users there are, verify against some
   * other user's hash where there is no such user.
   *
   * Throws an error with `payload`: `PasswordError`.
   */
  export function verify(password: string, hash: string): boolean;
}

/** RCPT TO, once for each. **Closed world: a recipient that no plugin accepts is refused** (550 5.7.1). */
declare module "postgate:mail/recipient@0.1.0" {
  export type Verdict = import("postgate:mail/types@0.1.0").Verdict;
  export type Mailbox = import("postgate:mail/types@0.1.0").Mailbox;
  export type Parameter = import("postgate:mail/types@0.1.0").Parameter;
  export function onRecipient(recipient: Mailbox, parameters: Parameter[]): Verdict;
}

/**
 * Secrets that the operator keeps outside the configuration: in the environment, in files, in credentials of the service manager.
 * Grant: `secrets`, with the names that may be read, and those that may be used only.
 *
 * The host writes the value of a secret nowhere, and takes it out of what the plugin logs.
 */
declare module "postgate:mail/secrets@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  /**
   * The value of a secret that may be read.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function value(name: string): string;
  /**
   * HMAC-SHA-256 (RFC 2104) of `data`, keyed with a secret that the plugin need not be able to read. 32 octets.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function hmacSha256(name: string, data: Uint8Array): Uint8Array;
}

/**
 * The session that the current call belongs to: one connection of one client. Known at every hook.
 *
 * STARTTLS begins the session anew (RFC 3207 section 4.2): what was learned before, notes included, is gone.
 */
declare module "postgate:mail/session@0.1.0" {
  /** An end of the connection. */
  export interface Endpoint {
    /** An IPv4 or IPv6 address in its usual text form, without brackets. */
    address: string;
    port: number;
  }
  /** How the client greeted. */
  export type Greeting =
    | "helo"
    | "ehlo"
    | "lhlo";
  /** What the client said of itself. */
  export interface ClientHello {
    greeting: Greeting;
    /** The domain or address literal, as the client wrote it. Nothing about it has been verified. */
    name: string;
  }
  /** The TLS layer of the connection. */
  export interface TlsLayer {
    /** `TLSv1.2` or `TLSv1.3`. */
    version: string;
    /** The cipher suite by its IANA name. */
    cipherSuite: string;
    /** The name that the client asked for (RFC 6066 section 3). */
    serverName?: string | undefined;
    /** SHA-256 of the client's verified certificate, in lower-case hexadecimal. */
    clientCertificate?: string | undefined;
  }
  /** Who the client has proved to be (RFC 4954). */
  export interface ClientIdentity {
    /** The name that the plugin which authenticated it gave. */
    name: string;
    /** The SASL mechanism, in upper case. */
    mechanism: string;
  }
  /** Why a note was not kept. */
  export type NoteError =
    /** A name has 1 to 64 octets, a value at most 4096. */
    | "too-long"
    /** The notes of the session are as many, or as large in all, as the operator allows. */
    | "quota";
  /** An identifier of the session, unique over restarts, of letters, digits and `-`. */
  export function id(): string;
  /** The name of the listener in the operator's configuration. */
  export function listener(): string;
  /**
   * The client's end; behind a trusted proxy, what the proxy says it is. Where a proxy forwards a client and does not say whose
   * (PROXY UNKNOWN) it is the proxy's own.
   */
  export function remote(): Endpoint;
  /** Our end; behind a trusted proxy, the end of the proxy that the client has connected to, if the proxy says so. */
  export function local(): Endpoint;
  /** The last HELO, EHLO or LHLO, none before it. */
  export function hello(): ClientHello | undefined;
  /** None while the connection is in clear. Only TLS that ends at the host counts, whatever a proxy in front says. */
  export function tls(): TlsLayer | undefined;
  /** None while the client has not authenticated. */
  export function identity(): ClientIdentity | undefined;
  /**
   * Whether the client has sent something before the banner, which it has to wait for (RFC 5321 section 3.1). Seen only
   * on listeners where the operator has set `banner-delay`: without a delay there is nothing to see. It does not change
   * after `connect`; what was said early is carried out behind the banner, unless a plugin refuses the client.
   */
  export function earlyTalker(): boolean;
  /**
   * How often the client has sent a command or anything else without waiting for a reply that it had to wait for: behind a
   * command that must be the last of its group (RFC 2920 section 3.1: EHLO, DATA, VRFY, EXPN, NOOP, QUIT, and by their own
   * standards AUTH and STARTTLS), or although PIPELINING was not offered, as after HELO. A group that is legal is never
   * counted; one that is not is, if its octets come in together. At the hook of such a command it is counted already.
   *
   * This and `early-talker` are of the connection, and stay known behind STARTTLS; after XCLIENT both begin anew.
   */
  export function illegalPipelining(): number;
  /**
   * A note that this or an earlier plugin of the chain has left. Notes are the memory of a session: they outlive
   * the plugin's own memory, which the host may drop between two mail transactions.
   */
  export function note(name: string): string | undefined;
  /**
   * Leaves a note for later calls and later plugins; replaces one of that name.
   *
   * Throws an error with `payload`: `NoteError`.
   */
  export function setNote(name: string, value: string): void;
}

/**
 * The plugin has been loaded, with `check` and before the first client: is its configuration right? Of the services only `log` and `config` can
 * be used here, and there is no session.
 */
declare module "postgate:mail/setup@0.1.0" {
  /** A setting that can't be used. */
  export interface SettingProblem {
    /** Its keys from the outside in, such as `domains`, `example.org`, `users`, `2`; empty for the table itself. */
    path: string[];
    /** What is wrong and what would be right. */
    message: string;
  }
  /** All problems, so that they can be mended at once; none is well. The gateway shows each at its line, and does not start. */
  export function onSetup(): SettingProblem[];
}

/** Signs with keys that no plugin ever sees. Grant: `signing`, with the names of keys of the operator's configuration. In the `message` hook only. */
declare module "postgate:mail/signing@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  /**
   * Puts a DKIM-Signature (RFC 6376) on top of the message as it is now, with its edits.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function dkimSign(key: string): void;
  /**
   * Puts an ARC set (RFC 8617) on top, which vouches for what `mail-authentication` has found.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function arcSeal(key: string): void;
}

/**
 * An SQLite database of the plugin's own. Grant: `sqlite`.
 *
 * Nothing but this one database can be reached: `ATTACH`, file functions and extensions are off. Its size is bounded by the operator; a
 * statement that runs longer than the call's deadline is interrupted. A transaction that is open when the hook returns, or the plugin fails,
 * is rolled back. There are no temporary and no virtual tables, and neither `json_patch` nor `unhex`.
 */
declare module "postgate:mail/sqlite@0.1.0" {
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  export type Value =
    | { tag: "null" }
    | { tag: "integer"; val: number }
    | { tag: "real"; val: number }
    | { tag: "text"; val: string }
    | { tag: "blob"; val: Uint8Array };
  export type SqliteError =
    /** The service as such: not granted, out of a bound, the database locked for too long or damaged. */
    | { tag: "service"; val: ServiceError }
    /** A constraint of the schema: SQLite's words, such as `UNIQUE constraint failed: users.address`. */
    | { tag: "constraint"; val: string }
    /** The statement is wrong: SQLite's words. */
    | { tag: "statement"; val: string }
    /** The disk, or the size that the operator allows, is full. */
    | { tag: "full" };
  export interface Table {
    /** The names of the columns. */
    columns: string[];
    /**
     * At most 10,000 rows, and as many octets as the plugin's limit `transfer-octets`: more is an error, so that none is missed. Ask
     * with `LIMIT`.
     */
    rows: Value[][];
  }
  /** What a statement that gives no rows has done. */
  export interface Effect {
    /** Rows inserted, changed or deleted. */
    changes: number;
    /** The row id of the last row inserted on this connection. */
    lastRow: number;
  }
  /**
   * Runs one statement, with values for its parameters `?`, `?1` and so on.
   *
   * Throws an error with `payload`: `SqliteError`.
   */
  export function execute(statement: string, parameters: Value[]): Effect;
  /**
   * Runs one statement, and answers its rows.
   *
   * Throws an error with `payload`: `SqliteError`.
   */
  export function query(statement: string, parameters: Value[]): Table;
  /**
   * Runs any number of statements without parameters: a schema.
   *
   * Throws an error with `payload`: `SqliteError`.
   */
  export function runScript(statements: string): void;
  /**
   * Begins a transaction that may write; waits for others to end theirs, a few seconds at most.
   *
   * Throws an error with `payload`: `SqliteError`.
   */
  export function begin(): void;
  /**
   * Makes what was done since `begin` durable: on disk and synced when it answers.
   *
   * Throws an error with `payload`: `SqliteError`.
   */
  export function commit(): void;
  /**
   * Takes back what was done since `begin`.
   *
   * Throws an error with `payload`: `SqliteError`.
   */
  export function rollback(): void;
}

/** STARTTLS (RFC 3207), before the handshake. When nobody objects it begins. */
declare module "postgate:mail/starttls@0.1.0" {
  export type Verdict = import("postgate:mail/types@0.1.0").Verdict;
  export function onStarttls(): Verdict;
}

/** Hands messages over to relays that the operator has set up. Grant: `submit`, with their names. */
declare module "postgate:mail/submit@0.1.0" {
  export type Mailbox = import("postgate:mail/types@0.1.0").Mailbox;
  export type Reply = import("postgate:mail/types@0.1.0").Reply;
  export type ServiceError = import("postgate:mail/types@0.1.0").ServiceError;
  /** What the relay said to one recipient. */
  export type Submission =
    /** 250 to the mail data: the relay answers for it now. */
    | { tag: "taken"; val: Reply }
    /** 5yz, for good. */
    | { tag: "failed"; val: Reply }
    /** 4yz, or no answer that can be relied on: not now. */
    | { tag: "deferred"; val: Reply };
  /**
   * Hands over the current message, with its edits and trace fields, for these recipients; in the `deliver` hook only. One answer for each, in the same
   * order. The call lasts as long as the relay takes. A message with more than 50 Received fields fails: it is in a loop.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function relay(name: string, recipients: Mailbox[]): Submission[];
  /**
   * Hands over a message of the plugin's own: a notice, an automatic answer. It must be a header section and a body of CRLF lines, at most 1 MiB; the host
   * adds nothing to it. A plugin may do so 60 times in a minute.
   *
   * Throws an error with `payload`: `ServiceError`.
   */
  export function send(name: string, reversePath: Mailbox | undefined, recipients: Mailbox[], message: Uint8Array): Submission[];
}

/** The mail transaction that the current call belongs to: known from the `mail` hook on, until the outcome is observed. */
declare module "postgate:mail/transaction@0.1.0" {
  export type Mailbox = import("postgate:mail/types@0.1.0").Mailbox;
  export type Parameter = import("postgate:mail/types@0.1.0").Parameter;
  export type Hook = import("postgate:mail/types@0.1.0").Hook;
  /** Why there is no answer. */
  export type ContextError =
    /** The thing asked for does not exist at this hook. */
    | "not-now";
  /** A recipient that has been accepted, or, in the `recipient` hook, those accepted so far. */
  export interface AcceptedRecipient {
    mailbox: Mailbox;
    /** The parameters of its RCPT command; none for a recipient that a plugin has added. */
    parameters: Parameter[];
  }
  /** The kinds of verdict; `failed` is the host's word for a plugin that did not give one. */
  export type VerdictKind =
    | "accepted"
    | "rejected"
    | "deferred"
    | "disconnected"
    | "discarded"
    | "quarantined"
    | "edited"
    | "failed";
  /** A verdict other than `next` that was given earlier in this transaction. The host vouches for its author. */
  export interface EarlierVerdict {
    /** The plugin's name in the operator's configuration. */
    plugin: string;
    hook: Hook;
    kind: VerdictKind;
    /** The recipient that it was about. */
    recipient?: Mailbox | undefined;
  }
  /**
   * An identifier of the transaction, unique over restarts; the `id` of the Received field that the host adds.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function id(): string;
  /**
   * The reverse-path: `ok(none)` is the null reverse-path `<>` of notifications.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function reversePath(): Mailbox | undefined;
  /**
   * The parameters of the MAIL command.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function parameters(): Parameter[];
  /**
   * The recipients accepted so far, in order, with the changes that plugins have made.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function recipients(): AcceptedRecipient[];
  /**
   * The size in octets that the client has declared with SIZE (RFC 1870).
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function declaredSize(): number | undefined;
  /**
   * The verdicts given so far, oldest first.
   *
   * Throws an error with `payload`: `ContextError`.
   */
  export function verdicts(): EarlierVerdict[];
}

/** Plain data that several interfaces share. Nothing here calls anything. */
declare module "postgate:mail/types@0.1.0" {
  /** A mailbox as RFC 5321 section 4.1.2 writes it, taken apart. */
  export interface Mailbox {
    /** The local part, unquoted and unescaped, in the case that the client used: `John Doe` for `"John Doe"@example.org`. */
    localPart: string;
    /**
     * The domain in lower case, or an address literal with its brackets (`[192.0.2.1]`, `[IPv6:2001:db8::1]`).
     * Empty only for the bare `Postmaster` of RFC 5321 section 4.1.1.3.
     */
    domain: string;
  }
  /** One parameter of a MAIL or RCPT command (RFC 5321 section 4.1.1.11), after the host has checked its syntax. */
  export interface Parameter {
    /** The keyword in upper case: `SIZE`, `BODY`. */
    keyword: string;
    /** What stood behind `=`, as the client wrote it. */
    value?: string | undefined;
  }
  /** An enhanced status code (RFC 3463): `5.7.1` is class 5, subject 7, detail 1. */
  export interface EnhancedStatus {
    /** 2, 4 or 5; the same digit that the reply code begins with. */
    class: number;
    /** 0 to 999. */
    subject: number;
    /** 0 to 999. */
    detail: number;
  }
  /**
   * A reply to the client (RFC 5321 section 4.2). The host checks it before a single octet is sent:
   *
   * - `code` is 400 to 559, its second digit 0 to 5: 4yz where the reply defers, 5yz where it is an outcome that is final, either
   *   in `reject` and `disconnect`, and 2yz too where it answers VRFY, EXPN or a verb of the plugin's own. After a 421 the
   *   connection is closed, whatever it was the reply to;
   * - `enhanced`, where given, is of the class of the code; where not given the host writes the general one (`5.7.1`
   *   for a refusal, `4.7.1` for a deferral);
   * - `text` has at most 16 lines of printable ASCII and spaces, none longer than 480 octets; other Unicode characters
   *   reach the client as `?`. No line at all stands for a text of the host's.
   *
   * A reply that breaks a rule is a failure of the plugin with the cause `reply`: the client gets what the failure
   * policy says, and none of the text.
   */
  export interface Reply {
    code: number;
    enhanced?: EnhancedStatus | undefined;
    text: string[];
  }
  /**
   * What a plugin says at a hook. The plugins of a chain are asked in order; the first answer other than `next` ends the
   * hook.
   */
  export type Verdict =
    /** No opinion: the next plugin of the chain is asked. What becomes of it when all say so stands at each hook. */
    | { tag: "next" }
    /** Yes, and the rest of the chain is not asked at this hook. */
    | { tag: "accept" }
    /** No, for good (5yz), or for now if the code is 4yz. */
    | { tag: "reject"; val: Reply }
    /** Not now (4yz): the client is to try again later. */
    | { tag: "defer"; val: Reply }
    /** As `reject`, and the host closes the connection behind the reply. */
    | { tag: "disconnect"; val: Reply };
  /**
   * Why a host service did not do what it was asked for. The texts are for the author's and the operator's log, never for
   * the client.
   */
  export type ServiceError =
    /** The operator has not allowed this: a host, a relay, a secret that the grant does not name. */
    | { tag: "denied"; val: string }
    /** A bound is reached: which one. */
    | { tag: "quota"; val: string }
    /** It can't be had now, and perhaps later: `defer`. */
    | { tag: "unavailable"; val: string }
    /** It makes no sense: what is wrong with it. */
    | { tag: "invalid"; val: string }
    /** What it is about, a message say, does not exist at this hook. */
    | { tag: "not-now" };
  /** A person's or a list's entry, for VRFY and EXPN. */
  export interface DirectoryEntry {
    /** Printable, without angle brackets; beyond ASCII it is for clients that have said SMTPUTF8 only. */
    fullName?: string | undefined;
    mailbox: Mailbox;
  }
  /** The moments at which plugins are asked; they name the author of an earlier verdict. */
  export type Hook =
    | "connect"
    | "hello"
    | "starttls"
    | "authenticate"
    | "mail"
    | "recipient"
    | "data"
    | "chunk"
    | "message"
    | "deliver"
    | "verify"
    | "expand"
    | "command"
    | "observe";
}

/** VRFY (RFC 5321 section 3.5). When nobody has an opinion: 252. */
declare module "postgate:mail/verify@0.1.0" {
  export type DirectoryEntry = import("postgate:mail/types@0.1.0").DirectoryEntry;
  export type Reply = import("postgate:mail/types@0.1.0").Reply;
  export type Verification =
    | { tag: "next" }
    /** 250 with this mailbox. */
    | { tag: "found"; val: DirectoryEntry }
    | { tag: "reply"; val: Reply };
  /**
   * `argument` is the string behind VRFY, without the parameter SMTPUTF8: printable ASCII, and where the client has said that
   * parameter perhaps other printable characters of Unicode, too (RFC 6531 section 3.7.4.2). An entry beyond ASCII reaches
   * such a client only; others get 252 2.6.8 instead.
   */
  export function onVerify(argument: string): Verification;
}
