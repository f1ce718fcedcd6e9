//! The client's side: against servers that follow a script, cut at every octet and broken off at every octet; against random octets; and against our own
//! session, with every extension.

use std::sync::Arc;

use postgate_smtp::client::{
    Addressee, Client, Config, Credentials, DeliverBy, Ending, Envelope, Event, Failure, Hold, International,
    Malformed, Outcome, TlsWish,
};
use postgate_smtp::{Answer, Body, Extensions, Mechanism, Mechanisms, Protocol, Question, Session, TlsFacts};

/// A transaction to these recipients.
fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        reverse_path: Some("alice@example.com".parse().unwrap()),
        recipients: recipients.iter().map(|text| Addressee::new(text.parse().unwrap())).collect(),
        ..Envelope::default()
    }
}

fn config() -> Config {
    Config::new("client.example".parse().unwrap())
}

/// What came of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Course {
    said: String,
    outcomes: Vec<Outcome>,
    ending: Option<Ending>,
}

impl Course {
    fn codes(&self) -> Vec<u16> {
        self.outcomes.iter().map(|outcome| outcome.reply().code()).collect()
    }
}

/// Plays a script, `S:` what the server says at once, `C:` how a line of the client's begins that it waits for, with reads of so many octets. Behind `end` octets of
/// the server's the connection is lost.
fn play(config: Config, envelope: &Envelope, message: &[u8], script: &str, reads: usize, end: usize) -> Course {
    let mut client = Client::new(Arc::new(config), [7; 32]);
    let mut course = Course::default();
    let mut steps = script.lines().map(str::trim).filter(|step| !step.is_empty()).peekable();
    let mut waiting: Vec<u8> = Vec::new();
    let (mut left, mut unread, mut begun) = (end, 0, false);
    let mut sent = 0;
    for _round in 0..10_000 {
        // The server: says what is due.
        while let Some(step) = steps.peek() {
            if let Some(text) = step.strip_prefix("S: ") {
                waiting.extend_from_slice(text.replace("\\r\\n", "\r\n").as_bytes());
                waiting.extend_from_slice(b"\r\n");
            } else if let Some(begin) = step.strip_prefix("C: ") {
                let Some(at) = course.said[unread..].find(begin) else { break };
                let Some(lf) = course.said[unread + at..].find('\n') else { break };
                unread += at + lf + 1;
            }
            steps.next();
        }
        let take = waiting.len().min(reads).min(left);
        let read: Vec<u8> = waiting.drain(..take).collect();
        left -= take;
        let mut rest = &read[..];
        loop {
            let (taken, event) = client.advance(rest);
            rest = &rest[taken..];
            match event {
                Event::Wait => break,
                Event::Ready if !begun => {
                    begun = true;
                    client.begin(envelope.clone());
                }
                Event::Ready => client.quit(),
                Event::MailData if sent < message.len() => {
                    let piece = &message[sent..message.len().min(sent + 5)];
                    sent += piece.len();
                    client.mail_data(piece);
                }
                Event::MailData => client.end_mail_data(),
                Event::Outcome(outcomes) => course.outcomes = outcomes,
                Event::StartTls => client.secured(None),
                Event::Work => prove(&mut client),
                Event::Close(ending) => {
                    course.ending = Some(ending);
                    break;
                }
            }
            course.said.push_str(&String::from_utf8_lossy(client.output()));
            client.sent(usize::MAX);
        }
        course.said.push_str(&String::from_utf8_lossy(client.output()));
        client.sent(usize::MAX);
        if course.ending.is_some() {
            return course;
        }
        if left == 0 || (waiting.is_empty() && steps.peek().is_none()) {
            client.lost();
        }
    }
    panic!("no end of {script}: {course:?}");
}

const PIPELINED: &str = "S: 220 mx\nC: EHLO client.example\nS: 250-mx\nS: 250-PIPELINING\nS: 250-8BITMIME\nS: 250 DSN\n\
    C: MAIL FROM:<alice@example.com>\nC: RCPT TO:<a@example.org>\nC: RCPT TO:<b@example.org>\nC: DATA\n\
    S: 250 ok\nS: 250 a\nS: 550-5.1.1 no\nS: 550 5.1.1 b\nS: 354 go\nC: .\nS: 250 2.6.0 taken\nC: QUIT\nS: 221 bye";

