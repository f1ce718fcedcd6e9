//! Arithmetic of what was measured.

use std::fmt;

/// A median, and how far the values are apart.
#[derive(Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    least: f64,
    greatest: f64,
}

impl Spread {
    /// `None` without values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let (lower, upper) = (sorted.get((sorted.len() - 1) / 2)?, sorted.get(sorted.len() / 2)?);
        Some(Self { median: f64::midpoint(*lower, *upper), least, greatest })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.2} ({:.2}..{:.2})", self.median, self.least, self.greatest)
    }
}

/// A cost against the mean of the baseline's just before and just after. `None` if that is nothing.
pub(super) fn ratio(cost: f64, before: f64, after: f64) -> Option<f64> {
    let baseline = f64::midpoint(before, after);
    (baseline > 0.0).then(|| cost / baseline)
}

/// What is more in the first, turn by turn.
pub(super) fn differences(with: &[f64], without: &[f64]) -> Vec<f64> {
    with.iter().zip(without).map(|(with, without)| with - without).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let check = |values: &[f64], median, least, greatest| {
            assert_eq!(Spread::of(values), Some(Spread { median, least, greatest }), "{values:?}");
        };
        check(&[7.0], 7.0, 7.0, 7.0);
        check(&[3.0, 1.0], 2.0, 1.0, 3.0);
        check(&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0);
        check(&[4.0, 100.0, 1.0, 2.0], 3.0, 1.0, 100.0);
        check(&[5.0, 5.0, 1.0, 5.0, 9.0], 5.0, 1.0, 9.0);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_is_against_both_neighbours() {
        assert_eq!(ratio(90.0, 80.0, 100.0), Some(1.0));
        assert_eq!(ratio(30.0, 40.0, 80.0), Some(0.5));
        assert_eq!(ratio(30.0, 0.0, 0.0), None);
        assert_eq!(ratio(30.0, f64::NAN, 1.0), None);
    }

    #[test]
    fn differences_are_of_one_turn() {
        assert_eq!(differences(&[3.0, 5.0, 9.0], &[1.0, 6.0]), [2.0, -1.0]);
    }

    #[test]
    fn a_spread_is_written_with_two_places() {
        let spread = Spread::of(&[1.017, 0.9, 1.25]).expect("there are values");
        assert_eq!(spread.to_string(), "1.02 (0.90..1.25)");
    }
}
