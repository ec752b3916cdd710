//! Which fault strikes when. Follows from the seed alone.
//!
//! A cycle has a storm, in which every kind strikes once, and a steady part, in which only those strike that leave
//! the server's processes alive: there the slope of their memory can be seen.

use std::time::Duration;

use harness::random::Random;

/// The part of a cycle that is storm.
const STORM: f64 = 0.55;

/// The time between two faults in the steady part.
const STEADY_PERIOD: Duration = Duration::from_secs(20);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SIGKILL to a refresh worker: the server restarts all of its processes.
    WorkerKill,
    /// SIGKILL to the session of a writer.
    WriterKill,
    /// SIGTERM to a worker, a scheduler or the launcher.
    ProcessEnd,
    /// Immediate stop, then a start with recovery.
    ImmediateRestart,
    /// Fast stop under load, without a drain.
    PlainStop,
    /// Drain under load, then a fast stop.
    DrainAndStop,
    /// Drain under load, then resume.
    DrainAndResume,
    /// A refresh is cancelled while it writes.
    CancelInApply,
    /// Some running refresh is cancelled.
    CancelAnywhere,
    /// More definitions at once than the ring holds.
    RingOverflow,
    /// A nested view gets another definition, a source is truncated.
    Redefinition,
    /// Settings are changed while refreshes run.
    Reconfiguration,
    /// A standby is made, promoted and judged.
    Promotion,
    /// A disk runs full and is freed again.
    DiskFull,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::WorkerKill,
        Self::WriterKill,
        Self::ProcessEnd,
        Self::ImmediateRestart,
        Self::PlainStop,
        Self::DrainAndStop,
        Self::DrainAndResume,
        Self::CancelInApply,
        Self::CancelAnywhere,
        Self::RingOverflow,
        Self::Redefinition,
        Self::Reconfiguration,
        Self::Promotion,
        Self::DiskFull,
    ];

    /// Those that leave the processes alive.
    const GENTLE: [Self; 6] = [
        Self::DrainAndResume,
        Self::CancelInApply,
        Self::CancelAnywhere,
        Self::RingOverflow,
        Self::Redefinition,
        Self::Reconfiguration,
    ];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkerKill => "worker killed",
            Self::WriterKill => "writer killed",
            Self::ProcessEnd => "process ended",
            Self::ImmediateRestart => "immediate restart",
            Self::PlainStop => "stop under load",
            Self::DrainAndStop => "drain and stop",
            Self::DrainAndResume => "drain and resume",
            Self::CancelInApply => "refresh cancelled in mid-apply",
            Self::CancelAnywhere => "refresh cancelled",
            Self::RingOverflow => "ring overflow",
            Self::Redefinition => "redefinition",
            Self::Reconfiguration => "reconfiguration",
            Self::Promotion => "standby promoted",
            Self::DiskFull => "disk full",
        }
    }
}

/// A fault and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// Since the run began.
    pub at: Duration,
    /// What.
    pub kind: Kind,
}

/// The schedule of a run.
pub fn plan(seed: u64, length: Duration, cycle: Duration) -> Vec<Strike> {
    let mut random = Random::new(seed ^ 0x5C4E);
    let mut strikes = Vec::new();
    let mut start = Duration::ZERO;
    loop {
        let end = (start + cycle).min(length.max(start));
        // A rest that is too short for all of them would only be a longer storm.
        if !strikes.is_empty() && end < start + cycle / 2 {
            break;
        }
        let storm = (end - start).mul_f64(STORM);
        let mut kinds = Kind::ALL.to_vec();
        shuffle(&mut kinds, &mut random);
        let count = kinds.len() as u32;
        strikes.extend(kinds.into_iter().zip(1..).map(|(kind, place)| Strike {
            at: start + storm / (count + 1) * place,
            kind,
        }));
        let mut at = start + storm + STEADY_PERIOD;
        while at < end {
            let kind = Kind::GENTLE[random.below(Kind::GENTLE.len() as u64) as usize];
            strikes.push(Strike { at, kind });
            at += STEADY_PERIOD;
        }
        start = end;
        if start >= length {
            break;
        }
    }
    strikes
}

fn shuffle(kinds: &mut [Kind], random: &mut Random) {
    for last in (1..kinds.len()).rev() {
        kinds.swap(last, random.below(last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_shortest_run_meets_every_kind_in_its_storm() {
        let strikes = plan(1, MINUTE, 10 * MINUTE);
        for kind in Kind::ALL {
            let met = strikes
                .iter()
                .filter(|strike| strike.kind == kind && strike.at < MINUTE.mul_f64(STORM));
            assert_eq!(met.count(), 1, "{kind:?}");
        }
    }

    #[test]
    fn the_steady_part_leaves_processes_alive_and_each_cycle_has_a_storm() {
        let strikes = plan(1, 20 * MINUTE, 10 * MINUTE);
        let steady = strikes
            .iter()
            .filter(|s| s.at >= MINUTE.mul_f64(5.5) && s.at < 10 * MINUTE);
        let mut count = 0;
        for strike in steady {
            assert!(Kind::GENTLE.contains(&strike.kind), "{strike:?}");
            count += 1;
        }
        assert!(count > 10);
        let crashes = strikes
            .iter()
            .filter(|s| s.kind == Kind::WorkerKill)
            .count();
        assert_eq!(crashes, 2);
        assert!(strikes.is_sorted_by_key(|strike| strike.at));
    }

    #[test]
    fn a_seed_repeats_its_schedule() {
        assert_eq!(plan(5, MINUTE, MINUTE), plan(5, MINUTE, MINUTE));
        assert_ne!(plan(5, MINUTE, MINUTE), plan(6, MINUTE, MINUTE));
    }
}