#[test]
fn a_pipelined_transaction_cut_at_every_octet() {
    let whole = play(
        config(),
        &envelope(&["a@example.org", "b@example.org"]),
        b"Subject: x\r\n\r\n.x\r\n",
        PIPELINED,
        9999,
        9999,
    );
    assert_eq!(whole.codes(), [250, 550]);
    assert_eq!(whole.ending, Some(Ending::Quit));
    assert!(whole.said.contains("DATA\r\nSubject: x\r\n\r\n..x\r\n.\r\nQUIT\r\n"), "{}", whole.said);
    for reads in 1..40 {
        let cut = play(
            config(),
            &envelope(&["a@example.org", "b@example.org"]),
            b"Subject: x\r\n\r\n.x\r\n",
            PIPELINED,
            reads,
            9999,
        );
        assert_eq!(cut, whole, "by {reads}");
    }
}

/// Wherever the server goes away, nobody is lost and nobody is thought to have got what was not confirmed.
#[test]
fn broken_off_at_every_octet() {
    let octets: usize =
        PIPELINED.lines().filter_map(|step| step.trim().strip_prefix("S: ")).map(|text| text.len() + 2).sum();
    let taken = octets - "221 bye\r\n".len();
    for end in 0..octets {
        let course = play(config(), &envelope(&["a@example.org", "b@example.org"]), b"x\r\n", PIPELINED, 3, end);
        let codes = course.codes();
        let a = codes.first().copied();
        match end {
            end if end >= taken => assert_eq!(codes, [250, 550], "{end}"),
            _ => assert!(a.is_none_or(|code| (400..500).contains(&code)), "{end}: {course:?}"),
        }
        if end < taken {
            assert_eq!(course.ending, Some(Ending::Failed(Failure::Lost)), "{end}");
        }
    }
}

/// What comes of a transaction, in whole reads and octet by octet, and something that is said in it.
fn check(config: Config, envelope: Envelope, message: &str, script: &str, expected: &[u16], said: &str) {
    for reads in [9999, 1] {
        let course = play(config.clone(), &envelope, message.as_bytes(), script, reads, 99_999);
        assert_eq!(course.codes(), expected, "{script}\n{course:?}");
        assert!(course.said.contains(said), "{script}: {said:?} is not in {:?}", course.said);
    }
}

fn opening(offer: &str) -> String {
    format!("S: 220 mx\nC: EHLO\nS: 250-mx\n{offer}\nS: 250 HELP\n")
}

const GOOD: &str =
    "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nC: .\nS: 250 taken\nC: QUIT\nS: 221 bye";
const END: &str = "C: QUIT\nS: 221 bye";

