//! The contract in Zig: what hooks are given and answer, and small helpers. Made by `postgate build`.
//!
//! `c` has all calls of the host as they are in wit.h; what they answer is freed with its method `free`, and `text` says what a string of
//! theirs holds.

const std = @import("std");

/// The functions and types of the contract, translated from wit.h.
pub const c = @import("c.zig");

var arena: std.heap.ArenaAllocator = .init(std.heap.c_allocator);

/// Memory that is free again when the hook has returned: good for everything that a hook answers.
pub const allocator = arena.allocator();

/// Called behind each hook.
pub fn endOfCall() void {
    _ = arena.reset(.retain_capacity);
}

// ---- What hooks are given ----

pub const Mailbox = struct {
    local_part: []const u8,
    domain: []const u8,

    /// `local@domain`
    pub fn address(self: Mailbox) []const u8 {
        return print("{s}@{s}", .{ self.local_part, self.domain });
    }
};

/// A parameter of MAIL or RCPT, such as SIZE=1000.
pub const Parameter = struct {
    keyword: []const u8,
    value: ?[]const u8,
};

/// The credentials of AUTH.
pub const Credentials = union(enum) {
    password: struct { user: []const u8, password: []const u8 },
    token: struct { user: []const u8, token: []const u8 },
    certificate: struct { user: []const u8, fingerprint: []const u8, names: []const []const u8 },
    scram: struct { user: []const u8, hash: []const u8 },
};

/// Why a session ended.
pub const End = enum(u8) { quit, lost, timeout, refused, shutdown };

pub const Fate = enum(u8) { delivered, failed, deferred, discarded, quarantined };

/// What became of one recipient.
pub const RecipientFate = struct {
    recipient: Mailbox,
    fate: Fate,
    /// The plugin that took it, where one did.
    plugin: ?[]const u8,
};

pub const Event = union(enum) {
    transaction_reset,
    transaction_outcome: []const RecipientFate,
    session_end: End,
};

// ---- What hooks answer ----

/// A reply to the client. `enhanced` is an enhanced status code such as "5.1.1", or "" for the general one; each line of the text is a line
/// of the reply, and an empty text stands for one of the host's.
pub const Reply = struct {
    code: u16,
    enhanced: []const u8 = "",
    text: []const u8,
};

/// What is wrong with a setting; its keys from the outside in.
pub const SettingProblem = struct {
    path: []const []const u8,
    message: []const u8,
};

