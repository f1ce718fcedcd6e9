//! How fast the core is, without sockets: commands, and mail data by DATA and BDAT.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use postgate_smtp::client::{self, Addressee, Client, Envelope};
use postgate_smtp::{Answer, Config, Event, Session};

/// Plays the input in reads of 64 KiB, saying yes to everything, and answers how much mail data there was.
fn play(session: &mut Session, input: &[u8]) -> usize {
    let mut mail_data = 0;
    for read in input.chunks(64 * 1024) {
        let mut rest = read;
        loop {
            let (taken, event) = session.advance(rest);
            rest = &rest[taken..];
            match event {
                Event::Wait => break,
                Event::Ask(question) => {
                    black_box(question);
                    session.answer(Answer::Yes);
                }
                Event::MailData(piece) => mail_data += black_box(piece).len(),
                Event::Reset | Event::StartTls => {}
                Event::Close(close) => panic!("closed: {close:?}"),
            }
        }
        let output = black_box(session.output()).len();
        session.sent(output);
    }
    mail_data
}

fn session() -> Session {
    let mut config = Config::new("mx.example.org".parse().expect("a domain"));
    config.limits.transactions = u32::MAX;
    let mut session = Session::new(Arc::new(config));
    play(&mut session, b"");
    play(&mut session, b"EHLO client.example.org\r\n");
    session
}

/// Lines of 76 octets, of which one in a hundred begins with a dot, up to `octets`.
fn text(octets: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets + 80);
    while text.len() < octets {
        let start = if text.len() % 100 == 99 { ".." } else { "ab" };
        text.extend_from_slice(format!("{start}{}\r\n", "x".repeat(72)).as_bytes());
    }
    text
}

fn core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core");
    let envelope = b"MAIL FROM:<alice@example.org> SIZE=1000\r\nRCPT TO:<bob@example.net>\r\n";

    let small = [&envelope[..], b"DATA\r\n", &text(1000), b".\r\n"].concat();
    group.throughput(Throughput::Elements(1));
    let mut at = session();
    group.bench_function("transaction of 1 KB, pipelined", |bencher| {
        bencher.iter(|| assert_ne!(play(&mut at, black_box(&small)), 0));
    });

    let whole = text(1 << 20);
    group.throughput(Throughput::Bytes(whole.len() as u64));
    let data = [&envelope[..], b"DATA\r\n", &whole, b".\r\n"].concat();
    let mut at = session();
    group.bench_function("DATA of 1 MiB", |bencher| {
        bencher.iter(|| assert_ne!(play(&mut at, black_box(&data)), 0));
    });

    let mut chunks = envelope.to_vec();
    for chunk in whole.chunks(64 * 1024) {
        chunks.extend_from_slice(format!("BDAT {}\r\n", chunk.len()).as_bytes());
        chunks.extend_from_slice(chunk);
    }
    chunks.extend_from_slice(b"BDAT 0 LAST\r\n");
    let mut at = session();
    group.bench_function("BDAT of 1 MiB in chunks of 64 KiB", |bencher| {
        bencher.iter(|| assert_eq!(play(&mut at, black_box(&chunks)), whole.len()));
    });
    group.finish();
    client(criterion);
}

/// The client's side of a transaction of 1 KB on a connection that is open: six replies, with PIPELINING.
fn client(criterion: &mut Criterion) {
    let config = client::Config::new("client.example.org".parse().expect("a domain"));
    let mut client = Client::new(Arc::new(config), [0; 32]);
    let envelope = Envelope {
        recipients: vec![Addressee::new("bob@example.net".parse().expect("a mailbox"))],
        ..Envelope::default()
    };
    let message = text(1000);
    let hear = |client: &mut Client, replies: &[u8]| -> client::Event {
        let mut rest = replies;
        loop {
            let (taken, event) = client.advance(rest);
            rest = &rest[taken..];
            if rest.is_empty() {
                return event;
            }
        }
    };
    hear(&mut client, b"220 mx\r\n");
    hear(&mut client, b"250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(1));
    group.bench_function("client, transaction of 1 KB", |bencher| {
        bencher.iter(|| {
            client.begin(envelope.clone());
            hear(&mut client, black_box(b"250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 Go\r\n"));
            client.mail_data(black_box(&message));
            client.end_mail_data();
            client.sent(black_box(client.output()).len());
            let outcome = hear(&mut client, black_box(b"250 2.0.0 Taken\r\n"));
            assert!(matches!(outcome, client::Event::Outcome(_)));
            hear(&mut client, b"");
        });
    });
    group.finish();
}

criterion_group!(benches, core);
criterion_main!(benches);