#[test]
fn transactions() {
    let one = || envelope(&["a@example.org"]);
    let script = |offer: &str| format!("{}{GOOD}", opening(offer));
    check(
        config(),
        one(),
        "x",
        &script(""),
        &[250],
        "MAIL FROM:<alice@example.com>\r\nRCPT TO:<a@example.org>\r\nDATA\r\nx\r\n.\r\n",
    );
    check(
        config(),
        one(),
        "x",
        &format!("S: 220 mx\nC: EHLO\nS: 500 what\nC: HELO\nS: 250 mx\n{GOOD}"),
        &[250],
        "HELO client.example\r\nMAIL",
    );
    // Extensions.
    let sized = Envelope { size: Some(100), ..one() };
    check(
        config(),
        sized.clone(),
        "x",
        &script("S: 250-SIZE 1000"),
        &[250],
        "MAIL FROM:<alice@example.com> SIZE=100\r\n",
    );
    check(config(), sized.clone(), "x", &script("S: 250-SIZE 0"), &[250], " SIZE=100\r\n");
    check(
        config(),
        sized,
        "x",
        &format!("{}C: QUIT\nS: 221 bye", opening("S: 250-SIZE 99")),
        &[552],
        "EHLO client.example\r\nQUIT",
    );
    let eight = Envelope { body: Body::EightBitMime, ..one() };
    check(config(), eight.clone(), "\u{fc}\r\n", &script("S: 250-8BITMIME"), &[250], " BODY=8BITMIME\r\n");
    check(config(), eight.clone(), "x\r\n", &script(""), &[250], "MAIL FROM:<alice@example.com>\r\n");
    let no_end = format!("{}C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go", opening(""));
    check(config(), eight, "\u{fc}\r\n", &no_end, &[554], "DATA\r\n");
    check(config(), one(), "a\nb", &no_end, &[550], "DATA\r\n");
    let binary = Envelope { body: Body::BinaryMime, ..one() };
    check(config(), binary.clone(), "x", &format!("{}{END}", opening("S: 250-BINARYMIME")), &[554], "QUIT");
    let chunks = "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: BDAT 5\nS: 250 ok\nC: BDAT 0 LAST\nS: 250 taken\nC: QUIT\nS: 221 bye";
    let offer = "S: 250-BINARYMIME\nS: 250-CHUNKING";
    check(config(), binary, "a\nb\r\0", &format!("{}{chunks}", opening(offer)), &[250], " BODY=BINARYMIME\r\n");
    let mut internationalized = envelope(&["\u{fc}@example.org", "a@example.org"]);
    check(config(), internationalized.clone(), "x", &script(""), &[553, 250], "RCPT TO:<a@example.org>");
    internationalized.utf8 = International::Needed;
    check(config(), internationalized, "x", &format!("{}{END}", opening("")), &[550, 550], "QUIT");
    let declared = Envelope { utf8: International::Declared, ..one() };
    check(config(), declared.clone(), "x", &script(""), &[250], "MAIL FROM:<alice@example.com>\r\n");
    check(config(), declared, "x", &script("S: 250-SMTPUTF8"), &[250], " SMTPUTF8\r\n");
    let secret = Envelope { require_tls: true, ..one() };
    check(config(), secret, "x", &format!("{}{END}", opening("S: 250-REQUIRETLS")), &[550], "QUIT");
    let mut notified = Envelope {
        ret: Some("HDRS".into()),
        envelope_id: Some("x\r\nRSET".into()),
        priority: Some("3".into()),
        ..one()
    };
    notified.recipients[0].notify = Some("NEVER".into());
    check(
        config(),
        notified.clone(),
        "x",
        &script("S: 250-DSN"),
        &[250],
        "<alice@example.com> RET=HDRS\r\nRCPT TO:<a@example.org> NOTIFY=NEVER\r\n",
    );
    check(
        config(),
        notified,
        "x",
        &script("S: 250-MT-PRIORITY"),
        &[250],
        "<alice@example.com> MT-PRIORITY=3\r\nRCPT TO:<a@example.org>\r\n",
    );
    let two = || envelope(&["a@example.org", "b@example.org"]);
    check(config(), two(), "x", &script("S: 250-LIMITS RCPTMAX=1"), &[250, 452], "RCPT TO:<a@example.org>\r\nDATA");
    // A server that takes nobody, and yet wants mail data.
    let nobody = "C: DATA\nS: 250 ok\nS: 550 no\nS: 354 go\nC: .\nS: 554 nobody\nC: QUIT\nS: 221 bye";
    check(config(), one(), "x", &format!("{}{nobody}", opening("S: 250-PIPELINING")), &[550], "DATA\r\n.\r\nQUIT");
    let lmtp = Config { protocol: Protocol::Lmtp, ..config() };
    let script = "S: 220 mx\nC: LHLO\nS: 250 mx\nC: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nC: .\nS: 250 a\nS: 452 b\n\
                  C: QUIT\nS: 221 bye";
    check(lmtp, two(), "x", script, &[250, 452], "LHLO client.example\r\n");
}

/// What a server does not offer is left out, or the message fails where it is a promise that nobody would keep.
#[test]
fn promises() {
    let one = || envelope(&["a@example.org"]);
    let script = |offer: &str| format!("{}{GOOD}", opening(offer));
    let by = |value: &str| Envelope { deliver_by: DeliverBy::read(value), ..one() };
    let none = |offer: &str| format!("{}{END}", opening(offer));
    check(config(), by("60;R"), "x", &script("S: 250-DELIVERBY 30"), &[250], "<alice@example.com> BY=60;R\r\n");
    check(config(), by("60;R"), "x", &none(""), &[550], "EHLO client.example\r\nQUIT");
    check(config(), by("0;R"), "x", &none("S: 250-DELIVERBY"), &[550], "EHLO client.example\r\nQUIT");
    check(config(), by("-5;NT"), "x", &script("S: 250-DELIVERBY"), &[250], "<alice@example.com> BY=-5;NT\r\n");
    check(config(), by("60;N"), "x", &script(""), &[250], "MAIL FROM:<alice@example.com>\r\n");
    let held = |hold: Hold| Envelope { hold: Some(hold), ..one() };
    let until = "2030-01-01T00:00:00Z";
    let offer = script("S: 250-FUTURERELEASE 9 2040-01-01T00:00:00Z");
    check(config(), held(Hold::Until(until.into())), "x", &offer, &[250], " HOLDUNTIL=2030-01-01T00:00:00Z\r\n");
    check(config(), held(Hold::For("9".into())), "x", &offer, &[250], "<alice@example.com> HOLDFOR=9\r\n");
    check(config(), held(Hold::For("9".into())), "x", &none("S: 250-DSN"), &[550], "EHLO client.example\r\nQUIT");
    // Nobody is vouched for to a server that does not know us.
    let submitted = Envelope { submitter: Some("<>".into()), ..one() };
    check(config(), submitted, "x", &script("S: 250-AUTH PLAIN"), &[250], "MAIL FROM:<alice@example.com>\r\n");
    let mut original = one();
    original.recipients[0].original = Some("utf-8;z\u{f6}\\x{2B}@example.org".into());
    let in_ascii = "RCPT TO:<a@example.org> ORCPT=utf-8;z\\x{F6}\\x{2B}@example.org\r\n";
    check(config(), original.clone(), "x", &script("S: 250-DSN"), &[250], in_ascii);
    original.utf8 = International::Declared;
    let as_it_is = "RCPT TO:<a@example.org> ORCPT=utf-8;z\u{f6}\\x{2B}@example.org\r\n";
    check(config(), original, "x", &script("S: 250-DSN\nS: 250-SMTPUTF8"), &[250], as_it_is);
}

