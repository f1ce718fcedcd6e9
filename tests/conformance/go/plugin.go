// The plugin of the conformance kit in Go: what it does stands in ../plugin.md. Its questions are in question.go.
package main

import (
	"fmt"
	"os"
	"strings"

	"conformance/bindings/postgate"
	authenticate "conformance/bindings/postgate_mail_authenticate"
	expand "conformance/bindings/postgate_mail_expand"
	maildata "conformance/bindings/postgate_mail_mail_data"
	message "conformance/bindings/postgate_mail_message"
	observe "conformance/bindings/postgate_mail_observe"
	session "conformance/bindings/postgate_mail_session"
	types "conformance/bindings/postgate_mail_types"
	verify "conformance/bindings/postgate_mail_verify"
)

func init() {
	postgate.OnSetup(onSetup)
	postgate.OnConnect(func() postgate.Verdict { return verdictTold("connect") })
	postgate.OnHello(onHello)
	postgate.OnStarttls(func() postgate.Verdict { return verdictTold("starttls") })
	postgate.OnAuthenticate(onAuthenticate)
	postgate.OnMail(onMail)
	postgate.OnRecipient(onRecipient)
	postgate.OnData(func() postgate.Verdict { return verdictTold("data") })
	postgate.OnChunk(onChunk)
	postgate.OnMessage(onMessage)
	postgate.OnDeliver(onDeliver)
	postgate.OnVerify(onVerify)
	postgate.OnExpand(onExpand)
	postgate.OnCommand(onCommand)
	postgate.OnEvent(onEvent)
}

func main() {}

// A note, or else a setting, of this name; empty where there is neither.
func told(name string) string {
	if note := session.Note(name); note.IsSome() {
		return note.Some()
	}
	setting, _ := postgate.Setting(name)
	return setting
}

func answered(question string) {
	postgate.Info("answered", "question", question, "answer", strings.Join(ask(question), " / "))
}

func asked(hook, argument string) {
	postgate.Info("asked", "hook", hook, "argument", argument)
	if question := told("ask-" + hook); question != "" {
		answered(question)
	}
}

//go:noinline
func toldToTrap() {
	panic("told to trap")
}

func deed(word string) {
	switch word {
	case "trap":
		toldToTrap()
	case "loop":
		for {
		}
	case "grow":
		var kept [][]byte
		for {
			piece := make([]byte, 1<<20)
			for i := range piece {
				piece[i] = 1
			}
			kept = append(kept, piece)
		}
	case "print":
		fmt.Println("to standard output")
		fmt.Fprintln(os.Stderr, "to standard error")
	}
}

// Words that become replies, with the kind of verdict.
func say(word string) (kind string, reply postgate.Reply) {
	switch word {
	case "ok":
		return "reject", postgate.NewReply(250, "2.0.0", "at your service")
	case "reject":
		return "reject", postgate.NewReply(550, "5.1.1", "no such user")
	case "general":
		return "reject", postgate.NewReply(550, "", "no such user")
	case "silent":
		return "reject", postgate.NewReply(550, "")
	case "lines":
		return "reject", postgate.NewReply(550, "5.1.1", "first", "second", "third")
	case "many":
		return "reject", postgate.NewReply(550, "5.1.1", numbered("line %d", 16)...)
	case "edges":
		return "reject", postgate.NewReply(559, "5.999.0", "edges")
	case "unicode":
		return "reject", postgate.NewReply(550, "5.1.1", "Grüße, 世界")
	case "defer":
		return "defer", postgate.NewReply(450, "4.2.1", "come again later")
	case "disconnect":
		return "disconnect", postgate.NewReply(554, "5.7.1", "go away")
	}
	return "", postgate.Reply{}
}

func verdict(word string, otherwise postgate.Verdict) postgate.Verdict {
	deed(word)
	if word == "accept" {
		return postgate.Accept()
	}
	switch kind, reply := say(word); kind {
	case "reject":
		return types.MakeVerdictReject(reply)
	case "defer":
		return types.MakeVerdictDefer(reply)
	case "disconnect":
		return types.MakeVerdictDisconnect(reply)
	}
	return otherwise
}

