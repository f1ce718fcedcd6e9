//! @@NAME@@: a plugin of Postgate in Zig.
//!
//! Each function below is a hook: a moment of the SMTP dialogue that the gateway asks about. What they are called with and what they may
//! answer is in bindings/postgate.zig; all calls of the host are in bindings/c.zig. `postgate build` makes both.

const std = @import("std");
const postgate = @import("postgate");
//@hook connect hello starttls data message
const c = postgate.c;
//@end
//@hook setup

/// Once, when the plugin has been loaded: is its configuration right? Answers what is wrong; nothing is well.
pub fn onSetup() []const postgate.SettingProblem {
    if (postgate.setting(&.{"domain"}) != null) return &.{};
    return &.{.{ .path = &.{"domain"}, .message = "set the domain whose mail is taken, such as \"example.org\"" }};
}
//@end
//@hook connect

/// A client has connected, before the banner. `.next` lets the session begin.
pub fn onConnect() postgate.Verdict {
    var client: c.session_endpoint_t = undefined;
    c.session_remote(&client);
    defer c.session_endpoint_free(&client);
    const address = postgate.text(client.address);
    if (postgate.eql(address, "192.0.2.66")) return .reject(554, "5.7.1", postgate.print("no mail from {s}", .{address}));
    return .next;
}
//@end
//@hook hello

/// HELO, EHLO or LHLO. Answers a verdict, and further lines of the reply to EHLO.
pub fn onHello() postgate.HelloAnswer {
    var answer: postgate.HelloAnswer = .{ .verdict = .next, .keywords = &.{"XSAMPLE"} };
    var hello: c.session_client_hello_t = undefined;
    if (c.session_hello(&hello)) {
        defer c.session_client_hello_free(&hello);
        if (postgate.eql(postgate.text(hello.name), "localhost")) answer.verdict = .reject(550, "5.7.1", "you are not localhost");
    }
    return answer;
}
//@end
//@hook starttls

/// STARTTLS, before the handshake. `.next` lets it begin.
pub fn onStarttls() postgate.Verdict {
    var client: c.session_endpoint_t = undefined;
    c.session_remote(&client);
    defer c.session_endpoint_free(&client);
    postgate.info("handshake begins", &.{.{ "client", postgate.text(client.address) }});
    return .next;
}
//@end
//@hook authenticate

/// AUTH, when the client's credentials are known. Answers who it is; nobody's opinion is a failure.
pub fn onAuthenticate(mechanism: []const u8, credentials: postgate.Credentials) postgate.Authentication {
    _ = mechanism;
    switch (credentials) {
        .password => |given| {
            if (!postgate.eql(given.user, "alice")) return .next;
            return if (postgate.eql(given.password, "wonderland")) .{ .identity = "alice" } else .failure;
        },
        .token, .certificate, .scram => return .next,
    }
}
//@end
//@hook mail

/// MAIL FROM: a mail transaction begins. The reverse-path is null for `<>`. `.next` lets it begin.
pub fn onMail(reverse_path: ?postgate.Mailbox, parameters: []const postgate.Parameter) postgate.Verdict {
    _ = parameters;
    const path = reverse_path orelse return .next;
    if (postgate.eql(path.domain, "spam.example")) return .reject(550, "5.7.1", "no mail from spam.example");
    return .next;
}
//@end
//@hook recipient

/// RCPT TO, once for each recipient. A recipient that no plugin accepts is refused.
pub fn onRecipient(recipient: postgate.Mailbox, parameters: []const postgate.Parameter) postgate.Verdict {
    _ = parameters;
    const domain = postgate.setting(&.{"domain"}) orelse return .next;
    if (!postgate.eql(recipient.domain, domain)) return .next;
    if (postgate.eql(recipient.local_part, "nobody")) return .reject(550, "5.1.1", "no such user");
    if (postgate.eql(recipient.local_part, "later")) return .postpone(450, "4.2.1", "come again later");
    return .accept;
}
//@end
//@hook data

