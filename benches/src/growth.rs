//! The change stays the same and the table grows tenfold: what happens to the time of a refresh?

use crate::data;
use crate::refresh::Cell;
use crate::server;
use crate::settings::Settings;
use crate::stats::{median, time_ms};
use crate::views::VIEWS;
use anyhow::Result;
use harness::client::Session;

/// The size of the change.
pub const CHANGED: u64 = 100;

/// One view at both sizes.
#[derive(Debug, Clone)]
pub struct Growth {
    pub letter: char,
    pub base_ms: f64,
    pub grown_ms: f64,
}

impl Growth {
    /// By which factor a refresh takes longer.
    pub fn factor(&self) -> f64 {
        self.grown_ms / self.base_ms
    }
}

/// Measures stream tables over a larger table, against cells measured before.
pub async fn measure(session: &Session, settings: &Settings, base: &[Cell]) -> Result<Vec<Growth>> {
    data::create(session, settings.growth_rows).await?;
    for view in VIEWS {
        session.execute(&view.create_stream_table()).await?;
    }
    server::settle(session).await?;
    let mut times = vec![Vec::new(); VIEWS.len()];
    for repetition in 0..settings.repeat + 6 {
        session.execute(&data::change(CHANGED, repetition)).await?;
        for (view, times) in VIEWS.iter().zip(&mut times) {
            let ms = time_ms(session, &view.refresh()).await?;
            if repetition >= 6 {
                times.push(ms);
            }
        }
    }
    Ok(VIEWS
        .iter()
        .zip(&times)
        .filter_map(|(view, times)| {
            let base = base
                .iter()
                .find(|cell| cell.letter == view.letter && cell.changed == CHANGED)?;
            Some(Growth {
                letter: view.letter,
                base_ms: base.refresh_ms,
                grown_ms: median(times),
            })
        })
        .collect())
}
