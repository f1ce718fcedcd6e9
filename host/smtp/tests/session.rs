//! What dialogues can't tell: answers of every kind, time, a graceful stop, and what an idle session keeps.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use postgate_smtp::{
    Answer, Awaited, Body, Certificate, Close, Config, Credentials, Event, Extension, Extensions, Forwarded, Greeting,
    Late, Mechanism, Mechanisms, Protocol, Question, Reply, ScramDecoy, ScramKeys, Session, TlsFacts, replies,
};
use sha2::{Digest, Sha256};

/// A session whose questions the test answers.
struct Client {
    session: Session,
}

/// What a read has led to.
#[derive(Debug, PartialEq)]
enum Came {
    Wait,
    Reset,
    Data(Vec<u8>),
    Asked(Question),
    Tls,
    Closed(Close),
}

impl Client {
    fn new() -> Client {
        Client::new_where(|_| {})
    }

    /// With a configuration that is changed first.
    fn new_where(change: impl Fn(&mut Config)) -> Client {
        let mut config = Config::new("mx.example.org".parse().unwrap());
        config.auth.mechanisms = Mechanisms::all();
        config.auth.in_clear = true;
        change(&mut config);
        Client { session: Session::new(Arc::new(config)) }
    }

    /// A client that has been greeted, and has greeted.
    fn greeted() -> Client {
        Client::greeted_where(|_| {})
    }

    /// The same with a configuration that is changed first.
    fn greeted_where(change: impl Fn(&mut Config)) -> Client {
        let mut client = Client::new_where(change);
        client.say("", Answer::Yes);
        client.say("EHLO client.example\r\n", Answer::Yes);
        client
    }

    /// A client in a transaction with a recipient.
    fn in_transaction() -> Client {
        let mut client = Client::greeted();
        client.say("MAIL FROM:<a@client.example>\r\n", Answer::Yes);
        client.say("RCPT TO:<b@example.org>\r\n", Answer::Yes);
        client
    }

    /// Events until the session waits, asks or is closed.
    fn read(&mut self, input: &str) -> Vec<Came> {
        let mut rest = input.as_bytes();
        let mut came = Vec::new();
        loop {
            let (taken, event) = self.session.advance(rest);
            rest = &rest[taken..];
            came.push(match event {
                Event::Wait => Came::Wait,
                Event::Reset => Came::Reset,
                Event::MailData(piece) => Came::Data(piece.to_vec()),
                Event::StartTls => Came::Tls,
                Event::Ask(question) => Came::Asked(question),
                Event::Close(close) => Came::Closed(close),
            });
            if matches!(came.last(), Some(Came::Wait | Came::Tls | Came::Asked(_) | Came::Closed(_))) {
                assert!(rest.is_empty() || matches!(came.last(), Some(Came::Closed(_))), "input is left");
                return came;
            }
        }
    }

    fn question(&mut self, input: &str) -> Question {
        match self.read(input).pop() {
            Some(Came::Asked(question)) => question,
            came => panic!("no question, but {came:?}, and {:?}", self.output()),
        }
    }

    /// Sends input that leads to a question, and answers it. What the server then says.
    fn say(&mut self, input: &str, answer: Answer) -> String {
        self.question(input);
        self.session.answer(answer);
        self.output()
    }

    fn output(&mut self) -> String {
        let output = String::from_utf8(self.session.output().to_vec()).unwrap();
        self.session.sent(output.len());
        output
    }
}

fn reply(code: u16) -> Reply {
    Reply::new(code, None, &["because"]).unwrap()
}

#[test]
fn questions_carry_what_the_client_said() {
    let mut client = Client::new();
    assert_eq!(client.question(""), Question::Connect);
    client.session.answer(Answer::Yes);
    let Question::Hello(hello) = client.question("EHLO Client.example\r\n") else { panic!() };
    assert_eq!((hello.greeting, hello.name.as_str()), (Greeting::Ehlo, "Client.example"));
    client.session.answer(Answer::Yes);
    let Question::Mail(mail) = client.question("MAIL FROM:<\"J. Doe\"@EXAMPLE.com> size=12 BODY=8bitmime\r\n") else {
        panic!()
    };
    let path = mail.reverse_path.unwrap();
    assert_eq!((path.local_part(), path.domain()), ("J. Doe", "example.com"));
    assert_eq!(path.to_string(), "\"J. Doe\"@example.com");
    assert_eq!((mail.size, mail.body), (Some(12), Body::EightBitMime));
    let parameters: Vec<_> = mail.parameters.iter().map(|p| (p.keyword, p.value.as_deref())).collect();
    assert_eq!(parameters, [("SIZE", Some("12")), ("BODY", Some("8bitmime"))]);
    client.session.answer(Answer::Yes);
    let Question::Recipient(recipient) = client.question("RCPT TO:<@a.example:Bob@Example.org>\r\n") else { panic!() };
    assert_eq!(recipient.mailbox.to_string(), "Bob@example.org");
    client.session.answer(Answer::Yes);
    assert_eq!(client.question("BDAT 3\r\n"), Question::Data);
    client.session.answer(Answer::Yes);
    assert_eq!(client.question(""), Question::Chunk { size: 3, last: false });
    client.session.answer(Answer::Yes);
    assert_eq!(client.read("ab\r"), [Came::Data(b"ab".to_vec()), Came::Wait]);
    assert_eq!(client.question("BDAT 1 LAST\r\n"), Question::Chunk { size: 1, last: true });
    client.session.answer(Answer::Yes);
    assert_eq!(client.read("\n"), [Came::Data(b"\r\n".to_vec()), Came::Asked(Question::Message)]);
}

