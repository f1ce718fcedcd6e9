//! The parameters that say when and how urgently: DELIVERBY (RFC 2852), FUTURERELEASE (RFC 4865), MT-PRIORITY (RFC 6710).
//!
//! What depends on the time of day is decided where the caller has told the date; otherwise the caller has to.

use super::Declared;
use crate::config::Config;
use crate::replies;
use crate::reply::Reply;

/// BY (RFC 2852 section 4): seconds, a mode and a trace flag. A time to return the message that has passed is no time, and one below our
/// least is not offered.
pub(crate) fn check_by(config: &Config, value: Option<&str>, declared: &mut Declared) -> Result<(), &'static Reply> {
    let (time, mode) = value.and_then(|value| value.split_once(';')).ok_or(&replies::PARAMETER_VALUE)?;
    let digits = time.strip_prefix(['-', '+']).unwrap_or(time);
    let seconds = seconds(digits).ok_or(&replies::PARAMETER_VALUE)?;
    let is_late = time.starts_with('-') || seconds == 0;
    let returns = match mode.strip_suffix(['T', 't']).unwrap_or(mode) {
        "R" | "r" => true,
        "N" | "n" => false,
        _ => return Err(&replies::PARAMETER_VALUE),
    };
    if returns && is_late {
        return Err(&replies::PARAMETER_VALUE);
    }
    if returns && seconds < config.promises.deliver_by_min_s {
        return Err(&replies::DELIVER_BY_TOO_SOON);
    }
    declared.deliver_by_s = Some(if is_late { 0 } else { seconds });
    Ok(())
}

/// HOLDFOR (RFC 4865 section 4).
pub(crate) fn check_hold_for(
    config: &Config,
    value: Option<&str>,
    declared: &mut Declared,
) -> Result<(), &'static Reply> {
    let seconds = value.and_then(seconds).ok_or(&replies::PARAMETER_VALUE)?;
    if seconds > config.promises.hold_max_s {
        return Err(&replies::HOLD_TOO_LONG);
    }
    declared.hold_for_s = Some(seconds);
    hold_once(declared)
}

/// HOLDUNTIL (RFC 4865 section 4). A time that has passed is none to hold a message until; and whoever names a time must not have it held
/// for longer than who names an interval.
pub(crate) fn check_hold_until(
    config: &Config,
    value: Option<&str>,
    declared: &mut Declared,
) -> Result<(), &'static Reply> {
    let time = value.and_then(read_date_time).ok_or(&replies::PARAMETER_VALUE)?;
    if time > config.promises.hold_until(declared.date) {
        return Err(&replies::HOLD_TOO_LONG);
    }
    if let Some(date) = declared.date {
        let left_s = time.checked_sub(date).filter(|left_s| *left_s > 0).ok_or(&replies::HOLD_PAST)?;
        declared.hold_for_s = u32::try_from(left_s).ok();
    }
    hold_once(declared)
}

/// Either parameter, not both.
fn hold_once(declared: &mut Declared) -> Result<(), &'static Reply> {
    match std::mem::replace(&mut declared.holds, true) {
        true => Err(&replies::PARAMETER_TWICE),
        false => Ok(()),
    }
}

/// MT-PRIORITY (RFC 6710 section 4.1): -9 to 9, without `-0` or a leading zero.
pub(crate) fn check_priority(_: &Config, value: Option<&str>, _: &mut Declared) -> Result<(), &'static Reply> {
    match value.map(str::as_bytes) {
        Some([b'0'..=b'9'] | [b'-', b'1'..=b'9']) => Ok(()),
        Some(_) | None => Err(&replies::PARAMETER_VALUE),
    }
}

/// One to nine digits.
fn seconds(digits: &str) -> Option<u32> {
    let is_number = (1..=9).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// Seconds since 1970 of a date and time as RFC 3339 section 5.6 writes it. None before 1970.
fn read_date_time(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let clock = time.get(..8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let mut zone = time.get(8..)?;
    if let Some(fraction) = zone.strip_prefix('.') {
        let behind = fraction.trim_start_matches(|character: char| character.is_ascii_digit());
        if behind.len() == fraction.len() {
            return None;
        }
        zone = behind;
    }
    let offset_s = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        (sign @ ("+" | "-"), offset) => {
            let [hours, minutes] = numbers(offset, ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * 60 * if sign == "+" { 1 } else { -1 }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    // Second 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset_s;
    u64::try_from(seconds).ok()
}

/// The date and time of these seconds since 1970, for the EHLO reply.
pub(crate) fn write_date_time(seconds: u64, line: &mut Vec<u8>) {
    let days = i64::try_from(seconds / 86_400).unwrap_or(i64::MAX).min(DAYS_MAX);
    // Month and year by trying: at most 8000 years and 12 months, once for each EHLO of a listener that has the extension.
    let mut year = 1970 + days / 366;
    while days_since_1970(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_since_1970(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days - days_since_1970(year, month, 1) + 1;
    let second = seconds % 86_400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
    line.extend_from_slice(text.as_bytes());
}

/// Numbers of exactly so many digits each.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits && part.bytes().all(|o| o.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days between 1970-01-01 and this date of the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the leap day is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

/// 9999-12-31.
const DAYS_MAX: i64 = 2_932_896;

#[cfg(test)]
mod tests {
    use super::{read_date_time, write_date_time};

    #[test]
    fn date_times() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(read_date_time(text), expected, "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2000-02-29T00:00:00Z", Some(951_782_400));
        check("2100-01-01T00:00:00Z", Some(4_102_444_800));
        check("1985-04-12t23:20:50.52z", Some(482_196_050));
        check("1996-12-19T16:39:57-08:00", Some(851_042_397));
        check("9999-12-31T23:59:59Z", Some(253_402_300_799));
        check("1969-12-31T23:59:59Z", None);
        check("1970-01-01T00:00:00+01:00", None);
        check("2100-02-29T00:00:00Z", None);
        check("2000-13-01T00:00:00Z", None);
        check("2000-00-01T00:00:00Z", None);
        check("2000-01-01T24:00:00Z", None);
        check("2000-01-01T00:00:00", None);
        check("2000-01-01T00:00:00.Z", None);
        check("2000-01-01T00:00:00+0100", None);
        check("2000-01-01T00:00:00+24:00", None);
        check("2000-01-01 00:00:00Z", None);
        check("200-01-01T00:00:00Z", None);
        check("+200-01-01T00:00:00Z", None);
        check("2000-01-01T00:0\u{e4}:00Z", None);
        check("", None);
    }

    #[test]
    fn date_times_round_trip() {
        for seconds in (0..253_402_300_799).step_by(86_399 * 997) {
            let mut line = Vec::new();
            write_date_time(seconds, &mut line);
            assert_eq!(read_date_time(std::str::from_utf8(&line).unwrap()), Some(seconds), "{line:?}");
        }
        let mut line = Vec::new();
        write_date_time(u64::MAX, &mut line);
        assert!(line.starts_with(b"9999-12-31T"));
    }
}
