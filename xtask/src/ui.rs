//! What a person sees: numbered steps with progress and elapsed time.
//!
//! On a terminal a running step is a spinner with the last line of output; elsewhere it says that it
//! started and then, every half minute, that it is still there.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

const HEARTBEAT: Duration = Duration::from_secs(30);

/// A run of numbered steps.
pub struct Steps {
    total: usize,
    done: usize,
    started: Instant,
}

/// The running step; tells the spinner what is going on.
pub struct Progress {
    bar: Option<ProgressBar>,
    title: String,
    started: Instant,
    last_said: Mutex<Instant>,
}

impl Steps {
    /// Announces a run of `total` steps.
    pub fn new(total: usize) -> Self {
        Self {
            total,
            done: 0,
            started: Instant::now(),
        }
    }

    /// Runs one step. The work returns what it found or did, in a few words.
    pub fn step<T>(
        &mut self,
        title: &str,
        work: impl FnOnce(&Progress) -> Result<(T, String)>,
    ) -> Result<T> {
        self.done += 1;
        let label = format!("[{}/{}] {title}", self.done, self.total);
        let progress = Progress::start(&label);
        let result = work(&progress);
        progress.stop();
        let took = elapsed(progress.started);
        match &result {
            Ok((_, outcome)) => eprintln!("{label}: {outcome} ({took})"),
            Err(_) => eprintln!("{label}: failed ({took})"),
        }
        result.map(|(value, _)| value)
    }

    /// Notes a step that was done without a spinner.
    pub fn done(&mut self, title: &str, outcome: &str, started: Instant) {
        self.done += 1;
        eprintln!(
            "[{}/{}] {title}: {outcome} ({})",
            self.done,
            self.total,
            elapsed(started)
        );
    }

    /// Time since the first step, for the closing line.
    pub fn elapsed(&self) -> String {
        elapsed(self.started)
    }
}

impl Progress {
    fn start(label: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {prefix} [{elapsed}] {wide_msg}")
            {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self {
            bar,
            title: label.to_owned(),
            started: Instant::now(),
            last_said: Mutex::new(Instant::now()),
        }
    }

    /// Starts a new phase within the step, worth a line of its own.
    pub fn phase(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("      {text}")),
            None => eprintln!("      {text}"),
        }
    }

    /// Shows passing detail.
    pub fn detail(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        } else if let Ok(mut last) = self.last_said.lock()
            && last.elapsed() >= HEARTBEAT
        {
            *last = Instant::now();
            eprintln!("      {} … {}", self.title, elapsed(self.started));
        }
    }

    fn stop(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What the process ends with.
pub fn exit(succeeded: bool) -> ExitCode {
    ExitCode::from(u8::from(!succeeded))
}

/// A duration as people say it.
pub fn elapsed(since: Instant) -> String {
    let seconds = since.elapsed().as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", seconds as u64 / 60, seconds as u64 % 60)
    }
}