#[test]
fn unknown_commands_and_credentials() {
    let mut client = Client::greeted();
    let expected = Question::Command { verb: "XCOFFEE".into(), argument: "black  please".into() };
    assert_eq!(client.question("xcoffee  black  please \r\n"), expected);
    client.session.answer(Answer::Default);
    let Question::Authenticate { mechanism, credentials } = client.question("AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\n")
    else {
        panic!()
    };
    assert_eq!(mechanism, Mechanism::Plain);
    assert!(!format!("{credentials:?}").contains("wonderland"));
    assert_eq!(credentials, Credentials::Password { user: "alice".into(), password: "wonderland".into() });
}

#[test]
fn an_answer_that_does_not_fit_refuses() {
    let check = |prepare: fn() -> Client, input: &str, answer: Answer, expected: &str| {
        let mut client = prepare();
        client.output();
        assert_eq!(client.say(input, answer.clone()), expected, "{answer:?} to {input:?}");
    };
    let mail = "MAIL FROM:<a@client.example>\r\n";
    let local = "451 4.3.0 Local error, try again later\r\n";
    check(Client::greeted, mail, Answer::Authenticated, local);
    check(Client::greeted, mail, Answer::Reply(reply(250)), local);
    check(Client::greeted, mail, Answer::No(reply(250)), local);
    check(Client::greeted, mail, Answer::Greet { keywords: vec![] }, local);
    check(Client::greeted, mail, Answer::No(reply(452)), "452 4.7.1 because\r\n");
    check(Client::greeted, mail, Answer::Default, "250 2.1.0 Sender ok\r\n");
    check(Client::greeted, "EHLO x\r\n", Answer::AuthenticationFailed, "451 Local error, try again later\r\n");
    check(Client::greeted, "VRFY x\r\n", Answer::Yes, local);
    check(Client::greeted, "VRFY x\r\n", Answer::Reply(reply(550)), "550 5.7.1 because\r\n");
    check(Client::greeted, "AUTH LOGIN YQ==\r\nYQ==\r\n", Answer::Yes, &format!("334 UGFzc3dvcmQ6\r\n{local}"));
    let auth = "AUTH PLAIN AGEAYg==\r\n";
    check(Client::greeted, auth, Answer::AuthenticationFailed, "535 5.7.8 Authentication failed\r\n");
    check(Client::greeted, auth, Answer::Default, "535 5.7.8 Authentication failed\r\n");
    check(Client::greeted, auth, Answer::No(reply(550)), "550 5.7.1 because\r\n");
    let unavailable = "454 4.7.0 Authentication is not possible now, try again later\r\n";
    check(Client::greeted, auth, Answer::AuthenticationUnavailable, unavailable);
    check(
        Client::in_transaction,
        "RCPT TO:<c@example.org>\r\n",
        Answer::Default,
        "550 5.7.1 Recipient not accepted here\r\n",
    );
    check(Client::in_transaction, "DATA\r\n", Answer::AuthenticationUnavailable, local);
    check(Client::in_transaction, "BDAT 2 LAST\r\n", Answer::Reply(reply(250)), "");
}

#[test]
fn answers_to_a_message() {
    let check = |answer: Answer, expected: &str, then: &[Came]| {
        let mut client = Client::in_transaction();
        client.say("DATA\r\n", Answer::Yes);
        assert_eq!(client.say("hello\r\n.\r\n", answer.clone()), expected, "{answer:?}");
        assert_eq!(client.read(""), then, "{answer:?}");
        assert!(!client.session.transaction_is_open());
    };
    let queued = Reply::new(250, None, &["queued as 1"]).unwrap();
    check(Answer::Yes, "250 2.0.0 Message accepted\r\n", &[Came::Wait]);
    check(Answer::Reply(queued), "250 2.0.0 queued as 1\r\n", &[Came::Wait]);
    check(Answer::Reply(reply(452)), "452 4.7.1 because\r\n", &[Came::Reset, Came::Wait]);
    check(Answer::No(reply(550)), "550 5.7.1 because\r\n", &[Came::Reset, Came::Wait]);
    check(Answer::Default, "451 4.3.0 Local error, try again later\r\n", &[Came::Reset, Came::Wait]);
    check(
        Answer::PerRecipient(vec![reply(250)]),
        "451 4.3.0 Local error, try again later\r\n",
        &[Came::Reset, Came::Wait],
    );
    check(Answer::Authenticated, "451 4.3.0 Local error, try again later\r\n", &[Came::Reset, Came::Wait]);
    check(Answer::Close(reply(550)), "550 5.7.1 because\r\n", &[Came::Closed(Close::Refused)]);
}

