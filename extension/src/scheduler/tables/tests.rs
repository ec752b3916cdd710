//! A simulated database: sources that change, tables that cost time, too few workers. Only events
//! advance the time.

use proptest::prelude::*;

use super::group::GROUP;
use super::*;
use crate::shmem::worker::{TASKS, TaskResult};

/// A stream table over one source.
#[derive(Debug, Clone, Copy)]
struct Spec {
    source: u32,
    /// `None`: calculated.
    every_ms: Option<u64>,
    cost_ms: u64,
    /// From one change of its source to the next.
    arrival_ms: u64,
}

/// In which order due tables are taken.
type Order = fn(&Tables, &Clock) -> Vec<i64>;

fn by_urgency(tables: &Tables, clock: &Clock) -> Vec<i64> {
    tables.queue(clock).0
}

fn by_id(tables: &Tables, clock: &Clock) -> Vec<i64> {
    let mut due = tables.queue(clock).0;
    due.sort_unstable();
    due
}

/// What has been seen of a table.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    next_arrival: Duration,
    unserved_since: Option<Duration>,
    last_start: Option<Duration>,
    /// The longest that a change, or a table with an interval, waited for a refresh to start.
    longest: Duration,
}

struct World {
    specs: Vec<Spec>,
    seen: Vec<Seen>,
    tables: Tables,
    clock: Clock,
    start: Instant,
    /// When each running job ends.
    running: Vec<(Duration, Vec<i64>)>,
    workers: usize,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn new_clock() -> Clock {
    Clock {
        now: Instant::now(),
        wall: SystemTime::UNIX_EPOCH + ms(1_768_478_400_000),
        rest: ms(5),
        share_percent: 50,
        rest_max: ms(1000),
        full: ms(60_000),
        time_zone: "UTC".to_owned(),
    }
}

fn table(schedule: &str, clock: &Clock) -> Table {
    let schedule = schedule.parse().expect("a schedule");
    Table {
        due: Due::new(schedule, true, true, clock),
        is_stopped: false,
        is_failing: false,
        blocked: None,
        is_immediate: false,
    }
}

/// A refresh begins, and this comes of it at once.
fn tried(tables: &mut Tables, id: i64, outcome: Outcome, clock: &Clock) {
    tables.begin(&[id], clock);
    let result = TaskResult {
        id,
        outcome,
        took: Duration::ZERO,
    };
    tables.end(&[result], clock);
}

impl World {
    fn new(specs: &[Spec], workers: usize) -> Self {
        let clock = new_clock();
        let mut tables = Tables::default();
        for (index, spec) in specs.iter().enumerate() {
            let id = index as i64;
            let schedule = spec
                .every_ms
                .map_or("calculated".to_owned(), |every| format!("{every}ms"));
            let source = spec.source;
            tables
                .graph
                .insert(id, 1_000_000 + index as u32, vec![source]);
            tables.sources.insert(source, source);
            tables.put(id, table(&schedule, &clock));
        }
        World {
            seen: vec![Seen::default(); specs.len()],
            specs: specs.to_vec(),
            tables,
            start: clock.now,
            clock,
            running: Vec::new(),
            workers,
        }
    }

    fn elapsed(&self) -> Duration {
        self.clock.now.duration_since(self.start)
    }

    /// Lets time pass, up to `end`.
    fn run(&mut self, end: Duration, order: Order) {
        while self.elapsed() < end {
            self.arrive();
            self.finish();
            self.hand_out(order);
            let soonest = self.tables.queue(&self.clock).1;
            let next = self
                .seen
                .iter()
                .map(|seen| seen.next_arrival)
                .chain(self.running.iter().map(|(at, _)| *at))
                .chain(soonest.map(|wait| self.elapsed() + wait))
                .min()
                .unwrap_or(end);
            let step = next
                .saturating_sub(self.elapsed())
                .max(Duration::from_nanos(1));
            self.clock.now += step;
            self.clock.wall += step;
        }
        for index in 0..self.specs.len() {
            self.note_wait(index);
        }
    }

