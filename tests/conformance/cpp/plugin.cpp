// The plugin of the conformance kit in C++: what it does stands in ../plugin.md. Its questions are in question.hpp.

#include "postgate.hpp"
#include "question.hpp"

#include <cstdio>
#include <cstdlib>

// A note, or else a setting, of this name; empty where there is neither.
static std::string told(std::string_view name)
{
    if (auto note = pg::session::Note(name)) {
        return str(*note);
    }
    return pg::setting({ name }).value_or("");
}

static void answered(std::string_view question)
{
    auto answer = joined(ask(question), " / ", [](auto &line) { return line; });
    pg::info("answered", { { "question", question }, { "answer", answer } });
}

static void asked(std::string_view hook, std::string_view argument)
{
    pg::info("asked", { { "hook", hook }, { "argument", argument } });
    auto question = told("ask-"s.append(hook));
    if (!question.empty()) {
        answered(question);
    }
}

[[noreturn]] __attribute__((noinline)) static void told_to_trap()
{
    std::fputs("told to trap\n", stderr);
    std::abort();
}

static void deed(std::string_view word)
{
    if (word == "trap") {
        told_to_trap();
    } else if (word == "loop") {
        for (volatile unsigned n = 0;;) {
            n = n + 1;
        }
    } else if (word == "grow") {
        for (std::vector<std::vector<char>> kept;;) {
            kept.emplace_back(1 << 20, 1);
        }
    } else if (word == "print") {
        std::puts("to standard output");
        std::fputs("to standard error\n", stderr);
    }
}

// ---- Words that become verdicts ----

enum class Kind { reject, defer, disconnect };

static std::optional<std::pair<Kind, pg::Reply>> say(std::string_view word)
{
    auto words = [](Kind kind, uint16_t code, std::string_view enhanced, std::string_view text) {
        return std::optional(std::pair(kind, pg::reply(code, enhanced, text)));
    };
    if (word == "ok") {
        return words(Kind::reject, 250, "2.0.0", "at your service");
    } else if (word == "reject") {
        return words(Kind::reject, 550, "5.1.1", "no such user");
    } else if (word == "general") {
        return words(Kind::reject, 550, "", "no such user");
    } else if (word == "silent") {
        return words(Kind::reject, 550, "", "");
    } else if (word == "lines") {
        return words(Kind::reject, 550, "5.1.1", "first\nsecond\nthird");
    } else if (word == "many") {
        return words(Kind::reject, 550, "5.1.1", joined(ask("lines 16"), "\n", [](auto &line) { return line; }));
    } else if (word == "edges") {
        return words(Kind::reject, 559, "5.999.0", "edges");
    } else if (word == "unicode") {
        return words(Kind::reject, 550, "5.1.1", "Grüße, 世界");
    } else if (word == "defer") {
        return words(Kind::defer, 450, "4.2.1", "come again later");
    } else if (word == "disconnect") {
        return words(Kind::disconnect, 554, "5.7.1", "go away");
    }
    return std::nullopt;
}

template <class Verdict> static Verdict verdict(std::string_view word, Verdict otherwise)
{
    deed(word);
    if (word == "accept") {
        return pg::accept();
    }
    auto said = say(word);
    if (!said) {
        return otherwise;
    }
    auto &[kind, reply] = *said;
    switch (kind) {
    case Kind::reject:
        return { typename Verdict::Reject { std::move(reply) } };
    case Kind::defer:
        return { typename Verdict::Defer { std::move(reply) } };
    case Kind::disconnect:
        return { typename Verdict::Disconnect { std::move(reply) } };
    }
    return otherwise;
}

static pg::Verdict verdict(std::string_view word) { return verdict<pg::Verdict>(word, pg::next()); }

// Of a hook without an argument.
static pg::Verdict verdict_told(std::string_view hook)
{
    asked(hook, "");
    return verdict(told(hook));
}

// ---- The hooks ----

wit::vector<hooks::setup::SettingProblem> hooks::setup::OnSetup()
{
    if (pg::setting({ "setup" }) != "wrong") {
        return {};
    }
    return pg::vector<SettingProblem>(
        SettingProblem { pg::vector<wit::string>(pg::text("setup")), pg::text("must not be wrong") },
        SettingProblem { {}, pg::text("nor the table: Grüße") });
}

pg::Verdict hooks::connect::OnConnect() { return verdict_told("connect"); }

