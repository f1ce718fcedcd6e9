// @@NAME@@: a plugin of Postgate in Go.
//
// Each function below is a hook: a moment of the SMTP dialogue that the gateway asks about. What they are called with and what they may
// answer is in bindings/postgate, the calls of the host are in the packages beside it; `postgate build` makes them.
package main

import (
//@hook message
	"bytes"

//@end
	"@@NAME@@/bindings/postgate"
//@hook authenticate
	authenticate "@@NAME@@/bindings/postgate_mail_authenticate"
//@end
//@hook message
	editor "@@NAME@@/bindings/postgate_mail_editor"
//@end
//@hook expand
	expand "@@NAME@@/bindings/postgate_mail_expand"
//@end
//@hook message
	maildata "@@NAME@@/bindings/postgate_mail_mail_data"
//@end
//@hook observe
	observe "@@NAME@@/bindings/postgate_mail_observe"
//@end
//@hook connect hello starttls
	session "@@NAME@@/bindings/postgate_mail_session"
//@end
//@hook data
	transaction "@@NAME@@/bindings/postgate_mail_transaction"
//@end
//@hook verify
	verify "@@NAME@@/bindings/postgate_mail_verify"
//@end
)

// Which function takes which hook. Each hook that wit/world.wit exports must be taken.
func init() {
//@hook setup
	postgate.OnSetup(onSetup)
//@end
//@hook connect
	postgate.OnConnect(onConnect)
//@end
//@hook hello
	postgate.OnHello(onHello)
//@end
//@hook starttls
	postgate.OnStarttls(onStarttls)
//@end
//@hook authenticate
	postgate.OnAuthenticate(onAuthenticate)
//@end
//@hook mail
	postgate.OnMail(onMail)
//@end
//@hook recipient
	postgate.OnRecipient(onRecipient)
//@end
//@hook data
	postgate.OnData(onData)
//@end
//@hook chunk
	postgate.OnChunk(onChunk)
//@end
//@hook message
	postgate.OnMessage(onMessage)
//@end
//@hook deliver
	postgate.OnDeliver(onDeliver)
//@end
//@hook verify
	postgate.OnVerify(onVerify)
//@end
//@hook expand
	postgate.OnExpand(onExpand)
//@end
//@hook command
	postgate.OnCommand(onCommand)
//@end
//@hook observe
	postgate.OnEvent(onEvent)
//@end
}
//@hook setup

// Once, when the plugin has been loaded: is its configuration right? Answers what is wrong; nothing is well.
func onSetup() []postgate.SettingProblem {
	if _, ok := postgate.Setting("domain"); ok {
		return nil
	}
	return []postgate.SettingProblem{{
		Path:    []string{"domain"},
		Message: `set the domain whose mail is taken, such as "example.org"`,
	}}
}
//@end
//@hook connect

// A client has connected, before the banner. Next lets the session begin.
func onConnect() postgate.Verdict {
	if address := session.Remote().Address; address == "192.0.2.66" {
		return postgate.Reject(554, "5.7.1", "no mail from "+address)
	}
	return postgate.Next()
}
//@end
//@hook hello

// HELO, EHLO or LHLO. Answers a verdict, and further lines of the reply to EHLO.
func onHello() postgate.HelloAnswer {
	answer := postgate.HelloAnswer{Verdict: postgate.Next(), Keywords: []string{"XSAMPLE"}}
	if hello := session.Hello(); hello.IsSome() && hello.Some().Name == "localhost" {
		answer.Verdict = postgate.Reject(550, "5.7.1", "you are not localhost")
	}
	return answer
}
//@end
//@hook starttls

// STARTTLS, before the handshake. Next lets it begin.
func onStarttls() postgate.Verdict {
	postgate.Info("handshake begins", "client", session.Remote().Address)
	return postgate.Next()
}
//@end
//@hook authenticate

// AUTH, when the client's credentials are known. Answers who it is; nobody's opinion is a failure.
func onAuthenticate(mechanism string, credentials postgate.Credentials) postgate.Authentication {
	if credentials.Tag() != authenticate.CredentialsPassword {
		return authenticate.MakeAuthenticationNext()
	}
	given := credentials.Password()
	switch {
	case given.User != "alice":
		return authenticate.MakeAuthenticationNext()
	case given.Password == "wonderland":
		return authenticate.MakeAuthenticationIdentity("alice")
	default:
		return authenticate.MakeAuthenticationFailure()
	}
}
//@end
//@hook mail

// MAIL FROM: a mail transaction begins. There is no reverse-path for `<>`. Next lets it begin.
func onMail(reversePath postgate.Option[postgate.Mailbox], parameters []postgate.Parameter) postgate.Verdict {
	if reversePath.IsSome() && reversePath.Some().Domain == "spam.example" {
		return postgate.Reject(550, "5.7.1", "no mail from spam.example")
	}
	return postgate.Next()
}
//@end
//@hook recipient