    fn arrive(&mut self) {
        let now = self.elapsed();
        for index in 0..self.specs.len() {
            if self.seen[index].next_arrival <= now {
                self.seen[index].next_arrival = now + ms(self.specs[index].arrival_ms);
                let source = self.specs[index].source;
                for reader in self.tables.graph.readers_of(source) {
                    let seen = &mut self.seen[*reader as usize];
                    seen.unserved_since.get_or_insert(now);
                }
                self.tables.mark(&[source], &self.clock);
            }
        }
    }

    fn finish(&mut self) {
        let now = self.elapsed();
        let (over, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.running = running;
        for (_, job) in over {
            let results: Vec<TaskResult> = job
                .iter()
                .map(|id| TaskResult {
                    id: *id,
                    outcome: Outcome::Refreshed,
                    took: ms(self.specs[*id as usize].cost_ms),
                })
                .collect();
            self.tables.end(&results, &self.clock);
        }
    }

    fn hand_out(&mut self, order: Order) {
        for id in order(&self.tables, &self.clock) {
            if self.running.len() == self.workers {
                return;
            }
            let Some(Job { ids: job, .. }) = self.tables.group(id, &self.clock) else {
                continue;
            };
            self.tables.begin(&job, &self.clock);
            let cost: u64 = job.iter().map(|id| self.specs[*id as usize].cost_ms).sum();
            for id in &job {
                let index = *id as usize;
                self.note_wait(index);
                self.seen[index].unserved_since = None;
                self.seen[index].last_start = Some(self.elapsed());
            }
            self.running.push((self.elapsed() + ms(cost), job));
        }
    }

    fn note_wait(&mut self, index: usize) {
        let now = self.elapsed();
        let seen = &mut self.seen[index];
        let since = match self.specs[index].every_ms {
            None => seen.unserved_since,
            Some(_) => Some(seen.last_start.unwrap_or_default()),
        };
        let waited = since.map_or(Duration::ZERO, |since| now - since);
        seen.longest = seen.longest.max(waited);
    }

    fn period_ms(spec: &Spec) -> u64 {
        spec.every_ms
            .unwrap_or((2 * spec.cost_ms).clamp(5, spec.cost_ms + 1000))
    }

    /// The longest that a table may wait: its period, and the bound of `turn`, with the least
    /// weights that others can have and the largest of its own.
    fn bound(&self, index: usize) -> Duration {
        let least = |spec: &Spec| Self::period_ms(spec).clamp(1_000, 60_000) as f64;
        let own = least(&self.specs[index]) + self.specs[index].cost_ms as f64;
        let work_ms: f64 = self
            .specs
            .iter()
            .map(|spec| {
                let cost = ms(spec.cost_ms) + GROUP;
                cost.as_secs_f64() * 1e3 * (2.0 + own / least(spec))
            })
            .sum();
        let waited_ms = 2.0 / self.workers as f64 * work_ms;
        ms(Self::period_ms(&self.specs[index])) + ms(waited_ms.ceil() as u64)
    }

    /// The tables that waited for longer than they may.
    fn starved(&self) -> Vec<(usize, Duration, Duration)> {
        (0..self.specs.len())
            .map(|index| (index, self.seen[index].longest, self.bound(index)))
            .filter(|(_, longest, bound)| longest > bound)
            .collect()
    }

    fn longest_bound(&self) -> Duration {
        (0..self.specs.len())
            .map(|index| self.bound(index))
            .max()
            .unwrap_or_default()
    }
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (
        prop_oneof![3 => Just(None), 1 => (1_000_u64..20_000).prop_map(Some)],
        prop_oneof![Just(1_u64), 5_u64..50, 100_u64..2_000],
        1_u64..5_000,
        0_u32..12,
    );
    let spec = spec.prop_map(|(every_ms, cost_ms, arrival_ms, source)| Spec {
        source,
        every_ms,
        cost_ms,
        arrival_ms,
    });
    prop::collection::vec(spec, 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_table_starves_however_much_there_is_to_do(specs in specs(), workers in 1_usize..4) {
        let mut world = World::new(&specs, workers);
        let end = (world.longest_bound() * 2).min(ms(300_000));
        world.run(end, by_urgency);
        prop_assert!(world.starved().is_empty(), "{:?}", world.starved());
    }
}

/// Twenty tables that each could keep the worker busy.
fn too_many() -> Vec<Spec> {
    let spec = |index: u64| Spec {
        source: index as u32,
        every_ms: None,
        cost_ms: 20 + 10 * (index % 5),
        arrival_ms: 10,
    };
    (0..20).map(spec).collect()
}

#[test]
fn taking_them_by_id_starves_the_last() {
    let mut world = World::new(&too_many(), 1);
    let end = world.longest_bound() * 3;
    world.run(end, by_id);
    assert!(world.starved().iter().any(|(index, ..)| *index == 19));
}

#[test]
fn what_cannot_be_followed_falls_behind_evenly() {
    let mut world = World::new(&too_many(), 1);
    world.run(ms(60_000), by_urgency);
    let waits = || world.seen.iter().map(|seen| seen.longest.as_secs_f64());
    let (least, most) = (
        waits().fold(f64::MAX, f64::min),
        waits().fold(0.0, f64::max),
    );
    // One round is 0.8 s.
    assert!(most < 2.0, "{most}");
    assert!(most < 1.6 * least, "{least} to {most}");
}

#[test]
fn what_failed_again_rests_again() {
    let mut clock = new_clock();
    let mut tables = Tables::default();
    tables.put(0, table("calculated", &clock));
    for _ in 0..3 {
        let soonest = clock.now + ms(1000);
        tried(&mut tables, 0, Outcome::Failed, &clock);
        assert_eq!(tables.tables[&0].due.retry_at, Some(soonest));
        clock.now = soonest;
    }
}

#[test]
fn a_cheap_table_does_not_wait_behind_dear_ones_that_are_due_as_well() {
    let dear = |source| Spec {
        source,
        every_ms: None,
        cost_ms: 3_000,
        arrival_ms: 10,
    };
    let mut specs: Vec<Spec> = (0..6).map(dear).collect();
    specs.push(Spec {
        source: 6,
        every_ms: None,
        cost_ms: 1,
        arrival_ms: 10,
    });
    let mut world = World::new(&specs, 1);
    // What each costs is known after a round.
    world.run(ms(60_000), by_urgency);
    world.seen[6].longest = Duration::ZERO;
    world.run(ms(300_000), by_urgency);
    // Longer than one of them takes, since a refresh is not interrupted; not than two and a rest.
    let cheap = world.seen[6].longest;
    assert!(cheap < ms(7_000), "{cheap:?}");
}

#[test]
fn an_island_too_large_for_a_job_begins_with_what_is_most_urgent() {
    let clock = new_clock();
    let mut tables = Tables::default();
    let count = TASKS as i64 + 50;
    // A root that all others read.
    for id in 0..count {
        let source = if id == 0 { 1 } else { 1_000_000 };
        tables.graph.insert(id, 1_000_000 + id as u32, vec![source]);
        tables.put(id, table("10s", &clock));
    }
    let mut done: BTreeSet<i64> = BTreeSet::new();
    let mut at = clock.clone();
    for _ in 0..2 {
        at.now += ms(20_000);
        let (queue, _) = tables.queue(&at);
        let job = tables.job(queue[0], &at).expect("nothing is in flight");
        assert!(job.len() <= TASKS);
        assert_eq!(job[0], 0, "what they read comes first");
        tables.begin(&job, &at);
        tables.in_flight.clear();
        done.extend(job);
    }
    assert_eq!(done.len() as i64, count, "two jobs reach all");
}

/// So many tables over one source, all due, each of which costs so much.
fn readers_of_one(count: i64, cost_ms: u64, clock: &Clock) -> Tables {
    let mut tables = Tables::default();
    for id in 0..count {
        let mut table = table("calculated", clock);
        table.due.cost.learn(ms(cost_ms));
        tables.graph.insert(id, 1_000_000 + id as u32, vec![1]);
        tables.put(id, table);
    }
    tables
}

#[test]
fn readers_of_one_source_are_refreshed_together_as_long_as_that_takes_little_time() {
    let clock = new_clock();
    let group = |cost_ms| {
        let tables = readers_of_one(100, cost_ms, &clock);
        tables.group(0, &clock).expect("nothing is in flight")
    };
    let cheap = group(1);
    assert!(cheap.is_hasty);
    assert_eq!(cheap.ids, (0..26).collect::<Vec<i64>>());
    let dear = group(30);
    assert!(!dear.is_hasty);
    assert_eq!(dear.ids, [0]);
}

#[test]
fn what_reads_another_source_or_is_in_flight_is_not_in_the_group() {
    let clock = new_clock();
    let mut tables = readers_of_one(6, 1, &clock);
    tables.graph.insert(3, 1_000_003, vec![2]);
    tables.begin(&[4], &clock);
    let group = tables.group(0, &clock).expect("nothing is in flight");
    assert_eq!(group.ids, [0, 1, 2, 5]);
}

#[test]
fn what_was_locked_in_a_group_comes_alone_until_it_is_refreshed() {
    let clock = new_clock();
    let mut tables = readers_of_one(4, 1, &clock);
    tried(&mut tables, 2, Outcome::Blocked, &clock);
    let at = Clock {
        now: clock.now + ms(100),
        ..clock.clone()
    };
    let of = |tables: &Tables, id| tables.group(id, &at).expect("nothing is in flight").ids;
    assert_eq!(of(&tables, 0), [0, 1, 3]);
    assert_eq!(of(&tables, 2), [2]);
    tried(&mut tables, 2, Outcome::Refreshed, &clock);
    tables.mark_all(&clock);
    assert_eq!(of(&tables, 0), [0, 1, 3, 2]);
}

#[test]
fn what_a_diamond_reads_is_refreshed_together_though_one_side_would_rest_longer() {
    let clock = new_clock();
    let mut tables = Tables::default();
    for (id, cost_ms, sources) in [
        (1, 1, vec![9]),
        (2, 100, vec![9]),
        (3, 1, vec![1_000_001, 1_000_002]),
    ] {
        let mut table = table("calculated", &clock);
        table.due.cost.learn(ms(cost_ms));
        tables.graph.insert(id, 1_000_000 + id as u32, sources);
        tables.put(id, table);
    }
    tables.sources.insert(9, 9);
    tables.begin(&[1, 2, 3], &clock);
    tables.in_flight.clear();
    tables.mark(&[9], &clock);
    let at = Clock {
        now: clock.now + ms(20),
        ..clock.clone()
    };
    assert_eq!(tables.queue(&at).0, [1], "the other rests");
    let group = tables.group(1, &at).expect("nothing is in flight");
    assert_eq!(group.ids, [1, 2, 3]);
}

#[test]
fn what_is_locked_and_its_readers_wait_and_the_rest_of_the_island_goes_on() {
    let clock = new_clock();
    let mut tables = Tables::default();
    for (id, sources) in [(1, vec![9]), (2, vec![9]), (3, vec![1_000_001, 1_000_002])] {
        tables.graph.insert(id, 1_000_000 + id as u32, sources);
        tables.put(id, table("calculated", &clock));
    }
    let later = |by| Clock {
        now: clock.now + ms(by),
        ..clock.clone()
    };
    tried(&mut tables, 1, Outcome::Blocked, &clock);
    assert_eq!(tables.queue(&clock).0, [2]);
    assert_eq!(tables.job(2, &clock), Some(vec![2]));
    assert_eq!(tables.queue(&clock).1, Some(ms(25)));
    // A worker waits for it at the first try by itself only.
    let job = |ids: &[i64], is_hasty| {
        Some(Job {
            ids: ids.to_vec(),
            is_hasty,
        })
    };
    assert_eq!(tables.group(1, &later(30)), job(&[1, 2], false));
    tried(&mut tables, 1, Outcome::Blocked, &later(30));
    assert_eq!(tables.queue(&later(70)).0, [2]);
    assert_eq!(tables.group(1, &later(80)), job(&[1, 2], true));
    tried(&mut tables, 1, Outcome::Refreshed, &later(80));
    assert_eq!(tables.job(2, &later(80)), Some(vec![2, 3]));
}
