//! initdb, start, stop, kill, restart.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ClusterError;
use super::account::Account;
use super::extension::ExtensionDir;
use super::options::{ClusterOptions, setting_line};
use super::overlay;
use super::watchdog;
use crate::postgres::Installation;
use crate::waiting_shell::WaitingShell;

/// How long starting and stopping may take; crash recovery included.
const DEADLINE: Duration = Duration::from_secs(120);

/// The database superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

/// How to ask a server to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for the sessions to end.
    Smart,
    /// Ends the sessions, then stops cleanly.
    Fast,
    /// Stops at once; the next start recovers.
    Immediate,
    /// SIGKILL to the postmaster.
    Kill,
}

impl StopMode {
    /// What the postmaster understands.
    fn signal(self) -> Signal {
        match self {
            Self::Smart => Signal::SIGTERM,
            Self::Fast => Signal::SIGINT,
            Self::Immediate => Signal::SIGQUIT,
            Self::Kill => Signal::SIGKILL,
        }
    }
}

/// A private server. Stops and removes itself when dropped.
#[derive(Debug)]
pub struct Cluster {
    installation: Installation,
    account: Account,
    root: PathBuf,
    data: PathBuf,
    port: u16,
    postmaster: Mutex<Option<Child>>,
    // Dropped last: it finishes what Drop did not.
    _watchdog: WaitingShell,
}

