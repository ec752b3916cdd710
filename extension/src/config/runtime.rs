//! Settings of the scheduler. All but the ring's capacity follow a reload of the configuration.

use std::ffi::{CStr, CString};
use std::ops::RangeInclusive;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

use crate::pg::shared;

/// How many workers there can be in a cluster. Shared memory has room for them.
pub const WORKERS: usize = 64;

/// The largest capacity of the invalidation ring. Shared memory has room for it.
pub const INVALIDATION_RING_MAX_CAPACITY: usize = 1024;

static ENABLED: GucSetting<bool> = GucSetting::<bool>::new(true);
static MAX_REFRESH_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(4);
static MAX_WORKERS_PER_DATABASE: GucSetting<i32> = GucSetting::<i32>::new(0);
static MIN_REFRESH_INTERVAL_MS: GucSetting<i32> = GucSetting::<i32>::new(5);
static REFRESH_SHARE_PERCENT: GucSetting<i32> = GucSetting::<i32>::new(20);
static MAX_REFRESH_REST_MS: GucSetting<i32> = GucSetting::<i32>::new(1000);
static FULL_REFRESH_INTERVAL_S: GucSetting<i32> = GucSetting::<i32>::new(60);
static MAX_CONSECUTIVE_ERRORS: GucSetting<i32> = GucSetting::<i32>::new(5);
static FUSE_CEILING: GucSetting<i32> = GucSetting::<i32>::new(0);
static DRAIN_TIMEOUT_S: GucSetting<i32> = GucSetting::<i32>::new(10);
static HISTORY_ROWS: GucSetting<i32> = GucSetting::<i32>::new(1000);
static INVALIDATION_RING_CAPACITY: GucSetting<i32> = GucSetting::<i32>::new(256);
static CRON_TIMEZONE: GucSetting<Option<CString>> =
    GucSetting::<Option<CString>>::new(Some(c"UTC"));

/// Whether schedulers hand out refreshes.
pub fn is_enabled() -> bool {
    ENABLED.get()
}

/// How many workers the cluster may have.
pub fn max_refresh_workers() -> usize {
    usize::try_from(MAX_REFRESH_WORKERS.get()).unwrap_or(1)
}

/// How many of them one database may have.
pub fn max_workers_per_database() -> usize {
    match usize::try_from(MAX_WORKERS_PER_DATABASE.get()) {
        Ok(quota) if quota > 0 => quota,
        _ => usize::MAX,
    }
}

/// The pause between two refreshes of a `calculated` stream table.
pub fn min_refresh_interval() -> Duration {
    Duration::from_millis(u64::try_from(MIN_REFRESH_INTERVAL_MS.get()).unwrap_or(0))
}

/// The share of a core that the refreshes of a `calculated` stream table may take, as far as longer pauses
/// can achieve that.
pub fn refresh_share_percent() -> u32 {
    u32::try_from(REFRESH_SHARE_PERCENT.get()).unwrap_or(100)
}

/// The longest pause that keeps a `calculated` stream table to that share.
pub fn max_refresh_rest() -> Duration {
    Duration::from_millis(u64::try_from(MAX_REFRESH_REST_MS.get()).unwrap_or(0))
}

/// How often a `calculated` stream table is refreshed when its sources cannot signal changes.
pub fn full_refresh_interval() -> Duration {
    Duration::from_secs(u64::try_from(FULL_REFRESH_INTERVAL_S.get()).unwrap_or(60))
}

/// Number of consecutive failures after which a stream table is suspended.
pub fn max_consecutive_errors() -> i32 {
    MAX_CONSECUTIVE_ERRORS.get()
}

/// Number of change rows above which a scheduled refresh stops; `None`: never.
pub fn fuse_ceiling() -> Option<u64> {
    u64::try_from(FUSE_CEILING.get())
        .ok()
        .filter(|rows| *rows > 0)
}

/// How long a running refresh may continue after SIGTERM.
pub fn drain_timeout_s() -> i32 {
    DRAIN_TIMEOUT_S.get()
}

/// How many rows of history each stream table keeps.
pub fn history_rows() -> i64 {
    i64::from(HISTORY_ROWS.get())
}

/// Entries of the invalidation ring.
pub fn invalidation_ring_capacity() -> usize {
    usize::try_from(INVALIDATION_RING_CAPACITY.get()).unwrap_or(1)
}