#[test]
fn answers_to_a_message_in_lmtp() {
    // RFC 2033 section 4.2.
    let check = |answer: Answer, expected: &str, then: &[Came]| {
        let mut client = Client::new_where(|config| config.protocol = Protocol::Lmtp);
        client.say("", Answer::Yes);
        client.say("LHLO client.example\r\n", Answer::Yes);
        client.say("MAIL FROM:<>\r\n", Answer::Yes);
        client.say("RCPT TO:<b@example.org>\r\n", Answer::Yes);
        client.say("RCPT TO:<c@example.org>\r\n", Answer::Default);
        client.say("RCPT TO:<d@example.org>\r\n", Answer::Yes);
        client.say("DATA\r\n", Answer::Yes);
        assert_eq!(client.say("hello\r\n.\r\n", answer.clone()), expected, "{answer:?}");
        assert_eq!(client.read(""), then, "{answer:?}");
        assert!(!client.session.transaction_is_open());
    };
    let local = "451 4.3.0 Local error, try again later\r\n".repeat(2);
    let reset = [Came::Reset, Came::Wait];
    check(Answer::Yes, &"250 2.0.0 Message accepted\r\n".repeat(2), &[Came::Wait]);
    check(Answer::Reply(reply(550)), &"550 5.7.1 because\r\n".repeat(2), &reset);
    check(Answer::Default, &local, &reset);
    check(Answer::PerRecipient(vec![]), &local, &reset);
    check(Answer::PerRecipient(vec![reply(250); 3]), &local, &reset);
    let mixed = Answer::PerRecipient(vec![reply(550), reply(250)]);
    check(mixed, "550 5.7.1 because\r\n250 2.0.0 because\r\n", &[Came::Wait]);
    let none = Answer::PerRecipient(vec![reply(550), reply(450)]);
    check(none, "550 5.7.1 because\r\n450 4.7.1 because\r\n", &reset);
    let closing = Answer::PerRecipient(vec![reply(421), reply(250)]);
    check(closing, "421 4.7.1 because\r\n250 2.0.0 because\r\n", &[Came::Closed(Close::Refused)]);
    check(Answer::Close(reply(554)), &"554 5.7.1 because\r\n".repeat(2), &[Came::Closed(Close::Refused)]);
}

#[test]
fn refused_data_resets() {
    let mut client = Client::in_transaction();
    assert_eq!(client.say("DATA\r\n", Answer::No(reply(554))), "554 5.7.1 because\r\n");
    assert_eq!(client.read("QUIT\r\n"), [Came::Reset, Came::Closed(Close::Quit)]);

    let mut client = Client::in_transaction();
    assert_eq!(client.say("BDAT 6 LAST\r\n", Answer::No(reply(554))), "");
    assert_eq!(client.read("QUIT\r\nNOOP\r\n"), [Came::Reset, Came::Wait]);
    assert_eq!(client.output(), "554 5.7.1 because\r\n250 2.0.0 Ok\r\n");

    let mut client = Client::in_transaction();
    assert_eq!(client.say("DATA\r\n", Answer::Yes), "354 Start mail data, end with <CRLF>.<CRLF>\r\n");
    assert_eq!(client.read("a\nb\r\n.\r\n"), [Came::Reset, Came::Wait]);
    assert_eq!(client.read("RSET\r\n"), [Came::Wait]);
}

#[test]
fn a_refused_client_is_left_with_quit() {
    // RFC 5321 section 3.1.
    let mut client = Client::new();
    assert_eq!(client.say("", Answer::No(reply(550))), "554 because\r\n");
    assert_eq!(client.read("EHLO x\r\nNOOP\r\nFOO\r\nBDAT 6\r\nQUIT\r\n"), [Came::Wait]);
    assert_eq!(client.output(), "503 5.5.1 Refused already, only QUIT is left\r\n".repeat(4));
    assert_eq!(client.read("QUIT\r\n"), [Came::Closed(Close::Quit)]);

    let mut client = Client::new();
    assert_eq!(client.say("", Answer::No(reply(450))), "421 because\r\n");
    assert_eq!(client.read("QUIT\r\n"), [Came::Closed(Close::Refused)]);

    let mut client = Client::new();
    assert_eq!(client.say("", Answer::Close(reply(554))), "554 because\r\n");
    assert_eq!(client.read("QUIT\r\n"), [Came::Closed(Close::Refused)]);
}

#[test]
fn keywords_of_the_caller() {
    let mut client = Client::greeted();
    let keywords = ["XPLAN gold", "", " X", "X\r\nY", "\u{e4}", &"X".repeat(65)].map(str::to_owned).to_vec();
    let output = client.say("EHLO client.example\r\n", Answer::Greet { keywords: keywords.clone() });
    assert!(output.ends_with("250-HELP\r\n250 XPLAN gold\r\n"), "{output}");
    let output = client.say("HELO client.example\r\n", Answer::Greet { keywords });
    assert_eq!(output, "250 mx.example.org\r\n");
}

#[test]
fn a_silent_client() {
    let mut client = Client::in_transaction();
    client.session.time_out(Late::Silent);
    assert_eq!(client.output(), "421 4.4.2 Silent for too long, closing\r\n");
    assert_eq!(client.read("NOOP\r\n"), [Came::Closed(Close::Timeout)]);
    client.session.time_out(Late::Silent);
    assert_eq!(client.output(), "");
    client.session.answer(Answer::Yes);
    assert_eq!(client.read(""), [Came::Closed(Close::Timeout)]);
}

