// The plugin of the conformance kit in C: what it does stands in ../plugin.md. Its questions are in question.h.

#include "postgate.h"
#include "question.h"

static void told_to_trap(void) __attribute__((noinline));

static void told_to_trap(void)
{
    fputs("told to trap\n", stderr);
    abort();
}

static void deed(const char *word)
{
    if (strcmp(word, "trap") == 0) {
        told_to_trap();
    } else if (strcmp(word, "loop") == 0) {
        for (volatile unsigned n = 0;; n++) {
        }
    } else if (strcmp(word, "grow") == 0) {
        for (;;) {
            volatile char *kept = malloc(1 << 20);
            if (kept == NULL) {
                abort();
            }
            for (size_t i = 0; i < 1 << 20; i += 4096) {
                kept[i] = 1;
            }
        }
    } else if (strcmp(word, "print") == 0) {
        puts("to standard output");
        fputs("to standard error\n", stderr);
    }
}

// A note, or else a setting, of this name, in `word`; empty where there is neither.
static const char *told(char *word, size_t size, const char *prefix, const char *hook)
{
    char key[64];
    snprintf(key, sizeof key, "%s%s", prefix, hook);
    wit_string_t name = pg_text(key), value;
    word[0] = 0;
    if (session_note(&name, &value) || pg_setting(&value, key)) {
        snprintf(word, size, "%.*s", S(value));
        wit_string_free(&value);
    }
    return word;
}

static void answered(const char *question)
{
    lines_t answer = { 0 };
    ask(&answer, question);
    lines_t all = { 0 };
    line(&all, "");
    for (size_t i = 0; i < answer.count; i++) {
        more(&all, "%s%.*s", i == 0 ? "" : " / ", S(answer.lines[i]));
    }
    pg_info("answered", pg_field("question", pg_text(question)), pg_field("answer", all.lines[0]));
    lines_free(&answer);
    lines_free(&all);
}

static void asked(const char *hook, const char *argument)
{
    char question[WORD_MAX];
    pg_info("asked", pg_field("hook", pg_text(hook)), pg_field("argument", pg_text(argument)));
    if (told(question, sizeof question, "ask-", hook)[0]) {
        answered(question);
    }
}

// ---- Words that become replies ----

typedef enum { NOTHING, REJECT, DEFER, DISCONNECT } kind_t;

static kind_t say(types_reply_t *reply, const char *word)
{
    if (strcmp(word, "ok") == 0) {
        *reply = pg_reply(250, "2.0.0", "at your service");
    } else if (strcmp(word, "reject") == 0) {
        *reply = pg_reply(550, "5.1.1", "no such user");
    } else if (strcmp(word, "general") == 0) {
        *reply = pg_reply(550, NULL, "no such user");
    } else if (strcmp(word, "silent") == 0) {
        *reply = (types_reply_t) { .code = 550 };
    } else if (strcmp(word, "lines") == 0) {
        *reply = pg_reply(550, "5.1.1", "first\nsecond\nthird");
    } else if (strcmp(word, "many") == 0) {
        lines_t all = { 0 };
        for (int n = 1; n <= 16; n++) {
            line(&all, "line %d", n);
        }
        *reply = pg_reply(550, "5.1.1", "");
        types_reply_free(reply);
        reply->text = (wit_list_string_t) { all.lines, all.count };
    } else if (strcmp(word, "edges") == 0) {
        *reply = pg_reply(559, "5.999.0", "edges");
    } else if (strcmp(word, "unicode") == 0) {
        *reply = pg_reply(550, "5.1.1", "Grüße, 世界");
    } else if (strcmp(word, "defer") == 0) {
        *reply = pg_reply(450, "4.2.1", "come again later");
        return DEFER;
    } else if (strcmp(word, "disconnect") == 0) {
        *reply = pg_reply(554, "5.7.1", "go away");
        return DISCONNECT;
    } else {
        return NOTHING;
    }
    return REJECT;
}

