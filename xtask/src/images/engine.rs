//! The container engine of a command: the one that answers, or one of our own that goes with the command.
//!
//! Our own has a folder, a socket and containers to itself, and neither a bridge nor firewall rules, which a build
//! machine may not allow. **Invariant:** it does not outlive this process, however that ends: its shell waits for the
//! end of a pipe that only we hold open, then stops it and removes the folder.

use crate::command;
use crate::paths;
use anyhow::{Context, Result, bail};
use harness::waiting_shell::WaitingShell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a start may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs an engine in the folder `$1`, with the options that follow, until the pipe ends. What it has not unmounted
/// itself is unmounted before the folder goes.
const SCRIPT: &str = r#"
root=$1
shift
dockerd "$@" >"$root/log" 2>&1 &
engine=$!
cat >/dev/null
kill "$engine"
n=0
while kill -0 "$engine" && [ $n -lt 300 ]; do sleep 0.1; n=$((n+1)); done
kill -KILL "$engine"
cut -d ' ' -f 2 /proc/self/mounts | grep "^$root/" | xargs -r umount -l
rm -rf "$root"
"#;

/// An engine that answers: ours, or one that clients find by themselves.
pub struct Engine {
    own: Option<Own>,
}

impl Engine {
    /// An engine for which the local image can be made: the one that answers, or else one that is started.
    pub fn ensure() -> Result<Self> {
        has("debootstrap")?;
        if !paths::is_root() {
            bail!("only root can make an image without a registry");
        }
        Self::running().or_else(|_| Self::start())
    }

    /// The engine that clients find by themselves.
    pub fn running() -> Result<Self> {
        has("docker")?;
        let engine = Self { own: None };
        if !engine.answers() {
            bail!("no container engine answers");
        }
        Ok(engine)
    }

    /// One of our own.
    fn start() -> Result<Self> {
        has("docker")?;
        has("dockerd")?;
        let own = Own::start()?;
        let log = own.root.join("log");
        let engine = Self { own: Some(own) };
        let end = Instant::now() + DEADLINE;
        while !engine.answers() {
            if Instant::now() > end {
                let log = fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(10)..].join("\n    ");
                bail!("dockerd does not answer\n    {tail}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(engine)
    }

    fn answers(&self) -> bool {
        let mut docker = self.docker();
        docker.arg("version");
        command::output(docker).is_ok()
    }

    /// The client, for this engine.
    pub fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        self.tell(&mut docker);
        docker
    }

    /// Lets a program that uses containers use this engine.
    pub fn tell(&self, program: &mut Command) {
        if let Some(own) = &self.own {
            program.env("DOCKER_HOST", socket(&own.root));
        }
    }
}

fn has(program: &str) -> Result<PathBuf> {
    paths::on_path(program)
        .with_context(|| format!("there is no {program}: apt-get install docker.io debootstrap"))
}

/// The shell of an engine that is ours, and its folder.
struct Own {
    _shell: WaitingShell,
    root: PathBuf,
}

impl Own {
    fn start() -> Result<Self> {
        let root = std::env::temp_dir().join(format!("pgt-engine-{}", std::process::id()));
        fs::create_dir(&root).with_context(|| format!("could not create {}", root.display()))?;
        let below = |name: &str| root.join(name).display().to_string();
        let arguments = [
            root.display().to_string(),
            "--data-root".into(),
            below("data"),
            "--exec-root".into(),
            below("exec"),
            "--pidfile".into(),
            below("pid"),
            "--host".into(),
            socket(&root),
            "--bridge=none".into(),
            "--iptables=false".into(),
            "--ip6tables=false".into(),
        ];
        let _shell = WaitingShell::start("pg_trickle-engine", SCRIPT, arguments)
            .context("could not start a container engine")?;
        Ok(Self { _shell, root })
    }
}

fn socket(root: &Path) -> String {
    format!("unix://{}", root.join("docker.sock").display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_our_own_answers_and_is_gone_with_its_folder() {
        let engine = match has("dockerd").and_then(|_| Engine::start()) {
            Ok(engine) => engine,
            Err(why) => {
                let why = format!("skipped: an_engine_of_our_own: {why:#}");
                assert!(std::env::var_os("PGT_REQUIRE_DOCKER").is_none(), "{why}");
                println!("{why}");
                return;
            }
        };
        assert!(engine.answers());
        let own = engine.own.as_ref().unwrap();
        let (root, shell) = (own.root.clone(), own._shell.id());
        assert!(root.join("docker.sock").exists());
        drop(engine);
        assert!(!root.exists(), "{} is left", root.display());
        assert!(!Path::new(&format!("/proc/{shell}")).exists());
    }
}
