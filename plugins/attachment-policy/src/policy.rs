//! The policy: the plugin's table of the configuration, and what it says of a part.

use postgate_sdk::parts::Part;
use serde::Deserialize;

use crate::content::Content;

/// `[plugin.NAME.config]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Policy {
    pub(crate) action: Action,
    /// The label of what goes into quarantine.
    #[serde(deserialize_with = "label")]
    pub(crate) label: String,
    extensions: Vec<String>,
    media_types: Vec<String>,
    programs: bool,
    archives: bool,
    encrypted_archives: bool,
    max_octets: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    Reject,
    Quarantine,
    Remove,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            action: Action::Reject,
            label: "attachment".to_owned(),
            extensions: EXECUTABLE.iter().map(|extension| (*extension).to_owned()).collect(),
            media_types: Vec::new(),
            programs: true,
            archives: false,
            encrypted_archives: true,
            max_octets: None,
        }
    }
}

/// Why a part is not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Extension,
    MediaType,
    Program,
    Archive,
    EncryptedArchive,
    EncodedMessage,
    TooLarge,
}

impl Finding {
    /// For the reply and the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Extension => "a file of this kind",
            Self::MediaType => "this media type",
            Self::Program => "a program",
            Self::Archive => "an archive",
            Self::EncryptedArchive => "an encrypted archive",
            Self::EncodedMessage => "an encoded message",
            Self::TooLarge => "too large",
        }
    }
}

impl Policy {
    /// Why a part is not wanted; `first` is the beginning of its content.
    pub(crate) fn finding(&self, part: &Part, holds_others: bool, first: &[u8]) -> Option<Finding> {
        if part.file_name.as_deref().is_some_and(|name| self.has_extension(name)) {
            return Some(Finding::Extension);
        }
        if self.media_types.iter().any(|pattern| matches(pattern, &part.media_type)) {
            return Some(Finding::MediaType);
        }
        if holds_others {
            return None;
        }
        if part.media_type.starts_with("message/") && part.size > 0 && part.media_type != "message/delivery-status" {
            let looks_within = matches!(part.media_type.as_str(), "message/rfc822" | "message/global");
            return looks_within.then_some(Finding::EncodedMessage);
        }
        if self.max_octets.is_some_and(|max| part.attachment && part.size > max) {
            return Some(Finding::TooLarge);
        }
        match Content::of(first) {
            Content::Program => self.programs.then_some(Finding::Program),
            Content::EncryptedArchive if self.encrypted_archives => Some(Finding::EncryptedArchive),
            Content::Archive | Content::EncryptedArchive => self.archives.then_some(Finding::Archive),
            Content::Other => None,
        }
    }

    /// Windows does not mind dots and spaces behind a name, and neither do we.
    fn has_extension(&self, name: &str) -> bool {
        let name = name.trim_end_matches(|end: char| end == '.' || end.is_whitespace() || end.is_control());
        let Some((_, extension)) = name.rsplit_once('.') else { return false };
        self.extensions.iter().any(|unwanted| unwanted.trim_start_matches('.').eq_ignore_ascii_case(extension))
    }
}

/// `video/*` is every video.
fn matches(pattern: &str, media_type: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => media_type.get(..begin.len()).is_some_and(|start| start.eq_ignore_ascii_case(begin)),
        None => pattern.eq_ignore_ascii_case(media_type),
    }
}

/// What stands in the place of a part that was removed.
pub(crate) fn note(part: &Part, finding: Finding) -> String {
    let name: String =
        part.file_name.iter().flat_map(|name| name.chars()).filter(|one| !one.is_control()).take(100).collect();
    let name = if name.is_empty() { part.media_type.clone() } else { name };
    format!("The attachment \"{name}\" was removed: {}.\r\n", finding.name())
}

fn label<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let label = String::deserialize(deserializer)?;
    let is_label =
        (1..=64).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    if is_label { Ok(label) } else { Err(serde::de::Error::custom("a label has 1 to 64 letters, digits and '-'")) }
}

/// What Windows, macOS and their programs run when it is opened.
const EXECUTABLE: [&str; 56] = [
    "ade",
    "adp",
    "apk",
    "app",
    "application",
    "appref-ms",
    "bat",
    "chm",
    "cmd",
    "com",
    "cpl",
    "diagcab",
    "dll",
    "dmg",
    "exe",
    "gadget",
    "hlp",
    "hta",
    "img",
    "inf",
    "ins",
    "iso",
    "jar",
    "job",
    "js",
    "jse",
    "library-ms",
    "lnk",
    "mde",
    "msc",
    "msh",
    "msi",
    "msp",
    "mst",
    "one",
    "pif",
    "ps1",
    "ps1xml",
    "psc1",
    "reg",
    "scf",
    "scr",
    "settingcontent-ms",
    "sct",
    "shb",
    "sys",
    "url",
    "vb",
    "vbe",
    "vbs",
    "vhd",
    "vhdx",
    "ws",
    "wsc",
    "wsf",
    "wsh",
];

#[cfg(test)]
mod tests {
    use postgate_sdk::config;

    use super::*;

    fn part(media_type: &str, file_name: &str, size: u64) -> Part {
        Part {
            number: 1,
            parent: Some(0),
            media_type: media_type.to_owned(),
            charset: None,
            file_name: Some(file_name.to_owned()).filter(|name| !name.is_empty()),
            attachment: true,
            content_id: None,
            size,
        }
    }

    #[test]
    fn findings() {
        let json = r#"{"media-types": ["video/*", "application/x-shockwave-flash"], "max-octets": 1000}"#;
        let policy: Policy = config::parse(json).expect("invariant: the sample is right");
        let check = |media_type: &str, name: &str, first: &[u8], expected: Option<Finding>| {
            assert_eq!(policy.finding(&part(media_type, name, 5), false, first), expected, "{media_type} {name}");
        };
        check("image/png", "a.png", b"\x89PNG", None);
        check("image/png", "", b"\x89PNG", None);
        check("application/pdf", "invoice.pdf.EXE", b"", Some(Finding::Extension));
        check("application/pdf", "invoice.exe. .", b"", Some(Finding::Extension));
        check("application/pdf", "exe", b"%PDF", None);
        check("video/mp4", "a.mp4", b"", Some(Finding::MediaType));
        check("Application/X-Shockwave-Flash", "", b"", Some(Finding::MediaType));
        check("image/png", "a.png", b"MZ\x90\0", Some(Finding::Program));
        check("application/zip", "a.zip", b"PK\x03\x04\x14\0\0\0", None);
        check("application/zip", "a.zip", b"PK\x03\x04\x14\0\x01\0", Some(Finding::EncryptedArchive));
        check("message/rfc822", "", b"TWFu", Some(Finding::EncodedMessage));
        assert_eq!(policy.finding(&part("message/rfc822", "", 5), true, b""), None);
        assert_eq!(policy.finding(&part("image/png", "", 1001), false, b""), Some(Finding::TooLarge));
    }

    #[test]
    fn settings() {
        let error =
            |json: &str| config::parse::<Policy>(json).map(drop).expect_err("invariant: it is wrong").to_string();
        assert!(error(r#"{"action": "delete"}"#).starts_with("action: unknown variant"));
        assert!(error(r#"{"label": "a b"}"#).starts_with("label: a label has"));
        assert!(error(r#"{"extension": []}"#).contains("unknown field"));
    }

    #[test]
    fn notes_have_no_control_characters() {
        let note = note(&part("image/png", "a\r\n\u{7}b.exe", 1), Finding::Extension);
        assert_eq!(note, "The attachment \"ab.exe\" was removed: a file of this kind.\r\n");
    }
}
