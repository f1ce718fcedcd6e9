//! The resolver against a name server of the tests' own, on UDP and TCP of one port, which says whatever a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::Semaphore;

use super::resolver::{DnsConfig, LookupError, Resolver};
use super::{absolute, text};

/// How a query has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Udp,
    Tcp,
}

/// A query, taken apart as far as the tests need it.
struct Query {
    octets: Vec<u8>,
    name: String,
    by: By,
}

impl Query {
    fn parse(octets: &[u8], by: By) -> Self {
        let (mut at, mut labels) = (12, Vec::new());
        while octets[at] > 0 {
            let end = at + 1 + usize::from(octets[at]);
            labels.push(String::from_utf8_lossy(&octets[at + 1..end]).to_ascii_lowercase());
            at = end;
        }
        Self { octets: octets[..at + 5].to_vec(), name: labels.join("."), by }
    }

    /// An answer with these flags in the second octet of them (the code), and these records: of a name, a type, and with data.
    fn answer(&self, code: u8, truncated: bool, records: &[(&str, u16, Vec<u8>)]) -> Vec<u8> {
        let mut out = self.octets[..2].to_vec();
        out.extend([if truncated { 0x87 } else { 0x85 }, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
        out.extend(&self.octets[12..]);
        for (name, kind, data) in records {
            out.extend(encoded(name));
            out.extend(kind.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        out
    }

    /// The address of that name.
    fn address(&self, address: [u8; 4]) -> Vec<u8> {
        self.answer(0, false, &[(&self.name, A, address.to_vec())])
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut out: Vec<u8> = labels.flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat()).collect();
    out.push(0);
    out
}

/// A server that answers each query with these messages; it ends with the runtime of the test.
struct Server {
    address: SocketAddr,
    queries: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answers: impl Fn(&Query) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        // Somebody else may have the port for TCP: then another one.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let (answers, queries) = (Arc::new(answers), Arc::new(AtomicUsize::new(0)));
        let (by_udp, asked) = (answers.clone(), queries.clone());
        tokio::spawn(async move {
            let mut octets = [0; 4096];
            while let Ok((length, peer)) = udp.recv_from(&mut octets).await {
                asked.fetch_add(1, Ordering::Relaxed);
                for answer in by_udp(&Query::parse(&octets[..length], By::Udp)) {
                    let _ = udp.send_to(&answer, peer).await;
                }
            }
        });
        let asked = queries.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let (answers, asked) = (answers.clone(), asked.clone());
                tokio::spawn(async move {
                    while let Ok(length) = stream.read_u16().await {
                        let mut octets = vec![0; usize::from(length)];
                        stream.read_exact(&mut octets).await.unwrap();
                        asked.fetch_add(1, Ordering::Relaxed);
                        for answer in answers(&Query::parse(&octets, By::Tcp)) {
                            stream.write_u16(answer.len() as u16).await.unwrap();
                            stream.write_all(&answer).await.unwrap();
                        }
                    }
                });
            }
        });
        Self { address, queries }
    }

    fn resolver(&self) -> Resolver {
        self.resolver_with(DnsConfig::default())
    }

    fn resolver_with(&self, config: DnsConfig) -> Resolver {
        let timeout = Duration::from_millis(400);
        Resolver::new(&DnsConfig { servers: vec![self.address], timeout, attempts: 2, ..config })
    }

    fn queries(&self) -> usize {
        self.queries.load(Ordering::Relaxed)
    }
}

async fn addresses(resolver: &Resolver, name: &str) -> Result<Vec<Ipv4Addr>, LookupError> {
    let records = resolver.look_up(&Semaphore::new(1), &absolute(name).unwrap(), RecordType::A).await?;
    let address = |data: &RData| {
        let RData::A(address) = data else { return None };
        Some(address.0)
    };
    Ok(records.iter().filter_map(|record| address(&record.data)).collect())
}

async fn texts(resolver: &Resolver, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
    let records = resolver.look_up(&Semaphore::new(1), &absolute(name).unwrap(), RecordType::TXT).await?;
    let joined = |data: &RData| {
        let RData::TXT(text) = data else { return None };
        Some(text.txt_data.concat())
    };
    Ok(records.iter().filter_map(|record| joined(&record.data)).collect())
}

/// A text of 100 strings is larger than any answer by UDP: it comes by TCP.
#[tokio::test]
async fn a_truncated_answer_is_asked_for_by_tcp() {
    let long: Vec<u8> = (0..100).flat_map(|n: u8| [&[255][..], &[b'a' + n % 26; 255]].concat()).collect();
    let expected: Vec<u8> = long.chunks(256).flat_map(|string| string[1..].to_vec()).collect();
    let server = Server::start(move |query| match query.by {
        By::Udp => vec![query.answer(0, true, &[])],
        By::Tcp => vec![query.answer(0, false, &[(&query.name, TXT, long.clone())])],
    })
    .await;
    assert_eq!(texts(&server.resolver(), "long.example").await, Ok(vec![expected]));
    // A piece of an answer is none: where TCP says nothing either, nobody knows.
    let server = Server::start(|query| match query.by {
        By::Udp => vec![query.answer(0, true, &[(&query.name, TXT, b"\x05piece".to_vec())])],
        By::Tcp => vec![],
    })
    .await;
    assert!(matches!(texts(&server.resolver(), "long.example").await, Err(LookupError::Unavailable(_))));
}

const RIGHT: [u8; 4] = [192, 0, 2, 1];
const FORGED: [u8; 4] = [203, 0, 113, 1];

