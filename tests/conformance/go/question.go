// Questions: what the context and the services answer, as lines of text.
package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"conformance/bindings/postgate"
	config "conformance/bindings/postgate_mail_config"
	editor "conformance/bindings/postgate_mail_editor"
	keyvalue "conformance/bindings/postgate_mail_key_value"
	maildata "conformance/bindings/postgate_mail_mail_data"
	parts "conformance/bindings/postgate_mail_parts"
	session "conformance/bindings/postgate_mail_session"
	sqlite "conformance/bindings/postgate_mail_sqlite"
	transaction "conformance/bindings/postgate_mail_transaction"
	types "conformance/bindings/postgate_mail_types"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

func numbered(format string, count int) []string {
	lines := []string{}
	for n := 1; n <= count; n++ {
		lines = append(lines, fmt.Sprintf(format, n))
	}
	return lines
}

func address(mailbox postgate.Mailbox) string {
	if mailbox.Domain == "" {
		return mailbox.LocalPart
	}
	return postgate.Address(mailbox)
}

func mailbox(address string) postgate.Mailbox {
	at := strings.LastIndex(address, "@")
	return postgate.Mailbox{LocalPart: address[:max(at, 0)], Domain: address[at+1:]}
}

func parameters(given []postgate.Parameter) string {
	text := ""
	for _, one := range given {
		text += " " + one.Keyword
		if one.Value.IsSome() {
			text += "=" + one.Value.Some()
		}
	}
	return text
}

// The names of errors.

func contextError(transaction.ContextError) string { return "not-now" }

func noteError(err session.NoteError) string { return []string{"too-long", "quota"}[err] }

func editError(err editor.EditError) string { return []string{"not-now", "invalid", "quota"}[err.Tag()] }

func partError(err parts.PartError) string {
	return []string{"not-now", "no-such-part", "too-complex", "too-large"}[err.Tag()]
}

func serviceError(err types.ServiceError) string {
	return []string{"denied", "quota", "unavailable", "invalid", "not-now"}[err.Tag()]
}

func sqliteError(err sqlite.SqliteError) string {
	return []string{"service", "constraint", "statement", "full"}[err.Tag()]
}

// What a call has answered: what is shown of it, or the name of its error.
func shown[T, E any](answer wit.Result[T, E], show func(T) string, name func(E) string) string {
	if answer.IsErr() {
		return name(answer.Err())
	}
	return show(answer.Ok())
}

func listed[T, E any](answer wit.Result[[]T, E], show func(T) string, name func(E) string) []string {
	if answer.IsErr() {
		return []string{name(answer.Err())}
	}
	lines := []string{}
	for _, one := range answer.Ok() {
		lines = append(lines, show(one))
	}
	return lines
}

func joined[T any](separator string, show func(T) string) func([]T) string {
	return func(all []T) string {
		var lines []string
		for _, one := range all {
			lines = append(lines, show(one))
		}
		return strings.Join(lines, separator)
	}
}

func plain[T any](value T) string { return fmt.Sprint(value) }

func ok(wit.Unit) string { return "ok" }

func optional[T any](value wit.Option[T]) string {
	if value.IsNone() {
		return "none"
	}
	return fmt.Sprint(value.Some())
}

func number(text string) uint32 {
	value, _ := strconv.ParseUint(text, 10, 32)
	return uint32(value)
}

func large(text string) uint64 {
	value, _ := strconv.ParseUint(text, 10, 64)
	return value
}

func signed(text string) int64 {
	value, _ := strconv.ParseInt(text, 10, 64)
	return value
}

