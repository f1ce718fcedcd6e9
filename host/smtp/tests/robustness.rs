//! Throws pseudo-random input at sessions: nothing panics, every reply is well-formed, and no mail data has a bare CR, LF or NUL.

use std::collections::BTreeSet;
use std::sync::Arc;

use postgate_smtp::dialogue::Dialogue;
use postgate_smtp::dialogue::player::{Policy, config};
use postgate_smtp::{Answer, Config, Event, Extensions, Mechanisms, Protocol, Reply, ScramKeys, Session};

#[test]
fn random_sessions() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut seen = BTreeSet::new();
    for round in 0..6000 {
        let mut config = config(&Dialogue::default()).expect("the configuration of dialogues");
        config.extensions = Extensions::all();
        config.auth.mechanisms = Mechanisms::all();
        config.protocol = if round % 7 == 0 { Protocol::Lmtp } else { Protocol::Smtp };
        config.tls.starttls = round % 2 == 0;
        if round % 4 == 0 {
            shrink(&mut config, &mut random);
        }
        let output = run(Arc::new(config), &mut random);
        seen.extend(output.split("\r\n").filter_map(|line| line.get(..9)).map(str::to_owned));
    }
    // Without these the input would not have reached what it is meant to reach.
    for reply in [
        "220 2.0.0",
        "235 2.7.0",
        "250 2.0.0",
        "354 Start",
        "421 4.7.0",
        "500 5.5.2",
        "500 5.5.6",
        "501 5.5.4",
        "503 5.5.1",
        "550 5.6.0",
        "552 5.3.4",
        "554 5.5.1",
        "554 5.6.0",
        "554 5.7.1",
    ] {
        assert!(seen.contains(reply), "{reply} is not among {seen:?}");
    }
}

/// Small bounds, so that they are reached.
fn shrink(config: &mut Config, random: &mut Random) {
    let limits = &mut config.limits;
    limits.command_line_octets = 20 + random.below(100);
    limits.auth_line_octets = 20 + random.below(100);
    limits.text_line_octets = 2 + random.below(60);
    limits.message_octets = random.below(300) as u64;
    limits.discarded_octets = random.below(600) as u64;
    limits.errors = 5 + random.below(100) as u32;
    limits.auth_failures = 1 + random.below(20) as u32;
    limits.idle_commands = 5 + random.below(100) as u32;
}

/// One session, and what the server said. The same input is given to a second one in other pieces, with the same answers: the output must be the same.
fn run(config: Arc<Config>, random: &mut Random) -> String {
    let opening = if config.protocol == Protocol::Lmtp { LMTP_OPENING } else { OPENING };
    let start = if random.below(4) > 0 { opening } else { b"" };
    let fragments = (0..1 + random.below(60)).flat_map(|_| random.pick(FRAGMENTS).to_vec());
    let input: Vec<u8> = start.iter().copied().chain(fragments).collect();
    let seed = random.next();
    let mut outputs = Vec::new();
    for _ in 0..2 {
        let mut player = Player::new(config.clone(), seed);
        let mut rest = &input[..];
        player.read(&[]);
        while !rest.is_empty() && !player.closed {
            let (read, behind) = rest.split_at(1 + random.below(rest.len()));
            player.read(read);
            rest = behind;
        }
        check_replies(&player.output, &input);
        outputs.push(player.output);
    }
    assert!(outputs[0] == outputs[1], "the output depends on the pieces of {:?}", String::from_utf8_lossy(&input));
    String::from_utf8_lossy(&outputs[0]).into_owned()
}

struct Player {
    session: Session,
    policy: Policy,
    /// Changes with every question, in the same way in both sessions.
    questions: u64,
    output: Vec<u8>,
    closed: bool,
}

impl Player {
    fn new(config: Arc<Config>, seed: u64) -> Player {
        let mut session = Session::new(config.clone());
        session.set_seed([1; 32]);
        if seed.is_multiple_of(5) {
            session.trust_peer();
        }
        let mut policy = Policy::default();
        policy.protocol = config.protocol;
        Player { session: Session::new(config), policy, questions: seed, output: Vec::new(), closed: false }
    }

