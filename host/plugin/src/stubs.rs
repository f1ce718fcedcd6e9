//! Answers of services in a rehearsal: by a table that the test fills, and never from outside the process.
//!
//! What stands in no table is not there: a name does not exist, a host and a relay can't be reached.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, NS, PTR, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use postgate_smtp::client::Outcome;
use postgate_smtp::{Reply, replies};
use tokio::io::DuplexStream;

use crate::service::dns::LookupError;

/// The tables; those of one rehearsal.
#[derive(Debug, Default)]
pub struct Stubs(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    names: HashMap<Name, Records>,
    http: BTreeMap<(String, String), Option<HttpAnswer>>,
    relays: BTreeMap<String, Option<Reply>>,
    requests: Vec<Requested>,
    handed_over: Vec<HandedOver>,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// `POST`
    pub method: String,
    /// As it would stand in the test.
    pub url: String,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// Octets.
    pub body: Vec<u8>,
}

/// A message that a relay was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// The relay's name.
    pub relay: String,
    /// As it stands in MAIL, without its brackets.
    pub reverse_path: String,
    /// As they stand in RCPT, without their brackets.
    pub recipients: Vec<String>,
    /// All of it, with trace fields.
    pub message: Vec<u8>,
}

/// What the DNS says of a name.
#[derive(Clone, Debug)]
enum Records {
    /// These.
    These(Vec<RData>),
    /// There is no such name.
    None,
    /// No server says.
    Fails,
}

/// What an HTTP server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// 200 to 599.
    pub status: u16,
    /// Octets.
    pub body: Vec<u8>,
}

impl Stubs {
    /// One more record of a name, or of an address where PTR is given. Answers what is wrong with it.
    ///
    /// # Errors
    /// What would be right.
    pub fn record(&self, name: &str, kind: &str, value: &str) -> Result<(), String> {
        let (name, data) = (absolute(name)?, data(kind, value)?);
        let mut tables = self.tables();
        match tables.names.entry(name).or_insert_with(|| Records::These(Vec::new())) {
            Records::These(known) => known.push(data),
            other @ (Records::None | Records::Fails) => *other = Records::These(vec![data]),
        }
        Ok(())
    }

    /// There is no such name from now on.
    ///
    /// # Errors
    /// The name is none.
    pub fn no_name(&self, name: &str) -> Result<(), String> {
        self.tables().names.insert(absolute(name)?, Records::None);
        Ok(())
    }

    /// No server says anything of that name from now on.
    ///
    /// # Errors
    /// The name is none.
    pub fn name_fails(&self, name: &str) -> Result<(), String> {
        self.tables().names.insert(absolute(name)?, Records::Fails);
        Ok(())
    }

    /// What requests with that method and URL are answered with from now on; without an answer the connection fails. A URL that ends with
    /// `*` stands for all that begin so.
    pub fn http(&self, method: &str, url: &str, answer: Option<HttpAnswer>) {
        self.tables().http.insert((method.to_owned(), without_port(url)), answer);
    }

    /// What that relay says of every recipient from now on; without a reply it can't be reached.
    pub fn relay(&self, name: &str, reply: Option<Reply>) {
        self.tables().relays.insert(name.to_owned(), reply);
    }

    /// The records of a name, or of what that is an alias of.
    pub(crate) fn look_up(&self, name: &Name, kind: RecordType) -> Result<Vec<Record>, LookupError> {
        let tables = self.tables();
        let mut at = name.to_lowercase();
        for _ in 0..MAX_ALIASES {
            let records = match tables.names.get(&at) {
                Some(Records::These(records)) => records,
                Some(Records::None) | None => return Err(LookupError::NoSuchName),
                Some(Records::Fails) => return Err(LookupError::Unavailable(format!("{name}: the test says so"))),
            };
            let found = records.iter().filter(|data| data.record_type() == kind);
            let found: Vec<Record> = found.map(|data| Record::from_rdata(at.clone(), TTL_S, data.clone())).collect();
            let alias = records.iter().find_map(|data| {
                let RData::CNAME(alias) = data else { return None };
                Some(alias.0.to_lowercase())
            });
            match alias {
                Some(alias) if found.is_empty() => at = alias,
                Some(_) | None => return Ok(found),
            }
        }
        Err(LookupError::Unavailable(format!("{name}: too many aliases")))
    }

