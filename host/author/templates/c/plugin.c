// @@NAME@@: a plugin of Postgate in C.
//
// Each function below is a hook: a moment of the SMTP dialogue that the gateway asks about. What they are called with and what they may
// answer is in bindings/wit.h, small helpers (pg_…) are in bindings/postgate.h; `postgate build` makes both.

#include "postgate.h"
//@hook setup

// Once, when the plugin has been loaded: is its configuration right? Answers what is wrong; nothing is well.
void exports_setup_on_setup(exports_setup_list_setting_problem_t *problems)
{
    wit_string_t domain;
    *problems = (exports_setup_list_setting_problem_t) { NULL, 0 };
    if (pg_setting(&domain, "domain")) {
        wit_string_free(&domain);
        return;
    }
    problems->ptr = malloc(sizeof(exports_setup_setting_problem_t));
    problems->len = 1;
    problems->ptr[0].path.ptr = malloc(sizeof(wit_string_t));
    problems->ptr[0].path.ptr[0] = pg_copy("domain");
    problems->ptr[0].path.len = 1;
    problems->ptr[0].message = pg_copy("set the domain whose mail is taken, such as \"example.org\"");
}
//@end
//@hook connect

// A client has connected, before the banner. Answers a verdict; pg_next() lets the session begin.
void exports_connect_on_connect(exports_connect_verdict_t *verdict)
{
    session_endpoint_t client;
    session_remote(&client);
    *verdict = pg_next();
    if (pg_is(client.address, "192.0.2.66")) {
        wit_string_t text = pg_text("no mail from ");
        verdict->tag = TYPES_VERDICT_REJECT;
        verdict->val.reject = pg_reply_of(554, "5.7.1", pg_join(&text, &client.address, NULL));
    }
    session_endpoint_free(&client);
}
//@end
//@hook hello

// HELO, EHLO or LHLO. Answers a verdict, and further lines of the reply to EHLO.
void exports_hello_on_hello(exports_hello_hello_answer_t *answer)
{
    session_client_hello_t hello;
    answer->verdict = pg_next();
    answer->keywords.ptr = malloc(sizeof(wit_string_t));
    answer->keywords.ptr[0] = pg_copy("XSAMPLE");
    answer->keywords.len = 1;
    if (session_hello(&hello)) {
        if (pg_is(hello.name, "localhost")) {
            answer->verdict = pg_reject(550, "5.7.1", "you are not localhost");
        }
        session_client_hello_free(&hello);
    }
}
//@end
//@hook starttls

// STARTTLS, before the handshake. Answers a verdict; pg_next() lets it begin.
void exports_starttls_on_starttls(exports_starttls_verdict_t *verdict)
{
    session_endpoint_t client;
    session_remote(&client);
    pg_info("handshake begins", pg_field("client", client.address));
    session_endpoint_free(&client);
    *verdict = pg_next();
}
//@end
//@hook authenticate

// AUTH, when the client's credentials are known. Answers who it is; nobody's opinion is a failure.
void exports_authenticate_on_authenticate(
    wit_string_t *mechanism,
    exports_authenticate_credentials_t *credentials,
    exports_authenticate_authentication_t *answer)
{
    answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_NEXT;
    if (credentials->tag == EXPORTS_AUTHENTICATE_CREDENTIALS_PASSWORD && pg_is(credentials->val.password.user, "alice")) {
        if (pg_is(credentials->val.password.password, "wonderland")) {
            answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_IDENTITY;
            answer->val.identity = pg_copy("alice");
        } else {
            answer->tag = EXPORTS_AUTHENTICATE_AUTHENTICATION_FAILURE;
        }
    }
    wit_string_free(mechanism);
    exports_authenticate_credentials_free(credentials);
}
//@end
//@hook mail

