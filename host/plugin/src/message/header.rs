//! The header section of a message (RFC 5322 section 2.2) as octets: taken apart into fields, and put together again.
//!
//! Nothing is normalised: a field that is not touched keeps its octets, and a line that is no field stays where it is.

use memchr::memmem;

/// Where a new field goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Top,
    /// Before the n-th field; behind the last where there are not so many.
    Before(u32),
    End,
}

/// What becomes of a field.
#[derive(Debug)]
pub(crate) enum Rewrite {
    Keep,
    Remove,
    Value(Vec<u8>),
}

/// One field of a header section, folded lines and last CRLF included in `whole`.
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    whole: &'a [u8],
}

/// A field as it stands in the message: nothing trimmed, the last line end included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawField<'a> {
    /// Before the colon.
    pub(crate) name: &'a [u8],
    /// Behind the colon.
    pub(crate) value: &'a [u8],
}

/// The fields of a header section as they stand in it, without the lines that are none.
pub(super) fn raw_fields(header: &[u8]) -> impl Iterator<Item = RawField<'_>> {
    fields(header).filter(|field| !field.name.is_empty()).filter_map(|field| {
        let (name, value) = field.whole.split_at_checked(memchr::memchr(b':', field.whole)?)?;
        Some(RawField { name, value: value.get(1..).unwrap_or_default() })
    })
}

/// The fields of a header section. A line that is none (without a colon) has an empty name, and is kept as it is.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header.get(..header_end(header)).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (whole, behind) = rest.split_at(field_length(rest));
        rest = behind;
        let line = whole.strip_suffix(b"\r\n").unwrap_or(whole);
        let colon = memchr::memchr(b':', line);
        let (name, value) = match colon {
            Some(colon) => line.split_at(colon),
            None => (b"".as_slice(), line),
        };
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        Some(Field { name: name.trim_ascii_end(), value, whole })
    })
}

/// Octets of the first field: up to a CRLF that no white space follows.
fn field_length(octets: &[u8]) -> usize {
    memmem::find_iter(octets, b"\r\n")
        .map(|at| at + 2)
        .find(|end| !matches!(octets.get(*end), Some(b' ' | b'\t')))
        .unwrap_or(octets.len())
}

/// Where the fields end: before the empty line, if there is one.
fn header_end(header: &[u8]) -> usize {
    if header == b"\r\n" {
        0
    } else if header.ends_with(b"\r\n\r\n") {
        header.len() - 2
    } else {
        header.len()
    }
}

/// Whether there is no NUL, and CR and LF stand only together. What shows a message to a person may end a line at either of them, and would
/// find a field that nobody else has seen.
pub(super) fn has_whole_lines(header: &[u8]) -> bool {
    memchr::memchr3_iter(b'\r', b'\n', 0, header).all(|at| match header.get(at) {
        Some(b'\r') => header.get(at + 1) == Some(&b'\n'),
        Some(b'\n') => at.checked_sub(1).and_then(|before| header.get(before)) == Some(&b'\r'),
        Some(_) | None => false,
    })
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The header section with one more field.
pub(super) fn with_field(header: &[u8], name: &str, value: &[u8], place: Place) -> Vec<u8> {
    let section = header.get(..header_end(header)).unwrap_or_default();
    let at = match place {
        Place::Top => 0,
        Place::Before(n) => fields(header).take(n as usize).map(|field| field.whole.len()).sum(),
        Place::End => section.len(),
    };
    let (above, below) = section.split_at(at.min(section.len()));
    let mut edited = Vec::with_capacity(header.len() + name.len() + value.len() + 8);
    edited.extend_from_slice(above);
    end_line(&mut edited);
    write_field(&mut edited, name.as_bytes(), value);
    edited.extend_from_slice(below);
    end_line(&mut edited);
    edited.extend_from_slice(b"\r\n");
    edited
}

fn end_line(octets: &mut Vec<u8>) {
    if !octets.is_empty() && !octets.ends_with(b"\r\n") {
        octets.extend_from_slice(b"\r\n");
    }
}

/// The header section with each field of that name, the n-th given to `change`, made into what it answers; and how many were
/// changed.
pub(super) fn rewritten(header: &[u8], name: &str, mut change: impl FnMut(u32) -> Rewrite) -> (Vec<u8>, u32) {
    let mut edited = Vec::with_capacity(header.len());
    let mut seen = 0;
    let mut changed = 0;
    for field in fields(header) {
        let rewrite = if field.name.eq_ignore_ascii_case(name.as_bytes()) {
            seen += 1;
            change(seen - 1)
        } else {
            Rewrite::Keep
        };
        match rewrite {
            Rewrite::Keep => edited.extend_from_slice(field.whole),
            Rewrite::Remove => changed += 1,
            Rewrite::Value(value) => {
                changed += 1;
                write_field(&mut edited, field.name, &value);
            }
        }
    }
    edited.extend_from_slice(header.get(header_end(header)..).unwrap_or_default());
    (edited, changed)
}

/// Whether an empty line ends the header section.
pub(super) fn is_closed(header: &[u8]) -> bool {
    header == b"\r\n" || header.ends_with(b"\r\n\r\n")
}

/// The header section of a message without body, ended by an empty line.
pub(super) fn closed(header: &[u8]) -> Vec<u8> {
    let mut closed = header.to_vec();
    end_line(&mut closed);
    closed.extend_from_slice(b"\r\n");
    closed
}
