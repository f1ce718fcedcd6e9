// Questions: what the context and the services answer, as lines of text.
#pragma once

#include "postgate.hpp"

#include <limits>
#include <vector>

using namespace std::literals;

using Lines = std::vector<std::string>;

inline std::string str(const wit::string &text) { return std::string(pg::view(text)); }
inline std::string str(bool value) { return value ? "true" : "false"; }
template <class Number> requires(std::is_arithmetic_v<Number> && !std::same_as<Number, bool>) std::string str(Number number)
{
    return std::to_string(number);
}
inline std::string str(const wit::vector<uint8_t> &octets)
{
    std::string hex;
    for (uint8_t octet : octets.get_view()) {
        hex += "0123456789abcdef"[octet >> 4];
        hex += "0123456789abcdef"[octet & 15];
    }
    return hex;
}
template <class T> std::string str(const std::optional<T> &value) { return value ? str(*value) : "none"; }

inline std::string address(const pg::Mailbox &mailbox)
{
    return mailbox.domain.empty() ? str(mailbox.local_part) : pg::address(mailbox);
}

// At its last `@`.
inline pg::Mailbox mailbox(std::string_view address)
{
    auto at = address.rfind('@');
    return { pg::text(address.substr(0, at)), pg::text(at == address.npos ? "" : address.substr(at + 1)) };
}

inline std::string parameters(const pg::Parameters &given)
{
    std::string text;
    for (auto &one : given.get_view()) {
        text += " " + str(one.keyword) + (one.value ? "=" + str(*one.value) : "");
    }
    return text;
}

template <class List> std::string joined(const List &all, std::string_view separator, auto show)
{
    std::string text;
    bool first = true;
    for (auto &one : all) {
        text.append(std::exchange(first, false) ? "" : separator).append(show(one));
    }
    return text;
}

// ---- Errors by their names ----

inline std::string name(pg::transaction::ContextError) { return "not-now"; }
inline std::string name(pg::session::NoteError error) { return error == pg::session::NoteError::kTooLong ? "too-long" : "quota"; }

inline std::string name(const pg::editor::EditError &error)
{
    static constexpr const char *names[] = { "not-now", "invalid", "quota" };
    return names[error.variants.index()];
}

inline std::string name(const pg::parts::PartError &error)
{
    static constexpr const char *names[] = { "not-now", "no-such-part", "too-complex", "too-large" };
    return names[error.variants.index()];
}

inline std::string name(const pg::ServiceError &error)
{
    static constexpr const char *names[] = { "denied", "quota", "unavailable", "invalid", "not-now" };
    return names[error.variants.index()];
}

inline std::string name(const pg::sqlite::SqliteError &error)
{
    static constexpr const char *names[] = { "service", "constraint", "statement", "full" };
    return names[error.variants.index()];
}

// What a call has answered: what is shown of it, or the name of its error.
template <class Answer> std::string shown(const Answer &answer, auto show) { return answer ? show(*answer) : name(answer.error()); }
template <class Answer> std::string shown(const Answer &answer)
{
    return shown(answer, [](auto &value) { return str(value); });
}
template <class Answer> std::string done(const Answer &answer) { return answer ? "ok" : name(answer.error()); }
template <class Answer> Lines listed(const Answer &answer, auto show)
{
    if (!answer) {
        return { name(answer.error()) };
    }
    Lines lines;
    for (auto &one : answer->get_view()) {
        lines.push_back(show(one));
    }
    return lines;
}

// ---- The context ----

inline Lines session_lines()
{
    static constexpr const char *greetings[] = { "helo ", "ehlo ", "lhlo " };
    auto local = pg::session::Local();
    auto hello = pg::session::Hello();
    auto tls = pg::session::Tls();
    auto identity = pg::session::Identity();
    return {
        "id=" + str(!pg::session::Id().empty()),
        "listener=" + str(pg::session::Listener()),
        "remote=" + str(pg::session::Remote().address),
        "local=" + str(local.address) + ":" + str(local.port),
        "hello=" + (hello ? greetings[static_cast<size_t>(hello->greeting)] + str(hello->name) : "none"),
        "tls=" + (tls ? str(tls->version) : "none"),
        "identity=" + (identity ? str(identity->name) + " " + str(identity->mechanism) : "none"),
        "early-talker=" + str(pg::session::EarlyTalker()),
        "illegal-pipelining=" + str(pg::session::IllegalPipelining()),
    };
}