static types_verdict_t verdict_of(const char *word, types_verdict_t otherwise)
{
    types_reply_t reply;
    deed(word);
    if (strcmp(word, "accept") == 0) {
        return pg_accept();
    }
    switch (say(&reply, word)) {
    case REJECT:
        return (types_verdict_t) { .tag = TYPES_VERDICT_REJECT, .val.reject = reply };
    case DEFER:
        return (types_verdict_t) { .tag = TYPES_VERDICT_DEFER, .val.defer = reply };
    case DISCONNECT:
        return (types_verdict_t) { .tag = TYPES_VERDICT_DISCONNECT, .val.disconnect = reply };
    case NOTHING:
        break;
    }
    return otherwise;
}

// Of a hook without an argument.
static types_verdict_t verdict_told(const char *hook)
{
    char word[WORD_MAX];
    asked(hook, "");
    return verdict_of(told(word, sizeof word, "", hook), pg_next());
}

// ---- The hooks ----

static exports_setup_setting_problem_t problem(const char *message)
{
    return (exports_setup_setting_problem_t) { .message = pg_copy(message) };
}

void exports_setup_on_setup(exports_setup_list_setting_problem_t *problems)
{
    wit_string_t value;
    *problems = (exports_setup_list_setting_problem_t) { NULL, 0 };
    if (!pg_setting(&value, "setup")) {
        return;
    }
    if (pg_is(value, "wrong")) {
        problems->len = 2;
        problems->ptr = malloc(2 * sizeof *problems->ptr);
        problems->ptr[0] = problem("must not be wrong");
        problems->ptr[0].path.len = 1;
        problems->ptr[0].path.ptr = malloc(sizeof(wit_string_t));
        problems->ptr[0].path.ptr[0] = pg_copy("setup");
        problems->ptr[1] = problem("nor the table: Grüße");
    }
    wit_string_free(&value);
}

void exports_connect_on_connect(exports_connect_verdict_t *verdict)
{
    *verdict = verdict_told("connect");
}

void exports_hello_on_hello(exports_hello_hello_answer_t *answer)
{
    session_client_hello_t hello;
    char name[WORD_MAX] = "";
    if (session_hello(&hello)) {
        snprintf(name, sizeof name, "%.*s", S(hello.name));
        session_client_hello_free(&hello);
    }
    asked("hello", name);
    name[strcspn(name, ".")] = 0;
    lines_t keywords = { 0 };
    if (strcmp(name, "eight") == 0) {
        for (int n = 1; n <= 8; n++) {
            line(&keywords, "XKEY%d of eight", n);
        }
    } else if (strcmp(name, "none") != 0) {
        line(&keywords, "XASK");
    }
    answer->keywords = (wit_list_string_t) { keywords.lines, keywords.count };
    answer->verdict = verdict_of(name, pg_next());
}

void exports_starttls_on_starttls(exports_starttls_verdict_t *verdict)
{
    *verdict = verdict_told("starttls");
}

static wit_list_u8_t octets_of(uint8_t octet)
{
    wit_list_u8_t octets = { malloc(32), 32 };
    memset(octets.ptr, octet, octets.len);
    return octets;
}

static void with_password(const char *user, const char *password, exports_authenticate_authentication_t *answer)
{
    deed(user);
    if (strcmp(user, "alice") == 0 && strcmp(password, "wonderland") != 0) {
        answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_FAILURE;
    } else if (strcmp(user, "alice") == 0 || strcmp(user, "zoë") == 0) {
        answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_IDENTITY;
        answer->val.identity = pg_copy(user);
    } else if (strcmp(user, "later") == 0) {
        answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_TEMPORARY_FAILURE;
    }
}

