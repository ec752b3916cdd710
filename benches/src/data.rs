//! The two tables, and changes to the larger one: 60 % updates, 20 % inserts, 20 % deletes.

use anyhow::Result;
use harness::client::Session;

/// `big` refers to a tenth as many rows of `small`.
pub async fn create(session: &Session, rows: u64) -> Result<()> {
    let small = (rows / 10).max(100);
    session
        .execute(&format!(
            "CREATE TABLE small (
                 id integer PRIMARY KEY, attr integer NOT NULL, name text NOT NULL);
             CREATE TABLE big (
                 id bigint PRIMARY KEY, small_id integer NOT NULL, region integer NOT NULL,
                 kind integer NOT NULL, amount bigint NOT NULL, score integer NOT NULL, note text NOT NULL);
             INSERT INTO small SELECT i, i % 100, 'name ' || i FROM generate_series(1, {small}) i;
             INSERT INTO big
                 SELECT i, 1 + hashint8(i) % {small} + CASE WHEN hashint8(i) < 0 THEN {small} - 1 ELSE 0 END,
                        i % 10, i % 7 % 5, i % 1000, hashint8(i + 1) % 10000, 'note ' || i
                 FROM generate_series(1, {rows}) i;
             CREATE INDEX big_small_id ON big (small_id);
             CREATE SEQUENCE big_id START {};
             CREATE TABLE parameters AS SELECT {rows}::bigint AS rows, {small}::integer AS small;",
            rows + 1
        ))
        .await?;
    session.execute("VACUUM (ANALYZE, FREEZE)").await?;
    Ok(())
}

/// A change of exactly `changed` rows in one transaction. A single row is, in turn, an update three times
/// out of five, an insert, and a delete.
pub fn change(changed: u64, repetition: usize) -> String {
    let (updates, inserts, deletes) = split(changed, repetition);
    let mut sql = String::from("BEGIN;");
    if updates > 0 {
        // A third moves to another group of every view.
        sql.push_str(&format!(
            "UPDATE big SET amount = amount + 7, score = (score + 13) % 10000,
                    region = CASE WHEN id % 3 = 0 THEN (region + 1) % 10 ELSE region END,
                    small_id = CASE WHEN id % 3 = 0 THEN 1 + small_id % (SELECT small FROM parameters)
                                    ELSE small_id END
             WHERE id = ANY (ARRAY({}));",
            some_ids(updates)
        ));
    }
    if inserts > 0 {
        sql.push_str(&format!(
            "INSERT INTO big
             SELECT nextval('big_id'), 1 + floor(random() * small)::integer, i % 10, i % 5, i % 1000,
                    i % 10000, 'new'
             FROM parameters, generate_series(1, {inserts}) i;"
        ));
    }
    if deletes > 0 {
        sql.push_str(&format!(
            "DELETE FROM big WHERE id = ANY (ARRAY({}));",
            some_ids(deletes)
        ));
    }
    sql.push_str("COMMIT");
    sql
}

/// Distinct keys of rows that exist, from all over the table.
fn some_ids(count: u64) -> String {
    format!(
        "SELECT id FROM (
             SELECT DISTINCT 1 + floor(random() * rows)::bigint AS id
             FROM parameters, generate_series(1, {count} * 2 + 20)) candidate
         WHERE EXISTS (SELECT FROM big WHERE big.id = candidate.id) LIMIT {count}"
    )
}

fn split(changed: u64, repetition: usize) -> (u64, u64, u64) {
    if changed == 1 {
        return match repetition % 5 {
            1 => (0, 1, 0),
            3 => (0, 0, 1),
            _ => (1, 0, 0),
        };
    }
    let part = changed / 5;
    (changed - 2 * part, part, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_sixty_twenty_twenty() {
        assert_eq!(split(100, 0), (60, 20, 20));
        assert_eq!(split(10_000, 3), (6_000, 2_000, 2_000));
        let singles: Vec<_> = (0..5).map(|repetition| split(1, repetition)).collect();
        let sum = singles.iter().fold((0, 0, 0), |sum, one| {
            (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2)
        });
        assert_eq!(sum, (3, 1, 1));
    }
}
