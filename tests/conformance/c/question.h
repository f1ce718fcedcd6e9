// Questions: what the context and the services answer, as lines of text.
#pragma once

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "postgate.h"

// Text of the contract's for "%.*s".
#define S(text) (int)(text).len, (const char *)(text).ptr

// The longest argument or question that is looked at.
#define WORD_MAX 4200

// ---- Lines ----

// Each ends with a NUL that is not counted.
typedef struct {
    wit_string_t *lines;
    size_t count;
} lines_t;

static void put_format(wit_string_t *to, const char *format, va_list values)
{
    va_list again;
    va_copy(again, values);
    size_t length = (size_t)vsnprintf(NULL, 0, format, values);
    to->ptr = realloc(to->ptr, to->len + length + 1);
    vsnprintf((char *)to->ptr + to->len, length + 1, format, again);
    to->len += length;
    va_end(again);
}

// Another line.
static void line(lines_t *to, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    to->lines = realloc(to->lines, (to->count + 1) * sizeof(wit_string_t));
    to->lines[to->count] = (wit_string_t) { NULL, 0 };
    put_format(&to->lines[to->count++], format, values);
    va_end(values);
}

// Further text of the last line.
static void more(lines_t *to, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    put_format(&to->lines[to->count - 1], format, values);
    va_end(values);
}

static void lines_free(lines_t *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->lines[i].ptr);
    }
    free(lines->lines);
}

static void put_mailbox(lines_t *to, const types_mailbox_t *mailbox)
{
    if (mailbox == NULL) {
        more(to, "<>");
    } else if (mailbox->domain.len == 0) {
        more(to, "%.*s", S(mailbox->local_part));
    } else {
        more(to, "%.*s@%.*s", S(mailbox->local_part), S(mailbox->domain));
    }
}

static void put_option(lines_t *to, wit_option_string_t text)
{
    text.is_some ? more(to, "%.*s", S(text.val)) : more(to, "none");
}

static void put_parameters(lines_t *to, const types_parameter_t *given, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        more(to, " %.*s", S(given[i].keyword));
        if (given[i].value.is_some) {
            more(to, "=%.*s", S(given[i].value.val));
        }
    }
}

static void put_hex(lines_t *to, wit_list_u8_t octets)
{
    for (size_t i = 0; i < octets.len; i++) {
        more(to, "%02x", octets.ptr[i]);
    }
}

// ---- Errors by their names ----

static void edit_error(lines_t *to, editor_edit_error_t *error)
{
    static const char *const names[] = { "not-now", "invalid", "quota" };
    line(to, "%s", names[error->tag]);
    editor_edit_error_free(error);
}

static void part_error(lines_t *to, parts_part_error_t *error)
{
    static const char *const names[] = { "not-now", "no-such-part", "too-complex", "too-large" };
    line(to, "%s", names[error->tag]);
}

static void service_error(lines_t *to, types_service_error_t *error)
{
    static const char *const names[] = { "denied", "quota", "unavailable", "invalid", "not-now" };
    line(to, "%s", names[error->tag]);
    types_service_error_free(error);
}

static void sqlite_error(lines_t *to, sqlite_sqlite_error_t *error)
{
    static const char *const names[] = { "service", "constraint", "statement", "full" };
    line(to, "%s", names[error->tag]);
    sqlite_sqlite_error_free(error);
}

// ---- The context ----

static void session_lines(lines_t *to)
{
    static const char *const greetings[] = { "helo", "ehlo", "lhlo" };
    wit_string_t text;
    session_endpoint_t end;
    session_client_hello_t hello;
    session_tls_layer_t tls;
    session_client_identity_t identity;
    session_id(&text);
    line(to, "id=%s", text.len > 0 ? "true" : "false");
    wit_string_free(&text);
    session_listener(&text);
    line(to, "listener=%.*s", S(text));
    wit_string_free(&text);
    session_remote(&end);
    line(to, "remote=%.*s", S(end.address));
    session_endpoint_free(&end);
    session_local(&end);
    line(to, "local=%.*s:%u", S(end.address), end.port);
    session_endpoint_free(&end);
    line(to, "hello=");
    if (session_hello(&hello)) {
        more(to, "%s %.*s", greetings[hello.greeting], S(hello.name));
        session_client_hello_free(&hello);
    } else {
        more(to, "none");
    }
    line(to, "tls=");
    if (session_tls(&tls)) {
        more(to, "%.*s", S(tls.version));
        session_tls_layer_free(&tls);
    } else {
        more(to, "none");
    }
    line(to, "identity=");
    if (session_identity(&identity)) {
        more(to, "%.*s %.*s", S(identity.name), S(identity.mechanism));
        session_client_identity_free(&identity);
    } else {
        more(to, "none");
    }
    line(to, "early-talker=%s", session_early_talker() ? "true" : "false");
    line(to, "illegal-pipelining=%" PRIu32, session_illegal_pipelining());
}