void exports_authenticate_on_authenticate(
    wit_string_t *mechanism, exports_authenticate_credentials_t *given, exports_authenticate_authentication_t *answer)
{
    lines_t argument = { 0 };
    line(&argument, "%.*s ", S(*mechanism));
    answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_NEXT;
    switch (given->tag) {
    case EXPORTS_AUTHENTICATE_CREDENTIALS_PASSWORD: {
        lines_t words = { 0 };
        line(&words, "%.*s", S(given->val.password.user));
        line(&words, "%.*s", S(given->val.password.password));
        more(&argument, "password %s %s", words.lines[0].ptr, words.lines[1].ptr);
        asked("authenticate", (char *)argument.lines[0].ptr);
        with_password((char *)words.lines[0].ptr, (char *)words.lines[1].ptr, answer);
        lines_free(&words);
        break;
    }
    case EXPORTS_AUTHENTICATE_CREDENTIALS_TOKEN:
        more(&argument, "token %.*s %.*s", S(given->val.token.user), S(given->val.token.token));
        asked("authenticate", (char *)argument.lines[0].ptr);
        answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_FAILURE;
        if (pg_is(given->val.token.token, "wonderland")) {
            answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_IDENTITY;
            wit_string_dup_n(&answer->val.identity, (char *)given->val.token.user.ptr, given->val.token.user.len);
        }
        break;
    case EXPORTS_AUTHENTICATE_CREDENTIALS_CERTIFICATE: {
        wit_list_string_t names = given->val.certificate.names;
        more(&argument, "certificate %.*s ", S(given->val.certificate.user));
        for (size_t i = 0; i < names.len; i++) {
            more(&argument, "%s%.*s", i == 0 ? "" : ",", S(names.ptr[i]));
        }
        asked("authenticate", (char *)argument.lines[0].ptr);
        answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_FAILURE;
        if (names.len > 0) {
            answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_IDENTITY;
            wit_string_dup_n(&answer->val.identity, (char *)names.ptr[0].ptr, names.ptr[0].len);
        }
        break;
    }
    case EXPORTS_AUTHENTICATE_CREDENTIALS_SCRAM:
        more(&argument, "scram %.*s %.*s", S(given->val.scram.user), S(given->val.scram.hash));
        asked("authenticate", (char *)argument.lines[0].ptr);
        answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_FAILURE;
        if (pg_is(given->val.scram.user, "alice")) {
            answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_KEYS;
            wit_string_t salt = pg_copy("salt");
            answer->val.keys = (exports_authenticate_scram_keys_t) {
                pg_copy("alice"), { salt.ptr, salt.len }, 4096, octets_of(0), octets_of(255)
            };
        } else if (pg_is(given->val.scram.user, "later")) {
            answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_TEMPORARY_FAILURE;
        }
        break;
    }
    lines_free(&argument);
    wit_string_free(mechanism);
    exports_authenticate_credentials_free(given);
}

static void words_of(char *word, size_t size, wit_string_t text)
{
    snprintf(word, size, "%.*s", S(text));
}

void exports_mail_on_mail(types_mailbox_t *reverse_path, exports_mail_list_parameter_t *given, exports_mail_verdict_t *verdict)
{
    char word[WORD_MAX] = "";
    lines_t argument = { 0 };
    line(&argument, "");
    put_mailbox(&argument, reverse_path);
    put_parameters(&argument, given->ptr, given->len);
    asked("mail", (char *)argument.lines[0].ptr);
    if (reverse_path != NULL) {
        words_of(word, sizeof word, reverse_path->local_part);
        types_mailbox_free(reverse_path);
    }
    *verdict = verdict_of(word, pg_next());
    lines_free(&argument);
    exports_mail_list_parameter_free(given);
}

void exports_recipient_on_recipient(
    types_mailbox_t *recipient, exports_recipient_list_parameter_t *given, exports_recipient_verdict_t *verdict)
{
    char word[WORD_MAX];
    lines_t argument = { 0 };
    line(&argument, "");
    put_mailbox(&argument, recipient);
    put_parameters(&argument, given->ptr, given->len);
    asked("recipient", (char *)argument.lines[0].ptr);
    words_of(word, sizeof word, recipient->local_part);
    *verdict = verdict_of(word, pg_is(recipient->local_part, "nobody") ? pg_next() : pg_accept());
    lines_free(&argument);
    types_mailbox_free(recipient);
    exports_recipient_list_parameter_free(given);
}

void exports_data_on_data(exports_data_verdict_t *verdict)
{
    *verdict = verdict_told("data");
}

