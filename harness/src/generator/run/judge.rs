//! What the oracle says of the stream tables of a case.

use crate::oracle::{Question, Verdict};

use super::super::finding::FindingKind;
use super::refresh::ROW_COUNTS;
use super::{Run, Stop};

impl Run<'_> {
    /// Asks the oracle with the query as it was written, or as its ties are settled.
    pub(super) async fn judge(&mut self, number: usize, name: &str) -> Result<(), Stop> {
        let Some(query) = self.queries.get(name) else {
            return Ok(());
        };
        self.become_owner().await;
        let asked = match Question::settled(self.session, name, query).await {
            Ok(question) => question.ask(self.session).await,
            Err(error) => Err(error),
        };
        self.become_itself().await;
        let verdict: Verdict = match asked {
            Ok(verdict) => verdict,
            Err(error) if error.is_connection_loss() => {
                return Err(self.found(number, FindingKind::Crash, error.to_string()));
            }
            Err(error) if error.sqlstate == "25P02" => return Ok(()),
            Err(error) if ROW_COUNTS.contains(&error.sqlstate.as_str()) => {
                let what = format!("the query of {name} fails, its refresh did not: {error}");
                return match self.failed.contains(name) {
                    true => Ok(()),
                    false => Err(self.explained(number, FindingKind::Wrong, what, name).await),
                };
            }
            Err(_) => return Err(Stop::Void),
        };
        self.judged += 1;
        if verdict.is_exact() {
            return self.judge_choice(number, name).await;
        }
        let what = format!("{name} is {verdict}");
        Err(self.explained(number, FindingKind::Wrong, what, name).await)
    }

    /// Whether a settled answer is one that the query as it was written allows.
    async fn judge_choice(&self, number: usize, name: &str) -> Result<(), Stop> {
        let Some(choice) = &self.script.choice else {
            return Ok(());
        };
        let is_of_query = name == "st"
            || name == self.script.late
            || self.script.immediate.as_deref() == Some(name);
        let Some(query) = self.queries.get(name).filter(|_| is_of_query) else {
            return Ok(());
        };
        self.become_owner().await;
        let verdict = choice.verdict(self.session, name, query).await;
        self.become_itself().await;
        match verdict {
            Ok(false) => {
                let what = format!("{name} holds an answer that the query does not allow");
                Err(self.explained(number, FindingKind::Wrong, what, name).await)
            }
            // During a rename the query still uses the old names.
            _ => Ok(()),
        }
    }

    /// Judges the IMMEDIATE stream table, if there is one.
    pub(super) async fn judge_immediate(&mut self, number: usize) -> Result<(), Stop> {
        match &self.script.immediate {
            Some(name) => match self.judge(number, name).await {
                // During a rename the query still uses the old names.
                Err(Stop::Void) => Ok(()),
                other => other,
            },
            None => Ok(()),
        }
    }
}
