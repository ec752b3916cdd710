//! Running other programs: quietly with a log, or for their output.

use crate::paths;
use crate::ui::Progress;
use anyhow::{Context, Result, anyhow, bail};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// How many lines of a failed program's output are shown.
const TAIL_LINES: usize = 25;

/// The standard output of a program, trimmed; an error if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = display(command);
    let result = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not run `{shown}`"))?;
    if !result.status.success() {
        let stderr = String::from_utf8_lossy(&result.stderr);
        bail!("`{shown}` failed: {}", stderr.trim());
    }
    Ok(String::from_utf8_lossy(&result.stdout).trim().to_owned())
}

/// Whether a program can be run and succeeds.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Passes the output through and returns it, and whether the command succeeded.
pub fn pass_through(command: &mut Command) -> Result<(String, bool)> {
    let mut child = command
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

/// Runs a program to its end with its output in `<cache>/logs/<log>.log`; the step's spinner shows
/// the last line. If the program fails, the error carries the end of that output.
pub fn logged(command: &mut Command, log: &str, progress: &Progress) -> Result<()> {
    let shown = display(command);
    let dir = paths::cache().join("logs");
    std::fs::create_dir_all(&dir).with_context(|| format!("could not create {}", dir.display()))?;
    let path = dir.join(format!("{log}.log"));
    let mut file = File::create(&path)?;
    writeln!(file, "$ {shown}")?;
    let sink = Mutex::new((file, VecDeque::with_capacity(TAIL_LINES)));

    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not run `{shown}`"))?;
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
        "`{shown}` failed ({status})\n    {tail}\n  whole output: {}",
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

/// A command line as a person would type it.
pub fn display(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            if word.is_empty() || word.contains([' ', '\'', '"', '$', '*']) {
                format!("'{}'", word.replace('\'', r"'\''"))
            } else {
                word.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_displayed_so_that_it_can_be_pasted() {
        let mut command = Command::new("psql");
        command.args(["-c", "select 1", "-X"]);
        assert_eq!(display(&command), "psql -c 'select 1' -X");
    }

    #[test]
    fn output_reports_what_the_program_said() {
        let error = output(Command::new("sh").args(["-c", "echo broken >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().ends_with("failed: broken"), "{error}");
    }
}