impl Cluster {
    /// Makes a data directory and starts a server on it.
    pub fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let installation = options.resolve_installation()?;
        let account = Account::choose()?;
        let temporary = options.data_root.is_none();
        let root = match &options.data_root {
            Some(root) => root.clone(),
            None => make_root()?,
        };
        let data = root.join("data");
        let watchdog = watchdog::start(&data, temporary.then_some(root.as_path()))?;
        account.own(&root)?;
        let extension = match &options.extension {
            Some(dir) => Some(dir.stage(&root.join("extension"))?),
            None => None,
        };
        let is_among_the_servers =
            options.among_the_servers || installation.major < overlay::FIRST_WITHOUT;
        let installation = match &extension {
            Some(dir) if is_among_the_servers => {
                overlay::lay_out(&installation, dir, &root.join("server"))?
            }
            _ => installation,
        };
        let beside = extension.filter(|_| !is_among_the_servers);
        let cluster = Self {
            port: pick_port(),
            installation,
            account,
            data,
            root,
            postmaster: Mutex::new(None),
            _watchdog: watchdog,
        };
        if !cluster.data.join("PG_VERSION").exists() {
            cluster.init(options)?;
        }
        cluster.write_configuration(options, beside.as_ref())?;
        cluster.launch()?;
        Ok(cluster)
    }

    /// A standby of this server, on a copy of its data, that streams from it. Everything but the
    /// place is as here.
    pub fn standby(&self) -> Result<Self, ClusterError> {
        let root = make_root()?;
        let data = root.join("data");
        let watchdog = watchdog::start(&data, Some(root.as_path()))?;
        self.account.own(&root)?;
        let mut copy = self.client_command("pg_basebackup");
        copy.arg("--pgdata").arg(&data).args([
            "--write-recovery-conf",
            "--checkpoint",
            "fast",
            "--no-sync",
        ]);
        run(copy)?;
        let standby = Self {
            port: pick_port(),
            installation: self.installation.clone(),
            account: self.account.clone(),
            data,
            root,
            postmaster: Mutex::new(None),
            _watchdog: watchdog,
        };
        standby.configure("port", &standby.port.to_string())?;
        standby.configure(
            "unix_socket_directories",
            &standby.root.display().to_string(),
        )?;
        standby.launch()?;
        Ok(standby)
    }

    /// Runs initdb.
    fn init(&self, options: &ClusterOptions) -> Result<(), ClusterError> {
        let mut command = self.command("initdb");
        command
            .arg("--pgdata")
            .arg(&self.data)
            .args(["--username", SUPERUSER, "--auth", "trust"])
            .args(["--encoding", "UTF8", "--no-locale", "--no-sync"])
            .args(options.checksums.then_some("--data-checksums"));
        run(command)
    }

    /// Puts our settings into a file of their own, which `postgresql.conf` includes.
    fn write_configuration(
        &self,
        options: &ClusterOptions,
        extension: Option<&ExtensionDir>,
    ) -> Result<(), ClusterError> {
        let settings = options.all_settings(&self.root.display().to_string(), self.port, extension);
        let text: String = settings
            .iter()
            .map(|(name, value)| setting_line(name, value))
            .collect();
        let path = self.data.join("harness.conf");
        fs::write(&path, text).map_err(ClusterError::io("write the configuration"))?;
        self.account.own(&path)?;
        let main = self.data.join("postgresql.conf");
        let include = "include_if_exists = 'harness.conf'\n";
        let present = fs::read_to_string(&main).is_ok_and(|text| text.contains(include));
        if !present {
            OpenOptions::new()
                .append(true)
                .open(&main)
                .and_then(|mut file| file.write_all(include.as_bytes()))
                .map_err(ClusterError::io("write the configuration"))?;
        }
        Ok(())
    }

    /// Changes settings for the next start; call [`Cluster::reload`] for those that apply sooner.
    pub fn configure(&self, name: &str, value: &str) -> Result<(), ClusterError> {
        OpenOptions::new()
            .append(true)
            .open(self.data.join("harness.conf"))
            .and_then(|mut file| file.write_all(setting_line(name, value).as_bytes()))
            .map_err(ClusterError::io("write the configuration"))
    }

    /// Makes the server read its configuration again.
    pub fn reload(&self) -> Result<(), ClusterError> {
        self.signal_postmaster(Signal::SIGHUP)
    }

    /// Starts the server on the existing data directory and waits until it answers.
    pub fn launch(&self) -> Result<(), ClusterError> {
        let log = self.open_log()?;
        let log_too = log
            .try_clone()
            .map_err(ClusterError::io("open the server's log"))?;
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .process_group(0);
        let child = command
            .spawn()
            .map_err(ClusterError::io("start the server"))?;
        *self.postmaster() = Some(child);
        self.wait_ready()
    }

    /// Waits until the server takes connections, also after a crash of one of its processes.
    pub fn wait_ready(&self) -> Result<(), ClusterError> {
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if !self.is_running() {
                return Err(self.failed("ended while starting"));
            }
            let mut probe = self.command("pg_isready");
            probe
                .args(["--quiet", "--timeout", "2", "--host"])
                .arg(&self.root)
                .args(["--port", &self.port.to_string()]);
            if probe.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(self.failed("did not become ready in time"))
    }

    /// Whether the postmaster is there.
    pub fn is_running(&self) -> bool {
        match self.postmaster().as_mut() {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => false,
        }
    }

    /// Stops the server and waits until it is gone.
    pub fn stop(&self, mode: StopMode) -> Result<(), ClusterError> {
        let Some(mut child) = self.postmaster().take() else {
            return Ok(());
        };
        let pid = process_id(&child);
        // A server that has just gone by itself is what we want.
        let _ = kill(pid, mode.signal());
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            if !matches!(child.try_wait(), Ok(None)) {
                self.wait_orphans();
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = kill(pid, Signal::SIGKILL);
        let _ = child.wait();
        Err(self.failed("did not stop in time"))
    }

    /// After SIGKILL the backends notice the postmaster's death by themselves; the next start
    /// would fail while one of them still holds the shared memory.
    fn wait_orphans(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        let socket = self.root.join(format!(".s.PGSQL.{}", self.port));
        while Instant::now() < end && holds_files(&self.data) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // Left behind by a killed postmaster.
        let _ = fs::remove_file(socket);
    }

    /// Stops and starts again.
    pub fn restart(&self, mode: StopMode) -> Result<(), ClusterError> {
        self.stop(mode)?;
        self.launch()
    }

    /// SIGKILL to one backend, by the pid that `pg_backend_pid()` shows. The server restarts all
    /// of its processes; call [`Cluster::wait_ready`] afterwards.
    pub fn kill_backend(&self, pid: i32) -> Result<(), ClusterError> {
        kill(Pid::from_raw(pid), Signal::SIGKILL)
            .map_err(std::io::Error::from)
            .map_err(ClusterError::io(format!("kill backend {pid}")))
    }

    /// Sends a signal to the postmaster.
    fn signal_postmaster(&self, signal: Signal) -> Result<(), ClusterError> {
        match self.postmaster().as_ref() {
            Some(child) => kill(process_id(child), signal)
                .map_err(std::io::Error::from)
                .map_err(ClusterError::io("signal the server")),
            None => Ok(()),
        }
    }

    /// A program of the server, as the server's account.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.installation.program(program));
        self.account.apply(&mut command, &self.root);
        command
    }

    /// Has another program run as the server's account.
    pub fn as_server_user(&self, command: &mut Command) {
        self.account.apply(command, &self.root);
    }

    /// The same with host, port and user set in the environment, for psql, pg_dump and friends.
    pub fn client_command(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command
            .env("PGHOST", &self.root)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", SUPERUSER);
        command
    }

    /// The folder of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.root
    }

    /// The port, which only names the socket.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The server's programs.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Where the server finds the extension's scripts.
    pub fn extension_folder(&self) -> PathBuf {
        if self.installation.major < overlay::FIRST_WITHOUT {
            return self.installation.share_dir.join("extension");
        }
        self.root.join("extension/share/extension")
    }

    /// Replaces the extension's files. A running server keeps the library that it has.
    pub fn install(&self, extension: &ExtensionDir) -> Result<(), ClusterError> {
        extension.stage(&self.root.join("extension")).map(|_| ())
    }

    /// The server's log file.
    pub fn log_path(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// Opens the log for appending.
    fn open_log(&self) -> Result<File, ClusterError> {
        let path = self.log_path();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(ClusterError::io("open the server's log"))?;
        self.account.own(&path)?;
        Ok(log)
    }

    /// An error with the end of the log.
    fn failed(&self, what: &str) -> ClusterError {
        ClusterError::Server {
            what: what.into(),
            log: self.log_tail(30),
        }
    }

    /// The postmaster's process, also when a panic elsewhere poisoned the lock.
    fn postmaster(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.postmaster
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nothing to save: the fastest way down. The watchdog removes the folder.
        if self.postmaster().is_some() {
            let _ = self.stop(StopMode::Immediate);
        }
    }
}

