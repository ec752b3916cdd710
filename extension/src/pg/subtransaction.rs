//! A subtransaction around work that may raise a data exception.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys;
use pgrx::prelude::PgTryBuilder;

use super::caught::Caught;
use super::failure::Failure;
use crate::error::{CLOCK_WORD, Result};

/// What came of an attempt.
#[derive(Debug)]
pub enum Attempt<T> {
    /// The work is done.
    Done(T),
    /// An expression met a value that it has no result for (division by zero, a scalar subquery with several rows, RAISE
    /// in a function, …), with the server's message. Everything that the work wrote is undone.
    DataException(DataException),
}

/// The error of an expression that met a value without a result.
#[derive(Debug)]
pub struct DataException(Box<Caught>);

impl DataException {
    /// The server's message.
    pub fn message(&self) -> String {
        self.0.message().to_owned()
    }

    /// Whether it is about text that says what the clock decides.
    pub fn is_clock_word(&self) -> bool {
        self.0.code() == CLOCK_WORD as i32
    }

    /// Throws it again.
    pub fn throw(self) -> ! {
        self.0.throw()
    }
}

/// Does the work in a subtransaction. Errors other than data exceptions are thrown again when the
/// subtransaction has been rolled back: the handler that catches them must find its own as the innermost.
pub fn attempt<T>(work: impl FnOnce() -> Result<T>) -> Result<Attempt<T>> {
    attempt_if(|_| true, work)
}

/// Like [`attempt`], but what the work wrote is also undone if `stays` says so of its result.
pub fn attempt_if<T>(
    stays: impl FnOnce(&T) -> bool,
    work: impl FnOnce() -> Result<T>,
) -> Result<Attempt<T>> {
    let is_done = |outcome: &std::result::Result<Result<T>, _>| match outcome {
        Ok(Ok(done)) => stays(done),
        _ => false,
    };
    let outcome = within(is_done, || {
        PgTryBuilder::new(AssertUnwindSafe(|| Ok(work())))
            .catch_others(|error| Err(Box::new(Caught::of(error))))
            .execute()
    });
    match outcome {
        Ok(done) => done.map(Attempt::Done),
        Err(error) if error.is_of_value() => Ok(Attempt::DataException(DataException(error))),
        Err(error) => error.throw(),
    }
}

/// Does the work in a subtransaction. Any error undoes it and is returned as what is left of it.
pub fn contain<T>(work: impl FnOnce() -> Result<T>) -> std::result::Result<T, Failure> {
    within(std::result::Result::is_ok, || {
        PgTryBuilder::new(AssertUnwindSafe(|| {
            work().map_err(|error| Failure::of(&error))
        }))
        .catch_others(|error| Err(Failure::caught(&Caught::of(error))))
        .execute()
    })
}

/// Calls `guarded`, which lets no error pass, in a subtransaction that stays if the outcome is done.
fn within<T>(is_done: impl FnOnce(&T) -> bool, guarded: impl FnOnce() -> T) -> T {
    // SAFETY: begun here and ended below on every path, since no error passes; memory context, resource
    // owner and lines of CONTEXT are put back as PL/pgSQL does.
    let (context, owner, lines) = unsafe {
        let saved = (
            pg_sys::CurrentMemoryContext,
            pg_sys::CurrentResourceOwner,
            pg_sys::error_context_stack,
        );
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(saved.0);
        saved
    };
    let outcome = guarded();
    // SAFETY: as above.
    unsafe {
        pg_sys::error_context_stack = lines;
        if is_done(&outcome) {
            pg_sys::ReleaseCurrentSubTransaction();
        } else {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
    }
    outcome
}