static void put_verdicts(lines_t *to, transaction_list_earlier_verdict_t *list)
{
    static const char *const hooks[] = { "connect", "hello", "starttls", "authenticate", "mail", "recipient", "data", "chunk",
        "message", "deliver", "verify", "expand", "command", "observe" };
    static const char *const kinds[]
        = { "accepted", "rejected", "deferred", "disconnected", "discarded", "quarantined", "edited", "failed" };
    for (size_t i = 0; i < list->len; i++) {
        transaction_earlier_verdict_t *one = &list->ptr[i];
        more(to, "%s%s %s ", i == 0 ? "" : ", ", hooks[one->hook], kinds[one->kind]);
        one->recipient.is_some ? put_mailbox(to, &one->recipient.val) : more(to, "none");
        more(to, " %.*s", S(one->plugin));
    }
    transaction_list_earlier_verdict_free(list);
}

static void transaction_lines(lines_t *to)
{
    transaction_context_error_t not_now;
    wit_string_t id;
    transaction_option_mailbox_t path;
    transaction_list_parameter_t given;
    transaction_list_accepted_recipient_t recipients;
    wit_option_u64_t size;
    transaction_list_earlier_verdict_t verdicts;
    if (transaction_id(&id, &not_now)) {
        line(to, "id=%s", id.len > 0 ? "true" : "false");
        wit_string_free(&id);
    } else {
        line(to, "id=not-now");
    }
    line(to, "reverse-path=");
    if (transaction_reverse_path(&path, &not_now)) {
        put_mailbox(to, path.is_some ? &path.val : NULL);
        transaction_option_mailbox_free(&path);
    } else {
        more(to, "not-now");
    }
    line(to, "parameters=");
    if (transaction_parameters(&given, &not_now)) {
        put_parameters(to, given.ptr, given.len);
        transaction_list_parameter_free(&given);
    } else {
        more(to, "not-now");
    }
    line(to, "recipients=");
    if (transaction_recipients(&recipients, &not_now)) {
        for (size_t i = 0; i < recipients.len; i++) {
            more(to, i == 0 ? "" : ", ");
            put_mailbox(to, &recipients.ptr[i].mailbox);
            put_parameters(to, recipients.ptr[i].parameters.ptr, recipients.ptr[i].parameters.len);
        }
        transaction_list_accepted_recipient_free(&recipients);
    } else {
        more(to, "not-now");
    }
    line(to, "declared-size=");
    if (!transaction_declared_size(&size, &not_now)) {
        more(to, "not-now");
    } else {
        size.is_some ? more(to, "%" PRIu64, size.val) : more(to, "none");
    }
    line(to, "verdicts=");
    if (transaction_verdicts(&verdicts, &not_now)) {
        put_verdicts(to, &verdicts);
    } else {
        more(to, "not-now");
    }
}

// ---- The message ----

static void mail_data_lines(lines_t *to)
{
    mail_data_context_error_t not_now;
    uint64_t number;
    mail_data_list_header_field_t header;
    mail_data_size(&number, &not_now) ? line(to, "size=%" PRIu64, number) : line(to, "size=not-now");
    mail_data_body_offset(&number, &not_now) ? line(to, "body-offset=%" PRIu64, number) : line(to, "body-offset=not-now");
    line(to, "header=");
    if (mail_data_header(&header, &not_now)) {
        for (size_t i = 0; i < header.len; i++) {
            more(to, "%s%.*s", i == 0 ? "" : ",", S(header.ptr[i].name));
        }
        mail_data_list_header_field_free(&header);
    } else {
        more(to, "not-now");
    }
}