#[test]
fn what_ends_a_connection() {
    let check = |config: Config, script: &str, expected: Failure| {
        for reads in [9999, 1] {
            let course = play(config.clone(), &envelope(&["a@example.org"]), b"x", script, reads, 99_999);
            assert_eq!(course.ending, Some(Ending::Failed(expected.clone())), "{script}");
            assert!(course.codes().iter().all(|code| (400..500).contains(code)), "{course:?}");
        }
    };
    let required = || Config { tls: TlsWish::Required, ..config() };
    check(required(), "S: 220 mx\nC: EHLO\nS: 250 mx", Failure::TlsNotOffered);
    check(required(), "S: 220 mx\nC: EHLO\nS: 500 no\nC: HELO\nS: 250 mx", Failure::TlsNotOffered);
    let opening = "S: 220 mx\nC: EHLO\nS: 250-mx\nS: 250 PIPELINING\n";
    check(config(), "S: 220 mx\nC: EHLO\nS: 250-mx\nS: 550 x", Failure::Malformed(Malformed::Codes));
    check(config(), "S: hello", Failure::Malformed(Malformed::Code));
    check(
        config(),
        &format!("S: 220 mx\nC: EHLO\n{}", "S: 250-x\n".repeat(101)),
        Failure::Malformed(Malformed::TooLong),
    );
    check(config(), &format!("S: 220 {}", "x".repeat(5000)), Failure::Malformed(Malformed::LineTooLong));
    check(config(), &format!("{opening}C: DATA\nS: 250 ok\nS: 250 ok\nS: 250 ok"), Failure::OutOfStep);
    check(config(), &format!("{opening}C: DATA\nS: 354 ok"), Failure::OutOfStep);
    let credentials = Some(Credentials::Password { user: "u".into(), password: "p".into() });
    let auth = || Config { credentials: credentials.clone(), ..config() };
    check(auth(), "S: 220 mx\nC: EHLO\nS: 250-mx\nS: 250 AUTH PLAIN LOGIN", Failure::NoMechanism);
    check(
        auth(),
        "S: 220 mx\nC: EHLO\nS: 250-mx\nS: 250 AUTH SCRAM-SHA-256\nC: AUTH\nS: 235 fine",
        Failure::NotAuthentic,
    );
}

fn prove(client: &mut Client) {
    let work = client.work().expect("nobody has taken it");
    assert!(client.work().is_none());
    client.worked(work.run());
}

/// RFC 8689 section 4.2.1: below TLS is not enough, the server has to be who it should be.
#[test]
fn require_tls_is_for_servers_that_are_verified() {
    let secret = Envelope { require_tls: true, ..envelope(&["a@example.org"]) };
    let opening = "S: 220 mx\nC: EHLO\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nC: EHLO\nS: 250-mx\nS: 250 REQUIRETLS\n";
    let good = "C: MAIL\nS: 250 ok\nC: RCPT\nS: 250 ok\nC: DATA\nS: 354 go\nC: .\nS: 250 taken\n";
    for (tls, expected, rest) in [(TlsWish::Required, 250, good), (TlsWish::IfOffered, 550, "")] {
        let script = format!("{opening}{rest}C: QUIT\nS: 221 bye");
        let course = play(Config { tls, ..config() }, &secret, b"x", &script, 9999, 99_999);
        assert_eq!(course.codes(), [expected], "{course:?}");
    }
}

