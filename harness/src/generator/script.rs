//! What a case does, act by act, and the same for psql.

use super::query::Choice;

/// What a script does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// SQL that makes the case; must succeed.
    Setup(String),
    /// A view that the query reads; PostgreSQL may refuse it, then the case is void.
    View(String),
    /// A stream table: name and query. PostgreSQL may refuse the query, the extension may not.
    Create(String, String),
    /// The same, in IMMEDIATE.
    CreateImmediate(String, String),
    /// The stream table `st` altered, and not the rows that it should have.
    Alter(String),
    /// A change; may fail.
    Change(String),
    /// BEGIN, COMMIT and the like.
    Control(String),
    /// A refresh of all stream tables, each judged; `may_recompute` allows FULL.
    RefreshAll {
        /// Whether a TRUNCATE is among the changes, or a column more where whole rows are looked at.
        may_recompute: bool,
        /// Whether nothing may have changed.
        nothing: bool,
        /// Also those that are refreshed only once.
        last: bool,
    },
    /// A refresh of all stream tables in the open transaction, judged there if it is
    /// REPEATABLE READ.
    RefreshHere {
        /// Whether the oracle sees what the refresh saw.
        judge: bool,
    },
    /// A refresh of all stream tables while text says what the clock decides: refused, or exact.
    RefreshGuarded,
}

/// The acts of a case, and its stream tables.
#[derive(Debug, Clone)]
pub struct Script {
    /// What happens, in order.
    pub acts: Vec<Act>,
    /// Stream tables that are refreshed with each batch, sources first.
    pub tables: Vec<String>,
    /// The one that is refreshed once, at the end: k small refreshes equal one large one.
    pub late: String,
    /// The three parts, if there are any: together they are the table `st`.
    pub parts: Vec<String>,
    /// The one in IMMEDIATE: never refreshed, judged after every change.
    pub immediate: Option<String>,
    /// What every right answer of the query has in common, where ties leave several.
    pub choice: Option<Choice>,
    /// A query reads the clock: what is judged is refreshed in the same transaction.
    pub clock: bool,
    /// The role that owns the stream tables, if it is not that of the session.
    pub owner: Option<&'static str>,
    /// Settings of the session.
    pub settings: Vec<String>,
}

impl Script {
    /// What psql replays, up to and including the act of this number, with the oracle's question
    /// at each refresh.
    pub fn psql(&self, until: usize) -> String {
        let mut sql = String::from(
            "-- Replay with: psql -X -f this-file (in an empty database)\n\
             CREATE EXTENSION IF NOT EXISTS pg_trickle;\n",
        );
        for setting in &self.settings {
            sql.push_str(&format!("{setting};\n"));
        }
        let refresh = |names: &[String]| -> String {
            names
                .iter()
                .map(|name| format!("SELECT * FROM pgtrickle.refresh_stream_table('{name}');\n"))
                .collect()
        };
        let (to, from) = self.roles();
        for act in self.acts.iter().take(until + 1) {
            let judged = matches!(act, Act::Create(..) | Act::RefreshAll { .. });
            if self.clock && judged {
                sql.push_str("BEGIN;\n");
            }
            match act {
                Act::Setup(text) => sql.push_str(&format!("{text}\n")),
                Act::View(text) => sql.push_str(&format!("{to}{text};\n{from}")),
                Act::Change(text) | Act::Control(text) | Act::Alter(text) => {
                    sql.push_str(&format!("{text};\n"));
                }
                Act::Create(name, query) => {
                    let created = creation(name, query, "DIFFERENTIAL");
                    sql.push_str(&format!("{to}{created}{from}"));
                }
                Act::CreateImmediate(name, query) => {
                    sql.push_str(&creation(name, query, "IMMEDIATE"));
                }
                Act::RefreshHere { .. } | Act::RefreshGuarded => {
                    sql.push_str(&refresh(&self.tables))
                }
                Act::RefreshAll { last, .. } => {
                    sql.push_str(&refresh(&self.tables));
                    if *last {
                        sql.push_str(&refresh(std::slice::from_ref(&self.late)));
                    }
                }
            }
            if self.clock && judged {
                sql.push_str("COMMIT;\n");
            }
        }
        sql.push_str(&to);
        for (name, query) in self.acts.iter().filter_map(|act| match act {
            Act::Create(name, query) | Act::CreateImmediate(name, query) => Some((name, query)),
            _ => None,
        }) {
            let question = crate::oracle::Question::query(name, query).sql();
            sql.push_str(&format!("\\echo {name}\n{question};\n"));
        }
        sql
    }

    /// Statements for psql before and after what the owner of the stream tables does.
    fn roles(&self) -> (String, String) {
        match self.owner {
            Some(owner) => (format!("SET ROLE {owner};\n"), "RESET ROLE;\n".to_owned()),
            None => (String::new(), String::new()),
        }
    }
}

fn creation(name: &str, query: &str, mode: &str) -> String {
    format!(
        "SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, refresh_mode => '{mode}');\n"
    )
}
