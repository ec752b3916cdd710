//! The server of a run: a private one of this machine, or one in a container whose files and processes this machine
//! sees as well, so that the same faults can be made and the same checks hold.

mod container;

pub use container::Container;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use harness::backend::Backend;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir, StopMode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::folder::Folder;

/// A server with its files and processes.
pub trait Server: Backend + Send {
    /// Its data directory.
    fn data_dir(&self) -> PathBuf;
    /// Its log.
    fn log_path(&self) -> PathBuf;
    /// Starts it again and waits until it answers.
    fn launch(&self) -> Result<()>;
    /// Waits until it answers, also after one of its processes has crashed.
    fn wait_ready(&self) -> Result<()>;
    /// Stops it and waits until it is gone.
    fn stop(&self, mode: StopMode) -> Result<()>;
    /// Another one on a copy of its data, which streams from it.
    fn standby(&self) -> Result<Box<dyn Server>>;

    /// Where the log ends now.
    fn log_end(&self) -> u64 {
        fs::metadata(self.log_path()).map_or(0, |file| file.len())
    }

    /// What the log says from there on.
    fn log_since(&self, start: u64) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        String::from_utf8_lossy(bytes.get(start..).unwrap_or_default()).into_owned()
    }

    /// The last lines of the log.
    fn log_tail(&self, lines: usize) -> String {
        let log = self.log_since(0);
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// SIGKILL to one of its processes.
    fn kill_backend(&self, pid: i32) -> Result<()> {
        Ok(kill(Pid::from_raw(pid), Signal::SIGKILL)?)
    }
}

impl Server for Cluster {
    fn data_dir(&self) -> PathBuf {
        self.data_dir().to_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.log_path()
    }

    fn launch(&self) -> Result<()> {
        Ok(self.launch()?)
    }

    fn wait_ready(&self) -> Result<()> {
        Ok(self.wait_ready()?)
    }

    fn stop(&self, mode: StopMode) -> Result<()> {
        Ok(self.stop(mode)?)
    }

    fn standby(&self) -> Result<Box<dyn Server>> {
        Ok(Box::new(self.standby()?))
    }
}

/// Where the server of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// A private server of this machine.
    Embedded,
    /// A container.
    Container,
}

impl Place {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Container => "container",
        }
    }

    /// Starts the server with these settings, on the data that is in the folder if there is some.
    pub fn start(self, folder: &Folder, settings: &[(&str, &str)]) -> Result<Box<dyn Server>> {
        match self {
            Self::Embedded => {
                let mut options = ClusterOptions::new()
                    .extension(ExtensionDir::installed()?)
                    .scheduled()
                    .data_root(folder.data.clone());
                for (name, value) in settings {
                    options = options.setting(*name, *value);
                }
                Ok(Box::new(Cluster::start(&options)?))
            }
            Self::Container => Ok(Box::new(Container::start(&folder.data, settings)?)),
        }
    }
}

/// The place of this name.
pub fn place(name: &str) -> Result<Place> {
    [Place::Embedded, Place::Container]
        .into_iter()
        .find(|place| place.name() == name)
        .with_context(|| format!("there is no backend {name}"))
}