inline std::string verdict_line(const pg::transaction::EarlierVerdict &one)
{
    static constexpr const char *hooks[] = { "connect", "hello", "starttls", "authenticate", "mail", "recipient", "data", "chunk",
        "message", "deliver", "verify", "expand", "command", "observe" };
    static constexpr const char *kinds[]
        = { "accepted", "rejected", "deferred", "disconnected", "discarded", "quarantined", "edited", "failed" };
    return hooks[static_cast<size_t>(one.hook)] + " "s + kinds[static_cast<size_t>(one.kind)] + " "
        + (one.recipient ? address(*one.recipient) : "none") + " " + str(one.plugin);
}

inline Lines transaction_lines()
{
    auto recipient = [](auto &one) { return address(one.mailbox) + parameters(one.parameters); };
    return {
        "id=" + shown(pg::transaction::Id(), [](auto &id) { return str(!id.empty()); }),
        "reverse-path=" + shown(pg::transaction::ReversePath(), [](auto &path) { return path ? address(*path) : "<>"; }),
        "parameters=" + shown(pg::transaction::Parameters(), parameters),
        "recipients=" + shown(pg::transaction::Recipients(), [&](auto &all) { return joined(all.get_view(), ", ", recipient); }),
        "declared-size=" + shown(pg::transaction::DeclaredSize()),
        "verdicts=" + shown(pg::transaction::Verdicts(), [](auto &all) { return joined(all.get_view(), ", ", verdict_line); }),
    };
}

// ---- The message ----

inline Lines mail_data_lines()
{
    auto names = [](auto &all) { return joined(all.get_view(), ",", [](auto &field) { return str(field.name); }); };
    return {
        "size=" + shown(pg::mail_data::Size()),
        "body-offset=" + shown(pg::mail_data::BodyOffset()),
        "header=" + shown(pg::mail_data::Header(), names),
    };
}

// How many octets there are, and the sum of every 64th.
inline std::string sum()
{
    uint64_t offset = 0, sum = 0;
    for (;;) {
        auto window = pg::mail_data::Read(offset, 65536);
        if (!window) {
            return name(window.error());
        }
        if (window->empty()) {
            return str(offset) + " " + str(sum);
        }
        for (size_t i = 0; i < window->size(); i += 64) {
            sum += (*window)[i];
        }
        offset += window->size();
    }
}

inline std::string part_line(const pg::parts::Part &part)
{
    return str(part.number) + " " + str(part.parent) + " " + str(part.media_type) + " " + str(part.charset) + " " + str(part.file_name)
        + " " + str(part.attachment) + " " + str(part.content_id) + " " + str(part.size);
}

// ---- Services ----

inline std::string value_text(const pg::sqlite::Value &value)
{
    using Value = pg::sqlite::Value;
    if (auto *integer = std::get_if<Value::Integer>(&value.variants)) {
        return str(integer->value);
    }
    if (auto *real = std::get_if<Value::Real>(&value.variants)) {
        char text[32];
        return { text, std::to_chars(text, text + sizeof text, real->value).ptr };
    }
    if (auto *text = std::get_if<Value::Text>(&value.variants)) {
        return str(text->value);
    }
    if (auto *blob = std::get_if<Value::Blob>(&value.variants)) {
        return str(blob->value);
    }
    return "null";
}

inline std::string values(int64_t integer)
{
    using Value = pg::sqlite::Value;
    auto blob = wit::vector<uint8_t>::allocate(2);
    blob.initialize(0, 0);
    blob.initialize(1, 255);
    Value given[] = {
        { Value::Null {} },
        { Value::Integer { integer } },
        { Value::Real { 0.5 } },
        { Value::Text { pg::text("Grüße, 世界") } },
        { Value::Blob { std::move(blob) } },
    };
    return shown(pg::sqlite::Query("SELECT ?1, ?2, ?3, ?4, ?5", given), [](auto &table) {
        auto row = [](auto &row) { return joined(row.get_view(), " ", value_text); };
        return str(table.columns.size()) + " " + joined(table.rows.get_view(), " / ", row);
    });
}

// ---- All of them ----