/// A short path: a Unix socket's name is limited to about 100 bytes.
fn make_root() -> Result<PathBuf, ClusterError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let wanted = std::env::temp_dir();
    let base = if wanted.as_os_str().len() > 40 {
        PathBuf::from("/tmp")
    } else {
        wanted
    };
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = base.join(format!("pgt-{}-{number}", std::process::id()));
        match fs::create_dir(&root) {
            Ok(()) => {
                fs::set_permissions(&root, fs::Permissions::from_mode(0o755))
                    .map_err(ClusterError::io("set permissions"))?;
                return Ok(root);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(ClusterError::Io {
                    what: format!("create {}", root.display()),
                    source: error,
                });
            }
        }
    }
}

/// Some port; the socket's folder is private, so it cannot be taken.
fn pick_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let offset = std::process::id().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
    20_000 + u16::try_from(offset).unwrap_or(0)
}

/// The process id in the form that `kill` takes.
fn process_id(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// Whether some process has the data directory as its working directory, as all of a server's
/// processes do.
fn holds_files(data: &Path) -> bool {
    let Ok(data) = data.canonicalize() else {
        return false;
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data))
}

/// Runs a program to its end; its output is the error.
fn run(mut command: Command) -> Result<(), ClusterError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(ClusterError::io(format!("run {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(ClusterError::Program {
        program,
        output: text,
    })
}
