//! Schedules: when a stream table is due.
//!
//! Forms: an interval (`500ms`, `5s`, `1h30m`, `5 minutes`), a number of seconds, a cron expression
//! of five or six fields or an alias (`@hourly`), and `calculated`: as soon as something upstream has
//! changed.

use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

/// The longest interval: ten years. Larger ones are more likely a mistake in the unit.
pub const MAX_INTERVAL_S: u64 = 10 * 366 * 24 * 60 * 60;

/// When a stream table is to be refreshed.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// When something that it reads has changed.
    Calculated,
    /// This long after the last refresh.
    Every(Duration),
    /// When the expression matches.
    Cron(Box<Cron>),
}

/// Why a text is not a schedule: a full sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSchedule(pub String);

/// When a cron expression matches next after `now`, in the time zone of this name (UTC if there is
/// none). `None`: never again.
pub fn next_match(cron: &Cron, now: SystemTime, time_zone: &str) -> Option<SystemTime> {
    let time_zone: Tz = time_zone.parse().unwrap_or(Tz::UTC);
    let now_ms = now.duration_since(UNIX_EPOCH).ok()?.as_millis();
    let now = DateTime::<Utc>::from_timestamp_millis(i64::try_from(now_ms).ok()?)?;
    let next = cron
        .find_next_occurrence(&now.with_timezone(&time_zone), false)
        .ok()?;
    let seconds = u64::try_from(next.timestamp()).ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// How long to wait after so many failures in a row: from half a second, doubled each time, up to
/// five minutes; `jitter` in 0..1 spreads it by a quarter either way.
pub fn backoff(consecutive_errors: u32, jitter: f64) -> Duration {
    let base_ms = 500_u64
        .saturating_mul(1 << consecutive_errors.saturating_sub(1).min(16))
        .min(300_000);
    Duration::from_millis(base_ms).mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("calculated") {
            Ok(Schedule::Calculated)
        } else if text.is_empty() {
            Err(InvalidSchedule("The schedule is empty.".into()))
        } else if text.starts_with('@') || is_cron(text) {
            parse_cron(text)
        } else {
            parse_interval(text).map(Schedule::Every)
        }
    }
}

/// Cron expressions have at least five fields; an interval with five words is none.
fn is_cron(text: &str) -> bool {
    text.contains(['*', '/', ',', '?'])
        || text.split_whitespace().count() >= 5 && !text.contains(|c: char| c.is_lowercase())
}

fn parse_cron(text: &str) -> Result<Schedule, InvalidSchedule> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .build()
        .parse(text)
        .map(|cron| Schedule::Cron(Box::new(cron)))
        .map_err(|error| {
            let why = error.to_string();
            InvalidSchedule(format!(
                "It is not a cron expression: {}.",
                why.trim_end_matches('.')
            ))
        })
}

/// A sum of numbers with units, the last of which may be missing only if it stands alone.
fn parse_interval(text: &str) -> Result<Duration, InvalidSchedule> {
    let mut total_ms: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.len() - after.trim_start_matches(char::is_alphabetic).len();
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err(InvalidSchedule(format!(
                "A number is missing before \"{rest}\"."
            )));
        }
        let unit_ms = if unit.is_empty() && number == text {
            1_000
        } else {
            unit_ms(unit)?
        };
        total_ms = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(unit_ms))
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= MAX_INTERVAL_S * 1_000)
            .ok_or_else(|| InvalidSchedule("The interval is longer than ten years.".into()))?;
        rest = after.trim_start();
    }
    if total_ms == 0 {
        return Err(InvalidSchedule(
            "The interval must be greater than zero.".into(),
        ));
    }
    Ok(Duration::from_millis(total_ms))
}

