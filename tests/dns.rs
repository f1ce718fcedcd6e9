//! The service `dns` and the plugin `dnsbl`, asked over SMTP, with a real name server behind them; and name servers that lie or say nothing.

use std::net::{SocketAddr, UdpSocket};

use crate::support::nameserver::{NameServer, setting};
use crate::support::{Client, Gateway, load, log, one_chain, plugin};

const RECORDS: &str = "
host.example. IN A 192.0.2.10
host.example. IN AAAA 2001:db8::10
host.example. IN MX 20 b.example.
host.example. IN MX 10 a.example.
host.example. IN TXT \"one \" \"record\"
null.example. IN MX 0 .
alias.example. IN CNAME host.example.
loop.example. IN CNAME pool.example.
pool.example. IN CNAME loop.example.
10.2.0.192.in-addr.arpa. IN PTR host.example.
10.2.0.192.in-addr.arpa. IN PTR liar.example.
11.2.0.192.in-addr.arpa. IN PTR liar.example.
liar.example. IN A 203.0.113.1
1.0.0.127.in-addr.arpa. IN PTR localhost.example.
localhost.example. IN A 127.0.0.1
2.0.0.127.bl.example. IN A 127.0.0.2
1.0.0.127.bl.example. IN A 127.0.0.4
1.0.0.127.good.example. IN A 127.0.0.9
9.9.9.127.bl.example. IN A 127.255.255.254
8.9.9.127.bl.example. IN A 192.0.2.1
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example. IN A 127.0.0.3
spam.example.bl.example. IN A 127.0.1.2
";

const GRANTS: &str = "[\"dns\", \"mail-authentication\", { signing = [] }]";

fn guest(dns: &str) -> String {
    one_chain("[\"network\"]", &(plugin("network", "network", GRANTS) + dns))
}

/// Asks the guest, and answers what it has heard.
#[track_caller]
fn ask(client: &mut Client, question: &str) -> String {
    let reply = client.expect(&format!("RCPT TO:<\"{question}\"@dns.test>"), "550");
    reply.lines().map(|line| line.splitn(3, ' ').last().unwrap_or_default().trim_start_matches("550-5.7.1 ")).collect()
}

fn greeted(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    client.expect("EHLO client.example", "250");
    client.expect("MAIL FROM:<alice@example.org>", "250");
    client
}

#[test]
fn names_are_looked_up() {
    let Some(server) = NameServer::start(RECORDS) else { return };
    let gateway = Gateway::start(&guest(&server.setting()));
    let mut client = greeted(&gateway);
    for (question, expected) in [
        ("addresses=host.example", "Ok([\"192.0.2.10\", \"2001:db8::10\"])"),
        ("addresses=HOST.example.", "Ok([\"192.0.2.10\", \"2001:db8::10\"])"),
        ("addresses=alias.example", "Ok([\"192.0.2.10\", \"2001:db8::10\"])"),
        ("addresses=nothing.example", "Err(DnsError::NoSuchName)"),
        ("texts=liar.example", "Ok([])"),
        ("texts=host.example", "Ok([\"one record\"])"),
        ("mail-exchanges=null.example", "exchange: \"\""),
        ("names=192.0.2.10", "\"host.example\""),
        ("names=192.0.2.99", "Err(DnsError::NoSuchName)"),
        ("confirmed-names=192.0.2.10", "Ok([\"host.example\"])"),
        ("confirmed-names=192.0.2.11", "Ok([])"),
        ("names=host.example", "Invalid"),
        ("addresses=a..b", "Invalid"),
        ("addresses=caf\\\\e.example", "Invalid"),
        ("listings=127.0.0.2/bl.example", "Ok([\"127.0.0.2\"])"),
        ("listings=127.0.0.3/bl.example", "Ok([])"),
        ("listings=2001:db8::1/bl.example", "Ok([\"127.0.0.3\"])"),
        ("listings=spam.example/bl.example", "Ok([\"127.0.1.2\"])"),
        ("listings=127.9.9.9/bl.example", "Unavailable"),
        ("listings=127.9.9.8/bl.example", "Unavailable"),
        ("listings=127.0.0.2/", "Invalid"),
        ("iprev", "Pass"),
    ] {
        let answer = ask(&mut client, question);
        assert!(answer.contains(expected), "{question}: {answer}");
    }
    let exchanges = ask(&mut client, "mail-exchanges=host.example");
    let (a, b) = (exchanges.find("a.example"), exchanges.find("b.example"));
    assert!(a.is_some() && a < b, "{exchanges}");
    // Two names that lead to each other are an end, not a loop.
    let answer = ask(&mut client, "addresses=loop.example");
    assert!(answer.starts_with("Err") || answer == "Ok([])", "{answer}");
}

/// A name server that answers each query with what `lie` makes of it.
fn liar(lie: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut query) {
            if let Some(answer) = lie(&query[..length]) {
                let _ = socket.send_to(&answer, peer);
            }
        }
    });
    address
}

