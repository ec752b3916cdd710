//! One container with one server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptions, LogsOptions, StopContainerOptions,
};
use futures_util::StreamExt;
use harness::backend::Backend;
use harness::client::Session;
use tempfile::TempDir;
use testcontainers::core::Mount;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use crate::{ContainerError, Engine, Wire};

/// The port of the image's server, which only names the socket.
const PORT: u16 = 5432;
/// Where an image has the socket and the data, and a standby the way to its primary.
const SOCKETS: &str = "/var/run/postgresql";
const VOLUME: &str = "/var/lib/postgresql";
const WIRE: &str = "/wire";
/// The folder of a standby's data in its primary's volume.
const STANDBY: &str = "standby";
/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

/// How a container is set up.
#[derive(Debug, Clone, Default)]
pub struct Options {
    settings: Vec<(String, String)>,
    mounts: Vec<(PathBuf, &'static str)>,
    is_read_only: bool,
    memory_bytes: Option<i64>,
}

impl Options {
    /// One server setting.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Keeps the data in this folder, which outlives the container.
    pub fn data(self, folder: &Path) -> Self {
        self.mount(folder, VOLUME)
    }

    fn mount(mut self, folder: &Path, inside: &'static str) -> Self {
        self.mounts.push((folder.to_owned(), inside));
        self
    }

    /// Lets it write to its volumes only.
    pub fn read_only(mut self) -> Self {
        self.is_read_only = true;
        self
    }

    /// Gives it no more memory than this, and no swap.
    pub fn memory_bytes(mut self, limit: i64) -> Self {
        self.memory_bytes = Some(limit);
        self
    }
}

/// A server in a container, which goes away with it.
#[derive(Debug)]
pub struct ContainerServer {
    container: ContainerAsync<GenericImage>,
    docker: Docker,
    sockets: TempDir,
}

impl Backend for ContainerServer {
    fn socket_dir(&self) -> &Path {
        self.sockets.path()
    }

