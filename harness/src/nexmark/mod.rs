//! Nexmark: an auction house as a stream of persons, auctions and bids, and the queries that SQL without
//! streaming windows can express.

use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;

use crate::client::quote_literal;
use crate::named_queries;

/// The tables and the indexes that the queries want.
pub const TABLES: &str = "
CREATE TABLE person (id bigint PRIMARY KEY, name text, email text, city text, state text, date_time timestamp);
CREATE TABLE auction (id bigint PRIMARY KEY, item_name text, initial_bid int, reserve int, date_time timestamp,
    expires timestamp, seller bigint, category int);
CREATE TABLE bid (id bigint PRIMARY KEY, auction bigint, bidder bigint, price int, channel text, url text,
    date_time timestamp);
CREATE INDEX ON auction (seller);
CREATE INDEX ON auction (category);
CREATE INDEX ON bid (auction);
CREATE INDEX ON bid (bidder);
CREATE INDEX ON bid (channel);
CREATE INDEX ON bid (date_time);";

/// The queries: name and SQL.
pub fn queries() -> Vec<(&'static str, &'static str)> {
    named_queries::of(include_str!("queries.sql"))
}

/// The events, always the same.
#[derive(Debug)]
pub struct Events {
    generator: EventGenerator,
    bids: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            generator: EventGenerator::new(NexmarkConfig {
                base_time: 1_700_000_000_000,
                ..NexmarkConfig::default()
            }),
            bids: 0,
        }
    }
}

impl Events {
    /// The next `count` events, as INSERT statements.
    pub fn insert(&mut self, count: usize) -> String {
        let (mut persons, mut auctions, mut bids) = (Vec::new(), Vec::new(), Vec::new());
        for event in self.generator.by_ref().take(count) {
            match event {
                Event::Person(p) => persons.push(format!(
                    "({}, {}, {}, {}, {}, {})",
                    p.id,
                    quote_literal(&p.name),
                    quote_literal(&p.email_address),
                    quote_literal(&p.city),
                    quote_literal(&p.state),
                    time(p.date_time)
                )),
                Event::Auction(a) => auctions.push(format!(
                    "({}, {}, {}, {}, {}, {}, {}, {})",
                    a.id,
                    quote_literal(&a.item_name),
                    a.initial_bid,
                    a.reserve,
                    time(a.date_time),
                    time(a.expires),
                    a.seller,
                    a.category
                )),
                Event::Bid(b) => {
                    self.bids += 1;
                    bids.push(format!(
                        "({}, {}, {}, {}, {}, {}, {})",
                        self.bids,
                        b.auction,
                        b.bidder,
                        b.price,
                        quote_literal(&b.channel),
                        quote_literal(&b.url),
                        time(b.date_time)
                    ));
                }
            }
        }
        [("person", persons), ("auction", auctions), ("bid", bids)]
            .into_iter()
            .filter(|(_, rows)| !rows.is_empty())
            .map(|(table, rows)| format!("INSERT INTO {table} VALUES {};\n", rows.join(", ")))
            .collect()
    }
}

/// A time in milliseconds as a timestamp.
fn time(ms: u64) -> String {
    format!("timestamp '1970-01-01' + interval '{ms} ms'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_each_time() {
        let first = Events::default().insert(100);
        assert_eq!(first, Events::default().insert(100));
        assert!(
            ["person", "auction", "bid"]
                .iter()
                .all(|t| first.contains(&format!("INTO {t} ")))
        );
        assert!(queries().len() > 20);
    }
}