fn unit_ms(unit: &str) -> Result<u64, InvalidSchedule> {
    match unit.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => Ok(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Ok(1_000),
        "m" | "min" | "mins" | "minute" | "minutes" => Ok(60_000),
        "h" | "hour" | "hours" => Ok(3_600_000),
        "d" | "day" | "days" => Ok(86_400_000),
        "w" | "week" | "weeks" => Ok(604_800_000),
        "" => Err(InvalidSchedule("A unit is missing.".into())),
        other => Err(InvalidSchedule(format!(
            "\"{other}\" is not a unit of time."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(text: &str) -> Cron {
        match text.parse::<Schedule>() {
            Ok(Schedule::Cron(cron)) => *cron,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn cron_is_read_in_its_time_zone() {
        // 2026-01-15 12:00:00 UTC.
        let now = UNIX_EPOCH + Duration::from_secs(1_768_478_400);
        let after_h = |text: &str, zone: &str| {
            let next = next_match(&cron(text), now, zone).expect("a match");
            next.duration_since(now).expect("later").as_secs() / 3600
        };
        assert_eq!(after_h("0 15 * * *", "UTC"), 3);
        assert_eq!(after_h("0 15 * * *", "Europe/Vienna"), 2);
        assert_eq!(after_h("0 15 * * *", "nowhere"), 3);
        assert_eq!(after_h("@hourly", "UTC"), 1);
        let seconds = next_match(&cron("*/10 * * * * *"), now, "UTC").expect("a match");
        assert_eq!(seconds, now + Duration::from_secs(10));
    }

    #[test]
    fn backoff_grows_to_a_limit_and_is_spread() {
        let ms = |errors, jitter| backoff(errors, jitter).as_millis();
        assert_eq!([ms(1, 0.5), ms(2, 0.5), ms(4, 0.5)], [500, 1000, 4000]);
        assert_eq!([ms(1, 0.0), ms(1, 1.0)], [375, 625]);
        assert_eq!(ms(1000, 0.5), 300_000);
    }

    fn interval_ms(text: &str) -> u64 {
        match text.parse() {
            Ok(Schedule::Every(interval)) => interval.as_millis() as u64,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn intervals_have_units_and_bare_numbers_are_seconds() {
        for (text, ms) in [
            ("500ms", 500),
            ("5s", 5_000),
            ("1h30m", 5_400_000),
            ("5 minutes", 300_000),
            (" 1 day 2 hours ", 93_600_000),
            ("2 weeks", 1_209_600_000),
            ("60", 60_000),
            ("1H", 3_600_000),
        ] {
            assert_eq!(interval_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn cron_expressions_have_five_or_six_fields_or_an_alias() {
        for text in [
            "*/5 * * * *",
            "0 */2 * * * *",
            "@hourly",
            "@daily",
            "0 9 * * MON-FRI",
            "0 0 1 1 0",
        ] {
            assert!(matches!(text.parse(), Ok(Schedule::Cron(_))), "{text}");
        }
    }

    #[test]
    fn calculated_is_a_schedule() {
        assert!(matches!("Calculated".parse(), Ok(Schedule::Calculated)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, reason) in [
            ("", "The schedule is empty."),
            ("0", "The interval must be greater than zero."),
            ("0s", "The interval must be greater than zero."),
            ("5 parsecs", "\"parsecs\" is not a unit of time."),
            ("1h 30", "A unit is missing."),
            ("soon", "A number is missing before \"soon\"."),
            ("-5s", "A number is missing before \"-5s\"."),
            ("1.5s", "A unit is missing."),
            (
                "99999999999999999999s",
                "The interval is longer than ten years.",
            ),
            ("4000 days", "The interval is longer than ten years."),
        ] {
            let error = text.parse::<Schedule>().expect_err(text);
            assert_eq!(error.to_string(), reason, "{text}");
        }
        for text in ["* * *", "61 * * * *", "@fortnightly", "* * * * * * * *"] {
            let error = text.parse::<Schedule>().expect_err(text);
            let reason = error.to_string();
            assert!(
                reason.starts_with("It is not a cron expression: ") && !reason.ends_with(".."),
                "{text}: {reason}"
            );
        }
    }
}
