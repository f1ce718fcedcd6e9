// Asks every function of the context that 0.1.0 has, and accepts a message only if each answers as it did in 0.1.0: what a later host owes
// to a component that was built against it. The component beside this folder is kept, and never made anew; README.md says how it was made.

#include "postgate.h"

#define CHECK(function, holds)                                             \
    do {                                                                   \
        if (!(holds)) {                                                    \
            *verdict = pg_message_reject(554, "5.3.0", function);          \
            return;                                                        \
        }                                                                  \
    } while (0)

static bool about_session(const char **wrong)
{
    wit_string_t text, name = pg_text("seen"), value = pg_text("once");
    session_endpoint_t endpoint;
    session_client_hello_t hello;
    session_tls_layer_t layer;
    session_client_identity_t identity;
    session_note_error_t note_error;
    *wrong = "session.id";
    session_id(&text);
    if (text.len == 0) return false;
    *wrong = "session.listener";
    session_listener(&text);
    if (!pg_is(text, "smtp")) return false;
    *wrong = "session.remote";
    session_remote(&endpoint);
    if (!pg_is(endpoint.address, "127.0.0.1") || endpoint.port == 0) return false;
    *wrong = "session.local";
    session_local(&endpoint);
    if (!pg_is(endpoint.address, "127.0.0.1") || endpoint.port == 0) return false;
    *wrong = "session.hello";
    if (!session_hello(&hello) || hello.greeting != SESSION_GREETING_EHLO || !pg_is(hello.name, "client.example")) return false;
    *wrong = "session.tls";
    if (session_tls(&layer)) return false;
    *wrong = "session.identity";
    if (session_identity(&identity)) return false;
    *wrong = "session.early-talker";
    if (session_early_talker()) return false;
    *wrong = "session.illegal-pipelining";
    if (session_illegal_pipelining() != 0) return false;
    *wrong = "session.set-note";
    if (!session_set_note(&name, &value, &note_error)) return false;
    *wrong = "session.note";
    return session_note(&name, &text) && pg_is(text, "once");
}

static bool about_transaction(const char **wrong)
{
    wit_string_t text;
    transaction_context_error_t error;
    transaction_option_mailbox_t reverse_path;
    transaction_list_parameter_t parameters;
    transaction_list_accepted_recipient_t recipients;
    wit_option_u64_t size;
    transaction_list_earlier_verdict_t verdicts;
    *wrong = "transaction.id";
    if (!transaction_id(&text, &error) || text.len == 0) return false;
    *wrong = "transaction.reverse-path";
    if (!transaction_reverse_path(&reverse_path, &error) || !reverse_path.is_some) return false;
    if (!pg_is(reverse_path.val.local_part, "a") || !pg_is(reverse_path.val.domain, "example.org")) return false;
    *wrong = "transaction.parameters";
    if (!transaction_parameters(&parameters, &error) || parameters.len != 1) return false;
    if (!pg_is(parameters.ptr[0].keyword, "SIZE") || !parameters.ptr[0].value.is_some) return false;
    *wrong = "transaction.recipients";
    if (!transaction_recipients(&recipients, &error) || recipients.len != 1) return false;
    if (!pg_is(recipients.ptr[0].mailbox.local_part, "bob") || recipients.ptr[0].parameters.len != 0) return false;
    *wrong = "transaction.declared-size";
    if (!transaction_declared_size(&size, &error) || !size.is_some || size.val != 1000) return false;
    *wrong = "transaction.verdicts";
    if (!transaction_verdicts(&verdicts, &error) || verdicts.len != 1) return false;
    return verdicts.ptr[0].kind == TRANSACTION_VERDICT_KIND_ACCEPTED && verdicts.ptr[0].hook == TYPES_HOOK_RECIPIENT;
}

static bool about_mail_data(const char **wrong)
{
    wit_string_t name = pg_text("subject");
    mail_data_context_error_t error;
    uint64_t size, offset;
    mail_data_list_header_field_t header;
    wit_list_list_u8_t values;
    wit_list_u8_t octets;
    *wrong = "mail-data.size";
    if (!mail_data_size(&size, &error) || size < 100) return false;
    *wrong = "mail-data.body-offset";
    if (!mail_data_body_offset(&offset, &error) || offset == 0 || offset >= size) return false;
    *wrong = "mail-data.header";
    if (!mail_data_header(&header, &error) || header.len < 4) return false;
    *wrong = "mail-data.field";
    if (!mail_data_field(&name, &values, &error) || values.len != 1 || !pg_contains(values.ptr[0], "golden")) return false;
    *wrong = "mail-data.read";
    return mail_data_read(offset, 3, &octets, &error) && octets.len == 3 && octets.ptr[0] == '-';
}

