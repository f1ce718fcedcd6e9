// Small helpers above the contract's own functions and types, which are in wit.h. Made by `postgate build`.
//
// Whose memory it is: what a hook is given, and what a call of the host answers, is the plugin's to free (each type has its function in
// wit.h: wit_string_free, types_mailbox_free …). What the plugin gives to a call stays the plugin's. What a hook answers goes to the host,
// and must have been allocated: the helpers do so.
#ifndef POSTGATE_H
#define POSTGATE_H

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "wit.h"

// ---- Text ----

// A literal as a string to be given to a call: borrowed, not to be freed.
static inline wit_string_t pg_text(const char *text)
{
    return (wit_string_t) { (uint8_t *)text, strlen(text) };
}

// The same as octets, for calls that take list<u8>.
static inline wit_list_u8_t pg_octets(const char *text)
{
    return (wit_list_u8_t) { (uint8_t *)text, strlen(text) };
}

// A string to be answered by a hook: a copy.
static inline wit_string_t pg_copy(const char *text)
{
    wit_string_t copy;
    wit_string_dup(&copy, text);
    return copy;
}

static inline bool pg_same(wit_string_t one, wit_string_t other)
{
    return one.len == other.len && memcmp(one.ptr, other.ptr, one.len) == 0;
}

static inline bool pg_is(wit_string_t string, const char *text)
{
    return pg_same(string, pg_text(text));
}

// Whether the octets hold the text somewhere.
static inline bool pg_contains(wit_list_u8_t octets, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i + length <= octets.len; i++) {
        if (memcmp(octets.ptr + i, text, length) == 0) {
            return true;
        }
    }
    return false;
}

// All of these strings behind one another, a NULL behind the last; to be freed with wit_string_free.
static inline wit_string_t pg_join(const wit_string_t *first, ...)
{
    wit_string_t all = { NULL, 0 };
    va_list rest;
    va_start(rest, first);
    for (const wit_string_t *next = first; next != NULL; next = va_arg(rest, const wit_string_t *)) {
        if (next->len > 0) {
            all.ptr = realloc(all.ptr, all.len + next->len);
            memcpy(all.ptr + all.len, next->ptr, next->len);
            all.len += next->len;
        }
    }
    va_end(rest);
    return all;
}

// `local@domain`, to be freed with wit_string_free.
static inline wit_string_t pg_mailbox(const types_mailbox_t *mailbox)
{
    wit_string_t at = pg_text("@");
    return pg_join(&mailbox->local_part, &at, &mailbox->domain, NULL);
}

// ---- Replies and verdicts ----

// `enhanced` is an enhanced status code such as "5.1.1", or NULL for the general one. Each line of the text is a line of the reply, and
// an empty text stands for one of the host's. The text is taken over.
static inline types_reply_t pg_reply_of(uint16_t code, const char *enhanced, wit_string_t text)
{
    types_reply_t reply = { .code = code };
    if (enhanced != NULL) {
        char *rest;
        reply.enhanced.is_some = true;
        reply.enhanced.val.class_ = (uint8_t)strtoul(enhanced, &rest, 10);
        reply.enhanced.val.subject = (uint16_t)strtoul(*rest ? rest + 1 : rest, &rest, 10);
        reply.enhanced.val.detail = (uint16_t)strtoul(*rest ? rest + 1 : rest, &rest, 10);
    }
    size_t lines = text.len > 0;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.ptr[i] == '\n';
    }
    reply.text.ptr = malloc(lines * sizeof(wit_string_t));
    for (size_t from = 0; reply.text.len < lines; reply.text.len++) {
        size_t to = from;
        while (to < text.len && text.ptr[to] != '\n') {
            to++;
        }
        wit_string_dup_n(&reply.text.ptr[reply.text.len], (char *)text.ptr + from, to - from);
        from = to + 1;
    }
    wit_string_free(&text);
    return reply;
}

static inline types_reply_t pg_reply(uint16_t code, const char *enhanced, const char *text)
{
    return pg_reply_of(code, enhanced, pg_copy(text));
}

// No opinion: the next plugin of the chain is asked.
static inline types_verdict_t pg_next(void)
{
    return (types_verdict_t) { .tag = TYPES_VERDICT_NEXT };
}