hooks::hello::HelloAnswer hooks::hello::OnHello()
{
    auto hello = pg::session::Hello();
    auto name = hello ? str(hello->name) : "";
    asked("hello", name);
    auto word = name.substr(0, name.find('.'));
    auto keywords = wit::vector<wit::string>::allocate(word == "none" ? 0 : word == "eight" ? 8 : 1);
    for (size_t n = 0; n < keywords.size(); n++) {
        keywords.initialize(n, pg::text(word == "eight" ? "XKEY" + str(n + 1) + " of eight" : "XASK"));
    }
    return { verdict(word), std::move(keywords) };
}

pg::Verdict hooks::starttls::OnStarttls() { return verdict_told("starttls"); }

static wit::vector<uint8_t> octets(std::string_view text)
{
    auto all = wit::vector<uint8_t>::allocate(text.size());
    for (size_t n = 0; n < text.size(); n++) {
        all.initialize(n, static_cast<uint8_t>(text[n]));
    }
    return all;
}

hooks::authenticate::Authentication hooks::authenticate::OnAuthenticate(wit::string mechanism, Credentials credentials)
{
    auto words = str(mechanism);
    if (auto *given = std::get_if<Credentials::Password>(&credentials.variants)) {
        auto user = str(given->value.user), password = str(given->value.password);
        asked("authenticate", words + " password " + user + " " + password);
        deed(user);
        if (user == "zoë" || (user == "alice" && password == "wonderland")) {
            return { Authentication::Identity { pg::text(user) } };
        } else if (user == "alice") {
            return { Authentication::Failure {} };
        } else if (user == "later") {
            return { Authentication::TemporaryFailure {} };
        }
        return pg::next();
    } else if (auto *given = std::get_if<Credentials::Token>(&credentials.variants)) {
        asked("authenticate", words + " token " + str(given->value.user) + " " + str(given->value.token));
        if (pg::view(given->value.token) == "wonderland") {
            return { Authentication::Identity { std::move(given->value.user) } };
        }
    } else if (auto *given = std::get_if<Credentials::Certificate>(&credentials.variants)) {
        auto names = joined(given->value.names.get_view(), ",", [](auto &name) { return str(name); });
        asked("authenticate", words + " certificate " + str(given->value.user) + " " + names);
        if (!given->value.names.empty()) {
            return { Authentication::Identity { std::move(given->value.names[0]) } };
        }
    } else if (auto *given = std::get_if<Credentials::Scram>(&credentials.variants)) {
        auto user = str(given->value.user);
        asked("authenticate", words + " scram " + user + " " + str(given->value.hash));
        if (user == "alice") {
            return { Authentication::Keys {
                { pg::text("alice"), octets("salt"), 4096, octets(std::string(32, '\0')), octets(std::string(32, '\xff')) } } };
        } else if (user == "later") {
            return { Authentication::TemporaryFailure {} };
        }
    }
    return { Authentication::Failure {} };
}

pg::Verdict hooks::mail::OnMail(std::optional<pg::Mailbox> reverse_path, pg::Parameters given)
{
    asked("mail", (reverse_path ? address(*reverse_path) : "<>") + parameters(given));
    return verdict(reverse_path ? str(reverse_path->local_part) : "");
}

pg::Verdict hooks::recipient::OnRecipient(pg::Mailbox recipient, pg::Parameters given)
{
    asked("recipient", address(recipient) + parameters(given));
    auto word = str(recipient.local_part);
    return word == "nobody" ? pg::Verdict(pg::next()) : verdict<pg::Verdict>(word, pg::accept());
}

pg::Verdict hooks::data::OnData() { return verdict_told("data"); }

pg::Verdict hooks::chunk::OnChunk(uint64_t size, bool last)
{
    asked("chunk", str(size) + " " + str(last));
    return verdict(told("chunk"));
}

hooks::message::MessageVerdict hooks::message::OnMessage()
{
    asked("message", "");
    if (auto questions = pg::mail_data::Field("X-Do")) {
        for (auto &question : questions->get_view()) {
            answered(pg::view(question));
        }
    }
    auto words = pg::mail_data::Field("X-Verdict");
    auto word = words && !words->empty() ? std::string(pg::view((*words)[0])) : told("message");
    if (word == "discard") {
        return pg::discard { "not wanted" };
    } else if (word == "quarantine") {
        return pg::quarantine { "suspicious" };
    }
    return verdict<MessageVerdict>(word, pg::next());
}

