//! What must not be dialled unless the operator lists it, as one table: how the URL is written, what the DNS answers, and what comes of it.
//!
//! The grant allows every address, every name below `example` and `localhost`, so that nothing but the rule in question refuses.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::{Request, Uri};
use tokio::time::Instant;

use super::connection::permitted;
use super::network::Network;
use super::origin::{Host, Origin};
use super::{Client, Exchange, Failed, Grant, Names, of_octets};
use crate::service::dns::{DnsConfig, Resolver};

/// What comes of a request before anything is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Not a URL that we would send a request for.
    Invalid,
    /// Not in `allow`.
    Unlisted,
    /// In `allow`, and an address that is nobody's business.
    Prohibited,
    /// These addresses are dialled, and no others.
    Dialled(&'static [&'static str]),
}

use Verdict::{Dialled, Invalid, Prohibited, Unlisted};

/// URL, the addresses that a name in it has, verdict.
type Row = (&'static str, &'static [&'static str], Verdict);

/// Addresses as they are, in the URL.
const ADDRESSES: &[Row] = &[
    // This machine (RFC 1122), unspecified (RFC 1122), link-local (RFC 3927) and with it the metadata of clouds.
    ("http://127.0.0.1/", &[], Prohibited),
    ("http://127.255.255.254/", &[], Prohibited),
    ("http://0.0.0.0/", &[], Prohibited),
    ("http://0.1.2.3/", &[], Prohibited),
    ("http://169.254.169.254/latest/meta-data/", &[], Prohibited),
    ("http://169.254.0.1/", &[], Prohibited),
    // Private (RFC 1918), shared behind a carrier's NAT (RFC 6598).
    ("http://10.0.0.1/", &[], Prohibited),
    ("http://10.255.255.255/", &[], Prohibited),
    ("http://172.16.0.1/", &[], Prohibited),
    ("http://172.31.255.255/", &[], Prohibited),
    ("http://192.168.0.1/", &[], Prohibited),
    ("http://192.168.255.255/", &[], Prohibited),
    ("http://100.64.0.1/", &[], Prohibited),
    ("http://100.127.255.255/", &[], Prohibited),
    // Protocol assignments (RFC 6890), documentation (RFC 5737), 6to4 relays (RFC 7526), benchmarking (RFC 2544).
    ("http://192.0.0.1/", &[], Prohibited),
    ("http://192.0.0.170/", &[], Prohibited),
    ("http://192.0.2.1/", &[], Prohibited),
    ("http://198.51.100.1/", &[], Prohibited),
    ("http://203.0.113.1/", &[], Prohibited),
    ("http://192.88.99.1/", &[], Prohibited),
    ("http://198.18.0.1/", &[], Prohibited),
    ("http://198.19.255.255/", &[], Prohibited),
    // Multicast (RFC 5771), reserved (RFC 1112), broadcast (RFC 919).
    ("http://224.0.0.1/", &[], Prohibited),
    ("http://239.255.255.255/", &[], Prohibited),
    ("http://240.0.0.1/", &[], Prohibited),
    ("http://255.255.255.255/", &[], Prohibited),
    // Unspecified, loopback (RFC 4291), unique local (RFC 4193), link-local, site-local (RFC 3879), multicast.
    ("http://[::]/", &[], Prohibited),
    ("http://[::1]/", &[], Prohibited),
    ("http://[0:0:0:0:0:0:0:1]/", &[], Prohibited),
    ("http://[fc00::1]/", &[], Prohibited),
    ("http://[fd12:3456:789a::1]/", &[], Prohibited),
    ("http://[fe80::1]/", &[], Prohibited),
    ("http://[febf::1]/", &[], Prohibited),
    ("http://[fec0::1]/", &[], Prohibited),
    ("http://[ff02::1]/", &[], Prohibited),
    ("http://[ff0e::1]/", &[], Prohibited),
    // Discard-only (RFC 6666), documentation (RFC 3849, RFC 9637), benchmarking (RFC 5180), ORCHID, SRv6 (RFC 9602), not assigned.
    ("http://[100::1]/", &[], Prohibited),
    ("http://[2001:db8::1]/", &[], Prohibited),
    ("http://[3fff::1]/", &[], Prohibited),
    ("http://[2001:2::1]/", &[], Prohibited),
    ("http://[2001:10::1]/", &[], Prohibited),
    ("http://[2001:20::1]/", &[], Prohibited),
    ("http://[5f00::1]/", &[], Prohibited),
    ("http://[4000::1]/", &[], Prohibited),
    // IPv4 in IPv6: mapped and compatible (RFC 4291), translated (RFC 7915).
    ("http://[::ffff:127.0.0.1]/", &[], Prohibited),
    ("http://[::ffff:7f00:1]/", &[], Prohibited),
    ("http://[::ffff:169.254.169.254]/", &[], Prohibited),
    ("http://[::ffff:8.8.8.8]/", &[], Prohibited),
    ("http://[::127.0.0.1]/", &[], Prohibited),
    ("http://[::ffff:0:127.0.0.1]/", &[], Prohibited),
    // NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380): server or client.
    ("http://[64:ff9b::127.0.0.1]/", &[], Prohibited),
    ("http://[64:ff9b::a00:1]/", &[], Prohibited),
    ("http://[64:ff9b::a9fe:a9fe]/", &[], Prohibited),
    ("http://[64:ff9b:1::8.8.8.8]/", &[], Prohibited),
    ("http://[64:ff9b:1:ffff::1]/", &[], Prohibited),
    ("http://[2002:7f00:1::1]/", &[], Prohibited),
    ("http://[2002:c0a8:1::1]/", &[], Prohibited),
    ("http://[2002:a9fe:a9fe::]/", &[], Prohibited),
    ("http://[2001:0:7f00:1::f7f7:f7f7]/", &[], Prohibited),
    ("http://[2001:0:808:808::80ff:fffe]/", &[], Prohibited),
    // And what is anybody's.
    ("http://8.8.8.8/", &[], Dialled(&["8.8.8.8"])),
    ("http://[2606:4700::1111]/", &[], Dialled(&["2606:4700::1111"])),
    ("http://[64:ff9b::8.8.8.8]/", &[], Dialled(&["64:ff9b::808:808"])),
];

/// How hosts can be written.
const NOTATIONS: &[Row] = &[
    // What only some resolvers take for an IPv4 address: decimal, octal, hexadecimal, short, too long.
    ("http://2130706433/", &["127.0.0.1"], Invalid),
    ("http://017700000001/", &["127.0.0.1"], Invalid),
    ("http://0x7f000001/", &["127.0.0.1"], Invalid),
    ("http://0X7F000001/", &["127.0.0.1"], Invalid),
    ("http://0x7f.0.0.0x1/", &["127.0.0.1"], Invalid),
    ("http://0177.0.0.1/", &["127.0.0.1"], Invalid),
    ("http://127.0.0.01/", &["127.0.0.1"], Invalid),
    ("http://127.1/", &["127.0.0.1"], Invalid),
    ("http://127.0.1/", &["127.0.0.1"], Invalid),
    ("http://0/", &["0.0.0.0"], Invalid),
    ("http://0x/", &["0.0.0.0"], Invalid),
    ("http://127.0.0.1.0/", &["127.0.0.1"], Invalid),
    ("http://256.0.0.1/", &["127.0.0.1"], Invalid),
    ("http://127.0.0.1.example.1/", &["127.0.0.1"], Invalid),
    // Dots at the end, and none between.
    ("http://127.0.0.1./", &["127.0.0.1"], Invalid),
    ("http://localhost./", &["127.0.0.1"], Invalid),
    ("http://a.example./", &["8.8.8.8"], Invalid),
    ("http://.example/", &["8.8.8.8"], Invalid),
    ("http://a..example/", &["8.8.8.8"], Invalid),
    // Upper case is the same host.
    ("http://LOCALHOST/", &["127.0.0.1"], Prohibited),
    ("HTTP://A.EXAMPLE/", &["127.0.0.1"], Prohibited),
    ("http://[::FFFF:127.0.0.1]/", &[], Prohibited),
    // User names in front of the host, and what looks like them.
    ("http://a.example@127.0.0.1/", &[], Invalid),
    ("http://a.example:80@127.0.0.1/", &[], Invalid),
    ("http://a.example%40127.0.0.1/", &["127.0.0.1"], Invalid),
    ("http://a.example\\@127.0.0.1/", &["8.8.8.8"], Invalid),
    ("http://a.example#@127.0.0.1/", &["8.8.8.8"], Dialled(&["8.8.8.8"])),
    ("http://a.example/@127.0.0.1/", &["8.8.8.8"], Dialled(&["8.8.8.8"])),
    ("http://a.example?@127.0.0.1/", &["8.8.8.8"], Dialled(&["8.8.8.8"])),
    // International names are written as A-labels; digits and dots of other scripts are none.
    ("http://b\u{fc}cher.example/", &["127.0.0.1"], Invalid),
    ("http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/", &["127.0.0.1"], Invalid),
    ("http://\u{2460}\u{2461}\u{2466}.0.0.1/", &["127.0.0.1"], Invalid),
    ("http://127\u{3002}0\u{3002}0\u{3002}1/", &["127.0.0.1"], Invalid),
    ("http://\u{24db}ocalhost/", &["127.0.0.1"], Invalid),
    ("http://xn--bcher-kva.example/", &["127.0.0.1"], Prohibited),
    ("http://xn--bcher-kva.example/", &["8.8.8.8"], Dialled(&["8.8.8.8"])),
    // Escapes, spaces, control characters.
    ("http://%31%32%37.0.0.1/", &["127.0.0.1"], Invalid),
    ("http://127.0.0.1%00.example/", &["127.0.0.1"], Invalid),
    ("http://127.0.0.1%20.example/", &["127.0.0.1"], Invalid),
    ("http://a.example\t/", &["127.0.0.1"], Invalid),
    ("http://a.example\r\nHost: b/", &["127.0.0.1"], Invalid),
    // Zones (RFC 6874) and brackets.
    ("http://[fe80::1%25eth0]/", &[], Invalid),
    ("http://[fe80::1%eth0]/", &[], Invalid),
    ("http://[::1%25lo]/", &[], Invalid),
    ("http://[127.0.0.1]/", &[], Invalid),
    ("http://[v1.127.0.0.1]/", &[], Invalid),
    ("http://[::1/", &[], Invalid),
    ("http://::1/", &[], Invalid),
    ("http://[::1]a.example/", &[], Invalid),
    // Ports.
    ("http://a.example:0/", &["8.8.8.8"], Invalid),
    ("http://a.example:/", &["8.8.8.8"], Invalid),
    ("http://a.example:65616/", &["8.8.8.8"], Invalid),
    ("http://a.example:80:80/", &["8.8.8.8"], Invalid),
    ("http://a.example:81/", &["8.8.8.8"], Unlisted),
    ("https://a.example/", &["8.8.8.8"], Unlisted),
    ("https://a.example:80/", &["8.8.8.8"], Unlisted),
    // Other schemes, and none.
    ("file:///etc/passwd", &[], Invalid),
    ("gopher://127.0.0.1/", &[], Invalid),
    ("ftp://a.example/", &[], Invalid),
    ("ws://a.example/", &[], Invalid),
    ("unix:///run/docker.sock", &[], Invalid),
    ("data:text/plain,x", &[], Invalid),
    ("//a.example/", &[], Invalid),
    ("a.example", &[], Invalid),
    ("/path", &[], Invalid),
    ("http:///path", &[], Invalid),
    ("http:127.0.0.1", &[], Invalid),
    ("", &[], Invalid),
];

/// What a name has for addresses.
const NAMES: &[Row] = &[
    ("http://localhost/", &["127.0.0.1"], Prohibited),
    ("http://localhost/", &["::1"], Prohibited),
    ("http://a.example/", &["10.0.0.1"], Prohibited),
    ("http://a.example/", &["169.254.169.254"], Prohibited),
    ("http://a.example/", &["::ffff:10.0.0.1"], Prohibited),
    ("http://a.example/", &["64:ff9b::a9fe:a9fe"], Prohibited),
    ("http://a.example/", &["0.0.0.0", "::"], Prohibited),
    ("http://a.example/", &["127.0.0.1", "8.8.8.8", "fe80::1"], Dialled(&["8.8.8.8"])),
    ("http://a.example/", &["8.8.8.8"], Dialled(&["8.8.8.8"])),
    ("http://example/", &["8.8.8.8"], Unlisted),
    ("http://a.example.evil/", &["8.8.8.8"], Unlisted),
    ("http://evilexample/", &["8.8.8.8"], Unlisted),
    ("http://a.localhost/", &["8.8.8.8"], Unlisted),
];

fn client(private: &[&str]) -> Arc<Client> {
    let allow = ["http://0.0.0.0/0", "http://[::/0]", "http://*.example", "http://localhost"];
    let grant = Grant {
        allow: allow.iter().map(|entry| entry.parse().expect("an entry")).collect(),
        private: private.iter().map(|network| network.parse::<Network>().expect("a network")).collect(),
        methods: vec!["GET".to_owned()],
        request_bytes: 0,
        response_bytes: 0,
        timeout: Duration::from_secs(1),
        concurrent: 1,
        headers: Vec::new(),
        authorities: Vec::new(),
    };
    let names = Names::new(Arc::new(Resolver::new(&DnsConfig::default())));
    Arc::new(Client::new(&grant, Arc::new(names)).expect("a client"))
}

/// What would be dialled; or the verdict that keeps us from it.
fn judged(client: &Arc<Client>, url: &str, answers: &[&str]) -> Result<Vec<IpAddr>, Verdict> {
    let uri = url.parse::<Uri>().map_err(|_| Invalid)?;
    let origin = Origin::of(&uri);
    let mut request = Request::new(of_octets(Vec::new()));
    *request.uri_mut() = uri;
    match Exchange::new(client, request, Instant::now()) {
        Ok(_) => {}
        Err(Failed::Invalid(_)) => return Err(Invalid),
        Err(Failed::Denied(_)) => return Err(Unlisted),
        Err(other) => panic!("{url}: {other:?}"),
    }
    let addresses: Vec<SocketAddr> = match origin.expect("it was accepted").host {
        Host::Address(address) => vec![(address, 80).into()],
        Host::Name(_) => answers.iter().map(|ip| (ip.parse::<IpAddr>().expect("an address"), 80).into()).collect(),
    };
    match permitted(addresses, &client.grant().private) {
        Ok(addresses) => Ok(addresses.iter().map(SocketAddr::ip).collect()),
        Err(Failed::Prohibited(_)) => Err(Prohibited),
        Err(other) => panic!("{url}: {other:?}"),
    }
}

#[test]
fn what_must_not_be_dialled() {
    let client = client(&[]);
    let rows = [ADDRESSES, NOTATIONS, NAMES].concat();
    for (url, answers, expected) in &rows {
        let found = judged(&client, url, answers);
        let expected = match expected {
            Dialled(addresses) => Ok(addresses.iter().map(|ip| ip.parse().expect("an address")).collect()),
            Invalid | Unlisted | Prohibited => Err(*expected),
        };
        assert_eq!(found, expected, "{url:?} {answers:?}");
    }
    let refused = rows.iter().filter(|(_, _, verdict)| !matches!(verdict, Dialled(_))).count();
    assert_eq!((rows.len(), refused), (ROWS, ROWS_REFUSED), "the documentation says how many");
}

/// `private` opens what it names, and nothing that only leads there.
#[test]
fn what_is_listed_is_dialled() {
    let client = client(&["127.0.0.0/8", "fd00::/8"]);
    for (url, answers, expected) in [
        ("http://127.0.0.1/", &[][..], true),
        ("http://[::ffff:127.0.0.1]/", &[], true),
        ("http://[fd00::1]/", &[], true),
        ("http://a.example/", &["127.0.0.1"], true),
        ("http://a.example/", &["10.0.0.1"], false),
        ("http://[::1]/", &[], false),
        ("http://[64:ff9b::127.0.0.1]/", &[], false),
        ("http://[2002:7f00:1::1]/", &[], false),
        ("http://127.1/", &["127.0.0.1"], false),
    ] {
        assert_eq!(judged(&client, url, answers).is_ok(), expected, "{url}");
    }
}

/// As `host/ARCHITECTURE.md` says.
const ROWS: usize = 144;
const ROWS_REFUSED: usize = 135;
