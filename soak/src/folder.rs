//! Where a run keeps its things, so that it can go on after it was interrupted.
//!
//! `target/soak/<seed>` has the journal and a note of what was asked for. The server's data is in a folder of its
//! own with a short path, which a socket needs; it goes when the run has passed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::profile::Profile;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// From which everything random follows.
    pub seed: u64,
    /// How long, at least.
    pub minutes: f64,
    /// How hard.
    pub profile: String,
    /// Where the server is.
    pub backend: String,
    /// How often the run has begun: writers of each time have numbers of their own.
    pub attempt: u64,
}

/// The folders of a run.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Journal and request.
    pub path: PathBuf,
    /// The server's data.
    pub data: PathBuf,
}

impl Folder {
    /// The folder of this seed below `runs`.
    pub fn of(runs: &Path, seed: u64) -> Self {
        Self {
            path: runs.join(seed.to_string()),
            data: PathBuf::from(format!("/tmp/pgt-soak-{seed}")),
        }
    }

    /// Where runs are by default.
    pub fn runs() -> PathBuf {
        match std::env::var_os("PGT_SOAK_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/soak"),
        }
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Begins anew: what an earlier run of this seed left is removed.
    pub fn begin(&self, request: &Request) -> Result<()> {
        for dir in [&self.path, &self.data] {
            if dir.exists() {
                fs::remove_dir_all(dir)
                    .with_context(|| format!("could not remove {}", dir.display()))?;
            }
            fs::create_dir_all(dir)
                .with_context(|| format!("could not create {}", dir.display()))?;
        }
        fs::set_permissions(&self.data, fs::Permissions::from_mode(0o755))?;
        self.note(request)
    }

    /// Goes on: what was asked for, with one more attempt.
    pub fn resume(&self) -> Result<Request> {
        let path = self.path.join("request.json");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("there is no run to go on with: {}", path.display()))?;
        let mut request: Request = serde_json::from_str(&text)?;
        if !self.data.join("data/PG_VERSION").exists() {
            bail!("the data of run {} has gone", request.seed);
        }
        request.attempt += 1;
        self.note(&request)?;
        Ok(request)
    }

    /// The run has passed: the data is not needed any more.
    pub fn finish(&self) {
        // What cannot be removed only takes room.
        let _ = fs::remove_dir_all(&self.data);
    }

    fn note(&self, request: &Request) -> Result<()> {
        fs::write(
            self.path.join("request.json"),
            serde_json::to_string_pretty(request)?,
        )?;
        Ok(())
    }
}

/// The latest run below `runs` whose data is still there.
pub fn latest(runs: &Path) -> Result<u64> {
    let mut found: Vec<(std::time::SystemTime, u64)> = fs::read_dir(runs)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let seed: u64 = entry.file_name().to_str()?.parse().ok()?;
            let changed = entry
                .path()
                .join("journal.jsonl")
                .metadata()
                .ok()?
                .modified()
                .ok()?;
            Folder::of(runs, seed)
                .data
                .exists()
                .then_some((changed, seed))
        })
        .collect();
    found.sort();
    let last = found.last().map(|(_, seed)| *seed);
    last.context("no run has been interrupted")
}

/// The profile of this name.
pub fn profile(name: &str) -> Result<Profile> {
    let all = [Profile::Light, Profile::Standard, Profile::Brutal];
    all.into_iter()
        .find(|profile| profile.name() == name)
        .with_context(|| format!("there is no profile {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_whose_data_is_there_can_go_on_and_another_cannot() {
        let runs = std::env::temp_dir().join(format!("pgt-runs-{}", std::process::id()));
        let folder = Folder {
            path: runs.join("7"),
            data: runs.join("data-7"),
        };
        let request = Request {
            seed: 7,
            minutes: 1.0,
            profile: "light".into(),
            backend: "embedded".into(),
            attempt: 0,
        };
        folder.begin(&request).unwrap();
        assert!(folder.resume().is_err(), "there is no data yet");
        fs::create_dir(folder.data.join("data")).unwrap();
        fs::write(folder.data.join("data/PG_VERSION"), "18").unwrap();
        assert_eq!(folder.resume().unwrap().attempt, 1);
        assert_eq!(folder.resume().unwrap().attempt, 2);
        fs::remove_dir_all(&runs).unwrap();
    }
}
