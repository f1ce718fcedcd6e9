//! What dialogues can't tell: answers of every kind, time, a graceful stop, and what an idle session keeps.

use std::sync::Arc;
use std::time::Duration;

use postgate_smtp::{
    Answer, Body, Close, Config, Credentials, Event, Greeting, Mechanism, Mechanisms, Question, Reply, Session,
};

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
    Closed(Close),
}

impl Client {
    fn new() -> Client {
        let mut config = Config::new("mx.example.org".parse().unwrap());
        config.auth.mechanisms = Mechanisms::all();
        config.auth.in_clear = true;
        Client { session: Session::new(Arc::new(config)) }
    }

    /// A client that has been greeted, and has greeted.
    fn greeted() -> Client {
        let mut client = Client::new();
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
                Event::Ask(question) => Came::Asked(question),
                Event::Close(close) => Came::Closed(close),
            });
            if matches!(came.last(), Some(Came::Wait | Came::Asked(_) | Came::Closed(_))) {
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
    check(Answer::Authenticated, "451 4.3.0 Local error, try again later\r\n", &[Came::Reset, Came::Wait]);
    check(Answer::Close(reply(550)), "550 5.7.1 because\r\n", &[Came::Closed(Close::Refused)]);
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
    client.session.time_out();
    assert_eq!(client.output(), "421 4.4.2 Silent for too long, closing\r\n");
    assert_eq!(client.read("NOOP\r\n"), [Came::Closed(Close::Timeout)]);
    client.session.time_out();
    assert_eq!(client.output(), "");
    client.session.answer(Answer::Yes);
    assert_eq!(client.read(""), [Came::Closed(Close::Timeout)]);
}

#[test]
fn patience() {
    let mut config = Config::new("mx.example.org".parse().unwrap());
    config.limits.command_patience = Duration::from_secs(1);
    config.limits.data_patience = Duration::from_secs(2);
    let mut client = Client { session: Session::new(Arc::new(config)) };
    client.say("", Answer::Yes);
    assert_eq!(client.session.patience(), Duration::from_secs(1));
    client.say("EHLO x\r\n", Answer::Yes);
    client.say("MAIL FROM:<>\r\n", Answer::Yes);
    client.say("RCPT TO:<b@example.org>\r\n", Answer::Yes);
    client.say("DATA\r\n", Answer::Yes);
    assert_eq!(client.session.patience(), Duration::from_secs(2));
    client.question("x\r\n.\r\n");
    assert_eq!(client.session.patience(), Duration::from_secs(1));
}

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