    /// What is answered to a request; an error is why there is no connection.
    pub(crate) fn http_answer(&self, method: &str, url: &str) -> Result<HttpAnswer, String> {
        let (tables, url) = (self.tables(), without_port(url));
        let begins = |known: &str| known.strip_suffix('*').is_some_and(|begin| url.starts_with(begin));
        let exact = tables.http.get(&(method.to_owned(), url.clone()));
        let found = exact.or_else(|| {
            let mut known = tables.http.iter().rev();
            known.find(|((known_method, known), _)| known_method == method && begins(known)).map(|(_, answer)| answer)
        });
        match found {
            Some(Some(answer)) => Ok(answer.clone()),
            Some(None) => Err("the test says so".to_owned()),
            None => Err(format!("the test has no answer to {method} {url}")),
        }
    }

    /// The requests that have reached their servers so far, oldest first.
    pub fn requests(&self) -> Vec<Requested> {
        self.tables().requests.clone()
    }

    /// What relays were given so far, oldest first; also those that can't be reached.
    pub fn handed_over(&self) -> Vec<HandedOver> {
        self.tables().handed_over.clone()
    }

    fn requested(&self, request: Requested) {
        let mut tables = self.tables();
        if tables.requests.len() < MAX_SEEN {
            tables.requests.push(request);
        }
    }

    pub(crate) fn relayed(&self, handed_over: HandedOver) -> Vec<Outcome> {
        let recipients = handed_over.recipients.len();
        let mut tables = self.tables();
        let reply = tables.relays.get(&handed_over.relay).cloned().flatten();
        if tables.handed_over.len() < MAX_SEEN {
            tables.handed_over.push(handed_over);
        }
        let outcome = match reply {
            None => Outcome::Deferred(replies::NEXT_HOP_AWAY.clone()),
            Some(reply) if reply.is_positive() => Outcome::Taken(reply),
            Some(reply) if reply.code() >= 500 => Outcome::Failed(reply),
            Some(reply) => Outcome::Deferred(reply),
        };
        vec![outcome; recipients]
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one connection to an origin (`https://example.org`) out of the table.
pub(crate) async fn serve_http(stubs: Arc<Stubs>, origin: String, stream: DuplexStream) {
    let answer = move |request: Request<hyper::body::Incoming>| {
        let (method, url) = (request.method().as_str().to_owned(), format!("{origin}{}", request.uri()));
        let answer = stubs.http_answer(&method, &url);
        let stubs = stubs.clone();
        async move {
            // The client has looked before it connected.
            let HttpAnswer { status, body } = answer.unwrap_or(HttpAnswer { status: 404, body: Vec::new() });
            let value = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            let fields = request.headers().iter().map(|(name, octets)| (name.as_str().to_owned(), value(octets)));
            let fields = fields.collect();
            // A server that does not read a request to its end closes the connection. How much it may be the grant bounds.
            let read = http_body_util::BodyExt::collect(request.into_body()).await;
            let read = read.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
            stubs.requested(Requested { method, url: without_port(&url), fields, body: read });
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
            Ok::<_, Infallible>(response)
        }
    };
    let mut server = hyper::server::conn::http1::Builder::new();
    // The date is the machine's.
    let serving = server.auto_date_header(false).serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection of the test's own HTTP server has ended");
    }
}

/// A URL whose host is in lower case, and has no port where it is the scheme's own.
fn without_port(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    format!("{scheme}://{host}{}", if path.is_empty() { "/" } else { path })
}

fn absolute(name: &str) -> Result<Name, String> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(Name::from(address).to_lowercase());
    }
    let mut absolute = Name::from_str(name).map_err(|error| format!("{name:?} is not a name: {error}"))?;
    absolute.set_fqdn(true);
    Ok(absolute.to_lowercase())
}

