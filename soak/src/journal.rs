//! Everything that happens in a run, one JSON object a line, in the order in which it happened.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Seconds since the run began; a resumed run goes on where it ended.
    pub t: f64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The run begins, or goes on.
    Start {
        /// From which everything random follows.
        seed: u64,
        /// How hard.
        profile: String,
        /// How long, at least.
        minutes: f64,
        /// How many stream tables.
        stream_tables: usize,
        /// Whether it goes on with an earlier one.
        resumed: bool,
    },
    /// Figures of about a second.
    Sample(Sample),
    /// Memory of a process of the server.
    Memory {
        /// Its process id.
        pid: i32,
        /// What it is.
        process: String,
        /// What is its own, in kB.
        anon_kb: u64,
    },
    /// A fault is about to strike.
    FaultBegin {
        /// Which.
        fault: String,
    },
    /// All is well again.
    FaultEnd {
        /// Which.
        fault: String,
        /// What it did.
        outcome: String,
        /// How long until all was well.
        recovered_s: f64,
    },
    /// A fault that cannot be made here.
    FaultSkipped {
        /// Which.
        fault: String,
        /// Why.
        reason: String,
    },
    /// A checker has looked.
    Check {
        /// Which.
        checker: String,
        /// At what.
        subject: String,
        /// What it found.
        found: String,
    },
    /// A change of a definition.
    Definition {
        /// The statement.
        sql: String,
    },
    /// An error that may happen, or is excused by a fault.
    Excused {
        /// To whom.
        who: String,
        /// The SQLSTATE.
        sqlstate: String,
        /// The message.
        message: String,
        /// The fault, if one was going on.
        fault: Option<String>,
    },
    /// Something that a run has to meet, for the first time.
    Seen {
        /// What.
        what: String,
    },
    /// Something that must not be.
    Violation {
        /// Who found it.
        checker: String,
        /// What.
        message: String,
    },
    /// The run is over.
    End {
        /// Whether it passed.
        passed: bool,
        /// Transactions that writers committed.
        committed: u64,
        /// Refreshes that the oracle judged in their own snapshot.
        judged: u64,
        /// How often was seen what has to be seen.
        seen: Vec<(String, u64)>,
    },
}

/// The file.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
    started: Instant,
    offset_s: f64,
}

impl Journal {
    /// Opens it for what comes; time goes on after what is there.
    pub fn open(path: &Path) -> Result<Self> {
        let offset_s = match path.exists() {
            true => read(path)?.last().map_or(0.0, |line| line.t),
            false => 0.0,
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .with_context(|| format!("could not open {}", path.display()))?;
        Ok(Self {
            file: Mutex::new(file),
            started: Instant::now(),
            offset_s,
        })
    }

    /// Seconds since the run began.
    pub fn now_s(&self) -> f64 {
        self.offset_s + self.started.elapsed().as_secs_f64()
    }

    /// Adds a line.
    pub fn write(&self, event: Event) {
        let line = Line {
            t: (self.now_s() * 1000.0).round() / 1000.0,
            event,
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_string(&line)
            .map_err(std::io::Error::from)
            .and_then(|text| writeln!(file, "{text}"));
        if let Err(error) = written {
            eprintln!("the journal cannot be written: {error}");
        }
    }
}

/// The lines of a journal. A last line that was cut off by a crash is no line.
pub fn read(path: &Path) -> Result<Vec<Line>> {
    let file = File::open(path).with_context(|| format!("could not open {}", path.display()))?;
    let texts: Vec<String> = BufReader::new(file).lines().collect::<Result<_, _>>()?;
    let count = texts.len();
    let mut lines = Vec::with_capacity(count);
    for (index, text) in texts.iter().enumerate() {
        match serde_json::from_str(text) {
            Ok(line) => lines.push(line),
            Err(_) if index + 1 == count => {}
            Err(error) => {
                let place = format!("{}:{}", path.display(), index + 1);
                return Err(error).context(place);
            }
        }
    }
    Ok(lines)
}

/// Figures of about a second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Commits of writers in a second.
    pub commits_per_s: f64,
    /// Their durations in ms: median, 95th and 99th percentile.
    pub commit_ms: [f64; 3],
    /// Refreshes that did something, in a second.
    pub refreshes_per_s: f64,
    /// Their durations in ms: median, 95th and 99th percentile.
    pub refresh_ms: [f64; 3],
    /// How far the heartbeat's copy is behind.
    pub staleness_s: f64,
    /// How far the end of the chain of stream tables is behind.
    pub deep_staleness_s: f64,
    /// All change buffers.
    pub buffer_bytes: u64,
    /// Their rows.
    pub buffer_rows: u64,
    /// All of pg_wal.
    pub wal_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_time_goes_on() {
        let path = std::env::temp_dir().join(format!("pgt-journal-{}", std::process::id()));
        let event = |fault: &str| Event::FaultBegin {
            fault: fault.into(),
        };
        let journal = Journal::open(&path).unwrap();
        journal.write(event("one"));
        std::fs::write(
            &path,
            "{\"t\":7.5,\"kind\":\"seen\",\"what\":\"x\"}\n{\"t\":8",
        )
        .unwrap();
        assert_eq!(read(&path).unwrap().len(), 1, "the cut line does not count");
        std::fs::write(&path, "{\"t\":7.5,\"kind\":\"seen\",\"what\":\"x\"}\n").unwrap();
        Journal::open(&path).unwrap().write(event("two"));
        let lines = read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(lines[1].event, event("two"));
        assert!(lines[1].t >= 7.5);
    }
}