    fn read(&mut self, mut rest: &[u8]) {
        // Each event takes input, asks, or gives something up: more than this is a loop.
        for _ in 0..10 * rest.len() + 10 {
            let (taken, event) = self.session.advance(rest);
            rest = &rest[taken..];
            match event {
                Event::Wait => {
                    assert!(rest.is_empty(), "input is left");
                    self.output.extend_from_slice(self.session.output());
                    self.session.sent(self.session.output().len());
                    return;
                }
                Event::Ask(question) => {
                    // Now and then an answer that may not fit, the same for both sessions.
                    self.questions = self.questions.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let fitting = self.policy.answer(&question);
                    let answer = match self.questions >> 59 {
                        0 => Answer::Authenticated,
                        1 => {
                            Answer::Greet { keywords: vec!["XPLAN gold".into(), "bad\r\nline".into(), "\u{e4}".into()] }
                        }
                        2 => Answer::Reply(Reply::new(250, None, &["fine", "really"]).expect("a reply")),
                        4 => Answer::ScramKeys(ScramKeys {
                            identity: "alice".into(),
                            salt: vec![1; 8],
                            iterations: 4096,
                            stored_key: [0; 32],
                            server_key: [0; 32],
                        }),
                        3 => Answer::No(Reply::new(250, None, &["yes and no"]).expect("a reply")),
                        _ => fitting,
                    };
                    self.session.answer(answer);
                }
                Event::MailData(piece) => self.policy.keep(piece).expect("clean mail data"),
                Event::Reset => assert!(!self.session.transaction_is_open()),
                Event::StartTls => {
                    // What came behind it in the same read is thrown away: the two sessions see other input from here on.
                    self.output.extend_from_slice(self.session.output());
                    self.closed = true;
                    return;
                }
                Event::Close(_) => {
                    self.output.extend_from_slice(self.session.output());
                    self.closed = true;
                    return;
                }
            }
        }
        panic!("the session does not come to rest");
    }
}

/// Lines of a code, `-` or space, and printable ASCII; the lines of a reply have the same code.
fn check_replies(output: &[u8], input: &[u8]) {
    let output = std::str::from_utf8(output).expect("ASCII");
    let mut continued: Option<&str> = None;
    for line in output.split_terminator("\r\n") {
        let context = || format!("{line:?} in answer to {:?}", String::from_utf8_lossy(input));
        let (code, rest) = line.split_at(3);
        assert!(code.bytes().all(|octet| octet.is_ascii_digit()) && "2345".contains(&code[..1]), "{}", context());
        assert!(rest.starts_with([' ', '-']), "{}", context());
        assert!(rest.bytes().all(|octet| matches!(octet, b' '..=b'~')) && line.len() <= 510, "{}", context());
        assert!(continued.is_none_or(|before| before == code), "{}", context());
        continued = rest.starts_with('-').then_some(code);
    }
    assert!(output.is_empty() || output.ends_with("\r\n"));
    assert_eq!(continued, None);
}

/// Xorshift: enough for a test, and the same on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    fn pick(&mut self, from: &[&'static [u8]]) -> &'static [u8] {
        from[self.below(from.len())]
    }
}

/// With this most sessions come as far as mail data.
const OPENING: &[u8] = b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@example.org>\r\n";

const LMTP_OPENING: &[u8] =
    b"LHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<late-450@example.org>\r\nRCPT TO:<b@example.org>\r\n";

const FRAGMENTS: &[&[u8]] = &[
    b"EHLO client.example\r\n",
    b"EHLO client.example\r\n",
    b"HELO no-550.example\r\n",
    b"MAIL FROM:<a@client.example> SIZE=10\r\n",
    b"MAIL FROM:<a@client.example>\r\n",
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<b@example.org>\r\n",
    b"RCPT TO:<b@example.org>\r\n",
    b"RCPT TO:<\"q \\\" \"@[IPv6:::1]>\r\n",
    b"RCPT TO:<nobody@example.org>\r\n",
    b"RCPT TO:<no-451@example.org>\r\n",
    b"DATA\r\n",
    b"DATA\r\n",
    b"Subject: x\r\n\r\ntext\r\n.\r\n",
    b"X-Verdict: no-554\r\n\r\n.\r\n",
    b"BDAT 5\r\n",
    b"BDAT 9 LAST\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 13\r\n",
    b"BDAT 99999999999999999999\r\n",
    b"BDAT x\r\n",
    b"hello",
    b"AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\n",
    b"AUTH LOGIN\r\n",
    b"YWxpY2U=\r\n",
    b"d29uZGVybGFuZA==\r\n",
    b"*\r\n",
    b"AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n",
    b"Yz1iaXdzLHI9YWJjLHA9QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE9\r\n",
    b"AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB3cm9uZwEB\r\n",
    b"AQ==\r\n",
    b"XCLIENT NAME=a ADDR=IPV6:::1 LOGIN=b\r\n",
    b"XFORWARD NAME=a+20b\r\n",
    b"AUTH XOAUTH2\r\n",
    b"RSET\r\n",
    b"STARTTLS\r\n",
    b"MAIL FROM:<\xc3\xa4@client.example> SMTPUTF8 BODY=BINARYMIME\r\n",
    b"MAIL FROM:<a@client.example> RET=FULL ENVID=a+20 BY=9;R HOLDFOR=5 MT-PRIORITY=-3\r\n",
    b"RCPT TO:<b@example.org> NOTIFY=DELAY ORCPT=utf-8;\xc3\xa4\\x{E4}\r\n",
    b"VRFY \xc3\xa4 SMTPUTF8\r\n",
    b"NOOP\r\n",
    b"HELP\r\n",
    b"VRFY alice\r\n",
    b"EXPN bob\r\n",
    b"XCOFFEE now\r\n",
    b"QUIT\r\n",
    b"\r\n.\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"..",
    b"\0",
    b"\xc3\xa4",
    b"\t",
    b" ",
    b"<",
    b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
