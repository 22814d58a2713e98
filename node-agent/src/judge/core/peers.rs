//! One GPU against the others of its node, by robust statistics: the median, and the median of the distances from it.
//!
//! A value is an outlier if there are at least [`FEWEST`] values, and it lies further from the median than
//! [`DISTANCES`] scaled median distances and further than a smallest distance that the rule names, so that a node whose
//! GPUs are all alike does not condemn the one that is a degree warmer. Scaled by 1.4826 the median distance estimates
//! the standard deviation of a normal distribution (Rousseeuw and Croux 1993).

/// Fewer values than this say nothing about one of them.
pub const FEWEST: usize = 4;
/// How many scaled median distances an outlier is away: 6 lets one healthy GPU in 500 million pass for odd.
pub const DISTANCES: f64 = 6.0;
/// From the median distance to the standard deviation of a normal distribution.
const SCALE: f64 = 1.4826;

/// The median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => sorted.get(middle).copied(),
        _ => Some(f64::midpoint(*sorted.get(middle - 1)?, *sorted.get(middle)?)),
    }
}

/// Which sides of the median are odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Only values above it.
    Above,
    /// Only values below it.
    Below,
}

/// The targets whose value is an outlier, with the value and the median.
pub fn outliers<'a>(values: &[(&'a str, f64)], side: Side, at_least: f64) -> Vec<(&'a str, f64, f64)> {
    if values.len() < FEWEST {
        return Vec::new();
    }
    let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    let Some(middle) = median(&numbers) else { return Vec::new() };
    let distances: Vec<f64> = numbers.iter().map(|value| (value - middle).abs()).collect();
    let spread = median(&distances).unwrap_or_default() * SCALE;
    let limit = at_least.max(spread * DISTANCES);
    let is_odd = |value: f64| match side {
        Side::Above => value - middle > limit,
        Side::Below => middle - value > limit,
    };
    values.iter().filter(|(_, value)| is_odd(*value)).map(|(target, value)| (*target, *value, middle)).collect()
}

/// The value that more than half of at least [`FEWEST`] have.
pub fn majority<T: Copy + PartialEq>(values: &[T]) -> Option<T> {
    if values.len() < FEWEST {
        return None;
    }
    let times = |value: &T| values.iter().filter(|other| *other == value).count();
    values.iter().find(|value| times(value) * 2 > values.len()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_gpu_among_eight_is_odd_and_a_warm_one_is_not() {
        let at = |hot: f64| {
            let all =
                [("a", 60.0), ("b", 61.0), ("c", 59.0), ("d", 62.0), ("e", 60.0), ("f", 58.0), ("g", 61.0), ("h", hot)];
            outliers(&all, Side::Above, 10.0).len()
        };
        assert_eq!((at(85.0), at(68.0)), (1, 0));
    }

    #[test]
    fn fewer_than_four_have_no_majority() {
        assert!(outliers(&[("a", 0.0), ("b", 0.0), ("c", 900.0)], Side::Above, 1.0).is_empty());
    }

    #[test]
    fn a_second_sick_gpu_does_not_hide_the_first() {
        let all = [("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0), ("e", 900.0), ("f", 800.0)];
        assert_eq!(outliers(&all, Side::Above, 1.0).len(), 2);
    }
}
