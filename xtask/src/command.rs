//! Running other programs is xshell's work; here is what its commands lack: an error that carries what the program said,
//! output that goes to a log, and output that is shown and kept.

use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result, anyhow, bail};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// How many lines of a failed program's output are shown.
const TAIL_LINES: usize = 25;

/// The standard output of a program, trimmed; if it fails, an error with what it said.
pub fn output(command: impl Into<Command>) -> Result<String> {
    let mut command = command.into();
    let result = command.stdin(Stdio::null()).output();
    let result = result.with_context(|| format!("could not run {command:?}"))?;
    if !result.status.success() {
        let stderr = String::from_utf8_lossy(&result.stderr);
        bail!("{command:?} failed: {}", stderr.trim());
    }
    Ok(String::from_utf8_lossy(&result.stdout).trim().to_owned())
}

/// Passes the output through and returns it, and whether the command succeeded.
pub fn pass_through(command: impl Into<Command>) -> Result<(String, bool)> {
    let mut child = command
        .into()
        .stdout(Stdio::piped())
        .spawn()
        .context("could not run the program")?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow!("no stdout"))?;
    let mut printed = String::new();
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        printed.push_str(&line);
        printed.push('\n');
    }
    Ok((printed, child.wait()?.success()))
}

/// A program in a process group of its own: dropped, all that it has started is told to stop.
pub struct Group(Child);

impl Group {
    /// Starts it.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let child = command.process_group(0).spawn();
        Ok(Self(
            child.with_context(|| format!("could not run {command:?}"))?,
        ))
    }

    /// How it ended; `None` if it has not by then.
    pub fn wait(&mut self, until: Option<Instant>) -> Result<Option<ExitStatus>> {
        loop {
            let ended = self.0.try_wait()?;
            if ended.is_some() || until.is_some_and(|until| Instant::now() >= until) {
                return Ok(ended);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        let group = format!("-{}", self.0.id());
        if let Ok(sh) = Shell::new() {
            // It may have ended by itself.
            let _ = output(cmd!(sh, "kill -s INT -- {group}"));
        }
        // It has nothing to report.
        let _ = self.0.wait();
    }
}

/// Runs a program to its end with its output in `<cache>/logs/<log>.log`; the step's spinner shows
/// the last line. If the program fails, the error carries the end of that output.
pub fn logged(command: impl Into<Command>, log: &str, progress: &Progress) -> Result<()> {
    let mut command = command.into();
    let path = paths::cache().join(format!("logs/{log}.log"));
    // Xshell makes the folder, too.
    Shell::new()?.write_file(&path, format!("$ {command:?}\n"))?;
    let file = OpenOptions::new().append(true).open(&path)?;
    let sink = Mutex::new((file, VecDeque::with_capacity(TAIL_LINES)));

    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not run {command:?}"))?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow!("no stdout"))?;
    let stderr = child.stderr.take().ok_or_else(|| anyhow!("no stderr"))?;
    std::thread::scope(|scope| {
        scope.spawn(|| drain(stdout, &sink, progress));
        scope.spawn(|| drain(stderr, &sink, progress));
    });
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    let tail = sink
        .into_inner()
        .map(|(_, tail)| tail.into_iter().collect::<Vec<_>>().join("\n    "))
        .unwrap_or_default();
    bail!(
        "{command:?} failed ({status})\n    {tail}\n  whole output: {}",
        path.display()
    )
}

fn drain(stream: impl Read, sink: &Mutex<(File, VecDeque<String>)>, progress: &Progress) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        progress.detail(&line);
        if let Ok(mut sink) = sink.lock() {
            // A full disk must not hide the program's own failure.
            let _ = writeln!(sink.0, "{line}");
            if sink.1.len() == TAIL_LINES {
                sink.1.pop_front();
            }
            sink.1.push_back(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_reports_what_the_program_said() {
        let sh = Shell::new().unwrap();
        let script = "echo broken >&2; exit 3";
        let error = output(cmd!(sh, "sh -c {script}")).unwrap_err();
        let said = r#""sh" "-c" "echo broken >&2; exit 3" failed: broken"#;
        assert!(error.to_string().ends_with(said), "{error}");
    }

    #[test]
    fn a_group_stops_with_all_that_it_has_started() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60; true"]).stdout(Stdio::piped());
        let mut group = Group::spawn(shell).unwrap();
        let mut held = group.0.stdout.take().unwrap();
        let soon = Instant::now() + Duration::from_millis(300);
        assert_eq!(group.wait(Some(soon)).unwrap(), None);
        drop(group);
        // The end of the pipe comes when the last of them is gone.
        let mut said = String::new();
        assert_eq!(held.read_to_string(&mut said).unwrap(), 0);
    }
}