// RCPT TO, once for each recipient. A recipient that no plugin accepts is refused.
func onRecipient(recipient postgate.Mailbox, parameters []postgate.Parameter) postgate.Verdict {
	if domain, ok := postgate.Setting("domain"); !ok || recipient.Domain != domain {
		return postgate.Next()
	}
	switch recipient.LocalPart {
	case "nobody":
		return postgate.Reject(550, "5.1.1", "no such user")
	case "later":
		return postgate.Defer(450, "4.2.1", "come again later")
	default:
		return postgate.Accept()
	}
}
//@end
//@hook data

// DATA or the first BDAT, before any mail data. Next lets the client go on.
func onData() postgate.Verdict {
	reversePath, recipients := transaction.ReversePath(), transaction.Recipients()
	if reversePath.IsOk() && reversePath.Ok().IsNone() && recipients.IsOk() && len(recipients.Ok()) > 1 {
		return postgate.Reject(550, "5.7.1", "a notification has one recipient")
	}
	return postgate.Next()
}
//@end
//@hook chunk

// Each BDAT chunk, before its octets. Next lets it be read.
func onChunk(size uint64, last bool) postgate.Verdict {
	if size > 1_000_000 {
		return postgate.Reject(552, "5.3.4", "send smaller chunks")
	}
	return postgate.Next()
}
//@end
//@hook message

// The message has come: it can be read and changed. NextMessage lets it go to delivery.
func onMessage() postgate.MessageVerdict {
	if subjects := maildata.Field("Subject"); subjects.IsOk() {
		for _, subject := range subjects.Ok() {
			if bytes.Contains(subject, []byte("casino")) {
				return postgate.RejectMessage(550, "5.7.1", "no casinos")
			}
		}
	}
	if editor.AppendField("X-Checked-By", []byte("@@NAME@@")).IsErr() {
		return postgate.DeferMessage(451, "4.3.0", "try again later")
	}
	return postgate.NextMessage()
}
//@end
//@hook deliver

// Hands the message over, after onMessage. Answers an outcome for each recipient, in the same order; a recipient that no plugin takes is
// deferred.
func onDeliver(recipients []postgate.Mailbox) []postgate.Outcome {
	var outcomes []postgate.Outcome
	for _, recipient := range recipients {
		if recipient.LocalPart == "full" {
			outcomes = append(outcomes, postgate.Deferred(452, "4.2.2", "mailbox full"))
			continue
		}
		postgate.Info("delivered", "recipient", postgate.Address(recipient))
		outcomes = append(outcomes, postgate.Delivered())
	}
	return outcomes
}
//@end
//@hook verify expand

func entry(fullName, localPart string) postgate.DirectoryEntry {
	return postgate.DirectoryEntry{
		FullName: postgate.Some(fullName),
		Mailbox:  postgate.Mailbox{LocalPart: localPart, Domain: "example.org"},
	}
}
//@end
//@hook verify

// VRFY: is there such a user? With next the client gets 252.
func onVerify(argument string) postgate.Verification {
	if argument == "alice" {
		return verify.MakeVerificationFound(entry("Alice", "alice"))
	}
	return verify.MakeVerificationNext()
}
//@end
//@hook expand

// EXPN: who is on that list? With next the client gets 502.
func onExpand(argument string) postgate.Expansion {
	if argument == "staff" {
		return expand.MakeExpansionMembers([]postgate.DirectoryEntry{entry("Alice", "alice"), entry("Bob", "bob")})
	}
	return expand.MakeExpansionNext()
}
//@end
//@hook command

// A verb that the gateway does not know, in upper case. With None the client gets 500.
func onCommand(verb, argument string) postgate.Option[postgate.Reply] {
	if verb == "XSAMPLE" {
		return postgate.Some(postgate.NewReply(250, "2.0.0", "you said "+argument))
	}
	return postgate.None[postgate.Reply]()
}
//@end
//@hook observe

var (
	fates = []string{"delivered", "failed", "deferred", "discarded", "quarantined"}
	ends  = []string{"quit", "lost", "timeout", "refused", "shutdown"}
)

// Tells what has happened, and asks nothing.
func onEvent(event postgate.Event) {
	switch event.Tag() {
	case observe.EventTransactionReset:
		postgate.Info("transaction reset")
	case observe.EventTransactionOutcome:
		var facts []string
		for _, fate := range event.TransactionOutcome() {
			facts = append(facts, postgate.Address(fate.Recipient), fates[fate.Fate])
		}
		postgate.Info("transaction ended", facts...)
	case observe.EventSessionEnd:
		postgate.Info("session ended", "end", ends[event.SessionEnd()])
	}
}
//@end

func main() {}
