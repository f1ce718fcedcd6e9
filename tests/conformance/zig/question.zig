//! Questions: what the context and the services answer, as lines of text.

const std = @import("std");
const postgate = @import("postgate");
const c = postgate.c;
const eql = postgate.eql;
const print = postgate.print;
const allocator = postgate.allocator;

const Lines = []const []const u8;

// ---- Text ----

/// A copy that lives as long as the call.
pub fn copy(string: anytype) []const u8 {
    return allocator.dupe(u8, postgate.text(string)) catch @panic("out of memory");
}

pub fn numbered(comptime format: []const u8, count: usize) Lines {
    const lines = allocator.alloc([]const u8, count) catch @panic("out of memory");
    for (lines, 1..) |*line, n| line.* = print(format, .{n});
    return lines;
}

fn one(line: []const u8) Lines {
    const lines = allocator.alloc([]const u8, 1) catch @panic("out of memory");
    lines[0] = line;
    return lines;
}

/// Lines that are collected.
const Collected = struct {
    lines: std.ArrayList([]const u8) = .empty,

    fn add(self: *Collected, comptime format: []const u8, facts: anytype) void {
        self.lines.append(allocator, print(format, facts)) catch @panic("out of memory");
    }

    fn joined(self: *Collected, separator: []const u8) []const u8 {
        return std.mem.join(allocator, separator, self.lines.items) catch @panic("out of memory");
    }
};

fn hex(octets: []const u8) []const u8 {
    var digits: Collected = .{};
    for (octets) |octet| digits.add("{x:0>2}", .{octet});
    return digits.joined("");
}

fn option(text: c.wit_option_string_t) []const u8 {
    return if (text.is_some) copy(text.val) else "none";
}

fn address(mailbox: c.types_mailbox_t) []const u8 {
    if (mailbox.domain.len == 0) return copy(mailbox.local_part);
    return print("{s}@{s}", .{ postgate.text(mailbox.local_part), postgate.text(mailbox.domain) });
}

/// At its last `@`.
fn mailboxOf(text: []const u8) c.types_mailbox_t {
    const at = std.mem.findScalarLast(u8, text, '@') orelse return .{ .local_part = postgate.wit(text), .domain = postgate.wit("") };
    return .{ .local_part = postgate.wit(text[0..at]), .domain = postgate.wit(text[at + 1 ..]) };
}

fn parameters(given: anytype) []const u8 {
    var all: Collected = .{};
    for (0..given.len) |n| {
        const parameter = given.ptr[n];
        all.add(" {s}", .{postgate.text(parameter.keyword)});
        if (parameter.value.is_some) all.add("={s}", .{postgate.text(parameter.value.val)});
    }
    return all.joined("");
}

fn number(comptime Number: type, text: []const u8) Number {
    return std.fmt.parseInt(Number, text, 10) catch 0;
}

/// The first word, and what stands behind it.
fn split(text: []const u8) [2][]const u8 {
    const space = std.mem.findScalar(u8, text, ' ') orelse return .{ text, "" };
    return .{ text[0..space], text[space + 1 ..] };
}

// ---- Errors by their names ----

const edit_errors = [_][]const u8{ "not-now", "invalid", "quota" };
const part_errors = [_][]const u8{ "not-now", "no-such-part", "too-complex", "too-large" };
const service_errors = [_][]const u8{ "denied", "quota", "unavailable", "invalid", "not-now" };
const sqlite_errors = [_][]const u8{ "service", "constraint", "statement", "full" };

fn serviceError(failure: *c.types_service_error_t) []const u8 {
    defer c.types_service_error_free(failure);
    return service_errors[failure.tag];
}

fn sqliteError(failure: *c.sqlite_sqlite_error_t) []const u8 {
    defer c.sqlite_sqlite_error_free(failure);
    return sqlite_errors[failure.tag];
}

// ---- The context ----

pub fn note(name: []const u8) ?[]const u8 {
    var key = postgate.wit(name);
    var value: c.wit_string_t = undefined;
    if (!c.session_note(&key, &value)) return null;
    defer c.wit_string_free(&value);
    return copy(value);
}

fn setNote(name: []const u8, text: []const u8) []const u8 {
    var key = postgate.wit(name);
    var value = postgate.wit(text);
    var failure: c.session_note_error_t = undefined;
    if (c.session_set_note(&key, &value, &failure)) return "ok";
    return if (failure == c.SESSION_NOTE_ERROR_TOO_LONG) "too-long" else "quota";
}