// Yes, and the rest of the chain is not asked.
static inline types_verdict_t pg_accept(void)
{
    return (types_verdict_t) { .tag = TYPES_VERDICT_ACCEPT };
}

// No, for good: pg_reject(550, "5.1.1", "no such user").
static inline types_verdict_t pg_reject(uint16_t code, const char *enhanced, const char *text)
{
    return (types_verdict_t) { .tag = TYPES_VERDICT_REJECT, .val.reject = pg_reply(code, enhanced, text) };
}

// Not now: pg_defer(450, "4.2.1", "come again later").
static inline types_verdict_t pg_defer(uint16_t code, const char *enhanced, const char *text)
{
    return (types_verdict_t) { .tag = TYPES_VERDICT_DEFER, .val.defer = pg_reply(code, enhanced, text) };
}

// As pg_reject, and the host closes the connection behind the reply.
static inline types_verdict_t pg_disconnect(uint16_t code, const char *enhanced, const char *text)
{
    return (types_verdict_t) { .tag = TYPES_VERDICT_DISCONNECT, .val.disconnect = pg_reply(code, enhanced, text) };
}
//@hook message

// ---- The verdicts of the hook `message` ----

static inline exports_message_message_verdict_t pg_message_next(void)
{
    return (exports_message_message_verdict_t) { .tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_NEXT };
}

static inline exports_message_message_verdict_t pg_message_accept(void)
{
    return (exports_message_message_verdict_t) { .tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_ACCEPT };
}

static inline exports_message_message_verdict_t pg_message_reject(uint16_t code, const char *enhanced, const char *text)
{
    return (exports_message_message_verdict_t) {
        .tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_REJECT, .val.reject = pg_reply(code, enhanced, text)
    };
}

static inline exports_message_message_verdict_t pg_message_defer(uint16_t code, const char *enhanced, const char *text)
{
    return (exports_message_message_verdict_t) {
        .tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_DEFER, .val.defer = pg_reply(code, enhanced, text)
    };
}

// The client is told 250, and the message is thrown away; the reason is logged.
static inline exports_message_message_verdict_t pg_message_discard(const char *reason)
{
    return (exports_message_message_verdict_t) {
        .tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_DISCARD, .val.discard = pg_copy(reason)
    };
}

// The client is told 250, and the message is kept for a person.
static inline exports_message_message_verdict_t pg_message_quarantine(const char *label)
{
    return (exports_message_message_verdict_t) {
        .tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_QUARANTINE, .val.quarantine = pg_copy(label)
    };
}
//@end
//@hook deliver

// ---- The outcomes of the hook `deliver` ----

static inline exports_deliver_outcome_t pg_delivered(void)
{
    return (exports_deliver_outcome_t) { .tag = EXPORTS_DELIVER_OUTCOME_DELIVERED };
}

// It can't be delivered, ever.
static inline exports_deliver_outcome_t pg_failed(uint16_t code, const char *enhanced, const char *text)
{
    return (exports_deliver_outcome_t) { .tag = EXPORTS_DELIVER_OUTCOME_FAILED, .val.failed = pg_reply(code, enhanced, text) };
}

// It can't be delivered now.
static inline exports_deliver_outcome_t pg_deferred(uint16_t code, const char *enhanced, const char *text)
{
    return (exports_deliver_outcome_t) { .tag = EXPORTS_DELIVER_OUTCOME_DEFERRED, .val.deferred = pg_reply(code, enhanced, text) };
}

// Not mine: the next plugin that delivers is asked about this recipient.
static inline exports_deliver_outcome_t pg_not_mine(void)
{
    return (exports_deliver_outcome_t) { .tag = EXPORTS_DELIVER_OUTCOME_NEXT };
}
//@end
//@hook verify expand

// ---- Entries of VRFY and EXPN ----

static inline types_directory_entry_t pg_entry(const char *full_name, const char *local_part, const char *domain)
{
    types_directory_entry_t entry = { .full_name.is_some = full_name != NULL };
    if (full_name != NULL) {
        entry.full_name.val = pg_copy(full_name);
    }
    entry.mailbox.local_part = pg_copy(local_part);
    entry.mailbox.domain = pg_copy(domain);
    return entry;
}
//@end