void exports_chunk_on_chunk(uint64_t size, bool last, exports_chunk_verdict_t *verdict)
{
    char word[WORD_MAX], argument[64];
    snprintf(argument, sizeof argument, "%" PRIu64 " %s", size, last ? "true" : "false");
    asked("chunk", argument);
    *verdict = verdict_of(told(word, sizeof word, "", "chunk"), pg_next());
}

void exports_message_on_message(exports_message_message_verdict_t *verdict)
{
    char word[WORD_MAX] = "";
    wit_list_list_u8_t values;
    mail_data_context_error_t not_now;
    wit_string_t questions = pg_text("X-Do"), verdicts = pg_text("X-Verdict");
    asked("message", "");
    if (mail_data_field(&questions, &values, &not_now)) {
        for (size_t i = 0; i < values.len; i++) {
            words_of(word, sizeof word, (wit_string_t) { values.ptr[i].ptr, values.ptr[i].len });
            answered(word);
        }
        wit_list_list_u8_free(&values);
    }
    told(word, sizeof word, "", "message");
    if (mail_data_field(&verdicts, &values, &not_now)) {
        if (values.len > 0) {
            words_of(word, sizeof word, (wit_string_t) { values.ptr[0].ptr, values.ptr[0].len });
        }
        wit_list_list_u8_free(&values);
    }
    deed(word);
    types_reply_t reply;
    if (strcmp(word, "accept") == 0) {
        *verdict = pg_message_accept();
    } else if (strcmp(word, "discard") == 0) {
        *verdict = pg_message_discard("not wanted");
    } else if (strcmp(word, "quarantine") == 0) {
        *verdict = pg_message_quarantine("suspicious");
    } else {
        *verdict = pg_message_next();
        switch (say(&reply, word)) {
        case REJECT:
            verdict->tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_REJECT;
            verdict->val.reject = reply;
            break;
        case DEFER:
            verdict->tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_DEFER;
            verdict->val.defer = reply;
            break;
        case DISCONNECT:
            verdict->tag = EXPORTS_MESSAGE_MESSAGE_VERDICT_DISCONNECT;
            verdict->val.disconnect = reply;
            break;
        case NOTHING:
            break;
        }
    }
}

void exports_deliver_on_deliver(exports_deliver_list_mailbox_t *recipients, exports_deliver_list_outcome_t *outcomes)
{
    char word[WORD_MAX];
    lines_t argument = { 0 };
    line(&argument, "");
    outcomes->len = recipients->len;
    outcomes->ptr = malloc(recipients->len * sizeof(exports_deliver_outcome_t));
    for (size_t i = 0; i < recipients->len; i++) {
        more(&argument, "%s", i == 0 ? "" : " ");
        put_mailbox(&argument, &recipients->ptr[i]);
        wit_string_t user = recipients->ptr[i].local_part;
        if (pg_is(user, "next")) {
            outcomes->ptr[i] = pg_not_mine();
        } else if (pg_is(user, "never")) {
            outcomes->ptr[i] = pg_failed(550, "5.1.1", "no such user");
        } else if (pg_is(user, "later")) {
            outcomes->ptr[i] = pg_deferred(450, "4.2.1", "come again later");
        } else {
            outcomes->ptr[i] = pg_delivered();
        }
    }
    asked("deliver", (char *)argument.lines[0].ptr);
    deed(told(word, sizeof word, "", "deliver"));
    lines_free(&argument);
    exports_deliver_list_mailbox_free(recipients);
}

void exports_verify_on_verify(wit_string_t *argument, exports_verify_verification_t *answer)
{
    char word[WORD_MAX];
    words_of(word, sizeof word, *argument);
    wit_string_free(argument);
    asked("verify", word);
    deed(word);
    answer->tag = EXPORTS_VERIFY_VERIFICATION_FOUND;
    if (strcmp(word, "alice") == 0) {
        answer->val.found = pg_entry("Alice", "alice", "example.org");
    } else if (strcmp(word, "bob") == 0) {
        answer->val.found = pg_entry(NULL, "bob", "example.org");
    } else if (strcmp(word, "zoe") == 0) {
        answer->val.found = pg_entry("Zoë", "zoë", "example.org");
    } else if (strcmp(word, "never") == 0) {
        answer->tag = EXPORTS_VERIFY_VERIFICATION_REPLY;
        answer->val.reply = pg_reply(550, "5.1.1", "no such user");
    } else {
        answer->tag = EXPORTS_VERIFY_VERIFICATION_NEXT;
    }
}

