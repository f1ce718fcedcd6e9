//! The plugin of the conformance kit in Zig: what it does stands in ../plugin.md. Its questions are in question.zig.

const std = @import("std");
const postgate = @import("postgate");
const question = @import("question.zig");
const c = postgate.c;
const eql = postgate.eql;
const print = postgate.print;

/// A note, or else a setting, of this name; empty where there is neither.
fn told(name: []const u8) []const u8 {
    return question.note(name) orelse postgate.setting(&.{name}) orelse "";
}

fn answered(words: []const u8) void {
    const answer = std.mem.join(postgate.allocator, " / ", question.ask(words)) catch @panic("out of memory");
    postgate.info("answered", &.{ .{ "question", words }, .{ "answer", answer } });
}

fn asked(hook: []const u8, argument: []const u8) void {
    postgate.info("asked", &.{ .{ "hook", hook }, .{ "argument", argument } });
    const words = told(print("ask-{s}", .{hook}));
    if (words.len > 0) answered(words);
}

noinline fn toldToTrap() void {
    postgate.err("told to trap", &.{});
    @panic("told to trap");
}

extern fn puts(text: [*:0]const u8) c_int;
extern fn perror(text: [*:0]const u8) void;

fn deed(word: []const u8) void {
    if (eql(word, "trap")) {
        toldToTrap();
    } else if (eql(word, "loop")) {
        var n: usize = 0;
        while (true) {
            n +%= 1;
            std.mem.doNotOptimizeAway(n);
        }
    } else if (eql(word, "grow")) {
        while (true) {
            const piece = std.heap.c_allocator.alloc(u8, 1 << 20) catch @panic("out of memory");
            @memset(piece, 1);
            std.mem.doNotOptimizeAway(piece.ptr);
        }
    } else if (eql(word, "print")) {
        _ = puts("to standard output");
        perror("to standard error");
    }
}

// ---- Words that become verdicts ----

const Kind = enum { reject, postpone, disconnect };
const Said = struct { kind: Kind, reply: postgate.Reply };

const no_such_user: postgate.Reply = .{ .code = 550, .enhanced = "5.1.1", .text = "no such user" };
const come_again: postgate.Reply = .{ .code = 450, .enhanced = "4.2.1", .text = "come again later" };

const said = [_]struct { []const u8, Said }{
    .{ "ok", .{ .kind = .reject, .reply = .{ .code = 250, .enhanced = "2.0.0", .text = "at your service" } } },
    .{ "reject", .{ .kind = .reject, .reply = no_such_user } },
    .{ "general", .{ .kind = .reject, .reply = .{ .code = 550, .text = "no such user" } } },
    .{ "silent", .{ .kind = .reject, .reply = .{ .code = 550, .text = "" } } },
    .{ "lines", .{ .kind = .reject, .reply = .{ .code = 550, .enhanced = "5.1.1", .text = "first\nsecond\nthird" } } },
    .{ "many", .{ .kind = .reject, .reply = .{ .code = 550, .enhanced = "5.1.1", .text = sixteen } } },
    .{ "edges", .{ .kind = .reject, .reply = .{ .code = 559, .enhanced = "5.999.0", .text = "edges" } } },
    .{ "unicode", .{ .kind = .reject, .reply = .{ .code = 550, .enhanced = "5.1.1", .text = "Grüße, 世界" } } },
    .{ "defer", .{ .kind = .postpone, .reply = come_again } },
    .{ "disconnect", .{ .kind = .disconnect, .reply = .{ .code = 554, .enhanced = "5.7.1", .text = "go away" } } },
};

const sixteen = "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\n" ++
    "line 9\nline 10\nline 11\nline 12\nline 13\nline 14\nline 15\nline 16";

fn say(word: []const u8) ?Said {
    for (said) |one| {
        if (eql(one[0], word)) return one[1];
    }
    return null;
}

fn verdict(comptime Verdict: type, word: []const u8, otherwise: Verdict) Verdict {
    deed(word);
    if (eql(word, "accept")) return .accept;
    const one = say(word) orelse return otherwise;
    return switch (one.kind) {
        .reject => .{ .rejection = one.reply },
        .postpone => .{ .deferral = one.reply },
        .disconnect => .{ .disconnection = one.reply },
    };
}

