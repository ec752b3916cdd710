//! Random changes, as SQL.

use crate::random::Random;

use super::sources::CHAIN;

/// A number below `end` that is small more often than not: some rows are changed all the time.
fn skewed(random: &mut Random, end: u64) -> u64 {
    let reach = 1 + random.below(end);
    random.below(reach)
}

/// A change of one of the sources, whose `account` began with this many rows.
pub fn any(random: &mut Random, rows: u64) -> String {
    match random.below(3) {
        0 => other(random, rows),
        _ => account(random, rows),
    }
}

/// A change of `account`, `entry` or `branch`.
pub fn account(random: &mut Random, rows: u64) -> String {
    let account = 1 + skewed(random, rows + rows / 10);
    let branch = skewed(random, 44);
    let value = random.below(60);
    match random.below(16) {
        0..=3 => format!(
            "INSERT INTO account SELECT nextval('fresh'), {branch}, ({value} + i) % 60, {value} * 0.10, 't' || ({value} + i) % 19, i % 2 = 0, clock_timestamp() FROM generate_series(1, {}) i",
            1 + skewed(random, 6)
        ),
        4 | 5 => format!("UPDATE account SET v = {value} WHERE id = {account}"),
        6 => format!(
            "UPDATE account SET branch_id = {branch}, at = clock_timestamp() WHERE id = {account}"
        ),
        7 => format!(
            "UPDATE account SET n = n * 1.0, t = NULL, flag = NOT flag WHERE id BETWEEN {account} AND {account} + 5"
        ),
        8 => format!(
            "DELETE FROM account WHERE id = {account} OR (id >= 1000000 AND id % 31 = {value} % 31)"
        ),
        9 => format!(
            "INSERT INTO account VALUES ({account}, {branch}, {value}, 1.00, 'u', NULL, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET v = excluded.v"
        ),
        10 | 11 => format!(
            "INSERT INTO entry VALUES ({branch}, 'n{}', {value}), (NULL, NULL, 1)",
            value % 6
        ),
        12 => format!(
            "DELETE FROM entry WHERE ctid IN (SELECT ctid FROM entry WHERE k = {branch} OR k IS NULL LIMIT 5)"
        ),
        13 => format!(
            "UPDATE entry SET amount = amount + 1, k = {branch} WHERE k = {} AND note = 'n1'",
            (branch + 1) % 44
        ),
        14 => format!(
            "UPDATE branch SET region = 'r{}', factor = factor + 0.1 WHERE id = {branch}",
            value % 5
        ),
        _ => format!(
            "DELETE FROM branch WHERE id = {branch}; INSERT INTO branch VALUES ({branch}, NULL, 1.5) ON CONFLICT DO NOTHING"
        ),
    }
}

/// A change of any other table but those of the chain.
fn other(random: &mut Random, rows: u64) -> String {
    let account = 1 + skewed(random, rows + rows / 10);
    let value = random.below(60);
    match random.below(8) {
        0 => format!(
            "UPDATE part SET k = {value} % 5, v = v + 1 WHERE id = {} AND NOT EXISTS (SELECT 1 FROM part p WHERE p.id = part.id AND p.k = {value} % 5)",
            1 + skewed(random, rows / 4)
        ),
        1 => format!(
            "INSERT INTO part VALUES ({account}, {value} % 4, {value}) ON CONFLICT (id, k) DO UPDATE SET v = excluded.v"
        ),
        2 => format!(
            "MERGE INTO part p USING (VALUES ({account}, {value} % 4)) n (id, k) ON p.id = n.id AND p.k = n.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.k, {value})"
        ),
        3 => format!(
            "UPDATE doc SET tags = tags || {value}, body = body || '{{\"k\": {}}}' WHERE id = {} AND cardinality(tags) < 12",
            value % 6,
            1 + skewed(random, rows / 10)
        ),
        4 => format!(
            "UPDATE doc SET tags = '{{}}' WHERE id = {}",
            1 + skewed(random, rows / 10)
        ),
        5 => {
            let id = 2 + random.below(59);
            format!(
                "UPDATE node SET parent = {} WHERE id = {id}",
                1 + random.below(id - 1)
            )
        }
        6 => format!(
            "INSERT INTO spare VALUES ({account}, {value} % 10) ON CONFLICT (id) DO UPDATE SET v = excluded.v"
        ),
        _ => format!("DELETE FROM spare WHERE id % 7 = {value} % 7"),
    }
}

/// A change of one table of the chain.
pub fn link(random: &mut Random, number: usize) -> String {
    let id = skewed(random, 200);
    let (next, value) = (random.below(210), random.below(20));
    match random.below(4) {
        0 => format!("UPDATE link{number} SET v = {value} WHERE id = {id}"),
        1 => format!("UPDATE link{number} SET next = {next} WHERE id = {id}"),
        2 => format!("DELETE FROM link{number} WHERE id = {id}"),
        _ => format!(
            "INSERT INTO link{number} VALUES ({id}, {next}, {value}) ON CONFLICT (id) DO UPDATE SET next = excluded.next, v = excluded.v"
        ),
    }
}

/// A change of every table of the chain.
pub fn whole_chain(random: &mut Random) -> String {
    let statements: Vec<String> = (1..=CHAIN).map(|number| link(random, number)).collect();
    statements.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_come_more_often() {
        let mut random = Random::new(1);
        let small = (0..1000).filter(|_| skewed(&mut random, 100) < 25).count();
        assert!(small > 450, "{small}");
    }

    #[test]
    fn a_seed_repeats_its_changes_and_the_whole_chain_has_all_links() {
        let draw = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| any(&mut random, 100)).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        let chain = whole_chain(&mut Random::new(1));
        assert!((1..=CHAIN).all(|number| chain.contains(&format!("link{number} "))));
    }
}