func sessionLines() []string {
	local, hello, tls, identity := session.Local(), "none", "none", "none"
	if given := session.Hello(); given.IsSome() {
		hello = []string{"helo", "ehlo", "lhlo"}[given.Some().Greeting] + " " + given.Some().Name
	}
	if given := session.Tls(); given.IsSome() {
		tls = given.Some().Version
	}
	if given := session.Identity(); given.IsSome() {
		identity = given.Some().Name + " " + given.Some().Mechanism
	}
	return []string{
		fmt.Sprintf("id=%t", session.Id() != ""),
		"listener=" + session.Listener(),
		"remote=" + session.Remote().Address,
		fmt.Sprintf("local=%s:%d", local.Address, local.Port),
		"hello=" + hello,
		"tls=" + tls,
		"identity=" + identity,
		fmt.Sprintf("early-talker=%t", session.EarlyTalker()),
		fmt.Sprintf("illegal-pipelining=%d", session.IllegalPipelining()),
	}
}

var (
	hooks = strings.Fields("connect hello starttls authenticate mail recipient data chunk message deliver verify expand command observe")
	kinds = strings.Fields("accepted rejected deferred disconnected discarded quarantined edited failed")
)

func transactionLines() []string {
	path := func(path wit.Option[postgate.Mailbox]) string {
		if path.IsNone() {
			return "<>"
		}
		return address(path.Some())
	}
	recipient := func(one transaction.AcceptedRecipient) string { return address(one.Mailbox) + parameters(one.Parameters) }
	verdict := func(one transaction.EarlierVerdict) string {
		recipient := "none"
		if one.Recipient.IsSome() {
			recipient = address(one.Recipient.Some())
		}
		return strings.Join([]string{hooks[one.Hook], kinds[one.Kind], recipient, one.Plugin}, " ")
	}
	return []string{
		"id=" + shown(transaction.Id(), func(id string) string { return plain(id != "") }, contextError),
		"reverse-path=" + shown(transaction.ReversePath(), path, contextError),
		"parameters=" + shown(transaction.Parameters(), parameters, contextError),
		"recipients=" + shown(transaction.Recipients(), joined(", ", recipient), contextError),
		"declared-size=" + shown(transaction.DeclaredSize(), optional[uint64], contextError),
		"verdicts=" + shown(transaction.Verdicts(), joined(", ", verdict), contextError),
	}
}

func mailDataLines() []string {
	name := func(field maildata.HeaderField) string { return field.Name }
	return []string{
		"size=" + shown(maildata.Size(), plain[uint64], contextError),
		"body-offset=" + shown(maildata.BodyOffset(), plain[uint64], contextError),
		"header=" + shown(maildata.Header(), joined(",", name), contextError),
	}
}

// How many octets there are, and the sum of every 64th.
func sum() string {
	var offset, total uint64
	for {
		window := maildata.Read(offset, 65536)
		if window.IsErr() {
			return "not-now"
		}
		octets := window.Ok()
		if len(octets) == 0 {
			return fmt.Sprintf("%d %d", offset, total)
		}
		for n := 0; n < len(octets); n += 64 {
			total += uint64(octets[n])
		}
		offset += uint64(len(octets))
	}
}

func part(one parts.Part) string {
	return fmt.Sprint(one.Number, " ", optional(one.Parent), " ", one.MediaType, " ", optional(one.Charset), " ",
		optional(one.FileName), " ", one.Attachment, " ", optional(one.ContentId), " ", one.Size)
}

func values(integer int64) string {
	answer := sqlite.Query("SELECT ?1, ?2, ?3, ?4, ?5", []sqlite.Value{
		sqlite.MakeValueNull(), sqlite.MakeValueInteger(integer), sqlite.MakeValueReal(0.5),
		sqlite.MakeValueText("Grüße, 世界"), sqlite.MakeValueBlob([]byte{0, 255}),
	})
	if answer.IsErr() {
		return sqliteError(answer.Err())
	}
	value := func(value sqlite.Value) string {
		switch value.Tag() {
		case sqlite.ValueInteger:
			return plain(value.Integer())
		case sqlite.ValueReal:
			return plain(value.Real())
		case sqlite.ValueText:
			return value.Text()
		case sqlite.ValueBlob:
			return hex.EncodeToString(value.Blob())
		}
		return "null"
	}
	table := answer.Ok()
	return fmt.Sprint(len(table.Columns), " ", joined(" / ", joined(" ", value))(table.Rows))
}

