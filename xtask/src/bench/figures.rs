//! Percentiles of measured durations, and how they are written.

use std::time::Duration;

/// The value below which `percent` of the sorted values lie (nearest rank), in milliseconds with one decimal.
pub(crate) fn percentile_ms(values: &[Duration], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).map_or(0.0, |value| milliseconds(*value))
}

/// Milliseconds with one decimal.
pub(crate) fn milliseconds(value: Duration) -> f64 {
    (value.as_secs_f64() * 10_000.0).round() / 10.0
}

/// How many times as long, with two decimals; 0 where there is nothing to compare with.
pub(crate) fn ratio(value: f64, floor: f64) -> f64 {
    if floor > 0.0 { (value / floor * 100.0).round() / 100.0 } else { 0.0 }
}

/// A duration as `{:?}` writes it: `1.5ms`, `987.6µs`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..unit].parse().ok()?;
    let seconds = match &text[unit..] {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::{percentile_ms, ratio};
    use std::time::Duration;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert!((percentile_ms(&values, 50) - 100.0).abs() < f64::EPSILON);
        assert!((percentile_ms(&values, 99) - 198.0).abs() < f64::EPSILON);
        assert!((percentile_ms(&values[..1], 99) - 1.0).abs() < f64::EPSILON);
    }
    #[test]
    fn a_ratio_has_two_decimals_and_needs_something_to_compare_with() {
        assert!((ratio(42.7, 25.0) - 1.71).abs() < f64::EPSILON);
        assert!(ratio(42.7, 0.0).abs() < f64::EPSILON);
    }
}
