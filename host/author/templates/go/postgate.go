// Package postgate is a thin layer over the bindings of the contract: the hooks to be taken, and short words for what they answer. Made by
// `postgate build`. The calls of the host are in the packages beside it, postgate_mail_session and so on.
package postgate

import (
	"strconv"
	"strings"

//@hook authenticate
	authenticate "@@NAME@@/bindings/postgate_mail_authenticate"
//@end
//@hook deliver
	deliver "@@NAME@@/bindings/postgate_mail_deliver"
//@end
//@hook expand
	expand "@@NAME@@/bindings/postgate_mail_expand"
//@end
//@hook hello
	hello "@@NAME@@/bindings/postgate_mail_hello"
//@end
//@hook message
	message "@@NAME@@/bindings/postgate_mail_message"
//@end
//@hook observe
	observe "@@NAME@@/bindings/postgate_mail_observe"
//@end
//@hook setup
	setup "@@NAME@@/bindings/postgate_mail_setup"
//@end
	types "@@NAME@@/bindings/postgate_mail_types"
//@hook verify
	verify "@@NAME@@/bindings/postgate_mail_verify"
//@end
	// The exports of the component.
	_ "@@NAME@@/bindings/wit_exports"
//@hook authenticate
	onAuthenticate "@@NAME@@/bindings/export_postgate_mail_authenticate"
//@end
//@hook chunk
	onChunk "@@NAME@@/bindings/export_postgate_mail_chunk"
//@end
//@hook command
	onCommand "@@NAME@@/bindings/export_postgate_mail_command"
//@end
//@hook connect
	onConnect "@@NAME@@/bindings/export_postgate_mail_connect"
//@end
//@hook data
	onData "@@NAME@@/bindings/export_postgate_mail_data"
//@end
//@hook deliver
	onDeliver "@@NAME@@/bindings/export_postgate_mail_deliver"
//@end
//@hook expand
	onExpand "@@NAME@@/bindings/export_postgate_mail_expand"
//@end
//@hook hello
	onHello "@@NAME@@/bindings/export_postgate_mail_hello"
//@end
//@hook mail
	onMail "@@NAME@@/bindings/export_postgate_mail_mail"
//@end
//@hook message
	onMessage "@@NAME@@/bindings/export_postgate_mail_message"
//@end
//@hook observe
	onObserve "@@NAME@@/bindings/export_postgate_mail_observe"
//@end
//@hook recipient
	onRecipient "@@NAME@@/bindings/export_postgate_mail_recipient"
//@end
//@hook setup
	onSetup "@@NAME@@/bindings/export_postgate_mail_setup"
//@end
//@hook starttls
	onStarttls "@@NAME@@/bindings/export_postgate_mail_starttls"
//@end
//@hook verify
	onVerify "@@NAME@@/bindings/export_postgate_mail_verify"
//@end

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// What hooks are given and answer.
type (
	Mailbox        = types.Mailbox
	Parameter      = types.Parameter
	Reply          = types.Reply
	Verdict        = types.Verdict
	DirectoryEntry = types.DirectoryEntry
//@hook setup
	SettingProblem = setup.SettingProblem
//@end
//@hook hello
	HelloAnswer = hello.HelloAnswer
//@end
//@hook authenticate
	Credentials    = authenticate.Credentials
	Authentication = authenticate.Authentication
//@end
//@hook message
	MessageVerdict = message.MessageVerdict
//@end
//@hook deliver
	Outcome = deliver.Outcome
//@end
//@hook verify
	Verification = verify.Verification
//@end
//@hook expand
	Expansion = expand.Expansion
//@end
//@hook observe
	Event = observe.Event
//@end
)

// Option is a value or none: IsSome, Some, SomeOr.
type Option[T any] = wit.Option[T]

// Some is a value.
func Some[T any](value T) Option[T] { return wit.Some(value) }

// None is no value.
func None[T any]() Option[T] { return wit.None[T]() }
//@hook setup

// OnSetup takes the hook: the plugin has been loaded, is its configuration right?
func OnSetup(hook func() []SettingProblem) { onSetup.OnSetup = hook }
//@end
//@hook connect

// OnConnect takes the hook: a client has connected.
func OnConnect(hook func() Verdict) { onConnect.OnConnect = hook }
//@end
//@hook hello

// OnHello takes the hook: HELO, EHLO or LHLO.
func OnHello(hook func() HelloAnswer) { onHello.OnHello = hook }
//@end
//@hook starttls

// OnStarttls takes the hook: STARTTLS, before the handshake.
func OnStarttls(hook func() Verdict) { onStarttls.OnStarttls = hook }
//@end
//@hook authenticate

// OnAuthenticate takes the hook: AUTH, when the client's credentials are known.
func OnAuthenticate(hook func(mechanism string, credentials Credentials) Authentication) {
	onAuthenticate.OnAuthenticate = hook
}
//@end
//@hook mail

// OnMail takes the hook: MAIL FROM. There is no reverse-path for `<>`.
func OnMail(hook func(reversePath Option[Mailbox], parameters []Parameter) Verdict) { onMail.OnMail = hook }
//@end
//@hook recipient

// OnRecipient takes the hook: RCPT TO.
func OnRecipient(hook func(recipient Mailbox, parameters []Parameter) Verdict) {
	onRecipient.OnRecipient = hook
}
//@end
//@hook data

// OnData takes the hook: DATA or the first BDAT.
func OnData(hook func() Verdict) { onData.OnData = hook }
//@end
//@hook chunk

// OnChunk takes the hook: each BDAT chunk.
func OnChunk(hook func(size uint64, last bool) Verdict) { onChunk.OnChunk = hook }
//@end
//@hook message

// OnMessage takes the hook: the message has come.
func OnMessage(hook func() MessageVerdict) { onMessage.OnMessage = hook }
//@end
//@hook deliver

// OnDeliver takes the hook: hands the message over.
func OnDeliver(hook func(recipients []Mailbox) []Outcome) { onDeliver.OnDeliver = hook }
//@end
//@hook verify

// OnVerify takes the hook: VRFY.
func OnVerify(hook func(argument string) Verification) { onVerify.OnVerify = hook }
//@end
//@hook expand

// OnExpand takes the hook: EXPN.
func OnExpand(hook func(argument string) Expansion) { onExpand.OnExpand = hook }
//@end
//@hook command

// OnCommand takes the hook: a verb that the gateway does not know.
func OnCommand(hook func(verb, argument string) Option[Reply]) { onCommand.OnCommand = hook }
//@end
//@hook observe

// OnEvent takes the hook `observe`: what has happened.
func OnEvent(hook func(event Event)) { onObserve.OnEvent = hook }
//@end

// Address is `local@domain`.
func Address(mailbox Mailbox) string { return mailbox.LocalPart + "@" + mailbox.Domain }

// NewReply is a reply to the client. The enhanced status code is such as "5.1.1", or "" for the general one.
func NewReply(code uint16, enhanced string, lines ...string) Reply {
	return Reply{Code: code, Enhanced: enhancedStatus(enhanced), Text: lines}
}

func enhancedStatus(text string) Option[types.EnhancedStatus] {
	var numbers [3]uint16
	parts := strings.Split(text, ".")
	if len(parts) != len(numbers) {
		return None[types.EnhancedStatus]()
	}
	for i, part := range parts {
		number, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return None[types.EnhancedStatus]()
		}
		numbers[i] = uint16(number)
	}
	return Some(types.EnhancedStatus{Class: uint8(numbers[0]), Subject: numbers[1], Detail: numbers[2]})
}

