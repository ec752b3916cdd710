//! The judge: does a stream table hold exactly the rows of its query?
//!
//! One statement, hence one snapshot, computes `want EXCEPT ALL have` and `have EXCEPT ALL want`
//! over **row images**: `record_send` of the whole row. It carries every column's type and binary
//! value, so `1.0` and `1.00` differ, `-0` and `0` differ, NULLs are equal to NULLs, and rows count
//! as often as they occur. No `=` of any data type takes part.
//!
//! Inside a transaction in REPEATABLE READ the statement sees what the refresh of that transaction
//! saw, with its own writes, so it is exact while others write.

use std::fmt;

use crate::client::{Row, Session, SqlError, quote_literal};

/// How many differing rows a verdict shows.
pub const SHOWN: usize = 10;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Question {
    /// SQL that selects the rows that should be there.
    pub want: String,
    /// SQL that selects the rows that are there.
    pub have: String,
}

impl Question {
    /// The stream table against this query.
    pub fn query(stream_table: &str, query: &str) -> Self {
        Self {
            want: query.trim().trim_end_matches(';').to_owned(),
            have: format!("SELECT * FROM {stream_table}"),
        }
    }

    /// The stream table against the view that PostgreSQL keeps of its query, which follows
    /// renames.
    pub async fn view(session: &Session, stream_table: &str) -> Result<Self, SqlError> {
        let view = session
            .scalar(&format!(
                "SELECT format('%I.%I', n.nspname, c.relname)
                   FROM pgtrickle.pgt_stream_tables s
                   JOIN pg_catalog.pg_class c ON c.oid = s.view_relid
                   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                  WHERE s.pgt_relid = {}::regclass",
                quote_literal(stream_table)
            ))
            .await?;
        Ok(Self::query(stream_table, &format!("SELECT * FROM {view}")))
    }

    /// The stream table against its query as it is written; against the view where the query has several right
    /// answers, since the view says which one is meant.
    pub async fn settled(
        session: &Session,
        stream_table: &str,
        query: &str,
    ) -> Result<Self, SqlError> {
        let tied = session
            .scalar(&format!(
                "SELECT pg_catalog.obj_description(s.view_relid, 'pg_class') IS NOT NULL
                   FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = {}::regclass",
                quote_literal(stream_table)
            ))
            .await?;
        match tied.as_str() {
            "t" => Self::view(session, stream_table).await,
            _ => Ok(Self::query(stream_table, query)),
        }
    }

    /// The statement that answers.
    pub fn sql(&self) -> String {
        let Self { want, have } = self;
        format!(
            "WITH want AS MATERIALIZED (
                SELECT pg_catalog.record_send(__pgt_row) AS image, __pgt_row::pg_catalog.text AS shown
                  FROM (\n{want}\n) AS __pgt_row),
             have AS MATERIALIZED (
                SELECT pg_catalog.record_send(__pgt_row) AS image, __pgt_row::pg_catalog.text AS shown
                  FROM (\n{have}\n) AS __pgt_row),
             missing AS (TABLE want EXCEPT ALL TABLE have),
             surplus AS (TABLE have EXCEPT ALL TABLE want)
             (SELECT 'rows', (SELECT count(*) FROM want)::text, (SELECT count(*) FROM have)::text,
                     (SELECT count(*) FROM missing)::text, (SELECT count(*) FROM surplus)::text)
             UNION ALL
             (SELECT 'missing', shown, image::text, NULL, NULL FROM missing ORDER BY 2 LIMIT {SHOWN})
             UNION ALL
             (SELECT 'surplus', shown, image::text, NULL, NULL FROM surplus ORDER BY 2 LIMIT {SHOWN})"
        )
    }

    /// Asks, in the session's transaction if there is one.
    pub async fn ask(&self, session: &Session) -> Result<Verdict, SqlError> {
        let rows = session.rows(&self.sql()).await?;
        Ok(Verdict::read(&rows))
    }
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rows that the query returns.
    pub wanted: u64,
    /// Rows that the stream table has.
    pub had: u64,
    /// How many rows the stream table lacks.
    pub missing: u64,
    /// How many rows it has too many.
    pub surplus: u64,
    /// The first of the missing rows.
    pub missing_rows: Vec<String>,
    /// The first of the surplus rows.
    pub surplus_rows: Vec<String>,
}

impl Verdict {
    /// Whether everything is as it should be.
    pub fn is_exact(&self) -> bool {
        self.missing == 0 && self.surplus == 0
    }

    /// Reads the rows of [`Question::sql`].
    fn read(rows: &[Row]) -> Self {
        let mut verdict = Self::default();
        let text = |row: &Row, index: usize| row.get(index).cloned().flatten().unwrap_or_default();
        let number = |row: &Row, index: usize| text(row, index).parse().unwrap_or(0);
        for row in rows {
            match text(row, 0).as_str() {
                "rows" => {
                    verdict.wanted = number(row, 1);
                    verdict.had = number(row, 2);
                    verdict.missing = number(row, 3);
                    verdict.surplus = number(row, 4);
                }
                "missing" => verdict.missing_rows.push(text(row, 1)),
                _ => verdict.surplus_rows.push(text(row, 1)),
            }
        }
        verdict
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_exact() {
            return write!(f, "exact: {} rows", self.wanted);
        }
        write!(
            f,
            "wrong: the query has {} rows, the stream table {}; {} missing, {} surplus",
            self.wanted, self.had, self.missing, self.surplus
        )?;
        for row in &self.missing_rows {
            write!(f, "\n  missing {row}")?;
        }
        for row in &self.surplus_rows {
            write!(f, "\n  surplus {row}")?;
        }
        Ok(())
    }
}

/// Judges a stream table by its view. Outside a transaction block this is one snapshot as well:
/// the look-up of the view's name does not count.
pub async fn check(session: &Session, stream_table: &str) -> Result<Verdict, SqlError> {
    Question::view(session, stream_table)
        .await?
        .ask(session)
        .await
}

/// What `explain_st` says of a stream table, or why it says nothing.
pub async fn explain(session: &Session, stream_table: &str) -> String {
    let name = quote_literal(stream_table);
    match session
        .rows(&format!("SELECT pgtrickle.explain_st({name})"))
        .await
    {
        Ok(rows) => {
            let lines: Vec<String> = rows.into_iter().flatten().flatten().collect();
            lines.join("\n")
        }
        Err(error) => error.to_string(),
    }
}
