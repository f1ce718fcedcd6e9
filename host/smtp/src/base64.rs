//! Base64 as AUTH needs it (RFC 4648 section 4, RFC 4954 section 4): strict, for nobody may hide octets in stray bits.

/// What the text stands for. None for a length that is not a multiple of four, an octet outside of the alphabet, padding
/// elsewhere than at the end, or bits behind the last octet that are not zero.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for &digit in group {
            bits = bits << 6 | u32::from(value(digit)?);
        }
        // 2, 3 or 4 digits stand for 1, 2 or 3 octets; what is left over of the last digit must be zero.
        let count = group.len() * 6 / 8;
        let stray = group.len() * 6 % 8;
        if count == 0 || bits & ((1 << stray) - 1) != 0 {
            return None;
        }
        let [_, group_octets @ ..] = (bits >> stray << (8 * (3 - count))).to_be_bytes();
        octets.extend(group_octets.iter().take(count));
    }
    Some(octets)
}

/// Appends the text for these octets.
pub fn encode(octets: &[u8], text: &mut Vec<u8>) {
    for group in octets.chunks(3) {
        let mut bits = [0; 4];
        for (to, from) in bits.iter_mut().skip(1).zip(group) {
            *to = *from;
        }
        let bits = u32::from_be_bytes(bits);
        for place in 0..4 {
            let digit = match place <= group.len() {
                true => ALPHABET.get((bits >> (18 - 6 * place) & 63) as usize).copied().unwrap_or(b'='),
                false => b'=',
            };
            text.push(digit);
        }
    }
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn round_trip() {
        let octets: Vec<u8> = (0..=255).collect();
        for length in 0..octets.len() {
            let mut text = Vec::new();
            encode(&octets[..length], &mut text);
            assert_eq!(decode(&text).as_deref(), Some(&octets[..length]));
        }
    }

    #[test]
    fn vectors() {
        // RFC 4648 section 10.
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(decode(text.as_bytes()), expected.map(|octets| octets.as_bytes().to_vec()), "{text}");
        };
        check("", Some(""));
        check("Zg==", Some("f"));
        check("Zm8=", Some("fo"));
        check("Zm9v", Some("foo"));
        check("Zm9vYmFy", Some("foobar"));
        check("Zg", None);
        check("Zg=", None);
        check("Zg===", None);
        check("=", None);
        check("====", None);
        check("Zh==", None);
        check("Zm9=", None);
        check("Z===", None);
        check("Zm9v\n", None);
        check("Zm=v", None);
        check("Zg==Zg==", None);
        check("Zm 9", None);
    }
}