wit::vector<hooks::deliver::Outcome> hooks::deliver::OnDeliver(wit::vector<pg::Mailbox> recipients)
{
    asked("deliver", joined(recipients.get_view(), " ", address));
    deed(told("deliver"));
    auto outcomes = wit::vector<Outcome>::allocate(recipients.size());
    for (size_t n = 0; n < recipients.size(); n++) {
        auto user = pg::view(recipients[n].local_part);
        if (user == "next") {
            outcomes.initialize(n, pg::next());
        } else if (user == "never") {
            outcomes.initialize(n, pg::failed(550, "5.1.1", "no such user"));
        } else if (user == "later") {
            outcomes.initialize(n, pg::deferred(450, "4.2.1", "come again later"));
        } else {
            outcomes.initialize(n, pg::delivered());
        }
    }
    return outcomes;
}

static pg::DirectoryEntry entry(std::optional<std::string_view> full_name, std::string_view local_part)
{
    pg::DirectoryEntry made { std::nullopt, { pg::text(local_part), pg::text("example.org") } };
    if (full_name) {
        made.full_name = pg::text(*full_name);
    }
    return made;
}

hooks::verify::Verification hooks::verify::OnVerify(wit::string argument)
{
    auto word = str(argument);
    asked("verify", word);
    deed(word);
    if (word == "alice") {
        return { Verification::Found { entry("Alice", "alice") } };
    } else if (word == "bob") {
        return { Verification::Found { entry(std::nullopt, "bob") } };
    } else if (word == "zoe") {
        return { Verification::Found { entry("Zoë", "zoë") } };
    } else if (word == "never") {
        return { Verification::Reply { pg::reply(550, "5.1.1", "no such user") } };
    }
    return pg::next();
}

hooks::expand::Expansion hooks::expand::OnExpand(wit::string argument)
{
    auto word = str(argument);
    asked("expand", word);
    deed(word);
    if (word == "staff") {
        return { Expansion::Members { pg::vector<pg::DirectoryEntry>(entry("Alice", "alice"), entry(std::nullopt, "bob")) } };
    } else if (word == "hundred") {
        auto members = wit::vector<pg::DirectoryEntry>::allocate(100);
        for (size_t n = 0; n < members.size(); n++) {
            members.initialize(n, entry(std::nullopt, "user" + str(n + 1)));
        }
        return { Expansion::Members { std::move(members) } };
    } else if (word == "empty") {
        return { Expansion::Members { {} } };
    } else if (word == "never") {
        return { Expansion::Reply { pg::reply(550, "5.1.1", "no such user") } };
    }
    return pg::next();
}

std::optional<pg::Reply> hooks::command::OnCommand(wit::string verb, wit::string argument)
{
    asked("command", str(verb) + " " + str(argument));
    if (pg::view(verb) == "XASK") {
        auto answer = ask(pg::view(argument));
        auto reply = pg::reply(250, "2.0.0", "");
        reply.text = wit::vector<wit::string>::allocate(answer.size());
        for (size_t n = 0; n < answer.size(); n++) {
            reply.text.initialize(n, pg::text(answer[n]));
        }
        return reply;
    } else if (pg::view(verb) == "XSAY") {
        if (auto said = say(pg::view(argument))) {
            return std::move(said->second);
        }
    }
    return std::nullopt;
}

static constexpr std::string_view fates[] = { "delivered", "failed", "deferred", "discarded", "quarantined" };
static constexpr std::string_view ends[] = { "quit", "lost", "timeout", "refused", "shutdown" };

void hooks::observe::OnEvent(Event event)
{
    auto argument = "transaction-reset"s;
    if (auto *end = std::get_if<Event::SessionEnd>(&event.variants)) {
        argument = "session-end "s.append(ends[static_cast<size_t>(end->value)]);
    } else if (auto *outcome = std::get_if<Event::TransactionOutcome>(&event.variants)) {
        argument = "transaction-outcome";
        for (auto &one : outcome->value.get_view()) {
            argument += " " + address(one.recipient) + "=";
            argument.append(fates[static_cast<size_t>(one.fate)]).append("/").append(str(one.plugin));
        }
    }
    asked("observe", argument);
    deed(told("observe"));
}
