//! Settings. None of them decides whether a result is right.

mod runtime;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

use crate::pg::guc;

pub use runtime::{
    INVALIDATION_RING_MAX_CAPACITY, WORKERS, cron_timezone, drain_timeout_s, full_refresh_interval,
    fuse_ceiling, history_rows, invalidation_ring_capacity, is_enabled, max_consecutive_errors,
    max_refresh_rest, max_refresh_workers, max_workers_per_database, min_refresh_interval,
    refresh_share_percent,
};

/// How changes of a source are captured when it gets its first reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum TriggerMode {
    /// A trigger function in the library.
    #[name = c"native"]
    Native,
    /// A generated PL/pgSQL function.
    #[name = c"sql"]
    Sql,
}

static CDC_TRIGGER_MODE: GucSetting<TriggerMode> =
    GucSetting::<TriggerMode>::new(TriggerMode::Native);
static PART3_MAX_SCAN_COUNT: GucSetting<i32> = GucSetting::<i32>::new(5);
#[cfg(feature = "canary")]
static CANARY: GucSetting<Option<std::ffi::CString>> =
    GucSetting::<Option<std::ffi::CString>>::new(None);

/// How changes of a source are captured when it gets its first reader.
pub fn cdc_trigger_mode() -> TriggerMode {
    CDC_TRIGGER_MODE.get()
}

/// Up to how many scans a join's corrections are inlined.
pub fn inline_limit() -> usize {
    usize::try_from(PART3_MAX_SCAN_COUNT.get()).unwrap_or(1)
}

/// Tells the delta engine which seeded bug is active. Normal builds have none.
pub fn activate_canary() {
    #[cfg(feature = "canary")]
    {
        use pgtrickle_dvm::canary::{self, Bug};
        canary::set(
            CANARY
                .get()
                .and_then(|name| Bug::named(&name.to_string_lossy())),
        );
    }
}

/// Defines the settings.
pub fn init() {
    GucRegistry::define_enum_guc(
        c"pg_trickle.cdc_trigger_mode",
        c"How changes of a table are captured when its first stream table is created.",
        c"native: a trigger function in the library; sql: a generated PL/pgSQL function.",
        &CDC_TRIGGER_MODE,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"pg_trickle.part3_max_scan_count",
        c"Joins of up to this many tables get their delta corrections inlined, if few of them changed.",
        c"Larger joins share intermediate results. Trades the size of statements and the time to plan them, never their result.",
        &PART3_MAX_SCAN_COUNT,
        1,
        64,
        GucContext::Userset,
        GucFlags::default(),
    );
    #[cfg(feature = "canary")]
    GucRegistry::define_string_guc(
        c"pg_trickle.canary",
        c"The seeded bug that is active in this session.",
        c"Empty: none. Exists only in builds that test the harness.",
        &CANARY,
        GucContext::Userset,
        GucFlags::default(),
    );
    runtime::init();
    guc::reserve_prefix(c"pg_trickle");
}
