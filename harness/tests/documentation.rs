//! Every SQL statement in the documentation runs, each file in a database of its own, and what it shows
//! as a result is what comes; then its shell commands run, from the root of the checkout, with a stand-in
//! for kubectl. `PGT_DOCUMENT=part-of-a-path` picks some files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::document::{self, Block};

/// Where documents are, from the root of the checkout; not below.
const FOLDERS: [&str; 4] = [".", "docs", "monitoring", "cnpg"];

#[test]
fn every_statement_in_the_documentation_runs() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let plain = Cluster::start(&options).unwrap();
    let scheduled = Cluster::start(&options.scheduled()).unwrap();
    let mut complaints = Vec::new();
    let mut statements = 0;
    for (number, path) in documents().iter().enumerate() {
        let text = fs::read_to_string(path).unwrap();
        let blocks = document::blocks(&text);
        statements += blocks.iter().filter(|block| block.runs()).count();
        let cluster = match document::wants_scheduler(&text) {
            true => &scheduled,
            false => &plain,
        };
        for complaint in check(cluster, &format!("document_{number}"), &blocks, path) {
            complaints.push(format!("{}: {complaint}", path.display()));
        }
    }
    assert!(statements > 0, "no document has a block that runs");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// The Markdown files.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let picked = std::env::var("PGT_DOCUMENT").unwrap_or_default();
    let mut found: Vec<PathBuf> = FOLDERS
        .iter()
        .filter_map(|folder| fs::read_dir(root.join(folder)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .filter(|path| path.to_string_lossy().contains(&picked))
        .collect();
    found.sort();
    found
}

fn check(cluster: &Cluster, database: &str, blocks: &[Block], path: &Path) -> Vec<String> {
    let mut complaints = Vec::new();
    for block in blocks {
        for mark in block.unknown_marks() {
            complaints.push(format!("line {}: what is `{mark}`?", block.line));
        }
    }
    if blocks.iter().any(Block::runs) {
        complaints.extend(run_statements(cluster, database, blocks, path));
    }
    let commands = blocks.iter().filter(|block| block.language == "sh");
    complaints.extend(commands.filter_map(|block| shell_error(cluster, block)));
    complaints
}

fn run_statements(cluster: &Cluster, database: &str, blocks: &[Block], path: &Path) -> Vec<String> {
    psql(
        cluster,
        "postgres",
        &["-c", &format!("CREATE DATABASE {database}")],
    );
    let creates = blocks.iter().filter(|block| block.runs()).any(|block| {
        block
            .lines
            .iter()
            .any(|line| line.contains("CREATE EXTENSION pg_trickle"))
    });
    if !creates {
        psql(cluster, database, &["-c", "CREATE EXTENSION pg_trickle"]);
    }
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let script = cluster.socket_dir().join(&name);
    fs::write(&script, document::script(blocks)).unwrap();
    let output = client(cluster, database)
        .args(["-f", &name])
        .current_dir(cluster.socket_dir())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        document::complaints(blocks, &printed)
    } else {
        vec![String::from_utf8_lossy(&output.stderr).into_owned()]
    }
}

/// What is wrong with a block of shell commands. Clients find the server as they would inside its
/// container.
fn shell_error(cluster: &Cluster, block: &Block) -> Option<String> {
    let client = cluster.client_command("psql");
    let programs = Path::new(client.get_program()).parent()?;
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut path = std::ffi::OsString::from(here.join("tests/documentation"));
    for folder in [programs.as_os_str(), &std::env::var_os("PATH")?] {
        path.push(":");
        path.push(folder);
    }
    let is_for_others = block.is("elsewhere") || block.is("packaged");
    let only_parse = if is_for_others { "-n" } else { "-e" };
    let output = Command::new("bash")
        .args([only_parse, "-uo", "pipefail", "-c"])
        .arg(block.lines.join("\n"))
        .envs(
            client
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", path)
        .current_dir(here.join(".."))
        .output()
        .unwrap();
    (!output.status.success()).then(|| {
        format!(
            "line {}: {}{}",
            block.line,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn client(cluster: &Cluster, database: &str) -> Command {
    let mut command = cluster.client_command("psql");
    command.args(["-X", "-v", "ON_ERROR_STOP=1", "-d", database]);
    command
}

fn psql(cluster: &Cluster, database: &str, arguments: &[&str]) {
    let output = client(cluster, database).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