#[test]
fn what_was_learned_in_clear_is_forgotten() {
    // RFC 3207 section 4.2.
    let mut client = Client::greeted_where(|config| config.tls.starttls = true);
    client.say("AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\n", Answer::Authenticated);
    client.session.secured(TlsFacts::default());
    assert!(client.session.is_authenticated() && !client.session.is_secured(), "no handshake was due");
    assert_eq!(client.question("STARTTLS\r\n"), Question::Starttls);
    client.session.answer(Answer::Yes);
    let (taken, event) = client.session.advance(b"MAIL FROM:<evil@client.example>\r\n");
    assert!(taken == 33 && matches!(event, Event::StartTls));
    assert_eq!(client.output(), "220 2.0.0 Ready to start TLS\r\n");
    let (taken, event) = client.session.advance(b"RCPT TO:<evil@client.example>\r\n");
    assert!(taken == 31 && matches!(event, Event::Wait), "input in clear behind STARTTLS is thrown away");
    client.session.secured(TlsFacts::default());
    assert!(!client.session.is_authenticated() && client.session.is_secured());
    assert_eq!(client.read("MAIL FROM:<>\r\n"), [Came::Wait]);
    assert_eq!(client.output(), "503 5.5.1 Say EHLO or HELO first\r\n");

    // A handshake that takes too long ends without a word in clear.
    let mut client = Client::greeted_where(|config| config.tls.starttls = true);
    client.say("STARTTLS\r\n", Answer::Default);
    assert_eq!(client.read(""), [Came::Tls]);
    client.session.time_out(Late::Silent);
    assert_eq!((client.read(""), client.output()), (vec![Came::Closed(Close::Timeout)], String::new()));

    let mut client = Client::greeted_where(|config| config.tls.starttls = true);
    let unavailable = "454 4.7.0 TLS is not possible now, try again later\r\n";
    assert_eq!(client.say("STARTTLS\r\n", Answer::No(replies::TLS_UNAVAILABLE.clone())), unavailable);
    assert_eq!(client.read("NOOP\r\n"), [Came::Wait]);
}

#[test]
fn the_least_time_to_deliver() {
    // RFC 2852 section 4.1.
    let mut client = Client::new_where(|config| {
        config.extensions = Extensions::all();
        config.promises.deliver_by_min_s = 60;
    });
    client.say("", Answer::Yes);
    let greeting = client.say("EHLO client.example\r\n", Answer::Yes);
    assert!(greeting.contains("250-DELIVERBY 60\r\n"), "{greeting}");
    assert_eq!(client.read("MAIL FROM:<> BY=59;R\r\n"), [Came::Wait]);
    assert_eq!(client.output(), "555 5.5.4 Not enough time to deliver by\r\n");
    assert!(matches!(client.question("MAIL FROM:<> BY=59;N\r\n"), Question::Mail(_)));
}

#[test]
fn implicit_tls() {
    let mut config = Config::new("mx.example.org".parse().unwrap());
    config.auth.mechanisms = Mechanisms::default().with(Mechanism::Plain);
    config.tls.required = true;
    let mut client = Client { session: Session::new_secured(Arc::new(config), TlsFacts::default()) };
    assert_eq!(client.say("", Answer::Yes), "220 mx.example.org ESMTP Postgate\r\n");
    let greeting = client.say("EHLO client.example\r\n", Answer::Yes);
    assert!(greeting.contains("250-AUTH PLAIN\r\n") && !greeting.contains("STARTTLS"), "{greeting}");
    assert_eq!(client.read("STARTTLS\r\n"), [Came::Wait]);
    assert_eq!(client.output(), "502 5.5.1 Command not implemented\r\n");
    assert!(matches!(client.question("MAIL FROM:<>\r\n"), Question::Mail(_)));
}

#[test]
fn patience() {
    let mut config = Config::new("mx.example.org".parse().unwrap());
    config.limits.command_patience = Duration::from_secs(1);
    config.limits.data_patience = Duration::from_secs(2);
    config.limits.transaction_patience = Duration::from_secs(3);
    let mut client = Client { session: Session::new(Arc::new(config)) };
    client.say("", Answer::Yes);
    assert_eq!(client.session.patience(), Duration::from_secs(1));
    client.say("EHLO x\r\n", Answer::Yes);
    assert_eq!(client.session.awaits(), Awaited::Command);
    client.say("MAIL FROM:<>\r\n", Answer::Yes);
    assert_eq!(client.session.patience(), Duration::from_secs(3));
    client.say("RCPT TO:<b@example.org>\r\n", Answer::Yes);
    client.say("DATA\r\n", Answer::Yes);
    assert_eq!(client.session.patience(), Duration::from_secs(2));
    assert_eq!(client.session.awaits(), Awaited::MailData);
    client.question("x\r\n.\r\n");
    client.session.answer(Answer::Yes);
    client.read("");
    assert_eq!(client.session.patience(), Duration::from_secs(1));
}

#[test]
fn lines_are_told_apart() {
    let mut client = Client::greeted();
    let number = |client: &Client| match client.session.awaits() {
        Awaited::Line { number } => Some(number),
        Awaited::Command | Awaited::MailData => None,
    };
    assert_eq!(number(&client), None);
    client.read("N");
    let first = number(&client).expect("a line has begun");
    client.read("OO");
    assert_eq!(number(&client), Some(first));
    // One line ends and the next begins in one read: it is another line.
    client.read("P\r\nN");
    assert_ne!(number(&client), Some(first));
    client.read("OOP\r\n");
    assert_eq!(number(&client), None);
    // Bare LFs end nothing, and a line beyond its bound is one line.
    client.read("\n");
    let number_of_long = number(&client);
    for _ in 0..10 {
        client.read(&"\n".repeat(1000));
        assert_eq!(number(&client), number_of_long);
    }
}

