//! Errors in a query that was passed as text: the position is shown in that text, since the
//! client could only point into the statement that carried it.

use std::cell::Cell;
use std::ffi::c_void;

use pgrx::PgTryBuilder;
use pgrx::pg_sys;

use super::caught::Caught;

thread_local! {
    /// Position of the last error, in characters from 1; 0 if it had none.
    static POSITION: Cell<i32> = const { Cell::new(0) };
}

/// At most this much of a line is shown.
const LINE_CHARS_MAX: usize = 100;

/// Runs `work`, which parses or analyses `text`. A server error that it raises says where in the
/// text it is.
pub fn located<T>(text: &str, work: impl FnOnce() -> T + std::panic::UnwindSafe) -> T {
    POSITION.set(0);
    let outcome = PgTryBuilder::new(std::panic::AssertUnwindSafe(|| {
        let _callback = Callback::push();
        Ok(work())
    }))
    .catch_others(|error| Err(Box::new(Caught::of(error))))
    .execute();
    match outcome {
        Ok(value) => value,
        Err(mut error) => {
            if let Ok(position @ 1..) = usize::try_from(POSITION.get()) {
                let place = place(text, position);
                error.add_detail(|detail| match detail {
                    Some(detail) => format!("{detail}\n{place}"),
                    None => format!("The place in the query:\n{place}"),
                });
            }
            error.throw()
        }
    }
}

/// The line of `text` with the character at `position` (from 1), and a mark under it.
fn place(text: &str, position: usize) -> String {
    let before: String = text.chars().take(position.saturating_sub(1)).collect();
    let line_number = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count();
    let line = text.lines().nth(line_number - 1).unwrap_or_default();
    let skipped = column.saturating_sub(LINE_CHARS_MAX / 2);
    let shown: String = line.chars().skip(skipped).take(LINE_CHARS_MAX).collect();
    let ellipsis = if skipped > 0 { "..." } else { "" };
    let lead = format!("LINE {line_number}: {ellipsis}");
    let indent = " ".repeat(lead.chars().count() + column - skipped);
    format!("{lead}{shown}\n{indent}^")
}

/// An error context callback that notes positions; taken off on drop.
struct Callback {
    raw: Box<pg_sys::ErrorContextCallback>,
}

impl Callback {
    fn push() -> Self {
        let mut raw = Box::new(pg_sys::ErrorContextCallback {
            // SAFETY: a variable of the server.
            previous: unsafe { pg_sys::error_context_stack },
            callback: Some(note_position),
            arg: std::ptr::null_mut(),
        });
        // SAFETY: the box does not move, and is taken off before it is freed.
        unsafe { pg_sys::error_context_stack = &mut *raw };
        Callback { raw }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: also while an error unwinds, the stack is as it was on entry to the call that
        // failed: with our callback on top.
        unsafe { pg_sys::error_context_stack = self.raw.previous };
    }
}

/// Called by the server while it composes a message.
unsafe extern "C-unwind" fn note_position(_: *mut c_void) {
    // SAFETY: reads the message that is being composed.
    POSITION.set(unsafe { pg_sys::geterrposition() });
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn the_place_is_a_line_and_a_mark() {
        assert_eq!(place("selct 1", 1), "LINE 1: selct 1\n        ^");
        assert_eq!(
            place("select ä,\n  nosuch from t", 13),
            "LINE 2:   nosuch from t\n          ^"
        );
        assert_eq!(place("select", 7), "LINE 1: select\n              ^");
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let text = format!("select {}, nosuch from t", "x".repeat(200));
        let place = place(&text, text.find("nosuch").expect("is there") + 1);
        let (line, mark) = place.split_once('\n').expect("two lines");
        assert!(line.starts_with("LINE 1: ...xxx"), "{line}");
        assert_eq!(&line[mark.len() - 1..][..6], "nosuch");
    }
}