// How many octets there are, and the sum of every 64th.
static void sum(lines_t *to)
{
    uint64_t offset = 0, sum = 0;
    wit_list_u8_t window;
    mail_data_context_error_t not_now;
    for (;;) {
        if (!mail_data_read(offset, 65536, &window, &not_now)) {
            line(to, "not-now");
            return;
        }
        for (size_t i = 0; i < window.len; i += 64) {
            sum += window.ptr[i];
        }
        offset += window.len;
        if (window.len == 0) {
            break;
        }
        wit_list_u8_free(&window);
    }
    line(to, "%" PRIu64 " %" PRIu64, offset, sum);
}

static void parts_lines(lines_t *to)
{
    parts_list_part_t all;
    parts_part_error_t error;
    if (!parts_all(&all, &error)) {
        part_error(to, &error);
        return;
    }
    for (size_t i = 0; i < all.len; i++) {
        parts_part_t *part = &all.ptr[i];
        line(to, "%" PRIu32 " ", part->number);
        part->parent.is_some ? more(to, "%" PRIu32, part->parent.val) : more(to, "none");
        more(to, " %.*s ", S(part->media_type));
        put_option(to, part->charset);
        more(to, " ");
        put_option(to, part->file_name);
        more(to, part->attachment ? " true " : " false ");
        put_option(to, part->content_id);
        more(to, " %" PRIu64, part->size);
    }
    parts_list_part_free(&all);
}

static void addresses_lines(lines_t *to, wit_string_t *name)
{
    parts_list_named_address_t all;
    parts_context_error_t not_now;
    if (!parts_addresses(name, &all, &not_now)) {
        line(to, "not-now");
        return;
    }
    for (size_t i = 0; i < all.len; i++) {
        line(to, "");
        put_option(to, all.ptr[i].name);
        more(to, " <%.*s>", S(all.ptr[i].address));
    }
    parts_list_named_address_free(&all);
}

// ---- Services ----

static void values(lines_t *to, int64_t integer)
{
    uint8_t blob[] = { 0, 255 };
    sqlite_value_t given[] = {
        { .tag = SQLITE_VALUE_NULL },
        { .tag = SQLITE_VALUE_INTEGER, .val.integer = integer },
        { .tag = SQLITE_VALUE_REAL, .val.real = 0.5 },
        { .tag = SQLITE_VALUE_TEXT, .val.text = pg_text("Grüße, 世界") },
        { .tag = SQLITE_VALUE_BLOB, .val.blob = { blob, 2 } },
    };
    wit_string_t statement = pg_text("SELECT ?1, ?2, ?3, ?4, ?5");
    sqlite_list_value_t parameters = { given, 5 };
    sqlite_table_t table;
    sqlite_sqlite_error_t error;
    if (!sqlite_query(&statement, &parameters, &table, &error)) {
        sqlite_error(to, &error);
        return;
    }
    line(to, "%zu", table.columns.len);
    for (size_t r = 0; r < table.rows.len; r++) {
        for (size_t c = 0; c < table.rows.ptr[r].len; c++) {
            sqlite_value_t *value = &table.rows.ptr[r].ptr[c];
            more(to, " ");
            switch (value->tag) {
            case SQLITE_VALUE_NULL:
                more(to, "null");
                break;
            case SQLITE_VALUE_INTEGER:
                more(to, "%" PRId64, value->val.integer);
                break;
            case SQLITE_VALUE_REAL:
                more(to, "%g", value->val.real);
                break;
            case SQLITE_VALUE_TEXT:
                more(to, "%.*s", S(value->val.text));
                break;
            case SQLITE_VALUE_BLOB:
                put_hex(to, value->val.blob);
                break;
            }
        }
    }
    sqlite_table_free(&table);
}

static void rows(lines_t *to, wit_string_t *statement)
{
    sqlite_list_value_t none = { (sqlite_value_t *)8, 0 };
    sqlite_table_t table;
    sqlite_sqlite_error_t error;
    if (sqlite_query(statement, &none, &table, &error)) {
        line(to, "%zu", table.rows.len);
        sqlite_table_free(&table);
    } else {
        sqlite_error(to, &error);
    }
}