#[test]
fn servers_that_do_not_answer_are_unavailable() {
    let refused = |code: u8| {
        move |query: &[u8]| {
            let mut answer = query.to_vec();
            answer[2] |= 0x80;
            answer[3] = (answer[3] & 0xf0) | code;
            Some(answer)
        }
    };
    let lying = |query: &[u8]| {
        let mut answer = query.to_vec();
        answer[0] ^= 0xff;
        answer[2] |= 0x80;
        Some(answer)
    };
    let truncated = |query: &[u8]| {
        let mut answer = query.to_vec();
        answer[2] |= 0x82;
        Some(answer)
    };
    for (what, address) in [
        ("silence", liar(|_| None)),
        ("SERVFAIL", liar(refused(2))),
        ("REFUSED", liar(refused(5))),
        ("the id of another query", liar(lying)),
        ("a truncated answer, and nobody at the TCP port", liar(truncated)),
        ("noise", liar(|_| Some(b"noise".to_vec()))),
    ] {
        let gateway = Gateway::start(&guest(&setting(address)));
        let mut client = greeted(&gateway);
        for question in ["addresses=host.example", "listings=127.0.0.2/bl.example"] {
            let answer = ask(&mut client, question);
            assert!(answer.contains("Unavailable"), "{what}: {answer}");
        }
        let answer = ask(&mut client, "spf");
        assert!(answer.contains("Temperror"), "{what}: {answer}");
    }
}

#[test]
fn what_was_not_granted_is_not_there() {
    for (grants, missing) in [
        ("[\"mail-authentication\", { signing = [] }]", "postgate:mail/dns"),
        ("[\"dns\", { signing = [] }]", "postgate:mail/mail-authentication"),
        ("[\"dns\", \"mail-authentication\"]", "postgate:mail/signing"),
    ] {
        let problem = load(&one_chain("[\"network\"]", &plugin("network", "network", grants))).unwrap_err();
        assert!(problem.contains(missing) && problem.contains("which was not granted"), "{problem}");
    }
}

/// A chain with the shipped plugin, in front of a guest that accepts everybody.
fn dnsbl(config: &str, dns: &str) -> String {
    let tables = plugin("lists", "dnsbl", "[\"config\", \"dns\", \"log\"]")
        + &format!("[plugin.lists.config]\n{config}\n")
        + &plugin("network", "network", GRANTS)
        + dns;
    one_chain("[\"lists\", \"network\"]", &tables)
}

#[test]
fn listed_clients_are_refused() {
    let Some(server) = NameServer::start(RECORDS) else { return };
    for (config, expected) in [
        ("exempt = []\nlists = [{ zone = \"bl.example\" }]", "550 5.7.1 Client [127.0.0.1] is listed at bl.example"),
        ("exempt = []\nlists = [{ zone = \"bl.example\", reply = \"No, $address\" }]", "550 5.7.1 No, 127.0.0.1"),
        ("exempt = []\nlists = [{ zone = \"bl.example\", codes = [\"127.0.0.2\"] }]", "250"),
        ("exempt = []\nlists = [{ zone = \"bl.example\" }, { zone = \"good.example\", weight = -1 }]", "250"),
        ("exempt = []\nlists = [{ zone = \"none.example\" }]", "250"),
        ("lists = [{ zone = \"bl.example\" }]", "250"),
    ] {
        let gateway = Gateway::start(&dnsbl(config, &server.setting()));
        let mut client = greeted(&gateway);
        client.expect("RCPT TO:<bob@example.org>", expected);
        // The second time it is the note that answers.
        client.expect("RCPT TO:<bob@example.org>", expected);
    }
    let at_once = "at = \"connect\"\nexempt = []\nlists = [{ zone = \"bl.example\" }]";
    let gateway = Gateway::start(&dnsbl(at_once, &server.setting()));
    let (_, banner) = Client::greeted(gateway.address);
    assert!(banner.contains("is listed at bl.example"), "{banner}");
}

#[test]
fn lists_that_do_not_answer_fail_open_unless_told_otherwise() {
    let server = liar(|_| None);
    for (config, expected) in [("", "250"), ("unavailable = \"defer\"\n", "451 4.7.1")] {
        let config = format!("{config}exempt = []\nlists = [{{ zone = \"silent.example\" }}]");
        let gateway = Gateway::start(&dnsbl(&config, &setting(server)));
        greeted(&gateway).expect("RCPT TO:<bob@example.org>", expected);
        assert!(!log::lines(&["list not available", "silent.example"]).is_empty());
    }
}

#[test]
fn wrong_settings_are_told_at_their_line() {
    let problem = load(&dnsbl("lists = [{ zone = \"bl.example\", weight = \"heavy\" }]", "")).unwrap_err();
    assert!(problem.contains("weight = \"heavy\"") && problem.contains("expected i64"), "{problem}");
}