fn sessionLines() Lines {
    const greetings = [_][]const u8{ "helo", "ehlo", "lhlo" };
    var all: Collected = .{};
    var text: c.wit_string_t = undefined;
    c.session_id(&text);
    all.add("id={}", .{text.len > 0});
    c.wit_string_free(&text);
    c.session_listener(&text);
    all.add("listener={s}", .{postgate.text(text)});
    c.wit_string_free(&text);
    var end: c.session_endpoint_t = undefined;
    c.session_remote(&end);
    all.add("remote={s}", .{postgate.text(end.address)});
    c.session_endpoint_free(&end);
    c.session_local(&end);
    all.add("local={s}:{d}", .{ postgate.text(end.address), end.port });
    c.session_endpoint_free(&end);
    var hello: c.session_client_hello_t = undefined;
    if (c.session_hello(&hello)) {
        all.add("hello={s} {s}", .{ greetings[hello.greeting], postgate.text(hello.name) });
        c.session_client_hello_free(&hello);
    } else all.add("hello=none", .{});
    var tls: c.session_tls_layer_t = undefined;
    if (c.session_tls(&tls)) {
        all.add("tls={s}", .{postgate.text(tls.version)});
        c.session_tls_layer_free(&tls);
    } else all.add("tls=none", .{});
    var identity: c.session_client_identity_t = undefined;
    if (c.session_identity(&identity)) {
        all.add("identity={s} {s}", .{ postgate.text(identity.name), postgate.text(identity.mechanism) });
        c.session_client_identity_free(&identity);
    } else all.add("identity=none", .{});
    all.add("early-talker={}", .{c.session_early_talker()});
    all.add("illegal-pipelining={d}", .{c.session_illegal_pipelining()});
    return all.lines.items;
}

fn recipientsText(list: c.transaction_list_accepted_recipient_t) []const u8 {
    var all: Collected = .{};
    for (0..list.len) |n| all.add("{s}{s}", .{ address(list.ptr[n].mailbox), parameters(list.ptr[n].parameters) });
    return all.joined(", ");
}

fn verdictsText(list: c.transaction_list_earlier_verdict_t) []const u8 {
    const hooks = [_][]const u8{ "connect", "hello", "starttls", "authenticate", "mail", "recipient", "data", "chunk", "message", "deliver", "verify", "expand", "command", "observe" };
    const kinds = [_][]const u8{ "accepted", "rejected", "deferred", "disconnected", "discarded", "quarantined", "edited", "failed" };
    var all: Collected = .{};
    for (0..list.len) |n| {
        const verdict = list.ptr[n];
        const recipient = if (verdict.recipient.is_some) address(verdict.recipient.val) else "none";
        all.add("{s} {s} {s} {s}", .{ hooks[verdict.hook], kinds[verdict.kind], recipient, postgate.text(verdict.plugin) });
    }
    return all.joined(", ");
}

fn transactionLines() Lines {
    var all: Collected = .{};
    var not_now: c.transaction_context_error_t = undefined;
    var id: c.wit_string_t = undefined;
    if (c.transaction_id(&id, &not_now)) {
        all.add("id={}", .{id.len > 0});
        c.wit_string_free(&id);
    } else all.add("id=not-now", .{});
    var path: c.transaction_option_mailbox_t = undefined;
    if (c.transaction_reverse_path(&path, &not_now)) {
        all.add("reverse-path={s}", .{if (path.is_some) address(path.val) else "<>"});
        c.transaction_option_mailbox_free(&path);
    } else all.add("reverse-path=not-now", .{});
    var given: c.transaction_list_parameter_t = undefined;
    if (c.transaction_parameters(&given, &not_now)) {
        all.add("parameters={s}", .{parameters(given)});
        c.transaction_list_parameter_free(&given);
    } else all.add("parameters=not-now", .{});
    var recipients: c.transaction_list_accepted_recipient_t = undefined;
    if (c.transaction_recipients(&recipients, &not_now)) {
        all.add("recipients={s}", .{recipientsText(recipients)});
        c.transaction_list_accepted_recipient_free(&recipients);
    } else all.add("recipients=not-now", .{});
    var size: c.wit_option_u64_t = undefined;
    if (!c.transaction_declared_size(&size, &not_now)) {
        all.add("declared-size=not-now", .{});
    } else if (size.is_some) all.add("declared-size={d}", .{size.val}) else all.add("declared-size=none", .{});
    var verdicts: c.transaction_list_earlier_verdict_t = undefined;
    if (c.transaction_verdicts(&verdicts, &not_now)) {
        all.add("verdicts={s}", .{verdictsText(verdicts)});
        c.transaction_list_earlier_verdict_free(&verdicts);
    } else all.add("verdicts=not-now", .{});
    return all.lines.items;
}

