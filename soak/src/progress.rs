//! How the run is going: a line that is renewed on a terminal, and one line in ten seconds elsewhere.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::arena::Arena;

/// Elsewhere, how often.
const PERIOD: Duration = Duration::from_secs(10);

/// Shows until the run is over.
pub async fn show(arena: Arc<Arena>, length: Duration) {
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new(length.as_secs());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed}/{len} s {wide_msg}") {
            bar.set_style(style);
        }
        bar
    });
    let mut last = Instant::now();
    while arena.is_running() {
        let line = line(&arena);
        if let Some(bar) = &bar {
            bar.set_position(arena.journal.now_s() as u64);
            bar.set_message(line);
        } else if last.elapsed() >= PERIOD {
            last = Instant::now();
            eprintln!("{:6.0} s {line}", arena.journal.now_s());
        }
        arena.rest(Duration::from_millis(500)).await;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn line(arena: &Arena) -> String {
    format!(
        "{} commits, {} judged, {} violations{}",
        arena.committed.load(Ordering::Relaxed),
        arena.judged.load(Ordering::Relaxed),
        arena.violations().len(),
        arena
            .windows
            .current()
            .map(|fault| format!(", {fault}"))
            .unwrap_or_default()
    )
}
