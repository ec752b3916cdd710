//! What a refresh costs, counted: rows, and pages by `EXPLAIN (ANALYZE, BUFFERS)`, which sees all that its backend
//! touches, catalogs and bookkeeping included.

use std::fmt;

use harness::client::{Session, SqlError};

/// Orders in the shop when costs are counted.
const ORDERS: u32 = 20_000;

/// The cost of one recipe.
#[derive(Debug)]
pub struct Cost {
    /// Its stream table.
    pub name: String,
    /// Change rows that the refresh read.
    changed: u64,
    /// Rows that it inserted, updated or deleted.
    written: u64,
    /// Pages that it touched.
    pages: u64,
    /// Pages that its query touches.
    recomputed: u64,
}

/// The block with a shop of the size at which costs are counted.
pub fn enlarged(block: &str) -> String {
    block.replace("fill(400)", &format!("fill({ORDERS})"))
}

/// One customer comes, looks around, orders two products and pays; the goods leave, one is described anew.
pub fn order(number: u32) -> String {
    let id = 1_000_000 + number;
    format!(
        "INSERT INTO customers VALUES ({id}, 'customer {id}', 'c{id}@example.com', 'AT', '2025-11-03 09:00+00', 7);
         INSERT INTO subscriptions VALUES ({id}, {id}, '[2025-11-03,2025-12-03)', 10);
         INSERT INTO events VALUES ({id}, {id}, '2025-11-03 09:01+00', 'visit', '{{\"page\": \"/p/1\"}}'),
                                   ({id} + 1000, {id}, '2025-11-03 09:05+00', 'cart', '{{\"page\": \"/p/1\"}}');
         INSERT INTO orders VALUES ({id}, {id}, '2025-11-03 09:10+00', 'paid', 'USD', 42.00, '2025-11-04 09:10+00');
         INSERT INTO order_lines VALUES ({id}, 1, 17, 2, 12.00), ({id}, 2, 18, 1, 18.00);
         INSERT INTO payments VALUES ({id}, {id}, '2025-11-03 09:11+00', 'card', 40.00);
         INSERT INTO stock_moves VALUES ({id}, 17, 'north', '2025-11-03 10:00+00', -2);
         UPDATE products SET description = description || ' and more', tags = tags || 'more'::text WHERE id = 60 - {number};
         INSERT INTO categories VALUES ({id}, 5, 'category {id}');
         UPDATE rates SET rate = rate + 0.001 WHERE currency = 'USD' AND valid @> date '2025-02-0{number}';
         INSERT INTO prices VALUES (17, '2025-11-0{number} 00:00+00', 13.00)"
    )
}

impl Cost {
    /// Refreshes the stream table, and runs its query.
    pub async fn measure(session: &Session, name: &str, query: &str) -> Result<Self, SqlError> {
        let refresh = format!("SELECT * FROM pgtrickle.refresh_stream_table('{name}')");
        let pages = touched(session, &refresh).await?;
        let history = format!(
            "SELECT delta_rows, rows_inserted + rows_updated + rows_deleted AS written \
               FROM pgtrickle.get_refresh_history('{name}', 1)"
        );
        let history = session.table(&history).await?;
        let number = |column| {
            history
                .value(0, column)
                .and_then(|n| n.parse().ok())
                .unwrap_or(0)
        };
        Ok(Self {
            name: name.to_owned(),
            changed: number("delta_rows"),
            written: number("written"),
            pages,
            recomputed: touched(session, query).await?,
        })
    }

    /// Reads a row of the table.
    pub fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, changed, written, pages, recomputed, _] = cells.as_slice() else {
            return None;
        };
        Some(Self {
            name: name.trim_matches('`').to_owned(),
            changed: changed.parse().ok()?,
            written: written.parse().ok()?,
            pages: pages.parse().ok()?,
            recomputed: recomputed.parse().ok()?,
        })
    }

    /// With the fewer pages of the two.
    pub fn with_fewer_pages(self, other: &Self) -> Self {
        Self {
            pages: self.pages.min(other.pages),
            ..self
        }
    }

    /// Whether rows are the same and pages about as many: which pages catalogs and indexes take varies.
    pub fn is_like(&self, other: &Self) -> bool {
        let near = |a: u64, b: u64| a.abs_diff(b) <= 20 + a.max(b) / 4;
        self.changed == other.changed
            && self.written == other.written
            && near(self.pages, other.pages)
            && near(self.recomputed, other.recomputed)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            changed,
            written,
            pages,
            recomputed,
        } = self;
        write!(
            f,
            "| `{name}` | {changed} | {written} | {pages} | {recomputed} |"
        )
    }
}

/// The table.
pub fn table(costs: &[Cost]) -> String {
    let mut text = String::from(
        "| stream table | change rows | rows written | pages touched | pages that its query touches |\n\
         |---|--:|--:|--:|--:|\n",
    );
    for cost in costs {
        text.push_str(&format!("{cost}\n"));
    }
    text
}

/// Buffers that a statement touches: those of the outermost node of its plan, printed first.
async fn touched(session: &Session, sql: &str) -> Result<u64, SqlError> {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}");
    let plan = session.scalar(&explain).await?;
    let blocks = |key: &str| -> u64 {
        let (_, rest) = plan.split_once(key).expect("a plan with buffers");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    Ok(blocks("\"Shared Hit Blocks\": ") + blocks("\"Shared Read Blocks\": "))
}
