//! What else a proxy tells in version 2, as type, length and value (`proxy-protocol.txt` section 2.2): the checksum, which must be
//! right, and a few facts. What we do not know is skipped; but where a length lies, nothing is to be believed.

use super::ProxyError;

/// What a proxy has told besides the ends of the connection. It is for the log: what a proxy says of TLS is no TLS of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyFacts {
    /// The protocol that the client and the proxy have agreed upon (ALPN).
    pub alpn: Option<Vec<u8>>,
    /// The name that the client asked for: that of SNI, if there was TLS.
    pub authority: Option<String>,
    /// What the proxy calls the connection.
    pub unique_id: Option<Vec<u8>>,
    /// The TLS between client and proxy, none if there was none.
    pub tls: Option<ProxiedTls>,
}

/// TLS that has ended at the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxiedTls {
    /// As the proxy writes it, such as `TLSv1.3`.
    pub version: Option<String>,
    /// The cipher suite, as the proxy writes it.
    pub cipher_suite: Option<String>,
    /// Whether the client has shown a certificate that the proxy has found good.
    pub client_is_verified: bool,
    /// The common name of the client's certificate.
    pub client_name: Option<String>,
}

/// Reads the vectors of a whole header, which stand at its end.
pub(super) fn read(header: &[u8], begin: usize) -> Result<ProxyFacts, ProxyError> {
    let mut facts = ProxyFacts::default();
    let mut sum = None;
    let mut rest = header.get(begin..).ok_or(ProxyError::Length)?;
    while let Some(Vector { kind, value, behind }) = next(rest)? {
        match kind {
            ALPN => once(&mut facts.alpn, bounded(value, NAME_OCTETS_MAX)?.to_vec())?,
            AUTHORITY => once(&mut facts.authority, text(value)?)?,
            CRC32C => once(&mut sum, stated(header, value, behind)?)?,
            UNIQUE_ID => once(&mut facts.unique_id, bounded(value, UNIQUE_ID_OCTETS_MAX)?.to_vec())?,
            SSL => {
                if let Some(tls) = tls(value)? {
                    once(&mut facts.tls, tls)?;
                }
            }
            _ => {}
        }
        rest = behind;
    }
    match sum {
        Some(Sum::Wrong) => Err(ProxyError::Checksum),
        Some(Sum::Right) | None => Ok(facts),
    }
}

/// A vector, and what follows it.
struct Vector<'a> {
    kind: u8,
    value: &'a [u8],
    behind: &'a [u8],
}

/// What a checksum was found to be.
enum Sum {
    Right,
    Wrong,
}

fn next(octets: &[u8]) -> Result<Option<Vector<'_>>, ProxyError> {
    if octets.is_empty() {
        return Ok(None);
    }
    let ([kind, high, low], rest) = octets.split_first_chunk::<3>().ok_or(ProxyError::Length)?;
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let (value, behind) = rest.split_at_checked(length).ok_or(ProxyError::Length)?;
    Ok(Some(Vector { kind: *kind, value, behind }))
}

/// The TLS vector: flags, the outcome of verifying, and vectors of its own.
fn tls(value: &[u8]) -> Result<Option<ProxiedTls>, ProxyError> {
    let ([flags, verify @ ..], mut rest) = value.split_first_chunk::<5>().ok_or(ProxyError::Length)?;
    let has_shown = flags & (CLIENT_CERT_CONNECTION | CLIENT_CERT_SESSION) != 0;
    let mut tls = ProxiedTls { client_is_verified: has_shown && *verify == [0; 4], ..ProxiedTls::default() };
    while let Some(Vector { kind, value, behind }) = next(rest)? {
        match kind {
            SSL_VERSION => once(&mut tls.version, text(value)?)?,
            SSL_COMMON_NAME => once(&mut tls.client_name, text(value)?)?,
            SSL_CIPHER => once(&mut tls.cipher_suite, text(value)?)?,
            _ => {}
        }
        rest = behind;
    }
    Ok((flags & CLIENT_SSL != 0).then_some(tls))
}

/// Said twice, it is not known what holds.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), ProxyError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(ProxyError::Malformed),
    }
}

fn bounded(value: &[u8], octets_max: usize) -> Result<&[u8], ProxyError> {
    if value.len() <= octets_max { Ok(value) } else { Err(ProxyError::Length) }
}

fn text(value: &[u8]) -> Result<String, ProxyError> {
    let text = std::str::from_utf8(bounded(value, NAME_OCTETS_MAX)?).map_err(|_| ProxyError::Malformed)?;
    if text.contains(char::is_control) { Err(ProxyError::Malformed) } else { Ok(text.to_owned()) }
}

/// The checksum of the whole header, in which its own four octets count as zeros.
fn stated(header: &[u8], value: &[u8], behind: &[u8]) -> Result<Sum, ProxyError> {
    let stated: [u8; 4] = value.try_into().map_err(|_| ProxyError::Length)?;
    let (before, _) =
        header.split_at_checked(header.len().saturating_sub(behind.len() + 4)).ok_or(ProxyError::Length)?;
    let sum = [before, &[0; 4], behind].into_iter().flatten().fold(u32::MAX, |sum, octet| step(sum, *octet));
    Ok(if !sum == u32::from_be_bytes(stated) { Sum::Right } else { Sum::Wrong })
}

