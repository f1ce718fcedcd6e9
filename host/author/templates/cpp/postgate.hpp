// Small helpers above the contract's own functions and types, which are in plugin_cpp.h. Made by `postgate build`.
//
// `hooks::recipient::OnRecipient` and its like are the functions to be written; `pg::session::Remote()` and its like are the calls.
#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "plugin_cpp.h"

namespace exports::postgate::mail {}
// The hooks.
namespace hooks = exports::postgate::mail;

namespace pg {

using namespace ::postgate::mail;
using namespace ::postgate::mail::types;
using Parameters = wit::vector<Parameter>;

// ---- Text ----

// What the contract's strings and octets say.
inline std::string_view view(const wit::string &text) { return text.get_view(); }
inline std::string_view view(const wit::vector<uint8_t> &octets)
{
    return { reinterpret_cast<const char *>(octets.data()), octets.size() };
}

// A string for the contract.
inline wit::string text(std::string_view text) { return wit::string::from_view(text); }

// Octets for a call that takes them.
inline std::span<const uint8_t> octets(std::string_view text)
{
    return { reinterpret_cast<const uint8_t *>(text.data()), text.size() };
}

// `local@domain`
inline std::string address(const Mailbox &mailbox)
{
    return std::string(view(mailbox.local_part)).append("@").append(view(mailbox.domain));
}

// A vector of the contract's: vector<wit::string>(text("a"), text("b")).
template <class T, std::same_as<T>... Items> wit::vector<T> vector(Items... items)
{
    auto all = wit::vector<T>::allocate(sizeof...(items));
    size_t n = 0;
    (all.initialize(n++, std::move(items)), ...);
    return all;
}

// ---- Replies ----

// An enhanced status code such as "5.1.1"; what is none stands for the general one of the reply code.
inline std::optional<EnhancedStatus> enhanced_status(std::string_view text)
{
    uint16_t numbers[3] = {};
    const char *from = text.data(), *end = from + text.size();
    for (uint16_t &number : numbers) {
        auto [rest, error] = std::from_chars(from, end, number);
        if (error != std::errc()) {
            return std::nullopt;
        }
        from = rest == end ? end : rest + 1;
    }
    return EnhancedStatus { static_cast<uint8_t>(numbers[0]), numbers[1], numbers[2] };
}

// reply(550, "5.1.1", "no such user"); "" is the general enhanced status code. Each line of the text is a line of the reply, and an empty text stands for one of
// the host's.
inline Reply reply(uint16_t code, std::string_view enhanced, std::string_view words)
{
    auto lines = wit::vector<wit::string>::allocate(words.empty() ? 0 : 1 + std::ranges::count(words, '\n'));
    for (size_t n = 0; n < lines.size(); n++) {
        auto line = words.substr(0, words.find('\n'));
        lines.initialize(n, text(line));
        words.remove_prefix(std::min(words.size(), line.size() + 1));
    }
    return { code, enhanced_status(enhanced), std::move(lines) };
}

// ---- Answers ----
//
// What several hooks may answer is one word that becomes what the hook at hand takes; a hook that does not take it does not compile.

// No opinion: the next plugin of the chain is asked.
struct next {
    template <class Answer> requires requires { typename Answer::Next; } operator Answer() const { return { typename Answer::Next {} }; }
};

// Yes, and the rest of the chain is not asked.
struct accept {
    template <class Answer> requires requires { typename Answer::Accept; } operator Answer() const
    {
        return { typename Answer::Accept {} };
    }
};

struct with_reply {
    Reply value;
    with_reply(uint16_t code, std::string_view enhanced, std::string_view line)
        : value(reply(code, enhanced, line))
    {
    }
};

// No, for good: reject(550, "5.1.1", "no such user").
struct reject : with_reply {
    using with_reply::with_reply;
    template <class Answer> requires requires { typename Answer::Reject; } operator Answer() &&
    {
        return { typename Answer::Reject { std::move(value) } };
    }
};

// Not now: defer(450, "4.2.1", "come again later").
struct defer : with_reply {
    using with_reply::with_reply;
    template <class Answer> requires requires { typename Answer::Defer; } operator Answer() &&
    {
        return { typename Answer::Defer { std::move(value) } };
    }
};

// As reject, and the host closes the connection behind the reply.
struct disconnect : with_reply {
    using with_reply::with_reply;
    template <class Answer> requires requires { typename Answer::Disconnect; } operator Answer() &&
    {
        return { typename Answer::Disconnect { std::move(value) } };
    }
};

// The client is told 250, and the message is thrown away; the reason is logged.
struct discard {
    std::string_view reason;
    template <class Answer> requires requires { typename Answer::Discard; } operator Answer() const
    {
        return { typename Answer::Discard { text(reason) } };
    }
};

// The client is told 250, and the message is kept for a person under this label.
struct quarantine {
    std::string_view label;
    template <class Answer> requires requires { typename Answer::Quarantine; } operator Answer() const
    {
        return { typename Answer::Quarantine { text(label) } };
    }
};

// An outcome of `deliver`: the message is delivered, or as durable as if it were.
struct delivered {
    template <class Answer> requires requires { typename Answer::Delivered; } operator Answer() const
    {
        return { typename Answer::Delivered {} };
    }
};

// An outcome of `deliver`: it can't be, ever.
struct failed : with_reply {
    using with_reply::with_reply;
    template <class Answer> requires requires { typename Answer::Failed; } operator Answer() &&
    {
        return { typename Answer::Failed { std::move(value) } };
    }
};

// An outcome of `deliver`: it can't be now.
struct deferred : with_reply {
    using with_reply::with_reply;
    template <class Answer> requires requires { typename Answer::Deferred; } operator Answer() &&
    {
        return { typename Answer::Deferred { std::move(value) } };
    }
};

// An entry of VRFY or EXPN.
inline DirectoryEntry entry(std::string_view full_name, std::string_view local_part, std::string_view domain)
{
    return { text(full_name), Mailbox { text(local_part), text(domain) } };
}