// Next is no opinion: the next plugin of the chain is asked.
func Next() Verdict { return types.MakeVerdictNext() }

// Accept is yes, and the rest of the chain is not asked.
func Accept() Verdict { return types.MakeVerdictAccept() }

// Reject is no, for good.
func Reject(code uint16, enhanced string, lines ...string) Verdict {
	return types.MakeVerdictReject(NewReply(code, enhanced, lines...))
}

// Defer is not now.
func Defer(code uint16, enhanced string, lines ...string) Verdict {
	return types.MakeVerdictDefer(NewReply(code, enhanced, lines...))
}

// Disconnect is as Reject, and the host closes the connection behind the reply.
func Disconnect(code uint16, enhanced string, lines ...string) Verdict {
	return types.MakeVerdictDisconnect(NewReply(code, enhanced, lines...))
}
//@hook message

// NextMessage is no opinion, perhaps after edits: the next plugin is asked.
func NextMessage() MessageVerdict { return message.MakeMessageVerdictNext() }

// AcceptMessage delivers it; the rest of the chain is not asked.
func AcceptMessage() MessageVerdict { return message.MakeMessageVerdictAccept() }

// RejectMessage is no, for good.
func RejectMessage(code uint16, enhanced string, lines ...string) MessageVerdict {
	return message.MakeMessageVerdictReject(NewReply(code, enhanced, lines...))
}

// DeferMessage is not now.
func DeferMessage(code uint16, enhanced string, lines ...string) MessageVerdict {
	return message.MakeMessageVerdictDefer(NewReply(code, enhanced, lines...))
}

// DiscardMessage tells the client 250 and throws the message away; the reason is logged.
func DiscardMessage(reason string) MessageVerdict { return message.MakeMessageVerdictDiscard(reason) }

// QuarantineMessage tells the client 250 and keeps the message for a person, under this label.
func QuarantineMessage(label string) MessageVerdict { return message.MakeMessageVerdictQuarantine(label) }
//@end
//@hook deliver

// Delivered is an outcome: delivered, or as durable as if it were.
func Delivered() Outcome { return deliver.MakeOutcomeDelivered() }

// NotMine is an outcome: the next plugin that delivers is asked about this recipient.
func NotMine() Outcome { return deliver.MakeOutcomeNext() }

// Failed is an outcome: it can't be delivered, ever.
func Failed(code uint16, enhanced string, lines ...string) Outcome {
	return deliver.MakeOutcomeFailed(NewReply(code, enhanced, lines...))
}

// Deferred is an outcome: it can't be delivered now.
func Deferred(code uint16, enhanced string, lines ...string) Outcome {
	return deliver.MakeOutcomeDeferred(NewReply(code, enhanced, lines...))
}
//@end
