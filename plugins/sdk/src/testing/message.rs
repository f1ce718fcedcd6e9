//! A message with its header section taken apart, to be edited.

/// Fields as name and value, the value folded as it came, and the octets behind the empty line.
#[derive(Default)]
pub(super) struct Message {
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Of a text with lines that end with CRLF or LF.
    pub(super) fn parse(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let (header, body) = match text.strip_prefix('\n') {
            Some(body) => ("", body),
            None => text.split_once("\n\n").unwrap_or((text.as_str(), "")),
        };
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for line in header.lines() {
            match (line.starts_with([' ', '\t']), fields.last_mut()) {
                (true, Some((_, value))) => {
                    value.extend_from_slice(b"\r\n");
                    value.extend_from_slice(line.as_bytes());
                }
                _ => {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    fields.push((name.to_owned(), value.strip_prefix(' ').unwrap_or(value).as_bytes().to_vec()));
                }
            }
        }
        Self { fields, body: body.replace('\n', "\r\n").into_bytes() }
    }

    /// The whole, as the host would give it.
    pub(super) fn octets(&self) -> Vec<u8> {
        let mut octets = self.header();
        octets.extend_from_slice(&self.body);
        octets
    }

    /// The header section and the empty line.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for (name, value) in &self.fields {
            octets.extend_from_slice(name.as_bytes());
            octets.extend_from_slice(b": ");
            octets.extend_from_slice(value);
            octets.extend_from_slice(b"\r\n");
        }
        octets.extend_from_slice(b"\r\n");
        octets
    }

    /// The values of a name.
    pub(super) fn values(&self, name: &str) -> Vec<Vec<u8>> {
        self.fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
            .collect()
    }
}
