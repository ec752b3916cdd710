//! The stream tables over the sources of the harness's workload.

mod tables;

pub use tables::{StreamTable, all as stream_tables};

use anyhow::{Context, Result};
use harness::client::{Session, quote_literal};
use harness::workload::sources;

use crate::profile::Profile;

/// Creates everything.
pub async fn create(session: &Session, profile: Profile) -> Result<()> {
    session
        .execute("SET client_min_messages = warning; CREATE EXTENSION pg_trickle")
        .await?;
    session.execute(&sources::sql(profile.rows())).await?;
    for table in stream_tables() {
        session
            .execute(&table.create())
            .await
            .with_context(|| format!("stream table {}", table.name))?;
    }
    session.execute(tables::GATED_TRIGGER).await?;
    Ok(())
}

impl StreamTable {
    /// The call that creates it.
    pub fn create(&self) -> String {
        format!(
            "SELECT pgtrickle.create_stream_table({}, {}, schedule => {}, refresh_mode => {})",
            quote_literal(&self.name),
            quote_literal(&self.query),
            quote_literal(self.schedule),
            quote_literal(self.mode)
        )
    }
}