/// A server that says the same to everything.
#[test]
fn servers_that_know_one_reply() {
    for reply in
        ["250 ok", "220 mx", "354 go", "334 ", "235 fine", "450 later", "550 no", "421 closing", "200", "599 x"]
    {
        for tls in [TlsWish::Never, TlsWish::Required] {
            let credentials = Some(Credentials::Password { user: "u".into(), password: "p".into() });
            for config in [Config { tls, ..config() }, Config { tls, credentials, secrets_in_clear: true, ..config() }]
            {
                let mut client = Client::new(Arc::new(config), [7; 32]);
                let (mut outcomes, mut begun, mut ended) = (Vec::new(), false, false);
                let line = format!("{reply}\r\n");
                let mut input: &[u8] = b"220 mx\r\n";
                let mut rounds = 0..1000;
                assert!(rounds.any(|_| {
                    let (taken, event) = client.advance(input);
                    input = &input[taken..];
                    client.sent(usize::MAX);
                    match event {
                        Event::Wait => input = line.as_bytes(),
                        Event::StartTls => client.secured(None),
                        Event::Work => prove(&mut client),
                        Event::Ready if begun => client.quit(),
                        Event::Ready => {
                            begun = true;
                            client.begin(envelope(&["a@example.org", "b@example.org"]));
                        }
                        Event::MailData => {
                            ended = true;
                            client.end_mail_data();
                        }
                        Event::Outcome(found) => outcomes = found,
                        Event::Close(_) => return true,
                    }
                    false
                }));
                let codes: Vec<u16> = outcomes.iter().map(|outcome| outcome.reply().code()).collect();
                assert_eq!(codes.len(), if begun { 2 } else { 0 }, "{reply}");
                assert!(!ended && codes.iter().all(|code| *code >= 400), "{reply}: {codes:?}");
            }
        }
    }
}

#[test]
fn octets_behind_the_answer_to_starttls_are_never_used() {
    let mut client = Client::new(Arc::new(config()), [7; 32]);
    let mut input: &[u8] = b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n250-injected\r\n250 PIPELINING\r\n";
    loop {
        let (taken, event) = client.advance(input);
        input = &input[taken..];
        assert!(event != Event::Wait && event != Event::StartTls, "{event:?}");
        if let Event::Close(ending) = event {
            assert_eq!(ending, Ending::Failed(Failure::OutOfStep));
            break;
        }
    }
}

/// Our own session on the other side, with every extension and mechanism.
fn against_ourselves(
    config: Config,
    envelope: Envelope,
    message: &[u8],
    reads: usize,
) -> (Vec<Outcome>, Vec<u8>, Vec<Question>) {
    let mut server = postgate_smtp::Config::new("mx.example.org".parse().unwrap());
    server.protocol = config.protocol;
    server.extensions = Extensions::all();
    server.auth.mechanisms = Mechanisms::all();
    server.auth.required = true;
    server.tls.starttls = true;
    let mut session = Session::new(Arc::new(server));
    session.set_seed([1; 32]);
    let mut client = Client::new(Arc::new(config), [2; 32]);
    let (mut kept, mut questions, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut begun, mut sent) = (false, 0);
    let mut to_server: Vec<u8> = Vec::new();
    for _round in 0..100_000 {
        let take = to_server.len().min(reads);
        let read: Vec<u8> = to_server.drain(..take).collect();
        let mut rest = &read[..];
        loop {
            let (taken, event) = session.advance(rest);
            rest = &rest[taken..];
            match event {
                Event2::Wait | Event2::Close(_) => break,
                Event2::Ask(question) => {
                    let answer = answer(&question);
                    questions.push(question);
                    session.answer(answer);
                }
                Event2::MailData(piece) => kept.extend_from_slice(piece),
                Event2::Reset => kept.clear(),
                Event2::StartTls => break,
            }
        }
        let said = session.output().to_vec();
        session.sent(said.len());
        let mut rest = &said[..];
        loop {
            let (taken, event) = client.advance(rest);
            rest = &rest[taken..];
            match event {
                Event::Wait => break,
                Event::StartTls => {
                    let facts = TlsFacts { channel_binding: Some(vec![9; 32]), ..TlsFacts::default() };
                    session.secured(facts);
                    client.secured(Some(vec![9; 32]));
                }
                Event::Work => prove(&mut client),
                Event::Ready if !begun => {
                    begun = true;
                    client.begin(envelope.clone());
                }
                Event::Ready => client.quit(),
                Event::MailData if sent < message.len() => {
                    let piece = &message[sent..message.len().min(sent + 7)];
                    sent += piece.len();
                    client.mail_data(piece);
                }
                Event::MailData => client.end_mail_data(),
                Event::Outcome(found) => outcomes = found,
                Event::Close(ending) => {
                    assert_eq!(ending, Ending::Quit);
                    return (outcomes, kept, questions);
                }
            }
            to_server.extend_from_slice(client.output());
            client.sent(usize::MAX);
        }
        to_server.extend_from_slice(client.output());
        client.sent(usize::MAX);
    }
    panic!("no end: {questions:?}");
}

