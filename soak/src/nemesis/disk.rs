//! A disk that runs full: a server of its own on a small memory disk, so that nothing else runs full with it.
//!
//! The disk is filled until a write fails. Sources, buffers, stream tables and WAL share it, so that capture, refreshes
//! and commits may fail, or the server stops. When there is room again it must go on, with nothing lost.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use harness::client::{Session, SqlError};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tokio::task::block_in_place;

use super::Outcome;
use crate::arena::DATABASE;

/// The size of the disk: room for a server, its WAL and the extension.
const DISK: &str = "size=480m,mode=0755";

/// What is left free when the pressure begins.
const LEFT_BYTES: u64 = 3 << 20;

/// How long a step may take.
const DEADLINE: Duration = Duration::from_secs(60);

const TABLES: [(&str, &str); 2] = [
    ("copied", "SELECT id, filler FROM t"),
    (
        "counted",
        "SELECT id % 10 AS g, count(*) AS n FROM t GROUP BY 1",
    ),
];

/// Gives this process mounts of its own, which go with it. Must be called before there are threads.
pub fn own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("no mount namespace of its own")?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .context("mounts cannot be made private")
}

/// A mounted memory disk.
struct Disk(PathBuf);

impl Disk {
    fn mount() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("pgt-disk-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        let disk = Self(path);
        mount(
            Some("none"),
            &disk.0,
            Some("tmpfs"),
            MsFlags::empty(),
            Some(DISK),
        )?;
        Ok(disk)
    }

    /// Fills it up to what is to be left.
    fn fill(&self) -> Result<PathBuf> {
        let ballast = self.0.join("ballast");
        let mut file = fs::File::create(&ballast)?;
        let chunk = vec![0_u8; 64 << 10];
        while file.write_all(&chunk).is_ok() {}
        let filled = file.metadata()?.len();
        file.set_len(filled.saturating_sub(LEFT_BYTES))?;
        Ok(ballast)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It goes with this process at the latest.
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.0);
    }
}

/// The whole exercise.
pub async fn runs_full() -> Result<Outcome> {
    let disk = match Disk::mount() {
        Ok(disk) => disk,
        Err(error) => return Ok(Outcome::Skipped(format!("no memory disk: {error:#}"))),
    };
    let cluster = block_in_place(|| start(&disk.0))?;
    let session = Session::connect(&cluster, DATABASE).await?;
    session
        .execute(
            "CREATE EXTENSION pg_trickle;
             CREATE TABLE t (id bigint PRIMARY KEY, filler text)",
        )
        .await?;
    for (name, query) in TABLES {
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table('{name}', '{query}')"
            ))
            .await?;
    }
    session.execute(&insert(0)).await?;
    let ballast = disk.fill()?;
    let (acknowledged, failure) = write_until_full(&session).await?;
    drop(session);
    // While it is full refreshes fail, too; nothing may be wrong.
    tokio::time::sleep(Duration::from_secs(1)).await;
    fs::remove_file(ballast)?;
    let session = back(&cluster).await?;
    session.execute(&insert(acknowledged + 1)).await?;
    for (name, _) in TABLES {
        follows(&session, name).await?;
    }
    let present: u64 = session
        .scalar(&format!(
            "SELECT count(DISTINCT id / 1000) FROM t WHERE id / 1000 <= {acknowledged}"
        ))
        .await?
        .parse()?;
    ensure!(
        present == acknowledged + 1,
        "{acknowledged} batches were acknowledged, {present} are there"
    );
    Ok(Outcome::Done(format!(
        "{acknowledged} batches, then {}: {}; nothing lost",
        failure.sqlstate, failure.message
    )))
}

fn start(root: &Path) -> Result<Cluster> {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed()?)
        .scheduled()
        .data_root(root.to_owned())
        .setting("shared_buffers", "16MB")
        .setting("min_wal_size", "32MB")
        .setting("max_wal_size", "48MB")
        .setting("restart_after_crash", "on");
    Ok(Cluster::start(&options)?)
}

/// A batch of rows that takes room: everywhere a copy of it.
fn insert(batch: u64) -> String {
    format!(
        "INSERT INTO t SELECT {batch} * 1000 + i, repeat(md5(i::text), 40) FROM generate_series(0, 199) i"
    )
}

/// Writes until the disk is full. How many batches were acknowledged, and what happened then.
async fn write_until_full(session: &Session) -> Result<(u64, SqlError)> {
    let end = Instant::now() + DEADLINE;
    let mut batch = 0;
    while Instant::now() < end {
        match session.execute(&insert(batch + 1)).await {
            Ok(()) => batch += 1,
            Err(error) => {
                ensure!(
                    error.sqlstate == "53100" || error.is_connection_loss(),
                    "a full disk is no reason for {error}"
                );
                return Ok((batch, error));
            }
        }
    }
    bail!("the disk did not run full in {DEADLINE:?}")
}

/// The server again, started anew if the full disk has stopped it.
async fn back(cluster: &Cluster) -> Result<Session> {
    let end = Instant::now() + DEADLINE;
    loop {
        if !cluster.is_running() {
            block_in_place(|| cluster.launch())?;
        }
        match Session::connect(cluster, DATABASE).await {
            Ok(session) => return Ok(session),
            Err(error) if Instant::now() > end => {
                bail!(
                    "the server did not come back: {error}\n{}",
                    cluster.log_tail(20)
                )
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn follows(session: &Session, name: &str) -> Result<()> {
    let end = Instant::now() + DEADLINE;
    loop {
        let verdict = oracle::check(session, name).await?;
        if verdict.is_exact() {
            return Ok(());
        }
        ensure!(
            Instant::now() < end,
            "after the disk was full {name} is {verdict}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
