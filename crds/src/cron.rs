//! Cron expressions with five fields, as a CronJob takes them. Only their validity: nothing starts runs yet. The crates that
//! parse them bring a second time library.

use crate::nearest;

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// The most days that each month has.
const DAYS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// One field of an expression.
struct Field {
    name: &'static str,
    min: u32,
    max: u32,
    /// Words for the numbers from `min` on.
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, words: &[] },
    Field { name: "hour", min: 0, max: 23, words: &[] },
    Field { name: "day of the month", min: 1, max: 31, words: &[] },
    Field { name: "month", min: 1, max: 12, words: MONTHS },
    // Both 0 and 7 are Sunday.
    Field { name: "day of the week", min: 0, max: 7, words: WEEKDAYS },
];

/// Whether this is a cron expression that comes true at some time; else why not.
pub fn check(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split_ascii_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!("{text:?} has {} fields instead of five, for example 0 3 * * 1-5", parts.len()));
    }
    let mut sets = [0_u64; 5];
    for ((set, field), part) in sets.iter_mut().zip(&FIELDS).zip(&parts) {
        *set = part.split(',').try_fold(0, |set, item| Ok::<_, String>(set | item_of(field, item)?))?;
    }
    let [_, _, days, months, _] = sets;
    // With a day of the week, either of the two is enough.
    let is_every_weekday = parts[4].starts_with('*');
    let comes = (1..=12_u32).filter(|month| months & (1 << month) != 0).any(|month| {
        let longest = DAYS.iter().zip(1..).find(|(_, number)| *number == month).map_or(0, |(days, _)| *days);
        (1..=longest).any(|day| days & (1 << day) != 0)
    });
    if comes || !is_every_weekday {
        Ok(())
    } else {
        Err(format!("{text:?} never comes true: no such month has day {}", parts[2]))
    }
}

/// The numbers of one item of a list, as bits: `*`, `5`, `1-5`, `*/10`, `mon-fri/2`.
fn item_of(field: &Field, item: &str) -> Result<u64, String> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| *step > 0)),
        None => (item, Some(1)),
    };
    let has_step = item.contains('/');
    let step = step.ok_or_else(|| format!("{}: {item:?} has no step above 0 after the slash", field.name))?;
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => (field.min, field.max),
        Some((first, last)) => (number(field, first)?, number(field, last)?),
        None => {
            let first = number(field, range)?;
            (first, if has_step { field.max } else { first })
        }
    };
    if first > last {
        return Err(format!("{}: {range:?} ends before it begins", field.name));
    }
    let numbers = (first..=last).filter(|n| (n - first) % step == 0);
    Ok(numbers.fold(0, |set, n| set | 1 << n))
}

fn number(field: &Field, text: &str) -> Result<u32, String> {
    let word = text.to_ascii_lowercase();
    let by_word = field.words.iter().zip(field.min..).find(|(known, _)| **known == word).map(|(_, number)| number);
    let is_number = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let by_digits = text.parse::<u32>().ok().filter(|n| is_number && (field.min..=field.max).contains(n));
    by_word.or(by_digits).ok_or_else(|| {
        let near = nearest::hint(text, field.words.iter().copied());
        format!("{}: {text:?} is no number from {} to {}{near}", field.name, field.min, field.max)
    })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_a_cron_job_takes_is_valid() {
        for text in [
            "0 3 * * *",
            "*/15 0-6,22 1,15 jan-mar MON-FRI",
            "0 0 29 2 *",
            "59 23 31 12 7",
            "0 0 31 2 mon",
            "5/10 * * * *",
            "0 3 * * */2",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn nonsense_is_told_with_its_field() {
        for (text, says) in [
            ("every night", "has 2 fields instead of five"),
            ("60 * * * *", "minute: \"60\" is no number from 0 to 59"),
            ("0 24 * * *", "hour: \"24\""),
            ("0 0 0 * *", "day of the month: \"0\""),
            ("0 0 * 13 *", "month: \"13\""),
            ("0 0 * * mom", "day of the week: \"mom\" is no number from 0 to 7; did you mean mon?"),
            ("0 0 * * 5-1", "day of the week: \"5-1\" ends before it begins"),
            ("*/0 * * * *", "minute: \"*/0\" has no step above 0"),
            ("*/x * * * *", "minute: \"*/x\" has no step above 0"),
            ("0 0 31 2 *", "never comes true: no such month has day 31"),
            ("0 0 31 apr,jun *", "never comes true"),
            ("+1 * * * *", "minute: \"+1\""),
            (", * * * *", "minute: \"\""),
            ("0 3 * * * *", "has 6 fields"),
        ] {
            let said = check(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