    fn port(&self) -> u16 {
        PORT
    }
}

/// A folder of this machine, in the container.
fn bind(folder: &Path, inside: &str) -> Mount {
    Mount::bind_mount(folder.display().to_string(), inside)
}

/// Lets the account of the container write to a folder of this machine.
pub(crate) fn open_to_all(folder: &Path) -> Result<(), ContainerError> {
    Ok(fs::set_permissions(
        folder,
        fs::Permissions::from_mode(0o777),
    )?)
}

impl ContainerServer {
    /// Runs one and waits until its server answers.
    pub async fn start(engine: &Engine, options: &Options) -> Result<Self, ContainerError> {
        let sockets = tempfile::tempdir()?;
        open_to_all(sockets.path())?;
        let mut command = Vec::new();
        let own = [
            ("max_worker_processes", "32"),
            ("max_prepared_transactions", "20"),
        ];
        let asked = options
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.into_iter().chain(asked) {
            command.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        let mut request = GenericImage::new(&engine.name, &engine.tag)
            .with_network("none")
            .with_cmd(command)
            .with_mount(bind(sockets.path(), SOCKETS));
        for (folder, inside) in &options.mounts {
            open_to_all(folder)?;
            request = request.with_mount(bind(folder, inside));
        }
        if options.is_read_only {
            request = request
                .with_readonly_rootfs(true)
                .with_mount(Mount::tmpfs_mount("/tmp"));
        }
        if let Some(limit) = options.memory_bytes {
            request = request.with_host_config_modifier(move |config| {
                config.memory = Some(limit);
                config.memory_swap = Some(limit);
            });
        }
        let server = Self {
            container: request.start().await?,
            docker: engine.docker.clone(),
            sockets,
        };
        server.wait_ready().await?;
        Ok(server)
    }

    /// A standby of this server on a copy of its data in `volume`, which has to be this server's own. It reaches
    /// its primary by the wire only.
    pub async fn standby(
        &self,
        engine: &Engine,
        volume: &Path,
        wire: &Wire,
        options: Options,
    ) -> Result<Self, ContainerError> {
        let folder = volume.join(STANDBY);
        fs::create_dir(&folder)?;
        open_to_all(&folder)?;
        let data = format!("--pgdata={VOLUME}/{STANDBY}/data");
        self.exec(&[
            "pg_basebackup",
            "--username=postgres",
            &data,
            "--checkpoint=fast",
            "--write-recovery-conf",
        ])
        .await?;
        let primary = format!("host={WIRE} port={PORT} user=postgres application_name={STANDBY}");
        let options = options
            .setting("primary_conninfo", &primary)
            .data(&folder)
            .mount(wire.folder(), WIRE);
        Self::start(engine, &options).await
    }

    /// Waits until a session can be opened.
    pub async fn wait_ready(&self) -> Result<(), ContainerError> {
        let start = Instant::now();
        while Session::connect(self, "postgres").await.is_err() {
            if start.elapsed() > START || !self.is_running().await? {
                return Err(ContainerError::Silent {
                    log: self.log().await?,
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Stops as an engine does: the signal, then, after the grace period, SIGKILL. Returns the exit status.
    /// Engines send SIGTERM, a smart shutdown, or what the image asks for: the server's own images ask for
    /// SIGINT, a fast one.
    pub async fn stop(&self, signal: &str, grace_s: i32) -> Result<Option<i64>, ContainerError> {
        let options = StopContainerOptions {
            signal: Some(signal.to_owned()),
            t: Some(grace_s),
        };
        self.docker
            .stop_container(self.container.id(), Some(options))
            .await?;
        self.exit_code().await
    }

    /// Sends a signal to the server's first process.
    pub async fn kill(&self, signal: &str) -> Result<(), ContainerError> {
        let options = KillContainerOptions {
            signal: signal.to_owned(),
        };
        Ok(self
            .docker
            .kill_container(self.container.id(), Some(options))
            .await?)
    }

    /// Starts it again after a stop, and waits until its server answers.
    pub async fn start_again(&self) -> Result<(), ContainerError> {
        self.docker
            .start_container(self.container.id(), None)
            .await?;
        self.wait_ready().await
    }

    /// Runs a command in it, and returns what that printed.
    pub async fn exec(&self, command: &[&str]) -> Result<String, ContainerError> {
        let config = ExecConfig {
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let id = self
            .docker
            .create_exec(self.container.id(), config)
            .await?
            .id;
        let mut printed = String::new();
        let started = self
            .docker
            .start_exec(&id, None::<StartExecOptions>)
            .await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(piece) = output.next().await {
                printed.push_str(&piece?.to_string());
            }
        }
        let code = self.docker.inspect_exec(&id).await?.exit_code;
        if code == Some(0) {
            Ok(printed)
        } else {
            Err(ContainerError::Command {
                command: command.join(" "),
                code,
                output: printed,
            })
        }
    }

    /// What its server has written to its log, since it was made.
    pub async fn log(&self) -> Result<String, ContainerError> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            ..Default::default()
        };
        let mut log = String::new();
        let mut pieces = self.docker.logs(self.container.id(), Some(options));
        while let Some(piece) = pieces.next().await {
            log.push_str(&piece?.to_string());
        }
        Ok(log)
    }

    async fn is_running(&self) -> Result<bool, ContainerError> {
        Ok(self
            .state()
            .await?
            .and_then(|state| state.running)
            .unwrap_or(false))
    }

    /// Waits until it has stopped; returns the exit status.
    pub async fn ended(&self) -> Result<Option<i64>, ContainerError> {
        // The engine takes note of the end by itself.
        while self.is_running().await? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.exit_code().await
    }

    /// Its exit status, once it has stopped.
    pub async fn exit_code(&self) -> Result<Option<i64>, ContainerError> {
        Ok(self.state().await?.and_then(|state| state.exit_code))
    }

    /// Whether the kernel has killed something in it for want of memory.
    pub async fn ran_out_of_memory(&self) -> Result<bool, ContainerError> {
        Ok(self
            .state()
            .await?
            .and_then(|state| state.oom_killed)
            .unwrap_or(false))
    }

    async fn state(&self) -> Result<Option<bollard::models::ContainerState>, ContainerError> {
        let inspected = self
            .docker
            .inspect_container(self.container.id(), None::<InspectContainerOptions>)
            .await?;
        Ok(inspected.state)
    }
}
