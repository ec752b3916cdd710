//! How often building the text of a capture trigger asks for memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use benches::captured;
use pgtrickle_dvm::capture_sql::build_stmt_trigger_fn_sql;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: per contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: per contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations<T>(work: impl FnOnce() -> T) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    black_box(work());
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// The only test here, since the count is of the whole process.
#[test]
fn the_number_of_columns_does_not_matter() {
    let counts = captured::ALLOCATIONS_BEFORE.map(|(count, before)| {
        let columns = captured::columns(count);
        let now = allocations(|| build_stmt_trigger_fn_sql("s.f", "s.b", &columns));
        println!("{count} columns: {now} allocations, {before} before");
        assert!(now < before);
        now
    });
    assert_eq!(counts[0], counts[1], "the text is built in one buffer");
}