// ---- The message ----

/// The values of the fields of that name; null where there is no message.
pub fn fields(name: []const u8) ?Lines {
    var key = postgate.wit(name);
    var found: c.wit_list_list_u8_t = undefined;
    var not_now: c.mail_data_context_error_t = undefined;
    if (!c.mail_data_field(&key, &found, &not_now)) return null;
    defer c.wit_list_list_u8_free(&found);
    var all: Collected = .{};
    for (0..found.len) |n| all.add("{s}", .{postgate.text(found.ptr[n])});
    return all.lines.items;
}

fn mailDataLines() Lines {
    var all: Collected = .{};
    var not_now: c.mail_data_context_error_t = undefined;
    var octets: u64 = undefined;
    if (c.mail_data_size(&octets, &not_now)) all.add("size={d}", .{octets}) else all.add("size=not-now", .{});
    if (c.mail_data_body_offset(&octets, &not_now)) all.add("body-offset={d}", .{octets}) else all.add("body-offset=not-now", .{});
    var header: c.mail_data_list_header_field_t = undefined;
    if (c.mail_data_header(&header, &not_now)) {
        defer c.mail_data_list_header_field_free(&header);
        var names: Collected = .{};
        for (0..header.len) |n| names.add("{s}", .{postgate.text(header.ptr[n].name)});
        all.add("header={s}", .{names.joined(",")});
    } else all.add("header=not-now", .{});
    return all.lines.items;
}

fn read(offset: u64, length: u32) []const u8 {
    var octets: c.wit_list_u8_t = undefined;
    var not_now: c.mail_data_context_error_t = undefined;
    if (!c.mail_data_read(offset, length, &octets, &not_now)) return "not-now";
    defer c.wit_list_u8_free(&octets);
    return hex(postgate.text(octets));
}

/// How many octets there are, and the sum of every 64th.
fn sum() []const u8 {
    var offset: u64 = 0;
    var total: u64 = 0;
    while (true) {
        var window: c.wit_list_u8_t = undefined;
        var not_now: c.mail_data_context_error_t = undefined;
        if (!c.mail_data_read(offset, 65536, &window, &not_now)) return "not-now";
        defer c.wit_list_u8_free(&window);
        if (window.len == 0) return print("{d} {d}", .{ offset, total });
        var n: usize = 0;
        while (n < window.len) : (n += 64) total += window.ptr[n];
        offset += window.len;
    }
}

fn partsLines() Lines {
    var list: c.parts_list_part_t = undefined;
    var failure: c.parts_part_error_t = undefined;
    if (!c.parts_all(&list, &failure)) return one(part_errors[failure.tag]);
    defer c.parts_list_part_free(&list);
    var all: Collected = .{};
    for (0..list.len) |n| {
        const part = list.ptr[n];
        const parent = if (part.parent.is_some) print("{d}", .{part.parent.val}) else "none";
        all.add("{d} {s} {s} {s} {s} {} {s} {d}", .{ part.number, parent, postgate.text(part.media_type), option(part.charset), option(part.file_name), part.attachment, option(part.content_id), part.size });
    }
    return all.lines.items;
}

fn content(part: u32, offset: u64, length: u32) []const u8 {
    var octets: c.wit_list_u8_t = undefined;
    var failure: c.parts_part_error_t = undefined;
    if (!c.parts_content(part, offset, length, &octets, &failure)) return part_errors[failure.tag];
    defer c.wit_list_u8_free(&octets);
    return hex(postgate.text(octets));
}

fn partText(part: u32) []const u8 {
    var text: c.wit_string_t = undefined;
    var failure: c.parts_part_error_t = undefined;
    if (!c.parts_text(part, &text, &failure)) return part_errors[failure.tag];
    defer c.wit_string_free(&text);
    return copy(text);
}