static void key_values(lines_t *to, const char *word, wit_string_t key, const char *value)
{
    types_service_error_t error;
    wit_list_u8_t octets = pg_octets(value);
    wit_option_list_u8_t found;
    int64_t sum;
    if (strcmp(word, "put") == 0) {
        key_value_set(&key, &octets, NULL, &error) ? line(to, "ok") : service_error(to, &error);
    } else if (strcmp(word, "increment") == 0) {
        key_value_increment(&key, strtoll(value, NULL, 10), NULL, &sum, &error) ? line(to, "%" PRId64, sum)
                                                                                : service_error(to, &error);
    } else if (!key_value_get(&key, &found, &error)) {
        service_error(to, &error);
    } else {
        line(to, found.is_some ? "" : "none");
        if (found.is_some) {
            put_hex(to, found.val);
        }
        wit_option_list_u8_free(&found);
    }
}

static void config_line(lines_t *to, char *path)
{
    wit_string_t keys[8], value;
    wit_list_string_t list = { keys, 0 };
    for (char *key = strtok(path, " "); key != NULL && list.len < 8; key = strtok(NULL, " ")) {
        keys[list.len++] = pg_text(key);
    }
    if (config_value(&list, &value)) {
        line(to, "%.*s", S(value));
        wit_string_free(&value);
    } else {
        line(to, "none");
    }
}

// ---- Edits ----

static types_mailbox_t mailbox_of(const char *address)
{
    const char *at = strrchr(address, '@');
    size_t length = at == NULL ? strlen(address) : (size_t)(at - address);
    return (types_mailbox_t) { { (uint8_t *)address, length }, pg_text(at == NULL ? "" : at + 1) };
}

static void done(lines_t *to, bool ok, editor_edit_error_t *error)
{
    ok ? line(to, "ok") : edit_error(to, error);
}

static void said(lines_t *to, bool ok, bool answer, editor_edit_error_t *error)
{
    ok ? line(to, answer ? "true" : "false") : edit_error(to, error);
}

static bool edit(lines_t *to, const char *word, const char *rest, const char *first, const char *behind, const char *second, const char *third)
{
    editor_edit_error_t error;
    bool answer = false, ok;
    uint32_t count = 0;
    wit_string_t name = pg_text(first), next = pg_text(second);
    wit_list_u8_t value = pg_octets(behind), last = pg_octets(third);
    if (strcmp(word, "prepend") == 0) {
        done(to, editor_prepend_field(&name, &value, &error), &error);
    } else if (strcmp(word, "append") == 0) {
        done(to, editor_append_field(&name, &value, &error), &error);
    } else if (strcmp(word, "insert") == 0) {
        done(to, editor_insert_field((uint32_t)strtoul(first, NULL, 10), &next, &last, &error), &error);
    } else if (strcmp(word, "replace") == 0) {
        ok = editor_replace_field(&name, (uint32_t)strtoul(second, NULL, 10), &last, &answer, &error);
        said(to, ok, answer, &error);
    } else if (strcmp(word, "remove") == 0) {
        editor_remove_fields(&name, &count, &error) ? line(to, "%" PRIu32, count) : edit_error(to, &error);
    } else if (strcmp(word, "body") == 0) {
        lines_t body = { 0 };
        line(&body, "%s\r\n", rest);
        wit_list_u8_t octets = { body.lines[0].ptr, body.lines[0].len };
        done(to, editor_replace_body(&octets, &error), &error);
        lines_free(&body);
    } else if (strcmp(word, "replace-part") == 0) {
        ok = editor_replace_part((uint32_t)strtoul(first, NULL, 10), &next, &last, &answer, &error);
        said(to, ok, answer, &error);
    } else if (strcmp(word, "remove-part") == 0) {
        ok = editor_remove_part((uint32_t)strtoul(first, NULL, 10), &answer, &error);
        said(to, ok, answer, &error);
    } else if (strcmp(word, "reverse-path") == 0) {
        types_mailbox_t path = mailbox_of(rest);
        done(to, editor_set_reverse_path(strcmp(rest, "<>") == 0 ? NULL : &path, &error), &error);
    } else if (strcmp(word, "add") == 0) {
        types_mailbox_t recipient = mailbox_of(rest);
        done(to, editor_add_recipient(&recipient, &error), &error);
    } else if (strcmp(word, "drop") == 0) {
        types_mailbox_t recipient = mailbox_of(rest);
        ok = editor_remove_recipient(&recipient, &answer, &error);
        said(to, ok, answer, &error);
    } else {
        return false;
    }
    return true;
}

// ---- All of them ----

// Cuts the first word off, and answers what stands behind it.
static char *cut(char *text)
{
    char *space = strchr(text, ' ');
    if (space == NULL) {
        return text + strlen(text);
    }
    *space = 0;
    return space + 1;
}