/// One octet of CRC32C (RFC 9260 appendix A). A header has a few hundred octets: a table would gain nothing.
const fn step(sum: u32, octet: u8) -> u32 {
    let mut sum = sum ^ octet as u32;
    let mut bit = 0;
    while bit < 8 {
        sum = if sum & 1 == 1 { (sum >> 1) ^ CRC32C_POLYNOMIAL } else { sum >> 1 };
        bit += 1;
    }
    sum
}

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_COMMON_NAME: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;

const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERT_CONNECTION: u8 = 0x02;
const CLIENT_CERT_SESSION: u8 = 0x04;

const CRC32C_POLYNOMIAL: u32 = 0x82f6_3b78;

/// A name of a server, a protocol or a cipher suite.
const NAME_OCTETS_MAX: usize = 255;
const UNIQUE_ID_OCTETS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn vector(kind: u8, value: &[u8]) -> Vec<u8> {
        [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    fn check(vectors: &[&[u8]], expected: Result<ProxyFacts, ProxyError>) {
        let header = [&[7; 28][..], &vectors.concat()].concat();
        assert_eq!(read(&header, 28), expected, "{vectors:?}");
    }

    #[test]
    fn facts() {
        check(&[], Ok(ProxyFacts::default()));
        let tls = [
            &[7, 0, 0, 0, 0][..],
            &vector(0x21, b"TLSv1.3"),
            &vector(0x23, b"X"),
            &vector(0x22, b"a"),
            &vector(0x25, b"RSA"),
        ];
        let tls = vector(SSL, &tls.concat());
        let known = [vector(ALPN, b"smtp"), vector(AUTHORITY, b"mx.example.org"), vector(UNIQUE_ID, &[0xff; 128])];
        let expected = ProxyFacts {
            alpn: Some(b"smtp".to_vec()),
            authority: Some("mx.example.org".to_owned()),
            unique_id: Some(vec![0xff; 128]),
            tls: Some(ProxiedTls {
                version: Some("TLSv1.3".to_owned()),
                cipher_suite: Some("X".to_owned()),
                client_is_verified: true,
                client_name: Some("a".to_owned()),
            }),
        };
        check(&[&known[0], &known[1], &known[2], &tls, &vector(0x30, b"ns"), &vector(0x04, &[0; 9])], Ok(expected));
        // Without the flag there was no TLS, whatever else is said; an unverified certificate is none.
        check(&[&vector(SSL, &[0, 0, 0, 0, 0])], Ok(ProxyFacts::default()));
        for (flags, verify) in [(1, 0), (3, 1), (5, 1)] {
            let tls = Some(ProxiedTls::default());
            check(&[&vector(SSL, &[flags, 0, 0, 0, verify])], Ok(ProxyFacts { tls, ..ProxyFacts::default() }));
        }
    }

    #[test]
    fn what_is_wrong() {
        for octets in [&[1][..], &[1, 0], &[1, 0, 1], &[1, 0xff, 0xff, 0], &[0x20, 0, 4, 1, 0, 0, 0]] {
            check(&[octets], Err(ProxyError::Length));
        }
        check(&[&vector(SSL, &[1, 0, 0, 0, 0, 0x21, 0, 9, b'T'])], Err(ProxyError::Length));
        check(&[&vector(UNIQUE_ID, &[0; 129])], Err(ProxyError::Length));
        check(&[&vector(AUTHORITY, &[b'a'; 256])], Err(ProxyError::Length));
        check(&[&vector(AUTHORITY, b"\xff")], Err(ProxyError::Malformed));
        check(&[&vector(AUTHORITY, b"a\r\nb")], Err(ProxyError::Malformed));
        check(&[&vector(ALPN, b"a"), &vector(ALPN, b"a")], Err(ProxyError::Malformed));
    }

    #[test]
    fn checksums() {
        // The usual example: CRC32C of "123456789".
        let sum = !b"123456789".iter().fold(u32::MAX, |sum, octet| step(sum, *octet));
        assert_eq!(sum, 0xe306_9283);
        let (before, behind) = ([7; 28], vector(ALPN, b"smtp"));
        let blank = [&before[..], &vector(CRC32C, &[0; 4]), &behind].concat();
        let sum = !blank.iter().fold(u32::MAX, |sum, octet| step(sum, *octet));
        let good = vector(CRC32C, &sum.to_be_bytes());
        check(&[&good, &behind], Ok(ProxyFacts { alpn: Some(b"smtp".to_vec()), ..ProxyFacts::default() }));
        check(&[&good, &vector(ALPN, b"smtq")], Err(ProxyError::Checksum));
        check(&[&vector(CRC32C, &[0; 4]), &behind], Err(ProxyError::Checksum));
        check(&[&vector(CRC32C, &[0; 3])], Err(ProxyError::Length));
        check(&[&good, &good], Err(ProxyError::Malformed));
    }
}