fn addresses(name: []const u8) Lines {
    var key = postgate.wit(name);
    var list: c.parts_list_named_address_t = undefined;
    var not_now: c.parts_context_error_t = undefined;
    if (!c.parts_addresses(&key, &list, &not_now)) return one("not-now");
    defer c.parts_list_named_address_free(&list);
    var all: Collected = .{};
    for (0..list.len) |n| all.add("{s} <{s}>", .{ option(list.ptr[n].name), postgate.text(list.ptr[n].address) });
    return all.lines.items;
}

// ---- Services ----

fn put(name: []const u8, text: []const u8) []const u8 {
    var key = postgate.wit(name);
    var value = postgate.octets(text);
    var failure: c.types_service_error_t = undefined;
    return if (c.key_value_set(&key, &value, null, &failure)) "ok" else serviceError(&failure);
}

fn get(name: []const u8) []const u8 {
    var key = postgate.wit(name);
    var found: c.wit_option_list_u8_t = undefined;
    var failure: c.types_service_error_t = undefined;
    if (!c.key_value_get(&key, &found, &failure)) return serviceError(&failure);
    defer c.wit_option_list_u8_free(&found);
    return if (found.is_some) hex(postgate.text(found.val)) else "none";
}

fn increment(name: []const u8, by: i64) []const u8 {
    var key = postgate.wit(name);
    var total: i64 = undefined;
    var failure: c.types_service_error_t = undefined;
    if (!c.key_value_increment(&key, by, null, &total, &failure)) return serviceError(&failure);
    return print("{d}", .{total});
}

fn query(text: []const u8, given: []c.sqlite_value_t, comptime show: fn (c.sqlite_table_t) []const u8) []const u8 {
    var statement = postgate.wit(text);
    var list: c.sqlite_list_value_t = .{ .ptr = given.ptr, .len = given.len };
    var table: c.sqlite_table_t = undefined;
    var failure: c.sqlite_sqlite_error_t = undefined;
    if (!c.sqlite_query(&statement, &list, &table, &failure)) return sqliteError(&failure);
    defer c.sqlite_table_free(&table);
    return show(table);
}

fn rows(table: c.sqlite_table_t) []const u8 {
    return print("{d}", .{table.rows.len});
}

fn tableText(table: c.sqlite_table_t) []const u8 {
    var all: Collected = .{};
    all.add("{d}", .{table.columns.len});
    for (0..table.rows.len) |r| {
        for (0..table.rows.ptr[r].len) |n| {
            const value = table.rows.ptr[r].ptr[n];
            switch (value.tag) {
                c.SQLITE_VALUE_INTEGER => all.add("{d}", .{value.val.integer}),
                c.SQLITE_VALUE_REAL => all.add("{d}", .{value.val.real}),
                c.SQLITE_VALUE_TEXT => all.add("{s}", .{postgate.text(value.val.text)}),
                c.SQLITE_VALUE_BLOB => all.add("{s}", .{hex(postgate.text(value.val.blob))}),
                else => all.add("null", .{}),
            }
        }
    }
    return all.joined(" ");
}

fn values(integer: i64) []const u8 {
    var given = [_]c.sqlite_value_t{
        .{ .tag = c.SQLITE_VALUE_NULL },
        .{ .tag = c.SQLITE_VALUE_INTEGER, .val = .{ .integer = integer } },
        .{ .tag = c.SQLITE_VALUE_REAL, .val = .{ .real = 0.5 } },
        .{ .tag = c.SQLITE_VALUE_TEXT, .val = .{ .text = postgate.wit("Grüße, 世界") } },
        .{ .tag = c.SQLITE_VALUE_BLOB, .val = .{ .blob = postgate.octets("\x00\xff") } },
    };
    return query("SELECT ?1, ?2, ?3, ?4, ?5", &given, tableText);
}

fn setting(path: []const u8) []const u8 {
    var keys: std.ArrayList([]const u8) = .empty;
    var words = std.mem.splitScalar(u8, path, ' ');
    while (words.next()) |word| keys.append(allocator, word) catch @panic("out of memory");
    return postgate.setting(keys.items) orelse "none";
}

fn settings() []const u8 {
    var text: c.wit_string_t = undefined;
    c.config_table(&text);
    defer c.wit_string_free(&text);
    return copy(text);
}

