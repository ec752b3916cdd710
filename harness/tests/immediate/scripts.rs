//! What writers do at the same time.

/// Steps between BEGIN with a first look, and COMMIT.
pub const SCRIPTS: [[&[&str]; 2]; 3] = [
    // The same group; a group that comes twice.
    [
        &[
            "UPDATE a SET x = x + 10 WHERE id = 1",
            "INSERT INTO a VALUES (20, 7, 20)",
        ],
        &["WITH d AS (DELETE FROM a WHERE id = 4) INSERT INTO a VALUES (21, 7, 21)"],
    ],
    // Both sides of a join.
    [
        &[
            "INSERT INTO a VALUES (20, 1, 20)",
            "UPDATE a SET g = 2 WHERE id = 1",
        ],
        &["INSERT INTO b SELECT 100 + i, i, i FROM unnest('{1,20,21}'::int[]) i"],
    ],
    // A savepoint that is rolled back, against a whole table.
    [
        &[
            "SAVEPOINT s; DELETE FROM a WHERE g = 1; ROLLBACK TO s; UPDATE b SET y = 0 WHERE id = 2",
            "DELETE FROM a WHERE id = 2",
        ],
        &["UPDATE a SET g = g + 1"],
    ],
];

/// Each of these statements is a transaction between two more steps, BEGIN with a first look, and COMMIT.
pub const MEETINGS: [[&str; 2]; 7] = [
    // The same group.
    [
        "UPDATE a SET x = x + 10 WHERE id = 1",
        "UPDATE a SET x = x + 1 WHERE id = 4",
    ],
    // Groups that appear, in both.
    [
        "INSERT INTO a VALUES (20, 7, 1), (21, 8, 2)",
        "INSERT INTO a VALUES (22, 8, 3), (23, 7, 4)",
    ],
    // A group that vanishes while it gets a row.
    [
        "DELETE FROM a WHERE g = 0",
        "INSERT INTO a VALUES (20, 0, 1)",
    ],
    // The last rows of a group, one each.
    [
        "DELETE FROM a WHERE id IN (1, 4)",
        "DELETE FROM a WHERE id = 7",
    ],
    // Rows that move to each other's group, and a key that is used again.
    [
        "UPDATE a SET g = 2 WHERE g = 1",
        "UPDATE a SET g = 1 WHERE g = 2",
    ],
    [
        "DELETE FROM a WHERE id = 5",
        "INSERT INTO a VALUES (5, 2, 1) ON CONFLICT (id) DO UPDATE SET x = 0",
    ],
    // More rows than a transaction may lock one by one.
    [
        "INSERT INTO a SELECT i, i, i FROM generate_series(20, 120) i",
        "INSERT INTO a SELECT i, i - 200, i FROM generate_series(220, 320) i",
    ],
];

/// Two transactions and a statement by itself.
pub const THREE: [&str; 3] = [
    "DELETE FROM a WHERE id IN (1, 4)",
    "UPDATE a SET g = 1, x = 3 WHERE id IN (2, 4)",
    "DELETE FROM a WHERE id = 7",
];