// Of a hook without an argument.
func verdictTold(hook string) postgate.Verdict {
	asked(hook, "")
	return verdict(told(hook), postgate.Next())
}

func onSetup() []postgate.SettingProblem {
	if setting, _ := postgate.Setting("setup"); setting != "wrong" {
		return nil
	}
	return []postgate.SettingProblem{
		{Path: []string{"setup"}, Message: "must not be wrong"},
		{Path: nil, Message: "nor the table: Grüße"},
	}
}

func onHello() postgate.HelloAnswer {
	name := ""
	if hello := session.Hello(); hello.IsSome() {
		name = hello.Some().Name
	}
	asked("hello", name)
	word, _, _ := strings.Cut(name, ".")
	keywords := []string{"XASK"}
	switch word {
	case "none":
		keywords = nil
	case "eight":
		keywords = numbered("XKEY%d of eight", 8)
	}
	return postgate.HelloAnswer{Verdict: verdict(word, postgate.Next()), Keywords: keywords}
}

func octets(octet byte) []byte {
	return []byte(strings.Repeat(string([]byte{octet}), 32))
}

func withPassword(user, password string) postgate.Authentication {
	deed(user)
	switch {
	case user == "alice" && password == "wonderland", user == "zoë":
		return authenticate.MakeAuthenticationIdentity(user)
	case user == "alice":
		return authenticate.MakeAuthenticationFailure()
	case user == "later":
		return authenticate.MakeAuthenticationTemporaryFailure()
	}
	return authenticate.MakeAuthenticationNext()
}

func onAuthenticate(mechanism string, credentials postgate.Credentials) postgate.Authentication {
	switch credentials.Tag() {
	case authenticate.CredentialsPassword:
		given := credentials.Password()
		asked("authenticate", fmt.Sprintf("%s password %s %s", mechanism, given.User, given.Password))
		return withPassword(given.User, given.Password)
	case authenticate.CredentialsToken:
		given := credentials.Token()
		asked("authenticate", fmt.Sprintf("%s token %s %s", mechanism, given.User, given.Token))
		if given.Token == "wonderland" {
			return authenticate.MakeAuthenticationIdentity(given.User)
		}
	case authenticate.CredentialsCertificate:
		given := credentials.Certificate()
		asked("authenticate", fmt.Sprintf("%s certificate %s %s", mechanism, given.User, strings.Join(given.Names, ",")))
		if len(given.Names) > 0 {
			return authenticate.MakeAuthenticationIdentity(given.Names[0])
		}
	case authenticate.CredentialsScram:
		given := credentials.Scram()
		asked("authenticate", fmt.Sprintf("%s scram %s %s", mechanism, given.User, given.Hash))
		switch given.User {
		case "alice":
			return authenticate.MakeAuthenticationKeys(authenticate.ScramKeys{
				Identity: "alice", Salt: []byte("salt"), Iterations: 4096, StoredKey: octets(0), ServerKey: octets(255),
			})
		case "later":
			return authenticate.MakeAuthenticationTemporaryFailure()
		}
	}
	return authenticate.MakeAuthenticationFailure()
}

func onMail(reversePath postgate.Option[postgate.Mailbox], given []postgate.Parameter) postgate.Verdict {
	path, word := "<>", ""
	if reversePath.IsSome() {
		path, word = address(reversePath.Some()), reversePath.Some().LocalPart
	}
	asked("mail", path+parameters(given))
	return verdict(word, postgate.Next())
}

func onRecipient(recipient postgate.Mailbox, given []postgate.Parameter) postgate.Verdict {
	asked("recipient", address(recipient)+parameters(given))
	if recipient.LocalPart == "nobody" {
		return postgate.Next()
	}
	return verdict(recipient.LocalPart, postgate.Accept())
}

func onChunk(size uint64, last bool) postgate.Verdict {
	asked("chunk", fmt.Sprintf("%d %t", size, last))
	return verdict(told("chunk"), postgate.Next())
}