func edit(word, rest, first, behind, second, third string) string {
	value, last := []byte(behind), []byte(third)
	switch word {
	case "prepend":
		return shown(editor.PrependField(first, value), ok, editError)
	case "append":
		return shown(editor.AppendField(first, value), ok, editError)
	case "insert":
		return shown(editor.InsertField(number(first), second, last), ok, editError)
	case "replace":
		return shown(editor.ReplaceField(first, number(second), last), plain[bool], editError)
	case "remove":
		return shown(editor.RemoveFields(rest), plain[uint32], editError)
	case "body":
		return shown(editor.ReplaceBody([]byte(rest+"\r\n")), ok, editError)
	case "replace-part":
		return shown(editor.ReplacePart(number(first), second, last), plain[bool], editError)
	case "remove-part":
		return shown(editor.RemovePart(number(rest)), plain[bool], editError)
	case "reverse-path":
		path := postgate.None[postgate.Mailbox]()
		if rest != "<>" {
			path = postgate.Some(mailbox(rest))
		}
		return shown(editor.SetReversePath(path), ok, editError)
	case "add":
		return shown(editor.AddRecipient(mailbox(rest)), ok, editError)
	case "drop":
		return shown(editor.RemoveRecipient(mailbox(rest)), plain[bool], editError)
	}
	return "unknown"
}

func logged(level, message string) string {
	map[string]func(string, ...string){
		"debug": postgate.Debug, "info": postgate.Info, "warn": postgate.Warn, "error": postgate.Error,
	}[level](message)
	return "ok"
}

func ask(question string) []string {
	word, rest, _ := strings.Cut(question, " ")
	first, behind, _ := strings.Cut(rest, " ")
	second, third, _ := strings.Cut(behind, " ")
	text := func(octets []byte) string { return string(octets) }
	never := postgate.None[uint32]()
	switch word {
	case "echo":
		return []string{rest}
	case "nothing":
		return nil
	case "lines":
		return numbered("line %d", int(number(rest)))
	case "session":
		return sessionLines()
	case "transaction":
		return transactionLines()
	case "mail-data":
		return mailDataLines()
	case "field":
		return listed(maildata.Field(rest), text, contextError)
	case "read":
		return []string{shown(maildata.Read(large(first), number(second)), hex.EncodeToString, contextError)}
	case "sum":
		return []string{sum()}
	case "parts":
		return listed(parts.All(), part, partError)
	case "content":
		return []string{shown(parts.Content(number(first), large(second), number(third)), hex.EncodeToString, partError)}
	case "text":
		return []string{shown(parts.Text(number(rest)), plain[string], partError)}
	case "addresses":
		one := func(one parts.NamedAddress) string { return optional(one.Name) + " <" + one.Address + ">" }
		return listed(parts.Addresses(rest), one, contextError)
	case "note":
		return []string{optional(session.Note(rest))}
	case "set":
		return []string{shown(session.SetNote(first, behind), ok, noteError)}
	case "fill":
		return []string{shown(session.SetNote(first, strings.Repeat("x", int(number(behind)))), ok, noteError)}
	case "config":
		return []string{optional(config.Value(strings.Split(rest, " ")))}
	case "table":
		return []string{config.Table()}
	case "log":
		return []string{logged(first, behind)}
	case "put":
		return []string{shown(keyvalue.Set(first, []byte(behind), never), ok, serviceError)}
	case "get":
		value := func(value wit.Option[[]byte]) string {
			if value.IsNone() {
				return "none"
			}
			return hex.EncodeToString(value.Some())
		}
		return []string{shown(keyvalue.Get(rest), value, serviceError)}
	case "increment":
		return []string{shown(keyvalue.Increment(first, signed(behind), never), plain[int64], serviceError)}
	case "values":
		return []string{values(signed(rest))}
	case "sql":
		rows := func(table sqlite.Table) string { return plain(len(table.Rows)) }
		return []string{shown(sqlite.Query(rest, nil), rows, sqliteError)}
	}
	return []string{edit(word, rest, first, behind, second, third)}
}