/// The time zone of cron schedules.
pub fn cron_timezone() -> String {
    CRON_TIMEZONE.get().map_or_else(
        || "UTC".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// Processes must agree on the ring's capacity, so it is fixed at the start; where there is no
/// ring, the server does not allow such a setting to be defined.
fn context_of_the_ring() -> GucContext {
    if shared::is_preloading() {
        GucContext::Postmaster
    } else {
        GucContext::Sighup
    }
}

/// Defines them.
pub fn init() {
    define_workers();
    define_times();
    define_limits();
}

/// Who refreshes.
fn define_workers() {
    GucRegistry::define_bool_guc(
        c"pg_trickle.enabled",
        c"Whether stream tables are refreshed by their schedules.",
        c"If off, no scheduled refresh starts; capture and manual refreshes continue.",
        &ENABLED,
        GucContext::Sighup,
        GucFlags::default(),
    );
    number(
        c"pg_trickle.max_refresh_workers",
        c"How many refreshes may run at once in the cluster.",
        c"Each takes one of max_worker_processes, as do the launcher and each database's scheduler.",
        &MAX_REFRESH_WORKERS,
        1..=WORKERS as i32,
    );
    number(
        c"pg_trickle.max_refresh_workers_per_database",
        c"How many refreshes may run at once in one database.",
        c"0: limited only by pg_trickle.max_refresh_workers.",
        &MAX_WORKERS_PER_DATABASE,
        0..=WORKERS as i32,
    );
    GucRegistry::define_int_guc(
        c"pg_trickle.invalidation_ring_capacity",
        c"How many changed definitions are kept before a scheduler rereads the whole catalog.",
        c"A scheduler that falls further behind rereads it; invalidation_ring_overflows_total counts that.",
        &INVALIDATION_RING_CAPACITY,
        1,
        INVALIDATION_RING_MAX_CAPACITY as i32,
        context_of_the_ring(),
        GucFlags::default(),
    );
}

/// When a stream table is refreshed.
fn define_times() {
    number(
        c"pg_trickle.min_refresh_interval_ms",
        c"Pause between two refreshes of a calculated stream table, in milliseconds.",
        c"The first change after a pause is refreshed at once; later ones are collected.",
        &MIN_REFRESH_INTERVAL_MS,
        0..=3_600_000,
    );
    number(
        c"pg_trickle.refresh_share_percent",
        c"The share of a core that the refreshes of one calculated stream table may take, in percent.",
        c"The longer a refresh takes, the longer the pause after it, so under load one refresh applies more changes. 100: no pause beyond pg_trickle.min_refresh_interval_ms.",
        &REFRESH_SHARE_PERCENT,
        1..=100,
    );
    number(
        c"pg_trickle.max_refresh_rest_ms",
        c"Longest pause that keeps a calculated stream table to its share, in milliseconds.",
        c"It bounds the delay that the share can add.",
        &MAX_REFRESH_REST_MS,
        0..=3_600_000,
    );
    seconds(
        c"pg_trickle.full_refresh_interval",
        c"How often a calculated stream table is refreshed when its sources cannot signal changes.",
        c"This concerns FULL mode, which captures nothing, the clock, foreign tables and materialized views.",
        &FULL_REFRESH_INTERVAL_S,
        1..=86_400,
    );
    GucRegistry::define_string_guc(
        c"pg_trickle.cron_timezone",
        c"The time zone in which cron schedules are read.",
        c"An IANA name; an unknown one counts as UTC.",
        &CRON_TIMEZONE,
        GucContext::Sighup,
        GucFlags::default(),
    );
}

/// Limits of refreshes and of their history.
fn define_limits() {
    number(
        c"pg_trickle.max_consecutive_errors",
        c"Number of consecutive failed refreshes after which a stream table is suspended.",
        c"pgtrickle.resume_stream_table() resumes it.",
        &MAX_CONSECUTIVE_ERRORS,
        1..=1000,
    );
    number(
        c"pg_trickle.fuse_ceiling",
        c"A scheduled refresh of more change rows than this suspends the stream table.",
        c"0: never. resume_stream_table() or a manual refresh accepts the changes.",
        &FUSE_CEILING,
        0..=i32::MAX,
    );
    seconds(
        c"pg_trickle.drain_timeout",
        c"How long a running refresh may continue when the server stops.",
        c"It is then cancelled, and repeated after the next start.",
        &DRAIN_TIMEOUT_S,
        0..=3600,
    );
    number(
        c"pg_trickle.history_rows",
        c"How many rows of refresh history each stream table keeps.",
        c"Older ones are aggregated in pgtrickle.pgt_refresh_totals.",
        &HISTORY_ROWS,
        1..=1_000_000,
    );
}

fn number(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    range: RangeInclusive<i32>,
) {
    integer(name, [short, long], setting, range, GucFlags::default());
}

fn seconds(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    range: RangeInclusive<i32>,
) {
    integer(name, [short, long], setting, range, GucFlags::UNIT_S);
}

fn integer(
    name: &'static CStr,
    [short, long]: [&'static CStr; 2],
    setting: &'static GucSetting<i32>,
    range: RangeInclusive<i32>,
    flags: GucFlags,
) {
    let (least, most) = range.into_inner();
    let context = GucContext::Sighup;
    GucRegistry::define_int_guc(name, short, long, setting, least, most, context, flags);
}
