//! Compares one GPU with the others of its node by robust statistics: the median, and the median absolute deviation.
//!
//! A value is an outlier if there are at least [`FEWEST`] values, and it is further from the median than [`DISTANCES`]
//! scaled deviations and further than a minimum distance that the rule sets. Without that minimum, a GPU one degree
//! warmer than otherwise identical peers would be an outlier. Scaled by 1.4826, the median absolute deviation estimates
//! the standard deviation of a normal distribution (Rousseeuw and Croux 1993).

/// With fewer values than this, none can be called an outlier.
pub const FEWEST: usize = 4;
/// An outlier is more than this many scaled deviations from the median: at 6, one healthy GPU in 500 million is an
/// outlier.
pub const DISTANCES: f64 = 6.0;
/// From the median absolute deviation to the standard deviation of a normal distribution.
const SCALE: f64 = 1.4826;

/// The median; `None` for an empty slice.
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

/// On which side of the median a value is an outlier.
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

/// The value shared by more than half, if there are at least [`FEWEST`] values.
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