/// DATA or the first BDAT, before any mail data. `.next` lets the client go on.
pub fn onData() postgate.Verdict {
    var failure: c.transaction_context_error_t = undefined;
    var reverse_path: c.transaction_option_mailbox_t = undefined;
    if (!c.transaction_reverse_path(&reverse_path, &failure)) return .next;
    defer c.transaction_option_mailbox_free(&reverse_path);
    var recipients: c.transaction_list_accepted_recipient_t = undefined;
    if (!c.transaction_recipients(&recipients, &failure)) return .next;
    defer c.transaction_list_accepted_recipient_free(&recipients);
    if (!reverse_path.is_some and recipients.len > 1) return .reject(550, "5.7.1", "a notification has one recipient");
    return .next;
}
//@end
//@hook chunk

/// Each BDAT chunk, before its octets. `.next` lets it be read.
pub fn onChunk(size: u64, last: bool) postgate.Verdict {
    _ = last;
    return if (size > 1_000_000) .reject(552, "5.3.4", "send smaller chunks") else .next;
}
//@end
//@hook message

/// The message has come: it can be read and changed. `.next` lets it go to delivery.
pub fn onMessage() postgate.MessageVerdict {
    var subject = postgate.wit("Subject");
    var values: c.wit_list_list_u8_t = undefined;
    var not_now: c.mail_data_context_error_t = undefined;
    if (c.mail_data_field(&subject, &values, &not_now)) {
        defer c.wit_list_list_u8_free(&values);
        for (0..values.len) |i| {
            if (std.mem.find(u8, postgate.text(values.ptr[i]), "casino") != null) return .reject(550, "5.7.1", "no casinos");
        }
    }
    var name = postgate.wit("X-Checked-By");
    var value = postgate.octets("@@NAME@@");
    var failure: c.editor_edit_error_t = undefined;
    if (!c.editor_append_field(&name, &value, &failure)) {
        c.editor_edit_error_free(&failure);
        return .postpone(451, "4.3.0", "try again later");
    }
    return .next;
}
//@end
//@hook deliver

/// Hands the message over, after `onMessage`. Answers an outcome for each recipient, in the same order; a recipient that no plugin takes
/// is deferred.
pub fn onDeliver(recipients: []const postgate.Mailbox) []const postgate.Outcome {
    const outcomes = postgate.allocator.alloc(postgate.Outcome, recipients.len) catch @panic("out of memory");
    for (recipients, outcomes) |recipient, *outcome| {
        if (postgate.eql(recipient.local_part, "full")) {
            outcome.* = .postpone(452, "4.2.2", "mailbox full");
        } else {
            postgate.info("delivered", &.{.{ "recipient", recipient.address() }});
            outcome.* = .delivered;
        }
    }
    return outcomes;
}
//@end
//@hook verify

/// VRFY: is there such a user? With `.next` the client gets 252.
pub fn onVerify(argument: []const u8) postgate.Verification {
    if (!postgate.eql(argument, "alice")) return .next;
    return .{ .found = .{ .full_name = "Alice", .mailbox = .{ .local_part = "alice", .domain = "example.org" } } };
}
//@end
//@hook expand

/// EXPN: who is on that list? With `.next` the client gets 502.
pub fn onExpand(argument: []const u8) postgate.Expansion {
    if (!postgate.eql(argument, "staff")) return .next;
    return .{ .members = &.{
        .{ .full_name = "Alice", .mailbox = .{ .local_part = "alice", .domain = "example.org" } },
        .{ .full_name = "Bob", .mailbox = .{ .local_part = "bob", .domain = "example.org" } },
    } };
}
//@end
//@hook command

/// A verb that the gateway does not know, in upper case. With null the client gets 500.
pub fn onCommand(verb: []const u8, argument: []const u8) ?postgate.Reply {
    if (!postgate.eql(verb, "XSAMPLE")) return null;
    return .{ .code = 250, .enhanced = "2.0.0", .text = postgate.print("you said {s}", .{argument}) };
}
//@end
//@hook observe

/// Tells what has happened, and asks nothing.
pub fn onEvent(event: postgate.Event) void {
    switch (event) {
        .transaction_reset => postgate.info("transaction reset", &.{}),
        .transaction_outcome => |fates| {
            const fields = postgate.allocator.alloc(postgate.Field, fates.len) catch @panic("out of memory");
            for (fates, fields) |fate, *field| field.* = .{ fate.recipient.address(), @tagName(fate.fate) };
            postgate.info("transaction ended", fields);
        },
        .session_end => |end| postgate.info("session ended", &.{.{ "end", @tagName(end) }}),
    }
}
//@end
