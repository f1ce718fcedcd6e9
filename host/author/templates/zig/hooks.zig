//! Leads the host's calls to the functions of plugin.zig. Made by `postgate build`.

const std = @import("std");
const plugin = @import("plugin");
const postgate = @import("postgate");
const c = postgate.c;

// ---- To the host: copies, which it frees ----

fn array(comptime T: type, length: usize) [*c]T {
    if (length == 0) return null;
    const memory = std.heap.c_allocator.alloc(T, length) catch @panic("out of memory");
    return memory.ptr;
}

fn string(from: []const u8) c.wit_string_t {
    const memory = array(u8, from.len);
    if (from.len > 0) @memcpy(memory[0..from.len], from);
    return .{ .ptr = memory, .len = from.len };
}

fn strings(from: []const []const u8) c.wit_list_string_t {
    const memory = array(c.wit_string_t, from.len);
    for (from, 0..) |one, i| memory[i] = string(one);
    return .{ .ptr = memory, .len = from.len };
}

/// Each line of a text; none of an empty one.
fn lines(text: []const u8) c.wit_list_string_t {
    if (text.len == 0) return strings(&.{});
    const all = postgate.allocator.alloc([]const u8, std.mem.count(u8, text, "\n") + 1) catch @panic("out of memory");
    var rest = std.mem.splitScalar(u8, text, '\n');
    for (all) |*line| line.* = rest.next() orelse "";
    return strings(all);
}

fn reply(from: postgate.Reply) c.types_reply_t {
    var result: c.types_reply_t = std.mem.zeroes(c.types_reply_t);
    result.code = from.code;
    result.text = lines(from.text);
    if (from.enhanced.len > 0) {
        var numbers = std.mem.splitScalar(u8, from.enhanced, '.');
        result.enhanced.is_some = true;
        result.enhanced.val.class_ = std.fmt.parseInt(u8, numbers.next() orelse "", 10) catch 0;
        result.enhanced.val.subject = std.fmt.parseInt(u16, numbers.next() orelse "", 10) catch 0;
        result.enhanced.val.detail = std.fmt.parseInt(u16, numbers.next() orelse "", 10) catch 0;
    }
    return result;
}
//@hook connect hello starttls mail recipient data chunk

fn verdict(from: postgate.Verdict) c.types_verdict_t {
    return switch (from) {
        .next => .{ .tag = c.TYPES_VERDICT_NEXT },
        .accept => .{ .tag = c.TYPES_VERDICT_ACCEPT },
        .rejection => |no| .{ .tag = c.TYPES_VERDICT_REJECT, .val = .{ .reject = reply(no) } },
        .deferral => |no| .{ .tag = c.TYPES_VERDICT_DEFER, .val = .{ .@"defer" = reply(no) } },
        .disconnection => |no| .{ .tag = c.TYPES_VERDICT_DISCONNECT, .val = .{ .disconnect = reply(no) } },
    };
}
//@end
//@hook verify expand

fn entry(from: postgate.DirectoryEntry) c.types_directory_entry_t {
    var result: c.types_directory_entry_t = std.mem.zeroes(c.types_directory_entry_t);
    if (from.full_name) |name| result.full_name = .{ .is_some = true, .val = string(name) };
    result.mailbox = .{ .local_part = string(from.mailbox.local_part), .domain = string(from.mailbox.domain) };
    return result;
}
//@end

// ---- From the host: views, as long as the call lasts ----
//@hook mail recipient deliver observe

fn mailbox(from: c.types_mailbox_t) postgate.Mailbox {
    return .{ .local_part = postgate.text(from.local_part), .domain = postgate.text(from.domain) };
}
//@end
//@hook mail recipient

fn parameters(from: anytype) []const postgate.Parameter {
    const result = postgate.allocator.alloc(postgate.Parameter, from.len) catch @panic("out of memory");
    for (result, 0..) |*parameter, i| {
        const value = from.ptr[i].value;
        parameter.* = .{ .keyword = postgate.text(from.ptr[i].keyword), .value = if (value.is_some) postgate.text(value.val) else null };
    }
    return result;
}
//@end