/// An answer to another query is not taken for one to this, whether the right one follows or not.
#[tokio::test]
async fn forged_answers_are_not_believed() {
    fn other_id(query: &Query) -> Vec<u8> {
        let mut answer = query.address(FORGED);
        answer[0] ^= 0xff;
        answer
    }
    fn other_question(query: &Query) -> Vec<u8> {
        let mut octets = query.octets.clone();
        octets.splice(12.., encoded("other.example").into_iter().chain([0, 1, 0, 1]));
        Query { octets, name: query.name.clone(), by: query.by }.address(FORGED)
    }
    fn other_owner(query: &Query) -> Vec<u8> {
        query.answer(0, false, &[("other.example", A, FORGED.to_vec())])
    }
    type Forge = fn(&Query) -> Vec<u8>;
    let forgeries: [(&str, Forge); 3] = [("id", other_id), ("question", other_question), ("owner", other_owner)];
    for (what, forge) in forgeries {
        let alone = Server::start(move |query| vec![forge(query)]).await;
        let found = addresses(&alone.resolver(), "host.example").await;
        assert!(found.as_ref().map_or(true, Vec::is_empty), "{what}: {found:?}");
        if what == "owner" {
            continue;
        }
        let first = Server::start(move |query| vec![forge(query), query.address(RIGHT)]).await;
        let found = addresses(&first.resolver(), "host.example").await;
        let is_right = found.as_ref().map_or(true, |found| *found == [Ipv4Addr::from(RIGHT)]);
        assert!(is_right, "{what}: {found:?}");
    }
    // Beside the right one it is left out.
    let beside = Server::start(|query| {
        let forged = ("other.example", A, FORGED.to_vec());
        vec![query.answer(0, false, &[forged, (&query.name, A, RIGHT.to_vec())])]
    })
    .await;
    assert_eq!(addresses(&beside.resolver(), "host.example").await, Ok(vec![Ipv4Addr::from(RIGHT)]));
}

#[tokio::test]
async fn aliases_end() {
    let alias = |query: &Query, target: &str| vec![query.answer(0, false, &[(&query.name, CNAME, encoded(target))])];
    let server = Server::start(move |query| match query.name.as_str() {
        "alias.example" => {
            let records = [("alias.example", CNAME, encoded("host.example")), ("host.example", A, RIGHT.to_vec())];
            vec![query.answer(0, false, &records)]
        }
        "self.example" => alias(query, "self.example"),
        "ping.example" => alias(query, "pong.example"),
        "pong.example" => alias(query, "ping.example"),
        "both.example" => {
            let records =
                [("both.example", CNAME, encoded("htob.example")), ("htob.example", CNAME, encoded("both.example"))];
            vec![query.answer(0, false, &records)]
        }
        name => match name.strip_prefix('c').and_then(|rest| rest.strip_suffix(".example")?.parse::<u32>().ok()) {
            Some(n) => alias(query, &format!("c{}.example", n + 1)),
            None => vec![query.answer(3, false, &[])],
        },
    })
    .await;
    let resolver = server.resolver();
    assert_eq!(addresses(&resolver, "alias.example").await, Ok(vec![Ipv4Addr::from(RIGHT)]));
    for name in ["self.example", "ping.example", "both.example", "c0.example"] {
        let before = server.queries();
        let found = addresses(&resolver, name).await;
        assert!(found.as_ref().map_or(true, Vec::is_empty), "{name}: {found:?}");
        let asked = server.queries() - before;
        assert!(asked <= 40, "{name}: {asked} queries");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_nobody_says() {
    let server = Server::start(|query| match query.name.as_str() {
        "empty.example" => vec![query.answer(0, false, &[])],
        "gone.example" => vec![query.answer(3, false, &[])],
        "servfail.example" => vec![query.answer(2, false, &[])],
        "refused.example" => vec![query.answer(5, false, &[])],
        "formerr.example" => vec![query.answer(1, false, &[])],
        "notimp.example" => vec![query.answer(4, false, &[])],
        "noise.example" => vec![b"noise".to_vec()],
        _ => vec![],
    })
    .await;
    let resolver = server.resolver();
    assert_eq!(addresses(&resolver, "empty.example").await, Ok(vec![]));
    assert_eq!(addresses(&resolver, "gone.example").await, Err(LookupError::NoSuchName));
    for name in ["servfail", "refused", "formerr", "notimp", "noise", "silent"] {
        let found = addresses(&resolver, &format!("{name}.example")).await;
        assert!(matches!(found, Err(LookupError::Unavailable(_))), "{name}: {found:?}");
    }
    assert_eq!(text(&absolute("Name.example.").unwrap()), "name.example");
}

#[tokio::test]
async fn answers_are_kept_but_not_all() {
    let server = Server::start(|query| vec![query.address(RIGHT)]).await;
    let resolver = server.resolver_with(DnsConfig { cache_entries: 16, ..DnsConfig::default() });
    for _ in 0..20 {
        addresses(&resolver, "one.example").await.unwrap();
    }
    assert_eq!(server.queries(), 1, "the others are from the cache");
    let ask_all = async || {
        for n in 0..300 {
            addresses(&resolver, &format!("n{n}.example")).await.unwrap();
        }
    };
    ask_all().await;
    let before = server.queries();
    ask_all().await;
    let again = server.queries() - before;
    assert!(again >= 300 - 2 * 16, "{again} of 300 are asked for again, so no more than a few were kept");
}

const A: u16 = 1;
const CNAME: u16 = 5;
const TXT: u16 = 16;
