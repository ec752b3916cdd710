//! A server in a container, driven by the engine's client.
//!
//! Its volume, its socket and its log are folders of the run, and it shares the process ids of this machine, so that
//! faults and checkers find them where they find those of a private server. It has no network.
//!
//! **Invariant:** the container goes with its value; the volume stays.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use harness::backend::Backend;
use harness::cluster::StopMode;

use super::Server;

/// The image, unless `PGT_IMAGE` names another.
const IMAGE: &str = "pg-trickle-local:dev";

/// Where the image has volume, data and socket, and a standby the socket of its primary.
const VOLUME: &str = "/var/lib/postgresql";
const DATA: &str = "/var/lib/postgresql/data";
const SOCKETS: &str = "/var/run/postgresql";
const PRIMARY: &str = "/primary";

/// How long starting and stopping may take; crash recovery included.
const DEADLINE: Duration = Duration::from_secs(120);

/// The log is a file of the volume.
const LOG: [(&str, &str); 6] = [
    ("logging_collector", "on"),
    ("log_directory", VOLUME),
    ("log_filename", "server.log"),
    ("log_rotation_age", "0"),
    ("log_rotation_size", "0"),
    ("max_worker_processes", "32"),
];

/// A container with one server.
#[derive(Debug)]
pub struct Container {
    name: String,
    volume: PathBuf,
    sockets: PathBuf,
    // A standby's volume is of no use without it.
    is_standby: bool,
}

impl Backend for Container {
    fn socket_dir(&self) -> &Path {
        &self.sockets
    }

    fn port(&self) -> u16 {
        5432
    }
}

impl Container {
    /// Runs one over this volume, with a new data directory if it has none.
    pub fn start(volume: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        open_to_all(volume)?;
        let data = volume.join("data");
        if !data.join("PG_VERSION").exists() {
            init(volume)?;
        }
        let lines: String = LOG
            .iter()
            .chain(settings)
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect();
        // Not as arguments of the server, which `ALTER SYSTEM` would not change.
        OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))?
            .write_all(lines.as_bytes())?;
        Self::run(volume, &[], &[], false)
    }

    fn run(volume: &Path, mounts: &[String], arguments: &[&str], is_standby: bool) -> Result<Self> {
        let kind = if is_standby { "standby" } else { "server" };
        let container = Self {
            name: format!("pgt-soak-{}-{kind}", std::process::id()),
            volume: volume.to_owned(),
            sockets: volume.join("sockets"),
            is_standby,
        };
        fs::create_dir_all(&container.sockets)?;
        open_to_all(&container.sockets)?;
        let mut docker = docker(&["create", "--name", &container.name]);
        docker
            .args(["--network", "none", "--pid", "host"])
            .args(["--volume", &format!("{}:{VOLUME}", volume.display())])
            .args([
                "--volume",
                &format!("{}:{SOCKETS}", container.sockets.display()),
            ]);
        for mount in mounts {
            docker.args(["--volume", mount]);
        }
        output(docker.arg(image()).args(arguments))?;
        container.launch()?;
        Ok(container)
    }

    fn is_running(&self) -> Result<bool> {
        let asked = output(&mut docker(&[
            "inspect",
            "--format",
            "{{.State.Running}}",
            &self.name,
        ]))?;
        Ok(asked == "true")
    }

    /// An error with what the container and its server have said.
    fn failed<T>(&self, what: &str) -> Result<T> {
        let said = output(&mut docker(&["logs", "--tail", "10", &self.name])).unwrap_or_default();
        bail!(
            "the server in the container {what}: {said}\n{}",
            self.log_tail(20)
        )
    }
}

impl Server for Container {
    fn data_dir(&self) -> PathBuf {
        self.volume.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.volume.join("server.log")
    }

    fn launch(&self) -> Result<()> {
        output(&mut docker(&["start", &self.name]))?;
        self.wait_ready()
    }

    fn wait_ready(&self) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if !self.is_running()? {
                return self.failed("ended while starting");
            }
            let mut probe = docker(&["exec", &self.name, "pg_isready", "--quiet"]);
            if probe.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.failed("did not become ready in time")
    }

    fn stop(&self, mode: StopMode) -> Result<()> {
        let signal = match mode {
            StopMode::Smart => "SIGTERM",
            StopMode::Fast => "SIGINT",
            StopMode::Immediate => "SIGQUIT",
            StopMode::Kill => "SIGKILL",
        };
        output(&mut docker(&["kill", "--signal", signal, &self.name]))?;
        let end = Instant::now() + DEADLINE;
        while self.is_running()? {
            if Instant::now() > end {
                return self.failed("did not stop in time");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn standby(&self) -> Result<Box<dyn Server>> {
        let volume = self.volume.join("standby");
        if volume.exists() {
            fs::remove_dir_all(&volume)?;
        }
        fs::create_dir(&volume)?;
        open_to_all(&volume)?;
        let mut copy = docker(&["exec", &self.name, "pg_basebackup", "--username=postgres"]);
        copy.arg(format!("--pgdata={VOLUME}/standby/data"));
        output(copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]))?;
        let primary = format!("{}:{PRIMARY}", self.sockets.display());
        let conninfo = format!("primary_conninfo=host={PRIMARY} user=postgres");
        let standby = Self::run(&volume, &[primary], &["-c", &conninfo], true)?;
        Ok(Box::new(standby))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What cannot be removed goes with the engine.
        let _ = output(&mut docker(&["rm", "--force", &self.name]));
        if self.is_standby {
            let _ = fs::remove_dir_all(&self.volume);
        }
    }
}

/// Makes a data directory, as the image's own account.
fn init(volume: &Path) -> Result<()> {
    let mut docker = docker(&["run", "--rm", "--network", "none", "--entrypoint", "initdb"]);
    docker
        .args(["--volume", &format!("{}:{VOLUME}", volume.display())])
        .arg(image())
        .args(["--pgdata", DATA, "--username", "postgres"])
        .args(["--auth", "trust", "--encoding", "UTF8", "--no-locale"])
        .arg("--no-sync");
    output(&mut docker).map(|_| ())
}

fn image() -> String {
    std::env::var("PGT_IMAGE").unwrap_or_else(|_| IMAGE.to_owned())
}

fn docker(arguments: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(arguments).stdin(Stdio::null());
    docker
}

/// What the client prints; an error if it fails.
fn output(docker: &mut Command) -> Result<String> {
    let result = docker.output().context("could not run docker")?;
    if !result.status.success() {
        let said = String::from_utf8_lossy(&result.stderr);
        bail!("{docker:?} failed: {}", said.trim());
    }
    Ok(String::from_utf8_lossy(&result.stdout).trim().to_owned())
}

/// Lets the account of the container write to a folder of this machine.
fn open_to_all(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(
        folder,
        fs::Permissions::from_mode(0o777),
    )?)
}