// ---- The hooks ----
//@hook setup

export fn exports_setup_on_setup(ret: *c.exports_setup_list_setting_problem_t) void {
    defer postgate.endOfCall();
    const problems: []const postgate.SettingProblem = plugin.onSetup();
    ret.* = .{ .ptr = array(c.exports_setup_setting_problem_t, problems.len), .len = problems.len };
    for (problems, 0..) |problem, i| ret.ptr[i] = .{ .path = strings(problem.path), .message = string(problem.message) };
}
//@end
//@hook connect

export fn exports_connect_on_connect(ret: *c.exports_connect_verdict_t) void {
    defer postgate.endOfCall();
    ret.* = verdict(plugin.onConnect());
}
//@end
//@hook hello

export fn exports_hello_on_hello(ret: *c.exports_hello_hello_answer_t) void {
    defer postgate.endOfCall();
    const answer: postgate.HelloAnswer = plugin.onHello();
    ret.* = .{ .verdict = verdict(answer.verdict), .keywords = strings(answer.keywords) };
}
//@end
//@hook starttls

export fn exports_starttls_on_starttls(ret: *c.exports_starttls_verdict_t) void {
    defer postgate.endOfCall();
    ret.* = verdict(plugin.onStarttls());
}
//@end
//@hook authenticate

export fn exports_authenticate_on_authenticate(
    mechanism: *c.wit_string_t,
    credentials: *c.exports_authenticate_credentials_t,
    ret: *c.exports_authenticate_authentication_t,
) void {
    defer postgate.endOfCall();
    defer c.wit_string_free(mechanism);
    defer c.exports_authenticate_credentials_free(credentials);
    const answer: postgate.Authentication = plugin.onAuthenticate(postgate.text(mechanism.*), switch (credentials.tag) {
        c.EXPORTS_AUTHENTICATE_CREDENTIALS_PASSWORD => .{ .password = .{
            .user = postgate.text(credentials.val.password.user),
            .password = postgate.text(credentials.val.password.password),
        } },
        c.EXPORTS_AUTHENTICATE_CREDENTIALS_TOKEN => .{ .token = .{
            .user = postgate.text(credentials.val.token.user),
            .token = postgate.text(credentials.val.token.token),
        } },
        c.EXPORTS_AUTHENTICATE_CREDENTIALS_CERTIFICATE => certificate: {
            const from = credentials.val.certificate;
            const names = postgate.allocator.alloc([]const u8, from.names.len) catch @panic("out of memory");
            for (names, 0..) |*name, i| name.* = postgate.text(from.names.ptr[i]);
            break :certificate .{ .certificate = .{
                .user = postgate.text(from.user),
                .fingerprint = postgate.text(from.fingerprint),
                .names = names,
            } };
        },
        c.EXPORTS_AUTHENTICATE_CREDENTIALS_SCRAM => .{ .scram = .{
            .user = postgate.text(credentials.val.scram.user),
            .hash = postgate.text(credentials.val.scram.hash),
        } },
        else => unreachable,
    });
    ret.* = switch (answer) {
        .next => .{ .tag = c.EXPORTS_AUTHENTICATE_AUTHENTICATION_NEXT },
        .identity => |name| .{ .tag = c.EXPORTS_AUTHENTICATE_AUTHENTICATION_IDENTITY, .val = .{ .identity = string(name) } },
        .keys => |keys| .{ .tag = c.EXPORTS_AUTHENTICATE_AUTHENTICATION_KEYS, .val = .{ .keys = .{
            .identity = string(keys.identity),
            .salt = list(keys.salt),
            .iterations = keys.iterations,
            .stored_key = list(keys.stored_key),
            .server_key = list(keys.server_key),
        } } },
        .failure => .{ .tag = c.EXPORTS_AUTHENTICATE_AUTHENTICATION_FAILURE },
        .temporary_failure => .{ .tag = c.EXPORTS_AUTHENTICATE_AUTHENTICATION_TEMPORARY_FAILURE },
    };
}

