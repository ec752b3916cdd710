//! Nexmark: a thousand further events, and some earlier bids and auctions that are changed or withdrawn.

use crate::queries::Workload;
use anyhow::Result;
use harness::client::Session;
use harness::nexmark::{self, Events};

/// Events per INSERT while loading.
const CHUNK: usize = 10_000;

/// A stream that has run for so many events.
#[derive(Debug)]
pub struct Nexmark {
    loaded: usize,
    events: Events,
}

impl Nexmark {
    /// In an empty database; 46 of 50 events are bids.
    pub fn new(loaded: usize) -> Self {
        Self {
            loaded,
            events: Events::default(),
        }
    }
}

impl Workload for Nexmark {
    fn queries(&self) -> Vec<(&'static str, &'static str)> {
        nexmark::queries()
    }

    async fn load(&mut self, session: &Session) -> Result<()> {
        session.execute(nexmark::TABLES).await?;
        eprintln!("loading {} events", self.loaded);
        for begun in (0..self.loaded).step_by(CHUNK) {
            let count = CHUNK.min(self.loaded - begun);
            session.execute(&self.events.insert(count)).await?;
        }
        Ok(())
    }

    async fn change(&mut self, session: &Session, round: usize) -> Result<()> {
        session.execute(&self.events.insert(1_000)).await?;
        session
            .execute(&format!(
                "UPDATE bid SET price = price * 2 WHERE id % 10000 = {round};
                 DELETE FROM bid WHERE id % 10000 = 1000 + {round};
                 UPDATE auction SET reserve = reserve + 1 WHERE id % 5000 = {round}"
            ))
            .await?;
        Ok(())
    }
}