/// Of a hook without an argument.
fn verdictTold(hook: []const u8) postgate.Verdict {
    asked(hook, "");
    return verdict(postgate.Verdict, told(hook), .next);
}

// ---- The hooks ----

pub fn onSetup() []const postgate.SettingProblem {
    if (!eql(postgate.setting(&.{"setup"}) orelse "", "wrong")) return &.{};
    return &.{
        .{ .path = &.{"setup"}, .message = "must not be wrong" },
        .{ .path = &.{}, .message = "nor the table: Grüße" },
    };
}

pub fn onConnect() postgate.Verdict {
    return verdictTold("connect");
}

pub fn onHello() postgate.HelloAnswer {
    var hello: c.session_client_hello_t = undefined;
    var name: []const u8 = "";
    if (c.session_hello(&hello)) {
        defer c.session_client_hello_free(&hello);
        name = question.copy(hello.name);
    }
    asked("hello", name);
    const word = name[0 .. std.mem.findScalar(u8, name, '.') orelse name.len];
    var keywords: []const []const u8 = &.{"XASK"};
    if (eql(word, "none")) keywords = &.{};
    if (eql(word, "eight")) keywords = question.numbered("XKEY{d} of eight", 8);
    return .{ .verdict = verdict(postgate.Verdict, word, .next), .keywords = keywords };
}

pub fn onStarttls() postgate.Verdict {
    return verdictTold("starttls");
}

fn withPassword(user: []const u8, password: []const u8) postgate.Authentication {
    deed(user);
    if (eql(user, "zoë")) return .{ .identity = user };
    if (eql(user, "alice")) return if (eql(password, "wonderland")) .{ .identity = user } else .failure;
    return if (eql(user, "later")) .temporary_failure else .next;
}

pub fn onAuthenticate(mechanism: []const u8, credentials: postgate.Credentials) postgate.Authentication {
    switch (credentials) {
        .password => |given| {
            asked("authenticate", print("{s} password {s} {s}", .{ mechanism, given.user, given.password }));
            return withPassword(given.user, given.password);
        },
        .token => |given| {
            asked("authenticate", print("{s} token {s} {s}", .{ mechanism, given.user, given.token }));
            return if (eql(given.token, "wonderland")) .{ .identity = given.user } else .failure;
        },
        .certificate => |given| {
            const names = std.mem.join(postgate.allocator, ",", given.names) catch @panic("out of memory");
            asked("authenticate", print("{s} certificate {s} {s}", .{ mechanism, given.user, names }));
            return if (given.names.len > 0) .{ .identity = given.names[0] } else .failure;
        },
        .scram => |given| {
            asked("authenticate", print("{s} scram {s} {s}", .{ mechanism, given.user, given.hash }));
            if (eql(given.user, "later")) return .temporary_failure;
            if (!eql(given.user, "alice")) return .failure;
            return .{ .keys = .{
                .identity = "alice",
                .salt = "salt",
                .iterations = 4096,
                .stored_key = &@as([32]u8, @splat(0)),
                .server_key = &@as([32]u8, @splat(255)),
            } };
        },
    }
}

fn address(mailbox: postgate.Mailbox) []const u8 {
    return if (mailbox.domain.len == 0) mailbox.local_part else mailbox.address();
}

fn parameters(given: []const postgate.Parameter) []const u8 {
    var text: []const u8 = "";
    for (given) |one| {
        text = if (one.value) |value| print("{s} {s}={s}", .{ text, one.keyword, value }) else print("{s} {s}", .{ text, one.keyword });
    }
    return text;
}

pub fn onMail(reverse_path: ?postgate.Mailbox, given: []const postgate.Parameter) postgate.Verdict {
    const path = if (reverse_path) |path| address(path) else "<>";
    asked("mail", print("{s}{s}", .{ path, parameters(given) }));
    return verdict(postgate.Verdict, if (reverse_path) |one| one.local_part else "", .next);
}

pub fn onRecipient(recipient: postgate.Mailbox, given: []const postgate.Parameter) postgate.Verdict {
    asked("recipient", print("{s}{s}", .{ address(recipient), parameters(given) }));
    return verdict(postgate.Verdict, recipient.local_part, if (eql(recipient.local_part, "nobody")) .next else .accept);
}