func onMessage() postgate.MessageVerdict {
	asked("message", "")
	for _, question := range maildata.Field("X-Do").Ok() {
		answered(string(question))
	}
	word := told("message")
	if words := maildata.Field("X-Verdict").Ok(); len(words) > 0 {
		word = string(words[0])
	}
	deed(word)
	switch word {
	case "accept":
		return postgate.AcceptMessage()
	case "discard":
		return postgate.DiscardMessage("not wanted")
	case "quarantine":
		return postgate.QuarantineMessage("suspicious")
	}
	switch kind, reply := say(word); kind {
	case "reject":
		return message.MakeMessageVerdictReject(reply)
	case "defer":
		return message.MakeMessageVerdictDefer(reply)
	case "disconnect":
		return message.MakeMessageVerdictDisconnect(reply)
	}
	return postgate.NextMessage()
}

func onDeliver(recipients []postgate.Mailbox) []postgate.Outcome {
	var names []string
	var outcomes []postgate.Outcome
	for _, recipient := range recipients {
		names = append(names, address(recipient))
		outcome := postgate.Delivered()
		switch recipient.LocalPart {
		case "next":
			outcome = postgate.NotMine()
		case "never":
			outcome = postgate.Failed(550, "5.1.1", "no such user")
		case "later":
			outcome = postgate.Deferred(450, "4.2.1", "come again later")
		}
		outcomes = append(outcomes, outcome)
	}
	asked("deliver", strings.Join(names, " "))
	deed(told("deliver"))
	return outcomes
}

func entry(fullName postgate.Option[string], localPart string) postgate.DirectoryEntry {
	return postgate.DirectoryEntry{FullName: fullName, Mailbox: postgate.Mailbox{LocalPart: localPart, Domain: "example.org"}}
}

func onVerify(argument string) postgate.Verification {
	asked("verify", argument)
	deed(argument)
	switch argument {
	case "alice":
		return verify.MakeVerificationFound(entry(postgate.Some("Alice"), "alice"))
	case "bob":
		return verify.MakeVerificationFound(entry(postgate.None[string](), "bob"))
	case "zoe":
		return verify.MakeVerificationFound(entry(postgate.Some("Zoë"), "zoë"))
	case "never":
		return verify.MakeVerificationReply(postgate.NewReply(550, "5.1.1", "no such user"))
	}
	return verify.MakeVerificationNext()
}

func onExpand(argument string) postgate.Expansion {
	asked("expand", argument)
	deed(argument)
	var members []postgate.DirectoryEntry
	switch argument {
	case "staff":
		members = []postgate.DirectoryEntry{entry(postgate.Some("Alice"), "alice"), entry(postgate.None[string](), "bob")}
	case "hundred":
		for _, name := range numbered("user%d", 100) {
			members = append(members, entry(postgate.None[string](), name))
		}
	case "empty":
	case "never":
		return expand.MakeExpansionReply(postgate.NewReply(550, "5.1.1", "no such user"))
	default:
		return expand.MakeExpansionNext()
	}
	return expand.MakeExpansionMembers(members)
}

func onCommand(verb, argument string) postgate.Option[postgate.Reply] {
	asked("command", verb+" "+argument)
	switch verb {
	case "XASK":
		return postgate.Some(postgate.NewReply(250, "2.0.0", ask(argument)...))
	case "XSAY":
		if kind, reply := say(argument); kind != "" {
			return postgate.Some(reply)
		}
	}
	return postgate.None[postgate.Reply]()
}

var (
	fates = []string{"delivered", "failed", "deferred", "discarded", "quarantined"}
	ends  = []string{"quit", "lost", "timeout", "refused", "shutdown"}
)

func onEvent(event postgate.Event) {
	argument := "transaction-reset"
	switch event.Tag() {
	case observe.EventTransactionOutcome:
		argument = "transaction-outcome"
		for _, one := range event.TransactionOutcome() {
			argument += fmt.Sprintf(" %s=%s/%s", address(one.Recipient), fates[one.Fate], one.Plugin.SomeOr("none"))
		}
	case observe.EventSessionEnd:
		argument = "session-end " + ends[event.SessionEnd()]
	}
	asked("observe", argument)
	deed(told("observe"))
}