template <class Number = uint32_t> Number number(std::string_view text)
{
    Number value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// The first word, and what stands behind it.
inline std::pair<std::string_view, std::string_view> split(std::string_view text)
{
    auto space = text.find(' ');
    return { text.substr(0, space), space == text.npos ? std::string_view() : text.substr(space + 1) };
}

inline std::string edit(std::string_view word, std::string_view rest)
{
    auto [first, behind] = split(rest);
    auto [second, third] = split(behind);
    if (word == "prepend") {
        return done(pg::editor::PrependField(first, pg::octets(behind)));
    } else if (word == "append") {
        return done(pg::editor::AppendField(first, pg::octets(behind)));
    } else if (word == "insert") {
        return done(pg::editor::InsertField(number(first), second, pg::octets(third)));
    } else if (word == "replace") {
        return shown(pg::editor::ReplaceField(first, number(second), pg::octets(third)));
    } else if (word == "remove") {
        return shown(pg::editor::RemoveFields(rest));
    } else if (word == "body") {
        return done(pg::editor::ReplaceBody(pg::octets(std::string(rest) + "\r\n")));
    } else if (word == "replace-part") {
        return shown(pg::editor::ReplacePart(number(first), second, pg::octets(third)));
    } else if (word == "remove-part") {
        return shown(pg::editor::RemovePart(number(rest)));
    } else if (word == "reverse-path") {
        return done(pg::editor::SetReversePath(rest == "<>" ? std::nullopt : std::optional(mailbox(rest))));
    } else if (word == "add") {
        return done(pg::editor::AddRecipient(mailbox(rest)));
    } else if (word == "drop") {
        return shown(pg::editor::RemoveRecipient(mailbox(rest)));
    }
    return "unknown";
}

inline std::string logged(std::string_view level, std::string_view message)
{
    if (level == "debug") {
        pg::debug(message);
    } else if (level == "info") {
        pg::info(message);
    } else if (level == "warn") {
        pg::warn(message);
    } else {
        pg::error(message);
    }
    return "ok";
}

inline std::string setting(std::string_view rest)
{
    std::vector<std::string_view> keys;
    for (; !rest.empty(); rest = split(rest).second) {
        keys.push_back(split(rest).first);
    }
    return str(pg::config::Value(keys));
}

inline Lines ask(std::string_view question)
{
    auto [word, rest] = split(question);
    auto [first, behind] = split(rest);
    auto [second, third] = split(behind);
    if (word == "echo") {
        return { std::string(rest) };
    } else if (word == "nothing") {
        return {};
    } else if (word == "lines") {
        Lines lines;
        for (uint32_t n = 1; n <= number(rest); n++) {
            lines.push_back("line " + str(n));
        }
        return lines;
    } else if (word == "session") {
        return session_lines();
    } else if (word == "transaction") {
        return transaction_lines();
    } else if (word == "mail-data") {
        return mail_data_lines();
    } else if (word == "field") {
        return listed(pg::mail_data::Field(rest), [](auto &value) { return std::string(pg::view(value)); });
    } else if (word == "read") {
        return { shown(pg::mail_data::Read(number<uint64_t>(first), number(second))) };
    } else if (word == "sum") {
        return { sum() };
    } else if (word == "parts") {
        return listed(pg::parts::All(), part_line);
    } else if (word == "content") {
        return { shown(pg::parts::Content(number(first), number<uint64_t>(second), number(third))) };
    } else if (word == "text") {
        return { shown(pg::parts::Text(number(rest))) };
    } else if (word == "addresses") {
        return listed(pg::parts::Addresses(rest), [](auto &one) { return str(one.name) + " <" + str(one.address) + ">"; });
    } else if (word == "note") {
        return { str(pg::session::Note(rest)) };
    } else if (word == "set") {
        return { done(pg::session::SetNote(first, behind)) };
    } else if (word == "fill") {
        return { done(pg::session::SetNote(first, std::string(number(behind), 'x'))) };
    } else if (word == "config") {
        return { setting(rest) };
    } else if (word == "table") {
        return { str(pg::config::Table()) };
    } else if (word == "log") {
        return { logged(first, behind) };
    } else if (word == "put") {
        return { done(pg::key_value::Set(first, pg::octets(behind), std::nullopt)) };
    } else if (word == "get") {
        return { shown(pg::key_value::Get(rest)) };
    } else if (word == "increment") {
        return { shown(pg::key_value::Increment(first, number<int64_t>(behind), std::nullopt)) };
    } else if (word == "values") {
        return { values(number<int64_t>(rest)) };
    } else if (word == "sql") {
        return { shown(pg::sqlite::Query(rest, {}), [](auto &table) { return str(table.rows.size()); }) };
    }
    return { edit(word, rest) };
}
