//! The server's log: reading it, and finding crashes in it.

use std::fs;

use super::server::Cluster;

/// A place in the log, to look only at what came later.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct LogMark(u64);

/// What a server writes when something died that should not have, or left behind what it had opened.
const CRASH_SIGNS: [&str; 6] = [
    "was terminated by signal",
    "PANIC:",
    "TRAP:",
    "terminating any other active server processes",
    "server process crashed",
    "resource was not closed",
];

impl Cluster {
    /// The whole log.
    pub fn log(&self) -> String {
        self.log_since(LogMark(0))
    }

    /// Where the log ends now.
    pub fn log_mark(&self) -> LogMark {
        LogMark(fs::metadata(self.log_path()).map_or(0, |meta| meta.len()))
    }

    /// What was logged after the mark.
    pub fn log_since(&self, mark: LogMark) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        let start = usize::try_from(mark.0)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        String::from_utf8_lossy(&bytes[start..]).into_owned()
    }

    /// The last lines of the log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Log lines since the mark that tell of a crashed process or a failed assertion.
    pub fn crashes_since(&self, mark: LogMark) -> Vec<String> {
        crash_lines(&self.log_since(mark))
    }
}

/// The lines of a server's log that tell of a crash.
pub fn crash_lines(log: &str) -> Vec<String> {
    log.lines()
        .filter(|line| CRASH_SIGNS.iter().any(|sign| line.contains(sign)))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_backend_is_a_crash_and_an_ordinary_error_is_not() {
        let log = "2026 [1] db ERROR:  division by zero\n\
                   2026 [2]  LOG:  client backend (PID 7) was terminated by signal 11: Segmentation fault\n\
                   TRAP: failed Assert(\"x\"), File: \"a.c\"\n";
        assert_eq!(crash_lines(log).len(), 2);
    }
}
