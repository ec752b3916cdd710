//! A shell that waits for the end of a pipe that only we hold open, and then cleans up after us: when our process ends, by
//! whatever means, the kernel closes the pipe.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// The shell; dropping it has it do its work.
#[derive(Debug)]
pub struct WaitingShell {
    child: Child,
}

impl WaitingShell {
    /// Starts it. The script reads standard input to its end before it cleans up.
    ///
    /// # Errors
    /// If no shell can be started.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        script: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> io::Result<Self> {
        let child = Command::new("/bin/sh")
            .args(["-c", script, name])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()?;
        Ok(Self { child })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it do its work now, and waits for it.
    pub fn finish(&mut self) {
        drop(self.child.stdin.take());
        // The shell has nothing to report; a failure to wait leaves only a zombie.
        let _ = self.child.wait();
    }
}

impl Drop for WaitingShell {
    fn drop(&mut self) {
        self.finish();
    }
}