fn data(kind: &str, value: &str) -> Result<RData, String> {
    let wrong = |wanted: &str| format!("{kind} wants {wanted}");
    Ok(match kind {
        "A" => RData::A(A(value.parse().map_err(|_| wrong("an IPv4 address"))?)),
        "AAAA" => RData::AAAA(AAAA(value.parse().map_err(|_| wrong("an IPv6 address"))?)),
        // A string of a record has 255 octets at most.
        "TXT" => {
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            let pieces = value.as_bytes().chunks(255).map(|piece| String::from_utf8_lossy(piece).into_owned());
            RData::TXT(TXT::new(pieces.collect()))
        }
        "MX" => {
            let (preference, exchange) = value.split_once(' ').ok_or_else(|| wrong("a preference and a name"))?;
            let preference = preference.parse().map_err(|_| wrong("a preference and a name"))?;
            RData::MX(MX::new(preference, absolute(exchange.trim())?))
        }
        "PTR" => RData::PTR(PTR(absolute(value)?)),
        "CNAME" => RData::CNAME(CNAME(absolute(value)?)),
        "NS" => RData::NS(NS(absolute(value)?)),
        _ => return Err(format!("{kind:?} is none of A, AAAA, TXT, MX, PTR, CNAME, NS")),
    })
}

const TTL_S: u32 = 300;
/// Aliases of aliases that are followed.
const MAX_ALIASES: usize = 8;
/// Requests and messages that are remembered, of each.
const MAX_SEEN: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let stubs = Stubs::default();
        for (name, kind, value) in [
            ("Example.org", "A", "192.0.2.1"),
            ("example.org", "A", "192.0.2.2"),
            ("www.example.org", "CNAME", "example.org"),
            ("192.0.2.1", "PTR", "example.org"),
            ("loop.example.org", "CNAME", "loop.example.org"),
        ] {
            stubs.record(name, kind, value).unwrap();
        }
        stubs.name_fails("broken.example.org").unwrap();
        let count = |name: &str, kind| {
            let found = stubs.look_up(&absolute(name).unwrap(), kind);
            found.map(|found| found.len())
        };
        assert_eq!(count("EXAMPLE.org.", RecordType::A), Ok(2));
        assert_eq!(count("example.org", RecordType::MX), Ok(0));
        assert_eq!(count("www.example.org", RecordType::A), Ok(2));
        assert_eq!(count("1.2.0.192.in-addr.arpa", RecordType::PTR), Ok(1));
        assert_eq!(count("nobody.example.org", RecordType::A), Err(LookupError::NoSuchName));
        assert!(matches!(count("broken.example.org", RecordType::A), Err(LookupError::Unavailable(_))));
        assert!(matches!(count("loop.example.org", RecordType::A), Err(LookupError::Unavailable(_))));
        stubs.no_name("example.org").unwrap();
        assert_eq!(count("example.org", RecordType::A), Err(LookupError::NoSuchName));
    }

    #[test]
    fn records_that_are_none() {
        let stubs = Stubs::default();
        for (kind, value) in [("A", "::1"), ("MX", "example.org"), ("SRV", "x"), ("AAAA", "1.2.3.4")] {
            assert!(stubs.record("example.org", kind, value).is_err(), "{kind} {value}");
        }
    }

    #[test]
    fn requests() {
        let stubs = Stubs::default();
        stubs.http("GET", "https://a.example/*", Some(HttpAnswer { status: 200, body: Vec::new() }));
        stubs.http("GET", "https://a.example/x", None);
        assert!(stubs.http_answer("GET", "https://A.example:443/y").is_ok());
        assert!(stubs.http_answer("GET", "https://a.example/x").is_err());
        assert!(stubs.http_answer("POST", "https://a.example/y").is_err());
        assert!(stubs.http_answer("GET", "https://b.example/").is_err());
    }
}
