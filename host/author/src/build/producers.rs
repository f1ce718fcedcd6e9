//! The section of a component that says what it was made of: most toolchains leave it out, or name the language of their runtime.
//!
//! Its form is that of <https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md>; a component may have several.

/// With a section right behind the header, so that it is the first that is read: the language, and that we have built it.
pub(super) fn add(octets: Vec<u8>, language: &str) -> Vec<u8> {
    let Some((header, sections)) = octets.split_at_checked(HEADER_OCTETS) else { return octets };
    let field = |name: &str, value: &str, version: &str| [named(name), vec![1], named(value), named(version)].concat();
    let fields =
        [field("language", language, ""), field("processed-by", "postgate", env!("CARGO_PKG_VERSION"))].concat();
    let section = [named("producers"), vec![2], fields].concat();
    [header, &[CUSTOM_SECTION], &number(section.len()), &section, sections].concat()
}

/// A text behind its length.
fn named(text: &str) -> Vec<u8> {
    [number(text.len()), text.as_bytes().to_vec()].concat()
}

/// LEB128.
fn number(mut n: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    while n > 0x7f {
        octets.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    octets.push(n as u8);
    octets
}

const HEADER_OCTETS: usize = 8;
const CUSTOM_SECTION: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section() {
        let made = add(b"\0asm\x0d\0\x01\0rest".to_vec(), "C++");
        let version = env!("CARGO_PKG_VERSION");
        let section =
            [b"\x09producers\x02\x08language\x01\x03C++\0\x0cprocessed-by\x01\x08postgate".to_vec(), named(version)]
                .concat();
        assert_eq!(made, [&b"\0asm\x0d\0\x01\0\0"[..], &[section.len() as u8], &section, b"rest"].concat());
        assert_eq!(add(b"short".to_vec(), "C"), b"short");
    }

    #[test]
    fn numbers() {
        for (n, expected) in [(0, &[0][..]), (127, &[0x7f]), (128, &[0x80, 1]), (300, &[0xac, 2])] {
            assert_eq!(number(n), expected);
        }
    }
}
