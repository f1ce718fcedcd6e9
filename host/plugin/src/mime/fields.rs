//! What the fields of a header section say, decoded: RFC 2047 (encoded words), RFC 2183 (Content-Disposition), RFC 2231 (parameters).
//!
//! Fields are given to the parser one by one. Where a field stands twice, the last one counts, as it does for the parser.

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::parsers::MessageStream;
use mail_parser::{Address, ContentType, HeaderValue};

use super::{Encoding, Facts, MAX_FACT_BYTES, MAX_PART_HEADER_BYTES, ScanError};

/// What a part's header section says; `default` is the media type where it says nothing.
pub(super) fn facts(header: &[u8], default: &str) -> Result<Facts, ScanError> {
    let mut facts = Facts { media_type: default.to_owned(), ..Facts::default() };
    let (mut name, mut disposition_kind) = (None, None);
    let mut disposition_name = None;
    for (field, value) in fields(header) {
        if !field.get(..CONTENT.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(CONTENT)) {
            continue;
        }
        if value.len() > MAX_CONTENT_FIELD_BYTES {
            return Err(ScanError::TooComplex);
        }
        match field.get(CONTENT.len()..).unwrap_or_default().to_ascii_lowercase().as_slice() {
            b"type" => {
                if let Some(content_type) = content_type(value) {
                    facts.media_type = match content_type.subtype() {
                        Some(subtype) => format!("{}/{subtype}", content_type.ctype()).to_ascii_lowercase(),
                        None => default.to_owned(),
                    };
                    facts.charset = content_type.attribute("charset").map(str::to_ascii_lowercase);
                    facts.boundary = content_type.attribute("boundary").map(|it| it.as_bytes().to_vec());
                    facts.boundary = facts.boundary.filter(|boundary| !boundary.is_empty());
                    name = content_type.attribute("name").map(decoded_text);
                }
            }
            b"disposition" => {
                if let Some(disposition) = content_type(value) {
                    disposition_kind = Some(disposition.ctype().to_ascii_lowercase());
                    disposition_name = disposition.attribute("filename").map(decoded_text);
                }
            }
            b"transfer-encoding" => facts.encoding = encoding(value),
            b"id" => {
                let id = String::from_utf8_lossy(value.trim_ascii()).into_owned();
                facts.content_id = Some(id.trim_start_matches('<').trim_end_matches('>').to_owned());
            }
            _ => {}
        }
    }
    let shown = facts.media_type.starts_with("text/") || facts.media_type.starts_with("multipart/");
    facts.file_name = disposition_name.or(name);
    facts.attachment = match disposition_kind.as_deref() {
        Some("inline") => false,
        Some("attachment") => true,
        Some(_) | None => facts.file_name.is_some() && !shown,
    };
    let texts = [Some(&facts.media_type), facts.charset.as_ref(), facts.file_name.as_ref(), facts.content_id.as_ref()];
    if texts.into_iter().flatten().any(|text| text.len() > MAX_FACT_BYTES) {
        return Err(ScanError::TooComplex);
    }
    Ok(facts)
}

/// The fields of a header section whose lines end with LF, with or without CR before it: name, and value with its folds.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    raw_fields(header).filter_map(|field| {
        let colon = memchr::memchr(b':', field)?;
        let (name, value) = field.split_at(colon);
        Some((name.trim_ascii_end(), value.get(1..).unwrap_or_default()))
    })
}

/// As `fields`, each whole with its line ends; the empty line is not among them.
pub(super) fn raw_fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        if rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            return None;
        }
        let ends = memchr::memchr_iter(b'\n', rest).map(|at| at + 1);
        let end = ends.into_iter().find(|end| !matches!(rest.get(*end), Some(b' ' | b'\t'))).unwrap_or(rest.len());
        let (field, behind) = rest.split_at(end);
        rest = behind;
        Some(field)
    })
}

/// A field with parameters.
fn content_type(value: &[u8]) -> Option<ContentType<'static>> {
    let value = ended(value);
    match MessageStream::new(&value).parse_content_type().into_owned() {
        HeaderValue::ContentType(content_type) => Some(content_type),
        HeaderValue::Address(_)
        | HeaderValue::Text(_)
        | HeaderValue::TextList(_)
        | HeaderValue::DateTime(_)
        | HeaderValue::Received(_)
        | HeaderValue::Empty => None,
    }
}

fn encoding(value: &[u8]) -> Encoding {
    let value = value.trim_ascii();
    let is_end = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b';' | b'(');
    let word = value.get(..value.iter().position(is_end).unwrap_or(value.len())).unwrap_or_default();
    if word.eq_ignore_ascii_case(b"base64") {
        Encoding::Base64
    } else if word.eq_ignore_ascii_case(b"quoted-printable") {
        Encoding::QuotedPrintable
    } else {
        Encoding::Identity
    }
}

/// The value of a field without folds, its encoded words decoded.
pub(crate) fn decoded_field(value: &[u8]) -> String {
    let value = ended(value);
    match MessageStream::new(&value).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        HeaderValue::TextList(list) => list.concat(),
        HeaderValue::Address(_)
        | HeaderValue::DateTime(_)
        | HeaderValue::ContentType(_)
        | HeaderValue::Received(_)
        | HeaderValue::Empty => String::new(),
    }
}

/// A parameter's value: some programs put encoded words there, which RFC 2047 forbids and all mail programs show decoded.
fn decoded_text(value: &str) -> String {
    if value.contains("=?") { decoded_field(value.as_bytes()) } else { value.to_owned() }
}

/// The addresses of a field, each with its name; the members of groups too.
pub(crate) fn field_addresses(value: &[u8]) -> Vec<(Option<String>, String)> {
    let value = ended(value);
    let parsed = MessageStream::new(&value).parse_address();
    let HeaderValue::Address(address) = parsed else { return Vec::new() };
    let all = match address {
        Address::List(list) => list,
        Address::Group(groups) => groups.into_iter().flat_map(|group| group.addresses).collect(),
    };
    let named = all.into_iter().filter_map(|one| Some((one.name.map(Into::into), one.address?.into_owned())));
    named.take(MAX_ADDRESSES).collect()
}

/// Octets as text.
pub(crate) fn text_of(octets: &[u8], charset: Option<&str>) -> String {
    match charset.filter(|charset| !charset.is_empty()).and_then(|charset| charset_decoder(charset.as_bytes())) {
        Some(decode) => decode(octets),
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

/// The parser wants a line end behind a value, and is not given more than a bound of it.
fn ended(value: &[u8]) -> Vec<u8> {
    let value = value.get(..MAX_PART_HEADER_BYTES).unwrap_or(value).trim_ascii_end();
    [value, b"\r\n"].concat()
}

const CONTENT: &[u8] = b"content-";

/// Octets of a field about the content: the work of taking it apart grows faster than its length.
const MAX_CONTENT_FIELD_BYTES: usize = 16 << 10;

/// Addresses of one field.
const MAX_ADDRESSES: usize = 10_000;
