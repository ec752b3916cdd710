//! `cargo xtask digests update`, in a program of its own: only it needs a client for registries.

use std::path::Path;

use anyhow::Result;
use images::{Registries, update};

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let update = runtime.block_on(update::update(&root, &Registries::new(Vec::new())))?;
    for pin in update.pins {
        println!(
            "{}:{}@{} ({})",
            pin.name,
            pin.tag,
            pin.digest,
            pin.platforms.join(", ")
        );
    }
    for difference in update.differences {
        println!("differs: {difference}");
    }
    Ok(())
}
