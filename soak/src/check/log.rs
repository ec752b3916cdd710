//! No unexpected line in the server's log. Errors that sessions cause each other may come at any time, those of a
//! fault only while it lasts; everything else is a violation.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use crate::arena::Arena;

const WHO: &str = "log";

/// The prefix that [`judge`] expects.
pub const PREFIX: &str = "%m [%p] <%b> %e ";

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing to look at.
    Ordinary,
    /// May come at any time.
    Contention,
    /// May come during a fault.
    Fault,
    /// May not come.
    Unexpected,
}

/// Reads what is new, again and again, and once more at the end.
pub async fn watch(arena: Arc<Arena>) {
    let mut reader = LogReader::at_the_end(&arena);
    let mut counts = BTreeMap::new();
    loop {
        let is_last = !arena.is_running();
        for line in reader.new_lines(&arena) {
            judge(&arena, &line, &mut counts);
        }
        if is_last {
            break;
        }
        arena.rest(Duration::from_millis(500)).await;
    }
    for (what, count) in counts {
        arena.checked(WHO, &what, format!("{count} lines"));
    }
}

fn judge(arena: &Arena, line: &str, counts: &mut BTreeMap<String, u64>) {
    let class = classify(line);
    if class == Class::Ordinary {
        return;
    }
    let fault = arena.windows.current();
    if class == Class::Unexpected || (class == Class::Fault && fault.is_none()) {
        arena.violation(WHO, line);
        return;
    }
    let (_, rest) = line.split_once("> ").unwrap_or(("", line));
    *counts.entry(rest.chars().take(60).collect()).or_default() += 1;
}

/// The severity and what may be the reason.
fn classify(line: &str) -> Class {
    let Some((_, rest)) = line.split_once("> ") else {
        // A line that goes on, or of a program that is not the server.
        let is_crash = ["TRAP:", "panicked at", "PANIC"]
            .iter()
            .any(|sign| line.contains(sign));
        return if is_crash {
            Class::Unexpected
        } else {
            Class::Ordinary
        };
    };
    let (sqlstate, message) = rest.split_once(' ').unwrap_or(("", rest));
    let severity = message.split(':').next().unwrap_or_default();
    match severity {
        "PANIC" => Class::Unexpected,
        "ERROR" | "FATAL" | "WARNING" => of_sqlstate(severity, sqlstate, message),
        "LOG" if message.contains("was terminated by signal 9") => Class::Fault,
        "LOG" if message.contains("was terminated by signal") => Class::Unexpected,
        _ => Class::Ordinary,
    }
}

fn of_sqlstate(severity: &str, sqlstate: &str, message: &str) -> Class {
    match sqlstate {
        // Serialization, deadlock, lock not available, duplicate key, prepared transaction that has gone.
        "40001" | "40P01" | "55P03" | "23505" | "42704" => Class::Contention,
        // Autovacuum gives way to whoever wants a lock.
        "57014" if message.contains("canceling autovacuum task") => Class::Contention,
        // Ended, crashed, starting up, cancelled, connection lost.
        "57P01" | "57P02" | "57P03" | "57014" | "08006" | "08P01" => Class::Fault,
        // What a worker says of a refresh that failed ends with the reason.
        "01000"
            if message.contains("failed: canceling statement due to lock timeout")
                || message.contains("failed: deadlock detected")
                || message.contains("failed: could not serialize") =>
        {
            Class::Contention
        }
        "01000" if message.contains("failed: canceling statement due to user request") => {
            Class::Fault
        }
        _ if severity == "WARNING" && message.contains("terminating connection") => Class::Fault,
        _ if message.contains("terminating walreceiver") => Class::Fault,
        _ => Class::Unexpected,
    }
}

struct LogReader {
    position: u64,
    rest: String,
}

impl LogReader {
    /// What is there is of the time before the run.
    fn at_the_end(arena: &Arena) -> Self {
        let log = std::fs::metadata(arena.server.log_path());
        Self {
            position: log.map_or(0, |file| file.len()),
            rest: String::new(),
        }
    }

    /// The whole lines that have come since the last call.
    fn new_lines(&mut self, arena: &Arena) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = File::open(arena.server.log_path()).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.position))?;
            file.read_to_end(&mut bytes)
        });
        self.position += read.unwrap_or(0) as u64;
        self.rest.push_str(&String::from_utf8_lossy(&bytes));
        let Some(end) = self.rest.rfind('\n') else {
            return Vec::new();
        };
        let rest = self.rest.split_off(end + 1);
        let whole = std::mem::replace(&mut self.rest, rest);
        whole.lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_classified_by_severity_and_sqlstate() {
        let line = |text: &str| {
            classify(&format!(
                "2026-01-01 00:00:00.000 UTC [7] <client backend> {text}"
            ))
        };
        assert_eq!(
            line("00000 LOG:  checkpoint starting: time"),
            Class::Ordinary
        );
        assert_eq!(line("40P01 ERROR:  deadlock detected"), Class::Contention);
        assert_eq!(
            line("57014 ERROR:  canceling statement due to user request"),
            Class::Fault
        );
        assert_eq!(
            line("57014 ERROR:  canceling autovacuum task"),
            Class::Contention
        );
        assert_eq!(line("XX000 ERROR:  cache lookup failed"), Class::Unexpected);
        assert_eq!(
            line("00000 LOG:  server process (PID 1) was terminated by signal 11"),
            Class::Unexpected
        );
        assert_eq!(
            line("00000 LOG:  server process (PID 1) was terminated by signal 9: Killed"),
            Class::Fault
        );
        assert_eq!(classify("\tSTATEMENT that goes on"), Class::Ordinary);
        assert_eq!(classify("TRAP: failed Assert"), Class::Unexpected);
    }
}
