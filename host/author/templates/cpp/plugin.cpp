// @@NAME@@: a plugin of Postgate in C++.
//
// Each function below is a hook: a moment of the SMTP dialogue that the gateway asks about. What they are called with and what they may
// answer is in bindings/plugin_cpp.h, small helpers (pg::…) are in bindings/postgate.hpp; `postgate build` makes both.

#include "postgate.hpp"
//@hook observe

#include <vector>
//@end

using namespace std::literals;
//@hook setup

// Once, when the plugin has been loaded: is its configuration right? Answers what is wrong; nothing is well.
wit::vector<hooks::setup::SettingProblem> hooks::setup::OnSetup()
{
    if (pg::setting({ "domain" })) {
        return {};
    }
    return pg::vector<SettingProblem>(SettingProblem {
        pg::vector<wit::string>(pg::text("domain")),
        pg::text("set the domain whose mail is taken, such as \"example.org\""),
    });
}
//@end
//@hook connect

// A client has connected, before the banner. Answers a verdict; next lets the session begin.
pg::Verdict hooks::connect::OnConnect()
{
    auto client = pg::session::Remote();
    if (pg::view(client.address) == "192.0.2.66") {
        return pg::reject(554, "5.7.1", "no mail from "s.append(pg::view(client.address)));
    }
    return pg::next();
}
//@end
//@hook hello

// HELO, EHLO or LHLO. Answers a verdict, and further lines of the reply to EHLO.
hooks::hello::HelloAnswer hooks::hello::OnHello()
{
    auto hello = pg::session::Hello();
    pg::Verdict verdict = pg::next();
    if (hello && pg::view(hello->name) == "localhost") {
        verdict = pg::reject(550, "5.7.1", "you are not localhost");
    }
    return { std::move(verdict), pg::vector<wit::string>(pg::text("XSAMPLE")) };
}
//@end
//@hook starttls

// STARTTLS, before the handshake. Answers a verdict; next lets it begin.
pg::Verdict hooks::starttls::OnStarttls()
{
    auto client = pg::session::Remote();
    pg::info("handshake begins", { { "client", pg::view(client.address) } });
    return pg::next();
}
//@end
//@hook authenticate

// AUTH, when the client's credentials are known. Answers who it is; nobody's opinion is a failure.
hooks::authenticate::Authentication hooks::authenticate::OnAuthenticate(wit::string mechanism, Credentials credentials)
{
    auto *password = std::get_if<Credentials::Password>(&credentials.variants);
    if (!password || pg::view(password->value.user) != "alice") {
        return pg::next();
    }
    if (pg::view(password->value.password) == "wonderland") {
        return { Authentication::Identity { pg::text("alice") } };
    }
    return { Authentication::Failure {} };
}
//@end
//@hook mail

// MAIL FROM: a mail transaction begins. There is no reverse-path for `<>`. Answers a verdict; next lets it begin.
pg::Verdict hooks::mail::OnMail(std::optional<pg::Mailbox> reverse_path, pg::Parameters parameters)
{
    if (reverse_path && pg::view(reverse_path->domain) == "spam.example") {
        return pg::reject(550, "5.7.1", "no mail from spam.example");
    }
    return pg::next();
}
//@end
//@hook recipient

// RCPT TO, once for each recipient. Answers a verdict; a recipient that no plugin accepts is refused.
pg::Verdict hooks::recipient::OnRecipient(pg::Mailbox recipient, pg::Parameters parameters)
{
    if (pg::view(recipient.domain) != pg::setting({ "domain" })) {
        return pg::next();
    }
    if (pg::view(recipient.local_part) == "nobody") {
        return pg::reject(550, "5.1.1", "no such user");
    }
    if (pg::view(recipient.local_part) == "later") {
        return pg::defer(450, "4.2.1", "come again later");
    }
    return pg::accept();
}
//@end
//@hook data

// DATA or the first BDAT, before any mail data. Answers a verdict; next lets the client go on.
pg::Verdict hooks::data::OnData()
{
    auto reverse_path = pg::transaction::ReversePath();
    auto recipients = pg::transaction::Recipients();
    if (reverse_path && !*reverse_path && recipients && recipients->size() > 1) {
        return pg::reject(550, "5.7.1", "a notification has one recipient");
    }
    return pg::next();
}
//@end
//@hook chunk