fn list(from: []const u8) c.wit_list_u8_t {
    const copy = string(from);
    return .{ .ptr = copy.ptr, .len = copy.len };
}
//@end
//@hook mail

export fn exports_mail_on_mail(
    reverse_path: ?*c.exports_mail_mailbox_t,
    given: *c.exports_mail_list_parameter_t,
    ret: *c.exports_mail_verdict_t,
) void {
    defer postgate.endOfCall();
    defer if (reverse_path) |path| c.exports_mail_mailbox_free(path);
    defer c.exports_mail_list_parameter_free(given);
    ret.* = verdict(plugin.onMail(if (reverse_path) |path| mailbox(path.*) else null, parameters(given)));
}
//@end
//@hook recipient

export fn exports_recipient_on_recipient(
    recipient: *c.exports_recipient_mailbox_t,
    given: *c.exports_recipient_list_parameter_t,
    ret: *c.exports_recipient_verdict_t,
) void {
    defer postgate.endOfCall();
    defer c.exports_recipient_mailbox_free(recipient);
    defer c.exports_recipient_list_parameter_free(given);
    ret.* = verdict(plugin.onRecipient(mailbox(recipient.*), parameters(given)));
}
//@end
//@hook data

export fn exports_data_on_data(ret: *c.exports_data_verdict_t) void {
    defer postgate.endOfCall();
    ret.* = verdict(plugin.onData());
}
//@end
//@hook chunk

export fn exports_chunk_on_chunk(size: u64, last: bool, ret: *c.exports_chunk_verdict_t) void {
    defer postgate.endOfCall();
    ret.* = verdict(plugin.onChunk(size, last));
}
//@end
//@hook message

export fn exports_message_on_message(ret: *c.exports_message_message_verdict_t) void {
    defer postgate.endOfCall();
    const answer: postgate.MessageVerdict = plugin.onMessage();
    ret.* = switch (answer) {
        .next => .{ .tag = c.EXPORTS_MESSAGE_MESSAGE_VERDICT_NEXT },
        .accept => .{ .tag = c.EXPORTS_MESSAGE_MESSAGE_VERDICT_ACCEPT },
        .rejection => |no| .{ .tag = c.EXPORTS_MESSAGE_MESSAGE_VERDICT_REJECT, .val = .{ .reject = reply(no) } },
        .deferral => |no| .{ .tag = c.EXPORTS_MESSAGE_MESSAGE_VERDICT_DEFER, .val = .{ .@"defer" = reply(no) } },
        .disconnection => |no| .{ .tag = c.EXPORTS_MESSAGE_MESSAGE_VERDICT_DISCONNECT, .val = .{ .disconnect = reply(no) } },
        .discard => |reason| .{ .tag = c.EXPORTS_MESSAGE_MESSAGE_VERDICT_DISCARD, .val = .{ .discard = string(reason) } },
        .quarantine => |label| .{ .tag = c.EXPORTS_MESSAGE_MESSAGE_VERDICT_QUARANTINE, .val = .{ .quarantine = string(label) } },
    };
}
//@end
//@hook deliver

export fn exports_deliver_on_deliver(given: *c.exports_deliver_list_mailbox_t, ret: *c.exports_deliver_list_outcome_t) void {
    defer postgate.endOfCall();
    defer c.exports_deliver_list_mailbox_free(given);
    const recipients = postgate.allocator.alloc(postgate.Mailbox, given.len) catch @panic("out of memory");
    for (recipients, 0..) |*recipient, i| recipient.* = mailbox(given.ptr[i]);
    const outcomes: []const postgate.Outcome = plugin.onDeliver(recipients);
    ret.* = .{ .ptr = array(c.exports_deliver_outcome_t, outcomes.len), .len = outcomes.len };
    for (outcomes, 0..) |outcome, i| ret.ptr[i] = switch (outcome) {
        .next => .{ .tag = c.EXPORTS_DELIVER_OUTCOME_NEXT },
        .delivered => .{ .tag = c.EXPORTS_DELIVER_OUTCOME_DELIVERED },
        .failure => |no| .{ .tag = c.EXPORTS_DELIVER_OUTCOME_FAILED, .val = .{ .failed = reply(no) } },
        .deferral => |no| .{ .tag = c.EXPORTS_DELIVER_OUTCOME_DEFERRED, .val = .{ .deferred = reply(no) } },
    };
}
//@end
//@hook verify