#[test]
fn reasons_to_wait_no_longer() {
    for (late, reply) in [
        (Late::Silent, "421 4.4.2 Silent for too long, closing\r\n"),
        (Late::Slow, "421 4.4.2 Too slow, closing\r\n"),
        (Late::Session, "421 4.3.2 The session has lasted too long, connect again\r\n"),
        (Late::Crowded, "421 4.3.2 Silent while others wait, try again later\r\n"),
    ] {
        let mut client = Client::in_transaction();
        client.session.time_out(late);
        assert_eq!(client.read(""), [Came::Closed(Close::Timeout)], "{late:?}");
        assert_eq!(client.output(), reply, "{late:?}");
        assert!(!client.session.transaction_is_open());
    }
}

/// RFC 4865 section 4, with a clock.
#[test]
fn holding_against_the_clock() {
    let mut config = Config::new("mx.example.org".parse().unwrap());
    let promising = [Extension::FutureRelease, Extension::DeliverBy];
    config.extensions = promising.into_iter().fold(config.extensions, Extensions::with);
    config.promises.hold_max_s = 3600;
    config.promises.hold_until_max = NOON + 7200;
    let mut client = Client { session: Session::new(Arc::new(config)) };
    client.say("", Answer::Yes);
    let mut greet = |now: u64, expected: &str| {
        client.session.set_date(now);
        let greeting = client.say("EHLO client.example\r\n", Answer::Yes);
        assert!(greeting.contains(expected), "{greeting}");
    };
    // Both bounds hold; EHLO tells the nearer one.
    greet(NOON, "FUTURERELEASE 3600 2030-01-01T13:00:00Z\r\n");
    greet(NOON + 5400, "FUTURERELEASE 3600 2030-01-01T14:00:00Z\r\n");
    let mut check = |now: u64, parameters: &str, expected: &str| {
        client.session.set_date(now);
        client.read(&format!("MAIL FROM:<> {parameters}\r\n"));
        client.session.answer(Answer::Yes);
        client.read("");
        let reply = client.output();
        assert!(reply.starts_with(expected), "{parameters} at {now}: {reply}");
        client.read("RSET\r\n");
        client.output();
    };
    check(NOON, "HOLDUNTIL=2030-01-01T12:00:01Z", "250 2.1.0");
    check(NOON, "HOLDUNTIL=2030-01-01T13:00:00Z", "250 2.1.0");
    check(NOON, "HOLDUNTIL=2030-01-01T14:00:00+01:00", "250 2.1.0");
    check(NOON, "HOLDUNTIL=2030-01-01T13:00:01Z", "501 5.5.4 Messages are not held");
    check(NOON, "HOLDUNTIL=2030-01-01T12:00:00Z", "501 5.5.4 The time to hold");
    check(NOON, "HOLDUNTIL=2030-01-01T13:59:59+02:00", "501 5.5.4 The time to hold");
    check(NOON + 1, "HOLDUNTIL=2030-01-01T13:00:01Z", "250 2.1.0");
    check(NOON + 5400, "HOLDUNTIL=2030-01-01T14:00:00Z", "250 2.1.0");
    check(NOON + 5400, "HOLDUNTIL=2030-01-01T14:00:01Z", "501 5.5.4 Messages are not held");
    // Not beyond the time to deliver by (section 5), in either order.
    check(NOON, "HOLDUNTIL=2030-01-01T12:10:00Z BY=601;R", "250 2.1.0");
    check(NOON, "BY=600;R HOLDUNTIL=2030-01-01T12:10:00Z", "501 5.5.4");
    check(NOON, "HOLDFOR=100 HOLDUNTIL=2030-01-01T12:10:00Z", "501 5.5.4 Parameter given twice");
}

/// 2030-01-01T12:00:00Z.
const NOON: u64 = 1_893_499_200;

#[test]
fn a_graceful_stop() {
    let shutdown = "421 4.3.2 Going down, try again later\r\n";
    let closed = [Came::Closed(Close::Shutdown)];
    // At once where nothing is under way: between commands, within one, within an AUTH exchange.
    for input in ["", "NOO", "AUTH LOGIN\r\n"] {
        let mut client = Client::greeted();
        client.read(input);
        client.output();
        client.session.stop();
        assert_eq!(client.read(""), closed, "{input:?}");
        assert_eq!(client.output(), shutdown, "{input:?}");
    }
    // Behind the transaction.
    let mut client = Client::in_transaction();
    client.session.stop();
    assert_eq!(client.read(""), [Came::Wait]);
    client.say("DATA\r\n", Answer::Yes);
    client.question("hello\r\n.\r\n");
    client.session.answer(Answer::Yes);
    assert_eq!(client.read("MAIL FROM:<>\r\n"), closed);
    assert_eq!(client.output(), format!("250 2.0.0 Message accepted\r\n{shutdown}"));
    // Behind a transaction that is given up.
    let mut client = Client::in_transaction();
    client.session.stop();
    assert_eq!(client.read("RSET\r\n"), [Came::Reset, Came::Closed(Close::Shutdown)]);
    // Before the banner.
    let mut client = Client::new();
    client.session.stop();
    client.say("", Answer::Yes);
    assert_eq!(client.read(""), closed);
}

#[test]
fn an_open_question_takes_no_input() {
    let mut client = Client::greeted();
    client.question("VRFY alice\r\n");
    let (taken, event) = client.session.advance(b"NOOP\r\n");
    assert!(taken == 0 && matches!(event, Event::Wait));
    client.session.answer(Answer::Default);
    assert_eq!(client.read("NOOP\r\n"), [Came::Wait]);
    assert!(client.output().ends_with("delivery\r\n250 2.0.0 Ok\r\n"));
}