// MAIL FROM: a mail transaction begins. The reverse-path is NULL for `<>`. Answers a verdict; pg_next() lets it begin.
void exports_mail_on_mail(exports_mail_mailbox_t *reverse_path, exports_mail_list_parameter_t *parameters, exports_mail_verdict_t *verdict)
{
    *verdict = pg_next();
    if (reverse_path != NULL) {
        if (pg_is(reverse_path->domain, "spam.example")) {
            *verdict = pg_reject(550, "5.7.1", "no mail from spam.example");
        }
        exports_mail_mailbox_free(reverse_path);
    }
    exports_mail_list_parameter_free(parameters);
}
//@end
//@hook recipient

// RCPT TO, once for each recipient. Answers a verdict; a recipient that no plugin accepts is refused.
void exports_recipient_on_recipient(
    exports_recipient_mailbox_t *recipient,
    exports_recipient_list_parameter_t *parameters,
    exports_recipient_verdict_t *verdict)
{
    wit_string_t domain;
    bool ours = false;
    if (pg_setting(&domain, "domain")) {
        ours = pg_same(recipient->domain, domain);
        wit_string_free(&domain);
    }
    if (!ours) {
        *verdict = pg_next();
    } else if (pg_is(recipient->local_part, "nobody")) {
        *verdict = pg_reject(550, "5.1.1", "no such user");
    } else if (pg_is(recipient->local_part, "later")) {
        *verdict = pg_defer(450, "4.2.1", "come again later");
    } else {
        *verdict = pg_accept();
    }
    exports_recipient_mailbox_free(recipient);
    exports_recipient_list_parameter_free(parameters);
}
//@end
//@hook data

// DATA or the first BDAT, before any mail data. Answers a verdict; pg_next() lets the client go on.
void exports_data_on_data(exports_data_verdict_t *verdict)
{
    transaction_option_mailbox_t reverse_path;
    transaction_list_accepted_recipient_t recipients;
    transaction_context_error_t error;
    *verdict = pg_next();
    if (transaction_reverse_path(&reverse_path, &error)) {
        if (!reverse_path.is_some && transaction_recipients(&recipients, &error)) {
            if (recipients.len > 1) {
                *verdict = pg_reject(550, "5.7.1", "a notification has one recipient");
            }
            transaction_list_accepted_recipient_free(&recipients);
        }
        transaction_option_mailbox_free(&reverse_path);
    }
}
//@end
//@hook chunk

// Each BDAT chunk, before its octets. Answers a verdict; pg_next() lets it be read.
void exports_chunk_on_chunk(uint64_t size, bool last, exports_chunk_verdict_t *verdict)
{
    (void)last;
    *verdict = size > 1000000 ? pg_reject(552, "5.3.4", "send smaller chunks") : pg_next();
}
//@end
//@hook message

// The message has come: it can be read and changed. Answers a verdict of its own kind; pg_message_next() lets it go to delivery.
void exports_message_on_message(exports_message_message_verdict_t *verdict)
{
    wit_string_t subject = pg_text("Subject");
    wit_list_list_u8_t values;
    mail_data_context_error_t not_now;
    bool casino = false;
    if (mail_data_field(&subject, &values, &not_now)) {
        for (size_t i = 0; i < values.len; i++) {
            casino = casino || pg_contains(values.ptr[i], "casino");
        }
        wit_list_list_u8_free(&values);
    }
    if (casino) {
        *verdict = pg_message_reject(550, "5.7.1", "no casinos");
        return;
    }
    wit_string_t name = pg_text("X-Checked-By");
    wit_list_u8_t value = pg_octets("@@NAME@@");
    editor_edit_error_t error;
    if (!editor_append_field(&name, &value, &error)) {
        editor_edit_error_free(&error);
        *verdict = pg_message_defer(451, "4.3.0", "try again later");
        return;
    }
    *verdict = pg_message_next();
}
//@end
//@hook deliver