/// `.next`, `.accept`, `.reject(550, "5.1.1", "no such user")`, `.postpone(…)`, `.disconnect(…)`
pub const Verdict = union(enum) {
    /// No opinion: the next plugin of the chain is asked.
    next,
    /// Yes, and the rest of the chain is not asked.
    accept,
    rejection: Reply,
    deferral: Reply,
    disconnection: Reply,

    /// No, for good.
    pub fn reject(code: u16, enhanced: []const u8, line: []const u8) Verdict {
        return .{ .rejection = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
    /// Not now.
    pub fn postpone(code: u16, enhanced: []const u8, line: []const u8) Verdict {
        return .{ .deferral = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
    /// No, and the host closes the connection behind the reply.
    pub fn disconnect(code: u16, enhanced: []const u8, line: []const u8) Verdict {
        return .{ .disconnection = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
};

/// A verdict, and further lines of the reply to EHLO.
pub const HelloAnswer = struct {
    verdict: Verdict,
    keywords: []const []const u8 = &.{},
};

/// As `Verdict`, and `.{ .discard = "the reason" }` or `.{ .quarantine = "label" }`.
pub const MessageVerdict = union(enum) {
    /// No opinion, perhaps after edits: the next plugin is asked.
    next,
    /// Deliver it; the rest of the chain is not asked.
    accept,
    rejection: Reply,
    deferral: Reply,
    disconnection: Reply,
    /// The client is told 250, and the message is thrown away; the reason is logged.
    discard: []const u8,
    /// The client is told 250, and the message is kept for a person under this label.
    quarantine: []const u8,

    /// No, for good.
    pub fn reject(code: u16, enhanced: []const u8, line: []const u8) MessageVerdict {
        return .{ .rejection = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
    /// Not now.
    pub fn postpone(code: u16, enhanced: []const u8, line: []const u8) MessageVerdict {
        return .{ .deferral = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
    /// No, and the host closes the connection behind the reply.
    pub fn disconnect(code: u16, enhanced: []const u8, line: []const u8) MessageVerdict {
        return .{ .disconnection = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
};

/// What becomes of one recipient.
pub const Outcome = union(enum) {
    /// Not mine: the next plugin that delivers is asked about this recipient.
    next,
    /// Delivered, or as durable as if it were.
    delivered,
    failure: Reply,
    deferral: Reply,

    /// It can't be, ever.
    pub fn fail(code: u16, enhanced: []const u8, line: []const u8) Outcome {
        return .{ .failure = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
    /// It can't be now.
    pub fn postpone(code: u16, enhanced: []const u8, line: []const u8) Outcome {
        return .{ .deferral = .{ .code = code, .enhanced = enhanced, .text = line } };
    }
};

/// In answer to SCRAM.
pub const ScramKeys = struct {
    identity: []const u8,
    salt: []const u8,
    iterations: u32,
    stored_key: []const u8,
    server_key: []const u8,
};

/// Who a client is.
pub const Authentication = union(enum) {
    /// Not a user of this plugin.
    next,
    identity: []const u8,
    keys: ScramKeys,
    failure,
    temporary_failure,
};

/// An entry of VRFY or EXPN.
pub const DirectoryEntry = struct {
    full_name: ?[]const u8 = null,
    mailbox: Mailbox,
};

pub const Verification = union(enum) {
    next,
    found: DirectoryEntry,
    reply: Reply,
};

pub const Expansion = union(enum) {
    next,
    members: []const DirectoryEntry,
    reply: Reply,
};

// ---- Text ----

/// What a string or a list of octets of the contract's holds.
pub fn text(string: anytype) []const u8 {
    return if (string.len == 0) "" else string.ptr[0..string.len];
}

/// A string for a call of the host; it is borrowed.
pub fn wit(string: []const u8) c.wit_string_t {
    return .{ .ptr = pointer(string), .len = string.len };
}

/// Octets for a call of the host; they are borrowed.
pub fn octets(string: []const u8) c.wit_list_u8_t {
    return .{ .ptr = pointer(string), .len = string.len };
}

/// That of an empty slice may lead anywhere, which the host would not have.
fn pointer(slice: anytype) @TypeOf(@constCast(slice.ptr)) {
    return if (slice.len == 0) @ptrFromInt(@alignOf(@TypeOf(slice[0]))) else @constCast(slice.ptr);
}

pub fn eql(one: []const u8, other: []const u8) bool {
    return std.mem.eql(u8, one, other);
}

/// Formats a text.
pub fn print(comptime format: []const u8, arguments: anytype) []const u8 {
    return std.fmt.allocPrint(allocator, format, arguments) catch @panic("out of memory");
}

// ---- The plugin's own table in the configuration; needs the import of `config` ----

/// One value, by its keys from the outside in; text as it is and everything else as JSON.
pub fn setting(path: []const []const u8) ?[]const u8 {
    const keys = allocator.alloc(c.wit_string_t, path.len) catch @panic("out of memory");
    for (keys, path) |*key, name| key.* = wit(name);
    var list: c.wit_list_string_t = .{ .ptr = pointer(keys), .len = keys.len };
    var value: c.wit_string_t = undefined;
    if (!c.config_value(&list, &value)) return null;
    defer c.wit_string_free(&value);
    return allocator.dupe(u8, text(value)) catch @panic("out of memory");
}

// ---- The log; needs the import of `log` ----

/// A fact of a log line, as name and value.
pub const Field = struct { []const u8, []const u8 };

pub fn debug(message: []const u8, fields: []const Field) void {
    write(c.LOG_LEVEL_DEBUG, message, fields);
}
pub fn info(message: []const u8, fields: []const Field) void {
    write(c.LOG_LEVEL_INFO, message, fields);
}
pub fn warn(message: []const u8, fields: []const Field) void {
    write(c.LOG_LEVEL_WARN, message, fields);
}
pub fn err(message: []const u8, fields: []const Field) void {
    write(c.LOG_LEVEL_ERROR, message, fields);
}

fn write(level: c.log_level_t, message: []const u8, fields: []const Field) void {
    const facts = allocator.alloc(c.wit_tuple2_string_string_t, fields.len) catch @panic("out of memory");
    for (facts, fields) |*fact, field| fact.* = .{ .f0 = wit(field[0]), .f1 = wit(field[1]) };
    var phrase = wit(message);
    var list: c.wit_list_tuple2_string_string_t = .{ .ptr = pointer(facts), .len = facts.len };
    c.log_write(level, &phrase, &list);
}