fn logged(level: []const u8, message: []const u8) []const u8 {
    if (eql(level, "debug")) postgate.debug(message, &.{});
    if (eql(level, "info")) postgate.info(message, &.{});
    if (eql(level, "warn")) postgate.warn(message, &.{});
    if (eql(level, "error")) postgate.err(message, &.{});
    return "ok";
}

// ---- Edits ----

fn edit(word: []const u8, rest: []const u8) []const u8 {
    const first, const behind = split(rest);
    const second, const third = split(behind);
    var name = postgate.wit(first);
    var next = postgate.wit(second);
    var value = postgate.octets(behind);
    var last = postgate.octets(third);
    var mailbox = mailboxOf(rest);
    var failure: c.editor_edit_error_t = undefined;
    var done: ?bool = null;
    var ok = true;
    if (eql(word, "prepend")) {
        ok = c.editor_prepend_field(&name, &value, &failure);
    } else if (eql(word, "append")) {
        ok = c.editor_append_field(&name, &value, &failure);
    } else if (eql(word, "insert")) {
        ok = c.editor_insert_field(number(u32, first), &next, &last, &failure);
    } else if (eql(word, "replace")) {
        var answer = false;
        ok = c.editor_replace_field(&name, number(u32, second), &last, &answer, &failure);
        done = answer;
    } else if (eql(word, "remove")) {
        var count: u32 = 0;
        if (c.editor_remove_fields(&name, &count, &failure)) return print("{d}", .{count});
        ok = false;
    } else if (eql(word, "body")) {
        var body = postgate.octets(print("{s}\r\n", .{rest}));
        ok = c.editor_replace_body(&body, &failure);
    } else if (eql(word, "replace-part")) {
        var answer = false;
        ok = c.editor_replace_part(number(u32, first), &next, &last, &answer, &failure);
        done = answer;
    } else if (eql(word, "remove-part")) {
        var answer = false;
        ok = c.editor_remove_part(number(u32, rest), &answer, &failure);
        done = answer;
    } else if (eql(word, "reverse-path")) {
        ok = c.editor_set_reverse_path(if (eql(rest, "<>")) null else &mailbox, &failure);
    } else if (eql(word, "add")) {
        ok = c.editor_add_recipient(&mailbox, &failure);
    } else if (eql(word, "drop")) {
        var answer = false;
        ok = c.editor_remove_recipient(&mailbox, &answer, &failure);
        done = answer;
    } else return "unknown";
    if (!ok) {
        defer c.editor_edit_error_free(&failure);
        return edit_errors[failure.tag];
    }
    return if (done) |answer| print("{}", .{answer}) else "ok";
}

// ---- All of them ----

pub fn ask(question: []const u8) Lines {
    const word, const rest = split(question);
    const first, const behind = split(rest);
    const second, const third = split(behind);
    if (eql(word, "echo")) return one(rest);
    if (eql(word, "nothing")) return &.{};
    if (eql(word, "lines")) return numbered("line {d}", number(usize, rest));
    if (eql(word, "session")) return sessionLines();
    if (eql(word, "transaction")) return transactionLines();
    if (eql(word, "mail-data")) return mailDataLines();
    if (eql(word, "field")) return fields(rest) orelse one("not-now");
    if (eql(word, "read")) return one(read(number(u64, first), number(u32, second)));
    if (eql(word, "sum")) return one(sum());
    if (eql(word, "parts")) return partsLines();
    if (eql(word, "content")) return one(content(number(u32, first), number(u64, second), number(u32, third)));
    if (eql(word, "text")) return one(partText(number(u32, rest)));
    if (eql(word, "addresses")) return addresses(rest);
    if (eql(word, "note")) return one(note(rest) orelse "none");
    if (eql(word, "set")) return one(setNote(first, behind));
    if (eql(word, "fill")) {
        const filled = allocator.alloc(u8, number(usize, behind)) catch @panic("out of memory");
        @memset(filled, 'x');
        return one(setNote(first, filled));
    }
    if (eql(word, "config")) return one(setting(rest));
    if (eql(word, "table")) return one(settings());
    if (eql(word, "log")) return one(logged(first, behind));
    if (eql(word, "put")) return one(put(first, behind));
    if (eql(word, "get")) return one(get(rest));
    if (eql(word, "increment")) return one(increment(first, number(i64, behind)));
    if (eql(word, "values")) return one(values(number(i64, rest)));
    if (eql(word, "sql")) return one(query(rest, &.{}, rows));
    return one(edit(word, rest));
}