static bool about_parts(const char **wrong, uint32_t *text, uint32_t *attachment)
{
    wit_string_t content, name = pg_text("Subject"), from = pg_text("From");
    parts_part_error_t part_error;
    parts_context_error_t error;
    parts_list_part_t parts;
    wit_list_u8_t octets;
    wit_list_string_t values;
    parts_list_named_address_t addresses;
    *wrong = "parts.all";
    if (!parts_all(&parts, &part_error) || parts.len != 3) return false;
    if (!pg_is(parts.ptr[0].media_type, "multipart/mixed") || !pg_is(parts.ptr[1].media_type, "text/plain")) return false;
    if (!parts.ptr[2].attachment || !parts.ptr[2].file_name.is_some || !pg_is(parts.ptr[2].file_name.val, "x.bin")) return false;
    *text = parts.ptr[1].number;
    *attachment = parts.ptr[2].number;
    *wrong = "parts.content";
    if (!parts_content(*attachment, 0, 100, &octets, &part_error) || !pg_contains(octets, "DATA")) return false;
    *wrong = "parts.text";
    if (!parts_text(*text, &content, &part_error) || content.len < 5) return false;
    *wrong = "parts.field";
    if (!parts_field(&name, &values, &error) || values.len != 1 || !pg_is(values.ptr[0], "golden")) return false;
    *wrong = "parts.addresses";
    if (!parts_addresses(&from, &addresses, &error) || addresses.len != 1) return false;
    return pg_is(addresses.ptr[0].address, "ann@example.org") && addresses.ptr[0].name.is_some;
}

static bool edits(const char **wrong, uint32_t text, uint32_t attachment)
{
    wit_string_t subject = pg_text("Subject"), gone = pg_text("X-Gone"), first = pg_text("X-First");
    wit_string_t last = pg_text("X-Last"), second = pg_text("X-Second"), plain = pg_text("text/plain; charset=utf-8");
    wit_list_u8_t value = pg_octets("made by 0.1.0"), changed = pg_octets("changed"), content = pg_octets("other words\r\n");
    editor_edit_error_t error;
    editor_mailbox_t carol = { pg_text("carol"), pg_text("example.org") }, bob = { pg_text("bob"), pg_text("example.org") };
    bool found;
    uint32_t count;
    *wrong = "editor.prepend-field";
    if (!editor_prepend_field(&first, &value, &error)) return false;
    *wrong = "editor.append-field";
    if (!editor_append_field(&last, &value, &error)) return false;
    *wrong = "editor.insert-field";
    if (!editor_insert_field(1, &second, &value, &error)) return false;
    *wrong = "editor.replace-field";
    if (!editor_replace_field(&subject, 0, &changed, &found, &error) || !found) return false;
    *wrong = "editor.remove-fields";
    if (!editor_remove_fields(&gone, &count, &error) || count != 1) return false;
    *wrong = "editor.remove-part";
    if (!editor_remove_part(attachment, &found, &error) || !found) return false;
    *wrong = "editor.replace-part";
    if (!editor_replace_part(text, &plain, &content, &found, &error) || !found) return false;
    *wrong = "editor.set-reverse-path";
    if (!editor_set_reverse_path(NULL, &error)) return false;
    *wrong = "editor.add-recipient";
    if (!editor_add_recipient(&carol, &error)) return false;
    *wrong = "editor.remove-recipient";
    return editor_remove_recipient(&bob, &found, &error) && found;
}

// The end of mail data. A message without parts has its body replaced, any other is taken apart.
void exports_message_on_message(exports_message_message_verdict_t *verdict)
{
    const char *wrong = "";
    uint32_t text = 0, attachment = 0;
    wit_string_t name = pg_text("Content-Type");
    wit_list_list_u8_t values;
    mail_data_context_error_t error;
    CHECK("mail-data.field", mail_data_field(&name, &values, &error));
    if (values.len == 0) {
        wit_list_u8_t body = pg_octets("another body\r\n");
        editor_edit_error_t edit_error;
        CHECK("editor.replace-body", editor_replace_body(&body, &edit_error));
        *verdict = pg_message_next();
        return;
    }
    CHECK(wrong, about_session(&wrong));
    CHECK(wrong, about_transaction(&wrong));
    CHECK(wrong, about_mail_data(&wrong));
    CHECK(wrong, about_parts(&wrong, &text, &attachment));
    CHECK(wrong, edits(&wrong, text, attachment));
    *verdict = pg_message_accept();
}
