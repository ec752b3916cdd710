//! Sessions on nodes that outlive a call. A node reads, compiles and plans the queries of its shards once per session; in a
//! new one that takes longer than everything else.
//!
//! A session belongs to one address, the role that connects among it, and to the owner of one or more stream tables, so that
//! nothing that the code of one owner leaves in it is met by another's. Before each use, a statement undoes what may be left
//! there and shows whether the node still answers. Only then, when nothing has run that must not run twice, is a session
//! opened again. One that is in a transaction or at work after its use, or at an error here, is closed.
//!
//! A node ends sessions that rest for [`RESTING`], and cancels what runs in one within a second after its client has gone.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::address::Parameters;
use crate::error::Result;
use crate::pg::libpq::Connection;
use crate::pg::settings;

/// How many this process keeps; those that rest longest are closed.
const MOST: usize = 16;
/// How long one is used: what its server process has kept grows.
const LIFETIME: Duration = Duration::from_secs(3600);

/// What a session begins each use with.
const BEGIN: &std::ffi::CStr = c"CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ALL; UNLISTEN *; \
SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; SET client_connection_check_interval = '1s'; SET idle_session_timeout = '10min'";

thread_local! {
    static KEPT: RefCell<Vec<Session>> = const { RefCell::new(Vec::new()) };
}

/// A statement with the texts that are its parameters.
#[derive(Debug, Clone, Copy)]
pub struct Statement<'a> {
    /// The statement, of which `$1` is the first parameter.
    pub sql: &'a str,
    /// The parameters.
    pub parameters: &'a [&'a str],
}

type Answered = std::result::Result<String, String>;

#[derive(Debug)]
struct Session {
    address: Parameters,
    owner: pg_sys::Oid,
    opened: Instant,
    connection: Connection,
}

/// A node on the way to its answer.
enum Step {
    /// What it begins with is under way; whether in a session that was kept.
    Beginning(Session, bool),
    /// The statement is.
    Running(Session),
    /// There is none any more.
    Ended(Answered),
}

/// Runs a statement for an owner on all these nodes at once.
pub fn run(
    addresses: Vec<Parameters>,
    owner: pg_sys::Oid,
    statement: Statement<'_>,
) -> Result<Vec<Answered>> {
    let until = Instant::now() + patience();
    let mut steps = Vec::new();
    for address in addresses {
        steps.push(match take(&address, owner) {
            Some(session) if session.connection.send(BEGIN).is_ok() => {
                Step::Beginning(session, true)
            }
            _ => open(address, owner)?,
        });
    }
    let mut running = Vec::new();
    for step in steps {
        running.push(start(step, until, statement)?);
    }
    let mut answers = Vec::new();
    for step in running {
        answers.push(match step {
            Step::Ended(answer) => answer,
            Step::Beginning(session, _) | Step::Running(session) => {
                let answer = session.connection.answer();
                keep(session);
                answer
            }
        });
    }
    Ok(answers)
}

/// A session that is kept for this address and owner. Those for other addresses of the same host and port are closed.
fn take(address: &Parameters, owner: pg_sys::Oid) -> Option<Session> {
    KEPT.with_borrow_mut(|kept| {
        kept.retain(|session| {
            session.opened.elapsed() < LIFETIME
                && (session.address == *address || !is_same_node(&session.address, address))
        });
        let place = kept
            .iter()
            .position(|session| session.owner == owner && session.address == *address)?;
        Some(kept.remove(place))
    })
}

fn is_same_node(one: &Parameters, other: &Parameters) -> bool {
    let of = |all: &Parameters, wanted: &str| {
        let found = all.iter().rev().find(|(keyword, _)| keyword == wanted);
        found.map(|(_, value)| value.clone())
    };
    ["host", "hostaddr", "port"]
        .iter()
        .all(|keyword| of(one, keyword) == of(other, keyword))
}

fn keep(session: Session) {
    if session.connection.is_at_rest() {
        KEPT.with_borrow_mut(|kept| {
            kept.push(session);
            let surplus = kept.len().saturating_sub(MOST);
            kept.drain(..surplus);
        });
    }
}

fn open(address: Parameters, owner: pg_sys::Oid) -> Result<Step> {
    Ok(match Connection::open(&address)? {
        Err(why) => Step::Ended(Err(why)),
        Ok(connection) => Step::Beginning(
            Session {
                address,
                owner,
                opened: Instant::now(),
                connection,
            },
            false,
        ),
    })
}

/// Waits until the session is ready, opened again if the node has ended it, and sends the statement.
fn start(step: Step, until: Instant, statement: Statement<'_>) -> Result<Step> {
    let (mut session, was_kept) = match step {
        Step::Beginning(session, was_kept) => (session, was_kept),
        other => return Ok(other),
    };
    let begun = match was_kept {
        true => session.connection.answer().map(drop),
        false => make_ready(&session, until),
    };
    if was_kept && (begun.is_err() || !session.connection.is_at_rest()) {
        session = match open(session.address, session.owner)? {
            Step::Beginning(opened, _) => opened,
            failed => return Ok(failed),
        };
        if let Err(why) = make_ready(&session, until) {
            return Ok(Step::Ended(Err(why)));
        }
    } else if let Err(why) = begun {
        return Ok(Step::Ended(Err(why)));
    }
    let sent = session
        .connection
        .send_with(statement.sql, statement.parameters)?;
    Ok(match sent {
        Ok(()) => Step::Running(session),
        Err(why) => Step::Ended(Err(why)),
    })
}

fn make_ready(session: &Session, until: Instant) -> std::result::Result<(), String> {
    session.connection.finish_opening(until)?;
    session.connection.send(BEGIN)?;
    session.connection.answer().map(drop)
}

/// How long Citus waits for a node to let it in.
fn patience() -> Duration {
    let set = settings::current(c"citus.node_connection_timeout");
    let milliseconds = set.and_then(|text| text.parse().ok()).unwrap_or(30_000);
    Duration::from_millis(milliseconds)
}