type Event2<'a> = postgate_smtp::Event<'a>;

fn answer(question: &Question) -> Answer {
    let Question::Authenticate { credentials, .. } = question else { return Answer::Yes };
    let found = format!("{credentials:?}");
    assert!(found.contains("user: \"user\""), "{found}");
    let known = [
        postgate_smtp::Credentials::Password { user: "user".into(), password: "pencil".into() },
        postgate_smtp::Credentials::Token { user: "user".into(), token: "t0ken".into() },
    ];
    assert!(known.contains(credentials));
    Answer::Authenticated
}

#[test]
fn our_own_session() {
    let message = b"Subject: x\r\n\r\n.\r\n..a\r\n\r\n.b\r\n";
    let password = Credentials::Password { user: "user".into(), password: "pencil".into() };
    let token = Credentials::Token { user: "user".into(), token: "t0ken".into() };
    for (credentials, mechanism) in [
        (&password, Mechanism::Plain),
        (&password, Mechanism::Login),
        (&token, Mechanism::OAuthBearer),
        (&token, Mechanism::XOAuth2),
    ] {
        for protocol in [Protocol::Smtp, Protocol::Lmtp] {
            for reads in [1, 7, 9999] {
                let config = Config {
                    credentials: Some(credentials.clone()),
                    mechanism: Some(mechanism),
                    protocol,
                    tls: TlsWish::Required,
                    ..config()
                };
                let mut envelope = envelope(&["\"a b\"@example.org", "\u{fc}@example.org"]);
                envelope.size = Some(message.len() as u64);
                envelope.require_tls = true;
                envelope.priority = Some("-3".into());
                envelope.ret = Some("FULL".into());
                envelope.envelope_id = Some("id+2B1".into());
                envelope.submitter = Some("e+3Dmc2@example.org".into());
                envelope.deliver_by = DeliverBy::read("7200;RT").map(|by| by.after(60));
                envelope.hold = Some(Hold::For("600".into()));
                envelope.recipients[0].notify = Some("SUCCESS,DELAY".into());
                envelope.recipients[0].original = Some("rfc822;a@example.org".into());
                let (outcomes, kept, questions) = against_ourselves(config, envelope, message, reads);
                assert!(
                    outcomes.len() == 2 && outcomes.iter().all(|outcome| matches!(outcome, Outcome::Taken(_))),
                    "{outcomes:?}"
                );
                assert_eq!(kept, message);
                let mail = questions
                    .iter()
                    .find_map(|question| if let Question::Mail(mail) = question { Some(mail) } else { None });
                let mail = mail.expect("MAIL");
                assert!(mail.utf8 && mail.size == Some(message.len() as u64));
                let keywords: Vec<_> = mail.parameters.iter().map(|parameter| parameter.keyword).collect();
                assert_eq!(
                    keywords,
                    ["SIZE", "SMTPUTF8", "REQUIRETLS", "MT-PRIORITY", "RET", "ENVID", "AUTH", "BY", "HOLDFOR"]
                );
                let by = mail.parameters.iter().find(|parameter| parameter.keyword == "BY");
                assert_eq!(by.and_then(|by| by.value.as_deref()), Some("7140;RT"));
            }
        }
    }
    let config = Config { credentials: Some(password), mechanism: Some(Mechanism::Plain), ..config() };
    let binary = Envelope { body: Body::BinaryMime, ..envelope(&["a@example.org"]) };
    let (outcomes, kept, _) = against_ourselves(config, binary, b"a\n\0\r.\r\n.\r\nb", 5);
    assert!(matches!(outcomes[..], [Outcome::Taken(_)]), "{outcomes:?}");
    assert_eq!(kept, b"a\n\0\r.\r\n.\r\nb");
}