static void note(lines_t *to, wit_string_t name, wit_string_t value)
{
    static const char *const names[] = { "too-long", "quota" };
    session_note_error_t error;
    session_set_note(&name, &value, &error) ? line(to, "ok") : line(to, "%s", names[error]);
}

static void message_lines(lines_t *to, const char *word, const char *rest, const char *first, const char *second, const char *third)
{
    mail_data_context_error_t not_now;
    parts_part_error_t error;
    wit_list_u8_t octets;
    wit_string_t name = pg_text(rest), text;
    if (strcmp(word, "field") == 0) {
        wit_list_list_u8_t found;
        if (!mail_data_field(&name, &found, &not_now)) {
            line(to, "not-now");
            return;
        }
        for (size_t i = 0; i < found.len; i++) {
            line(to, "%.*s", S(found.ptr[i]));
        }
        wit_list_list_u8_free(&found);
    } else if (strcmp(word, "read") == 0) {
        if (!mail_data_read(strtoull(first, NULL, 10), (uint32_t)strtoul(second, NULL, 10), &octets, &not_now)) {
            line(to, "not-now");
            return;
        }
        line(to, "");
        put_hex(to, octets);
        wit_list_u8_free(&octets);
    } else if (strcmp(word, "content") == 0) {
        uint32_t part = (uint32_t)strtoul(first, NULL, 10), length = (uint32_t)strtoul(third, NULL, 10);
        if (!parts_content(part, strtoull(second, NULL, 10), length, &octets, &error)) {
            part_error(to, &error);
            return;
        }
        line(to, "");
        put_hex(to, octets);
        wit_list_u8_free(&octets);
    } else if (parts_text((uint32_t)strtoul(rest, NULL, 10), &text, &error)) {
        line(to, "%.*s", S(text));
        wit_string_free(&text);
    } else {
        part_error(to, &error);
    }
}

static void ask(lines_t *to, const char *question)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    char *word = strdup(question), *rest = cut(word);
    char *first = strdup(rest), *behind = cut(first);
    char *second = strdup(behind), *third = cut(second);
    wit_string_t name = pg_text(rest), key = pg_text(first), value = pg_text(behind);
#define IS(name) (strcmp(word, name) == 0)
    if (IS("echo")) {
        line(to, "%s", rest);
    } else if (IS("lines")) {
        for (long n = 1, count = strtol(rest, NULL, 10); n <= count; n++) {
            line(to, "line %ld", n);
        }
    } else if (IS("session")) {
        session_lines(to);
    } else if (IS("transaction")) {
        transaction_lines(to);
    } else if (IS("mail-data")) {
        mail_data_lines(to);
    } else if (IS("field") || IS("read") || IS("content") || IS("text")) {
        message_lines(to, word, rest, first, second, third);
    } else if (IS("sum")) {
        sum(to);
    } else if (IS("parts")) {
        parts_lines(to);
    } else if (IS("addresses")) {
        addresses_lines(to, &name);
    } else if (IS("note")) {
        wit_option_string_t found;
        found.is_some = session_note(&name, &found.val);
        line(to, "");
        put_option(to, found);
        wit_option_string_free(&found);
    } else if (IS("set")) {
        note(to, key, value);
    } else if (IS("fill")) {
        size_t length = strtoul(second, NULL, 10);
        wit_string_t filled = { malloc(length), length };
        memset(filled.ptr, 'x', length);
        note(to, key, filled);
        free(filled.ptr);
    } else if (IS("config")) {
        config_line(to, rest);
    } else if (IS("table")) {
        wit_string_t table;
        config_table(&table);
        line(to, "%.*s", S(table));
        wit_string_free(&table);
    } else if (IS("log")) {
        for (log_level_t level = 0; level < 4; level++) {
            if (strcmp(first, levels[level]) == 0) {
                pg_log_fields(level, behind, 0, NULL);
            }
        }
        line(to, "ok");
    } else if (IS("put") || IS("get") || IS("increment")) {
        key_values(to, word, key, behind);
    } else if (IS("values")) {
        values(to, strtoll(rest, NULL, 10));
    } else if (IS("sql")) {
        rows(to, &name);
    } else if (!edit(to, word, rest, first, behind, second, third) && !IS("nothing")) {
        line(to, "unknown");
    }
#undef IS
    free(word);
    free(first);
    free(second);
}