pub fn onData() postgate.Verdict {
    return verdictTold("data");
}

pub fn onChunk(size: u64, last: bool) postgate.Verdict {
    asked("chunk", print("{d} {}", .{ size, last }));
    return verdict(postgate.Verdict, told("chunk"), .next);
}

pub fn onMessage() postgate.MessageVerdict {
    asked("message", "");
    for (question.fields("X-Do") orelse &.{}) |words| answered(words);
    const verdicts = question.fields("X-Verdict") orelse &.{};
    const word = if (verdicts.len > 0) verdicts[0] else told("message");
    if (eql(word, "discard")) return .{ .discard = "not wanted" };
    if (eql(word, "quarantine")) return .{ .quarantine = "suspicious" };
    return verdict(postgate.MessageVerdict, word, .next);
}

pub fn onDeliver(recipients: []const postgate.Mailbox) []const postgate.Outcome {
    const names = postgate.allocator.alloc([]const u8, recipients.len) catch @panic("out of memory");
    const outcomes = postgate.allocator.alloc(postgate.Outcome, recipients.len) catch @panic("out of memory");
    for (recipients, names, outcomes) |recipient, *name, *outcome| {
        name.* = address(recipient);
        outcome.* = .delivered;
        if (eql(recipient.local_part, "next")) outcome.* = .next;
        if (eql(recipient.local_part, "never")) outcome.* = .{ .failure = no_such_user };
        if (eql(recipient.local_part, "later")) outcome.* = .{ .deferral = come_again };
    }
    asked("deliver", std.mem.join(postgate.allocator, " ", names) catch @panic("out of memory"));
    deed(told("deliver"));
    return outcomes;
}

fn entry(full_name: ?[]const u8, local_part: []const u8) postgate.DirectoryEntry {
    return .{ .full_name = full_name, .mailbox = .{ .local_part = local_part, .domain = "example.org" } };
}

pub fn onVerify(argument: []const u8) postgate.Verification {
    asked("verify", argument);
    deed(argument);
    if (eql(argument, "alice")) return .{ .found = entry("Alice", "alice") };
    if (eql(argument, "bob")) return .{ .found = entry(null, "bob") };
    if (eql(argument, "zoe")) return .{ .found = entry("Zoë", "zoë") };
    if (eql(argument, "never")) return .{ .reply = no_such_user };
    return .next;
}

pub fn onExpand(argument: []const u8) postgate.Expansion {
    asked("expand", argument);
    deed(argument);
    if (eql(argument, "staff")) return .{ .members = &.{ comptime entry("Alice", "alice"), comptime entry(null, "bob") } };
    if (eql(argument, "hundred")) {
        const members = postgate.allocator.alloc(postgate.DirectoryEntry, 100) catch @panic("out of memory");
        for (question.numbered("user{d}", 100), members) |user, *member| member.* = entry(null, user);
        return .{ .members = members };
    }
    if (eql(argument, "empty")) return .{ .members = &.{} };
    if (eql(argument, "never")) return .{ .reply = no_such_user };
    return .next;
}

pub fn onCommand(verb: []const u8, argument: []const u8) ?postgate.Reply {
    asked("command", print("{s} {s}", .{ verb, argument }));
    if (eql(verb, "XASK")) {
        const text = std.mem.join(postgate.allocator, "\n", question.ask(argument)) catch @panic("out of memory");
        return .{ .code = 250, .enhanced = "2.0.0", .text = text };
    }
    if (!eql(verb, "XSAY")) return null;
    return if (say(argument)) |one| one.reply else null;
}

pub fn onEvent(event: postgate.Event) void {
    var argument: []const u8 = "transaction-reset";
    switch (event) {
        .transaction_reset => {},
        .transaction_outcome => |fates| {
            argument = "transaction-outcome";
            for (fates) |one| {
                argument = print("{s} {s}={s}/{s}", .{ argument, address(one.recipient), @tagName(one.fate), one.plugin orelse "none" });
            }
        },
        .session_end => |end| argument = print("session-end {s}", .{@tagName(end)}),
    }
    asked("observe", argument);
    deed(told("observe"));
}