// Each BDAT chunk, before its octets. Answers a verdict; next lets it be read.
pg::Verdict hooks::chunk::OnChunk(uint64_t size, bool last)
{
    if (size > 1'000'000) {
        return pg::reject(552, "5.3.4", "send smaller chunks");
    }
    return pg::next();
}
//@end
//@hook message

// The message has come: it can be read and changed. Answers a verdict; next lets it go to delivery.
hooks::message::MessageVerdict hooks::message::OnMessage()
{
    if (auto subjects = pg::mail_data::Field("Subject")) {
        for (auto &subject : subjects->get_view()) {
            if (pg::view(subject).contains("casino")) {
                return pg::reject(550, "5.7.1", "no casinos");
            }
        }
    }
    if (!pg::editor::AppendField("X-Checked-By", pg::octets("@@NAME@@"))) {
        return pg::defer(451, "4.3.0", "try again later");
    }
    return pg::next();
}
//@end
//@hook deliver

// Hands the message over, after the hook `message`. Answers an outcome for each recipient, in the same order; a recipient that no plugin
// takes is deferred.
wit::vector<hooks::deliver::Outcome> hooks::deliver::OnDeliver(wit::vector<pg::Mailbox> recipients)
{
    auto outcomes = wit::vector<Outcome>::allocate(recipients.size());
    for (size_t i = 0; i < recipients.size(); i++) {
        if (pg::view(recipients[i].local_part) == "full") {
            outcomes.initialize(i, pg::deferred(452, "4.2.2", "mailbox full"));
        } else {
            pg::info("delivered", { { "recipient", pg::address(recipients[i]) } });
            outcomes.initialize(i, pg::delivered());
        }
    }
    return outcomes;
}
//@end
//@hook verify

// VRFY: is there such a user? With next the client gets 252.
hooks::verify::Verification hooks::verify::OnVerify(wit::string argument)
{
    if (pg::view(argument) == "alice") {
        return { Verification::Found { pg::entry("Alice", "alice", "example.org") } };
    }
    return pg::next();
}
//@end
//@hook expand

// EXPN: who is on that list? With next the client gets 502.
hooks::expand::Expansion hooks::expand::OnExpand(wit::string argument)
{
    if (pg::view(argument) == "staff") {
        return { Expansion::Members { pg::vector<pg::DirectoryEntry>(
            pg::entry("Alice", "alice", "example.org"), pg::entry("Bob", "bob", "example.org")) } };
    }
    return pg::next();
}
//@end
//@hook command

// A verb that the gateway does not know, in upper case. Without a reply the client gets 500.
std::optional<pg::Reply> hooks::command::OnCommand(wit::string verb, wit::string argument)
{
    if (pg::view(verb) == "XSAMPLE") {
        return pg::reply(250, "2.0.0", "you said "s.append(pg::view(argument)));
    }
    return std::nullopt;
}
//@end
//@hook observe

static constexpr std::string_view fates[] = { "delivered", "failed", "deferred", "discarded", "quarantined" };
static constexpr std::string_view ends[] = { "quit", "lost", "timeout", "refused", "shutdown" };

// Tells what has happened, and asks nothing.
void hooks::observe::OnEvent(Event event)
{
    if (auto *end = std::get_if<Event::SessionEnd>(&event.variants)) {
        pg::info("session ended", { { "end", ends[static_cast<size_t>(end->value)] } });
    } else if (auto *outcome = std::get_if<Event::TransactionOutcome>(&event.variants)) {
        std::vector<std::string> recipients;
        std::vector<pg::Field> fields;
        recipients.reserve(outcome->value.size());
        for (auto &fate : outcome->value.get_view()) {
            recipients.push_back(pg::address(fate.recipient));
            fields.emplace_back(recipients.back(), fates[static_cast<size_t>(fate.fate)]);
        }
        pg::log::Write(pg::log::Level::kInfo, "transaction ended", fields);
    } else {
        pg::info("transaction reset");
    }
}
//@end