#[test]
fn output_in_parts() {
    let mut client = Client::greeted();
    client.read("NOOP\r\nRSET\r\n");
    client.session.sent(4);
    assert_eq!(client.session.output(), b"2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
    client.session.sent(1000);
    assert_eq!(client.session.output(), b"");
}

#[test]
fn an_idle_session_is_small() {
    // The rest of it is an output buffer of at most 256 octets.
    assert!(size_of::<Session>() <= 320, "{} octets", size_of::<Session>());
}

/// The same below TLS, with all mechanisms, a channel binding and a certificate.
fn secured() -> Client {
    let mut config = Config::new("mx.example.org".parse().unwrap());
    config.auth.mechanisms = Mechanisms::all();
    config.auth.scram = Some(ScramDecoy { key: [1; 32], iterations: 4096, salt_octets: 16 });
    let names = vec!["client.example".to_owned()];
    let certificate = Certificate { fingerprint: "00ff".to_owned(), names };
    let facts = TlsFacts { client_certificate: Some(certificate), channel_binding: Some(b"bound".to_vec()) };
    let mut client = Client { session: Session::new_secured(Arc::new(config), facts) };
    client.session.set_seed([2; 32]);
    client.say("", Answer::Yes);
    let greeting = client.say("EHLO client.example\r\n", Answer::Yes);
    let mechanisms = "250-AUTH EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN OAUTHBEARER XOAUTH2\r\n";
    assert!(greeting.contains(mechanisms), "{greeting}");
    client
}

#[test]
fn external() {
    // RFC 4422 appendix A.
    let mut client = secured();
    let expected = |user: &str| Credentials::Certificate {
        user: user.into(),
        fingerprint: "00ff".into(),
        names: vec!["client.example".into()],
    };
    let expected = |user: &str| Question::Authenticate { mechanism: Mechanism::External, credentials: expected(user) };
    assert_eq!(client.question("AUTH EXTERNAL =\r\n"), expected(""));
    client.session.answer(Answer::AuthenticationFailed);
    assert_eq!(client.question("AUTH EXTERNAL\r\nYm9i\r\n"), expected("bob"));
    client.session.answer(Answer::Authenticated);
    assert!(client.session.is_authenticated());
    assert_eq!(client.output(), "535 5.7.8 Authentication failed\r\n334 \r\n235 2.7.0 Authentication succeeded\r\n");
}

const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(octets: &[u8]) -> String {
    octets.chunks(3).fold(String::new(), |mut encoded, group| {
        let bits = group.iter().fold(0, |bits, octet| bits << 8 | u32::from(*octet)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS.as_bytes()[(bits >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
        encoded
    })
}

fn decode(text: &str) -> String {
    let bits =
        |group: &[u8]| group.iter().fold(0, |bits, o| bits << 6 | DIGITS.find(char::from(*o)).unwrap_or(0) as u32);
    let octets: Vec<u8> = text.as_bytes().chunks(4).flat_map(|group| bits(group).to_be_bytes()[1..].to_vec()).collect();
    String::from_utf8(octets).unwrap().trim_end_matches('\0').to_owned()
}

/// Keys that the test can make proofs for: ClientKey is 32 zeros.
fn keys() -> ScramKeys {
    let stored_key = Sha256::digest([0; 32]).into();
    ScramKeys { identity: "alice".into(), salt: vec![0; 16], iterations: 4096, stored_key, server_key: [5; 32] }
}

/// AUTH SCRAM-SHA-256-PLUS up to the client's last message, which has the right proof for `keys`. What the server has said, and that message.
fn scram(client: &mut Client, answer: Answer) -> (String, String) {
    client.output();
    let question =
        client.question(&format!("AUTH SCRAM-SHA-256-PLUS {}\r\n", encode(b"p=tls-exporter,,n=alice,r=abc")));
    let credentials = Credentials::Scram { user: "alice".into() };
    assert_eq!(question, Question::Authenticate { mechanism: Mechanism::ScramSha256Plus, credentials });
    client.session.answer(answer);
    assert_eq!(client.read(""), [Came::Wait]);
    let output = client.output();
    let challenge = output.strip_prefix("334 ").map(|text| decode(text.trim_end())).unwrap_or_default();
    let nonce = challenge.split(',').next().unwrap_or_default();
    let bare = format!("c={},{nonce}", encode(b"p=tls-exporter,,bound"));
    let mut mac = Hmac::<Sha256>::new_from_slice(&keys().stored_key).unwrap();
    mac.update(format!("n=alice,r=abc,{challenge},{bare}").as_bytes());
    let message = format!("{bare},p={}", encode(&mac.finalize().into_bytes()));
    (output, encode(message.as_bytes()))
}

/// Sends the right proof, and has the client told of it.
fn prove(client: &mut Client, message: &str) {
    let proved = Question::Proved { user: "alice".into() };
    assert_eq!(client.question(&format!("{message}\r\n")), proved);
    client.session.answer(Answer::Yes);
    assert_eq!(client.read(""), [Came::Wait]);
}

/// Where nobody is to learn whether the proof was right there is no signature.
#[test]
fn a_right_proof_may_be_kept_secret() {
    let mut client = secured();
    let (_, message) = scram(&mut client, Answer::ScramKeys(keys()));
    client.question(&format!("{message}\r\n"));
    client.session.answer(Answer::AuthenticationUnavailable);
    assert_eq!(client.output(), "454 4.7.0 Authentication is not possible now, try again later\r\n");
    client.read("\r\n");
    assert!(!client.session.is_authenticated() && client.output().starts_with("500 "));
}

#[test]
fn scram_proofs() {
    // RFC 5802 section 3, RFC 4954 section 4: our signature is a challenge, which the client answers by nothing.
    let mut client = secured();
    let (first, message) = scram(&mut client, Answer::ScramKeys(keys()));
    prove(&mut client, &message);
    let signature = client.output();
    assert!(decode(signature.trim_start_matches("334 ").trim_end()).starts_with("v="), "{signature}");
    let credentials = Credentials::ScramProof { user: "alice".into(), identity: Some("alice".into()) };
    let question = Question::Authenticate { mechanism: Mechanism::ScramSha256Plus, credentials };
    assert_eq!(client.question("\r\n"), question);
    client.session.answer(Answer::Authenticated);
    assert_eq!(client.output(), "235 2.7.0 Authentication succeeded\r\n");

    // An unknown user looks the same, and the caller can't let it in by mistake. The nonce is another one, so nothing can be replayed.
    let mut client = secured();
    let (unknown, _) = scram(&mut client, Answer::AuthenticationFailed);
    assert_eq!(unknown.len(), first.len());
    let unproved = Credentials::ScramProof { user: "alice".into(), identity: None };
    let unproved = Question::Authenticate { mechanism: Mechanism::ScramSha256Plus, credentials: unproved };
    assert_eq!(client.question(&format!("{message}\r\n")), unproved);
    client.session.answer(Answer::Authenticated);
    assert_eq!(client.output(), "535 5.7.8 Authentication failed\r\n");
    let (again, _) = scram(&mut client, Answer::ScramKeys(keys()));
    assert_ne!(again, unknown);
    assert_eq!(client.question(&format!("{message}\r\n")), unproved, "a replayed proof");
    client.session.answer(Answer::AuthenticationFailed);
    assert!(!client.session.is_authenticated());

    // The client has to take note of the signature, and by nothing else than an empty message.
    let mut client = secured();
    let (_, message) = scram(&mut client, Answer::ScramKeys(keys()));
    prove(&mut client, &message);
    client.output();
    assert_eq!(client.read("AAAA\r\n"), [Came::Wait]);
    assert_eq!(client.output(), "501 5.5.2 Malformed authentication data\r\n");
}

#[test]
fn answers_about_scram_keys() {
    let check = |answer: Answer, expected: &str| {
        let mut client = secured();
        assert_eq!(scram(&mut client, answer.clone()).0, expected, "{answer:?}");
        assert!(!client.session.is_authenticated());
    };
    let unavailable = "454 4.7.0 Authentication is not possible now, try again later\r\n";
    check(Answer::AuthenticationUnavailable, unavailable);
    check(Answer::ScramKeys(ScramKeys { iterations: 4095, ..keys() }), unavailable);
    check(Answer::ScramKeys(ScramKeys { iterations: 1_000_001, ..keys() }), unavailable);
    check(Answer::ScramKeys(ScramKeys { salt: vec![], ..keys() }), unavailable);
    check(Answer::Authenticated, "451 4.3.0 Local error, try again later\r\n");
    check(Answer::No(reply(550)), "550 5.7.1 because\r\n");
    let mut client = secured();
    client.output();
    assert_eq!(
        client.say("AUTH PLAIN AGEAYg==\r\n", Answer::ScramKeys(keys())),
        "451 4.3.0 Local error, try again later\r\n"
    );
    assert!(!format!("{:?}", Answer::ScramKeys(keys())).contains('5'));
}

#[test]
fn a_trusted_proxy() {
    let mut client = Client::new();
    client.session.trust_peer();
    client.say("", Answer::Yes);
    let greeting = client.say("EHLO proxy.example\r\n", Answer::Yes);
    assert!(greeting.contains("250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"), "{greeting}");
    assert!(greeting.contains("250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n"), "{greeting}");
    for argument in ["", "NAME", "NAME=", "NAME=a NAME=b", "ADDR=x", "ADDR=::1", "PORT=65536", "IDENT=x", "NAME=a+0Ab"]
    {
        assert_eq!(client.read(&format!("XCLIENT {argument}\r\n")), [Came::Wait], "{argument}");
        assert!(client.output().starts_with("501 5.5.4 "), "{argument}");
    }
    let expected =
        Forwarded { ident: Some("a b".into()), address: Some("2001:db8::1".parse().unwrap()), ..Forwarded::default() };
    assert_eq!(client.question("XFORWARD ident=a+20b ADDR=IPv6:2001:db8::1\r\n"), Question::Xforward(expected));
    client.session.answer(Answer::Yes);
    assert_eq!(client.output(), "250 2.0.0 Ok\r\n");
    client.say("MAIL FROM:<>\r\n", Answer::Yes);
    client.read("XCLIENT NAME=a\r\nXFORWARD NAME=a\r\nRSET\r\n");
    client.output();
    let expected = Forwarded {
        address: Some("192.0.2.1".parse().unwrap()),
        port: Some(25),
        login: Some("alice".into()),
        ..Forwarded::default()
    };
    let line = "XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE] PORT=25 LOGIN=alice\r\n";
    assert_eq!(client.question(line), Question::Xclient(expected));
    client.session.answer(Answer::No(reply(550)));
    assert!(!client.session.is_authenticated());
    client.say(line, Answer::Yes);
    assert_eq!(client.question(""), Question::Connect);
    client.session.answer(Answer::Yes);
    assert!(client.session.is_authenticated());
    assert_eq!(client.read("MAIL FROM:<>\r\n"), [Came::Wait]);
    let output = client.output();
    assert!(output.ends_with("220 mx.example.org ESMTP Postgate\r\n503 5.5.1 Say EHLO or HELO first\r\n"), "{output}");
    client.say("EHLO client.example\r\n", Answer::Yes);
    client.say("XCLIENT LOGIN=[UNAVAILABLE]\r\n", Answer::Default);
    assert!(!client.session.is_authenticated());

    // Nobody else is believed.
    let mut client = Client::greeted();
    assert_eq!(client.read("XCLIENT NAME=a\r\nXFORWARD NAME=a\r\n"), [Came::Wait]);
    assert!(client.output().ends_with(&"502 5.5.1 Command not implemented\r\n".repeat(2)));
}

/// How often a client that sends each of these in one go, after a banner, did not wait where it had to.
fn pipelined(writes: &[&str], change: impl Fn(&mut Config)) -> u32 {
    let mut client = Client::new_where(change);
    client.say("", Answer::Yes);
    for write in writes {
        let mut rest = write.as_bytes();
        loop {
            let (taken, event) = client.session.advance(rest);
            rest = &rest[taken..];
            match event {
                Event::Ask(Question::Authenticate { .. }) => client.session.answer(Answer::Authenticated),
                Event::Ask(_) => client.session.answer(Answer::Yes),
                Event::MailData(_) | Event::Reset => {}
                Event::StartTls => {
                    client.session.secured(TlsFacts::default());
                    rest = &[];
                }
                Event::Wait if rest.is_empty() => break,
                Event::Wait => {}
                Event::Close(_) => break,
            }
        }
    }
    client.session.illegal_pipelining()
}

#[test]
fn groups_of_commands() {
    const GROUP: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@example.org>\r\n";
    let check = |writes: &[&str], expected: u32| assert_eq!(pipelined(writes, |_| {}), expected, "{writes:?}");
    let (data, chunks) = (format!("{GROUP}DATA\r\n"), format!("{GROUP}BDAT 3\r\nx\r\nBDAT 3 LAST\r\nx\r\n"));
    let behind_message = format!("x\r\n.\r\nRSET\r\n{GROUP}DATA\r\n");
    // RFC 2920 section 3.1, and RFC 3030 section 4.2.
    check(&["EHLO x\r\n", &data, &behind_message, "x\r\n.\r\n", "NOOP\r\n", "QUIT\r\n"], 0);
    check(&["EHLO x\r\n", &chunks, &format!("{chunks}{GROUP}{chunks}"), "QUIT\r\n"], 0);
    check(&["EHLO x\r\n", &format!("{chunks}QUIT\r\n")], 0);
    // Commands that have to be the last.
    check(&["EHLO x\r\nRSET\r\n"], 1);
    check(&["EHLO x\r\nEHLO y\r\nNOOP\r\nRSET\r\n"], 3);
    check(&["EHLO x\r\n", &format!("{data}x\r\n.\r\n")], 1);
    for command in ["NOOP", "VRFY a", "EXPN a", "HELP", "noop x", "XODD", "\x01", "DATA", "AUTH PLAIN AGEAYg=="] {
        check(&["EHLO x\r\n", &format!("{command}\r\nRSET\r\n")], 1);
        check(&["EHLO x\r\n", &format!("RSET\r\n{command}\r\n"), "RSET\r\n"], 0);
    }
    // An exchange: the command, and each of its lines.
    check(&["EHLO x\r\n", "AUTH PLAIN\r\nAGEAYg==\r\nRSET\r\n"], 2);
    check(&["EHLO x\r\n", "AUTH PLAIN\r\n", "AGEAYg==\r\n"], 0);
    // What stands in clear behind STARTTLS is thrown away, and remembered.
    let with_tls = |config: &mut Config| config.tls.starttls = true;
    assert_eq!(pipelined(&["EHLO x\r\n", "STARTTLS\r\nRSET\r\n", "EHLO x\r\n"], with_tls), 1);
    // Without PIPELINING nothing goes together; but the octets of a chunk are no command.
    check(&["HELO x\r\n", GROUP, "DATA\r\n", "x\r\n.\r\nRSET\r\n"], 2);
    check(&["RSET\r\nRSET\r\n"], 1);
    check(&["HELO x\r\n", "RSET\r\n", "RSET\r\n", "QUIT\r\n"], 0);
    let without = |config: &mut Config| config.extensions = Extensions::default().without(Extension::Pipelining);
    assert_eq!(pipelined(&["EHLO x\r\n", GROUP], without), 1);
    let one_by_one = ["EHLO x\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<c@example.org>\r\n", "BDAT 3 LAST\r\nx\r\n"];
    assert_eq!(pipelined(&one_by_one, without), 0);
    assert_eq!(pipelined(&[&one_by_one[..3], &["BDAT 3 LAST\r\nx\r\nRSET\r\n"]].concat(), without), 1);
    // Cut between command and command, nobody can see it.
    check(&["EHLO x\r\n", "NOOP\r\n", "RSET\r\n"], 0);
}