export fn exports_verify_on_verify(argument: *c.wit_string_t, ret: *c.exports_verify_verification_t) void {
    defer postgate.endOfCall();
    defer c.wit_string_free(argument);
    const answer: postgate.Verification = plugin.onVerify(postgate.text(argument.*));
    ret.* = switch (answer) {
        .next => .{ .tag = c.EXPORTS_VERIFY_VERIFICATION_NEXT },
        .found => |one| .{ .tag = c.EXPORTS_VERIFY_VERIFICATION_FOUND, .val = .{ .found = entry(one) } },
        .reply => |other| .{ .tag = c.EXPORTS_VERIFY_VERIFICATION_REPLY, .val = .{ .reply = reply(other) } },
    };
}
//@end
//@hook expand

export fn exports_expand_on_expand(argument: *c.wit_string_t, ret: *c.exports_expand_expansion_t) void {
    defer postgate.endOfCall();
    defer c.wit_string_free(argument);
    const answer: postgate.Expansion = plugin.onExpand(postgate.text(argument.*));
    switch (answer) {
        .next => ret.* = .{ .tag = c.EXPORTS_EXPAND_EXPANSION_NEXT },
        .members => |members| {
            const entries = array(c.types_directory_entry_t, members.len);
            for (members, 0..) |member, i| entries[i] = entry(member);
            ret.* = .{ .tag = c.EXPORTS_EXPAND_EXPANSION_MEMBERS, .val = .{ .members = .{ .ptr = entries, .len = members.len } } };
        },
        .reply => |other| ret.* = .{ .tag = c.EXPORTS_EXPAND_EXPANSION_REPLY, .val = .{ .reply = reply(other) } },
    }
}
//@end
//@hook command

export fn exports_command_on_command(verb: *c.wit_string_t, argument: *c.wit_string_t, ret: *c.exports_command_reply_t) bool {
    defer postgate.endOfCall();
    defer c.wit_string_free(verb);
    defer c.wit_string_free(argument);
    const answer: ?postgate.Reply = plugin.onCommand(postgate.text(verb.*), postgate.text(argument.*));
    ret.* = reply(answer orelse return false);
    return true;
}
//@end
//@hook observe

export fn exports_observe_on_event(event: *c.exports_observe_event_t) void {
    defer postgate.endOfCall();
    defer c.exports_observe_event_free(event);
    plugin.onEvent(switch (event.tag) {
        c.EXPORTS_OBSERVE_EVENT_TRANSACTION_RESET => .transaction_reset,
        c.EXPORTS_OBSERVE_EVENT_TRANSACTION_OUTCOME => outcome: {
            const from = event.val.transaction_outcome;
            const fates = postgate.allocator.alloc(postgate.RecipientFate, from.len) catch @panic("out of memory");
            for (fates, 0..) |*fate, i| fate.* = .{
                .recipient = mailbox(from.ptr[i].recipient),
                .fate = @enumFromInt(from.ptr[i].fate),
                .plugin = if (from.ptr[i].plugin.is_some) postgate.text(from.ptr[i].plugin.val) else null,
            };
            break :outcome .{ .transaction_outcome = fates };
        },
        c.EXPORTS_OBSERVE_EVENT_SESSION_END => .{ .session_end = @enumFromInt(event.val.session_end) },
        else => unreachable,
    });
}
//@end