// Hands the message over, after the hook `message`. Answers an outcome for each recipient, in the same order; a recipient that no plugin
// takes is deferred.
void exports_deliver_on_deliver(exports_deliver_list_mailbox_t *recipients, exports_deliver_list_outcome_t *outcomes)
{
    outcomes->len = recipients->len;
    outcomes->ptr = malloc(recipients->len * sizeof(exports_deliver_outcome_t));
    for (size_t i = 0; i < recipients->len; i++) {
        if (pg_is(recipients->ptr[i].local_part, "full")) {
            outcomes->ptr[i] = pg_deferred(452, "4.2.2", "mailbox full");
        } else {
            wit_string_t recipient = pg_mailbox(&recipients->ptr[i]);
            pg_info("delivered", pg_field("recipient", recipient));
            wit_string_free(&recipient);
            outcomes->ptr[i] = pg_delivered();
        }
    }
    exports_deliver_list_mailbox_free(recipients);
}
//@end
//@hook verify

// VRFY: is there such a user? With no answer the client gets 252.
void exports_verify_on_verify(wit_string_t *argument, exports_verify_verification_t *answer)
{
    answer->tag = EXPORTS_VERIFY_VERIFICATION_NEXT;
    if (pg_is(*argument, "alice")) {
        answer->tag = EXPORTS_VERIFY_VERIFICATION_FOUND;
        answer->val.found = pg_entry("Alice", "alice", "example.org");
    }
    wit_string_free(argument);
}
//@end
//@hook expand

// EXPN: who is on that list? With no answer the client gets 502.
void exports_expand_on_expand(wit_string_t *argument, exports_expand_expansion_t *answer)
{
    answer->tag = EXPORTS_EXPAND_EXPANSION_NEXT;
    if (pg_is(*argument, "staff")) {
        answer->tag = EXPORTS_EXPAND_EXPANSION_MEMBERS;
        answer->val.members.len = 2;
        answer->val.members.ptr = malloc(2 * sizeof(types_directory_entry_t));
        answer->val.members.ptr[0] = pg_entry("Alice", "alice", "example.org");
        answer->val.members.ptr[1] = pg_entry("Bob", "bob", "example.org");
    }
    wit_string_free(argument);
}
//@end
//@hook command

// A verb that the gateway does not know, in upper case. Answers whether there is a reply; without one the client gets 500.
bool exports_command_on_command(wit_string_t *verb, wit_string_t *argument, exports_command_reply_t *reply)
{
    bool known = pg_is(*verb, "XSAMPLE");
    if (known) {
        wit_string_t text = pg_text("you said ");
        *reply = pg_reply_of(250, "2.0.0", pg_join(&text, argument, NULL));
    }
    wit_string_free(verb);
    wit_string_free(argument);
    return known;
}
//@end
//@hook observe

static const char *const FATES[] = { "delivered", "failed", "deferred", "discarded", "quarantined" };
static const char *const ENDS[] = { "quit", "lost", "timeout", "refused", "shutdown" };

// Tells what has happened, and asks nothing.
void exports_observe_on_event(exports_observe_event_t *event)
{
    switch (event->tag) {
    case EXPORTS_OBSERVE_EVENT_TRANSACTION_RESET:
        pg_info("transaction reset");
        break;
    case EXPORTS_OBSERVE_EVENT_TRANSACTION_OUTCOME: {
        exports_observe_list_recipient_fate_t *fates = &event->val.transaction_outcome;
        pg_field_t *fields = calloc(fates->len, sizeof(pg_field_t));
        for (size_t i = 0; i < fates->len; i++) {
            fields[i].f0 = pg_mailbox(&fates->ptr[i].recipient);
            fields[i].f1 = pg_text(FATES[fates->ptr[i].fate]);
        }
        pg_log_fields(LOG_LEVEL_INFO, "transaction ended", fates->len, fields);
        for (size_t i = 0; i < fates->len; i++) {
            wit_string_free(&fields[i].f0);
        }
        free(fields);
        break;
    }
    case EXPORTS_OBSERVE_EVENT_SESSION_END:
        pg_info("session ended", pg_field("end", pg_text(ENDS[event->val.session_end])));
        break;
    }
    exports_observe_event_free(event);
}
//@end