void exports_expand_on_expand(wit_string_t *argument, exports_expand_expansion_t *answer)
{
    char word[WORD_MAX];
    words_of(word, sizeof word, *argument);
    wit_string_free(argument);
    asked("expand", word);
    deed(word);
    exports_expand_list_directory_entry_t *members = &answer->val.members;
    answer->tag = EXPORTS_EXPAND_EXPANSION_MEMBERS;
    members->ptr = malloc(100 * sizeof *members->ptr);
    members->len = 0;
    if (strcmp(word, "staff") == 0) {
        members->ptr[members->len++] = pg_entry("Alice", "alice", "example.org");
        members->ptr[members->len++] = pg_entry(NULL, "bob", "example.org");
    } else if (strcmp(word, "hundred") == 0) {
        for (int n = 1; n <= 100; n++) {
            snprintf(word, sizeof word, "user%d", n);
            members->ptr[members->len++] = pg_entry(NULL, word, "example.org");
        }
    } else if (strcmp(word, "empty") != 0) {
        free(members->ptr);
        answer->tag = EXPORTS_EXPAND_EXPANSION_NEXT;
        if (strcmp(word, "never") == 0) {
            answer->tag = EXPORTS_EXPAND_EXPANSION_REPLY;
            answer->val.reply = pg_reply(550, "5.1.1", "no such user");
        }
    }
}

bool exports_command_on_command(wit_string_t *verb, wit_string_t *argument, exports_command_reply_t *reply)
{
    char word[WORD_MAX];
    bool known = false;
    lines_t both = { 0 };
    line(&both, "%.*s %.*s", S(*verb), S(*argument));
    asked("command", (char *)both.lines[0].ptr);
    words_of(word, sizeof word, *argument);
    if (pg_is(*verb, "XASK")) {
        lines_t answer = { 0 };
        ask(&answer, word);
        *reply = pg_reply(250, "2.0.0", "");
        wit_list_string_free(&reply->text);
        reply->text = (wit_list_string_t) { answer.lines, answer.count };
        known = true;
    } else if (pg_is(*verb, "XSAY")) {
        known = say(reply, word) != NOTHING;
    }
    lines_free(&both);
    wit_string_free(verb);
    wit_string_free(argument);
    return known;
}

void exports_observe_on_event(exports_observe_event_t *event)
{
    static const char *const fates[] = { "delivered", "failed", "deferred", "discarded", "quarantined" };
    static const char *const ends[] = { "quit", "lost", "timeout", "refused", "shutdown" };
    char word[WORD_MAX];
    lines_t argument = { 0 };
    switch (event->tag) {
    case EXPORTS_OBSERVE_EVENT_TRANSACTION_RESET:
        line(&argument, "transaction-reset");
        break;
    case EXPORTS_OBSERVE_EVENT_TRANSACTION_OUTCOME: {
        exports_observe_list_recipient_fate_t list = event->val.transaction_outcome;
        line(&argument, "transaction-outcome");
        for (size_t i = 0; i < list.len; i++) {
            more(&argument, " ");
            put_mailbox(&argument, &list.ptr[i].recipient);
            more(&argument, "=%s/", fates[list.ptr[i].fate]);
            put_option(&argument, list.ptr[i].plugin);
        }
        break;
    }
    case EXPORTS_OBSERVE_EVENT_SESSION_END:
        line(&argument, "session-end %s", ends[event->val.session_end]);
        break;
    }
    asked("observe", (char *)argument.lines[0].ptr);
    deed(told(word, sizeof word, "", "observe"));
    lines_free(&argument);
    exports_observe_event_free(event);
}
